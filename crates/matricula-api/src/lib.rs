//! Every Matrix operation as a typed endpoint, generated from the specification.
//!
//! An operation is a struct of its parameters and of the fields of its body. It becomes a job that
//! a runner sends, and reads the response:
//!
//! ```
//! use matricula_api::{Endpoint, client::registration::Register};
//! use matricula_core::{Body, Response, ServerUrl};
//!
//! let server: ServerUrl = "https://matrix.example.org".parse()?;
//! let request = Register {
//!     username: Some("alice".into()),
//!     password: Some("wordpass".into()),
//!     ..Default::default()
//! };
//! let job = request.job(&server);
//! assert_eq!(job.url(), "https://matrix.example.org/_matrix/client/v3/register");
//!
//! let response = r#"{"user_id": "@alice:example.org", "access_token": "abc", "device_id": "D"}"#;
//! let response = Response::new(200, vec![], Body::Json(response.into()));
//! let account = Register::read(&job.respond(response))?;
//! assert_eq!(account.user_id.localpart(), "alice");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Structs have public fields; a later version of the specification may add some, so begin with
//! `new` or `default` and change what differs, field by field or one method after the other:
//! `Register::default().username("alice")`. Null is read as absence. Unknown data is preserved:
//! fields in [`extra`](Extra), enum values as `Other`.

// Only the client-server API uses everything.
#![cfg_attr(not(feature = "client"), allow(dead_code))]

mod endpoint;
mod error;
#[cfg(feature = "events")]
pub mod events;
mod extra;
#[cfg(feature = "client")]
pub mod fallback;
mod file_name;
mod generated;
mod identifier;
mod ids;
mod invalid;
mod lenient_list;
mod masquerade_as;
#[cfg(feature = "client")]
pub mod unspecified;
#[doc = include_str!("lenience.md")]
pub mod lenience {}
mod codec;
mod json_path;
mod media;
#[cfg(feature = "client")]
pub mod oauth;
mod object;
mod operations;
mod raw;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "client")]
pub mod sliding_sync;
mod sorted_map;
#[cfg(feature = "client")]
pub mod synapse;
pub mod uia;

pub use codec::{InvalidPart, read_json};
pub use endpoint::Endpoint;
pub use error::{ApiError, ErrorCode, MatrixError};
pub use extra::Extra;
#[cfg(feature = "appservice")]
pub use generated::appservice;
#[cfg(feature = "client")]
pub use generated::client;
#[cfg(any(feature = "appservice", feature = "client", feature = "events"))]
pub use generated::common;
#[cfg(feature = "identity")]
pub use generated::identity;
#[cfg(feature = "push")]
pub use generated::push;
pub use ids::{EventId, IdError, MxcUri, RoomAliasId, RoomId, RoomIdOrAlias, ServerName, UserId};
pub use lenient_list::LenientList;
pub use masquerade_as::masquerade_as;
pub use media::{Content, Redirect};
pub use operations::operations;
pub use raw::{Raw, StringOr};
pub use sorted_map::SortedMap;

// The programs in the page on changing the API compile.
#[cfg(all(doctest, feature = "client"))]
#[doc = include_str!("../../../docs/api.md")]
struct Changing;
