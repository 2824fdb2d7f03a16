//! HTTP clients, each set up when it is first needed.

use std::{env, fmt, sync::OnceLock};

use matricula_core::TransportError;
use rustls::RootCertStore;
use ureq::{Agent, Proxy, ProxyProtocol, config::Config};
use url::Url;

use super::connect::{self, Later};
use crate::{HttpOptions, address::is_near, error::unsendable, tls};

type Cell = OnceLock<Result<Agent, TransportError>>;

/// One for this machine, and one for each scheme, for each may have a proxy of its own.
#[derive(Default)]
pub(crate) struct Agents {
    near: Cell,
    plain: Cell,
    encrypted: Cell,
}

impl Agents {
    /// The client for requests to `url`.
    pub(crate) fn towards(
        &self,
        url: &Url,
        options: &HttpOptions,
    ) -> Result<&Agent, TransportError> {
        let agent = if is_near(url) {
            self.near.get_or_init(|| near(options))
        } else if url.scheme() == "https" {
            self.encrypted.get_or_init(|| far("https", options))
        } else {
            self.plain.get_or_init(|| far("http", options))
        };
        agent.as_ref().map_err(Clone::clone)
    }
}

impl fmt::Debug for Agents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agents").finish_non_exhaustive()
    }
}

/// For this machine itself: no proxy could reach it, and without TLS there is no need to read the
/// system's root certificates.
fn near(options: &HttpOptions) -> Result<Agent, TransportError> {
    let tls = tls::builder()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Ok(build(config(options, None)?, tls))
}

/// For every other machine: over TLS where the address says so, through the proxy that the
/// environment names, if any.
fn far(scheme: &str, options: &HttpOptions) -> Result<Agent, TransportError> {
    let mut tls = tls::trusting_the_system()?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(build(config(options, proxy(scheme)?)?, tls))
}

fn config(options: &HttpOptions, proxy: Option<Proxy>) -> Result<Config, TransportError> {
    // It panics at a name that no header can carry.
    if http::HeaderValue::from_str(&options.user_agent).is_err() {
        return Err(unsendable(format!(
            "the program's name {:?} has characters that no header can carry",
            options.user_agent
        )));
    }
    Ok(Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(proxy)
        .timeout_connect(Some(options.time_to_connect()))
        .user_agent(&options.user_agent)
        .build())
}

fn build(config: Config, tls: rustls::ClientConfig) -> Agent {
    Agent::with_parts(config, connect::chain(tls), Later)
}

/// The proxy that the environment names for addresses of this scheme, as most programs read it.
fn proxy(scheme: &str) -> Result<Option<Proxy>, TransportError> {
    let lower = format!("{scheme}_proxy");
    let upper = lower.to_uppercase();
    // A web server hands a request's header `Proxy` to its CGI programs under this name.
    let is_cgi = scheme == "http" && env::var_os("REQUEST_METHOD").is_some();
    let names = [&*lower, &*upper, "all_proxy", "ALL_PROXY"];
    let mut named = names
        .into_iter()
        .filter(|name| !(is_cgi && *name == upper))
        .filter_map(|name| Some((name, env::var(name).ok()?)));
    let Some((name, address)) = named.find(|(_, address)| !address.is_empty()) else {
        return Ok(None);
    };
    // The address is not repeated: it may hold a password.
    let unusable = |what: &str| {
        unsendable(format!(
            "the proxy in {name} {what}: name one for http, or none"
        ))
    };
    let proxy = Proxy::new(&address).map_err(|_| unusable("is no address"))?;
    if !matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https) {
        return Err(unusable("is of a kind that is not spoken here"));
    }
    let exceptions = env::var("no_proxy").or_else(|_| env::var("NO_PROXY"));
    except(&proxy, &exceptions.unwrap_or_default())
        .map(Some)
        .map_err(|_| unusable("is no address"))
}

/// The same proxy, and not for these servers and what is below their names.
fn except(proxy: &Proxy, exceptions: &str) -> Result<Proxy, ureq::Error> {
    let mut builder = Proxy::builder(proxy.protocol())
        .host(proxy.host())
        .port(proxy.port());
    if let Some(name) = proxy.username() {
        builder = builder.username(name);
    }
    if let Some(password) = proxy.password() {
        builder = builder.password(password);
    }
    for exception in exceptions.split(',').map(str::trim) {
        let name = exception.trim_start_matches('.');
        builder = match name {
            "" => builder,
            "*" => builder.no_proxy(name),
            _ => builder.no_proxy(name).no_proxy(&format!(".{name}")),
        };
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_excepted(exceptions: &str, host: &str) -> bool {
        let proxy = Proxy::new("http://alice:wordpass@proxy.example:3128").unwrap();
        let proxy = except(&proxy, exceptions).unwrap();
        assert_eq!((proxy.host(), proxy.port()), ("proxy.example", 3128));
        assert_eq!(proxy.username(), Some("alice"));
        assert_eq!(proxy.password(), Some("wordpass"));
        proxy.is_no_proxy(&format!("https://{host}/a").parse().unwrap())
    }

    #[test]
    fn a_proxy_is_not_for_what_the_environment_excepts() {
        for (exceptions, host) in [
            ("a.example", "a.example"),
            ("a.example", "matrix.a.example"),
            (".a.example", "a.example"),
            ("b.example, a.example", "matrix.a.example"),
            ("192.0.2.1", "192.0.2.1"),
            ("*", "a.example"),
        ] {
            assert!(is_excepted(exceptions, host), "{exceptions}: {host}");
        }
        for (exceptions, host) in [
            ("", "a.example"),
            (",", "a.example"),
            ("a.example", "aa.example"),
            ("matrix.a.example", "a.example"),
            ("a.example", "a.example.org"),
        ] {
            assert!(!is_excepted(exceptions, host), "{exceptions}: {host}");
        }
    }
}
