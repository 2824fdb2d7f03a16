//! A directory with one server, served by one process at a time.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    pin::Pin,
    time::Duration,
};

use matricula_core::ServerUrl;

use super::{Server, ServerOptions, boxed};
use crate::{Config, Error, files};

/// The delay between two attempts to read the address of the process that holds the directory, and the
/// number of attempts: ten seconds altogether.
const ADDRESS_POLL: (Duration, u32) = (Duration::from_millis(20), 500);

/// A running homeserver in a directory: in this process, or in another one.
///
/// The directory contains `config.json`, `homeserver.db`, `homeserver.db-media` (uploaded files), `lock`
/// (locked by the process that serves) and `address` (where that process listens). A server in another
/// process may stop at any time; clients then open the directory again.
#[derive(Debug)]
pub struct ServerDir {
    url: ServerUrl,
    server_name: String,
    running: Option<Running>,
}

/// What the process that serves the directory owns. The fields are dropped in this order.
#[derive(Debug)]
struct Running {
    address: AddressFile,
    server: Server,
    lock: File,
}

impl ServerDir {
    /// Opens the homeserver in `path`, and starts it unless another process has started it.
    ///
    /// A new homeserver gets the configuration in `options`; later the one in its `config.json` counts.
    /// `sleep` is called while another process is starting the server.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process holds the directory for ten seconds without publishing its
    /// address, and all errors of [`Server::start`].
    pub async fn open<F: Future<Output = ()>>(
        path: impl AsRef<Path>,
        options: ServerOptions,
        sleep: impl Fn(Duration) -> F,
    ) -> Result<Self, Error> {
        let path = path.as_ref();
        files::make_directory(path).map_err(at(path))?;
        for _ in 0..ADDRESS_POLL.1 {
            match claim(path)? {
                Claim::Acquired(lock) => {
                    return Self::start(path, options, lock).await;
                }
                Claim::HeldByOther(Some(url)) => return Self::of_other(path, url),
                Claim::HeldByOther(None) => sleep(ADDRESS_POLL.0).await,
            }
        }
        Err(Error::Locked(path.to_owned()))
    }

    /// A homeserver that another process serves.
    fn of_other(path: &Path, url: ServerUrl) -> Result<Self, Error> {
        let config = path.join("config.json");
        let server_name = read_config(&config)?.map(|it| it.server_name);
        Ok(Self {
            url,
            server_name: server_name.ok_or(Error::ConfigMissing(config))?,
            running: None,
        })
    }

    /// The URL of the server.
    pub fn url(&self) -> &ServerUrl {
        &self.url
    }

    /// The part of user ids after the colon.
    pub fn server_name(&self) -> &str {
        &self.server_name
    }

    /// Whether this process serves it.
    pub fn is_local(&self) -> bool {
        self.running.is_some()
    }

    /// Stops the server, if it runs in this process, once it has handled its requests.
    pub async fn stop(self) {
        if let Some(Running {
            address,
            server,
            lock,
        }) = self.running
        {
            // Dropped first, so that no client finds a server that is stopping.
            drop(address);
            server.stop().await;
            drop(lock);
        }
    }

    /// Starts the server. This is not generic, so the box is made here.
    fn start<'a>(
        path: &'a Path,
        mut options: ServerOptions,
        lock: File,
    ) -> Pin<Box<dyn Future<Output = Result<Self, Error>> + Send + 'a>> {
        boxed(async move {
            let database = path.join("homeserver.db");
            let config = path.join("config.json");
            match read_config(&config)? {
                Some(stored) => options.config = stored,
                // The configuration is written before the database: without it there should be none.
                None if database.exists() => return Err(Error::ConfigMissing(config)),
                None => {
                    options.config.check()?;
                    let text = serde_json::to_vec_pretty(&options.config)
                        .map_err(io::Error::from)
                        .map_err(at(&config))?;
                    files::replace(&config, &text).map_err(at(&config))?;
                }
            }
            let is_shared = options.publish_address;
            let server = Server::start(options.database(database)).await?;
            let url = server.url().clone();
            let address = AddressFile(path.join("address"));
            if is_shared {
                files::replace(&address.0, url.as_str().as_bytes()).map_err(at(&address.0))?;
            }
            Ok(Self {
                url,
                server_name: server.server_name().to_owned(),
                running: Some(Running {
                    address,
                    server,
                    lock,
                }),
            })
        })
    }
}

enum Claim {
    Acquired(File),
    HeldByOther(Option<ServerUrl>),
}

/// Takes the lock, or reads the address of the process that holds it.
fn claim(path: &Path) -> Result<Claim, Error> {
    // A killed process leaves its address behind, and its port may belong to another program now. While
    // the gate is locked, a process either takes the lock and removes the old address, or reads an
    // address that the holder of the lock has written.
    let gate_path = path.join("gate");
    let gate = files::open(&gate_path).map_err(at(&gate_path))?;
    gate.lock().map_err(at(&gate_path))?;
    let lock_path = path.join("lock");
    let lock = files::open(&lock_path).map_err(at(&lock_path))?;
    let address = path.join("address");
    match lock.try_lock() {
        Ok(()) => {
            remove(&address).map_err(at(&address))?;
            Ok(Claim::Acquired(lock))
        }
        Err(TryLockError::WouldBlock) => {
            let text = fs::read_to_string(&address).unwrap_or_default();
            Ok(Claim::HeldByOther(text.parse().ok()))
        }
        Err(TryLockError::Error(error)) => Err(at(&lock_path)(error)),
    }
}

fn read_config(path: &Path) -> Result<Option<Config>, Error> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(io::Error::from)
            .map_err(at(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

/// The file with the address of the server; removed when the server stops.
#[derive(Debug)]
struct AddressFile(PathBuf);

impl Drop for AddressFile {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            tracing::warn!(%error, "the homeserver's address file could not be removed");
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::File {
        path: path.clone(),
        source,
    }
}
