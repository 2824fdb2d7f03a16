//! The other side of every operation: how a server reads a request and writes its answer.
//!
//! A server finds the operation by method and path, reads the request as its type, and writes the
//! answer from its type:
//!
//! ```
//! use matricula_api::client::{SERVED, logout::Logout, room_send::SendMessage};
//! use matricula_api::server::{Incoming, Served, find};
//!
//! let path = "/_matrix/client/v3/rooms/!a:example.org/send/m.room.message/1";
//! let found = find(SERVED, "PUT", path);
//! assert_eq!(found[0].operation.id, "sendMessage");
//!
//! let request = Incoming::new(&found[0].operation, path)
//!     .ok_or("another path")?
//!     .with_body(br#"{"msgtype": "m.text", "body": "hello"}"#);
//! let message = SendMessage::read_request(&request)?;
//! assert_eq!(message.room_id.as_str(), "!a:example.org");
//!
//! assert_eq!(Logout::write_success(&Default::default()).body, b"{}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod any;
mod from_text;
mod incoming;
mod parameter;
mod reply;
mod request_error;

pub use any::{AnyEndpoint, find};
pub use from_text::{FromText, Millis};
pub use incoming::Incoming;
pub use parameter::{Parameter, Place, Shape};
pub use reply::Reply;
pub use request_error::RequestError;

use crate::Endpoint;

/// An operation as a server meets it.
pub trait Served: Endpoint + Sized {
    /// What its request is made of.
    const PARAMETERS: &'static [Parameter];

    /// Reads a request.
    ///
    /// # Errors
    /// What is missing or wrong, and where; [`RequestError::reply`] says so to the client.
    fn read_request(request: &Incoming<'_>) -> Result<Self, RequestError>;

    /// Writes what the client hoped for.
    fn write_success(response: &Self::Response) -> Reply;
}
