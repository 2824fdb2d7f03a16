//! Hides the secrets of a JSON body before a person sees it.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// What stands where a secret stood.
pub const MASK: &str = "***";

/// The JSON text with everything that `pointers` (RFC 6901; `*` matches any key or index) name
/// replaced by [`MASK`].
///
/// A text that is not JSON is replaced whole: nobody can say what it holds.
pub fn mask_json<P: AsRef<str>>(text: &str, pointers: &[P]) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(text) else {
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

/// Which parts are secret. An operation's are fixed, and cost a job nothing to carry.
#[derive(Clone)]
pub(crate) enum Names {
    Fixed(&'static [&'static str]),
    Own(Vec<Cow<'static, str>>),
}

impl Names {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        let (fixed, own) = match self {
            Self::Fixed(names) => (*names, &[][..]),
            Self::Own(names) => (&[][..], names.as_slice()),
        };
        fixed.iter().copied().chain(own.iter().map(AsRef::as_ref))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::Fixed(&[])
    }
}

impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::Own)
    }
}
