//! A request that a server receives.

use std::{borrow::Cow, str::Utf8Error};

use matricula_core::{Api, Body, Job, Operation};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{FromText, ParameterLocation, RequestError};
use crate::SortedMap;
use crate::codec::{self, Error, Read, Reader};

/// A request to an operation: the values of path, query, headers and body.
pub struct IncomingRequest<'a> {
    /// Name and decoded value of the path parameters, in order.
    segments: Vec<(&'static str, String)>,
    query: Cow<'a, [(Cow<'a, str>, String)]>,
    headers: Cow<'a, [(Cow<'a, str>, String)]>,
    body: Cow<'a, Body>,
    /// Whether a part of the body that does not fit is an error: not in what homeservers send.
    is_strict: bool,
}

/// Whether clients send the requests to `operation`.
fn is_strict(operation: &Operation) -> bool {
    !matches!(operation.api, Api::Appservice | Api::Push)
}

impl<'a> IncomingRequest<'a> {
    /// A request to `operation`; `None` if `path` (encoded, without query) does not match it.
    pub fn new(operation: &Operation, path: &str) -> Option<Self> {
        Some(Self {
            segments: segments(operation.path, path)?,
            query: Cow::Borrowed(&[]),
            headers: Cow::Borrowed(&[]),
            body: Cow::Owned(Body::Empty),
            is_strict: is_strict(operation),
        })
    }

    /// A request to `operation` with these path parameters, not encoded; `None` if one is missing.
    pub fn of_path(operation: &Operation, values: &[(&str, &str)]) -> Option<Self> {
        let names = operation.path.split('/').filter_map(parameter);
        let value = |name| values.iter().find(|(known, _)| *known == name);
        let segments = names.map(|name| value(name).map(|(_, text)| (name, (*text).to_owned())));
        Some(Self {
            segments: segments.collect::<Option<_>>()?,
            query: Cow::Borrowed(&[]),
            headers: Cow::Borrowed(&[]),
            body: Cow::Owned(Body::Empty),
            is_strict: is_strict(operation),
        })
    }

    /// The request that a job sends; `None` if the job belongs to another operation.
    pub fn of_job(operation: &Operation, job: &Job) -> Option<Self> {
        let url = job.url();
        // The server URL may have a path.
        let start = operation.path.split('{').next().unwrap_or_default();
        let mut request = Self::new(operation, &url[url.find(start)?..])?;
        let own = |pairs: &[(Cow<'static, str>, String)]| Cow::Owned(pairs.to_vec());
        request.query = own(job.request_query());
        request.headers = own(job.request_headers());
        request.body = Cow::Owned(job.request_body().clone());
        Some(request)
    }

    /// Sets the query parameters, decoded.
    #[must_use]
    pub fn with_query(mut self, pairs: Vec<(Cow<'a, str>, String)>) -> Self {
        self.query = Cow::Owned(pairs);
        self
    }

    /// Sets the headers.
    #[must_use]
    pub fn with_headers(mut self, headers: Vec<(Cow<'a, str>, String)>) -> Self {
        self.headers = Cow::Owned(headers);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: &[u8]) -> Self {
        self.body = Cow::Owned(match body {
            [] => Body::Empty,
            body => Body::Bytes(body.to_vec()),
        });
        self
    }

    /// Sets any kind of body, such as a file.
    #[must_use]
    pub fn with(mut self, body: Body) -> Self {
        self.body = Cow::Owned(body);
        self
    }

    pub(crate) fn path<T: FromText>(&self, name: &'static str) -> Result<T, RequestError> {
        let found = self.segments.iter().find(|(known, _)| *known == name);
        let text = found.map_or("", |(_, text)| text);
        read(ParameterLocation::Path, name, text)
    }

    pub(crate) fn query<T: FromText>(&self, name: &'static str) -> Result<T, RequestError> {
        required(ParameterLocation::Query, name, self.query_optional(name)?)
    }

    pub(crate) fn query_optional<T: FromText>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, RequestError> {
        let found = self.query.iter().find(|(known, _)| known == name);
        let value = found.map(|(_, text)| read(ParameterLocation::Query, name, text));
        value.transpose()
    }

    #[allow(dead_code, reason = "no header is required in the APIs that are on")]
    pub(crate) fn header<T: FromText>(&self, name: &'static str) -> Result<T, RequestError> {
        required(ParameterLocation::Header, name, self.header_optional(name)?)
    }

    pub(crate) fn header_optional<T: FromText>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, RequestError> {
        let is = |known: &Cow<'_, str>| known.eq_ignore_ascii_case(name);
        let found = self.headers.iter().find(|(known, _)| is(known));
        let value = found.map(|(_, text)| read(ParameterLocation::Header, name, text));
        value.transpose()
    }

    /// All values of a query parameter.
    pub(crate) fn list<T: FromText>(&self, name: &'static str) -> Result<Vec<T>, RequestError> {
        let found = self.query.iter().filter(|(known, _)| known == name);
        found
            .map(|(_, text)| read(ParameterLocation::Query, name, text))
            .collect()
    }

    /// All values of a query parameter; `None` if there are none.
    pub(crate) fn optional_list<T: FromText>(
        &self,
        name: &'static str,
    ) -> Result<Option<Vec<T>>, RequestError> {
        let all = self.list(name)?;
        Ok((!all.is_empty()).then_some(all))
    }

    /// The query parameters with other names than these.
    pub(crate) fn other_pairs(&self, named: &[&str]) -> SortedMap<String, String> {
        let others = self
            .query
            .iter()
            .filter(|(name, _)| !named.contains(&name.as_ref()));
        others
            .map(|(name, value)| (name.clone().into_owned(), value.clone()))
            .collect()
    }

    /// The body as an object. An empty body is `{}`.
    pub(crate) fn object<T>(
        &self,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, Error>,
    ) -> Result<T, RequestError> {
        let body = self.json_text()?;
        let read = codec::from_request(body, self.is_strict, read);
        read.map_err(|error| RequestError::of_body(body, &error))
    }

    /// The body as one JSON value.
    pub(crate) fn json<T: Read>(&self) -> Result<T, RequestError> {
        self.object(T::read)
    }

    /// The field of the body with this name.
    pub(crate) fn keyed(&self, name: &str) -> Result<Value, RequestError> {
        let mut body: serde_json::Map<String, Value> = self.json()?;
        body.remove(name).ok_or_else(|| RequestError::Missing {
            location: ParameterLocation::Body,
            name: name.to_owned(),
        })
    }

    /// The body, unparsed.
    pub(crate) fn bytes(&self) -> Body {
        self.body.clone().into_owned()
    }

    fn json_text(&self) -> Result<&str, RequestError> {
        match self.body.text() {
            Ok("") => Ok("{}"),
            Ok(body) => Ok(body),
            Err(error) => Err(RequestError::NotJson(error.to_string())),
        }
    }
}

/// Reads the body of a request to a hand-written operation, whose type this crate has. Each invalid part is an
/// error; serde's `Deserialize` would read the rest.
///
/// # Errors
/// What is missing or invalid, and where.
pub fn read_body<T: Read>(body: &[u8]) -> Result<T, RequestError> {
    let not_json = |error: Utf8Error| RequestError::NotJson(error.to_string());
    let body = str::from_utf8(body).map_err(not_json)?;
    let read = codec::from_request(body, true, T::read);
    read.map_err(|error| RequestError::of_body(body, &error))
}

fn read<T: FromText>(
    location: ParameterLocation,
    name: &str,
    text: &str,
) -> Result<T, RequestError> {
    T::from_text(text).map_err(|reason| RequestError::Invalid {
        location,
        name: name.to_owned(),
        reason,
    })
}

fn required<T>(
    location: ParameterLocation,
    name: &str,
    value: Option<T>,
) -> Result<T, RequestError> {
    value.ok_or_else(|| RequestError::Missing {
        location,
        name: name.to_owned(),
    })
}

/// The parameters of `template` in `path`; `None` if `path` does not match.
pub(super) fn segments(template: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let mut found = Vec::new();
    let mut actual = path.split('/');
    for expected in template.split('/') {
        let actual = match actual.next() {
            Some(actual) => actual,
            // With an empty state key, clients may omit the slash before it.
            None if matches!(expected, "{stateKey}" | "") => "",
            None => return None,
        };
        match parameter(expected) {
            Some(name) => {
                let text = percent_decode_str(actual).decode_utf8().ok()?;
                found.push((name, text.into_owned()));
            }
            None if expected == actual => {}
            None => return None,
        }
    }
    actual.next().is_none().then_some(found)
}

/// The parameter name of a template segment.
fn parameter(segment: &'static str) -> Option<&'static str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}
