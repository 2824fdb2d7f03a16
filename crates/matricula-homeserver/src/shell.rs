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
use matricula_api::{ErrorCode, server::Reply};
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
    delivery::Delivery,
    engine::{self, Refusal},
    keeper::{Keeper, News, Order},
    mail,
    media::{self, Draft, Shelf},
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
    pub(crate) is_shared: bool,
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
            is_shared: true,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            allow_remote: false,
            allow_open_registration: false,
            clock: Arc::new(system_time),
        }
    }

    /// Keeps the data in this file, and what is uploaded in a directory beside it, whose name ends in `-media`.
    pub fn with_database(mut self, path: impl Into<PathBuf>) -> Self {
        self.database = Some(path.into());
        self
    }

    /// Listens here; on a free port where the port is 0.
    pub fn listening_on(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Tells no other process where it listens, for it will not be there for long: whoever opens the
    /// same [`ServerDir`](crate::ServerDir) waits until it has stopped.
    pub fn for_this_process_alone(mut self) -> Self {
        self.is_shared = false;
        self
    }

    /// Allows an address that other machines reach.
    pub fn allowing_remote(mut self) -> Self {
        self.allow_remote = true;
        self
    }

    /// Allows that everybody who reaches such an address makes an account.
    pub fn allowing_open_registration(mut self) -> Self {
        self.allow_open_registration = true;
        self
    }

    /// Takes the time from here instead of from the system.
    pub fn with_clock(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
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
        f.debug_struct("Options")
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
    news: watch::Sender<News>,
    mail: Option<JoinHandle<()>>,
    keeper: Keeper,
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
                let shelf = Shelf::beside(path, &database)?;
                (database, shelf)
            }
            None => (Database::memory(&homeserver)?, Shelf::temporary()?),
        };
        let delivery = homeserver.delegation().cloned().map(Delivery::new);
        let messages = homeserver.config().messages.clone();
        let news = watch::Sender::new(News::default());
        let keeper = Keeper::start(homeserver, database, options.clock, news.clone())?;
        let wake = Arc::new(Notify::new());
        let mail = messages.map(|messages| {
            let sending = mail::run(messages, keeper.work.clone(), wake.clone());
            tokio::spawn(sending)
        });
        let service = Router::new()
            .fallback(answer)
            .with_state(Work {
                keeper: keeper.work.clone(),
                permits: Arc::new(Semaphore::new(MAX_REQUESTS)),
                delivery: delivery.map(Arc::new),
                mail: wake.clone(),
                news: news.subscribe(),
                shelf: Arc::new(shelf),
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
            news,
            mail,
            keeper,
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
        self.news.send_modify(|news| news.is_stopping = true);
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
        self.keeper.stop();
    }
}

#[derive(Clone)]
struct Work {
    keeper: mpsc::Sender<Order>,
    permits: Arc<Semaphore>,
    delivery: Option<Arc<Delivery>>,
    /// Tells that there may be mail to send.
    mail: Arc<Notify>,
    news: watch::Receiver<News>,
    shelf: Arc<Shelf>,
}

async fn answer(
    State(work): State<Work>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    request: axum::extract::Request,
) -> axum::response::Response {
    // A preflight request must not do what the endpoint does.
    if request.method() == axum::http::Method::OPTIONS {
        return on_the_wire(Reply::new(204, Vec::new(), Vec::new()));
    }
    let (head, body) = request.into_parts();
    let answer = match read(&head, peer.ip()) {
        Ok(request) if engine::media::is_upload(request.method, &request.path) => {
            upload(&work, request, &head.headers, body).await
        }
        Ok(request) => plain(&work, request, body).await,
        Err(refusal) => Err(refusal),
    };
    let HandlerResponse { reply, errand } = answer.unwrap_or_else(|it| it.into_reply().into());
    match errand {
        Some(FileAction::Send(file)) => {
            let mut response = on_the_wire(reply);
            allow_other_sites(response.headers_mut());
            let sent = media::send(response, &head.headers, &work.shelf, file).await;
            sent.unwrap_or_else(on_the_wire)
        }
        _ => on_the_wire(reply),
    }
}

/// Answers a request whose body, if it has one, is small.
async fn plain(work: &Work, mut request: Request, body: Body) -> Result<HandlerResponse, Refusal> {
    let permit = work.permits.acquire().await.map_err(|_| stopping())?;
    let body = timeout(BODY_TIMEOUT, axum::body::to_bytes(body, MAX_BODY))
        .await
        .map_err(|_| Refusal::new(408, ErrorCode::Unknown, "the request's body took too long"))?
        .map_err(|_| {
            let error = "the request's body was cut short, or is larger than 1 MiB";
            Refusal::new(413, ErrorCode::TooLarge, error)
        })?;
    request.body = body.into();
    match engine::patience(&request) {
        // Who waits keeps nobody else from being answered.
        Some(patience) => {
            drop(permit);
            Ok(when_there_is_news(work, request, patience).await)
        }
        None => Ok(ask(work, request, None).await),
    }
}

/// Answers a request whose body is a file, which is not read before it is allowed.
async fn upload(
    work: &Work,
    mut request: Request,
    headers: &HeaderMap,
    mut body: Body,
) -> Result<HandlerResponse, Refusal> {
    let permit = work.permits.acquire().await.map_err(|_| stopping())?;
    request.announced = body.size_hint().exact();
    let answer = ask(work, request.clone(), None).await;
    drop(permit);
    let Some(FileAction::Receive(upload)) = answer.errand else {
        // To look at it would be to ask for it, where its sender waits for that.
        if !headers.contains_key(header::EXPECT) {
            media::leave_unread(body);
        }
        return Ok(answer);
    };
    match media::receive(&work.shelf, upload, &mut body).await {
        Ok((received, draft)) => {
            request.file = Some(received);
            Ok(ask(work, request, Some(draft)).await)
        }
        Err(refusal) => {
            media::leave_unread(body);
            Err(refusal)
        }
    }
}

/// Asks again whenever something has happened, until it is news to whoever asked.
async fn when_there_is_news(work: &Work, request: Request, patience: Duration) -> HandlerResponse {
    let deadline = Instant::now() + patience;
    let mut news = work.news.clone();
    loop {
        let is_stopping = news.borrow_and_update().is_stopping;
        let answer = ask(work, request.clone(), None).await;
        if is_stopping || !engine::is_held_back(&request, &answer.reply) {
            return answer;
        }
        match timeout_at(deadline, news.changed()).await {
            Ok(Ok(())) => {}
            _ => return answer,
        }
    }
}

async fn ask(work: &Work, request: Request, draft: Option<Draft>) -> HandlerResponse {
    let (asker, answered) = oneshot::channel();
    let order = Order::Answer(Box::new(request), draft, asker);
    let sent = work.keeper.send(order);
    let (Ok(()), Ok((answer, is_undelivered))) = (sent, answered.await) else {
        return stopping().into_reply().into();
    };
    work.mail.notify_one();
    match &work.delivery {
        Some(delivery) if is_undelivered => match delivery.run(&work.keeper).await {
            Ok(()) => answer,
            Err(error) => {
                tracing::error!(%error, "the homeserver that delegates was not told");
                let error = "the homeserver that delegates to this server cannot be reached";
                let refusal = Refusal::new(503, ErrorCode::Unknown, error);
                refusal.into_reply().into()
            }
        },
        _ => answer,
    }
}

fn stopping() -> Refusal {
    Refusal::new(503, ErrorCode::Unknown, "the server is stopping")
}

/// Reads all of a request but its body.
fn read(head: &Parts, peer: IpAddr) -> Result<Request, Refusal> {
    let method = match head.method.as_str() {
        // The body of an answer to HEAD is cut off on its way out.
        "GET" | "HEAD" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        _ => {
            let error = "this server does not know this method";
            return Err(Refusal::unknown_method(error));
        }
    };
    let query = head.uri.query().unwrap_or_default().as_bytes();
    let content_type = head.headers.get(header::CONTENT_TYPE);
    let mut request = Request::new(method, head.uri.path());
    request.query = form_urlencoded::parse(query).into_owned().collect();
    request.bearer = bearer(&head.headers);
    request.content_type = content_type.and_then(|it| Some(it.to_str().ok()?.to_owned()));
    request.peer = peer_key(peer);
    Ok(request)
}

fn bearer(headers: &HeaderMap) -> Option<Secret> {
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

fn on_the_wire(reply: Reply) -> axum::response::Response {
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
        allow_other_sites(headers);
    }
    wire
}

fn allow_other_sites(headers: &mut HeaderMap) {
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
