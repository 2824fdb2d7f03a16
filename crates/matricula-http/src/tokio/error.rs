//! Converts errors of reqwest, and says whether the server may have processed the request.

use std::{error::Error, iter, time::Duration};

use matricula_core::{Processed, TransportError, TransportErrorKind};
use url::Url;

use crate::{
    HttpOptions,
    error::{host_of, tls_error, tls_reason},
};

/// The error of a request to `url` with this `timeout`. It repeats nothing of the request but its
/// origin.
pub(super) fn transport_error(
    url: &Url,
    options: &HttpOptions,
    timeout: Duration,
    error: reqwest::Error,
) -> TransportError {
    // The address may hold a secret in its query.
    let error = error.without_url();
    let causes: Vec<&(dyn Error + 'static)> =
        iter::successors(error.source(), |cause| (*cause).source()).collect();
    let http = causes
        .iter()
        .find_map(|cause| cause.downcast_ref::<hyper::Error>());
    // hyper calls a request canceled that was still waiting for a connection.
    let never_sent =
        error.is_builder() || error.is_connect() || http.is_some_and(hyper::Error::is_canceled);
    let (kind, what) = classify(options, timeout, &error, &causes, http);
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

fn classify(
    options: &HttpOptions,
    timeout: Duration,
    error: &reqwest::Error,
    causes: &[&(dyn Error + 'static)],
    http: Option<&hyper::Error>,
) -> (TransportErrorKind, String) {
    use TransportErrorKind::{Connect, ConnectionLost, InvalidRequest, Timeout, Tls, TooLarge};
    // The innermost cause says most.
    let reason = causes
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string);
    if error.is_builder() {
        (InvalidRequest, reason)
    } else if error.is_timeout() && error.is_connect() {
        let timeout = options.effective_connect_timeout();
        (Timeout, format!("no connection within {timeout:?}"))
    } else if error.is_timeout() {
        (Timeout, format!("no complete response within {timeout:?}"))
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
            format!("its response is not HTTP: {reason}"),
        )
    } else {
        (ConnectionLost, reason)
    }
}
