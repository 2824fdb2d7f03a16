//! Errors of starting and running a homeserver.

use std::{io, net::SocketAddr, path::PathBuf};

/// Why a homeserver does not start, or stops working.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration contradicts itself or the specification.
    #[error("the homeserver's configuration is invalid: {0}")]
    Config(String),
    /// The address is reachable from other machines, which the options do not allow.
    #[error(
        "{0} is reachable from other machines, and this server is for development, tests and \
         offline use; listen on 127.0.0.1, or allow remote access explicitly"
    )]
    Remote(SocketAddr),
    /// The server would allow open registration to other machines.
    #[error(
        "everybody who can reach {0} could register; require a registration token, close \
         registration, or allow open registration explicitly"
    )]
    OpenRegistration(SocketAddr),
    /// The server cannot listen on the address.
    #[error("cannot listen on {address}: {source}; is another program using that port?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The database cannot be read or written.
    #[error("the homeserver's database failed: {0}")]
    Database(#[from] rusqlite::Error),
    /// What is to be sent to an application service cannot be read.
    #[error("the events of an application service cannot be read: {0}")]
    Outbox(Box<dyn std::error::Error + Send + Sync>),
    /// The database was written by a newer version of this program.
    #[error(
        "the homeserver's database has format {found}, but this program supports formats up to \
         {known}; use the newer version that wrote it"
    )]
    NewerFormat {
        /// The format of the database.
        found: u32,
        /// The newest supported format.
        known: u32,
    },
    /// The file is a database, but not of a homeserver of this program.
    #[error(
        "{0} is not a database of this program's homeserver, or was written by an unreleased \
         version; move it away to start with a new one"
    )]
    ForeignDatabase(PathBuf),
    /// The database belongs to a server with another name, which is part of every user id.
    #[error("this database belongs to the homeserver {stored}, not to {configured}")]
    ServerName {
        /// The name in the database.
        stored: String,
        /// The name in the configuration.
        configured: String,
    },
    /// A file or directory of the homeserver cannot be used.
    #[error("cannot use {path}: {source}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The directory has a database but no configuration, which contains the server's name.
    #[error("{0} is missing although the homeserver's database exists; restore it from a backup")]
    ConfigMissing(PathBuf),
    /// Another process holds the directory and publishes no address.
    #[error("another process uses {0} and does not publish its address; try again or stop it")]
    Locked(PathBuf),
    /// The worker thread cannot be started.
    #[error("cannot start the homeserver's thread: {0}")]
    Thread(io::Error),
}
