//! Masking of secrets in JSON.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::lossy_json;

/// Replaces a secret in text for people to read.
pub const MASK: &str = "***";

/// The JSON with the values at `pointers` replaced by [`MASK`]. Pointers are those of RFC 6901, and `*`
/// matches any key or index.
///
/// Text that is not JSON is replaced whole, as its secrets cannot be found. A part of it that fits no `Value`,
/// such as the number `1e400`, is null.
pub fn mask_json<P: AsRef<str>>(text: &str, pointers: &[P]) -> String {
    let Some(mut value) = lossy_json(text) else {
        return MASK.to_owned();
    };
    for pointer in pointers {
        let path: Vec<&str> = pointer.as_ref().split('/').skip(1).collect();
        mask_at(&mut value, &path);
    }
    value.to_string()
}

fn mask_at(value: &mut Value, path: &[&str]) {
    let Some((key, rest)) = path.split_first() else {
        if !value.is_null() {
            *value = Value::String(MASK.to_owned());
        }
        return;
    };
    match value {
        Value::Object(map) if *key == "*" => {
            map.values_mut().for_each(|inner| mask_at(inner, rest))
        }
        Value::Array(list) if *key == "*" => list.iter_mut().for_each(|inner| mask_at(inner, rest)),
        Value::Object(map) => {
            let key = key.replace("~1", "/").replace("~0", "~");
            if let Some(inner) = map.get_mut(&key) {
                mask_at(inner, rest);
            }
        }
        Value::Array(list) => {
            if let Some(inner) = key
                .parse::<usize>()
                .ok()
                .and_then(|index| list.get_mut(index))
            {
                mask_at(inner, rest);
            }
        }
        _ => {}
    }
}

/// The names or pointers of secrets. Those of an operation are static, so that a job copies nothing.
#[derive(Clone)]
pub(crate) enum SecretNames {
    Static(&'static [&'static str]),
    Owned(Vec<Cow<'static, str>>),
}

impl SecretNames {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        let (fixed, owned) = match self {
            Self::Static(names) => (*names, &[][..]),
            Self::Owned(names) => (&[][..], names.as_slice()),
        };
        fixed.iter().copied().chain(owned.iter().map(AsRef::as_ref))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl Default for SecretNames {
    fn default() -> Self {
        Self::Static(&[])
    }
}

impl PartialEq for SecretNames {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Serialize for SecretNames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for SecretNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::Owned)
    }
}
