//! The work as a program on matricula does it.

use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Uri,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE},
};
use matricula_api::{
    ApiError, Endpoint, RoomId,
    client::{
        registration::{Register, RegisterResponse},
        room_send::SendMessage,
        sync::{Sync, SyncResponse},
    },
    events::{EventContent, RoomMessage},
};
use matricula_job::{Body, Job, Method, Response, ServerUrl};
use url::Url;

use crate::inputs::{DEVICE_NAME, MESSAGE, PASSWORD, TXN, USERNAME};

/// A registration as a value.
pub fn register(server: &ServerUrl) -> Job {
    Register {
        username: Some(USERNAME.into()),
        password: Some(PASSWORD.into()),
        initial_device_display_name: Some(DEVICE_NAME.into()),
        ..Default::default()
    }
    .job(server)
}

/// A message as a value.
pub fn send(server: &ServerUrl, room: &RoomId) -> Job {
    let content = RoomMessage::text(MESSAGE);
    SendMessage::new(room.clone(), RoomMessage::TYPE, TXN, content.to_raw()).job(server)
}

/// The job as it goes out, its address taken as it is.
///
/// What the runner does is private to it, and ends in a request of its HTTP client. This copies the
/// same parts out of a borrowed job, as that does, up to the form that the peers end in.
pub fn wire(job: &Job, token: Option<&str>) -> Request<Vec<u8>> {
    request(job, uri(job.url(), job), token)
}

/// The same with the checks that the runner makes: no other reader of the address may see another
/// server or path in it.
pub fn wire_checked(job: &Job, token: Option<&str>) -> Request<Vec<u8>> {
    let server: ServerUrl = job.url().parse().expect("an address of a server");
    let url = Url::parse(job.url()).expect("an address");
    assert_eq!(url.as_str().trim_end_matches('/'), server.as_str());
    request(job, uri(url.as_str(), job), token)
}

fn uri(address: &str, job: &Job) -> Uri {
    let pairs = job.request_query();
    let uri = if pairs.is_empty() {
        Uri::try_from(address)
    } else {
        let mut query =
            form_urlencoded::Serializer::for_suffix(address.to_owned() + "?", address.len() + 1);
        Uri::try_from(query.extend_pairs(pairs).finish())
    };
    uri.expect("the job has an address")
}

fn request(job: &Job, uri: Uri, token: Option<&str>) -> Request<Vec<u8>> {
    let mut request = Request::new(job.request_body().as_bytes().to_vec());
    *request.method_mut() = match job.request_method() {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Delete => http::Method::DELETE,
    };
    *request.uri_mut() = uri;
    *request.headers_mut() = headers(job, token);
    request
}

fn headers(job: &Job, token: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in job.request_header() {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        headers.insert(name, HeaderValue::from_str(value).expect("a value"));
    }
    if let Some(token) = token {
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).expect("a token");
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let content_type = match job.request_body() {
        Body::Json(_) => "application/json",
        Body::Form(_) => "application/x-www-form-urlencoded",
        _ => "",
    };
    if !content_type.is_empty() && !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    let takes_body = matches!(job.request_method(), Method::Post | Method::Put);
    if takes_body && job.request_body().as_bytes().is_empty() {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    headers
}

/// An answer as it came from the wire.
pub fn answer(status: u16, body: &str) -> Response {
    Response::new(status, Vec::new(), Body::Json(body.to_owned()))
}

/// Reads the answer to a registration.
///
/// # Errors
/// What the server wants instead.
pub fn read_register(answer: &Response) -> Result<RegisterResponse, ApiError> {
    Register::read(answer)
}

/// Reads what is new, its events as text.
///
/// # Errors
/// What the server says instead.
pub fn read_sync(answer: &Response) -> Result<SyncResponse, ApiError> {
    Sync::read(answer)
}
