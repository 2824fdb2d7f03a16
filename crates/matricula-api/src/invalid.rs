//! The entries of a map, and the fields of an object, whose value does not fit.

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde_json::value::RawValue;

use crate::Raw;

/// Values that do not fit, unchanged, by name. Most objects have none, so it takes the room of a pointer.
#[derive(Clone, Debug, Default)]
#[allow(clippy::box_collection, reason = "most objects have none")]
pub(crate) struct Invalid(Option<Box<BTreeMap<String, Raw>>>);

impl Invalid {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Raw)> {
        let values = self.0.iter().flat_map(|values| values.iter());
        values.map(|(name, json)| (name.as_str(), json))
    }

    pub(crate) fn insert(&mut self, name: &str, json: &RawValue) {
        let values = self.0.get_or_insert_default();
        values.insert(name.to_owned(), Raw::of(json.to_owned()));
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Raw> {
        self.0.as_ref()?.get(name)
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Raw> {
        self.0.as_mut()?.remove(name)
    }

    /// Writes all values but those of a name that `is_set`.
    pub(crate) fn write<M: SerializeMap>(
        &self,
        map: &mut M,
        is_set: impl Fn(&str) -> bool,
    ) -> Result<(), M::Error> {
        for (name, json) in self.iter() {
            if !is_set(name) {
                map.serialize_entry(name, json)?;
            }
        }
        Ok(())
    }
}

impl PartialEq for Invalid {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Invalid {}
