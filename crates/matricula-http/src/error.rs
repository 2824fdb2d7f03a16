//! Failures that are the same whatever library is on the wire.

use std::{error::Error, io};

use matricula_core::{FileRef, Processed, TransportError, TransportErrorKind};
use url::Url;

/// Scheme, host and port of a URL. Its path and query are left out: the query may hold a secret.
pub(crate) fn host_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The request cannot be sent as it is.
pub(crate) fn unsendable(message: impl Into<String>) -> TransportError {
    refused(TransportErrorKind::InvalidRequest, message.into())
}

/// Nothing was sent.
pub(crate) fn refused(kind: TransportErrorKind, message: String) -> TransportError {
    TransportError {
        kind,
        processed: Processed::No,
        message,
    }
}

pub(crate) fn too_long(url: &Url, most: u64) -> TransportError {
    TransportError {
        kind: TransportErrorKind::TooLarge,
        processed: Processed::Maybe,
        message: format!("{}: its answer is longer than {most} bytes", host_of(url)),
    }
}

/// The request's file cannot be opened.
pub(crate) fn unreadable(file: &FileRef, error: &io::Error) -> TransportError {
    unsendable(in_file(file, "read", error))
}

/// The server has done what was asked; its answer could not be kept.
pub(crate) fn unwritten(file: &FileRef, error: &io::Error) -> TransportError {
    TransportError {
        kind: TransportErrorKind::InvalidRequest,
        processed: Processed::Maybe,
        message: in_file(file, "written", error),
    }
}

fn in_file(file: &FileRef, what: &str, error: &io::Error) -> String {
    format!("{} cannot be {what}: {error}", file.path.display())
}

/// Connectors hide a TLS error inside I/O errors, even several deep, which do not name it as their
/// source.
pub(crate) fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    error.downcast_ref().or_else(|| {
        let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
        tls_error(inner)
    })
}

pub(crate) fn tls_reason(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidMessage(_) => {
            format!("it does not speak TLS at this port ({error})")
        }
        rustls::Error::InvalidCertificate(reason) => {
            format!("its certificate is not to be trusted: {reason}")
        }
        other => other.to_string(),
    }
}
