//! Reads tagged objects: one of the fields selects the variant.

use std::borrow::Cow;

use super::{Error, Reader};

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

/// Reads the variant for a tag.
type ReadVariant<T> = fn(Tag<'_>, &mut Reader<'_>) -> Result<T, Error>;

/// Reads an object whose variant is selected by the field `tag` or, if it is missing, by the first of
/// `keys` that is present.
pub(crate) fn tagged<T>(
    from: &mut Reader<'_>,
    tag: &'static str,
    keys: &[&'static str],
    pick: ReadVariant<T>,
) -> Result<T, Error> {
    let start = from.start()?;
    let (text, key) = find(from, tag, keys)?;
    // The tag may be the last field.
    from.go_back(start);
    let tag = match (&text, key) {
        (Some(text), _) => Tag::Is(text),
        (None, Some(key)) => Tag::Has(key),
        (None, None) => Tag::None,
    };
    pick(tag, from)
}

type Found<'de> = (Option<Cow<'de, str>>, Option<&'static str>);

/// The value of the tag, and the first key that is present.
fn find<'de>(
    from: &mut Reader<'de>,
    tag: &'static str,
    keys: &[&'static str],
) -> Result<Found<'de>, Error> {
    let (mut text, mut first) = (None, keys.len());
    from.object()?;
    while let Some(key) = from.key()? {
        if key == tag {
            text = match from.peek()? {
                b'n' => from.raw().map(|_| None)?,
                // If it is invalid, the variant without a tag decides what becomes of it.
                _ => match from.text("a string") {
                    Ok(text) => Some(text),
                    Err(error) if error.is_syntax() || from.is_strict() => {
                        return Err(error.at(tag));
                    }
                    Err(_) => None,
                },
            };
            continue;
        }
        let is_null = from.raw()?.get() == "null";
        let index = keys.iter().position(|known| *known == key);
        if let Some(index) = index.filter(|_| !is_null) {
            first = first.min(index);
        }
    }
    Ok((text, keys.get(first).copied()))
}
