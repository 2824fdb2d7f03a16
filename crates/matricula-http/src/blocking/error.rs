//! Says what went wrong on the way of ureq, and whether the server may have acted on the request.

use std::{io, time::Duration};

use matricula_core::{Processed, TransportError, TransportErrorKind};
use ureq::Error;
use url::Url;

use super::connect::NeverSent;
use crate::{
    HttpOptions,
    error::{host_of, tls_error, tls_reason},
};

/// The failure of a request to `url` that had this `time`, in which nothing of the request but its
/// origin is repeated.
pub(crate) fn failure(
    url: &Url,
    options: &HttpOptions,
    time: Duration,
    error: Error,
) -> TransportError {
    let (processed, (kind, what)) = match &error {
        Error::Other(marked) => match marked.downcast_ref() {
            Some(never_sent) => (Processed::No, unconnected(options, never_sent)),
            None => (
                Processed::Maybe,
                (TransportErrorKind::ConnectionLost, error.to_string()),
            ),
        },
        // What is wrong with the request itself shows before a connection is opened.
        Error::Http(_) | Error::BadUri(_) | Error::InvalidProxyUrl => (
            Processed::No,
            (TransportErrorKind::InvalidRequest, error.to_string()),
        ),
        _ => (Processed::Maybe, cut(time, &error)),
    };
    TransportError {
        kind,
        processed,
        message: format!("{}: {what}", host_of(url)),
    }
}

fn unconnected(options: &HttpOptions, error: &NeverSent) -> (TransportErrorKind, String) {
    use TransportErrorKind::{Connect, Timeout, Tls};
    let error = match error {
        NeverSent::Unknown(reason) => {
            let what = format!("its name cannot be looked up: {reason}");
            return (Connect, what);
        }
        NeverSent::Unconnected(error) => error,
    };
    match error {
        Error::Timeout(_) => {
            let time = options.time_to_connect();
            (Timeout, format!("no connection within {time:?}"))
        }
        Error::Io(io) => match tls_error(io) {
            Some(tls) => (Tls, tls_reason(tls)),
            None => (Connect, reason(io)),
        },
        other => (Connect, other.to_string()),
    }
}

fn cut(time: Duration, error: &Error) -> (TransportErrorKind, String) {
    use TransportErrorKind::{ConnectionLost, Timeout, TooLarge};
    match error {
        Error::Timeout(_) => (Timeout, format!("no complete answer within {time:?}")),
        Error::LargeResponseHeader(..) => (TooLarge, LONG_HEAD.to_owned()),
        // It has no other name outside its library.
        Error::Protocol(reason) if reason.to_string().contains("too many headers") => {
            (TooLarge, LONG_HEAD.to_owned())
        }
        Error::Protocol(reason) => (
            ConnectionLost,
            format!("what it answers is not HTTP: {reason}"),
        ),
        Error::Io(io) => (ConnectionLost, reason(io)),
        other => (ConnectionLost, other.to_string()),
    }
}

const LONG_HEAD: &str = "its headers are too large or too many";

/// Why there is nothing more to read or to write.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            "connection closed before the answer was complete".to_owned()
        }
        _ => error.to_string(),
    }
}
