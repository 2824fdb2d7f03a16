//! The address of a homeserver, as a person types it.

use std::{fmt, str::FromStr};

use matricula_core::ServerUrl;

/// A homeserver as a person types it: `example.org`, `@alice:example.org`, `https://matrix.example.org`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerAddress {
    /// A server name, whose [well-known document] is looked up.
    ///
    /// [well-known document]: https://spec.matrix.org/v1.19/client-server-api/#server-discovery
    Name(ServerUrl),
    /// A base URL.
    Url(ServerUrl),
}

impl ServerAddress {
    /// The URL of the first request.
    pub fn url(&self) -> &ServerUrl {
        match self {
            Self::Name(url) | Self::Url(url) => url,
        }
    }

    /// Parses an address, and allows plain `http://` to remote hosts. The HTTP client has an option for that
    /// too.
    ///
    /// # Errors
    /// If the text names no homeserver.
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
        // A name with a port is used with that port.
        let has_port = plain.origin().len()
            > "http://".len() + url.host().len() + usize::from(name.starts_with('[')) * 2;
        Ok(if has_port {
            Self::Url(url)
        } else {
            Self::Name(url)
        })
    }
}

/// Accepts an `http://` address only if it is this machine's own: see
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

/// Why a text is not the address of a homeserver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ServerAddressError {
    reason: String,
}

/// Whether two server names mean the same server, however they are written.
pub fn is_same_server(name: &str, other: &str) -> bool {
    let address = |name: &str| format!("https://{name}").parse::<ServerUrl>().ok();
    name == other || address(name).is_some_and(|url| Some(url) == address(other))
}

/// Whether a URL from a server is a web page: not a file, not a script.
pub(crate) fn is_web_page(url: &str) -> bool {
    let begins_with = |scheme: &str| {
        let start = url.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    begins_with("https://") || begins_with("http://")
}
