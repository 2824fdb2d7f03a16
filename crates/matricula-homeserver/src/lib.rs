//! A single-process Matrix homeserver without federation, for development, tests and offline use.
//!
//! It is for nothing else: it does not federate, speaks plain HTTP, and completes the stages of
//! registration that need other services (captcha, email) by a button unless they are configured. It
//! serves accounts and sessions, rooms of all versions, encryption and files, by the
//! [specification](https://spec.matrix.org/v1.19/client-server-api/). It has no search and no thumbnails.
//!
//! It has three layers, each usable alone:
//!
//! - [`Homeserver`] handles one [`Request`] within one transaction. It has no clock, no randomness and no
//!   socket: [`StepContext`](matricula_core::StepContext) provides time and randomness. [`Database`]
//!   stores everything in memory or in a file, and commits before the response is sent. The engine opens
//!   no files: where a body is a file, the [`HandlerResponse`] has a [`FileAction`].
//! - [`Server`] serves it over HTTP on a loopback port.
//! - [`ServerDir`] stores one server in one directory, and ensures that only one process serves it.
//!
//! ```
//! use matricula_homeserver::{Config, Server, ServerOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), matricula_homeserver::Error> {
//! let server = Server::start(ServerOptions::new(Config::default().guests(true))).await?;
//! println!("a private homeserver: {}", server.url());
//! server.stop().await;
//! # Ok(())
//! # }
//! ```

mod config;
mod database;
mod engine;
mod error;
mod files;
mod server;

pub use config::{
    ApplicationService, Captcha, Config, Delegation, Document, IdentityProvider, Limit, Limits,
    Mail, Media, OAuth, OAuthMode, PasswordCodes, PasswordPolicy, Policy, Registration,
    RegistrationToken, Sso, Turn,
};
pub use database::Database;
pub use engine::{
    CalledService, DelegationCall, FaultyEvent, FileAction, HandlerResponse, Homeserver,
    QueuedMail, ReceivedFile, Request, ServiceTransaction, StoredFile, Upload, served,
};
pub use error::Error;
pub use matricula_api::server::OutgoingResponse;
pub use server::{Fault, Faults, Server, ServerDir, ServerLimits, ServerOptions};
