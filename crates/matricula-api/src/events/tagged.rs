//! Reads JSON whose shape is said by one of its fields.

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, IgnoredAny, IntoDeserializer, MapAccess},
};
use serde_json::value::RawValue;

use super::content;
use crate::wire::{self, Object};

/// An object whose shape is known, kept as text.
pub(crate) struct Found {
    json: Box<RawValue>,
    scan: Scan,
}

/// What says the shape.
pub(crate) enum Tag<'a> {
    /// The field that says it holds this.
    Is(&'a str),
    /// There is no such field, but one of this name.
    Has(&'a str),
    /// Neither.
    None,
}

impl Found {
    pub(crate) fn tag(&self) -> Tag<'_> {
        match (&self.scan.tag, self.scan.key) {
            (Some(tag), _) => Tag::Is(tag),
            (None, Some(key)) => Tag::Has(key),
            (None, None) => Tag::None,
        }
    }

    pub(crate) fn read<T: DeserializeOwned, E: de::Error>(&self) -> Result<T, E> {
        serde_json::from_str(self.json.get()).map_err(|error| self.explain(&error))
    }

    fn explain<E: de::Error>(&self, error: &serde_json::Error) -> E {
        E::custom(content::explain(self.json.get(), error))
    }
}

/// Finds what the field `tag` holds, and which of `keys` there are.
///
/// The text is read twice: the field may be the last one, and to keep values in a tree until then
/// costs more.
pub(crate) fn find<'de, D: Deserializer<'de>>(
    from: D,
    tag: &'static str,
    keys: &'static [&'static str],
) -> Result<Found, D::Error> {
    let mut found = Found {
        json: Box::deserialize(from)?,
        scan: Scan::default(),
    };
    let mut json = serde_json::Deserializer::from_str(found.json.get());
    let scan = wire::object(&mut json, (tag, keys)).map_err(|error| found.explain(&error))?;
    found.scan = scan;
    Ok(found)
}

#[derive(Default)]
struct Scan {
    tag: Option<String>,
    key: Option<&'static str>,
}

impl<'de> Object<'de> for Scan {
    type Params = (&'static str, &'static [&'static str]);

    fn read<A: MapAccess<'de>>((tag, keys): Self::Params, mut map: A) -> Result<Self, A::Error> {
        let mut scan = Self::default();
        while let Some(key) = wire::key(&mut map)? {
            if &*key == tag {
                scan.tag = wire::value(&mut map)?;
                continue;
            }
            let is_there = wire::value::<IgnoredAny, _>(&mut map)?.is_some();
            let known = keys.iter().find(|known| **known == &*key);
            scan.key = known.copied().filter(|_| is_there).or(scan.key);
        }
        Ok(scan)
    }
}

/// Reads a field that has one value only.
pub(crate) fn constant<'de, A: MapAccess<'de>>(
    map: &mut A,
    wanted: &'static str,
) -> Result<(), A::Error> {
    let text: String = map.next_value()?;
    match text == wanted {
        true => Ok(()),
        false => Err(de::Error::custom(format_args!("not `{wanted}`"))),
    }
}

/// Reads a field that an empty text leaves out, as null does.
pub(crate) fn filled<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    map: &mut A,
) -> Result<Option<T>, A::Error> {
    let text: Option<String> = map.next_value()?;
    text.filter(|text| !text.is_empty())
        .map(|text| T::deserialize(text.into_deserializer()))
        .transpose()
}
