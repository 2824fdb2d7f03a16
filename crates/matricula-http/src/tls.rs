//! Whom to trust.

use std::sync::Arc;

use matricula_core::{TransportError, TransportErrorKind};
use rustls::{ClientConfig, ConfigBuilder, WantsVerifier};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::error::refused;

/// The provider is handed over here and never installed for the whole process, where it could
/// clash with that of the program around us.
pub(crate) fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TransportError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            refused(
                TransportErrorKind::Tls,
                format!("TLS cannot be set up: {error}"),
            )
        })
}

/// Trusts whom the system trusts. Its roots are read here, which takes some 10 ms.
pub(crate) fn trusting_the_system() -> Result<ClientConfig, TransportError> {
    let trusting = builder()?.with_platform_verifier().map_err(|error| {
        // rustls calls every error without a code of its own unexpected.
        let reason = match error {
            rustls::Error::General(reason) => reason,
            other => other.to_string(),
        };
        refused(
            TransportErrorKind::Tls,
            format!(
                "without root certificates no server can prove who it is: {reason}; \
                 install the system's package of them, mostly named ca-certificates"
            ),
        )
    })?;
    Ok(trusting.with_no_client_auth())
}
