//! Converts errors of ureq, and says whether the server may have processed the request.

use std::{io, time::Duration};

use matricula_core::{Processed, TransportError, TransportErrorKind};
use ureq::Error;

use super::connect::NotSent;
use crate::{
    HttpOptions,
    address::Address,
    error::{tls_error, tls_reason},
};

/// The error of a request to `address` with this `timeout`. It repeats nothing of the request but its
/// origin.
pub(super) fn transport_error(
    address: &Address,
    options: &HttpOptions,
    timeout: Duration,
    error: Error,
) -> TransportError {
    let (processed, (kind, what)) = match &error {
        Error::Other(marked) => match marked.downcast_ref() {
            Some(not_sent) => (Processed::No, not_connected(options, not_sent)),
            None => (
                Processed::Maybe,
                (TransportErrorKind::ConnectionLost, error.to_string()),
            ),
        },
        // An invalid request is found before a connection is opened.
        Error::Http(_) | Error::BadUri(_) | Error::InvalidProxyUrl => (
            Processed::No,
            (TransportErrorKind::InvalidRequest, error.to_string()),
        ),
        _ => (Processed::Maybe, interrupted(timeout, &error)),
    };
    TransportError {
        kind,
        processed,
        message: match kind {
            // The server is not to blame.
            TransportErrorKind::Proxy => what,
            _ => format!("{}: {what}", address.origin()),
        },
    }
}

fn not_connected(options: &HttpOptions, error: &NotSent) -> (TransportErrorKind, String) {
    use TransportErrorKind::{Connect, Proxy, Timeout, Tls};
    let error = match error {
        NotSent::Lookup(reason) => {
            let what = format!("its name cannot be looked up: {reason}");
            return (Connect, what);
        }
        NotSent::Proxy(name, error) => {
            let (_, what) = not_connected(options, error);
            return (Proxy, format!("{name}: {what}"));
        }
        NotSent::Connect(error) => error,
    };
    match error {
        Error::Timeout(_) => {
            let timeout = options.effective_connect_timeout();
            (Timeout, format!("no connection within {timeout:?}"))
        }
        Error::Io(io) => match tls_error(io) {
            Some(tls) => (Tls, tls_reason(tls)),
            None => (Connect, reason(io)),
        },
        other => (Connect, other.to_string()),
    }
}

fn interrupted(timeout: Duration, error: &Error) -> (TransportErrorKind, String) {
    use TransportErrorKind::{ConnectionLost, Timeout, TooLarge};
    match error {
        Error::Timeout(_) => (Timeout, format!("no complete response within {timeout:?}")),
        Error::LargeResponseHeader(..) => (TooLarge, HEAD_TOO_LARGE.to_owned()),
        // ureq does not export a name for this error.
        Error::Protocol(reason) if reason.to_string().contains("too many headers") => {
            (TooLarge, HEAD_TOO_LARGE.to_owned())
        }
        Error::Protocol(reason) => (
            ConnectionLost,
            format!("its response is not HTTP: {reason}"),
        ),
        Error::Io(io) => (ConnectionLost, reason(io)),
        other => (ConnectionLost, other.to_string()),
    }
}

const HEAD_TOO_LARGE: &str = "its headers are too large or too many";

/// The message of an I/O error.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            "connection closed before the response was complete".to_owned()
        }
        _ => error.to_string(),
    }
}
