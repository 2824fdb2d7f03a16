//! Why a request has no response, and whether the server may have processed it.

use std::{error::Error as StdError, io, iter, time::Duration};

use matricula_core::{Processed, TransportError, TransportErrorKind};

use crate::{
    address::Address,
    error::{tls_error, tls_reason},
};

/// Why a request has no complete response.
pub(super) enum Error {
    /// Nothing was sent.
    NotSent(TransportError),
    Timeout,
    Http(hyper::Error),
    /// The body cannot be decompressed.
    Gzip(io::Error),
}

impl From<TransportError> for Error {
    fn from(error: TransportError) -> Self {
        Self::NotSent(error)
    }
}

impl Error {
    /// The error of a request to `address` with this `timeout`. It repeats nothing of the request but its
    /// origin.
    pub(super) fn into_transport_error(
        self,
        address: &Address,
        timeout: Duration,
    ) -> TransportError {
        let (processed, (kind, what)) = match self {
            Self::NotSent(error) => return error,
            Self::Timeout => {
                let what = format!("no complete response within {timeout:?}");
                (Processed::Maybe, (TransportErrorKind::Timeout, what))
            }
            Self::Gzip(error) => {
                let what = format!("its response is not valid gzip: {error}");
                (Processed::Maybe, (TransportErrorKind::ConnectionLost, what))
            }
            Self::Http(error) => {
                // hyper calls a request canceled that was still waiting for the connection.
                let processed = match error.is_canceled() {
                    true => Processed::No,
                    false => Processed::Maybe,
                };
                (processed, classify(&error))
            }
        };
        TransportError {
            kind,
            processed,
            message: format!("{}: {what}", address.origin()),
        }
    }
}

fn classify(error: &hyper::Error) -> (TransportErrorKind, String) {
    use TransportErrorKind::{ConnectionLost, Tls, TooLarge};
    let causes = || iter::successors(error.source(), |cause| (*cause).source());
    // The innermost cause says most.
    let reason = causes()
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string);
    if let Some(tls) = causes().find_map(tls_error) {
        (Tls, tls_reason(tls))
    } else if error.to_string().contains("head is too large") {
        let what = "its headers are too large or too many";
        (TooLarge, what.to_owned())
    } else if error.is_parse() {
        let what = format!("its response is not HTTP: {reason}");
        (ConnectionLost, what)
    } else {
        (ConnectionLost, reason)
    }
}
