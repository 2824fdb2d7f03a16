//! A disk that forgets what was not forced to it.

use std::collections::BTreeMap;

use matricula_core::{StoreError, WriteBatch};

use crate::plan::Crash;

/// Where a run keeps what the scheduler commits.
pub trait Disk {
    /// Writes a patch: it outlives the program from then on, but not the power.
    ///
    /// # Errors
    /// Where the disk does not take it.
    fn write(&mut self, patch: &WriteBatch) -> Result<(), StoreError>;

    /// Forces what was written to the disk.
    fn sync(&mut self);

    /// The program has ended: what is read from now on is what outlived it.
    fn crash(&mut self, crash: Crash);

    /// Everything that is there: table, key and value.
    fn entries(&mut self) -> Vec<(String, String, Vec<u8>)>;
}

/// A disk in memory.
#[derive(Debug, Default)]
pub struct Memory {
    forced: BTreeMap<(String, String), Vec<u8>>,
    written: Vec<WriteBatch>,
}

impl Memory {
    fn force(&mut self) {
        for patch in std::mem::take(&mut self.written) {
            for change in patch.writes() {
                let key = (change.table.to_string(), change.key.clone());
                match &change.value {
                    Some(value) => drop(self.forced.insert(key, value.clone())),
                    None => drop(self.forced.remove(&key)),
                }
            }
        }
    }
}

impl Disk for Memory {
    fn write(&mut self, patch: &WriteBatch) -> Result<(), StoreError> {
        self.written.push(patch.clone());
        Ok(())
    }

    fn sync(&mut self) {
        self.force();
    }

    fn crash(&mut self, crash: Crash) {
        match crash {
            Crash::Kill => self.force(),
            Crash::PowerCut => self.written.clear(),
        }
    }

    fn entries(&mut self) -> Vec<(String, String, Vec<u8>)> {
        self.force();
        let entries = self.forced.iter();
        entries
            .map(|((table, key), value)| (table.clone(), key.clone(), value.clone()))
            .collect()
    }
}
