//! Memory that requests share: each takes a part of it while it holds a large body.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Bodies up to this size take nothing, so that small ones never wait for large ones.
pub(crate) const SMALL: usize = 16 * 1024;

/// A number of bytes, of which one address gets at most half.
#[derive(Debug)]
pub(crate) struct Memory {
    total: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_address: HashMap<Arc<str>, usize>,
}

/// Where there is no room, and where an address has its share already.
#[derive(Debug)]
pub(crate) struct NoRoom;

impl Memory {
    pub(crate) fn new(total: usize) -> Arc<Self> {
        Arc::new(Self {
            total,
            taken: Mutex::default(),
        })
    }

    /// Takes room for a body of this size, until the [`Room`] is dropped. A small body takes none. One
    /// that is larger than the share of an address takes the whole share.
    pub(crate) fn take(
        self: &Arc<Self>,
        address: &Arc<str>,
        bytes: usize,
    ) -> Result<Option<Room>, NoRoom> {
        if bytes <= SMALL {
            return Ok(None);
        }
        let share = self.total / 2;
        let bytes = bytes.min(share);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = taken.by_address.get(address).copied().unwrap_or(0);
        if of_address + bytes > share || taken.total + bytes > self.total {
            return Err(NoRoom);
        }
        taken.total += bytes;
        taken.by_address.insert(address.clone(), of_address + bytes);
        Ok(Some(Room {
            memory: self.clone(),
            address: address.clone(),
            bytes,
        }))
    }
}

/// A part of a [`Memory`].
#[derive(Debug)]
pub(crate) struct Room {
    memory: Arc<Memory>,
    address: Arc<str>,
    bytes: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        let taken = &self.memory.taken;
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.total = taken.total.saturating_sub(self.bytes);
        if let Some(of_address) = taken.by_address.get_mut(&self.address) {
            *of_address = of_address.saturating_sub(self.bytes);
            if *of_address == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Memory, SMALL};

    const KIB: usize = 1024;

    #[test]
    fn address_gets_at_most_half() {
        let memory = Memory::new(200 * KIB);
        let (one, other) = ("192.0.2.1".into(), "192.0.2.2".into());
        let first = memory.take(&one, 60 * KIB).unwrap();
        assert!(memory.take(&one, 60 * KIB).is_err());
        let second = memory.take(&one, 40 * KIB).unwrap();
        assert!(memory.take(&one, 17 * KIB).is_err());
        assert!(memory.take(&one, SMALL).unwrap().is_none());
        assert!(memory.take(&other, 100 * KIB).unwrap().is_some());
        drop(first);
        assert!(memory.take(&one, 60 * KIB).unwrap().is_some());
        drop(second);
        let taken = memory.taken.lock().unwrap();
        assert_eq!((taken.total, taken.by_address.len()), (0, 0));
    }

    #[test]
    fn oversized_body_takes_whole_share() {
        let memory = Memory::new(200 * KIB);
        let addresses = ["a", "b", "c"].map(Into::into);
        let whole = memory.take(&addresses[0], 10_000 * KIB).unwrap();
        assert!(memory.take(&addresses[0], 17 * KIB).is_err());
        let other = memory.take(&addresses[1], 10_000 * KIB).unwrap();
        assert!(memory.take(&addresses[2], 17 * KIB).is_err());
        drop((whole, other));
        assert!(memory.take(&addresses[2], 10_000 * KIB).is_ok());
    }
}
