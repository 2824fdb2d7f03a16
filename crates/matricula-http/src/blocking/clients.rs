//! HTTP clients, each set up when it is first needed.

use std::sync::OnceLock;

use matricula_core::TransportError;
use rustls::RootCertStore;
use ureq::{Agent, ProxyProtocol, config::Config};

use super::connect::{self, DeferResolve};
use crate::{
    HttpOptions,
    address::Address,
    error::invalid_request,
    headers,
    proxy::{Exceptions, Proxy},
    tls,
};

type Cell = OnceLock<Result<Agent, TransportError>>;

/// The clients of a runner, with their connections. Each scheme has its own proxy.
#[derive(Default)]
pub struct Clients {
    loopback: Cell,
    direct: Cell,
    http_proxy: Proxied,
    https_proxy: Proxied,
    exceptions: OnceLock<Exceptions>,
}

/// A proxy, and the client that uses it.
type Proxied = OnceLock<Result<Option<(Proxy, Agent)>, TransportError>>;

impl Clients {
    /// The client for requests to `address`.
    pub(super) fn for_address(
        &self,
        address: &Address,
        options: &HttpOptions,
    ) -> Result<&Agent, TransportError> {
        let agent = if address.is_loopback() {
            self.loopback.get_or_init(|| loopback(options))
        } else if let Some(agent) = self.proxied(address, options)? {
            return Ok(agent);
        } else {
            self.direct.get_or_init(|| remote(options, None))
        };
        agent.as_ref().map_err(Clone::clone)
    }

    fn proxied(
        &self,
        address: &Address,
        options: &HttpOptions,
    ) -> Result<Option<&Agent>, TransportError> {
        let exceptions = self.exceptions.get_or_init(Exceptions::from_environment);
        if exceptions.contain(address) {
            return Ok(None);
        }
        let cell = match address.is_https() {
            true => &self.https_proxy,
            false => &self.http_proxy,
        };
        let set_up = || {
            let Some(proxy) = Proxy::from_environment(address.scheme())? else {
                return Ok(None);
            };
            let agent = remote(options, Some(&proxy))?;
            Ok(Some((proxy, agent)))
        };
        let proxied = cell.get_or_init(set_up).as_ref().map_err(Clone::clone)?;
        Ok(proxied.as_ref().map(|(_, agent)| agent))
    }
}

/// For this machine: without a proxy, which could not reach it, and without root certificates.
fn loopback(options: &HttpOptions) -> Result<Agent, TransportError> {
    let tls = tls::builder()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Ok(build(config(options, None)?, tls, None))
}

/// For other machines: with TLS for `https`.
fn remote(options: &HttpOptions, proxy: Option<&Proxy>) -> Result<Agent, TransportError> {
    let mut tls = tls::with_system_roots()?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(build(config(options, proxy)?, tls, proxy))
}

fn config(options: &HttpOptions, proxy: Option<&Proxy>) -> Result<Config, TransportError> {
    // ureq panics if it is not valid.
    headers::user_agent(options)?;
    let proxy = proxy.map(in_ureq).transpose().map_err(|error| {
        let what = format!("the proxy cannot be used: {error}");
        invalid_request(what)
    })?;
    Ok(Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(proxy)
        .timeout_connect(Some(options.effective_connect_timeout()))
        .user_agent(&options.user_agent)
        .build())
}

fn build(config: Config, tls: rustls::ClientConfig, proxy: Option<&Proxy>) -> Agent {
    let proxy_name = proxy.map(Proxy::name).unwrap_or_default();
    Agent::with_parts(config, connect::chain(tls, proxy_name), DeferResolve)
}

fn in_ureq(proxy: &Proxy) -> Result<ureq::Proxy, ureq::Error> {
    let server = &proxy.server;
    let protocol = match server.is_https() {
        true => ProxyProtocol::Https,
        false => ProxyProtocol::Http,
    };
    // Only addresses put IPv6 into brackets.
    let host = match server.host() {
        v6 if v6.contains(':') => format!("[{v6}]"),
        host => host.to_owned(),
    };
    let mut builder = ureq::Proxy::builder(protocol).host(&host).port(proxy.port);
    if let Some((name, password)) = &proxy.login {
        builder = builder.username(name).password(password.expose());
    }
    builder.build()
}
