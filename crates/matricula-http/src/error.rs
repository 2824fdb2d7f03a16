//! Transport errors that do not depend on the HTTP library.

use std::{error::Error, io};

use matricula_core::{FileRef, Processed, TransportError, TransportErrorKind};
use rustls::CertificateError;

use crate::address::Address;

/// The request cannot be sent as it is.
pub(crate) fn invalid_request(message: impl Into<String>) -> TransportError {
    not_sent(TransportErrorKind::InvalidRequest, message.into())
}

/// Nothing was sent.
pub(crate) fn not_sent(kind: TransportErrorKind, message: String) -> TransportError {
    TransportError {
        kind,
        processed: Processed::No,
        message,
    }
}

/// The response is larger than allowed.
pub(crate) fn too_large(address: &Address, max_bytes: u64) -> TransportError {
    TransportError {
        kind: TransportErrorKind::TooLarge,
        processed: Processed::Maybe,
        message: format!(
            "{}: its response is longer than {max_bytes} bytes",
            address.origin()
        ),
    }
}

/// The request's file cannot be read.
pub(crate) fn not_readable(file: &FileRef, error: &io::Error) -> TransportError {
    invalid_request(file_message(file, "read", error))
}

/// The server has answered, and the answer's file cannot be written.
pub(crate) fn not_writable(file: &FileRef, error: &io::Error) -> TransportError {
    TransportError {
        kind: TransportErrorKind::InvalidRequest,
        processed: Processed::Maybe,
        message: file_message(file, "written", error),
    }
}

fn file_message(file: &FileRef, what: &str, error: &io::Error) -> String {
    format!("{} cannot be {what}: {error}", file.path.display())
}

/// Finds a TLS error inside I/O errors. Connectors nest several of them, and they do not report it as
/// their source.
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
            let hint = match reason {
                CertificateError::UnknownIssuer => ISSUER_HINT,
                _ => "",
            };
            format!("its certificate is not trusted: {reason}{hint}")
        }
        other => other.to_string(),
    }
}

/// What to do where a network has a certificate authority of its own.
const ISSUER_HINT: &str = if cfg!(all(
    unix,
    not(any(target_vendor = "apple", target_os = "android"))
)) {
    "; if your network has its own certificate authority, name the file of its certificate in the \
     environment variable SSL_CERT_FILE"
} else {
    "; if your network has its own certificate authority, add its certificate to the system's"
};
