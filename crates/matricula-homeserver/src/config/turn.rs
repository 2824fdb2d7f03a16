//! TURN servers.

use std::time::Duration;

use matricula_core::Secret;
use serde::{Deserialize, Serialize};

/// TURN servers, over which clients call each other. Clients get credentials that these servers derive from
/// the same secret: `use-auth-secret` and `static-auth-secret` of coturn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Turn {
    /// The addresses, such as `turn:turn.example.org?transport=udp`.
    pub uris: Vec<String>,
    /// The secret.
    #[serde(with = "matricula_core::secret::exposed")]
    pub shared_secret: Secret,
    /// How long credentials are valid; one day by default.
    #[serde(rename = "lifetime_ms", default = "day", with = "millis")]
    pub lifetime: Duration,
}

impl Turn {
    /// TURN servers with this secret, without addresses yet.
    pub fn new(shared_secret: impl Into<Secret>) -> Self {
        Self {
            uris: Vec::new(),
            shared_secret: shared_secret.into(),
            lifetime: day(),
        }
    }

    /// Adds to [`Turn::uris`].
    #[must_use]
    pub fn uri(mut self, uri: impl Into<String>) -> Self {
        self.uris.push(uri.into());
        self
    }

    /// Sets [`Turn::lifetime`].
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    pub(super) fn is_complete(&self) -> bool {
        let is_turn = |uri: &String| {
            let address = uri
                .split_once(':')
                .filter(|(scheme, _)| ["turn", "turns"].contains(scheme));
            address.is_some_and(|(_, host)| {
                !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic())
            })
        };
        !self.uris.is_empty()
            && self.uris.iter().all(is_turn)
            && !self.shared_secret.expose().is_empty()
            && self.lifetime >= Duration::from_secs(1)
    }
}

fn day() -> Duration {
    Duration::from_secs(24 * 60 * 60)
}

/// Serializes a duration as milliseconds.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
