//! [Typing notifications](https://spec.matrix.org/v1.19/client-server-api/#typing-notifications).

use std::{collections::BTreeSet, time::Duration};

use matricula_api::{
    ErrorCode,
    client::typing::{SetTyping, SetTypingResponse},
};
use matricula_core::{StepContext, Timestamp};
use serde_json::{Value, json};

use super::{
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    storage::{members, typing},
};

/// How long a user is typing if the client does not say, and at most.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_TIMEOUT: Duration = Duration::from_secs(120);

impl Handler for SetTyping {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SetTypingResponse, HandlerError> {
        context.authenticate_as(cx.now, &self.user_id)?;
        let (tx, room, user_id) = (context.tx, self.room_id.as_str(), self.user_id.as_str());
        if !members::is_joined(tx, room, user_id)? {
            let error = format!("{user_id} is not in the room {room}");
            return Err(ApiError::new(403, ErrorCode::Forbidden, error).into());
        }
        expire(context, cx.now)?;
        let timeout = self.timeout.unwrap_or(DEFAULT_TIMEOUT).min(MAX_TIMEOUT);
        let is_change = if self.typing && timeout > Duration::ZERO {
            typing::start(tx, room, user_id, cx.now.plus(timeout))?
        } else {
            typing::stop(tx, room, user_id)?
        };
        if is_change {
            context.changes.add_for_room(tx, room)?;
        }
        Ok(SetTypingResponse::default())
    }
}

/// Ends the notifications that have expired. A sync begins with it, and waits no longer than until the next
/// one expires.
pub(crate) fn expire(context: &RequestContext<'_>, now: Timestamp) -> Result<(), HandlerError> {
    for room in typing::expire(context.tx, now, now.plus(MAX_TIMEOUT))? {
        context.changes.add_for_room(context.tx, &room)?;
    }
    Ok(())
}

/// How long a sync of this user may wait before a notification expires; none where no one is typing.
pub(crate) fn next_expiry(
    context: &RequestContext<'_>,
    now: Timestamp,
    user_id: &str,
) -> Result<Option<Duration>, HandlerError> {
    let at = typing::next_expiry(context.tx, user_id)?;
    let wait = at.map(|at| at.saturating_sub(super::millis(now)));
    Ok(wait.map(|wait| Duration::from_millis(wait.try_into().unwrap_or(0))))
}

/// Who is typing in a room, as an event for a sync, if that changed after a position. Users whom the reader
/// ignores are left out.
pub(crate) fn changes(
    context: &RequestContext<'_>,
    ignored: &BTreeSet<String>,
    room: &str,
    after: i64,
) -> Result<Option<Value>, HandlerError> {
    if typing::changed(context.tx, room)? <= after {
        return Ok(None);
    }
    let mut users = typing::users(context.tx, room)?;
    users.retain(|user| !ignored.contains(user));
    // A client that knows nothing yet assumes that no one is typing.
    if after == 0 && users.is_empty() {
        return Ok(None);
    }
    Ok(Some(
        json!({ "type": "m.typing", "content": { "user_ids": users } }),
    ))
}

/// Ends the notification of a user who leaves a room or sends a message.
pub(crate) fn stop(
    context: &RequestContext<'_>,
    room: &str,
    user_id: &str,
) -> Result<(), HandlerError> {
    if typing::stop(context.tx, room, user_id)? {
        context.changes.add_for_room(context.tx, room)?;
    }
    Ok(())
}
