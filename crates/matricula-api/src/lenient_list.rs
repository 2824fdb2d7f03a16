//! A list in which an invalid item does not make the others unreadable.

use std::{ops::Deref, slice, vec};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeOwned},
};
use serde_json::value::RawValue;

use crate::Raw;

/// A list whose items are read one by one: an item that does not fit is stored in `rest`, and written
/// back after the others. Null is read as an empty list, a single value as a list of one.
#[derive(Clone, Debug, PartialEq)]
pub struct LenientList<T> {
    /// The items that fit.
    pub items: Vec<T>,
    /// The items that do not fit, unchanged.
    pub rest: Vec<Raw>,
}

impl<T> Default for LenientList<T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<T> From<Vec<T>> for LenientList<T> {
    fn from(items: Vec<T>) -> Self {
        let rest = Vec::new();
        Self { items, rest }
    }
}

impl<T> FromIterator<T> for LenientList<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Vec::from_iter(items).into()
    }
}

impl<T> Deref for LenientList<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T> IntoIterator for LenientList<T> {
    type Item = T;
    type IntoIter = vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a LenientList<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<T: Serialize> Serialize for LenientList<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Item<'a, T> {
            Fits(&'a T),
            Other(&'a Raw),
        }

        let items = self.items.iter().map(Item::Fits);
        serializer.collect_seq(items.chain(self.rest.iter().map(Item::Other)))
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for LenientList<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let json = <Raw>::deserialize(from)?;
        let mut list = Self::default();
        let values: Vec<&RawValue> = match json.json() {
            "null" => return Ok(list),
            text if text.starts_with('[') => {
                serde_json::from_str(text).map_err(de::Error::custom)?
            }
            text => vec![serde_json::from_str(text).map_err(de::Error::custom)?],
        };
        for item in values {
            match serde_json::from_str(item.get()) {
                Ok(item) => list.items.push(item),
                Err(_) => list.rest.push(Raw::of(item.to_owned())),
            }
        }
        Ok(list)
    }
}
