//! [Sync](https://spec.matrix.org/v1.19/client-server-api/#syncing), with long polling.

use std::{collections::BTreeSet, time::Duration};

use matricula_api::{
    UserId,
    client::sync::{Sync, SyncResponse},
};
use matricula_core::{Method, StepContext};
use rusqlite::ToSql;
use serde_json::{Map, Value, json};

use super::{
    DEFAULT_PAGE, MAX_PAGE, MEMBER,
    events::{content, membership_of, parse_position, position_token, to_client},
    require_reader,
};
use crate::engine::{
    Request, account_data,
    auth::requester::Requester,
    context::RequestContext,
    error::HandlerError,
    filters::{self, EventMatcher, Filter},
    handler::Handler,
    presence, push_rules, receipts,
    storage::{
        events::{EventDevice, EventRow},
        stream,
    },
    typing,
    waiting::Awaited,
};

/// The longest time that a sync waits for events.
const MAX_TIMEOUT: Duration = Duration::from_secs(120);
/// The state that an invited user sees.
const STRIPPED: [&str; 8] = [
    "m.room.create",
    "m.room.name",
    "m.room.avatar",
    "m.room.topic",
    "m.room.join_rules",
    "m.room.canonical_alias",
    "m.room.encryption",
    "m.room.member",
];
/// The maximum number of events that are read for one timeline, if a filter may drop some.
const MAX_FILTERED: i64 = 1_000;
/// The maximum number of heroes in a room summary.
const MAX_HEROES: usize = 5;

/// How long a request may wait for events, if it is an incremental sync.
pub(crate) fn long_poll_timeout(request: &Request) -> Option<Duration> {
    let is_sync = request.method == Method::Get && request.path.ends_with("/client/v3/sync");
    // A full state is never empty.
    let is_incremental =
        is_sync && request.query("since").is_some() && request.query("full_state") != Some("true");
    let millis = request.query("timeout")?.parse().ok();
    let millis = millis.filter(|_| is_incremental)?;
    Some(Duration::from_millis(millis).min(MAX_TIMEOUT))
}

/// The parameters of a sync.
struct SyncParams<'a> {
    context: &'a RequestContext<'a>,
    requester: &'a Requester,
    device: EventDevice<'a>,
    user: &'a UserId,
    filter: &'a Filter,
    /// The users whom this user ignores.
    ignored: &'a BTreeSet<String>,
    /// The position of the newest event that the client knows; 0 where it knows none.
    since: i64,
    is_first: bool,
    full_state: bool,
    limit: i64,
}

impl Handler for Sync {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SyncResponse, HandlerError> {
        let (requester, user) = require_reader(context, cx.now)?;
        let since = self.since.as_deref();
        let since = since.map(|it| parse_position(context, it)).transpose()?;
        let filter = filters::load(context, &requester, self.filter.as_deref())?;
        typing::expire(context, cx.now)?;
        presence::on_sync(context, cx.now, &user, self.set_presence.as_ref())?;
        let ignored = account_data::ignored_users(context, requester.user)?;
        let limit = filter.timeline.limit.unwrap_or(DEFAULT_PAGE);
        let limit = limit.clamp(1, MAX_PAGE);
        let params = SyncParams {
            context,
            requester: &requester,
            device: requester.event_device(),
            user: &user,
            filter: &filter,
            ignored: &ignored,
            since: since.unwrap_or(0),
            is_first: since.is_none(),
            full_state: self.full_state == Some(true),
            limit: i64::try_from(limit).unwrap_or(i64::MAX),
        };
        let mut response = Map::new();
        let rooms = params.room_updates()?;
        if !rooms.is_empty() {
            response.insert("rooms".to_owned(), rooms.into());
        }
        let mut events = account_data::changes(context, &requester, params.since, None)?;
        events.retain(|event| passes(&filter.account_data, event));
        put_events(&mut response, "account_data", events);
        let mut events = presence::changes(context, cx.now, &user, &ignored, params.since)?;
        events.retain(|event| passes(&filter.presence, event));
        put_events(&mut response, "presence", events);
        // Without changes the client keeps its token.
        let next = match (since, response.is_empty()) {
            (Some(since), true) => {
                let changes = &context.changes;
                changes.wait_for(Awaited::Sync(user.as_str().to_owned()));
                if let Some(time) = typing::next_expiry(context, cx.now, user.as_str())? {
                    changes.wait_at_most(time);
                }
                since
            }
            _ => stream::newest(context.tx)?,
        };
        response.insert("next_batch".to_owned(), position_token(next).into());
        Ok(serde_json::from_value(response.into())?)
    }
}

/// Whether an event that is not of a room's history passes a part of the filter.
fn passes(filter: &EventMatcher, event: &Value) -> bool {
    let kind = event["type"].as_str().unwrap_or_default();
    filter.matches(kind, event["sender"].as_str())
}

/// Adds a section with events, unless there are none.
fn put_events(to: &mut Map<String, Value>, section: &str, events: Vec<Value>) {
    if !events.is_empty() {
        to.insert(section.to_owned(), json!({ "events": events }));
    }
}

impl SyncParams<'_> {
    fn query(&self, condition: &str, values: &[&dyn ToSql]) -> Result<Vec<EventRow>, HandlerError> {
        Ok(self.device.query(self.context.tx, condition, values)?)
    }

    /// The changes in rooms, by the user's membership.
    fn room_updates(&self) -> Result<Map<String, Value>, HandlerError> {
        let mut rooms = Map::new();
        let mut put = |section: &str, room: &str, update: Value| {
            let section = rooms.entry(section).or_insert_with(|| json!({}));
            section[room] = update;
        };
        let memberships = self
            .device
            .memberships(self.context.tx, self.user.as_str())?;
        for event in memberships {
            if !self.filter.matches_room(&event.room) {
                continue;
            }
            let is_new = event.position > self.since;
            match membership_of(&event)?.as_deref() {
                Some("join") => {
                    if let Some(update) = self.joined_room(&event.room)? {
                        put("join", &event.room, update);
                    }
                }
                Some("invite") if self.ignored.contains(&event.sender) => {}
                Some("invite") if is_new || self.full_state => {
                    let state = json!({ "events": self.stripped_state(&event)? });
                    put("invite", &event.room, json!({ "invite_state": state }));
                }
                Some("leave" | "ban")
                    if is_new && (!self.is_first || self.filter.include_leave) =>
                {
                    // A user who never was joined sees only the membership event.
                    let after = if self.was_joined_between(&event)? {
                        self.since
                    } else {
                        event.position - 1
                    };
                    let update = self.timeline(&event.room, after, event.position)?;
                    put("leave", &event.room, update);
                }
                _ => {}
            }
        }
        Ok(rooms)
    }

    /// The changes in a joined room.
    fn joined_room(&self, room: &str) -> Result<Option<Value>, HandlerError> {
        let was_joined = self.was_joined(room)?;
        let since = if was_joined { self.since } else { 0 };
        let mut update = self.timeline(room, since, i64::MAX)?;
        let mut more = Map::new();
        let events = self.room_account_data(room, since)?;
        put_events(&mut more, "account_data", events);
        put_events(&mut more, "ephemeral", self.ephemeral(room, since)?);
        let is_empty = update["timeline"]["events"] == json!([]) && more.is_empty();
        if was_joined && is_empty && !self.full_state {
            return Ok(None);
        }
        for (section, events) in more {
            update[section] = events;
        }
        update["summary"] = self.summary(room)?;
        let per_thread = self.filter.timeline.unread_thread_notifications;
        let (context, reader, ignored) = (self.context, self.user, self.ignored);
        push_rules::write_counts(context, reader, ignored, room, per_thread, &mut update)?;
        Ok(Some(update))
    }

    /// The changed account data of a room.
    fn room_account_data(&self, room: &str, since: i64) -> Result<Vec<Value>, HandlerError> {
        let filter = &self.filter.room_account_data;
        if !filter.matches_room(room) {
            return Ok(Vec::new());
        }
        let mut events = account_data::changes(self.context, self.requester, since, Some(room))?;
        events.retain(|event| passes(filter, event));
        Ok(events)
    }

    /// The receipts that changed in a room, and who is typing if that changed.
    fn ephemeral(&self, room: &str, since: i64) -> Result<Vec<Value>, HandlerError> {
        let filter = &self.filter.ephemeral;
        if !filter.matches_room(room) {
            return Ok(Vec::new());
        }
        let mut events = receipts::changes(self.context, self.user, self.ignored, room, since)?;
        events.extend(typing::changes(self.context, self.ignored, room, since)?);
        events.retain(|event| passes(filter, event));
        Ok(events)
    }

    /// Whether the user was joined at some time between `since` and this event.
    fn was_joined_between(&self, left: &EventRow) -> Result<bool, HandlerError> {
        if self.was_joined(&left.room)? {
            return Ok(true);
        }
        let condition =
            "events.kind = 'm.room.member' AND events.state_key = ?3 AND events.room = ?4
             AND events.position > ?5 AND events.position < ?6";
        let user = self.user.as_str();
        for event in self.query(condition, &[&user, &left.room, &self.since, &left.position])? {
            if membership_of(&event)?.as_deref() == Some("join") {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the user was joined at `since`.
    fn was_joined(&self, room: &str) -> Result<bool, HandlerError> {
        let condition =
            "events.kind = 'm.room.member' AND events.state_key = ?3 AND events.room = ?4
             AND events.position <= ?5 ORDER BY events.position DESC LIMIT 1";
        let user = self.user.as_str();
        let before = self.query(condition, &[&user, &room, &self.since])?;
        let before = before.first().map(membership_of).transpose()?;
        Ok(before.flatten().as_deref() == Some("join"))
    }

    /// The last events of a room between two positions, and the state before them.
    fn timeline(&self, room: &str, after: i64, up_to: i64) -> Result<Value, HandlerError> {
        let tx = self.context.tx;
        let condition = "events.room = ?3 AND events.position > ?4 AND events.position <= ?5
             ORDER BY events.position DESC LIMIT ?6";
        // One more than the limit shows whether there are more.
        let filter = &self.filter.timeline;
        let limit = if filter.matches_all() && self.ignored.is_empty() {
            self.limit + 1
        } else {
            MAX_FILTERED
        };
        let page = self.query(condition, &[&room, &after, &up_to, &limit])?;
        let is_full = page.len() as i64 == limit;
        let mut events = Vec::new();
        for event in page {
            let is_ignored = event.state_key.is_none() && self.ignored.contains(&event.sender);
            if !is_ignored && filter.matches_event(&event)? {
                events.push(event);
            }
        }
        let is_limited = events.len() as i64 > self.limit || is_full;
        events.truncate(usize::try_from(self.limit).unwrap_or(usize::MAX));
        events.reverse();
        let first = events.first().map_or(up_to, |event| event.position);
        let before = match events.first() {
            Some(event) => event.position - 1,
            None => stream::newest(tx)?.min(up_to),
        };
        let known = if self.full_state { 0 } else { after };
        let mut state = Vec::new();
        for event in self.device.state_between(tx, room, known, first)? {
            if self.filter.state.matches_event(&event)? {
                state.push(event);
            }
        }
        Ok(json!({
            "state": { "events": self.client_events(&state)? },
            "timeline": {
                "events": self.client_events(&events)?,
                "limited": is_limited,
                "prev_batch": position_token(before),
            },
        }))
    }

    fn summary(&self, room: &str) -> Result<Value, HandlerError> {
        let (mut joined, mut invited, mut heroes) = (0, 0, Vec::new());
        for event in self.device.room_members(self.context.tx, room)? {
            match membership_of(&event)?.as_deref() {
                Some("join") => joined += 1,
                Some("invite") => invited += 1,
                _ => continue,
            }
            let member = event.state_key.unwrap_or_default();
            if heroes.len() < MAX_HEROES && member != self.user.as_str() {
                heroes.push(member);
            }
        }
        Ok(json!({
            "m.heroes": heroes,
            "m.joined_member_count": joined,
            "m.invited_member_count": invited,
        }))
    }

    /// The state of a room that an invited user sees.
    fn stripped_state(&self, invitation: &EventRow) -> Result<Vec<Value>, HandlerError> {
        let invited = Some(self.user.as_str());
        let inviter = Some(invitation.sender.as_str());
        let room = &invitation.room;
        let mut stripped = Vec::new();
        let state = self
            .device
            .state_between(self.context.tx, room, 0, i64::MAX)?;
        for event in state {
            let member = event.state_key.as_deref();
            let is_shown = event.kind != MEMBER || member == invited || member == inviter;
            if STRIPPED.contains(&&*event.kind) && is_shown {
                stripped.push(json!({
                    "type": event.kind,
                    "state_key": event.state_key,
                    "sender": event.sender,
                    "content": content(&event)?,
                }));
            }
        }
        Ok(stripped)
    }

    fn client_events(&self, events: &[EventRow]) -> Result<Vec<Value>, HandlerError> {
        let events = events.iter().map(|event| {
            let event = to_client(event, false)?;
            Ok(self.filter.select_fields(event))
        });
        events.collect()
    }
}
