//! The model of the disk, which loses unsynced writes in a power cut.

use std::collections::BTreeMap;

use matricula_core::{StoreError, WriteBatch};

use crate::plan::Crash;

/// The disk of a run.
pub trait Disk {
    /// Writes a batch. It survives a crash of the program, but not a power cut.
    ///
    /// # Errors
    /// If it cannot be written.
    fn write(&mut self, batch: &WriteBatch) -> Result<(), StoreError>;

    /// Makes all writes durable.
    fn sync(&mut self);

    /// The program or the machine has crashed.
    fn crash(&mut self, crash: Crash);

    /// Every entry: table, key and value.
    fn entries(&mut self) -> Vec<(String, String, Vec<u8>)>;
}

/// A disk in memory.
#[derive(Debug, Default)]
pub struct MemoryDisk {
    synced: BTreeMap<(String, String), Vec<u8>>,
    unsynced: Vec<WriteBatch>,
}

impl MemoryDisk {
    fn apply(&mut self) {
        for batch in std::mem::take(&mut self.unsynced) {
            for write in batch.writes() {
                let key = (write.table.to_string(), write.key.clone());
                match &write.value {
                    Some(value) => drop(self.synced.insert(key, value.clone())),
                    None => drop(self.synced.remove(&key)),
                }
            }
        }
    }
}

impl Disk for MemoryDisk {
    fn write(&mut self, batch: &WriteBatch) -> Result<(), StoreError> {
        self.unsynced.push(batch.clone());
        Ok(())
    }

    fn sync(&mut self) {
        self.apply();
    }

    fn crash(&mut self, crash: Crash) {
        match crash {
            Crash::Kill => self.apply(),
            Crash::PowerCut => self.unsynced.clear(),
        }
    }

    fn entries(&mut self) -> Vec<(String, String, Vec<u8>)> {
        self.apply();
        let entries = self.synced.iter();
        entries
            .map(|((table, key), value)| (table.clone(), key.clone(), value.clone()))
            .collect()
    }
}
