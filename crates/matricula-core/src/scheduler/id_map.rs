//! A map keyed by ascending ids: fast, and cheap to clone.

use std::{collections::VecDeque, sync::Arc};

/// Values by id. A new id must be higher than all before; ids are not reused.
///
/// A slot is found by arithmetic. Clones share chunks of [`CHUNK`] slots; a change after a clone copies the
/// list of chunk pointers and the chunks that it touches. The slots of removed values are freed by whole
/// chunks, and the pointer of an empty chunk once all before it are empty.
///
/// Measured with 100,000 jobs in 1,000 queues (2026-12, one core of an AMD EPYC), in ns a job for
/// submission, sending and completion, and in µs for a clone and a step after it: this map 470 and 50,
/// `BTreeMap` 681 and 5,500, `imbl::OrdMap` 1,304 and 6.
#[derive(Clone, Debug)]
pub(super) struct IdMap<T> {
    chunks: Arc<Chunks<T>>,
    /// The index of the first chunk.
    first: u64,
    len: usize,
}

/// Slots of a chunk.
const CHUNK: u64 = 64;

type Chunks<T> = VecDeque<Option<Arc<Chunk<T>>>>;

#[derive(Clone, Debug)]
struct Chunk<T> {
    used: usize,
    slots: [Option<T>; CHUNK as usize],
}

impl<T> Default for IdMap<T> {
    fn default() -> Self {
        Self {
            chunks: Arc::default(),
            first: 0,
            len: 0,
        }
    }
}

/// The index of an id's chunk, and of its slot in that.
fn locate(id: u64) -> (u64, usize) {
    (id / CHUNK, (id % CHUNK) as usize)
}

impl<T: Clone> IdMap<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where a chunk is in the list.
    fn at(&self, chunk: u64) -> Option<usize> {
        usize::try_from(chunk.checked_sub(self.first)?).ok()
    }

    pub(super) fn get(&self, id: u64) -> Option<&T> {
        let (chunk, slot) = locate(id);
        let chunk = self.chunks.get(self.at(chunk)?)?.as_ref()?;
        chunk.slots[slot].as_ref()
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        let (chunk, slot) = locate(id);
        let at = self.at(chunk)?;
        let chunk = Arc::make_mut(&mut self.chunks).get_mut(at)?.as_mut()?;
        Arc::make_mut(chunk).slots[slot].as_mut()
    }

    /// Inserts a value under a new id, or replaces the value of an id.
    pub(super) fn insert(&mut self, id: u64, value: T) {
        let (chunk, slot) = locate(id);
        if self.chunks.is_empty() {
            self.first = chunk;
        }
        let Some(at) = self.at(chunk) else {
            debug_assert!(false, "id {id} is lower than the ids before");
            return;
        };
        let chunks = Arc::make_mut(&mut self.chunks);
        while chunks.len() <= at {
            chunks.push_back(None);
        }
        let chunk = chunks[at].get_or_insert_with(|| {
            Arc::new(Chunk {
                used: 0,
                slots: [const { None }; CHUNK as usize],
            })
        });
        let chunk = Arc::make_mut(chunk);
        if chunk.slots[slot].replace(value).is_none() {
            chunk.used += 1;
            self.len += 1;
        }
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<T> {
        let (chunk, slot) = locate(id);
        let at = self.at(chunk)?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let entry = chunks.get_mut(at)?;
        let chunk = Arc::make_mut(entry.as_mut()?);
        let value = chunk.slots[slot].take()?;
        chunk.used -= 1;
        self.len -= 1;
        if chunk.used == 0 {
            *entry = None;
            while matches!(chunks.front(), Some(None)) {
                chunks.pop_front();
                self.first += 1;
            }
        }
        Some(value)
    }

    /// All values, by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let chunks = (self.first..).zip(self.chunks.iter());
        chunks.flat_map(|(index, chunk)| {
            let slots = chunk.iter().flat_map(|chunk| &chunk.slots);
            let slots = (index * CHUNK..).zip(slots);
            slots.filter_map(|(id, slot)| Some((id, slot.as_ref()?)))
        })
    }

    /// All ids, in order.
    pub(super) fn keys(&self) -> Vec<u64> {
        self.iter().map(|(id, _)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn id_map_matches_btreemap() {
        let mut ids = IdMap::default();
        let mut map = BTreeMap::new();
        let mut random = 7_u64;
        for key in 1..5_000_u64 {
            ids.insert(key * 3, key);
            map.insert(key * 3, key);
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let removed = random >> 33;
            let removed = removed % (key * 3);
            assert_eq!(ids.remove(removed), map.remove(&removed));
            if let Some(value) = ids.get_mut(removed / 2) {
                *value += 1;
                *map.get_mut(&(removed / 2)).unwrap() += 1;
            }
            assert_eq!(ids.len(), map.len());
        }
        assert!(ids.iter().eq(map.iter().map(|(key, value)| (*key, value))));
        for key in ids.keys() {
            assert_eq!(ids.remove(key), map.remove(&key));
        }
        assert!(ids.is_empty() && ids.chunks.is_empty());
    }

    #[test]
    fn clones_are_independent() {
        let mut ids = IdMap::default();
        ids.insert(1, "one");
        let before = ids.clone();
        ids.insert(2, "two");
        ids.remove(1);
        assert_eq!((before.get(1), before.get(2)), (Some(&"one"), None));
        assert_eq!((ids.get(1), ids.get(2)), (None, Some(&"two")));
    }

    #[test]
    fn empty_chunks_are_freed() {
        let mut ids = IdMap::default();
        for key in 0..100_000 {
            ids.insert(key, key);
            ids.remove(key);
        }
        assert!(ids.chunks.len() <= 1, "{}", ids.chunks.len());
    }
}
