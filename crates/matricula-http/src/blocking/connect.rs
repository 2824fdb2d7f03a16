//! Opens connections, and says of what went wrong meanwhile that nothing was sent.

use std::{error::Error as StdError, fmt, sync::Arc};

use rustls::ClientConfig;
use ureq::{
    Error,
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{
            ConnectProxyConnector, ConnectionDetails, Connector, NextTimeout, TcpConnector,
        },
    },
};

use super::{timeout::time_left, tls::TlsConnector, write_error::BreakingConnector};

/// An error from before anything of the request was sent.
#[derive(Debug)]
pub(crate) enum NeverSent {
    /// The name of the server, or of the proxy, has no address.
    Unknown(String),
    /// Whatever else.
    Unconnected(Error),
}

impl fmt::Display for NeverSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(reason) => f.write_str(reason),
            Self::Unconnected(error) => error.fmt(f),
        }
    }
}

impl StdError for NeverSent {}

/// Opens connections: through a proxy where there is one, encrypted where the address says so.
pub(crate) fn chain(tls: ClientConfig) -> impl Connector {
    let chain =
        ().chain(ConnectProxyConnector::default())
            .chain(TcpConnector::default())
            .chain(BreakingConnector)
            .chain(TlsConnector::new(Arc::new(tls)));
    Connecting(chain)
}

/// Looks nothing up: that is left until a connection is opened, for one that is open needs no address.
#[derive(Debug)]
pub(crate) struct Later;

impl Resolver for Later {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        Ok(self.empty())
    }
}

/// Looks addresses up when a connection is opened; for a proxy's, its connector asks for them.
#[derive(Debug, Default)]
struct Now(DefaultResolver);

impl Resolver for Now {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        self.0
            .resolve(uri, config, timeout)
            .map_err(|error| match error {
                Error::HostNotFound | Error::Io(_) => {
                    Error::Other(Box::new(NeverSent::Unknown(error.to_string())))
                }
                other => other,
            })
    }
}

/// Marks every error of opening a connection as [`NeverSent`].
#[derive(Debug)]
struct Connecting<C>(C);

impl<C: Connector> Connector for Connecting<C> {
    type Out = C::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<C::Out>, Error> {
        self.open(details, chained).map_err(|error| match error {
            Error::Other(marked) if marked.is::<NeverSent>() => Error::Other(marked),
            unmarked => Error::Other(Box::new(NeverSent::Unconnected(unmarked))),
        })
    }
}

impl<C: Connector> Connecting<C> {
    fn open(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<C::Out>, Error> {
        let proxy = details.config.proxy();
        let is_direct = proxy.is_none_or(|proxy| proxy.is_no_proxy(details.uri));
        let resolver = Now::default();
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
