//! Says what went wrong on the way of reqwest, and whether the server may have acted on the request.

use std::{error::Error, iter, time::Duration};

use matricula_core::{Processed, TransportError, TransportErrorKind};
use url::Url;

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
    error: reqwest::Error,
) -> TransportError {
    // The address may hold a secret in its query.
    let error = error.without_url();
    let causes: Vec<&(dyn Error + 'static)> =
        iter::successors(error.source(), |cause| (*cause).source()).collect();
    let http = causes
        .iter()
        .find_map(|cause| cause.downcast_ref::<hyper::Error>());
    // What HTTP calls cancelled was still waiting for its connection.
    let never_sent =
        error.is_builder() || error.is_connect() || http.is_some_and(hyper::Error::is_canceled);
    let (kind, what) = judge(options, time, &error, &causes, http);
    TransportError {
        kind,
        processed: if never_sent {
            Processed::No
        } else {
            Processed::Maybe
        },
        message: format!("{}: {what}", host_of(url)),
    }
}

fn judge(
    options: &HttpOptions,
    time: Duration,
    error: &reqwest::Error,
    causes: &[&(dyn Error + 'static)],
    http: Option<&hyper::Error>,
) -> (TransportErrorKind, String) {
    use TransportErrorKind::{Connect, ConnectionLost, InvalidRequest, Timeout, Tls, TooLarge};
    // The first of the causes is the last in the row.
    let reason = causes
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string);
    if error.is_builder() {
        (InvalidRequest, reason)
    } else if error.is_timeout() && error.is_connect() {
        let time = options.time_to_connect();
        (Timeout, format!("no connection within {time:?}"))
    } else if error.is_timeout() {
        (Timeout, format!("no complete answer within {time:?}"))
    } else if let Some(tls) = causes.iter().find_map(|cause| tls_error(*cause)) {
        (Tls, tls_reason(tls))
    } else if error.is_dns() {
        (Connect, format!("its name cannot be looked up: {reason}"))
    } else if error.is_connect() {
        (Connect, reason)
    } else if http.is_some_and(|http| http.to_string().contains("head is too large")) {
        let what = "its headers are too large or too many";
        (TooLarge, what.to_owned())
    } else if http.is_some_and(hyper::Error::is_parse) {
        (
            ConnectionLost,
            format!("what it answers is not HTTP: {reason}"),
        )
    } else {
        (ConnectionLost, reason)
    }
}
