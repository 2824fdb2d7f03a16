//! Values under numbers that only grow, cheap to clone and quick to change.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Values under numbers of which each new one is higher than all before.
///
/// A persistent map from numbers would do; this one takes a fraction of its time, as it finds a place by
/// counting. After a clone, the first change copies a pointer for every so many numbers, and those that
/// it is about. What is removed leaves an eighth of a byte behind until all before it is removed too.
#[derive(Clone, Debug)]
pub(super) struct Table<T> {
    chunks: Arc<Chunks<T>>,
    /// The number of the first chunk.
    first: u64,
    len: usize,
}

const SIZE: u64 = 64;

type Chunks<T> = VecDeque<Option<Arc<Chunk<T>>>>;

#[derive(Clone, Debug)]
struct Chunk<T> {
    used: usize,
    slots: [Option<T>; SIZE as usize],
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            chunks: Arc::default(),
            first: 0,
            len: 0,
        }
    }
}

fn place(key: u64) -> (u64, usize) {
    (key / SIZE, usize::try_from(key % SIZE).unwrap_or_default())
}

impl<T: Clone> Table<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn at(&self, chunk: u64) -> Option<usize> {
        usize::try_from(chunk.checked_sub(self.first)?).ok()
    }

    pub(super) fn get(&self, key: u64) -> Option<&T> {
        let (chunk, slot) = place(key);
        let chunk = self.chunks.get(self.at(chunk)?)?.as_ref()?;
        chunk.slots[slot].as_ref()
    }

    pub(super) fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        let (chunk, slot) = place(key);
        let at = self.at(chunk)?;
        let chunk = Arc::make_mut(&mut self.chunks).get_mut(at)?.as_mut()?;
        Arc::make_mut(chunk).slots[slot].as_mut()
    }

    /// Puts a value under a number that is higher than all before, or takes the place of one.
    pub(super) fn insert(&mut self, key: u64, value: T) {
        let (chunk, slot) = place(key);
        if self.chunks.is_empty() {
            self.first = chunk;
        }
        // A number from before all that is left: nobody gives one.
        let Some(at) = self.at(chunk) else {
            return;
        };
        let chunks = Arc::make_mut(&mut self.chunks);
        while chunks.len() <= at {
            chunks.push_back(None);
        }
        let Some(chunk) = chunks.get_mut(at) else {
            return;
        };
        let chunk = chunk.get_or_insert_with(|| {
            Arc::new(Chunk {
                used: 0,
                slots: [const { None }; SIZE as usize],
            })
        });
        let chunk = Arc::make_mut(chunk);
        if chunk.slots[slot].replace(value).is_none() {
            chunk.used += 1;
            self.len += 1;
        }
    }

    pub(super) fn remove(&mut self, key: u64) -> Option<T> {
        let (number, slot) = place(key);
        let at = self.at(number)?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let place = chunks.get_mut(at)?;
        let chunk = Arc::make_mut(place.as_mut()?);
        let value = chunk.slots[slot].take()?;
        chunk.used -= 1;
        self.len -= 1;
        if chunk.used == 0 {
            *place = None;
            while matches!(chunks.front(), Some(None)) {
                chunks.pop_front();
                self.first += 1;
            }
        }
        Some(value)
    }

    /// All, by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let numbered = (self.first..).zip(self.chunks.iter());
        numbered.flat_map(|(number, chunk)| {
            let slots = chunk.iter().flat_map(|chunk| &chunk.slots);
            let numbered = (number * SIZE..).zip(slots);
            numbered.filter_map(|(key, slot)| Some((key, slot.as_ref()?)))
        })
    }

    /// The numbers of all, in order.
    pub(super) fn keys(&self) -> Vec<u64> {
        self.iter().map(|(key, _)| key).collect()
    }
}

/// As many values as a bound allows, or as there are kinds of requests: a clone copies them all, which
/// takes less than to share them does at each change.
#[derive(Clone, Debug)]
pub(super) struct Few<T>(BTreeMap<u64, T>);

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Few<T> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, key: u64) -> Option<&T> {
        self.0.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        self.0.get_mut(&key)
    }

    pub(super) fn insert(&mut self, key: u64, value: T) {
        self.0.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: u64) -> Option<T> {
        self.0.remove(&key)
    }

    /// All, by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.0.iter().map(|(key, value)| (*key, value))
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.values_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_a_map_is() {
        let mut table = Table::default();
        let mut map = BTreeMap::new();
        let mut random = 7_u64;
        for key in 1..5_000_u64 {
            table.insert(key * 3, key);
            map.insert(key * 3, key);
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let gone = random >> 33;
            let gone = gone % (key * 3);
            assert_eq!(table.remove(gone), map.remove(&gone));
            if let Some(value) = table.get_mut(gone / 2) {
                *value += 1;
                *map.get_mut(&(gone / 2)).unwrap() += 1;
            }
            assert_eq!(table.len(), map.len());
        }
        assert!(
            table
                .iter()
                .eq(map.iter().map(|(key, value)| (*key, value)))
        );
        for key in table.keys() {
            assert_eq!(table.remove(key), map.remove(&key));
        }
        assert!(table.is_empty() && table.chunks.is_empty());
    }

    #[test]
    fn a_clone_goes_its_own_way() {
        let mut table = Table::default();
        table.insert(1, "one");
        let before = table.clone();
        table.insert(2, "two");
        table.remove(1);
        assert_eq!((before.get(1), before.get(2)), (Some(&"one"), None));
        assert_eq!((table.get(1), table.get(2)), (None, Some(&"two")));
    }

    #[test]
    fn what_is_left_behind_is_let_go_of() {
        let mut table = Table::default();
        for key in 0..100_000 {
            table.insert(key, key);
            table.remove(key);
        }
        assert!(table.chunks.len() <= 1, "{}", table.chunks.len());
    }
}
