//! Unknown fields of an object.

use std::{
    borrow::Cow,
    fmt,
    ops::{Deref, DerefMut},
    sync::LazyLock,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value, value::RawValue};

use crate::{
    Raw,
    codec::{self, Read, Reader, Rest},
    invalid::Invalid,
};

/// Fields that the specification does not name (of later versions, proposals and vendors), and optional
/// fields whose value is invalid. They are preserved.
///
/// `Debug` shows only their names, because values may be secret.
///
/// ```
/// # use matricula_api::Extra;
/// let mut extra = Extra::new();
/// extra.insert("org.example.mood".to_owned(), "fine".into());
/// assert_eq!(format!("{extra:?}"), r#"["org.example.mood"]"#);
/// ```
#[derive(Clone, Default)]
pub struct Extra(Option<Box<Parts>>);

/// Most objects have none, so the whole takes the room of a pointer.
#[derive(Clone, Default)]
struct Parts {
    fields: Map<String, Value>,
    invalid: Invalid,
}

impl Extra {
    /// No fields.
    pub const fn new() -> Self {
        Self(None)
    }

    /// The fields whose value no [`Value`] can hold: a number in it is out of range, it is nested too
    /// deeply, or a text in it has half of a surrogate pair.
    pub fn invalid(&self) -> impl Iterator<Item = (&str, &Raw)> {
        self.0.iter().flat_map(|parts| parts.invalid.iter())
    }

    fn parts_mut(&mut self) -> &mut Parts {
        self.0.get_or_insert_default()
    }

    /// Reads the value of the field `key`.
    pub(crate) fn read(
        &mut self,
        key: Cow<'_, str>,
        from: &mut Reader<'_>,
    ) -> Result<(), codec::Error> {
        match from.attempt(Value::read) {
            Ok(Ok(value)) => {
                let parts = self.parts_mut();
                parts.invalid.remove(&key);
                parts.fields.insert(key.into_owned(), value);
                Ok(())
            }
            Ok(Err(json)) => {
                self.forget(&key);
                self.parts_mut().invalid.insert(&key, json);
                Ok(())
            }
            Err(error) => Err(error.at(key)),
        }
    }

    /// Writes all fields but those of a name that `is_set`.
    pub(crate) fn write<M: SerializeMap>(
        &self,
        map: &mut M,
        is_set: impl Fn(&str) -> bool,
    ) -> Result<(), M::Error> {
        let Some(parts) = &self.0 else {
            return Ok(());
        };
        for (name, value) in &parts.fields {
            if !is_set(name) {
                map.serialize_entry(name, value)?;
            }
        }
        let is_written = |name: &str| is_set(name) || parts.fields.contains_key(name);
        parts.invalid.write(map, is_written)
    }
}

impl Rest for Extra {
    fn store(&mut self, name: &str, json: &RawValue) {
        let parts = self.parts_mut();
        match serde_json::from_str(json.get()) {
            Ok(value) => drop(parts.fields.insert(name.to_owned(), value)),
            Err(_) => parts.invalid.insert(name, json),
        }
    }

    fn forget(&mut self, name: &str) {
        if let Some(parts) = &mut self.0 {
            parts.fields.remove(name);
            parts.invalid.remove(name);
        }
    }

    fn has(&self, name: &str) -> bool {
        let parts = self.0.as_ref();
        parts.is_some_and(|parts| {
            parts.fields.contains_key(name) || parts.invalid.get(name).is_some()
        })
    }
}

impl Deref for Extra {
    type Target = Map<String, Value>;

    fn deref(&self) -> &Self::Target {
        static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        self.0.as_ref().map_or(&*NONE, |parts| &parts.fields)
    }
}

impl DerefMut for Extra {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.parts_mut().fields
    }
}

impl From<Map<String, Value>> for Extra {
    fn from(fields: Map<String, Value>) -> Self {
        if fields.is_empty() {
            return Self::new();
        }
        let invalid = Invalid::new();
        Self(Some(Box::new(Parts { fields, invalid })))
    }
}

impl FromIterator<(String, Value)> for Extra {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(fields: I) -> Self {
        Map::from_iter(fields).into()
    }
}

impl IntoIterator for Extra {
    type Item = (String, Value);
    type IntoIter = serde_json::map::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        let parts = *self.0.unwrap_or_default();
        parts.fields.into_iter()
    }
}

impl PartialEq for Extra {
    fn eq(&self, other: &Self) -> bool {
        **self == **other && self.invalid().eq(other.invalid())
    }
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.keys().map(String::as_str);
        let invalid = self.invalid().map(|(name, _)| name);
        f.debug_list().entries(names.chain(invalid)).finish()
    }
}

impl Serialize for Extra {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        self.write(&mut map, |_| false)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Extra {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        codec::deserialize(from)
    }
}

impl Read for Extra {
    fn read(from: &mut Reader<'_>) -> Result<Self, codec::Error> {
        let mut extra = Self::new();
        from.object()?;
        while let Some(key) = from.key()? {
            extra.read(key, from)?;
        }
        Ok(extra)
    }
}
