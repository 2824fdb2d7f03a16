//! HTTP clients, each set up when it is first needed.

use std::sync::OnceLock;

use matricula_core::TransportError;
use reqwest::{Client, ClientBuilder};
use rustls::RootCertStore;
use url::Url;

use crate::{HttpOptions, address::is_loopback, error::invalid_request, tls};

type Cell = OnceLock<Result<Client, TransportError>>;

/// The clients of a runner, with their connections.
#[derive(Default)]
pub struct Clients {
    loopback: Cell,
    remote: Cell,
}

impl Clients {
    /// The client for requests to `url`.
    pub(super) fn for_url(
        &self,
        url: &Url,
        options: &HttpOptions,
    ) -> Result<&Client, TransportError> {
        let client = if is_loopback(url) {
            self.loopback.get_or_init(|| loopback(options))
        } else {
            self.remote.get_or_init(|| remote(options))
        };
        client.as_ref().map_err(Clone::clone)
    }
}

/// For this machine: without a proxy, which could not reach it, and without root certificates, which
/// take about 10 ms to read.
fn loopback(options: &HttpOptions) -> Result<Client, TransportError> {
    let tls = tls::builder()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    build(base(options).no_proxy().tls_backend_preconfigured(tls))
}

/// For other machines: with TLS for `https`, and through the proxy that the environment names.
fn remote(options: &HttpOptions) -> Result<Client, TransportError> {
    let mut tls = tls::with_system_roots()?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    build(base(options).tls_backend_preconfigured(tls))
}

fn base(options: &HttpOptions) -> ClientBuilder {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(options.timeout)
        .connect_timeout(options.effective_connect_timeout())
        .user_agent(&options.user_agent)
}

fn build(builder: ClientBuilder) -> Result<Client, TransportError> {
    builder.build().map_err(|error| {
        let message = format!("the HTTP client cannot be set up: {error}");
        invalid_request(message)
    })
}
