//! Lists of which one bad item does not spoil the others.

use std::{ops::Deref, slice, vec};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeOwned},
};
use serde_json::{Value, value::RawValue};

/// A list that other people wrote, read item by item: what does not fit is kept apart, and written
/// again behind the others. Null is an empty list, and a single value a list of one.
#[derive(Clone, Debug, PartialEq)]
pub struct LenientList<T> {
    /// The items that fit.
    pub items: Vec<T>,
    /// The others, as they came.
    pub rest: Vec<Value>,
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
            Other(&'a Value),
        }

        let items = self.items.iter().map(Item::Fits);
        serializer.collect_seq(items.chain(self.rest.iter().map(Item::Other)))
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for LenientList<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(from)?;
        let mut list = Self::default();
        let values = match json.get() {
            "null" => return Ok(list),
            text if text.starts_with('[') => {
                serde_json::from_str(text).map_err(de::Error::custom)?
            }
            _ => vec![json],
        };
        for json in values {
            match serde_json::from_str(json.get()) {
                Ok(item) => list.items.push(item),
                // What is nested too deep is still refused.
                Err(_) => list
                    .rest
                    .push(serde_json::from_str(json.get()).map_err(de::Error::custom)?),
            }
        }
        Ok(list)
    }
}
