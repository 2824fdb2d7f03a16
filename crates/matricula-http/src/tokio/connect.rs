//! Opens connections: directly or through a proxy, with TLS for `https`.

use std::{net::SocketAddr, pin::pin, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{
    HeaderValue, Method, Request,
    header::{HOST, PROXY_AUTHORIZATION},
};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use matricula_core::TransportErrorKind;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpStream, lookup_host},
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;

use super::{body::RequestBody, stream::Stream};
use crate::{
    error::{tls_error, tls_reason},
    proxy::Proxy,
};

/// Why a connection could not be opened.
pub(super) type Failure = (TransportErrorKind, String);

/// A host without brackets, and a port.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
}

/// How often an idle connection is checked: NAT devices then do not forget it, and a dead peer is
/// noticed. Sent bytes may stay unacknowledged twice as long.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How long to wait for the first family of addresses before the other one is tried too (RFC 8305).
const FAMILY_DELAY: Duration = Duration::from_millis(300);

/// Opens a TCP connection, within `limit` for all addresses of the host together.
pub(super) async fn dial(target: Target<'_>, limit: Duration) -> Result<Stream, Failure> {
    let addresses = lookup_host((target.host, target.port)).await;
    let addresses: Vec<_> = addresses
        .map_err(|error| {
            let what = format!("its name cannot be looked up: {error}");
            (TransportErrorKind::Connect, what)
        })?
        .collect();
    dial_any(&addresses, limit).await
}

async fn dial_any(addresses: &[SocketAddr], limit: Duration) -> Result<Stream, Failure> {
    let share = limit / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let is_first_family = |address: &SocketAddr| {
        let first = addresses.first();
        first.is_none_or(|first| first.is_ipv6() == address.is_ipv6())
    };
    let (first, second): (Vec<_>, Vec<_>) = addresses.iter().partition(|it| is_first_family(it));
    let mut first_done = pin!(dial_each(&first, share));
    if second.is_empty() {
        return first_done.await;
    }
    tokio::select! {
        biased;
        dialled = &mut first_done => return match dialled {
            Err(_) => dial_each(&second, share).await,
            dialled => dialled,
        },
        () = sleep(FAMILY_DELAY) => {}
    }
    let mut second_done = pin!(dial_each(&second, share));
    tokio::select! {
        biased;
        dialled = &mut first_done => match dialled {
            Err(_) => second_done.await,
            dialled => dialled,
        },
        dialled = &mut second_done => match dialled {
            Err(_) => first_done.await,
            dialled => dialled,
        },
    }
}

/// Tries the addresses in order. Each but the last has a limit.
async fn dial_each(addresses: &[&SocketAddr], limit: Duration) -> Result<Stream, Failure> {
    let Some((last, others)) = addresses.split_last() else {
        let what = "its name has no address".to_owned();
        return Err((TransportErrorKind::Connect, what));
    };
    for address in others {
        if let Ok(Ok(stream)) = timeout(limit, TcpStream::connect(address)).await {
            return Ok(Stream::Plain(configure(stream)));
        }
    }
    match TcpStream::connect(last).await {
        Ok(stream) => Ok(Stream::Plain(configure(stream))),
        Err(error) => Err((TransportErrorKind::Connect, error.to_string())),
    }
}

/// Sets what a connection also works without.
fn configure(stream: TcpStream) -> TcpStream {
    let socket = SockRef::from(&stream);
    let _ = socket.set_tcp_nodelay(true);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
    // Other systems set these for all sockets alike.
    #[cfg(any(
        target_os = "linux",
        target_os = "android",
        target_vendor = "apple",
        windows
    ))]
    let keepalive = keepalive.with_interval(KEEPALIVE).with_retries(3);
    let _ = socket.set_tcp_keepalive(&keepalive);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket.set_tcp_user_timeout(Some(2 * KEEPALIVE));
    stream
}

/// Encrypts a connection.
pub(super) async fn encrypt(
    connector: &TlsConnector,
    host: &str,
    stream: Stream,
) -> Result<Stream, Failure> {
    let name = ServerName::try_from(host.to_owned()).map_err(|error| {
        let what = format!("{host} is not a name that a certificate can have: {error}");
        (TransportErrorKind::InvalidRequest, what)
    })?;
    match connector.connect(name, stream).await {
        Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
        Err(error) => Err(match tls_error(&error) {
            Some(tls) => (TransportErrorKind::Tls, tls_reason(tls)),
            None => (TransportErrorKind::Connect, error.to_string()),
        }),
    }
}

/// Asks a proxy for a connection to a server.
pub(super) async fn tunnel(
    proxy: &Proxy,
    Target { host, port }: Target<'_>,
    stream: Stream,
) -> Result<Stream, Failure> {
    let failure = |what: String| (TransportErrorKind::Connect, what);
    let host = if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    let mut request = Request::builder().method(Method::CONNECT).uri(&host);
    request = request.header(HOST, &host);
    if let Some(authorization) = authorization(proxy) {
        request = request.header(PROXY_AUTHORIZATION, authorization);
    }
    let request = request.body(RequestBody::Empty);
    let request = request.map_err(|error| failure(error.to_string()))?;
    let connection = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connection.map_err(|error| failure(error.to_string()))?;
    let status = async move {
        let response = sender.send_request(request).await;
        // Dropping the rest ends the connection, unless it became a tunnel.
        response.map(|response| response.status())
    };
    let (status, parts) = tokio::join!(status, connection.without_shutdown());
    let status = status.map_err(|error| failure(error.to_string()))?;
    if !status.is_success() {
        return Err(failure(format!("it refuses with HTTP status {status}")));
    }
    let parts = parts.map_err(|error| failure(error.to_string()))?;
    if !parts.read_buf.is_empty() {
        return Err(failure("it sends more than its response".to_owned()));
    }
    Ok(parts.io.into_inner())
}

/// The header that logs in to a proxy.
pub(super) fn authorization(proxy: &Proxy) -> Option<HeaderValue> {
    let (name, password) = proxy.login.as_ref()?;
    let login = BASE64_STANDARD.encode(format!("{name}:{}", password.expose()));
    let mut value = HeaderValue::try_from(format!("Basic {login}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Ipv4Addr, Ipv6Addr, TcpListener},
        time::Instant,
    };

    use socket2::{Domain, Socket, Type};

    use super::*;

    /// Longer than the tests take.
    const LIMIT: Duration = Duration::from_secs(10);

    fn dial_all(addresses: &[SocketAddr]) -> Result<SocketAddr, Failure> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime
            .block_on(dial_any(addresses, LIMIT))
            .map(|stream| match stream {
                Stream::Plain(stream) => stream.peer_addr().unwrap(),
                Stream::Tls(_) => panic!("it is not encrypted"),
            })
    }

    fn listen(host: impl Into<std::net::IpAddr>) -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((host.into(), 0)).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// An address that refuses connections.
    fn closed(host: impl Into<std::net::IpAddr>) -> SocketAddr {
        listen(host).1
    }

    /// An address that does not answer, as its queue of connections is full.
    fn silent() -> (SocketAddr, Vec<Socket>) {
        let new = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = new();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut sockets = vec![listener];
        for _ in 0..4 {
            let filler = new();
            filler.set_nonblocking(true).unwrap();
            let _ = filler.connect(&address.into());
            sockets.push(filler);
        }
        (address, sockets)
    }

    #[test]
    fn next_address_is_tried_after_refusal() {
        let (_listener, open) = listen(Ipv4Addr::LOCALHOST);
        let refusing = closed(Ipv4Addr::LOCALHOST);
        assert_eq!(dial_all(&[refusing, open]), Ok(open));
        let (kind, what) = dial_all(&[refusing, refusing]).unwrap_err();
        assert_eq!(kind, TransportErrorKind::Connect);
        assert!(what.to_lowercase().contains("refused"), "{what}");
        assert!(dial_all(&[]).is_err());
    }

    #[test]
    fn other_family_is_tried_after_refusal() {
        let (_listener, open) = listen(Ipv4Addr::LOCALHOST);
        assert_eq!(dial_all(&[closed(Ipv6Addr::LOCALHOST), open]), Ok(open));
    }

    #[test]
    fn other_family_is_tried_after_delay() {
        let (silent, _sockets) = silent();
        let (_listener, open) = listen(Ipv6Addr::LOCALHOST);
        let start = Instant::now();
        assert_eq!(dial_all(&[silent, open]), Ok(open));
        assert!(start.elapsed() >= FAMILY_DELAY);
        // Its limit is its share: a third.
        assert!(start.elapsed() < LIMIT / 3, "{:?}", start.elapsed());
    }
}
