//! Matricula's identifiers, requests and responses as ruma's, and the other way round.
//!
//! It is for **ruma 0.17** (`ruma-common` 0.20, `ruma-client-api` 0.25) and matricula 0.1. Its version
//! is its own: a new one of ruma that breaks programs makes a new one of this crate, and of no other
//! of matricula's.
//!
//! Neither side's types are needed for the other's: all of this goes through the wire form of a
//! message, and so holds for every type that implements ruma's traits, those of unstable features and
//! of your own included.
//!
//! | from | to | by |
//! |---|---|---|
//! | an identifier or a timestamp | ruma's | [`ToRuma`] |
//! | ruma's | an identifier or a timestamp | [`ToMatricula`] |
//! | `Raw` | ruma's `Raw`, and back | [`raw`], which parses nothing |
//! | a request of ruma's | a job | [`request::to_job`], [`request::to_job_as`] |
//! | a job | a request of ruma's | [`request::from_job`] |
//! | a request | ruma's, and back | [`request::to_ruma`], [`request::to_matricula`] |
//! | an answer from the wire | ruma's, and back | [`response::read`], [`response::write`] |
//! | a typed answer | ruma's, and back | [`response::to_ruma`], [`response::to_matricula`] |
//! | an error | ruma's, and back | [`response::error_to_ruma`], [`response::error_to_matricula`] |
//!
//! # Ruma's types over matricula's runner
//!
//! The runner waits where a server asks for it, tries again where that does no harm, and keeps tokens
//! to the origin that they belong to:
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
//! let Outcome::Responded(answer) = runner.run(job).await else {
//!     return Err("no answer".into());
//! };
//! let guest: register::v3::Response = response::read(&answer)?;
//!
//! let credential = CredentialRef::new("the guest");
//! let token = Secret::from(guest.access_token.ok_or("no token")?);
//! runner.credentials().insert(credential.clone(), server.clone(), token);
//!
//! let job = request::to_job_as(whoami::v3::Request::new(), &server, &credential)?;
//! let Outcome::Responded(answer) = runner.run(job).await else {
//!     return Err("no answer".into());
//! };
//! let owner: whoami::v3::Response = response::read(&answer)?;
//! assert_eq!(owner.user_id, guest.user_id);
//! # homeserver.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # One type for the other
//!
//! ```
//! use matricula_api::client::whoami::{WhoAmI, WhoAmIResponse};
//! use matricula_ruma::{ToRuma, request, response};
//! use ruma_client_api::account::whoami;
//!
//! let theirs: whoami::v3::Request = request::to_ruma(&WhoAmI {})?;
//! let ours: WhoAmI = request::to_matricula(theirs)?;
//!
//! let answer = WhoAmIResponse::new("@alice:example.org".parse()?);
//! let theirs: whoami::v3::Response = response::to_ruma::<WhoAmI, _>(&answer)?;
//! assert_eq!(theirs.user_id, answer.user_id.to_ruma()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What does not come along
//!
//! - What the other side's type has no field for: matricula keeps unknown fields, most types of
//!   ruma's do not.
//! - The difference between what is left out and what is said and means the same: ruma leaves out
//!   empty lists and fields that have their default, and some of its types write the default.
//! - Tokens: ruma adds them when it sends, matricula's runner likewise.
//! - Of ruma's paths only the newest is asked for; as a server's side, a request to any of them is
//!   taken.

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
