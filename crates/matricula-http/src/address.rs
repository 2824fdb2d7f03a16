//! The address that a job asks for: what it may be, and how much of it people are shown.

use std::borrow::Cow;

use matricula_core::{Job, ServerUrl, ServerUrlError, TransportError};
use url::{Position, Url};

use crate::{
    HttpOptions,
    error::{host_of, unsendable},
};

/// The address with its query. Another reader of the address than ours must not see another server
/// or path in it, so one that can be written more simply is refused.
pub(crate) fn url_of(job: &Job) -> Result<Url, TransportError> {
    let mut url = match Url::parse(job.url()) {
        // Nearly always: written as it would be read, which nobody can read otherwise.
        Ok(url) if url.as_str() == job.url() && is_plain(&url) => url,
        _ => read_with_care(job)?,
    };
    let pairs = job.request_query();
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    Ok(url)
}

/// Whether it names a server and a path, and nothing else.
fn is_plain(url: &Url) -> bool {
    let is_host = |host: &str| !host.is_empty() && !host.ends_with('.');
    matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some_and(is_host)
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}

fn read_with_care(job: &Job) -> Result<Url, TransportError> {
    if let Some((address, _)) = job.url().split_once(['?', '#']) {
        // What follows is not repeated: it may hold a secret.
        return Err(unsendable(format!(
            "{address} is followed by a query or fragment: a query belongs into the job's pairs"
        )));
    }
    let server: ServerUrl = job
        .url()
        .parse()
        .map_err(|error: ServerUrlError| unsendable(error.to_string()))?;
    let url = Url::parse(job.url())
        .map_err(|error| unsendable(format!("{server} is no address: {error}")))?;
    if url.as_str().trim_end_matches('/') != server.as_str() {
        return Err(unsendable(format!("{server} stands for {url}: use that")));
    }
    Ok(url)
}

/// Asked where every request passes: whoever named the address, and wherever a redirection led.
pub(crate) fn check_encryption(url: &Url, options: &HttpOptions) -> Result<(), TransportError> {
    let stays_here = || server_of(url).is_some_and(|server| server.is_this_machine());
    if url.scheme() == "https" || options.allow_plain_http || stays_here() {
        return Ok(());
    }
    Err(unsendable(format!(
        "{} is not encrypted: everyone on the way could read what is sent there, and it was not \
         allowed",
        host_of(url)
    )))
}

/// Whether a request goes to this machine itself, where neither a proxy nor a certificate is needed.
pub(crate) fn is_near(url: &Url) -> bool {
    url.scheme() == "http" && server_of(url).is_some_and(|server| server.is_loopback())
}

/// The server that the address leads to, where it is one that a job may name, too.
pub(crate) fn server_of(url: &Url) -> Option<ServerUrl> {
    url[..Position::BeforePath].parse().ok()
}

/// The path for people to read. Where a redirection led, nobody knows what is secret in it.
pub(crate) fn path_of<'a>(job: &'a Job, url: &'a Url) -> Cow<'a, str> {
    match job.masked_url() {
        Cow::Owned(masked) => Cow::Owned(masked),
        Cow::Borrowed(_) => Cow::Borrowed(url.path()),
    }
}
