//! Secret text: masked in `Debug`, wiped on drop, exposed on request only.

use std::fmt;

use zeroize::Zeroizing;

/// A password, token or other secret text.
///
/// It is wiped from memory when dropped, and compared in constant time. It has neither `Display` nor
/// `Serialize`: code that sends it or stores it in a secret store uses [`Secret::expose`] or [`exposed`].
///
/// ```
/// # use matricula_core::Secret;
/// let secret = Secret::from("wordpass");
/// assert_eq!(format!("{secret:?}"), "Secret(***)");
/// ```
#[derive(Clone, Default)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The secret itself, for a request or a secret store only.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.0.as_bytes(), other.0.as_bytes());
        // The length may leak; the position of a difference must not.
        a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (x, y)| differ | (x ^ y)) == 0
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Serialises secrets in the clear: `#[serde(with = "matricula_core::secret::exposed")]` on a field
/// that is sent or goes into a secret store.
pub mod exposed {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Secret;

    /// A secret or an optional secret.
    pub trait Expose: Sized {
        /// The text, if any.
        fn exposed(&self) -> Option<&str>;
        /// The value for an optional text; `None` if the text is required and missing.
        fn from_text(text: Option<String>) -> Option<Self>;
    }

    impl Expose for Secret {
        fn exposed(&self) -> Option<&str> {
            Some(self.expose())
        }

        fn from_text(text: Option<String>) -> Option<Self> {
            text.map(Secret::from)
        }
    }

    impl Expose for Option<Secret> {
        fn exposed(&self) -> Option<&str> {
            self.as_ref().map(Secret::expose)
        }

        fn from_text(text: Option<String>) -> Option<Self> {
            Some(text.map(Secret::from))
        }
    }

    /// Serialises the text of the secret.
    pub fn serialize<T: Expose, S: Serializer>(
        secret: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        secret.exposed().serialize(serializer)
    }

    /// Deserialises a secret from text.
    pub fn deserialize<'de, T: Expose, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        T::from_text(Option::deserialize(deserializer)?)
            .ok_or_else(|| serde::de::Error::custom("a secret text is missing"))
    }
}
