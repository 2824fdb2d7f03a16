//! Sends requests over HTTP/1, and keeps connections open for the next ones.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use http::{Request, Uri, header::PROXY_AUTHORIZATION};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use matricula_core::{TransportError, TransportErrorKind};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{
    body::RequestBody,
    connect::{Failure, Target, authorization, dial, encrypt, tunnel},
    error::Error,
    response::{Deadline, Response},
    stream::Stream,
};
use crate::{
    HttpOptions,
    address::Address,
    error::not_sent,
    proxy::{Exceptions, Proxy},
    tls,
};

/// How long a connection is kept that no request uses.
const MAX_IDLE: Duration = Duration::from_secs(90);

/// The connections of a runner, with what is needed to open more. Each part is set up when it is first
/// needed.
#[derive(Default)]
pub struct Clients {
    tls: OnceLock<Result<TlsConnector, TransportError>>,
    http_proxy: OnceLock<Result<Option<Proxy>, TransportError>>,
    https_proxy: OnceLock<Result<Option<Proxy>, TransportError>>,
    exceptions: OnceLock<Exceptions>,
    /// By the origin of their server.
    idle: Mutex<HashMap<String, Vec<(Connection, Instant)>>>,
}

/// A connection that can send a request, or will be able to soon.
pub(super) type Connection = SendRequest<RequestBody>;

impl Clients {
    /// Sends a request to `address`, which the request itself need not name. The connection can be
    /// [kept](Self::keep) when the response has ended.
    pub(super) async fn send(
        &self,
        address: &Address,
        mut request: Request<RequestBody>,
        options: &HttpOptions,
        deadline: Deadline,
    ) -> Result<(Response, Connection), Error> {
        let (proxy, uri) = (self.proxy_of(address)?, address.uri().clone());
        if let Some(proxy) = proxy.filter(|_| !address.is_https()) {
            // The proxy reads the request, and needs all of its address.
            *request.uri_mut() = uri;
            if let Some(authorization) = authorization(proxy) {
                let headers = request.headers_mut();
                headers.insert(PROXY_AUTHORIZATION, authorization);
            }
        } else if let Some(path) = uri.into_parts().path_and_query {
            *request.uri_mut() = Uri::from(path);
        }
        loop {
            let (mut connection, is_reused) = self.connection(address, proxy, options).await?;
            let sent = connection.try_send_request(request);
            match deadline.bound(sent).await? {
                Ok(response) => return Ok((Response::new(response, deadline), connection)),
                Err(mut error) => match error.take_message() {
                    // The server closed it before the request was sent.
                    Some(unsent) if is_reused => request = unsent,
                    _ => return Err(Error::Http(error.into_error())),
                },
            }
        }
    }

    /// An open connection or a new one, and whether it was open.
    async fn connection(
        &self,
        address: &Address,
        proxy: Option<&Proxy>,
        options: &HttpOptions,
    ) -> Result<(Connection, bool), TransportError> {
        let opened = self.open(address, proxy, options);
        let Some(mut idle) = self.take(address) else {
            return Ok((opened.await?, false));
        };
        tokio::select! {
            biased;
            // It may still be busy with the end of its last request.
            Ok(()) = idle.ready() => Ok((idle, true)),
            opened = opened => Ok((opened?, false)),
        }
    }

    async fn open(
        &self,
        address: &Address,
        proxy: Option<&Proxy>,
        options: &HttpOptions,
    ) -> Result<Connection, TransportError> {
        let limit = options.effective_connect_timeout();
        let opened = timeout(limit, self.open_stream(address, proxy, limit)).await;
        let opened = opened.unwrap_or_else(|_| {
            let what = format!("no connection within {limit:?}");
            Err(match proxy {
                Some(proxy) => proxy_failed(proxy, &what),
                None => (TransportErrorKind::Timeout, what),
            })
        });
        let failed = |(kind, what)| match kind {
            // The server is not to blame.
            TransportErrorKind::Proxy => not_sent(kind, what),
            kind => not_sent(kind, format!("{}: {what}", address.origin())),
        };
        let stream = TokioIo::new(opened.map_err(failed)?);
        let (sender, connection) = http1::handshake(stream)
            .await
            .map_err(|error| failed((TransportErrorKind::Connect, error.to_string())))?;
        // Its errors are those of its requests.
        tokio::spawn(async { drop(connection.await) });
        Ok(sender)
    }

    async fn open_stream(
        &self,
        address: &Address,
        proxy: Option<&Proxy>,
        limit: Duration,
    ) -> Result<Stream, Failure> {
        let target = target_of(address);
        // Before a connection is opened: it would be of no use.
        let tls = address.is_https().then(|| self.tls()).transpose()?;
        let stream = match proxy {
            None => dial(target, limit).await?,
            Some(proxy) => {
                let tunnel_to = tls.is_some().then_some(target);
                let opened = self.open_proxy(proxy, tunnel_to, limit).await;
                opened.map_err(|(_, what)| proxy_failed(proxy, &what))?
            }
        };
        match tls {
            Some(tls) => encrypt(tls, target.host, stream).await,
            None => Ok(stream),
        }
    }

    async fn open_proxy(
        &self,
        proxy: &Proxy,
        tunnel_to: Option<Target<'_>>,
        limit: Duration,
    ) -> Result<Stream, Failure> {
        let (host, port) = (proxy.server.host(), proxy.port);
        let mut stream = dial(Target { host, port }, limit).await?;
        if proxy.server.is_https() {
            stream = encrypt(self.tls()?, host, stream).await?;
        }
        match tunnel_to {
            Some(target) => tunnel(proxy, target, stream).await,
            None => Ok(stream),
        }
    }

    fn tls(&self) -> Result<&TlsConnector, Failure> {
        let set_up = || {
            let mut config = tls::with_system_roots()?;
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Ok(TlsConnector::from(Arc::new(config)))
        };
        let tls = self.tls.get_or_init(set_up).as_ref();
        tls.map_err(|error| (error.kind, error.message.clone()))
    }

    /// The proxy for requests to `address`. Requests to this machine use none: a proxy could not reach it.
    fn proxy_of(&self, address: &Address) -> Result<Option<&Proxy>, TransportError> {
        let exceptions = self.exceptions.get_or_init(Exceptions::from_environment);
        if address.is_loopback() || exceptions.contain(address) {
            return Ok(None);
        }
        let cell = match address.is_https() {
            true => &self.https_proxy,
            false => &self.http_proxy,
        };
        let proxy = cell.get_or_init(|| Proxy::from_environment(address.scheme()));
        Ok(proxy.as_ref().map_err(Clone::clone)?.as_ref())
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<String, Vec<(Connection, Instant)>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection to this server that was used last.
    fn take(&self, address: &Address) -> Option<Connection> {
        let mut idle = self.idle();
        let connections = idle.get_mut(address.origin())?;
        let usable = std::iter::from_fn(|| connections.pop())
            .find(|(connection, since)| !connection.is_closed() && since.elapsed() < MAX_IDLE);
        usable.map(|(connection, _)| connection)
    }

    /// Keeps a connection whose response has ended or was dropped, for the next request to this server.
    pub(super) fn keep(&self, address: &Address, connection: Connection) {
        let mut idle = self.idle();
        for connections in idle.values_mut() {
            connections.retain(|(connection, since)| {
                !connection.is_closed() && since.elapsed() < MAX_IDLE
            });
        }
        idle.retain(|_, connections| !connections.is_empty());
        if !connection.is_closed() {
            let connections = idle.entry(address.origin().to_owned()).or_default();
            connections.push((connection, Instant::now()));
        }
    }
}

/// The failure of a connection to this proxy, or through it.
fn proxy_failed(proxy: &Proxy, what: &str) -> Failure {
    let what = format!("{}: {what}", proxy.name());
    (TransportErrorKind::Proxy, what)
}

fn target_of(address: &Address) -> Target<'_> {
    Target {
        host: address.server().host(),
        port: address.port(),
    }
}
