//! Conversions of identifiers, requests and responses from and to ruma.
//!
//! It is for **ruma 0.17** (`ruma-common` 0.20, `ruma-client-api` 0.25) and matricula 0.1. It has
//! its own version: a breaking release of ruma leads to a breaking release of this crate, and of no
//! other crate of matricula.
//!
//! All conversions go through the serialised message. They work for every type that implements
//! ruma's traits, including unstable features and your own types.
//!
//! | from | to | function |
//! |---|---|---|
//! | an identifier or a timestamp | ruma's | [`ToRuma`] |
//! | ruma's | an identifier or a timestamp | [`ToMatricula`] |
//! | `Raw` | ruma's `Raw`, and back | [`raw`], which parses nothing |
//! | a ruma request | a job | [`request::to_job`], [`request::to_job_as`] |
//! | a job | a ruma request | [`request::from_job`] |
//! | a request | ruma's, and back | [`request::to_ruma`], [`request::to_matricula`] |
//! | a received response | ruma's, and back | [`response::read`], [`response::write`] |
//! | a typed response | ruma's, and back | [`response::to_ruma`], [`response::to_matricula`] |
//! | an error | ruma's, and back | [`response::error_to_ruma`], [`response::error_to_matricula`] |
//!
//! # Sending ruma's requests with matricula's runner
//!
//! The runner respects rate limits, retries when that is safe, and sends tokens only to their own
//! origin:
//!
//! ```
//! use matricula_http::Runner;
//! use matricula_core::{CredentialRef, Secret, scheduler::Outcome};
//! use matricula_ruma::{request, response};
//! use ruma_client_api::account::{register, whoami};
//!
//! # use matricula_homeserver::{Config, Server, ServerOptions};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let config = Config::default().guests(true);
//! # let homeserver = Server::start(ServerOptions::new(config)).await?;
//! # let server = homeserver.url().clone();
//! let runner = Runner::default();
//!
//! let mut guest = register::v3::Request::new();
//! guest.kind = register::RegistrationKind::Guest;
//! let job = request::to_job(guest, &server)?;
//! let Outcome::Responded(response) = runner.run(job).await else {
//!     return Err("no response".into());
//! };
//! let guest: register::v3::Response = response::read(&response)?;
//!
//! let credential = CredentialRef::new("the guest");
//! let token = Secret::from(guest.access_token.ok_or("no token")?);
//! runner.credentials().insert(credential.clone(), server.clone(), token);
//!
//! let job = request::to_job_as(whoami::v3::Request::new(), &server, &credential)?;
//! let Outcome::Responded(response) = runner.run(job).await else {
//!     return Err("no response".into());
//! };
//! let owner: whoami::v3::Response = response::read(&response)?;
//! assert_eq!(owner.user_id, guest.user_id);
//! # homeserver.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Converting types
//!
//! ```
//! use matricula_api::client::whoami::{WhoAmI, WhoAmIResponse};
//! use matricula_ruma::{ToRuma, request, response};
//! use ruma_client_api::account::whoami;
//!
//! let theirs: whoami::v3::Request = request::to_ruma(&WhoAmI {})?;
//! let ours: WhoAmI = request::to_matricula(theirs)?;
//!
//! let ours = WhoAmIResponse::new("@alice:example.org".parse()?);
//! let theirs: whoami::v3::Response = response::to_ruma::<WhoAmI, _>(&ours)?;
//! assert_eq!(theirs.user_id, ours.user_id.to_ruma()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is lost
//!
//! - Fields that the target type does not have: matricula preserves unknown fields, most types of
//!   ruma do not.
//! - The difference between an absent field and an explicit default: ruma leaves out empty lists and
//!   defaults, and some of its types write the default.
//! - Tokens: ruma and matricula's runner add them when they send.
//! - Old paths: requests use only the newest path. On the server side, all paths are accepted.

mod error;
mod ids;
mod message;
mod operation;
pub mod raw;
pub mod request;
pub mod response;
mod token;
mod version;

pub use error::Error;
pub use ids::{Mismatch, ToMatricula, ToRuma};
pub use token::TakesToken;
pub use version::Newest;
