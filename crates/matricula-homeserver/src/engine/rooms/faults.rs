//! Events as a test of clients wants them: late, or never in a sync.

use matricula_api::{RoomId, UserId};
use matricula_core::StepContext;
use serde_json::Value;

use super::{
    events::{NewEvent, append_event},
    not_found,
};
use crate::engine::{
    context::RequestContext,
    error::HandlerError,
    storage::events::{SERVER, displace, next_place},
};

/// An event that a test of clients makes.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultyEvent {
    /// The room.
    pub room: RoomId,
    /// A user of this server who may send it.
    pub sender: UserId,
    /// The type.
    pub event_type: String,
    /// The content, an object.
    pub content: Value,
    /// The event that it follows in /messages, although it comes last in /sync: a late event.
    pub after: Option<String>,
    /// Whether /sync leaves it out, although /messages has it: a hole.
    pub is_hole: bool,
}

/// Appends the event and returns its id.
pub(crate) fn append_faulty(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    event: &FaultyEvent,
) -> Result<String, HandlerError> {
    let tx = context.tx;
    let new = NewEvent {
        room: &event.room,
        sender: &event.sender,
        kind: &event.event_type,
        state_key: None,
        content: &event.content,
    };
    let appended = append_event(context, cx, &new)?;
    let place = match &event.after {
        None => None,
        Some(id) => {
            let before = SERVER
                .find(tx, event.room.as_str(), id)?
                .ok_or_else(|| not_found("the room has no such event"))?
                .place;
            let next = next_place(tx, event.room.as_str(), before)?;
            Some((before + next.unwrap_or(before + 1.0)) / 2.0)
        }
    };
    displace(tx, appended.position, place, event.is_hole)?;
    Ok(appended.id)
}
