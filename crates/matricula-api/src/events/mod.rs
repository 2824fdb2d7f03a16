//! The contents of [events](https://spec.matrix.org/v1.19/client-server-api/#events), typed.
//!
//! A content is named after its type, all of it but the prefix `m.`: that of `m.room.member` is
//! [`RoomMember`]. What contents are made of is in the module of the kind of event, or in
//! [`definitions`] where several share it.
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
//! let answer = RoomMessage::text("hello to you").reply_to(&event);
//! assert_eq!(answer.relates_to(), Some(&Relation::reply(event.event_id)));
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! What the specification does not name is kept: types as [`Unknown`], msgtypes, algorithms and
//! relations as the variant `Other`, values of enumerations likewise, fields in `extra`.
//!
//! # What `Debug` shows
//!
//! A content that is still [`Raw`](crate::Raw), as in every request and answer, shows its length
//! alone: nobody reads what people wrote in the log of a request. A typed content shows what it
//! holds, the words of a message too: whoever reads and then prints it has asked for them. Keys and
//! other secrets are shown by neither.

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
