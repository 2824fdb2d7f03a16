//! A sorted map with strings or identifiers as keys.
//!
//! The standard library's would do, and costs a user's build a third more: the specification has
//! over fifty map types, and the compiler instantiates a B-tree for each.

use std::{fmt, marker::PhantomData, ops::Index, slice, vec};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, MapAccess, Visitor, value::StrDeserializer},
    ser::SerializeMap,
};
use serde_json::value::RawValue;

use crate::{
    Raw,
    codec::{self, Key, Read, Reader, Rest},
    invalid::Invalid,
};

/// A map in the order of its keys, which are texts or identifiers. The entries that a server sends and that
/// are not valid are in [`invalid`](Self::invalid), and are written back.
///
/// Reading, walking and [`get`](Self::get) are fast. [`insert`](Self::insert) moves what comes
/// behind: make a large one from an iterator.
///
/// ```
/// # use matricula_api::SortedMap;
/// let mut map: SortedMap<String, u8> = [("b".to_owned(), 2), ("a".to_owned(), 1)].into();
/// map.insert("c".to_owned(), 3);
/// assert_eq!(map.get("b"), Some(&2));
/// assert!(map.keys().eq(["a", "b", "c"]));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SortedMap<K, V> {
    entries: Vec<(K, V)>,
    invalid: Invalid,
}

impl<K, V> SortedMap<K, V> {
    /// An empty map.
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
            invalid: Invalid::new(),
        }
    }

    /// The entries whose key or value is not valid, unchanged. They do not count as entries of the map.
    pub fn invalid(&self) -> impl Iterator<Item = (&str, &Raw)> {
        self.invalid.iter()
    }

    /// Takes an invalid entry away: it is not written any more.
    pub fn remove_invalid(&mut self, key: &str) -> Option<Raw> {
        self.invalid.remove(key)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Each key and its value, in order.
    pub fn iter(&self) -> Iter<'_, K, V> {
        self.entries.iter().map(pair)
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.iter().map(|(key, _)| key)
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().map(|(_, value)| value)
    }

    /// The values, in the order of their keys, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.iter_mut().map(|(_, value)| value)
    }

    /// Keeps what a condition holds for.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.entries.retain(|(key, value)| keep(key, value));
    }

    /// The keys, in order.
    pub fn into_keys(self) -> impl Iterator<Item = K> {
        self.entries.into_iter().map(|(key, _)| key)
    }

    /// The values, in the order of their keys.
    pub fn into_values(self) -> impl Iterator<Item = V> {
        self.entries.into_iter().map(|(_, value)| value)
    }

    /// A map of sorted entries.
    fn of(entries: Vec<(K, V)>) -> Self {
        let invalid = Invalid::new();
        Self { entries, invalid }
    }
}

impl<K: AsRef<str>, V> SortedMap<K, V> {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&V> {
        self.place(key).ok().map(|place| &self.entries[place].1)
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        let place = self.place(key).ok()?;
        Some(&mut self.entries[place].1)
    }

    /// Whether a key is there.
    pub fn contains_key(&self, key: &str) -> bool {
        self.place(key).is_ok()
    }

    /// Writes all entries, and the invalid ones but those of a name that `is_set`.
    pub(crate) fn write<M: SerializeMap>(
        &self,
        map: &mut M,
        is_set: impl Fn(&str) -> bool,
    ) -> Result<(), M::Error>
    where
        K: Serialize,
        V: Serialize,
    {
        for (key, value) in self {
            map.serialize_entry(key, value)?;
        }
        self.invalid
            .write(map, |name| is_set(name) || self.contains_key(name))
    }

    /// Gives a key a value; returns the one that it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(key.as_ref()) {
            Ok(place) => Some(std::mem::replace(&mut self.entries[place].1, value)),
            Err(place) => {
                self.entries.insert(place, (key, value));
                None
            }
        }
    }

    /// Takes a key away; returns its value.
    pub fn remove(&mut self, key: &str) -> Option<V> {
        let place = self.place(key).ok()?;
        Some(self.entries.remove(place).1)
    }

    /// The index of a key, or where it would be inserted.
    fn place(&self, key: &str) -> Result<usize, usize> {
        self.entries
            .binary_search_by(|(known, _)| known.as_ref().cmp(key))
    }
}

/// Each key and its value.
type Iter<'a, K, V> = std::iter::Map<slice::Iter<'a, (K, V)>, fn(&'a (K, V)) -> (&'a K, &'a V)>;

fn pair<K, V>(pair: &(K, V)) -> (&K, &V) {
    (&pair.0, &pair.1)
}

impl<K: AsRef<str>, V> From<Vec<(K, V)>> for SortedMap<K, V> {
    /// If a key is repeated, its last value counts.
    fn from(mut pairs: Vec<(K, V)>) -> Self {
        // Plain loops, because this is instantiated for each map type.
        let mut keys: Vec<&str> = Vec::with_capacity(pairs.len());
        for (key, _) in &pairs {
            keys.push(key.as_ref());
        }
        let Some((mut places, kept)) = places(&keys) else {
            return Self::of(pairs);
        };
        for at in 0..places.len() {
            while places[at] != at {
                let to = places[at];
                pairs.swap(at, to);
                places.swap(at, to);
            }
        }
        pairs.truncate(kept);
        Self::of(pairs)
    }
}

/// The sorted order of the entries, and how many remain: of equal keys the last one; the others are
/// moved to the end. None where all are in place.
fn places(keys: &[&str]) -> Option<(Vec<usize>, usize)> {
    if keys.is_sorted_by(|a, b| a < b) {
        return None;
    }
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_unstable_by_key(|&at| (keys[at], std::cmp::Reverse(at)));
    let is_kept = |sorted: usize| sorted == 0 || keys[order[sorted - 1]] != keys[order[sorted]];
    let (kept, dropped): (Vec<usize>, Vec<usize>) = (0..order.len()).partition(|&at| is_kept(at));
    let mut places = vec![0; keys.len()];
    for (to, sorted) in kept.iter().chain(&dropped).enumerate() {
        places[order[*sorted]] = to;
    }
    Some((places, kept.len()))
}

impl<K: AsRef<str>, V, const N: usize> From<[(K, V); N]> for SortedMap<K, V> {
    fn from(pairs: [(K, V); N]) -> Self {
        Self::from(Vec::from(pairs))
    }
}

impl<K: AsRef<str>, V> FromIterator<(K, V)> for SortedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self::from(pairs.into_iter().collect::<Vec<_>>())
    }
}

impl<K: AsRef<str>, V> Index<&str> for SortedMap<K, V> {
    type Output = V;

    /// Panics where the key is not there: [`get`](SortedMap::get) does not.
    fn index(&self, key: &str) -> &V {
        self.get(key).expect("a key that is there")
    }
}

impl<K, V> IntoIterator for SortedMap<K, V> {
    type Item = (K, V);
    type IntoIter = vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<'a, K, V> IntoIterator for &'a SortedMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SortedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: AsRef<str> + Serialize, V: Serialize> Serialize for SortedMap<K, V> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        self.write(&mut map, |_| false)?;
        map.end()
    }
}

impl<K: Key, V: Read> Read for SortedMap<K, V> {
    fn read(from: &mut Reader<'_>) -> Result<Self, codec::Error> {
        let mut found = Unsorted::default();
        from.object()?;
        while let Some(key) = from.key()? {
            found.read(&key, from)?;
        }
        Ok(found.into())
    }
}

/// A map that is being read, or the other fields of an object, where they have a type.
pub(crate) struct Unsorted<K, V> {
    entries: Vec<(K, V)>,
    invalid: Invalid,
}

impl<K, V> Default for Unsorted<K, V> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            invalid: Invalid::new(),
        }
    }
}

impl<K: Key, V: Read> Unsorted<K, V> {
    /// Reads the value of a key.
    pub(crate) fn read(&mut self, key: &str, from: &mut Reader<'_>) -> Result<(), codec::Error> {
        let entry = from.attempt(|from| Ok((K::read_key(key)?, V::read(from)?)));
        match entry {
            Ok(Ok(entry)) => {
                self.invalid.remove(key);
                self.entries.push(entry);
            }
            Ok(Err(json)) => self.invalid.insert(key, json),
            Err(error) => return Err(error.at(key)),
        }
        Ok(())
    }
}

impl<K, V> Rest for Unsorted<K, V> {
    fn store(&mut self, name: &str, json: &RawValue) {
        self.invalid.insert(name, json);
    }

    fn forget(&mut self, name: &str) {
        self.invalid.remove(name);
    }

    fn has(&self, name: &str) -> bool {
        self.invalid.get(name).is_some()
    }
}

impl<K: AsRef<str>, V> From<Unsorted<K, V>> for SortedMap<K, V> {
    fn from(found: Unsorted<K, V>) -> Self {
        let mut map = Self::from(found.entries);
        map.invalid = found.invalid;
        map
    }
}

impl<K: AsRef<str>, V> Rest for SortedMap<K, V> {
    fn store(&mut self, name: &str, json: &RawValue) {
        self.invalid.insert(name, json);
    }

    fn forget(&mut self, name: &str) {
        self.invalid.remove(name);
    }

    fn has(&self, name: &str) -> bool {
        self.invalid.get(name).is_some()
    }
}

impl<'de, K: AsRef<str> + Deserialize<'de>, V: DeserializeOwned> Deserialize<'de>
    for SortedMap<K, V>
{
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(MapVisitor(PhantomData))
    }
}

struct MapVisitor<K, V>(PhantomData<fn() -> (K, V)>);

impl<'de, K: AsRef<str> + Deserialize<'de>, V: DeserializeOwned> Visitor<'de> for MapVisitor<K, V> {
    type Value = SortedMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Unsorted::default();
        while let Some((key, json)) = map.next_entry::<String, Box<RawValue>>()? {
            let name = StrDeserializer::<A::Error>::new(&key);
            match (K::deserialize(name), serde_json::from_str(json.get())) {
                (Ok(name), Ok(value)) => {
                    found.invalid.remove(&key);
                    found.entries.push((name, value));
                }
                _ => found.invalid.insert(&key, &json),
            }
        }
        Ok(found.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_key_takes_last_value() {
        let json = r#"{"b":1,"a":2,"b":3,"":4,"a":5}"#;
        let map: SortedMap<String, u8> = serde_json::from_str(json).unwrap();
        assert_eq!(
            serde_json::to_string(&map).unwrap(),
            r#"{"":4,"a":5,"b":3}"#
        );
    }

    #[test]
    fn sorted_map_matches_btreemap() {
        let mut map = SortedMap::new();
        let mut expected = std::collections::BTreeMap::new();
        // Every key comes several times, in an order without order.
        for step in 0..200_u32 {
            let key = (step * 37 % 50).to_string();
            if step % 7 == 3 {
                assert_eq!(map.remove(&key), expected.remove(&key));
            } else {
                assert_eq!(map.insert(key.clone(), step), expected.insert(key, step));
            }
            assert!(map.iter().eq(expected.iter()));
            assert_eq!(map.len(), expected.len());
        }
        assert_eq!(map.get("12"), expected.get("12"));
        assert!(!map.contains_key("50"));
        assert_eq!(map, expected.clone().into_iter().collect());
        assert!(map.into_values().eq(expected.into_values()));
    }
}
