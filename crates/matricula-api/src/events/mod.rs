//! Typed contents of [events](https://spec.matrix.org/v1.19/client-server-api/#events).
//!
//! A content is named after its event type without the prefix `m.`: that of `m.room.member` is
//! [`RoomMember`]. The types of its fields are in the module of its kind, in [`definitions`], or in
//! [`common`](crate::common).
//!
//! ```
//! use matricula_api::events::{AnyMessage, EventContent, Relation, RoomEvent, RoomMessage};
//!
//! let hello = RoomMessage::text("hello");
//! assert_eq!(hello.to_raw().json(), r#"{"body":"hello","msgtype":"m.text"}"#);
//!
//! let event: RoomEvent = serde_json::from_str(r#"{
//!     "type": "m.room.message",
//!     "content": {"msgtype": "m.text", "body": "hello"},
//!     "event_id": "$1:example.org",
//!     "sender": "@alice:example.org",
//!     "origin_server_ts": 1
//! }"#)?;
//! match event.message() {
//!     Some(Ok(AnyMessage::RoomMessage(message))) => assert_eq!(message.body(), "hello"),
//!     other => panic!("{other:?}"),
//! }
//! let reply = RoomMessage::text("hello to you").reply_to(&event);
//! assert_eq!(reply.relates_to(), Some(&Relation::reply(event.event_id)));
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! Unknown data is preserved: event types as [`UnknownContent`], message types, algorithms,
//! relations and enum values as the variant `Other`, fields in `extra`.
//!
//! # What `Debug` shows
//!
//! A [`Raw`](crate::Raw) content, as in every request and response, shows only its length, so that
//! messages do not get into logs. A typed content shows its fields, including the text of a
//! message. Keys and other secrets are never shown.

mod compose;
pub(crate) mod content;
mod envelope;
mod lenient;
mod relations;
#[cfg(feature = "client")]
mod sending;

pub use crate::common::{Membership, StrippedState, ToDeviceEvent};
pub use crate::generated::events::*;
pub use content::{EventContent, EventError, EventKind, UnknownContent};
pub use definitions::{BasicEvent, EncryptedFile, JoinRule, Mentions, Relation, RoomEvent};
pub use lenient::{CallVersion, PowerLevel};
