//! A list in which an invalid item does not make the others unreadable.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    slice, vec,
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeOwned},
    ser::SerializeSeq,
};
use serde_json::value::RawValue;

use crate::{
    Raw,
    codec::{self, Read, Reader},
};

/// A list that a server sends: a `Vec` of the items that are valid. Those that are not are in
/// [`invalid`](Self::invalid), and are written back in their places.
///
/// Null is read as an empty list.
///
/// ```
/// use matricula_api::{LenientList, UserId};
///
/// let json = r#"["@alice:example.org",5,"@bob:example.org"]"#;
/// let users: LenientList<UserId> = serde_json::from_str(json)?;
/// assert_eq!(users.len(), 2);
/// assert_eq!(users[1].localpart(), "bob");
/// let (place, item) = &users.invalid()[0];
/// assert_eq!((*place, item.json()), (1, "5"));
/// assert_eq!(serde_json::to_string(&users)?, json);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct LenientList<T> {
    items: Vec<T>,
    /// Most lists have none, so it takes the room of a pointer.
    invalid: Option<Box<InvalidItems>>,
}

/// The items that are invalid, each with its place in the whole list.
#[derive(Clone, Default, PartialEq, Eq)]
struct InvalidItems(Vec<(usize, Raw)>);

impl<T> LenientList<T> {
    /// An empty list.
    pub const fn new() -> Self {
        Self {
            items: Vec::new(),
            invalid: None,
        }
    }

    /// The valid items.
    pub fn into_vec(self) -> Vec<T> {
        self.items
    }

    /// The items that are invalid, unchanged, each with its place in the whole list.
    pub fn invalid(&self) -> &[(usize, Raw)] {
        self.invalid.as_ref().map_or(&[], |invalid| &invalid.0)
    }

    /// Takes the invalid items away: they are not written any more.
    pub fn take_invalid(&mut self) -> Vec<(usize, Raw)> {
        self.invalid
            .take()
            .map_or_else(Vec::new, |invalid| invalid.0)
    }

    fn push_invalid(&mut self, json: &RawValue) {
        let invalid = self.invalid.get_or_insert_default();
        let place = self.items.len() + invalid.0.len();
        invalid.0.push((place, Raw::of(json.to_owned())));
    }
}

impl<T> Default for LenientList<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<Vec<T>> for LenientList<T> {
    fn from(items: Vec<T>) -> Self {
        let invalid = None;
        Self { items, invalid }
    }
}

impl<T, const N: usize> From<[T; N]> for LenientList<T> {
    fn from(items: [T; N]) -> Self {
        Vec::from(items).into()
    }
}

impl<T> From<LenientList<T>> for Vec<T> {
    fn from(list: LenientList<T>) -> Self {
        list.items
    }
}

impl<T> FromIterator<T> for LenientList<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Vec::from_iter(items).into()
    }
}

impl<T> Extend<T> for LenientList<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        self.items.extend(items);
    }
}

impl<T> Deref for LenientList<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.items
    }
}

impl<T> DerefMut for LenientList<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.items
    }
}

impl<T> IntoIterator for LenientList<T> {
    type Item = T;
    type IntoIter = vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a LenientList<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut LenientList<T> {
    type Item = &'a mut T;
    type IntoIter = slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter_mut()
    }
}

/// Whether the valid items are these, and there are no invalid ones.
impl<T: PartialEq<U>, U> PartialEq<[U]> for LenientList<T> {
    fn eq(&self, items: &[U]) -> bool {
        self.items == items && self.invalid().is_empty()
    }
}

/// Whether the valid items are these, and there are no invalid ones.
impl<T: PartialEq<U>, U, const N: usize> PartialEq<[U; N]> for LenientList<T> {
    fn eq(&self, items: &[U; N]) -> bool {
        *self == items[..]
    }
}

/// Whether the valid items are these, and there are no invalid ones.
impl<T: PartialEq<U>, U> PartialEq<Vec<U>> for LenientList<T> {
    fn eq(&self, items: &Vec<U>) -> bool {
        *self == items[..]
    }
}

impl<T: fmt::Debug> fmt::Debug for LenientList<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let invalid = self.invalid().iter().map(|(_, item)| item);
        f.debug_list()
            .entries(&self.items)
            .entries(invalid)
            .finish()
    }
}

impl<T: Serialize> Serialize for LenientList<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let length = self.items.len() + self.invalid().len();
        let mut list = serializer.serialize_seq(Some(length))?;
        let mut invalid = self.invalid().iter().peekable();
        for (index, item) in self.items.iter().enumerate() {
            // The invalid items before it.
            let mut before = length - self.items.len() - invalid.len();
            while let Some((_, json)) = invalid.next_if(|(place, _)| *place <= index + before) {
                list.serialize_element(json)?;
                before += 1;
            }
            list.serialize_element(item)?;
        }
        for (_, json) in invalid {
            list.serialize_element(json)?;
        }
        list.end()
    }
}

impl<T: Read> Read for LenientList<T> {
    fn read(from: &mut Reader<'_>) -> Result<Self, codec::Error> {
        let mut list = Self::new();
        if !from.is_strict() && from.null()? {
            return Ok(list);
        }
        from.list()?;
        while from.item()? {
            match from.attempt(T::read) {
                Ok(Ok(item)) => list.push(item),
                Ok(Err(json)) => list.push_invalid(json),
                Err(error) => return Err(error.at(list.len())),
            }
        }
        Ok(list)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for LenientList<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let json = <Raw>::deserialize(from)?;
        let mut list = Self::new();
        let values: Vec<&RawValue> = match json.json() {
            "null" => return Ok(list),
            text => serde_json::from_str(text).map_err(de::Error::custom)?,
        };
        for item in values {
            match serde_json::from_str(item.get()) {
                Ok(item) => list.push(item),
                Err(_) => list.push_invalid(item),
            }
        }
        Ok(list)
    }
}
