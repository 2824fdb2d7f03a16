//! HTTP clients, each set up when it is first needed.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use matricula_job::{Processed, TransportError, TransportKind};
use reqwest::{Client, ClientBuilder, Url};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::{Options, failure::server_of};

type Cell = OnceLock<Result<Client, TransportError>>;

#[derive(Default)]
pub(crate) struct Clients {
    near: Cell,
    far: Cell,
}

impl Clients {
    /// The client for requests to `url`.
    pub(crate) fn towards(&self, url: &Url, options: &Options) -> Result<&Client, TransportError> {
        let client = if url.scheme() == "http"
            && server_of(url).is_some_and(|server| server.is_loopback())
        {
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
fn near(options: &Options) -> Result<Client, TransportError> {
    let tls = tls()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    build(base(options).no_proxy().tls_backend_preconfigured(tls))
}

/// For every other machine: over TLS where the address says so, through the proxy that the
/// environment names, if any.
fn far(options: &Options) -> Result<Client, TransportError> {
    let mut tls = tls()?
        .with_platform_verifier()
        .map_err(|error| {
            // rustls calls every error without a code of its own unexpected.
            let reason = match error {
                rustls::Error::General(reason) => reason,
                other => other.to_string(),
            };
            refused(
                TransportKind::Tls,
                format!(
                    "without root certificates no server can prove who it is: {reason}; \
                     install the system's package of them, mostly named ca-certificates"
                ),
            )
        })?
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    build(base(options).tls_backend_preconfigured(tls))
}

fn base(options: &Options) -> ClientBuilder {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(options.timeout)
        .connect_timeout(options.time_to_connect())
        .user_agent(&options.user_agent)
}

fn build(builder: ClientBuilder) -> Result<Client, TransportError> {
    builder.build().map_err(|error| {
        let message = format!("the HTTP client cannot be set up: {error}");
        refused(TransportKind::Request, message)
    })
}

/// The provider is handed over here and never installed for the whole process, where it could
/// clash with that of the program around us.
fn tls() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TransportError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(TransportKind::Tls, format!("TLS cannot be set up: {error}")))
}

fn refused(kind: TransportKind, message: String) -> TransportError {
    TransportError {
        kind,
        processed: Processed::No,
        message,
    }
}
