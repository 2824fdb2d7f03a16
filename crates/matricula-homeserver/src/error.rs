//! Why a homeserver does not start.

use std::{io, net::SocketAddr, path::PathBuf};

/// Why a homeserver does not start, or stopped working.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration contradicts itself or the specification.
    #[error("this homeserver cannot be configured so: {0}")]
    Config(String),
    /// An address that other machines reach was asked for without saying so.
    #[error(
        "{0} is reachable from other machines, and this server is for development, tests and \
         offline use; listen on 127.0.0.1, or allow remote access expressly"
    )]
    Remote(SocketAddr),
    /// Anybody on the network could register an account.
    #[error(
        "anybody who reaches {0} could register here; ask for a registration token, close \
         registration, or allow open registration expressly"
    )]
    OpenRegistration(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; is another program using that port?")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The database cannot be read or written.
    #[error("the homeserver's database failed: {0}")]
    Database(#[from] rusqlite::Error),
    /// The database was written by a newer version of this program.
    #[error(
        "the homeserver's database has format {found}, this program knows up to {known}; use the \
         newer program that wrote it"
    )]
    NewerFormat {
        /// The format found.
        found: u32,
        /// The newest known format.
        known: u32,
    },
    /// A server's name is part of every user id: it is fixed when the database is created.
    #[error("this database belongs to the homeserver {stored}, not to {configured}")]
    ServerName {
        /// The name in the database.
        stored: String,
        /// The name in the configuration.
        configured: String,
    },
    /// A file of a homeserver's directory cannot be used.
    #[error("cannot use {path}: {source}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The directory has accounts but has lost its configuration, and with it the server's name.
    #[error("{0} is missing although the homeserver's database exists; restore it from a backup")]
    ConfigMissing(PathBuf),
    /// Another process holds the directory but does not say where it listens.
    #[error("another process holds {0} but does not tell its address; try again or end it")]
    Locked(PathBuf),
    /// A thread cannot be started.
    #[error("cannot start the homeserver's thread: {0}")]
    Thread(io::Error),
}
