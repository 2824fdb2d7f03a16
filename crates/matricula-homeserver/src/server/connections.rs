//! Accepts connections, as many as may be open at once, and serves HTTP/1 on each.

use std::{
    cmp::Reverse,
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Notify, Semaphore, oneshot, watch},
    task::JoinSet,
    time::Instant,
};

use super::{
    ServerLimits,
    http::{self, AppState},
    stream::TimedStream,
};

/// The pause after a connection could not be accepted, for example because too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// How many connections the system queues before they are accepted.
const BACKLOG: u32 = 1024;
/// How much of a connection is read ahead, and the largest head of a request.
const READ_BUFFER: usize = 32 * 1024;
/// How much of a response the system buffers. A larger buffer would hide for long that a client does not
/// read.
const SEND_BUFFER: u32 = 128 * 1024;

/// Listens on an address.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // As `TcpListener::bind` does.
    if cfg!(unix) {
        socket.set_reuseaddr(true)?;
    }
    // Accepted connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `stop` is sent to or dropped, and then finishes the current requests.
pub(crate) async fn serve(
    listener: TcpListener,
    state: AppState,
    limits: ServerLimits,
    mut stop: oneshot::Receiver<()>,
) {
    let open = Connections::new(limits);
    // Dropping the sender stops the connections.
    let (running, stopping) = watch::channel(());
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stop => break,
            (stream, peer) = accept(&listener, &open) => {
                let Some(slot) = open.add(peer.ip()) else {
                    tracing::debug!(%peer, "a connection is closed: its address has its share");
                    continue;
                };
                let (state, stopping) = (state.clone(), stopping.clone());
                tasks.spawn(serve_connection(stream, slot, state, stopping));
            }
            Some(_) = tasks.join_next() => {}
        }
    }
    drop((listener, running));
    while tasks.join_next().await.is_some() {}
}

/// The next connection, once there is room for it.
async fn accept(listener: &TcpListener, open: &Arc<Connections>) -> (TcpStream, SocketAddr) {
    open.wait_for_room().await;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The client has gone.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionRefused
                        | io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                tracing::error!(%error, "a connection could not be accepted");
                open.close_one();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    slot: Slot,
    state: AppState,
    mut stopping: watch::Receiver<()>,
) {
    // Responses are written at once: Nagle's algorithm would only delay them.
    let _ = stream.set_nodelay(true);
    let connection = &slot.connection;
    let service = service_fn(|request| {
        let state = state.clone();
        let in_request = InRequest::new(connection);
        async move { http::serve(state, &in_request.0, request).await }
    });
    let stream = TimedStream::new(stream, connection.clone(), &slot.open.limits);
    // Without a timer hyper has no time-outs: the stream's do not run while a client reads a response.
    let mut served = pin!(
        http1::Builder::new()
            .max_buf_size(READ_BUFFER)
            .max_header_size(READ_BUFFER)
            .serve_connection(TokioIo::new(stream), service)
    );
    let served = tokio::select! {
        served = served.as_mut() => served,
        () = connection.closed.notified() => return,
        _ = stopping.changed() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = served {
        tracing::trace!(%error, "a connection ended early");
    }
}

/// The connections that are open.
#[derive(Debug)]
struct Connections {
    limits: ServerLimits,
    started_at: Instant,
    next_id: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    /// Wakes the task that accepts connections when there may be room.
    freed: Arc<Notify>,
}

/// One open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    id: u64,
    /// The key of its address, for limits.
    pub(crate) address: Arc<str>,
    /// Limits the requests of its address.
    pub(crate) requests: Arc<Semaphore>,
    started_at: Instant,
    /// When the client last sent or took bytes, in milliseconds since `started_at`.
    progress_at: AtomicU64,
    /// Whether the head of a request has arrived, and its response is not ready.
    has_request: AtomicBool,
    /// Whether the client waits for the server. Otherwise the server waits for the client, and may close
    /// the connection to make room.
    is_served: AtomicBool,
    /// Closes it.
    closed: Notify,
    freed: Arc<Notify>,
}

impl Connection {
    /// Whether a request is being handled.
    pub(crate) fn has_request(&self) -> bool {
        self.has_request.load(Ordering::Relaxed)
    }

    /// Records that the client has sent or taken bytes.
    pub(crate) fn note_progress(&self) {
        let since = self.started_at.elapsed().as_millis();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        self.progress_at.store(since, Ordering::Relaxed);
    }

    /// Marks the connection as one whose client waits, until the result is dropped.
    pub(crate) fn serving(&self) -> Serving<'_> {
        self.is_served.store(true, Ordering::Relaxed);
        Serving(self)
    }
}

/// A connection whose client waits for the server.
#[must_use = "the mark ends when it is dropped"]
pub(crate) struct Serving<'a>(&'a Connection);

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.0.is_served.store(false, Ordering::Relaxed);
        self.0.freed.notify_one();
    }
}

/// Marks a connection as one that has a request.
struct InRequest(Arc<Connection>);

impl InRequest {
    fn new(connection: &Arc<Connection>) -> Self {
        connection.has_request.store(true, Ordering::Relaxed);
        Self(connection.clone())
    }
}

impl Drop for InRequest {
    fn drop(&mut self) {
        self.0.has_request.store(false, Ordering::Relaxed);
    }
}

impl Connections {
    fn new(limits: ServerLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            started_at: Instant::now(),
            next_id: AtomicU64::new(0),
            open: Mutex::default(),
            freed: Arc::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns once a connection fits, or one can be closed for it.
    async fn wait_for_room(&self) {
        loop {
            {
                let open = self.lock();
                let mut connections = open.values();
                if open.len() < self.limits.connections
                    || connections.any(|it| !it.is_served.load(Ordering::Relaxed))
                {
                    return;
                }
            }
            self.freed.notified().await;
        }
    }

    /// Adds a connection, and closes another where there are too many. None where the address has its
    /// share, and all its connections are being served.
    fn add(self: &Arc<Self>, peer: IpAddr) -> Option<Slot> {
        let address = address_key(peer);
        let mut open = self.lock();
        let mut of_address = open.values().filter(|it| *it.address == *address);
        let first = of_address.next().cloned();
        let count = of_address.count() + usize::from(first.is_some());
        if count >= self.limits.connections_per_address {
            let id = longest_waiting(&open, Some(&address))?;
            close(&mut open, id);
        } else if open.len() >= self.limits.connections
            && let Some(id) = longest_waiting(&open, None)
        {
            close(&mut open, id);
        }
        let (address, requests) = match first {
            Some(known) => (known.address.clone(), known.requests.clone()),
            None => {
                let share = self.limits.requests.div_ceil(2);
                (address.into(), Arc::new(Semaphore::new(share)))
            }
        };
        let connection = Arc::new(Connection {
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            address,
            requests,
            started_at: self.started_at,
            progress_at: AtomicU64::new(0),
            has_request: AtomicBool::new(false),
            is_served: AtomicBool::new(false),
            closed: Notify::new(),
            freed: self.freed.clone(),
        });
        connection.note_progress();
        open.insert(connection.id, connection.clone());
        Some(Slot {
            open: self.clone(),
            connection,
        })
    }

    /// Closes the connection that has waited longest for its client, if there is one.
    fn close_one(&self) {
        let mut open = self.lock();
        if let Some(id) = longest_waiting(&open, None) {
            close(&mut open, id);
        }
    }
}

/// The connection that has waited longest for its client: of this address, or of the one with the most
/// connections.
fn longest_waiting(open: &HashMap<u64, Arc<Connection>>, address: Option<&str>) -> Option<u64> {
    let mut counts = HashMap::new();
    for connection in open.values() {
        *counts.entry(&*connection.address).or_insert(0_usize) += 1;
    }
    let waiting = open
        .values()
        .filter(|it| !it.is_served.load(Ordering::Relaxed))
        .filter(|it| address.is_none_or(|address| *it.address == *address));
    let longest = waiting.min_by_key(|it| {
        let of_address = counts.get(&*it.address).copied().unwrap_or(0);
        let progress_at = it.progress_at.load(Ordering::Relaxed);
        (Reverse(of_address), progress_at, it.id)
    });
    longest.map(|it| it.id)
}

fn close(open: &mut HashMap<u64, Arc<Connection>>, id: u64) {
    if let Some(connection) = open.remove(&id) {
        connection.closed.notify_one();
    }
}

/// The place of a connection among the open ones.
struct Slot {
    open: Arc<Connections>,
    connection: Arc<Connection>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.open.lock().remove(&self.connection.id);
        self.open.freed.notify_one();
    }
}

/// The key of an address, for limits. An IPv6 client controls at least a /64 network.
fn address_key(peer: IpAddr) -> String {
    match peer.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}
