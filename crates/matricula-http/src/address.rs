//! Checks the address of a job, and decides how much of it is logged.

use std::borrow::Cow;

use matricula_core::{Job, ServerUrl, ServerUrlError, TransportError};
use url::{Position, Url};

use crate::{
    HttpOptions,
    error::{host_of, invalid_request},
};

/// The address of a job with its query. An address that can be written in a simpler way is refused:
/// another parser could see another server or path in it.
pub(crate) fn url_of(job: &Job) -> Result<Url, TransportError> {
    let mut url = match Url::parse(job.url()) {
        // The usual case: the address is already in its normal form.
        Ok(url) if url.as_str() == job.url() && is_plain(&url) => url,
        _ => parse_carefully(job)?,
    };
    let pairs = job.request_query();
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    Ok(url)
}

/// Whether it has a server and a path, and nothing else.
fn is_plain(url: &Url) -> bool {
    let is_host = |host: &str| !host.is_empty() && !host.ends_with('.');
    matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some_and(is_host)
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}

fn parse_carefully(job: &Job) -> Result<Url, TransportError> {
    if let Some((address, _)) = job.url().split_once(['?', '#']) {
        // The query is not repeated: it may hold a secret.
        return Err(invalid_request(format!(
            "{address} is followed by a query or fragment: a query belongs into the job's pairs"
        )));
    }
    let server: ServerUrl = job
        .url()
        .parse()
        .map_err(|error: ServerUrlError| invalid_request(error.to_string()))?;
    let url = Url::parse(job.url())
        .map_err(|error| invalid_request(format!("{server} is not a valid address: {error}")))?;
    if url.as_str().trim_end_matches('/') != server.as_str() {
        return Err(invalid_request(format!("{server} means {url}: use that")));
    }
    Ok(url)
}

/// Refuses an unencrypted request to another machine, unless that is allowed. Checked for every
/// request, those after a redirect included.
pub(crate) fn check_encryption(url: &Url, options: &HttpOptions) -> Result<(), TransportError> {
    let is_local = || server_of(url).is_some_and(|server| server.is_this_machine());
    if url.scheme() == "https" || options.allow_plain_http || is_local() {
        return Ok(());
    }
    Err(invalid_request(format!(
        "{} is not encrypted: everyone on the way could read what is sent there, and it was not \
         allowed",
        host_of(url)
    )))
}

/// Whether a request stays on this machine, where it needs neither a proxy nor a certificate.
pub(crate) fn is_loopback(url: &Url) -> bool {
    url.scheme() == "http" && server_of(url).is_some_and(|server| server.is_loopback())
}

/// The server of an address, if a job may be sent to it.
pub(crate) fn server_of(url: &Url) -> Option<ServerUrl> {
    url[..Position::BeforePath].parse().ok()
}

/// The path for logs, with the job's secrets masked. After a redirect it is unknown what is secret in
/// the path: that is why the job's own path is used where it has secrets.
pub(crate) fn path_of<'a>(job: &'a Job, url: &'a Url) -> Cow<'a, str> {
    match job.masked_url() {
        Cow::Owned(masked) => Cow::Owned(masked),
        Cow::Borrowed(_) => Cow::Borrowed(url.path()),
    }
}
