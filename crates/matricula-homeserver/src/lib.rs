//! A single-process Matrix homeserver without federation, for development, tests and offline use.
//!
//! It is not for anything else: nobody on another server can be reached, the stages of registration
//! that need the outside world (a captcha, an email) are stand-ins unless told how to check them, and it
//! speaks plain HTTP. What it does serve, accounts and their sessions, rooms to talk in, and files, it
//! serves as the [specification](https://spec.matrix.org/v1.19/client-server-api/) says. Rooms have version
//! 11, and no aliases, receipts, typing, kept filters or encryption keys; files have no thumbnails.
//!
//! It comes in three layers, each usable alone:
//!
//! - [`Homeserver`] answers one [`Request`] within one transaction. It has no clock, no randomness
//!   and no socket: [`StepContext`](matricula_core::StepContext) hands the first two in. [`Database`] keeps what it
//!   must remember, in memory or in a file, and commits before the answer leaves. It opens no files
//!   either: where one is to be written or read, the [`HandlerResponse`] comes with an [`FileAction`].
//! - [`Server`] puts it behind HTTP on a loopback port.
//! - [`ServerDir`] keeps one server in one directory and makes sure that only one process serves it.
//!
//! ```
//! use matricula_homeserver::{Config, Server, ServerOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), matricula_homeserver::Error> {
//! let server = Server::start(ServerOptions::new(Config::default().guests(true))).await?;
//! println!("a homeserver for nobody but you: {}", server.url());
//! server.stop().await;
//! # Ok(())
//! # }
//! ```

mod config;
mod connections;
mod database;
mod delivery;
mod dir;
mod engine;
mod error;
mod files;
mod keeper;
mod mail;
mod media;
mod shell;

pub use config::{
    ApplicationService, Captcha, Config, Delegation, Document, IdentityProvider, Limit, Limits,
    Mail, Media, OAuth, OAuthMode, PasswordCodes, PasswordPolicy, Policy, Registration,
    RegistrationToken, Sso,
};
pub use database::Database;
pub use dir::ServerDir;
pub use engine::{
    DelegationCall, FileAction, HandlerResponse, Homeserver, QueuedMail, ReceivedFile, Request,
    StoredFile, Upload, served,
};
pub use error::Error;
pub use matricula_api::server::OutgoingResponse;
pub use shell::{Server, ServerOptions};
