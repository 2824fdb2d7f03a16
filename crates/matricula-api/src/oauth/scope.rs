//! OAuth scopes.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codec::{self, Read, Reader};

const API: &str = "urn:matrix:client:api:*";
const DEVICE: &str = "urn:matrix:client:device:";
const SYNAPSE_ADMIN: &str = "urn:synapse:admin:*";
const UNSTABLE_API: &str = "urn:matrix:org.matrix.msc2967.client:api:*";
const UNSTABLE_DEVICE: &str = "urn:matrix:org.matrix.msc2967.client:device:";

/// The [length of a device id] in characters.
///
/// [length of a device id]: https://spec.matrix.org/v1.19/client-server-api/#device-id-allocation
const DEVICE_ID_LENGTH: std::ops::RangeInclusive<usize> = 10..=255;

/// A [scope](https://spec.matrix.org/v1.19/client-server-api/#scope): tokens with spaces between.
///
/// ```
/// # use matricula_api::oauth::Scope;
/// let scope = Scope::client("AAABBBCCCDDD")?;
/// assert_eq!(scope.as_str(), "urn:matrix:client:api:* urn:matrix:client:device:AAABBBCCCDDD");
/// assert_eq!(scope.device_id(), Some("AAABBBCCCDDD"));
/// # Ok::<(), matricula_api::oauth::ScopeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope(String);

impl Scope {
    /// The scope for signing in: the whole client-server API, as this device.
    ///
    /// # Errors
    /// If the device id is too short or too long, or has characters that are not allowed in a scope.
    pub fn client(device_id: &str) -> Result<Self, ScopeError> {
        Self::of(API, DEVICE, device_id)
    }

    /// The same with the unstable names of [MSC2967], for servers before version 1.15.
    ///
    /// # Errors
    /// As [`Scope::client`].
    ///
    /// [MSC2967]: https://github.com/matrix-org/matrix-spec-proposals/pull/2967
    pub fn unstable_client(device_id: &str) -> Result<Self, ScopeError> {
        Self::of(UNSTABLE_API, UNSTABLE_DEVICE, device_id)
    }

    fn of(api: &str, device: &str, device_id: &str) -> Result<Self, ScopeError> {
        let fits = |byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if !DEVICE_ID_LENGTH.contains(&device_id.len()) || !device_id.bytes().all(fits) {
            let device_id = device_id.chars().take(80).collect();
            return Err(ScopeError { device_id });
        }
        Ok(Self(format!("{api} {device}{device_id}")))
    }

    /// The same scope, and Synapse's admin API with it. Servers grant it to administrators only.
    #[must_use]
    pub fn synapse_admin(self) -> Self {
        Self(format!("{self} {SYNAPSE_ADMIN}"))
    }

    /// Whether it allows Synapse's admin API.
    pub fn allows_synapse_admin(&self) -> bool {
        self.contains(SYNAPSE_ADMIN)
    }

    /// The scope as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The single tokens.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|token| !token.is_empty())
    }

    /// Whether it holds this token.
    pub fn contains(&self, token: &str) -> bool {
        self.tokens().any(|held| held == token)
    }

    /// Whether it allows the whole client-server API.
    pub fn allows_api(&self) -> bool {
        self.contains(API) || self.contains(UNSTABLE_API)
    }

    /// The device that it is for.
    pub fn device_id(&self) -> Option<&str> {
        self.tokens().find_map(|token| {
            let stable = token.strip_prefix(DEVICE);
            stable.or_else(|| token.strip_prefix(UNSTABLE_DEVICE))
        })
    }
}

impl From<String> for Scope {
    /// Any scope, such as one of a later version.
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self)
    }
}

impl Read for Scope {
    fn read(from: &mut Reader<'_>) -> Result<Self, codec::Error> {
        String::read(from).map(Self)
    }
}

/// A device id that is not allowed in a scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{device_id:?} is not a device id that OAuth 2.0 servers accept: use at least ten ASCII letters and digits"
)]
pub struct ScopeError {
    device_id: String,
}
