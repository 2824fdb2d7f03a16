//! Reads tagged objects: one of the fields selects the variant.

use std::{fmt, slice};

use serde::{
    Deserializer,
    de::{self, DeserializeSeed, MapAccess, value::BorrowedStrDeserializer},
};
use serde_json::value::RawValue;

use super::{Key, Object, key};
use crate::json_path::explain;

/// The fields of an object as raw JSON, because the tag may be the last one.
pub(crate) struct RawFields<'de> {
    fields: Vec<(Key<'de>, Box<RawValue>)>,
}

/// The selector of the variant.
pub(crate) enum Tag<'a> {
    /// The value of the tag.
    Is(&'a str),
    /// No tag, but a field of this name.
    #[cfg_attr(not(feature = "events"), allow(dead_code))]
    Has(&'static str),
    /// Neither.
    None,
}

impl RawFields<'_> {
    /// Reads the fields as those of a `T`.
    pub(crate) fn read<T>(&self) -> Result<T, serde_json::Error>
    where
        T: for<'a> Object<'a, Params = ()>,
    {
        let left = self.fields.iter();
        T::read((), Fields { left, value: None })
    }

    fn field(&self, name: &str) -> Option<&RawValue> {
        let field = self.fields.iter().rfind(|(key, _)| **key == *name);
        field.map(|(_, json)| &**json)
    }
}

/// Reads the variant for a tag.
type ReadVariant<T> = fn(Tag<'_>, &RawFields<'_>) -> Result<T, serde_json::Error>;

/// Reads an object whose variant is selected by the field `tag` or, if it is missing, by the first
/// of `keys` that is present.
pub(crate) fn tagged<'de, T, D: Deserializer<'de>>(
    from: D,
    tag: &'static str,
    keys: &'static [&'static str],
    pick: ReadVariant<T>,
) -> Result<T, D::Error> {
    from.deserialize_map(Visitor { tag, keys, pick })
}

struct Visitor<T> {
    tag: &'static str,
    keys: &'static [&'static str],
    pick: ReadVariant<T>,
}

impl<'de, T> de::Visitor<'de> for Visitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut fields = Vec::new();
        while let Some(key) = key(&mut map)? {
            fields.push((key, map.next_value()?));
        }
        self.read(&RawFields { fields }).map_err(de::Error::custom)
    }
}

impl<T> Visitor<T> {
    fn read(&self, found: &RawFields<'_>) -> Result<T, serde_json::Error> {
        let text: Option<String> = match found.field(self.tag) {
            Some(json) => {
                serde_json::from_str(json.get()).map_err(|error| within(self.tag, json, &error))?
            }
            None => None,
        };
        let is_there = |key: &str| found.field(key).is_some_and(|json| json.get() != "null");
        let tag = match text.as_deref() {
            Some(text) => Tag::Is(text),
            None => match self.keys.iter().find(|key| is_there(key)) {
                Some(key) => Tag::Has(key),
                None => Tag::None,
            },
        };
        (self.pick)(tag, found)
    }
}

/// An iterator over the remaining fields.
struct Fields<'a, 'de> {
    left: slice::Iter<'a, (Key<'de>, Box<RawValue>)>,
    value: Option<&'a (Key<'de>, Box<RawValue>)>,
}

impl<'a> MapAccess<'a> for Fields<'a, '_> {
    type Error = serde_json::Error;

    fn next_key_seed<K: DeserializeSeed<'a>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, serde_json::Error> {
        self.value = self.left.next();
        self.value
            .map(|(key, _)| seed.deserialize(BorrowedStrDeserializer::new(key)))
            .transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, serde_json::Error> {
        let (key, json) = self
            .value
            .take()
            .ok_or_else(|| de::Error::custom("a value was read before its name"))?;
        seed.deserialize(&mut serde_json::Deserializer::from_str(json.get()))
            .map_err(|error| within(key, json, &error))
    }
}

/// Adds the name of the field to the error.
fn within(key: &str, json: &RawValue, error: &serde_json::Error) -> serde_json::Error {
    let key = key.replace('~', "~0").replace('/', "~1");
    de::Error::custom(format_args!(
        "{}, at /{key}",
        explain(json.get().as_bytes(), error)
    ))
}

/// Reads a field that must have this value.
pub(crate) fn constant<'de, A: MapAccess<'de>>(
    map: &mut A,
    wanted: &'static str,
) -> Result<(), A::Error> {
    let text: String = map.next_value()?;
    if text == wanted {
        Ok(())
    } else {
        Err(de::Error::custom(format_args!("not `{wanted}`")))
    }
}
