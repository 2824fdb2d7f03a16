//! A store in memory whose writes a test can block.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex},
};

use matricula_core::{Store, StoreError, WriteBatch};

use crate::PATIENCE;

/// A store that outlives its runners.
#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<Gated>);

#[derive(Default)]
struct Gated {
    rows: Mutex<BTreeMap<(String, String), Vec<u8>>>,
    gate: Mutex<Gate>,
    moved: Condvar,
}

#[derive(Default)]
pub(crate) struct Gate {
    pub(crate) is_shut: bool,
    pub(crate) is_full: bool,
    /// How many commits may pass the shut gate.
    may_pass: usize,
    /// Commits that have reached the gate, and those that have passed it.
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

    /// Waits until a commit waits at the gate.
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

    /// Lets one waiting commit pass.
    pub(crate) fn let_one_pass(&self) {
        self.set(|gate| gate.may_pass += 1);
    }

    /// An independent copy.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::default();
        *copy.0.rows.lock().unwrap() = self.0.rows.lock().unwrap().clone();
        copy
    }

    pub(crate) fn keys(&self, table: &str) -> usize {
        let rows = self.0.rows.lock().unwrap();
        rows.keys().filter(|(of, _)| of == table).count()
    }
}

impl Store for Disk {
    fn commit(&mut self, patch: &WriteBatch) -> Result<(), StoreError> {
        let mut gate = self.0.gate.lock().unwrap();
        gate.came += 1;
        self.0.moved.notify_all();
        // A failed test must not leave its runtime waiting forever.
        let gate = self
            .0
            .moved
            .wait_timeout_while(gate, PATIENCE, |gate| gate.is_shut && gate.may_pass == 0);
        let mut gate = gate.unwrap().0;
        gate.may_pass = gate.may_pass.saturating_sub(1);
        if gate.is_full {
            return Err(full());
        }
        gate.went += 1;
        let mut rows = self.0.rows.lock().unwrap();
        for change in patch.writes() {
            let key = (change.table.to_string(), change.key.clone());
            match &change.value {
                Some(value) => rows.insert(key, value.clone()),
                None => rows.remove(&key),
            };
        }
        Ok(())
    }

    fn get(&mut self, table: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let rows = self.0.rows.lock().unwrap();
        Ok(rows.get(&(table.to_owned(), key.to_owned())).cloned())
    }

    fn entries(&mut self) -> Result<Vec<(String, String, Vec<u8>)>, StoreError> {
        let rows = self.0.rows.lock().unwrap().clone().into_iter();
        Ok(rows
            .map(|((table, key), value)| (table, key, value))
            .collect())
    }
}

pub(crate) fn full() -> StoreError {
    StoreError::new("the disk is full")
}
