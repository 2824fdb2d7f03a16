//! [Receipts](https://spec.matrix.org/v1.19/client-server-api/#receipts) and
//! [read markers](https://spec.matrix.org/v1.19/client-server-api/#fully-read-markers): up to which event a
//! user has read a room or a thread.
//!
//! The number of receipts is limited in `storage::receipts`.

use std::collections::{BTreeMap, BTreeSet};

use matricula_api::{
    ErrorCode, RoomId, UserId,
    client::{
        read_markers::{SetReadMarker, SetReadMarkerResponse},
        receipts::{ReceiptType, SendReceipt, SendReceiptResponse},
    },
};
use matricula_core::{StepContext, Timestamp};
use serde_json::{Map, Value, json};

use super::{
    account_data,
    auth::requester::Requester,
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    storage::{
        members, notifications,
        receipts::{self, NewReceipt},
        threads::{self, MAIN},
    },
};

const READ: &str = "m.read";
const READ_PRIVATE: &str = "m.read.private";
/// The thread of a receipt for the whole room, as the table has it.
const UNTHREADED: &str = "";

impl Handler for SendReceipt {
    fn precheck(context: &RequestContext<'_>, now: Timestamp) -> Result<(), HandlerError> {
        context.authenticate_user(now)?;
        // The specification has its own error for this, which parsing does not know.
        let body: Option<Map<String, Value>> = serde_json::from_slice(&context.request.body).ok();
        match body.and_then(|mut body| body.remove("thread_id")) {
            None | Some(Value::String(_)) => Ok(()),
            Some(_) => Err(invalid_thread("thread_id must be a string").into()),
        }
    }

    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SendReceiptResponse, HandlerError> {
        let reader = Reader::of_request(context, cx.now, &self.room_id)?;
        let event = reader.find_event(self.event_id.as_str())?;
        let thread = self.thread_id.as_deref();
        match self.receipt_type {
            ReceiptType::Read => reader.set(READ, &event, thread)?,
            ReceiptType::ReadPrivate => reader.set(READ_PRIVATE, &event, thread)?,
            ReceiptType::FullyRead if thread.is_some() => {
                let error = "the marker m.fully_read has no thread_id";
                return Err(invalid_thread(error).into());
            }
            ReceiptType::FullyRead => reader.set_fully_read(&event)?,
            other => {
                let error = format!("there is no receipt type {other}");
                return Err(ApiError::new(400, ErrorCode::InvalidParam, error).into());
            }
        }
        Ok(SendReceiptResponse::default())
    }
}

impl Handler for SetReadMarker {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SetReadMarkerResponse, HandlerError> {
        let reader = Reader::of_request(context, cx.now, &self.room_id)?;
        // All of them are checked before one is stored: an error response is committed, too.
        let fully_read = reader.find_optional(self.fully_read.as_deref())?;
        let read = reader.find_optional(self.read.as_deref())?;
        let read_private = reader.find_optional(self.read_private.as_deref())?;
        if let Some(event) = fully_read {
            reader.set_fully_read(&event)?;
        }
        if let Some(event) = read {
            reader.set(READ, &event, None)?;
        }
        if let Some(event) = read_private {
            reader.set(READ_PRIVATE, &event, None)?;
        }
        Ok(SetReadMarkerResponse::default())
    }
}

fn invalid_thread(error: &'static str) -> ApiError {
    ApiError::new(400, ErrorCode::InvalidParam, error)
}

/// An event of the room.
struct ReadEvent<'a> {
    id: &'a str,
    position: i64,
}

/// A member of a room who reads it.
struct Reader<'a> {
    context: &'a RequestContext<'a>,
    now: Timestamp,
    requester: Requester,
    user_id: UserId,
    room: &'a RoomId,
}

impl<'a> Reader<'a> {
    fn of_request(
        context: &'a RequestContext<'a>,
        now: Timestamp,
        room: &'a RoomId,
    ) -> Result<Self, HandlerError> {
        let requester = context.authenticate_user(now)?;
        let user_id = requester.user_id(context.config)?;
        if !members::is_joined(context.tx, room.as_str(), user_id.as_str())? {
            let error = format!("{user_id} is not in the room {room}");
            return Err(ApiError::new(403, ErrorCode::Forbidden, error).into());
        }
        Ok(Self {
            context,
            now,
            requester,
            user_id,
            room,
        })
    }

    fn find_event<'e>(&self, id: &'e str) -> Result<ReadEvent<'e>, HandlerError> {
        let position = threads::event_position(self.context.tx, self.room.as_str(), id)?;
        let position = position.ok_or_else(|| {
            let error = "the room has no such event";
            ApiError::new(404, ErrorCode::NotFound, error)
        })?;
        Ok(ReadEvent { id, position })
    }

    fn find_optional<'e>(
        &self,
        id: Option<&'e str>,
    ) -> Result<Option<ReadEvent<'e>>, HandlerError> {
        id.map(|id| self.find_event(id)).transpose()
    }

    fn set(
        &self,
        kind: &str,
        event: &ReadEvent<'_>,
        thread: Option<&str>,
    ) -> Result<(), HandlerError> {
        if let Some(thread) = thread {
            self.check_thread(event, thread)?;
        }
        let receipt = NewReceipt {
            room: self.room.as_str(),
            user_id: self.user_id.as_str(),
            kind,
            thread: thread.unwrap_or(UNTHREADED),
            event: event.id,
            event_position: event.position,
        };
        if !receipt.insert(self.context.tx, self.now)? {
            return Ok(());
        }
        let (tx, up_to) = (self.context.tx, event.position);
        notifications::clear(tx, receipt.user_id, receipt.room, thread, up_to)?;
        if kind == READ {
            let changes = &self.context.changes;
            changes.add_for_room(self.context.tx, self.room.as_str())?;
        } else {
            self.context.changes.add_for_user(self.user_id.as_str());
        }
        Ok(())
    }

    /// Rejects a thread that the event does not belong to. The event that a thread is about belongs to it,
    /// and to the main timeline.
    fn check_thread(&self, event: &ReadEvent<'_>, thread: &str) -> Result<(), HandlerError> {
        if thread.is_empty() {
            return Err(invalid_thread("thread_id must not be empty").into());
        }
        let belongs_to = threads::of_event(self.context.tx, self.room.as_str(), event.id)?;
        let is_root = thread == event.id && belongs_to == MAIN;
        if thread != belongs_to && !is_root {
            let error = "the event does not belong to the thread of thread_id";
            return Err(invalid_thread(error).into());
        }
        Ok(())
    }

    /// Moves the marker forward; it never moves back.
    fn set_fully_read(&self, event: &ReadEvent<'_>) -> Result<(), HandlerError> {
        let (context, room) = (self.context, self.room.as_str());
        let known = account_data::fully_read(context, self.requester.user, room)?;
        let known = known.map(|id| threads::event_position(context.tx, room, &id));
        if known.transpose()?.flatten() >= Some(event.position) {
            return Ok(());
        }
        account_data::set_fully_read(context, &self.requester, self.room, event.id)
    }
}

/// The receipts of a room that changed after a position, as events for a sync: all of them where that is 0.
/// There is one event for each thread. Users whom the reader ignores are left out.
pub(crate) fn changes(
    context: &RequestContext<'_>,
    reader: &UserId,
    ignored: &BTreeSet<String>,
    room: &str,
    after: i64,
) -> Result<Vec<Value>, HandlerError> {
    let mut threads: BTreeMap<String, Value> = BTreeMap::new();
    for row in receipts::changes(context.tx, room, reader.as_str(), after)? {
        if ignored.contains(&row.user_id) {
            continue;
        }
        let mut receipt = json!({ "ts": row.sent_at });
        if row.thread != UNTHREADED {
            receipt["thread_id"] = row.thread.as_str().into();
        }
        let content = threads.entry(row.thread).or_insert_with(|| json!({}));
        content[row.event][row.kind][row.user_id] = receipt;
    }
    let events = threads
        .into_values()
        .map(|content| json!({ "type": "m.receipt", "content": content }));
    Ok(events.collect())
}
