//! Every Matrix operation as a typed endpoint, generated from the specification.

mod endpoint;
mod error;
mod generated;
mod ids;
mod locate;
mod media;
mod raw;
pub mod uia;
mod wire;

pub use endpoint::Endpoint;
pub use error::{ApiError, ErrorCode, MatrixError};
#[cfg(feature = "client")]
pub use generated::client;
pub use ids::{
    EventId, IdError, MxcUri, RoomAliasId, RoomId, RoomIdOrAlias, ServerName, UserId,
};
pub use media::{Content, Redirect};
pub use raw::{Raw, TextOr};
