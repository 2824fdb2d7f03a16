//! The server side of every operation: reads requests and writes responses.
//!
//! A server finds the operation by method and path, reads the request as its type, and writes the
//! response from its type:
//!
//! ```
//! use matricula_api::client::{ENDPOINTS, logout::Logout, room_send::SendMessage};
//! use matricula_api::server::{IncomingRequest, ServerEndpoint, find};
//!
//! let path = "/_matrix/client/v3/rooms/!a:example.org/send/m.room.message/1";
//! let found = find(ENDPOINTS, "PUT", path);
//! assert_eq!(found[0].operation.id, "sendMessage");
//!
//! let request = IncomingRequest::new(&found[0].operation, path)
//!     .ok_or("another path")?
//!     .with_body(br#"{"msgtype": "m.text", "body": "hello"}"#);
//! let message = SendMessage::read_request(&request)?;
//! assert_eq!(message.room_id.as_str(), "!a:example.org");
//!
//! assert_eq!(Logout::write_success(&Default::default()).body, b"{}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod any_endpoint;
mod from_text;
mod incoming_request;
mod outgoing_response;
mod parameter;
mod request_error;

pub(crate) use crate::InvalidPart;
pub use any_endpoint::{AnyEndpoint, find};
pub use from_text::{FromText, Millis};
pub use incoming_request::{IncomingRequest, read_body};
pub use outgoing_response::OutgoingResponse;
pub use parameter::{Parameter, ParameterLocation, ParameterType};
pub use request_error::RequestError;

use matricula_core::Response;

use crate::Endpoint;

/// The server side of an operation.
pub trait ServerEndpoint: Endpoint + Sized {
    /// The parts of its request.
    const PARAMETERS: &'static [Parameter];

    /// Reads a request.
    ///
    /// # Errors
    /// What is missing or invalid, and where; [`RequestError::response`] is the response to the
    /// client.
    fn read_request(request: &IncomingRequest<'_>) -> Result<Self, RequestError>;

    /// The parts of a successful response that are not valid, though the rest can be read.
    fn invalid_parts(_response: &Response) -> Vec<InvalidPart> {
        Vec::new()
    }

    /// Writes a successful response.
    fn write_success(response: &Self::Response) -> OutgoingResponse;
}
