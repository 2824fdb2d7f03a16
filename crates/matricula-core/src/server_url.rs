//! The base URL of a server, validated once.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::domain_name;

/// An `http` or `https` URL without user information, query or trailing slash.
///
/// It is read as people write it: white space around it is ignored, and a name in any script becomes the
/// one that the DNS knows.
///
/// ```
/// # use matricula_core::ServerUrl;
/// let server: ServerUrl = "https://Matrix.Example.org:443/".parse()?;
/// assert_eq!(server.as_str(), "https://matrix.example.org");
/// let server: ServerUrl = " https://münchen.example ".parse()?;
/// assert_eq!(server.as_str(), "https://xn--mnchen-3ya.example");
/// # Ok::<(), matricula_core::ServerUrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerUrl {
    text: Arc<str>,
    /// The length of scheme, host and port.
    origin_len: usize,
}

impl ServerUrl {
    /// The URL as text, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port. A credential belongs to one origin.
    pub fn origin(&self) -> &str {
        &self.text[..self.origin_len]
    }

    /// The host name or IP address, without brackets or port.
    pub fn host(&self) -> &str {
        let authority = self
            .origin()
            .split_once("://")
            .map_or("", |(_, authority)| authority);
        if let Some(v6) = authority.strip_prefix('[') {
            return v6.split(']').next().unwrap_or(v6);
        }
        authority.split(':').next().unwrap_or(authority)
    }

    /// Whether requests are encrypted.
    pub fn is_https(&self) -> bool {
        self.text.starts_with("https:")
    }

    /// Whether the host is `localhost`, a subdomain of it, or a loopback address.
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        host == "localhost"
            || host.ends_with(".localhost")
            || host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    /// Whether requests stay on this machine: a loopback host, or the unspecified address (`0.0.0.0`, `::`)
    /// of a server that listens on all interfaces.
    pub fn is_this_machine(&self) -> bool {
        let is_unspecified = |address: IpAddr| address.is_unspecified();
        self.is_loopback() || self.host().parse().is_ok_and(is_unspecified)
    }

    /// Whether the host is a loopback, private, link-local or unspecified address. Names are not resolved:
    /// only literal addresses are detected.
    pub fn is_private(&self) -> bool {
        if self.is_loopback() {
            return true;
        }
        match self.host().parse() {
            Ok(IpAddr::V4(v4)) => v4.is_private() || v4.is_link_local() || v4.is_unspecified(),
            Ok(IpAddr::V6(v6)) => {
                v6.is_unique_local()
                    || v6.is_unicast_link_local()
                    || v6.is_unspecified()
                    || v6.to_ipv4_mapped().is_some()
            }
            Err(_) => false,
        }
    }

    /// Whether `url` has the same origin.
    pub fn is_origin_of(&self, url: &str) -> bool {
        let url = url.split(['?', '#']).next().unwrap_or(url);
        // A person may type spaces around an address. In a request, it is another address.
        trimmed(url) == url
            && url
                .parse::<Self>()
                .is_ok_and(|other| other.origin() == self.origin())
    }
}

impl FromStr for ServerUrl {
    type Err = ServerUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |reason| ServerUrlError {
            url: text.to_owned(),
            reason,
        };
        let (scheme, rest) = trimmed(text)
            .split_once("://")
            .ok_or_else(|| error("it does not begin with https://"))?;
        let scheme = scheme.to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return Err(error("the scheme must be https:// or http://")),
        };
        if rest.contains(['?', '#', '\\']) {
            return Err(error("it must not have a query or fragment"));
        }
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if let Some((_, host)) = authority.rsplit_once('@') {
            // The part before the @ may be a password, so that the message leaves it out.
            let url = format!("{scheme}://…@{host}{path}");
            return Err(ServerUrlError {
                url,
                reason: "it must not have a user name",
            });
        }
        let (host, port) = split_port(authority);
        if host.is_empty() {
            return Err(error("it has no host"));
        }
        let port = match port.map(parse_port) {
            Some(None) => return Err(error("its port is not a number from 0 to 65535")),
            Some(Some(port)) => Some(port).filter(|port| *port != default_port),
            None => None,
        };
        let host =
            normal_host(host).ok_or_else(|| error("its host is not a plain name or address"))?;
        let path = path.trim_end_matches('/');
        if !path.is_empty() && path.parse::<http::uri::PathAndQuery>().is_err() {
            return Err(error("its path is not well-formed"));
        }
        let mut origin = format!("{scheme}://{host}");
        if let Some(port) = port {
            origin = format!("{origin}:{port}");
        }
        let origin_len = origin.len();
        Ok(Self {
            text: (origin + path).into(),
            origin_len,
        })
    }
}

/// The address without white space and byte order marks around it.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

/// Host, with its brackets if it has them, and port.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    // The colons inside the brackets belong to an IPv6 address.
    let host_end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    match authority[host_end..].split_once(':') {
        Some((rest, port)) => (&authority[..host_end + rest.len()], Some(port)),
        None => (authority, None),
    }
}

/// A sign is not part of a port, though Rust's numbers accept one.
fn parse_port(port: &str) -> Option<u16> {
    if port.bytes().all(|byte| byte.is_ascii_digit()) {
        port.parse().ok()
    } else {
        None
    }
}

/// The host as every URL library writes it. `None` if libraries disagree about which host it is: for some,
/// `127.1`, `0x7f000001` and `%31%32%37.0.0.1` are 127.0.0.1.
fn normal_host(host: &str) -> Option<String> {
    if let Some(address) = host.strip_prefix('[') {
        let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    let host = domain_name::to_ascii(host)?;
    let last = host.rsplit('.').next().unwrap_or(&host);
    let is_number = last.starts_with(|c: char| c.is_ascii_digit())
        && (last.bytes().all(|b| b.is_ascii_digit())
            || last.to_ascii_lowercase().starts_with("0x"));
    let is_plain = host
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        && host.split('.').all(|label| !label.is_empty())
        && (!is_number || host.parse::<Ipv4Addr>().is_ok());
    is_plain.then_some(host)
}

impl TryFrom<String> for ServerUrl {
    type Error = ServerUrlError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ServerUrl> for String {
    fn from(url: ServerUrl) -> Self {
        url.text.as_ref().to_owned()
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerUrl({})", self.text)
    }
}

/// Text is not the base URL of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{url:?} is not the address of a server: {reason}; give one like https://matrix.example.org"
)]
pub struct ServerUrlError {
    url: String,
    reason: &'static str,
}
