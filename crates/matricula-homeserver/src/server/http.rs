//! From HTTP requests to the worker and back: bodies, long polling, files, CORS.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use http::request::Parts;
use hyper::{
    HeaderMap, Response, StatusCode,
    body::{Body as _, Incoming},
    header::{self, HeaderName, HeaderValue},
};
use matricula_api::{ErrorCode, server::OutgoingResponse};
use matricula_core::{Method, Secret};
use tokio::{
    sync::{Notify, Semaphore, SemaphorePermit, oneshot, watch},
    time::{Instant, sleep_until, timeout},
};

use super::{
    ServerLimits,
    body::Body,
    connections::Connection,
    delegation::DelegationClient,
    faults::{Fault, Planned},
    media::{self, MediaDir, TempFile},
    memory::{Memory, Room, SMALL},
    services,
    worker::{Command, Handled, PendingRequest, PendingWait},
};
use crate::{
    FileAction, HandlerResponse, Request,
    engine::{self, ApiError},
};

/// The largest body that is read into memory.
const MAX_BODY: usize = 1024 * 1024;
/// When a client should try again that found no room for its large body or response.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The shortest time after which a waiting request is handled again without a change.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);

/// The state that all requests share.
#[derive(Clone)]
pub(crate) struct AppState {
    commands: mpsc::Sender<Command>,
    /// The requests that are handled at once.
    permits: Arc<Semaphore>,
    body_timeout: Duration,
    /// The bodies of requests.
    bodies: Arc<Memory>,
    /// The responses that are being written.
    responses: Arc<Memory>,
    delegation: Option<Arc<DelegationClient>>,
    /// Wakes the task that sends mail.
    wake_mail: Arc<Notify>,
    /// Wake the tasks that push events to application services.
    wake_services: Arc<[Arc<Notify>]>,
    services: Arc<[services::Target]>,
    is_stopping: watch::Receiver<bool>,
    media_dir: Arc<MediaDir>,
    faults: Planned,
}

impl AppState {
    pub(crate) fn new(
        commands: mpsc::Sender<Command>,
        delegation: Option<DelegationClient>,
        wake_mail: Arc<Notify>,
        wake_services: Arc<[Arc<Notify>]>,
        services: Arc<[services::Target]>,
        is_stopping: watch::Receiver<bool>,
        media_dir: MediaDir,
    ) -> Self {
        let limits = ServerLimits::default();
        Self {
            commands,
            permits: Arc::new(Semaphore::new(limits.requests)),
            body_timeout: limits.body_timeout,
            bodies: Memory::new(limits.bodies),
            responses: Memory::new(limits.responses),
            delegation: delegation.map(Arc::new),
            wake_mail,
            wake_services,
            services,
            is_stopping,
            media_dir: Arc::new(media_dir),
            faults: Planned::default(),
        }
    }

    /// The same, with these limits.
    pub(crate) fn with_limits(self, limits: &ServerLimits) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(limits.requests)),
            body_timeout: limits.body_timeout,
            bodies: Memory::new(limits.bodies),
            responses: Memory::new(limits.responses),
            ..self
        }
    }

    /// The same, with the faults that a test plans.
    pub(crate) fn with_faults(self, faults: Planned) -> Self {
        Self { faults, ..self }
    }
}

/// A test wants the connection to end without a response.
#[derive(Debug, thiserror::Error)]
#[error("the response is lost")]
pub(crate) struct Lost;

/// Handles any request, unless a test plans a fault.
pub(crate) async fn serve(
    state: AppState,
    client: &Connection,
    request: hyper::Request<Incoming>,
) -> Result<Response<Body>, Lost> {
    let error = match state.faults.take(request.uri().path()) {
        None => return Ok(serve_request(state, client, request).await),
        Some(Fault::LoseRequest) => return Err(Lost),
        Some(Fault::LoseResponse) => {
            let _ = serve_request(state, client, request).await;
            return Err(Lost);
        }
        Some(Fault::RateLimit(wait)) => ApiError::rate_limited(wait),
        Some(Fault::Fail) => ApiError::new(500, ErrorCode::Unknown, "a test wants this failure"),
        Some(Fault::RejectToken) => {
            let error = "a test wants this token not to be accepted";
            ApiError::new(400, ErrorCode::InvalidParam, error)
        }
    };
    Ok(to_http(error.into_reply()))
}

/// The engine routes requests itself.
async fn serve_request(
    state: AppState,
    client: &Connection,
    request: hyper::Request<Incoming>,
) -> Response<Body> {
    // A CORS preflight request must not reach the endpoint.
    if request.method() == hyper::Method::OPTIONS {
        return to_http(OutgoingResponse::new(204, Vec::new(), Vec::new()));
    }
    let (head, body) = request.into_parts();
    let response = match read_head(&head, client) {
        Ok(request) if engine::media::is_upload(request.method, &request.path) => {
            handle_upload(&state, client, request, &head.headers, body).await
        }
        Ok(request) => handle_plain(&state, client, request, &head.headers, body).await,
        Err(error) => Err(error),
    };
    let HandlerResponse {
        reply, file_action, ..
    } = response.unwrap_or_else(|error| error.into_reply().into());
    match file_action {
        Some(FileAction::Send(file)) => {
            let Ok(room) = state
                .responses
                .take(&client.address, media::memory_of(&file))
            else {
                return to_http(no_room().into_reply());
            };
            let mut response = to_http(reply);
            allow_cors(response.headers_mut());
            let sent = media::send(response, &head.headers, &state.media_dir, file, room).await;
            sent.unwrap_or_else(to_http)
        }
        // A response that finds no room is dropped: while it waited, it would need the memory.
        _ => match state.responses.take(&client.address, reply.body.len()) {
            Ok(room) => to_http_in(reply, room),
            Err(_) => to_http(no_room().into_reply()),
        },
    }
}

/// Handles a request whose body fits into memory.
async fn handle_plain(
    state: &AppState,
    client: &Connection,
    mut request: Request,
    headers: &HeaderMap,
    mut body: Incoming,
) -> Result<HandlerResponse, ApiError> {
    let read = timeout(state.body_timeout, read_body(state, client, &mut body)).await;
    let read = read.unwrap_or_else(|_| Err(body_timed_out()));
    let (bytes, _room) = match read {
        Ok(read) => read,
        Err(error) => {
            // Reading would send `100 Continue` to a client that waits for it.
            if !headers.contains_key(header::EXPECT) {
                media::drain(body);
            }
            return Err(error);
        }
    };
    request.body = bytes;
    let _serving = client.serving();
    let permits = permits(state, client).await?;
    match engine::long_poll_timeout(&request) {
        Some(timeout) => {
            // A waiting request does not count as running.
            drop(permits);
            Ok(long_poll(state, request, timeout).await)
        }
        None => {
            let repeated = (!state.services.is_empty()).then(|| request.clone());
            let response = dispatch(state, request, None).await;
            let (Some(call), Some(mut request)) = (&response.service_call, repeated) else {
                return Ok(response);
            };
            // The service may call this server before it responds.
            drop(permits);
            request.called = Some(services::call(&state.services, call).await);
            Ok(dispatch(state, request, None).await)
        }
    }
}

/// Waits until a request may run: first among those of its address, so that others need not wait for
/// all of them.
async fn permits<'a>(
    state: &'a AppState,
    client: &'a Connection,
) -> Result<[SemaphorePermit<'a>; 2], ApiError> {
    let of_address = client.requests.acquire().await.map_err(|_| stopping())?;
    let of_all = state.permits.acquire().await.map_err(|_| stopping())?;
    Ok([of_address, of_all])
}

/// A whole body, and the room that it takes.
async fn read_body(
    state: &AppState,
    client: &Connection,
    body: &mut Incoming,
) -> Result<(Vec<u8>, Option<Room>), ApiError> {
    let declared = body.size_hint().exact();
    let declared = declared.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if declared.is_some_and(|length| length > MAX_BODY) {
        return Err(too_large());
    }
    let (mut bytes, mut room) = (Vec::new(), None);
    while let Some(chunk) = media::next_chunk(body).await.map_err(|_| cut_short())? {
        let length = bytes.len() + chunk.len();
        if length > MAX_BODY {
            return Err(too_large());
        }
        if length > SMALL && room.is_none() {
            let whole = declared.unwrap_or(MAX_BODY);
            room = state
                .bodies
                .take(&client.address, whole)
                .map_err(|_| no_room())?;
            bytes.reserve_exact(whole.saturating_sub(bytes.len()));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((bytes, room))
}

fn too_large() -> ApiError {
    let error = "the request's body is larger than 1 MiB";
    ApiError::new(413, ErrorCode::TooLarge, error)
}

fn cut_short() -> ApiError {
    ApiError::new(400, ErrorCode::Unknown, "the request's body was cut short")
}

fn body_timed_out() -> ApiError {
    ApiError::new(408, ErrorCode::Unknown, "the request's body took too long")
}

fn no_room() -> ApiError {
    ApiError::rate_limited(RETRY_AFTER)
}

/// Handles a request whose body is a file. The body is read only once the upload is authorized.
async fn handle_upload(
    state: &AppState,
    client: &Connection,
    mut request: Request,
    headers: &HeaderMap,
    mut body: Incoming,
) -> Result<HandlerResponse, ApiError> {
    request.content_length = body.size_hint().exact();
    let response = dispatch_permitted(state, client, request.clone(), None).await?;
    let Some(FileAction::Receive(upload)) = response.file_action else {
        // Reading would send `100 Continue` to a client that waits for it.
        if !headers.contains_key(header::EXPECT) {
            media::drain(body);
        }
        return Ok(response);
    };
    match media::receive(&state.media_dir, upload, &mut body, state.body_timeout).await {
        Ok((received, file)) => {
            request.received = Some(received);
            dispatch_permitted(state, client, request, Some(file)).await
        }
        Err(error) => {
            media::drain(body);
            Err(error)
        }
    }
}

/// Sends a request of this client to the worker.
async fn dispatch_permitted(
    state: &AppState,
    client: &Connection,
    request: Request,
    received: Option<TempFile>,
) -> Result<HandlerResponse, ApiError> {
    let _serving = client.serving();
    let _permits = permits(state, client).await?;
    Ok(dispatch(state, request, received).await)
}

/// Repeats a request after each change, until its response has changes or the timeout has passed.
async fn long_poll(state: &AppState, request: Request, timeout: Duration) -> HandlerResponse {
    let deadline = Instant::now() + timeout;
    let mut is_stopping = state.is_stopping.clone();
    loop {
        let may_wait = !*is_stopping.borrow_and_update() && Instant::now() < deadline;
        let (response, wait) = try_dispatch(state, request.clone(), None, may_wait).await;
        let Some(PendingWait { change, at_most }) = wait else {
            return response;
        };
        // A clock that stands still must not cause a request after the other.
        let again = at_most.map(|time| Instant::now() + time.max(SHORTEST_WAIT));
        tokio::select! {
            // The worker drops the other end at a change.
            _ = change => {}
            () = sleep_until(again.unwrap_or(deadline)), if again.is_some_and(|it| it < deadline) => {}
            _ = is_stopping.changed() => {}
            () = sleep_until(deadline) => return response,
        }
    }
}

/// Sends a request to the worker, and then the delegation calls that it has queued.
async fn dispatch(
    state: &AppState,
    request: Request,
    received: Option<TempFile>,
) -> HandlerResponse {
    try_dispatch(state, request, received, false).await.0
}

/// The same. A request that may wait also gets its wait, if there is nothing to respond yet.
async fn try_dispatch(
    state: &AppState,
    request: Request,
    received: Option<TempFile>,
    may_wait: bool,
) -> (HandlerResponse, Option<PendingWait>) {
    let (respond, handled) = oneshot::channel();
    let pending = PendingRequest {
        request,
        received,
        may_wait,
        respond,
    };
    let sent = state.commands.send(Command::Handle(Box::new(pending)));
    let (Ok(()), Ok(handled)) = (sent, handled.await) else {
        return (stopping().into_reply().into(), None);
    };
    state.wake_mail.notify_one();
    if !handled.response.changed.is_empty() {
        for wake in &*state.wake_services {
            wake.notify_one();
        }
    }
    let Handled {
        response,
        has_calls,
        wait,
    } = handled;
    (flush_calls(state, response, has_calls).await, wait)
}

/// Sends the delegation calls that a request has queued, before its response.
async fn flush_calls(
    state: &AppState,
    response: HandlerResponse,
    has_calls: bool,
) -> HandlerResponse {
    match &state.delegation {
        Some(delegation) if has_calls => match delegation.flush(&state.commands).await {
            Ok(()) => response,
            Err(error) => {
                tracing::error!(%error, "a call to the delegating homeserver failed");
                let error = "the delegating homeserver cannot be reached";
                let error = ApiError::new(503, ErrorCode::Unknown, error);
                error.into_reply().into()
            }
        },
        _ => response,
    }
}

fn stopping() -> ApiError {
    ApiError::new(503, ErrorCode::Unknown, "the server is stopping")
}

/// Converts a request without its body.
fn read_head(head: &Parts, client: &Connection) -> Result<Request, ApiError> {
    let method = match head.method.as_str() {
        // hyper drops the body of a response to HEAD.
        "GET" | "HEAD" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        _ => {
            let error = "this server does not support this method";
            return Err(ApiError::method_not_allowed(error));
        }
    };
    let query = head.uri.query().unwrap_or_default().as_bytes();
    let content_type = head.headers.get(header::CONTENT_TYPE);
    let mut request = Request::new(method, head.uri.path());
    request.query = form_urlencoded::parse(query).into_owned().collect();
    request.access_token = bearer_token(&head.headers);
    request.content_type = content_type.and_then(|it| Some(it.to_str().ok()?.to_owned()));
    request.peer = client.address.to_string();
    Ok(request)
}

fn bearer_token(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| Secret::from(token.trim()))
}

fn to_http(reply: OutgoingResponse) -> Response<Body> {
    to_http_in(reply, None)
}

/// The same, where the body takes this room until it is written.
fn to_http_in(reply: OutgoingResponse, room: Option<Room>) -> Response<Body> {
    let mut response = Response::new(Body::bytes(reply.body, room));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let is_page = reply
        .headers
        .iter()
        .any(|(name, value)| name == "content-type" && value.starts_with("text/html"));
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::try_from(value),
        ) {
            headers.insert(name, value);
        }
    }
    // Scripts of other sites must not read pages.
    if !is_page {
        allow_cors(headers);
    }
    response
}

fn allow_cors(headers: &mut HeaderMap) {
    // https://spec.matrix.org/v1.19/client-server-api/#web-browser-clients
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "GET, POST, PUT, DELETE, OPTIONS",
        ),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "X-Requested-With, Content-Type, Authorization",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
