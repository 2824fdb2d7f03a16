//! HTTP around the homeserver: axum on tokio, one thread that owns the database.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, mpsc},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{ConnectInfo, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
};
use matricula_api::{ErrorCode, server::OutgoingResponse};
use matricula_core::{Method, Secret, ServerUrl, Timestamp};
use tokio::{
    net::TcpListener,
    sync::{Notify, Semaphore, oneshot, watch},
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    Config, Database, Error, FileAction, HandlerResponse, Homeserver, Request,
    connections::{Connections, Peer},
    delivery::DelegationClient,
    engine::{self, ApiError},
    keeper::{Changes, Command, Worker},
    mail,
    media::{self, MediaDir, TempFile},
};

/// The largest body that is read.
const MAX_BODY: usize = 1024 * 1024;
/// How many requests are in work at once; more wait their turn.
const MAX_REQUESTS: usize = 64;
/// How many connections are open at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 256;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests in work may take once the server is to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How a [`Server`] is started: where it listens, what it keeps its data in, and what it allows.
#[derive(Clone)]
#[must_use]
pub struct ServerOptions {
    pub(crate) config: Config,
    pub(crate) database: Option<PathBuf>,
    pub(crate) publish_address: bool,
    listen: SocketAddr,
    allow_remote: bool,
    allow_open_registration: bool,
    clock: Clock,
}

impl ServerOptions {
    /// A server in memory, on a free port of 127.0.0.1, with the system's clock.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            database: None,
            publish_address: true,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            allow_remote: false,
            allow_open_registration: false,
            clock: Arc::new(system_time),
        }
    }

    /// Keeps the data in this file, and what is uploaded in a directory beside it, whose name ends in `-media`.
    pub fn database(mut self, path: impl Into<PathBuf>) -> Self {
        self.database = Some(path.into());
        self
    }

    /// Listens here; on a free port where the port is 0.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Whether other processes may use this server, which they find by the `address` file of its
    /// [`ServerDir`](crate::ServerDir); they may by default. A short-lived process sets `false`: others
    /// that open the directory then wait until it has stopped.
    pub fn publish_address(mut self, publish: bool) -> Self {
        self.publish_address = publish;
        self
    }

    /// Allows an address that other machines reach.
    pub fn allow_remote(mut self, allow: bool) -> Self {
        self.allow_remote = allow;
        self
    }

    /// Allows that everybody who reaches such an address makes an account.
    pub fn allow_open_registration(mut self, allow: bool) -> Self {
        self.allow_open_registration = allow;
        self
    }

    /// Takes the time from here instead of from the system.
    pub fn clock(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    fn check(&self) -> Result<(), Error> {
        if self.listen.ip().is_loopback() {
            return Ok(());
        }
        if !self.allow_remote {
            return Err(Error::Remote(self.listen));
        }
        if self.config.is_open() && !self.allow_open_registration {
            return Err(Error::OpenRegistration(self.listen));
        }
        Ok(())
    }
}

impl fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOptions")
            .field("config", &self.config)
            .field("database", &self.database)
            .field("listen", &self.listen)
            .field("allow_remote", &self.allow_remote)
            .field("allow_open_registration", &self.allow_open_registration)
            .finish_non_exhaustive()
    }
}

/// A homeserver that listens. It stops when dropped; [`Server::stop`] lets it finish its work first.
#[derive(Debug)]
pub struct Server {
    url: ServerUrl,
    server_name: String,
    http: JoinHandle<()>,
    stop: Option<oneshot::Sender<()>>,
    changes: watch::Sender<Changes>,
    mail: Option<JoinHandle<()>>,
    worker: Worker,
}

impl Server {
    /// Starts a homeserver. It is ready when this returns.
    ///
    /// # Errors
    /// Whatever keeps it from starting: see [`Error`].
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time enabled.
    pub async fn start(options: ServerOptions) -> Result<Self, Error> {
        options.check()?;
        let address = options.listen;
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let url = url_of(listener.local_addr().map_err(failed)?)?;
        let mut config = options.config;
        config.base_url.get_or_insert_with(|| url.clone());
        let homeserver = Homeserver::new(config)?;
        let server_name = homeserver.config().server_name.clone();
        let (database, shelf) = match &options.database {
            Some(path) => {
                let database = Database::file(path, &homeserver)?;
                let shelf = MediaDir::for_database(path, &database)?;
                (database, shelf)
            }
            None => (Database::memory(&homeserver)?, MediaDir::temporary()?),
        };
        let delivery = homeserver.delegation().cloned().map(DelegationClient::new);
        let messages = homeserver.config().mail.clone();
        let news = watch::Sender::new(Changes::default());
        let keeper = Worker::start(homeserver, database, options.clock, news.clone())?;
        let wake = Arc::new(Notify::new());
        let mail = messages.map(|messages| {
            let sending = mail::run(messages, keeper.commands.clone(), wake.clone());
            tokio::spawn(sending)
        });
        let service = Router::new()
            .fallback(serve)
            .with_state(AppState {
                commands: keeper.commands.clone(),
                permits: Arc::new(Semaphore::new(MAX_REQUESTS)),
                delegation: delivery.map(Arc::new),
                mail: wake.clone(),
                changes: news.subscribe(),
                media_dir: Arc::new(shelf),
            })
            .into_make_service_with_connect_info::<Peer>();
        let (stop, stopped) = oneshot::channel::<()>();
        let listener = Connections::new(listener, MAX_CONNECTIONS);
        let http = tokio::spawn(async move {
            let serving = axum::serve(listener, service).with_graceful_shutdown(async {
                // A sender that is gone says the same.
                let _ = stopped.await;
            });
            // It ends only once it is told to, and never with an error.
            let _ = serving.await;
        });
        Ok(Self {
            url,
            server_name,
            http,
            stop: Some(stop),
            changes: news,
            mail,
            worker: keeper,
        })
    }

    /// Where it listens.
    pub fn url(&self) -> &ServerUrl {
        &self.url
    }

    /// The part of its user ids after the colon.
    pub fn server_name(&self) -> &str {
        &self.server_name
    }

    /// Takes no more connections, finishes what is in work, and closes the database.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // If nobody listens any more it has stopped already.
            let _ = stop.send(());
        }
        // Who waits for news need not wait any longer.
        self.changes.send_modify(|news| news.is_stopping = true);
        if timeout(STOP_TIMEOUT, &mut self.http).await.is_err() {
            tracing::warn!("a request was still in work when the homeserver stopped");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // What it has not sent is sent by the next to open the database.
        if let Some(mail) = &self.mail {
            mail.abort();
        }
        // The HTTP side stops by itself once `stop` is gone; the database must be closed by then.
        self.worker.stop();
    }
}

#[derive(Clone)]
struct AppState {
    commands: mpsc::Sender<Command>,
    permits: Arc<Semaphore>,
    delegation: Option<Arc<DelegationClient>>,
    /// Tells that there may be mail to send.
    mail: Arc<Notify>,
    changes: watch::Receiver<Changes>,
    media_dir: Arc<MediaDir>,
}

async fn serve(
    State(work): State<AppState>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    request: axum::extract::Request,
) -> axum::response::Response {
    // A preflight request must not do what the endpoint does.
    if request.method() == axum::http::Method::OPTIONS {
        return to_http(OutgoingResponse::new(204, Vec::new(), Vec::new()));
    }
    let (head, body) = request.into_parts();
    let answer = match read_head(&head, peer.ip()) {
        Ok(request) if engine::media::is_upload(request.method, &request.path) => {
            handle_upload(&work, request, &head.headers, body).await
        }
        Ok(request) => handle_plain(&work, request, body).await,
        Err(refusal) => Err(refusal),
    };
    let HandlerResponse {
        reply,
        file_action: errand,
    } = answer.unwrap_or_else(|it| it.into_reply().into());
    match errand {
        Some(FileAction::Send(file)) => {
            let mut response = to_http(reply);
            allow_cors(response.headers_mut());
            let sent = media::send(response, &head.headers, &work.media_dir, file).await;
            sent.unwrap_or_else(to_http)
        }
        _ => to_http(reply),
    }
}

/// Answers a request whose body, if it has one, is small.
async fn handle_plain(
    work: &AppState,
    mut request: Request,
    body: Body,
) -> Result<HandlerResponse, ApiError> {
    let permit = work.permits.acquire().await.map_err(|_| stopping())?;
    let body = timeout(BODY_TIMEOUT, axum::body::to_bytes(body, MAX_BODY))
        .await
        .map_err(|_| ApiError::new(408, ErrorCode::Unknown, "the request's body took too long"))?
        .map_err(|_| {
            let error = "the request's body was cut short, or is larger than 1 MiB";
            ApiError::new(413, ErrorCode::TooLarge, error)
        })?;
    request.body = body.into();
    match engine::long_poll_timeout(&request) {
        // Who waits keeps nobody else from being answered.
        Some(patience) => {
            drop(permit);
            Ok(long_poll(work, request, patience).await)
        }
        None => Ok(dispatch(work, request, None).await),
    }
}

/// Answers a request whose body is a file, which is not read before it is allowed.
async fn handle_upload(
    work: &AppState,
    mut request: Request,
    headers: &HeaderMap,
    mut body: Body,
) -> Result<HandlerResponse, ApiError> {
    let permit = work.permits.acquire().await.map_err(|_| stopping())?;
    request.content_length = body.size_hint().exact();
    let answer = dispatch(work, request.clone(), None).await;
    drop(permit);
    let Some(FileAction::Receive(upload)) = answer.file_action else {
        // To look at it would be to ask for it, where its sender waits for that.
        if !headers.contains_key(header::EXPECT) {
            media::drain(body);
        }
        return Ok(answer);
    };
    match media::receive(&work.media_dir, upload, &mut body).await {
        Ok((received, draft)) => {
            request.received = Some(received);
            Ok(dispatch(work, request, Some(draft)).await)
        }
        Err(refusal) => {
            media::drain(body);
            Err(refusal)
        }
    }
}

/// Asks again whenever something has happened, until it is news to whoever asked.
async fn long_poll(work: &AppState, request: Request, patience: Duration) -> HandlerResponse {
    let deadline = Instant::now() + patience;
    let mut news = work.changes.clone();
    loop {
        let is_stopping = news.borrow_and_update().is_stopping;
        let answer = dispatch(work, request.clone(), None).await;
        if is_stopping || !engine::has_no_changes(&request, &answer.reply) {
            return answer;
        }
        match timeout_at(deadline, news.changed()).await {
            Ok(Ok(())) => {}
            _ => return answer,
        }
    }
}

async fn dispatch(work: &AppState, request: Request, draft: Option<TempFile>) -> HandlerResponse {
    let (asker, answered) = oneshot::channel();
    let order = Command::Handle(Box::new(request), draft, asker);
    let sent = work.commands.send(order);
    let (Ok(()), Ok((answer, is_undelivered))) = (sent, answered.await) else {
        return stopping().into_reply().into();
    };
    work.mail.notify_one();
    match &work.delegation {
        Some(delivery) if is_undelivered => match delivery.flush(&work.commands).await {
            Ok(()) => answer,
            Err(error) => {
                tracing::error!(%error, "the homeserver that delegates was not told");
                let error = "the homeserver that delegates to this server cannot be reached";
                let refusal = ApiError::new(503, ErrorCode::Unknown, error);
                refusal.into_reply().into()
            }
        },
        _ => answer,
    }
}

fn stopping() -> ApiError {
    ApiError::new(503, ErrorCode::Unknown, "the server is stopping")
}

/// Reads all of a request but its body.
fn read_head(head: &Parts, peer: IpAddr) -> Result<Request, ApiError> {
    let method = match head.method.as_str() {
        // The body of an answer to HEAD is cut off on its way out.
        "GET" | "HEAD" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        _ => {
            let error = "this server does not know this method";
            return Err(ApiError::method_not_allowed(error));
        }
    };
    let query = head.uri.query().unwrap_or_default().as_bytes();
    let content_type = head.headers.get(header::CONTENT_TYPE);
    let mut request = Request::new(method, head.uri.path());
    request.query = form_urlencoded::parse(query).into_owned().collect();
    request.access_token = bearer_token(&head.headers);
    request.content_type = content_type.and_then(|it| Some(it.to_str().ok()?.to_owned()));
    request.peer = peer_key(peer);
    Ok(request)
}

fn bearer_token(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| Secret::from(token.trim()))
}

/// Whom limits apply to. Who has one IPv6 address has at least a /64 of them.
fn peer_key(peer: IpAddr) -> String {
    match peer.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

fn to_http(reply: OutgoingResponse) -> axum::response::Response {
    let mut wire = axum::response::Response::new(Body::from(reply.body));
    *wire.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = wire.headers_mut();
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
    // Other sites' scripts have no business with a page.
    if !is_page {
        allow_cors(headers);
    }
    wire
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

fn url_of(address: SocketAddr) -> Result<ServerUrl, Error> {
    // Nobody connects to "any address": this machine is among them.
    let host = match address.ip() {
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    };
    format!("http://{host}:{}", address.port())
        .parse()
        .map_err(|error| Error::Listen {
            address,
            source: io::Error::other(error),
        })
}

fn system_time() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
