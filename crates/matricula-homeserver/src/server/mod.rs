//! HTTP around the homeserver: hyper on tokio, and a worker thread that owns the database.

mod body;
mod connections;
mod data_dir;
mod delegation;
mod faults;
mod http;
mod limits;
mod mail;
mod media;
mod memory;
mod outgoing;
mod services;
mod stream;
mod worker;

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use matricula_core::{ServerUrl, Timestamp};
use tokio::{
    sync::{Notify, oneshot, watch},
    task::JoinHandle,
    time::timeout,
};

pub use data_dir::ServerDir;
pub use faults::{Fault, Faults};
pub use limits::ServerLimits;

use delegation::DelegationClient;
use faults::Planned;
use http::AppState;
use media::MediaDir;
use worker::{Clock, Worker};

use crate::{Config, Database, Error, Homeserver};

/// How long a stopping server waits for its requests.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How to start a [`Server`].
#[derive(Clone)]
#[must_use]
pub struct ServerOptions {
    config: Config,
    database: Option<PathBuf>,
    publish_address: bool,
    listen: SocketAddr,
    allow_remote: bool,
    allow_open_registration: bool,
    clock: Clock,
    limits: ServerLimits,
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
            limits: ServerLimits::default(),
        }
    }

    /// Stores the database in this file, and uploaded files in a directory beside it, whose name ends in
    /// `-media`.
    pub fn database(mut self, path: impl Into<PathBuf>) -> Self {
        self.database = Some(path.into());
        self
    }

    /// Listens on this address; on a free port if the port is 0.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Whether other processes may use this server, which they find by the `address` file of its
    /// [`ServerDir`]; they may by default. A short-lived process sets `false`: others that open the
    /// directory then wait until it has stopped.
    pub fn publish_address(mut self, publish: bool) -> Self {
        self.publish_address = publish;
        self
    }

    /// Allows an address that other machines can reach.
    pub fn allow_remote(mut self, allow: bool) -> Self {
        self.allow_remote = allow;
        self
    }

    /// Allows open registration on such an address.
    pub fn allow_open_registration(mut self, allow: bool) -> Self {
        self.allow_open_registration = allow;
        self
    }

    /// Uses this clock instead of the system's.
    pub fn clock(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets the limits on connections and on memory.
    pub fn limits(mut self, limits: ServerLimits) -> Self {
        self.limits = limits;
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
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// A running homeserver. It stops when dropped; [`Server::stop`] lets it handle its requests first.
#[derive(Debug)]
pub struct Server {
    url: ServerUrl,
    server_name: String,
    http: JoinHandle<()>,
    stop: Option<oneshot::Sender<()>>,
    /// Whether long-polling requests must end.
    is_stopping: watch::Sender<bool>,
    mail: Option<JoinHandle<()>>,
    services: Vec<JoinHandle<()>>,
    faults: Faults,
    worker: Worker,
}

impl Server {
    /// Starts a homeserver. It is ready when this returns.
    ///
    /// # Errors
    /// See [`Error`].
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time enabled.
    pub fn start(options: ServerOptions) -> impl Future<Output = Result<Self, Error>> + Send {
        boxed(Self::start_now(options))
    }

    /// The URL that the server listens on.
    pub fn url(&self) -> &ServerUrl {
        &self.url
    }

    /// Causes faults, for tests of clients.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The part of user ids after the colon.
    pub fn server_name(&self) -> &str {
        &self.server_name
    }

    /// Accepts no more connections, waits for the current requests, and closes the database.
    pub fn stop(self) -> impl Future<Output = ()> + Send {
        boxed(self.stop_now())
    }

    async fn start_now(options: ServerOptions) -> Result<Self, Error> {
        options.check()?;
        let address = options.listen;
        let failed = |source| Error::Listen { address, source };
        let listener = connections::listen(address).map_err(failed)?;
        let url = url_of(listener.local_addr().map_err(failed)?)?;
        let mut config = options.config;
        config.base_url.get_or_insert_with(|| url.clone());
        let homeserver = Homeserver::new(config)?;
        let server_name = homeserver.config().server_name.clone();
        let (database, media_dir) = match &options.database {
            Some(path) => {
                let database = Database::file(path, &homeserver)?;
                let media_dir = MediaDir::for_database(path, &database)?;
                (database, media_dir)
            }
            None => (Database::memory(&homeserver)?, MediaDir::temporary()?),
        };
        let delegation = homeserver
            .config()
            .delegation()
            .cloned()
            .map(DelegationClient::new);
        let targets = targets(homeserver.config());
        let mail_config = homeserver.config().mail.clone();
        let is_stopping = watch::Sender::new(false);
        let worker = Worker::start(homeserver, database, options.clock)?;
        let wake_mail = Arc::new(Notify::new());
        let mail = mail_config.map(|config| {
            let sending = mail::run(config, worker.commands.clone(), wake_mail.clone());
            tokio::spawn(sending)
        });
        let (mut wake_services, mut services) = (Vec::new(), Vec::new());
        for target in targets.iter().cloned() {
            let wake = Arc::new(Notify::new());
            let pushing = services::run(target, worker.commands.clone(), wake.clone());
            services.push(tokio::spawn(pushing));
            wake_services.push(wake);
        }
        let planned = Planned::default();
        let state = AppState::new(
            worker.commands.clone(),
            delegation,
            wake_mail,
            wake_services.into(),
            targets.into(),
            is_stopping.subscribe(),
            media_dir,
        )
        .with_limits(&options.limits)
        .with_faults(planned.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let http = tokio::spawn(connections::serve(listener, state, options.limits, stopped));
        Ok(Self {
            url,
            server_name,
            http,
            stop: Some(stop),
            is_stopping,
            mail,
            services,
            faults: Faults::new(planned, worker.commands.clone()),
            worker,
        })
    }

    async fn stop_now(mut self) {
        if let Some(stop) = self.stop.take() {
            // An error means that the server has stopped already.
            let _ = stop.send(());
        }
        // Ends long-polling requests.
        self.is_stopping.send_replace(true);
        if timeout(STOP_TIMEOUT, &mut self.http).await.is_err() {
            tracing::warn!("a request was still running when the homeserver stopped");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Mail that was not sent is sent by the next process that opens the database.
        // The same holds for transactions of application services.
        for sending in self.mail.iter().chain(&self.services) {
            sending.abort();
        }
        // The HTTP task ends once `stop` is dropped. The database must be closed before this returns.
        self.worker.stop();
    }
}

/// The application services that are sent events.
fn targets(config: &Config) -> Vec<services::Target> {
    let services = config.application_services.iter();
    let targets = services.filter_map(|service| {
        Some(services::Target {
            id: service.id.clone(),
            url: service.url.clone()?,
            token: service.server_token.clone()?,
        })
    });
    targets.collect()
}

/// Puts a future into a box: its body is compiled here, and not in each crate that awaits it.
pub(crate) fn boxed<'a, T>(
    future: impl Future<Output = T> + Send + 'a,
) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
    Box::pin(future)
}

fn url_of(address: SocketAddr) -> Result<ServerUrl, Error> {
    // A client cannot connect to the unspecified address; loopback is part of it.
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
