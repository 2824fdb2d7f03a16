//! The [sizes](https://spec.matrix.org/v1.19/client-server-api/#size-limits) that an event may have.

use crate::{
    EventIdFormat, EventView, JsonError, RoomVersion,
    canonical_json::{Numbers, write_object},
    raw::Object,
};

/// The maximum size of an event in bytes: in the format for servers, with its signatures, as canonical JSON.
pub const MAX_EVENT_BYTES: usize = 65_536;

/// The maximum size in bytes of each of `sender`, `room_id`, `state_key`, `type` and `event_id`.
pub const MAX_FIELD_BYTES: usize = 255;

/// Checks the sizes of an event: a JSON text in the format for servers, hashed and signed.
///
/// # Errors
/// If it or one of its fields is too large, or if it is not canonical JSON where the room version wants that.
pub fn check_event(event: &str, version: RoomVersion) -> Result<(), LimitError> {
    let event = Object::parse(event)?;
    let bytes = write_object(&event, &[], Numbers::from(version))?.len();
    if bytes > MAX_EVENT_BYTES {
        return Err(LimitError::Event { bytes });
    }
    let with_id = version.rules().event_id_format == EventIdFormat::Chosen;
    for field in ["sender", "room_id", "state_key", "type", "event_id"] {
        if with_id || field != "event_id" {
            let text = event.text(field).unwrap_or_default();
            check_field(field, &text)?;
        }
    }
    Ok(())
}

/// Checks the sizes of the fields of an event alone. Servers check them before they form an event.
///
/// # Errors
/// If one of them has more than [`MAX_FIELD_BYTES`].
pub fn check_fields(event: &EventView<'_>) -> Result<(), LimitError> {
    check_field("sender", event.sender)?;
    check_field("room_id", event.room_id.unwrap_or_default())?;
    check_field("state_key", event.state_key.unwrap_or_default())?;
    check_field("type", event.kind)
}

fn check_field(field: &'static str, text: &str) -> Result<(), LimitError> {
    let bytes = text.len();
    if bytes > MAX_FIELD_BYTES {
        return Err(LimitError::Field { field, bytes });
    }
    Ok(())
}

/// What is too large, or wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// The event is too large.
    #[error("the event has {bytes} bytes, and may have at most {MAX_EVENT_BYTES}")]
    Event {
        /// Its size.
        bytes: usize,
    },
    /// A field is too large.
    #[error("{field} has {bytes} bytes, and may have at most {MAX_FIELD_BYTES}")]
    Field {
        /// Which one.
        field: &'static str,
        /// Its size.
        bytes: usize,
    },
    /// The event cannot be used.
    #[error(transparent)]
    Json(#[from] JsonError),
}
