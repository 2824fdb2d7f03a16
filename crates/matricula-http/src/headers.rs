//! Headers of requests and responses.

use std::borrow::Cow;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE},
};
use matricula_core::{Body, Headers, Job, Method, Secret, TransportError};

use crate::{HttpOptions, download::PartialDownload, error::invalid_request};

/// Headers that only the job's own server receives: after a redirect they are left out.
#[derive(Clone, Copy, Default)]
pub(crate) struct OriginHeaders<'a> {
    headers: &'a [(Cow<'static, str>, String)],
    token: Option<&'a Secret>,
}

impl<'a> OriginHeaders<'a> {
    pub(crate) fn new(job: &'a Job, token: Option<&'a Secret>) -> Self {
        Self {
            headers: job.request_headers(),
            token,
        }
    }
}

/// The headers of a request, without those that every request of a program has.
pub(crate) fn request_headers(
    job: &Job,
    origin: OriginHeaders<'_>,
    partial: Option<&PartialDownload>,
) -> Result<HeaderMap, TransportError> {
    let mut headers = HeaderMap::new();
    if job.response_file().is_some() {
        // A range counts uncompressed bytes.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    if let Some(partial) = partial {
        partial.add_range(&mut headers);
    }
    for (name, value) in origin.headers {
        let name: HeaderName = name.parse().map_err(unwritable)?;
        let value = HeaderValue::from_str(value).map_err(unwritable)?;
        headers.append(name, value);
    }
    if let Some(token) = origin.token {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| invalid_request("the token has characters that no header can carry"))?;
        value.set_sensitive(true);
        headers.append(AUTHORIZATION, value);
    }
    if needs_zero_length(job) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
    } else if let Some(content_type) = job.request_body().content_type()
        && !has_content_type(job)
    {
        let value = HeaderValue::from_str(content_type).map_err(unwritable)?;
        headers.insert(CONTENT_TYPE, value);
    }
    Ok(headers)
}

/// The value of the header `User-Agent`.
pub(crate) fn user_agent(options: &HttpOptions) -> Result<HeaderValue, TransportError> {
    HeaderValue::from_str(&options.user_agent).map_err(|_| {
        invalid_request(format!(
            "the program's name {:?} has characters that no header can carry",
            options.user_agent
        ))
    })
}

/// Without `content-length: 0`, servers and proxies may wait for the body of a POST or PUT.
fn needs_zero_length(job: &Job) -> bool {
    let takes_body = matches!(job.request_method(), Method::Post | Method::Put);
    takes_body && is_empty(job.request_body())
}

/// Whether a request has no body.
pub(crate) fn is_empty(body: &Body) -> bool {
    !matches!(body, Body::File(_)) && body.as_bytes().is_empty()
}

fn has_content_type(job: &Job) -> bool {
    let mut names = job.request_headers().iter().map(|(name, _)| name);
    names.any(|name| name.eq_ignore_ascii_case(CONTENT_TYPE.as_str()))
}

/// The headers of a response.
pub(crate) fn response_headers(headers: &HeaderMap) -> Headers {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = headers.iter();
    headers
        .map(|(name, value)| (name.as_str().to_owned().into(), text(value)))
        .collect()
}

/// The body of a response that should be text.
pub(crate) fn text_or_bytes(bytes: Vec<u8>) -> Body {
    match String::from_utf8(bytes) {
        Ok(text) => Body::Json(text),
        Err(error) => Body::Bytes(error.into_bytes()),
    }
}

fn unwritable(error: impl std::fmt::Display) -> TransportError {
    invalid_request(error.to_string())
}
