//! A store whose writes a test holds back.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex},
};

use matricula_core::{Store, StoreError, WriteBatch};

use crate::PATIENCE;

/// A disk that outlives the runners on it, and does nothing until it is let.
#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<Gated>);

#[derive(Default)]
struct Gated {
    kept: Mutex<BTreeMap<(String, String), Vec<u8>>>,
    gate: Mutex<Gate>,
    moved: Condvar,
}

#[derive(Default)]
pub(crate) struct Gate {
    pub(crate) is_shut: bool,
    pub(crate) is_full: bool,
    /// How many commits may go though it is shut.
    let_through: usize,
    /// Commits that have come to the gate, and those that went through.
    came: usize,
    went: usize,
}

impl Disk {
    pub(crate) fn set(&self, change: impl FnOnce(&mut Gate)) {
        change(&mut self.0.gate.lock().unwrap());
        self.0.moved.notify_all();
    }

    pub(crate) fn commits(&self) -> usize {
        self.0.gate.lock().unwrap().went
    }

    /// Waits until somebody waits at the gate.
    pub(crate) fn wait_for_a_commit(&self) {
        let mut gate = self.0.gate.lock().unwrap();
        let is_idle = |gate: &mut Gate| gate.came == gate.went;
        gate = self
            .0
            .moved
            .wait_timeout_while(gate, PATIENCE, is_idle)
            .unwrap()
            .0;
        assert_ne!(gate.came, gate.went, "nothing is written");
    }

    /// Lets the commit that waits at the gate go, and no other.
    pub(crate) fn let_one_through(&self) {
        self.set(|gate| gate.let_through += 1);
    }

    /// Another disk, with the same on it.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::default();
        *copy.0.kept.lock().unwrap() = self.0.kept.lock().unwrap().clone();
        copy
    }

    pub(crate) fn keys(&self, table: &str) -> usize {
        let kept = self.0.kept.lock().unwrap();
        kept.keys().filter(|(of, _)| of == table).count()
    }
}

impl Store for Disk {
    fn commit(&mut self, patch: &WriteBatch) -> Result<(), StoreError> {
        let mut gate = self.0.gate.lock().unwrap();
        gate.came += 1;
        self.0.moved.notify_all();
        // A test that fails must not leave its runtime waiting for ever.
        let gate = self
            .0
            .moved
            .wait_timeout_while(gate, PATIENCE, |gate| gate.is_shut && gate.let_through == 0);
        let mut gate = gate.unwrap().0;
        gate.let_through = gate.let_through.saturating_sub(1);
        if gate.is_full {
            return Err(full());
        }
        gate.went += 1;
        let mut kept = self.0.kept.lock().unwrap();
        for change in patch.writes() {
            let key = (change.table.to_string(), change.key.clone());
            match &change.value {
                Some(value) => kept.insert(key, value.clone()),
                None => kept.remove(&key),
            };
        }
        Ok(())
    }

    fn get(&mut self, table: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let kept = self.0.kept.lock().unwrap();
        Ok(kept.get(&(table.to_owned(), key.to_owned())).cloned())
    }

    fn entries(&mut self) -> Result<Vec<(String, String, Vec<u8>)>, StoreError> {
        let kept = self.0.kept.lock().unwrap().clone().into_iter();
        Ok(kept
            .map(|((table, key), value)| (table, key, value))
            .collect())
    }
}

pub(crate) fn full() -> StoreError {
    StoreError::new("the disk is full")
}
