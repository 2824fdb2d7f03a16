//! What a person types to name a homeserver.

use std::{fmt, str::FromStr};

use matricula_core::ServerUrl;

/// A homeserver as a person names it: `example.org`, `@alice:example.org`, `https://matrix.example.org`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerAddress {
    /// A server name, to be looked up at its [well-known address].
    ///
    /// [well-known address]: https://spec.matrix.org/v1.19/client-server-api/#server-discovery
    Name(ServerUrl),
    /// The address itself.
    Url(ServerUrl),
}

impl ServerAddress {
    /// Where the first request goes.
    pub fn url(&self) -> &ServerUrl {
        match self {
            Self::Name(url) | Self::Url(url) => url,
        }
    }
}

impl ServerAddress {
    /// Reads what a person typed who was told that an `http://` address of another machine is not
    /// encrypted, and wants it all the same. Whatever carries the requests must be told, too.
    ///
    /// # Errors
    /// Where it names no homeserver.
    pub fn with_plain_http(text: &str) -> Result<Self, ServerAddressError> {
        Self::read(text, true)
    }

    fn read(text: &str, allow_plain_http: bool) -> Result<Self, ServerAddressError> {
        let text = text.trim();
        let error = |reason: String| ServerAddressError { reason };
        if text.contains("://") {
            let url: ServerUrl = text.parse().map_err(|why| error(format!("{why}")))?;
            if !url.is_https() && !url.is_this_machine() && !allow_plain_http {
                return Err(error(format!(
                    "{url} is not encrypted: everyone on the way could read the password; \
                     give its https:// address"
                )));
            }
            return Ok(Self::Url(url));
        }
        let name = match text.strip_prefix('@') {
            Some(user) => user.split_once(':').map_or("", |(_, server)| server),
            None => text,
        };
        let not_a_name = || {
            error(format!(
                "{text:?} is not the name of a homeserver; give one like example.org or https://matrix.example.org"
            ))
        };
        if name.is_empty() || name.contains('/') {
            return Err(not_a_name());
        }
        let plain: ServerUrl = format!("http://{name}").parse().map_err(|_| not_a_name())?;
        if plain.is_loopback() {
            return Ok(Self::Url(plain));
        }
        let url: ServerUrl = format!("https://{name}")
            .parse()
            .map_err(|_| not_a_name())?;
        // Who names a port means that port.
        let has_port = plain.origin().len()
            > "http://".len() + url.host().len() + usize::from(name.starts_with('[')) * 2;
        Ok(if has_port {
            Self::Url(url)
        } else {
            Self::Name(url)
        })
    }
}

/// An `http://` address is taken only where it is this machine's own: see
/// [`ServerAddress::with_plain_http`].
impl FromStr for ServerAddress {
    type Err = ServerAddressError;

    fn from_str(text: &str) -> Result<Self, ServerAddressError> {
        Self::read(text, false)
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(url) => f.write_str(url.host()),
            Self::Url(url) => url.fmt(f),
        }
    }
}

/// Why a text names no homeserver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ServerAddressError {
    reason: String,
}

/// Whether an address that a server named is one that a browser fetches: not a file, not a script.
pub(crate) fn is_web_page(url: &str) -> bool {
    let begins_with = |scheme: &str| {
        let start = url.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    begins_with("https://") || begins_with("http://")
}
