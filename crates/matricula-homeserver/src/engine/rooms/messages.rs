//! [Pages of events](https://spec.matrix.org/v1.19/client-server-api/#getting-events-for-a-room), and the
//! events around one.

use std::collections::BTreeSet;

use matricula_api::{
    Raw,
    client::{
        definitions::Direction,
        event_context::{GetEventContext, GetEventContextResponse},
        message_pagination::{GetRoomMessages, GetRoomMessagesResponse},
    },
};
use matricula_core::StepContext;

use super::{
    DEFAULT_PAGE, MAX_PAGE, MEMBER,
    access::ReadAccess,
    client_event::{Reader, Shape},
    not_found,
    positions::{parse_place, place_token},
    require_reader,
};
use crate::engine::{
    context::RequestContext,
    error::HandlerError,
    filters::{self, EventMatcher},
    handler::Handler,
    storage::{events::EventRow, stream},
};

/// The largest sum of the events of a page, in bytes of their contents: a page ends before it is exceeded.
pub(super) const MAX_PAGE_BYTES: usize = 1024 * 1024;
/// The maximum number of events that are looked at for a page, most of which the reader may not read or
/// does not want.
const MAX_SCANNED: usize = 10_000;
/// The number of events that are read from the database at once.
const BATCH: i64 = 200;

impl Handler for GetRoomMessages {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetRoomMessagesResponse, HandlerError> {
        let (requester, user) = require_reader(context, cx.now)?;
        let room = self.room_id.as_str();
        let access = ReadAccess::require(context.tx, room, &user)?;
        let reader = Reader::new(context, &requester, &user, cx.now);
        let wanted = filters::of_query(self.filter.as_deref())?;
        let is_back = self.dir == Direction::B;
        let end = if is_back {
            stream::newest(context.tx)?
        } else {
            0
        };
        let place = |token| parse_place(context, token);
        let end = end as f64;
        let from = self.from.as_deref().map_or(Ok(end), place)?;
        let to = self.to.as_deref().map(place).transpose()?;
        let limit = self.limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE);
        let walk = Walk {
            room,
            from,
            to,
            is_back,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            max_bytes: MAX_PAGE_BYTES,
            wanted: &wanted,
            ignored: &BTreeSet::new(),
            is_sync: false,
        };
        let page = walk.page(&reader, &access)?;
        let mut response = GetRoomMessagesResponse::new(
            place_token(from),
            reader.write_raw(&access, &page.events)?,
        );
        response.end = page.next.map(place_token);
        if wanted.lazy_load_members {
            let newest = access.readable_state().unwrap_or(0);
            let members = members_of(&reader, room, &page.events, newest)?;
            response.state = Some(reader.write_raw(&access, &members)?);
        }
        Ok(response)
    }
}

impl Handler for GetEventContext {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetEventContextResponse, HandlerError> {
        let (requester, user) = require_reader(context, cx.now)?;
        let (room, id) = (self.room_id.as_str(), self.event_id.as_str());
        let access = ReadAccess::require(context.tx, room, &user)?;
        let reader = Reader::new(context, &requester, &user, cx.now);
        let event = reader.device.find(context.tx, room, id)?;
        let event = event.filter(|event| access.may_read(event));
        let event = event.ok_or_else(|| not_found("the room has no such event"))?;
        let wanted = filters::of_query(self.filter.as_deref())?;
        let limit = self.limit.unwrap_or(DEFAULT_PAGE).min(MAX_PAGE);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (before_limit, after_limit) = (limit / 2, limit - limit / 2);
        let ignored = BTreeSet::new();
        let walk = |is_back, from, limit| Walk {
            room,
            from,
            to: None,
            is_back,
            limit,
            max_bytes: MAX_PAGE_BYTES / 2,
            wanted: &wanted,
            ignored: &ignored,
            is_sync: false,
        };
        let before = walk(true, event.place.next_down(), before_limit).page(&reader, &access)?;
        let after = walk(false, event.place, after_limit).page(&reader, &access)?;
        let first = before.events.last().unwrap_or(&event).place;
        let newest = after.events.last().unwrap_or(&event);
        let last = newest.position;
        let readable = access.readable_state().unwrap_or(0);
        let mut state = reader
            .device
            .state_between(context.tx, room, 0, last.min(readable))?;
        if wanted.lazy_load_members {
            let shown = before.events.iter().chain(&after.events).chain([&event]);
            let senders: BTreeSet<_> = shown.map(|event| event.sender.as_str()).collect();
            let is_sender =
                |key: &Option<String>| key.as_deref().is_some_and(|it| senders.contains(it));
            state.retain(|event| event.kind != MEMBER || is_sender(&event.state_key));
        }
        let json = reader.write(&access, &event, Shape::WHOLE)?;
        Ok(GetEventContextResponse {
            start: Some(place_token(first.next_down())),
            end: Some(place_token(newest.place)),
            events_before: Some(reader.write_raw(&access, &before.events)?),
            event: Some(Raw::from_json(json.to_string())?),
            events_after: Some(reader.write_raw(&access, &after.events)?),
            state: Some(reader.write_raw(&access, &state)?),
            ..GetEventContextResponse::default()
        })
    }
}

/// A walk through the history of a room.
pub(super) struct Walk<'a> {
    pub(super) room: &'a str,
    /// The place where it starts: the events up to it, or after it.
    pub(super) from: f64,
    /// The place where it ends at the latest.
    pub(super) to: Option<f64>,
    pub(super) is_back: bool,
    /// The maximum number of events.
    pub(super) limit: usize,
    /// The maximum sum of their contents, in bytes. A page has at least one event.
    pub(super) max_bytes: usize,
    /// Which events are wanted.
    pub(super) wanted: &'a EventMatcher,
    /// The users whose messages are left out.
    pub(super) ignored: &'a BTreeSet<String>,
    /// Whether it is in the order of a sync: by position, without what /sync leaves out.
    pub(super) is_sync: bool,
}

/// A part of the events of a room.
pub(super) struct Page {
    pub(super) events: Vec<EventRow>,
    /// Where the next page starts; none if this is the last one.
    pub(super) next: Option<f64>,
}

impl Walk<'_> {
    /// The next events that the reader may read.
    pub(super) fn page(
        &self,
        reader: &Reader<'_>,
        access: &ReadAccess,
    ) -> Result<Page, HandlerError> {
        let condition = match (self.is_sync, self.is_back) {
            // A sync goes back from its end.
            (true, _) => {
                "events.room = ?3 AND events.position <= ?4 AND events.position > ?5
                     AND NOT events.is_hole ORDER BY events.position DESC LIMIT ?6"
            }
            (false, true) => {
                "events.room = ?3 AND events.place <= ?4 AND events.place > ?5
                     ORDER BY events.place DESC LIMIT ?6"
            }
            (false, false) => {
                "events.room = ?3 AND events.place > ?4 AND events.place <= ?5
                     ORDER BY events.place LIMIT ?6"
            }
        };
        let end = if self.is_back { 0.0 } else { f64::MAX };
        let to = self.to.unwrap_or(end);
        let (mut from, mut scanned, mut bytes) = (self.from, 0, 0);
        let mut events = Vec::new();
        loop {
            let values: [&dyn rusqlite::ToSql; 4] = [&self.room, &from, &to, &BATCH];
            let batch = reader.device.query(reader.context.tx, condition, &values)?;
            let is_last = (batch.len() as i64) < BATCH;
            for event in batch {
                scanned += 1;
                let place = if self.is_sync {
                    event.position as f64
                } else {
                    event.place
                };
                let after = if self.is_back {
                    place.next_down()
                } else {
                    place
                };
                let is_ignored = event.state_key.is_none() && self.ignored.contains(&event.sender);
                if !is_ignored && access.may_read(&event) && self.wanted.matches_event(&event)? {
                    bytes += event.content.len();
                    let is_full = events.len() >= self.limit
                        || (bytes > self.max_bytes && !events.is_empty());
                    if is_full {
                        let next = Some(from);
                        return Ok(Page { events, next });
                    }
                    events.push(event);
                }
                from = after;
                if scanned >= MAX_SCANNED {
                    let next = Some(from);
                    return Ok(Page { events, next });
                }
            }
            if is_last {
                return Ok(Page { events, next: None });
            }
        }
    }
}

/// The membership events of the senders of these events, as they were at a position.
pub(super) fn members_of(
    reader: &Reader<'_>,
    room: &str,
    events: &[EventRow],
    up_to: i64,
) -> Result<Vec<EventRow>, HandlerError> {
    let senders: BTreeSet<_> = events.iter().map(|event| event.sender.as_str()).collect();
    let mut members = Vec::new();
    for sender in senders {
        let found = reader
            .device
            .state(reader.context.tx, room, MEMBER, sender, up_to)?;
        members.extend(found);
    }
    Ok(members)
}
