//! Reads JSON of which a part fits no [`Value`].

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};
use serde_json::{Value, value::RawValue};

/// How many levels are looked through for the part. Each is read once more.
const MAX_DEPTH: u8 = 32;

/// The JSON of a text; `None` if it is not JSON. One part that fits no `Value` does not hide the rest: a number
/// that is out of range, or a list that is nested too deeply, is read as null, and half of a surrogate pair as
/// the replacement character.
pub fn lossy_json(text: &str) -> Option<Value> {
    let fits = serde_json::from_str(text);
    fits.ok().or_else(|| {
        let whole: &RawValue = serde_json::from_str(text).ok()?;
        Some(readable(whole, MAX_DEPTH))
    })
}

fn readable(json: &RawValue, depth: u8) -> Value {
    let text = json.get();
    if let Ok(value) = serde_json::from_str(text) {
        return value;
    }
    let Some(depth) = depth.checked_sub(1) else {
        return Value::Null;
    };
    let parts: serde_json::Result<Value> = match text.as_bytes().first() {
        Some(b'{') => serde_json::from_str(text).map(|fields: BTreeMap<Text, &RawValue>| {
            let fields = fields.into_iter();
            fields
                .map(|(Text(key), field)| (key, readable(field, depth)))
                .collect()
        }),
        Some(b'[') => serde_json::from_str(text).map(|items: Vec<&RawValue>| {
            let items = items.into_iter();
            items.map(|item| readable(item, depth)).collect()
        }),
        Some(b'"') => serde_json::from_str(text).map(|Text(text)| Value::String(text)),
        _ => return Value::Null,
    };
    parts.unwrap_or_default()
}

/// A text in which what is no character is replaced.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Text;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Text, E> {
                Ok(Text(String::from_utf8_lossy(bytes).into_owned()))
            }
        }

        // As bytes, a text may have halves of surrogate pairs.
        from.deserialize_bytes(Visitor)
    }
}
