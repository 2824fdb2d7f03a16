//! The proxy that the environment names, and its exceptions.

use std::{borrow::Cow, env, net::IpAddr};

use http::Uri;
use matricula_core::{Secret, ServerUrl, TransportError};
use percent_encoding::percent_decode_str;

use crate::{address::Address, error::invalid_request};

/// A proxy for the requests of one scheme.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// Its address, without a login.
    pub(crate) server: ServerUrl,
    pub(crate) port: u16,
    /// User name and password.
    pub(crate) login: Option<(String, Secret)>,
    /// The variable that names it.
    variable: &'static str,
}

/// The servers that are reached without a proxy.
#[derive(Debug)]
pub(crate) struct Exceptions(Vec<(Hosts, Option<u16>)>);

/// Some hosts.
#[derive(Debug)]
enum Hosts {
    Every,
    /// The addresses that have these first bits.
    Network(IpAddr, u8),
    /// A name, and its subdomains.
    Domain(String),
}

impl Proxy {
    /// The proxy that the environment names for requests of this scheme.
    ///
    /// # Errors
    /// If it cannot be used: a request must not bypass it.
    pub(crate) fn from_environment(scheme: &str) -> Result<Option<Self>, TransportError> {
        // A CGI program gets a request's header `Proxy` in the variable HTTP_PROXY.
        let names: &[&'static str] = match scheme {
            "https" => &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
            _ if env::var_os("REQUEST_METHOD").is_some() => {
                &["http_proxy", "ALL_PROXY", "all_proxy"]
            }
            _ => &["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
        };
        let mut set = names
            .iter()
            .filter_map(|name| Some((*name, env::var_os(name)?)));
        let Some((variable, address)) = set.find(|(_, address)| !address.is_empty()) else {
            return Ok(None);
        };
        // What is lost here makes the address invalid.
        let proxy = Self::parse(variable, address.to_string_lossy().trim());
        // The address is not repeated: it may hold a password.
        let message =
            |what| format!("the proxy in {variable} is {what}: name one for http, or none");
        proxy
            .map(Some)
            .map_err(|what| invalid_request(message(what)))
    }

    fn parse(variable: &'static str, address: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = address.split_once("://").unwrap_or(("http", address));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (Some(login), host),
            None => (None, authority),
        };
        if !["http", "https"].contains(&&*scheme.to_ascii_lowercase()) {
            return Err("of a kind that is not spoken here");
        }
        let server = format!("{scheme}://{host}").parse::<ServerUrl>();
        let server = server.map_err(|_| "no address")?;
        let uri: Result<Uri, _> = server.origin().parse();
        let port = uri.map_err(|_| "no address")?.port_u16();
        Ok(Self {
            port: port.unwrap_or(if server.is_https() { 443 } else { 80 }),
            server,
            login: login.map(parse_login).transpose()?,
            variable,
        })
    }

    /// The proxy in an error, without its password.
    pub(crate) fn name(&self) -> String {
        format!("the proxy {} of {}", self.server, self.variable)
    }
}

fn parse_login(login: &str) -> Result<(String, Secret), &'static str> {
    let (name, password) = login.split_once(':').unwrap_or((login, ""));
    let decode = |part| percent_decode_str(part).decode_utf8().map(Cow::into_owned);
    match (decode(name), decode(password)) {
        (Ok(name), Ok(password)) => Ok((name, Secret::from(password))),
        _ => Err("no address"),
    }
}

impl Exceptions {
    /// The exceptions that the environment names.
    pub(crate) fn from_environment() -> Self {
        // What is not Unicode cannot match a server.
        let named = ["NO_PROXY", "no_proxy"].into_iter();
        let named = named.filter_map(|name| env::var(name).ok());
        let mut named = named.filter(|exceptions| !exceptions.trim().is_empty());
        Self::parse(&named.next().unwrap_or_default())
    }

    fn parse(exceptions: &str) -> Self {
        let words = exceptions.split(|c: char| c == ',' || c.is_whitespace());
        let words = words.filter(|word| !word.is_empty());
        Self(words.map(parse_exception).collect())
    }

    /// Whether requests to this address need no proxy.
    pub(crate) fn contain(&self, address: &Address) -> bool {
        self.contain_host(address.server().host(), address.port())
    }

    fn contain_host(&self, host: &str, port: u16) -> bool {
        let is_this = |only: &Option<u16>| only.is_none_or(|only| only == port);
        let mut exceptions = self.0.iter();
        exceptions.any(|(hosts, only)| is_this(only) && hosts.contain(host))
    }
}

/// Hosts, and the only port of them that is meant, if one is named.
fn parse_exception(text: &str) -> (Hosts, Option<u16>) {
    let is_whole = |host: &str| host.ends_with(']') || !host.contains(':');
    let (hosts, port) = match text.rsplit_once(':') {
        Some((host, port)) if is_whole(host) && port.parse::<u16>().is_ok() => {
            (host, port.parse().ok())
        }
        _ => (text, None),
    };
    let bare = hosts.trim_start_matches('[').trim_end_matches(']');
    let (address, length) = bare.split_once('/').unwrap_or((bare, "128"));
    let hosts = match (hosts, address.parse(), length.parse()) {
        ("*", ..) => Hosts::Every,
        (_, Ok(address), Ok(length)) => Hosts::Network(address, length),
        _ => {
            let name = hosts.trim_start_matches("*.").trim_start_matches('.');
            // As the addresses of servers are written.
            let normal = format!("http://{name}").parse::<ServerUrl>();
            let normal = normal.map(|server| server.host().to_owned());
            Hosts::Domain(normal.unwrap_or_else(|_| name.to_ascii_lowercase()))
        }
    };
    (hosts, port)
}

impl Hosts {
    fn contain(&self, host: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Network(network, length) => host.parse().is_ok_and(|address| {
                let (same_bits, bits) = match (network, address) {
                    (IpAddr::V4(network), IpAddr::V4(address)) => {
                        ((network.to_bits() ^ address.to_bits()).leading_zeros(), 32)
                    }
                    (IpAddr::V6(network), IpAddr::V6(address)) => {
                        ((network.to_bits() ^ address.to_bits()).leading_zeros(), 128)
                    }
                    _ => return false,
                };
                same_bits >= u32::from(*length).min(bits)
            }),
            Self::Domain(name) => host
                .strip_suffix(name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(address: &str) -> Result<Proxy, &'static str> {
        Proxy::parse("http_proxy", address)
    }

    #[test]
    fn proxy_address_is_read() {
        for (address, server) in [
            ("http://proxy.example:3128", "http://proxy.example:3128"),
            ("proxy.example:3128", "http://proxy.example:3128"),
            ("proxy.example", "http://proxy.example"),
            ("HTTPS://Proxy.example/", "https://proxy.example"),
            ("http://[::1]:3128/a?b", "http://[::1]:3128"),
            ("alice:word@127.0.0.1:1", "http://127.0.0.1:1"),
        ] {
            assert_eq!(parse(address).unwrap().server.as_str(), server, "{address}");
        }
        for (address, port) in [("a", 80), ("https://a", 443), ("http://[::1]:1", 1)] {
            assert_eq!(parse(address).unwrap().port, port, "{address}");
        }
    }

    #[test]
    fn proxy_login_is_decoded() {
        let read = |address| {
            let (name, password) = parse(address).unwrap().login?;
            Some((name, password.expose().to_owned()))
        };
        let login = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        assert_eq!(read("http://a.example"), None);
        assert_eq!(read("http://alice@a.example"), login("alice", ""));
        assert_eq!(read("http://a:b:c@a.example"), login("a", "b:c"));
        assert_eq!(read("http://a%40b:%3a+@a.example"), login("a@b", ":+"));
        assert_eq!(read("http://a@b:c@a.example"), login("a@b", "c"));
    }

    #[test]
    fn unusable_proxy_is_refused() {
        for address in [
            "http://[bad",
            "http://",
            "http:///a",
            "://a",
            "::",
            "http://a b",
            "http://a:port",
            "http://a:65536",
            "http://%ff@a",
            "http://\u{fffd}",
            "ftp://h:1",
            "socks5://127.0.0.1:1",
            "socks5h://127.0.0.1:1",
        ] {
            assert!(parse(address).is_err(), "{address}");
        }
    }

    fn is_excepted(exceptions: &str, host: &str) -> bool {
        Exceptions::parse(exceptions).contain_host(host, 443)
    }

    #[test]
    fn no_proxy_excludes_hosts_and_subdomains() {
        for (exceptions, host) in [
            ("a.example", "a.example"),
            ("A.Example", "a.example"),
            ("a.example", "matrix.a.example"),
            (".a.example", "a.example"),
            ("*.a.example", "matrix.a.example"),
            ("b.example, a.example", "matrix.a.example"),
            ("b.example a.example", "a.example"),
            ("a.example:443", "matrix.a.example"),
            ("a.example:8448,a.example:443", "a.example"),
            ("münchen.test", "xn--mnchen-3ya.test"),
            (".MÜNCHEN.test:443", "matrix.xn--mnchen-3ya.test"),
            ("*", "a.example"),
            ("*:443", "a.example"),
        ] {
            assert!(is_excepted(exceptions, host), "{exceptions}: {host}");
        }
        for (exceptions, host) in [
            ("", "a.example"),
            (",", "a.example"),
            ("a.example", "aa.example"),
            ("matrix.a.example", "a.example"),
            ("a.example", "a.example.org"),
            (".", "a.example"),
            ("a.example:8448", "a.example"),
            ("*:8448", "a.example"),
            ("a.example:port", "a.example"),
        ] {
            assert!(!is_excepted(exceptions, host), "{exceptions}: {host}");
        }
    }

    #[test]
    fn no_proxy_excludes_networks() {
        for (exceptions, host) in [
            ("192.0.2.1", "192.0.2.1"),
            ("10.42.1.1/24", "10.42.1.100"),
            ("0.0.0.0/0", "203.0.113.1"),
            ("2001::/17", "2001:db8:a0b:12f0::1"),
            ("::1", "::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("192.0.2.1:443", "192.0.2.1"),
        ] {
            assert!(is_excepted(exceptions, host), "{exceptions}: {host}");
        }
        for (exceptions, host) in [
            ("192.0.2.1", "192.0.2.2"),
            ("10.42.1.1/24", "10.42.2.1"),
            ("2001::/17", "2005:db8::1"),
            ("::/0", "192.0.2.1"),
            ("0.0.0.0/0", "::1"),
            ("0.0.0.0/0", "a.example"),
            ("10.0.0.0/x", "10.0.0.1"),
            ("192.0.2.1:8448", "192.0.2.1"),
            ("[2001:db8::1]:8448", "2001:db8::1"),
        ] {
            assert!(!is_excepted(exceptions, host), "{exceptions}: {host}");
        }
    }
}
