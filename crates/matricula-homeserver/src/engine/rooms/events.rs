//! Events: append one, show one to clients, look at the current state.

use matricula_api::{ErrorCode, RoomId, UserId};
use matricula_core::StepContext;
use serde_json::{Value, json};

use super::{MAX_EVENT, MAX_NAME, MEMBER, power::room_power};
use crate::engine::{
    context::RequestContext,
    error::{ApiError, HandlerError},
    push_rules::{self, AppendedEvent},
    storage::{
        events::{EventRow, NewEventRow, state},
        members, notifications, stream,
    },
    typing,
    util::ALPHANUMERIC,
};

/// An event to be appended to a room.
pub(super) struct NewEvent<'a> {
    pub(super) room: &'a RoomId,
    pub(super) kind: &'a str,
    pub(super) state_key: Option<&'a str>,
    pub(super) content: &'a Value,
}

/// An event that was appended.
pub(super) struct Appended {
    pub(super) id: String,
    pub(super) position: i64,
}

/// Appends an event. The caller has checked that the sender may send it.
pub(super) fn append_event(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    sender: &UserId,
    new: &NewEvent<'_>,
) -> Result<Appended, HandlerError> {
    let names = [Some(new.kind), new.state_key];
    if names.iter().flatten().any(|name| name.len() > MAX_NAME) {
        let error = format!("the type and the state key must have at most {MAX_NAME} bytes each");
        return Err(ApiError::new(413, ErrorCode::TooLarge, error).into());
    }
    let content = new.content.to_string();
    let id = format!("${}", cx.entropy.text(ALPHANUMERIC, 43));
    let names: usize = names.iter().flatten().map(|name| name.len()).sum();
    // The other fields of the event, with the longest user and room ids.
    const ENVELOPE: usize = 1_024;
    if content.len() + names + ENVELOPE > MAX_EVENT {
        let error = format!("an event must have at most {MAX_EVENT} bytes");
        return Err(ApiError::new(413, ErrorCode::TooLarge, error).into());
    }
    let row = NewEventRow {
        id: &id,
        room: new.room.as_str(),
        kind: new.kind,
        state_key: new.state_key,
        sender: sender.as_str(),
        content: &content,
    };
    let position = row.insert(context.tx, cx.now)?;
    if let (MEMBER, Some(member)) = (new.kind, new.state_key) {
        let membership = new.content["membership"].as_str().unwrap_or("leave");
        members::set(context.tx, row.room, member, membership, position)?;
        if membership != "join" {
            typing::stop(context, row.room, member)?;
            notifications::clear(context.tx, member, row.room, None, i64::MAX)?;
        }
        // One who is not joined sees this change too.
        context.changes.add_for_user(member);
    }
    let event = AppendedEvent {
        room: row.room,
        id: &id,
        position,
        kind: new.kind,
        state_key: new.state_key,
        sender: sender.as_str(),
        content: new.content,
    };
    push_rules::on_event(context, &event, || room_power(context, new.room))?;
    context.changes.add_for_room(context.tx, row.room)?;
    Ok(Appended { id, position })
}

/// The content of an event.
pub(super) fn content(event: &EventRow) -> Result<Value, HandlerError> {
    Ok(serde_json::from_str(&event.content)?)
}

/// The `membership` in a membership event.
pub(super) fn membership_of(event: &EventRow) -> Result<Option<String>, HandlerError> {
    let content = content(event)?;
    Ok(content["membership"].as_str().map(str::to_owned))
}

/// An event in the format for clients, with or without its room.
pub(super) fn to_client(event: &EventRow, with_room: bool) -> Result<Value, HandlerError> {
    let mut json = json!({
        "event_id": event.id,
        "type": event.kind,
        "sender": event.sender,
        "origin_server_ts": event.sent_at,
        "content": content(event)?,
    });
    if let Some(state_key) = &event.state_key {
        json["state_key"] = json!(state_key);
    }
    if with_room {
        json["room_id"] = json!(event.room);
    }
    if let Some(transaction) = &event.transaction {
        json["unsigned"] = json!({ "transaction_id": transaction });
    }
    Ok(json)
}

/// A position between two events, as clients get it.
pub(super) fn position_token(position: i64) -> String {
    format!("s{position}")
}

/// The position of a token, which must not be in the future.
pub(super) fn parse_position(
    context: &RequestContext<'_>,
    token: &str,
) -> Result<i64, HandlerError> {
    let digits = token
        .strip_prefix('s')
        .filter(|it| it.bytes().all(|it| it.is_ascii_digit()));
    let position = digits.and_then(|it| it.parse().ok());
    let newest = stream::newest(context.tx)?;
    Ok(position.filter(|it| *it <= newest).ok_or_else(|| {
        let error = "this token was not issued by this server";
        ApiError::new(400, ErrorCode::InvalidParam, error)
    })?)
}

/// The content of a current state event.
pub(super) fn state_content(
    context: &RequestContext<'_>,
    room: &RoomId,
    kind: &str,
    state_key: &str,
) -> Result<Option<Value>, HandlerError> {
    let found = state(context.tx, room.as_str(), kind, state_key)?;
    let content = found.map(|(_, content)| serde_json::from_str(&content));
    Ok(content.transpose()?)
}

/// A user's membership of a room: `join`, `invite`, `leave` or `ban`; none where there never was one.
pub(super) fn membership(
    context: &RequestContext<'_>,
    room: &RoomId,
    user: &UserId,
) -> Result<Option<String>, HandlerError> {
    Ok(members::membership(
        context.tx,
        room.as_str(),
        user.as_str(),
    )?)
}
