//! Opens connections, and marks errors from before the request was sent.

use std::{error::Error as StdError, fmt, sync::Arc};

use rustls::ClientConfig;
use ureq::{
    Error,
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{
            ConnectProxyConnector, ConnectionDetails, Connector, Either, NextTimeout, TcpConnector,
            Transport,
        },
    },
};

use super::{timeout::time_left, tls::TlsConnector, write_error::WriteErrorConnector};

/// An error from before anything of the request was sent.
#[derive(Debug)]
pub(crate) enum NotSent {
    /// The name of the server or of the proxy cannot be resolved.
    Lookup(String),
    /// The proxy, whose name comes first, cannot be reached, or refuses.
    Proxy(String, Box<Self>),
    /// Any other error.
    Connect(Error),
}

impl NotSent {
    fn from_error(error: Error) -> Self {
        match error {
            Error::Other(marked) => match marked.downcast() {
                Ok(marked) => *marked,
                Err(other) => Self::Connect(Error::Other(other)),
            },
            unmarked => Self::Connect(unmarked),
        }
    }
}

impl From<NotSent> for Error {
    fn from(error: NotSent) -> Self {
        Self::Other(Box::new(error))
    }
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup(reason) => f.write_str(reason),
            Self::Proxy(name, error) => write!(f, "{name}: {error}"),
            Self::Connect(error) => error.fmt(f),
        }
    }
}

impl StdError for NotSent {}

/// The connectors of an agent: its proxy if it has one, and TLS for `https`. Errors contain the name of
/// the proxy.
pub(crate) fn chain(tls: ClientConfig, proxy_name: String) -> impl Connector {
    let chain =
        ().chain(MarkProxyErrors(proxy_name))
            .chain(TcpConnector::default())
            .chain(WriteErrorConnector)
            .chain(TlsConnector::new(Arc::new(tls)));
    MarkErrors(chain)
}

/// Resolves nothing: [`ResolveOnConnect`] does that when a connection is opened. An open connection
/// needs no address.
#[derive(Debug)]
pub(crate) struct DeferResolve;

impl Resolver for DeferResolve {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        Ok(self.empty())
    }
}

/// Resolves addresses when a connection is opened. The proxy's connector uses it for the proxy.
#[derive(Debug, Default)]
struct ResolveOnConnect(DefaultResolver);

impl Resolver for ResolveOnConnect {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        self.0
            .resolve(uri, config, timeout)
            .map_err(|error| match error {
                Error::HostNotFound | Error::Io(_) => NotSent::Lookup(error.to_string()).into(),
                other => other,
            })
    }
}

/// Marks every error of opening a connection as [`NotSent`].
#[derive(Debug)]
struct MarkErrors<C>(C);

impl<C: Connector> Connector for MarkErrors<C> {
    type Out = C::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<C::Out>, Error> {
        let opened = self.open(details, chained);
        opened.map_err(|error| NotSent::from_error(error).into())
    }
}

/// Connects to the proxy, if there is one, and marks every error of that with the proxy's name.
#[derive(Debug)]
struct MarkProxyErrors(String);

impl<In: Transport> Connector<In> for MarkProxyErrors {
    type Out = Either<In, Box<dyn Transport>>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let opened = ConnectProxyConnector::default().connect(details, chained);
        opened.map_err(|error| {
            let error = Box::new(NotSent::from_error(error));
            NotSent::Proxy(self.0.clone(), error).into()
        })
    }
}

impl<C: Connector> MarkErrors<C> {
    fn open(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<C::Out>, Error> {
        let proxy = details.config.proxy();
        let is_direct = proxy.is_none_or(|proxy| proxy.is_no_proxy(details.uri));
        let resolver = ResolveOnConnect::default();
        let addrs = if is_direct && details.addrs.is_empty() {
            resolver.resolve(details.uri, details.config, details.timeout)?
        } else {
            details.addrs.clone()
        };
        let details = ConnectionDetails {
            uri: details.uri,
            addrs,
            config: details.config,
            request_level: details.request_level,
            resolver: &resolver,
            now: (details.current_time)(),
            timeout: time_left(details),
            current_time: Arc::clone(&details.current_time),
            run_connector: Arc::clone(&details.run_connector),
            register_shutdown: Arc::clone(&details.register_shutdown),
        };
        self.0.connect(&details, chained)
    }
}
