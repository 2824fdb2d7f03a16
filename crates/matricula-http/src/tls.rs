//! TLS configuration: which certificates to trust.

use std::sync::Arc;

use matricula_core::{TransportError, TransportErrorKind};
use rustls::{ClientConfig, ConfigBuilder, WantsVerifier};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::error::not_sent;

/// A builder with *ring* as its provider. The provider is passed explicitly and not installed for the
/// process, where it could conflict with the program's own.
pub(crate) fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TransportError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            not_sent(
                TransportErrorKind::Tls,
                format!("TLS cannot be set up: {error}"),
            )
        })
}

/// Trusts the system's root certificates. Reading them takes about 10 ms.
pub(crate) fn with_system_roots() -> Result<ClientConfig, TransportError> {
    let config = builder()?.with_platform_verifier().map_err(|error| {
        // rustls calls every error without a code of its own "unexpected".
        let reason = match error {
            rustls::Error::General(reason) => reason,
            other => other.to_string(),
        };
        not_sent(
            TransportErrorKind::Tls,
            format!(
                "without root certificates no server can be verified: {reason}; \
                 install the system's package of them, mostly named ca-certificates"
            ),
        )
    })?;
    Ok(config.with_no_client_auth())
}
