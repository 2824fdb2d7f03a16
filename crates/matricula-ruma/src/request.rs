//! Conversions of requests: ruma's to jobs and to matricula's types, and back.

use std::borrow::Cow;

use http::{HeaderValue, Uri, header::CONTENT_TYPE};
use matricula_api::{
    Endpoint,
    server::{self, ServerEndpoint},
};
use matricula_core::{
    Auth, Body, CredentialRef, Headers, Job, Method, OperationAuth, Query, ServerUrl,
};
use ruma_common::api::{
    IncomingRequest, IncomingRequestExt, Metadata, OutgoingRequest, path_builder::PathBuilder,
};

use crate::{
    Error, Newest, TakesToken,
    message::{content_of, header_of},
    operation::{job_for, known, segments},
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A ruma request as a job for `server`, without a credential: set one with [`Job::with_auth`], or
/// use [`to_job_as`].
///
/// The properties of the operation (name, retry safety, secrets) are those of matricula. For an
/// unknown operation, the whole body counts as secret, and `RetrySafety::by_method` applies.
///
/// # Errors
/// If ruma cannot serialise the request.
pub fn to_job<R>(request: R, server: &ServerUrl) -> Result<Job, Error>
where
    R: OutgoingRequest,
    R::PathBuilder: Newest,
{
    let parts = Parts::of(request)?;
    let mut job = job_for::<R>(server, &parts.path, parts.method);
    for (name, value) in parts.query {
        job = job.with_query(name, value);
    }
    for (name, value) in parts.header {
        job = job.with_header(name, value);
    }
    Ok(job.with_body(parts.body))
}

/// The same, with this credential if the operation takes one. The runner adds the token.
///
/// # Errors
/// If ruma cannot serialise the request.
pub fn to_job_as<R>(
    request: R,
    server: &ServerUrl,
    credential: &CredentialRef,
) -> Result<Job, Error>
where
    R: OutgoingRequest,
    R::PathBuilder: Newest,
    R::Authentication: TakesToken,
{
    let job = to_job(request, server)?;
    let known = known::<R>(job.request_method(), path_of(&job));
    let taken = known
        .first()
        .map_or(R::Authentication::TAKEN, |one| one.auth);
    // As a client: tokens that only an application service needs are left out.
    Ok(match taken {
        OperationAuth::None | OperationAuth::AppserviceOptional => job,
        OperationAuth::Optional => job.with_auth(Auth::Optional(credential.clone())),
        _ => job.with_auth(Auth::Required(credential.clone())),
    })
}

/// A ruma request as matricula's type.
///
/// # Errors
/// If it belongs to another operation, or if matricula rejects it.
pub fn to_matricula<E, R>(request: R) -> Result<E, Error>
where
    E: ServerEndpoint,
    R: OutgoingRequest,
    R::PathBuilder: Newest,
{
    let parts = Parts::of(request)?;
    let other = || other_operation(parts.method, &parts.path, &wanted::<E>());
    if parts.method != E::OPERATION.method {
        return Err(other());
    }
    let incoming = server::IncomingRequest::new(&E::OPERATION, &parts.path).ok_or_else(other)?;
    let mut header = parts.header;
    if matches!(parts.body, Body::Json(_)) {
        header.push((CONTENT_TYPE.as_str().into(), "application/json".to_owned()));
    }
    let incoming = incoming
        .with_query(parts.query)
        .with_headers(header)
        .with(parts.body);
    Ok(E::read_request(&incoming)?)
}

/// A matricula request as ruma's type.
///
/// # Errors
/// If it belongs to another operation, or if ruma rejects it.
pub fn to_ruma<R: IncomingRequest>(request: &impl Endpoint) -> Result<R, Error> {
    // Any server works: ruma's types do not contain it.
    let nowhere = "https://localhost".parse::<ServerUrl>();
    let nowhere = nowhere.expect("https://localhost is an address");
    from_job(&request.job(&nowhere))
}

/// The request of a job as ruma's type. The credential is lost: ruma's types have none.
///
/// # Errors
/// If it belongs to another operation, if ruma rejects it, or if its body is a file.
pub fn from_job<R: IncomingRequest>(job: &Job) -> Result<R, Error> {
    let method = job.request_method();
    let arguments = arguments::<R>(job).filter(|_| method.as_str() == R::METHOD.as_str());
    let arguments = arguments.ok_or_else(|| {
        let newest = R::PATH_BUILDER.all_paths().last().unwrap_or_default();
        other_operation(method, path_of(job), &format!("{} {newest}", R::METHOD))
    })?;
    if let Body::File(_) = job.request_body() {
        return Err(Error::File);
    }
    let (parts, body) = job.clone().into_http(None)?.into_parts();
    let body = body.as_bytes();
    let request = http::Request::from_parts(parts, body);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    R::try_from_http_request(request, &arguments).map_err(Error::Read)
}

/// The path arguments of a job; `None` if it does not match a path of `R`.
fn arguments<R: Metadata>(job: &Job) -> Option<Vec<String>> {
    let path = path_of(job);
    let paths = R::PATH_BUILDER;
    paths.all_paths().find_map(|template| {
        // The server URL may have a path.
        let surplus = path
            .matches('/')
            .count()
            .checked_sub(template.matches('/').count())?;
        let (start, _) = path.match_indices('/').nth(surplus)?;
        segments(template, &path[start..])
    })
}

/// The path of a job's URL, including the path of the server URL.
fn path_of(job: &Job) -> &str {
    let url = job.url();
    let authority = url.find("://").map_or(0, |at| at + 3);
    url[authority..]
        .find('/')
        .map_or("", |at| &url[authority + at..])
}

fn wanted<E: Endpoint>() -> String {
    format!("{} {}", E::OPERATION.method, E::OPERATION.path)
}

fn other_operation(method: Method, path: &str, wanted: &str) -> Error {
    Error::OtherOperation {
        method: method.to_string(),
        path: path.to_owned(),
        wanted: wanted.to_owned(),
    }
}

/// The parts of a ruma request, without a token, which ruma adds later.
struct Parts {
    method: Method,
    /// Encoded.
    path: String,
    query: Query,
    /// Without the content type of a JSON body, which every runner adds.
    header: Headers,
    body: Body,
}

impl Parts {
    fn of<R>(request: R) -> Result<Self, Error>
    where
        R: OutgoingRequest,
        R::PathBuilder: Newest,
    {
        let request = request.try_into_http_request_inner("", R::PathBuilder::newest());
        let (head, body) = request.map_err(Error::Write)?.into_parts();
        let mut headers = head.headers;
        let bytes = content_of(body, &mut headers)?;
        let is_json = headers.get(CONTENT_TYPE) == Some(&JSON);
        let body = match String::from_utf8(bytes) {
            Ok(text) if text.is_empty() => Body::Empty,
            Ok(text) if is_json => Body::Json(text),
            Ok(text) => Body::Bytes(text.into_bytes()),
            Err(error) => Body::Bytes(error.into_bytes()),
        };
        if matches!(body, Body::Json(_) | Body::Empty) && is_json {
            headers.remove(CONTENT_TYPE);
        }
        Ok(Self {
            method: method(&head.method)?,
            path: harmless(&head.uri),
            query: query(&head.uri),
            header: header_of(&headers),
            body,
        })
    }
}

fn method(method: &http::Method) -> Result<Method, Error> {
    let known = [Method::Get, Method::Post, Method::Put, Method::Delete];
    let same = |one: &Method| one.as_str() == method.as_str();
    let found = known.into_iter().find(same);
    found.ok_or_else(|| Error::Method(method.clone()))
}

/// The path of a URL. URL parsers treat the segments `.` and `..` as path steps, so they are
/// encoded twice, which makes them harmless.
fn harmless(uri: &Uri) -> String {
    let segments = uri.path().split('/').map(|segment| match segment {
        "." => "%252E",
        ".." => "%252E%252E",
        segment => segment,
    });
    segments.collect::<Vec<_>>().join("/")
}

fn query(uri: &Uri) -> Query {
    let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    pairs
        .map(|(name, value)| (Cow::Owned(name.into_owned()), value.into_owned()))
        .collect()
}
