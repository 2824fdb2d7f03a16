//! Unknown fields of an object.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::MapAccess, ser::SerializeMap};
use serde_json::{Map, Value};

use crate::codec::{self, Key};

/// Fields that the specification does not name (of later versions, proposals and vendors). They are
/// preserved.
///
/// `Debug` shows only their names, because values may be secret.
///
/// ```
/// # use matricula_api::Extra;
/// let mut extra = Extra::new();
/// extra.insert("org.example.mood".to_owned(), "fine".into());
/// assert_eq!(format!("{extra:?}"), r#"["org.example.mood"]"#);
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Extra(Map<String, Value>);

impl Extra {
    /// No fields.
    pub fn new() -> Self {
        Self(Map::new())
    }

    /// Reads the value of the field `key`.
    pub(crate) fn read<'de, A: MapAccess<'de>>(
        &mut self,
        key: Key<'de>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        self.0.insert(key.into_owned(), map.next_value()?);
        Ok(())
    }

    /// Writes all fields.
    pub(crate) fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        self.0
            .iter()
            .try_for_each(|(name, value)| map.serialize_entry(name, value))
    }
}

impl Deref for Extra {
    type Target = Map<String, Value>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Extra {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl From<Map<String, Value>> for Extra {
    fn from(fields: Map<String, Value>) -> Self {
        Self(fields)
    }
}

impl FromIterator<(String, Value)> for Extra {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

impl IntoIterator for Extra {
    type Item = (String, Value);
    type IntoIter = serde_json::map::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl Serialize for Extra {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Extra {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        codec::object(from, ())
    }
}

impl<'de> codec::Object<'de> for Extra {
    type Params = ();

    fn read<A: MapAccess<'de>>((): (), mut map: A) -> Result<Self, A::Error> {
        let mut extra = Self::new();
        while let Some(key) = codec::key(&mut map)? {
            extra.read(key, &mut map)?;
        }
        Ok(extra)
    }
}
