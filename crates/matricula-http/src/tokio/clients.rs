//! HTTP clients, each set up when it is first needed.

use std::{fmt, sync::OnceLock};

use matricula_core::TransportError;
use reqwest::{Client, ClientBuilder};
use rustls::RootCertStore;
use url::Url;

use crate::{HttpOptions, address::is_near, error::unsendable, tls};

type Cell = OnceLock<Result<Client, TransportError>>;

#[derive(Default)]
pub(crate) struct Clients {
    near: Cell,
    far: Cell,
}

impl Clients {
    /// The client for requests to `url`.
    pub(crate) fn towards(
        &self,
        url: &Url,
        options: &HttpOptions,
    ) -> Result<&Client, TransportError> {
        let client = if is_near(url) {
            self.near.get_or_init(|| near(options))
        } else {
            self.far.get_or_init(|| far(options))
        };
        client.as_ref().map_err(Clone::clone)
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

/// For this machine itself: no proxy could reach it, and without TLS there is no need to read the
/// system's root certificates, which takes some 10 ms.
fn near(options: &HttpOptions) -> Result<Client, TransportError> {
    let tls = tls::builder()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    build(base(options).no_proxy().tls_backend_preconfigured(tls))
}

/// For every other machine: over TLS where the address says so, through the proxy that the
/// environment names, if any.
fn far(options: &HttpOptions) -> Result<Client, TransportError> {
    let mut tls = tls::trusting_the_system()?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    build(base(options).tls_backend_preconfigured(tls))
}

fn base(options: &HttpOptions) -> ClientBuilder {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(options.timeout)
        .connect_timeout(options.time_to_connect())
        .user_agent(&options.user_agent)
}

fn build(builder: ClientBuilder) -> Result<Client, TransportError> {
    builder.build().map_err(|error| {
        let message = format!("the HTTP client cannot be set up: {error}");
        unsendable(message)
    })
}
