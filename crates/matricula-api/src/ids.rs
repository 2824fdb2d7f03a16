//! Identifiers: strings whose
//! [grammar](https://spec.matrix.org/v1.19/appendices/#identifier-grammar) is checked at
//! construction. A clone does not allocate.

use std::{borrow::Borrow, fmt, marker::PhantomData, str::FromStr, sync::Arc};

use ruma_identifiers_validation as grammar;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::codec;

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident, $what:literal, $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The identifier as a text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Identifier for $name {
            const A: &'static str = concat!("a ", $what);
            const WHAT: &'static str = $what;

            fn check(text: &str) -> Result<Self, String> {
                $check(text).map_err(|error| error.to_string())?;
                Ok(Self(text.into()))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = IdError;

            fn try_from(text: &str) -> Result<Self, IdError> {
                parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                parse(&text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(IdVisitor(PhantomData))
            }
        }

        impl codec::Read for $name {
            fn read(from: &mut codec::Reader<'_>) -> Result<Self, codec::Error> {
                read(&from.text(Self::A)?)
            }
        }

        impl codec::Key for $name {
            fn read_key(text: &str) -> Result<Self, codec::Error> {
                read(text)
            }
        }

        #[cfg(feature = "server")]
        impl crate::server::FromText for $name {
            fn from_text(text: &str) -> Result<Self, String> {
                Self::check(text)
            }
        }
    )*};
}

identifiers! {
    /// A [user](https://spec.matrix.org/v1.19/appendices/#user-identifiers), such as
    /// `@alice:example.org`; historical ones too.
    UserId, "user id", grammar::user_id::validate;
    /// A [room](https://spec.matrix.org/v1.19/appendices/#room-ids), such as `!abc:example.org` or,
    /// in newer rooms, without a server.
    RoomId, "room id", grammar::room_id::validate;
    /// A [room's name](https://spec.matrix.org/v1.19/appendices/#room-aliases) on a server, such as
    /// `#lobby:example.org`.
    RoomAliasId, "room alias", grammar::room_alias_id::validate;
    /// A room by its id or by an alias.
    RoomIdOrAlias, "room id or alias", grammar::room_id_or_alias_id::validate;
    /// An [event](https://spec.matrix.org/v1.19/appendices/#event-ids), such as
    /// `$Rqnc-F-dvnEYJTyHq_iKxU2bZ1CI92-kuZq3a5lr5Zg`.
    EventId, "event id", grammar::event_id::validate;
    /// A [server](https://spec.matrix.org/v1.19/appendices/#server-name), such as
    /// `example.org:8448`.
    ServerName, "server name", grammar::server_name::validate;
    /// An [uploaded file](https://spec.matrix.org/v1.19/client-server-api/#matrix-content-mxc-uris),
    /// such as `mxc://example.org/SEsfnsuifSDFSSEF`.
    MxcUri, "content address", grammar::mxc_uri::validate;
}

impl UserId {
    /// The part between `@` and the server name.
    pub fn localpart(&self) -> &str {
        split(&self.0).0
    }

    /// The server name.
    pub fn server_name(&self) -> &str {
        split(&self.0).1
    }
}

impl RoomAliasId {
    /// The part between `#` and the server name.
    pub fn localpart(&self) -> &str {
        split(&self.0).0
    }

    /// The server name.
    pub fn server_name(&self) -> &str {
        split(&self.0).1
    }
}

impl MxcUri {
    /// The server that the file was uploaded to.
    pub fn server_name(&self) -> &str {
        self.parts().0
    }

    /// The media id.
    pub fn media_id(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        let rest = self.0.strip_prefix("mxc://").unwrap_or_default();
        rest.split_once('/').unwrap_or_default()
    }
}

/// `localpart` and `server` of `@localpart:server`. A localpart holds no colon.
fn split(id: &str) -> (&str, &str) {
    id[1..].split_once(':').unwrap_or_default()
}

impl From<RoomId> for RoomIdOrAlias {
    fn from(id: RoomId) -> Self {
        Self(id.0)
    }
}

impl From<RoomAliasId> for RoomIdOrAlias {
    fn from(alias: RoomAliasId) -> Self {
        Self(alias.0)
    }
}

/// An invalid identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what}: {reason}")]
pub struct IdError {
    text: String,
    what: &'static str,
    reason: String,
}

trait Identifier: Sized {
    /// With its article.
    const A: &'static str;
    const WHAT: &'static str;

    fn check(text: &str) -> Result<Self, String>;
}

fn parse<T: Identifier>(text: &str) -> Result<T, IdError> {
    T::check(text).map_err(|reason| IdError {
        text: text.chars().take(80).collect(),
        what: T::WHAT,
        reason,
    })
}

fn read<T: Identifier>(text: &str) -> Result<T, codec::Error> {
    // Without the text, because it may be secret.
    T::check(text).map_err(|reason| codec::Error::new(format!("not {}: {reason}", T::A)))
}

struct IdVisitor<T>(PhantomData<T>);

impl<T: Identifier> de::Visitor<'_> for IdVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {}", T::WHAT)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        // Without the text, because it may be secret.
        T::check(text).map_err(|reason| E::custom(format_args!("not a {}: {reason}", T::WHAT)))
    }
}
