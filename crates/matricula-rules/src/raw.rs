//! JSON that is read one level at a time: each value stays the text that was received.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::JsonError;

/// The fields of a JSON object, sorted by name. Of fields with the same name the last one counts.
#[derive(Clone, Default)]
pub(crate) struct Object<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Object<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, JsonError> {
        serde_json::from_str(text).map_err(JsonError::from_serde)
    }

    /// The object in a value; none if it is something else.
    pub(crate) fn of(value: &'a RawValue) -> Option<Self> {
        Self::parse(value.get()).ok()
    }

    pub(crate) fn get(&self, field: &str) -> Option<&'a RawValue> {
        self.0.get(field).copied()
    }

    /// The text in a field; none if it is absent or something else.
    pub(crate) fn text(&self, field: &str) -> Option<Cow<'a, str>> {
        parse_text(self.get(field)?)
    }

    /// The object in a field; none if it is absent or something else.
    pub(crate) fn object(&self, field: &str) -> Option<Self> {
        Self::of(self.get(field)?)
    }

    pub(crate) fn insert(&mut self, field: &'a str, value: &'a RawValue) {
        self.0.insert(Cow::Borrowed(field), value);
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|field, _| keep(field));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(field, value)| (&**field, *value))
    }

    /// The object as JSON, whose values are the texts that were received.
    pub(crate) fn to_json(&self) -> String {
        let length = |(field, value): (&str, &RawValue)| field.len() + value.get().len() + 4;
        let mut out = String::with_capacity(2 + self.iter().map(length).sum::<usize>());
        out.push('{');
        for (index, (field, value)) in self.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            push_text(&mut out, field);
            out.push(':');
            out.push_str(value.get());
        }
        out.push('}');
        out
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((Text(field), value)) = map.next_entry()? {
                    fields.insert(field, value);
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// A text, borrowed where it has no escapes. (Serde's own `Cow` always copies.)
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowing;

        impl<'de> Visitor<'de> for Borrowing {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Borrowing)
    }
}

/// The text in a value; none if it is something else.
pub(crate) fn parse_text(value: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str(value.get())
        .ok()
        .map(|Text(text)| text)
}

/// The values of an array; none if it is something else.
pub(crate) fn parse_array(value: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(value.get()).ok()
}

/// A JSON text that this crate wrote.
pub(crate) fn written(json: String) -> Box<RawValue> {
    RawValue::from_string(json).expect("what this crate writes is JSON")
}

/// Writes a text as JSON, with the escapes of canonical JSON.
pub(crate) fn push_text(out: &mut String, text: &str) {
    let plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
    if text.as_bytes().iter().all(plain) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        // serde_json escapes exactly what canonical JSON escapes, in the same way.
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}
