//! HTTP clients, each set up when it is first needed.

use std::{env, sync::OnceLock};

use matricula_core::TransportError;
use rustls::RootCertStore;
use ureq::{Agent, Proxy, ProxyProtocol, config::Config};
use url::Url;

use super::connect::{self, DeferResolve};
use crate::{HttpOptions, address::is_loopback, error::invalid_request, tls};

type Cell = OnceLock<Result<Agent, TransportError>>;

/// The clients of a runner, with their connections. Each scheme has its own: it may have its own proxy.
#[derive(Default)]
pub struct Clients {
    loopback: Cell,
    plain: Cell,
    encrypted: Cell,
}

impl Clients {
    /// The client for requests to `url`.
    pub(super) fn for_url(
        &self,
        url: &Url,
        options: &HttpOptions,
    ) -> Result<&Agent, TransportError> {
        let agent = if is_loopback(url) {
            self.loopback.get_or_init(|| loopback(options))
        } else if url.scheme() == "https" {
            self.encrypted.get_or_init(|| remote("https", options))
        } else {
            self.plain.get_or_init(|| remote("http", options))
        };
        agent.as_ref().map_err(Clone::clone)
    }
}

/// For this machine: without a proxy, which could not reach it, and without root certificates.
fn loopback(options: &HttpOptions) -> Result<Agent, TransportError> {
    let tls = tls::builder()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Ok(build(config(options, None)?, tls))
}

/// For other machines: with TLS for `https`, and through the proxy that the environment names.
fn remote(scheme: &str, options: &HttpOptions) -> Result<Agent, TransportError> {
    let mut tls = tls::with_system_roots()?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(build(config(options, proxy(scheme)?)?, tls))
}

fn config(options: &HttpOptions, proxy: Option<Proxy>) -> Result<Config, TransportError> {
    // ureq panics if the name is not a valid header value.
    if http::HeaderValue::from_str(&options.user_agent).is_err() {
        return Err(invalid_request(format!(
            "the program's name {:?} has characters that no header can carry",
            options.user_agent
        )));
    }
    Ok(Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(proxy)
        .timeout_connect(Some(options.effective_connect_timeout()))
        .user_agent(&options.user_agent)
        .build())
}

fn build(config: Config, tls: rustls::ClientConfig) -> Agent {
    Agent::with_parts(config, connect::chain(tls), DeferResolve)
}

/// The proxy that the environment names for this scheme, by the usual variables.
fn proxy(scheme: &str) -> Result<Option<Proxy>, TransportError> {
    let lower = format!("{scheme}_proxy");
    let upper = lower.to_uppercase();
    // A CGI program gets a request's header `Proxy` in the variable of this name.
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
        invalid_request(format!(
            "the proxy in {name} {what}: name one for http, or none"
        ))
    };
    let proxy = Proxy::new(&address).map_err(|_| unusable("is no address"))?;
    if !matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https) {
        return Err(unusable("is of a kind that is not spoken here"));
    }
    let exceptions = env::var("no_proxy").or_else(|_| env::var("NO_PROXY"));
    with_exceptions(&proxy, &exceptions.unwrap_or_default())
        .map(Some)
        .map_err(|_| unusable("is no address"))
}

/// Adds the exceptions of `no_proxy`: these servers and their subdomains.
fn with_exceptions(proxy: &Proxy, exceptions: &str) -> Result<Proxy, ureq::Error> {
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
        let proxy = with_exceptions(&proxy, exceptions).unwrap();
        assert_eq!((proxy.host(), proxy.port()), ("proxy.example", 3128));
        assert_eq!(proxy.username(), Some("alice"));
        assert_eq!(proxy.password(), Some("wordpass"));
        proxy.is_no_proxy(&format!("https://{host}/a").parse().unwrap())
    }

    #[test]
    fn no_proxy_excludes_hosts_and_subdomains() {
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
