//! [Sync](https://spec.matrix.org/v1.19/client-server-api/#syncing), with long polling.

mod room;
mod stripped;

use std::{cell::Cell, collections::BTreeSet, time::Duration};

use matricula_api::client::sync::{Sync, SyncResponse};
use matricula_core::{Method, StepContext};
use serde_json::{Map, Value, json};

use super::{
    DEFAULT_PAGE, MAX_PAGE,
    client_event::Reader,
    positions::{parse_position, position_token},
    require_reader,
};
use crate::engine::{
    Request, account_data,
    auth::requester::Requester,
    context::RequestContext,
    error::HandlerError,
    filters::{self, EventMatcher, Filter},
    handler::Handler,
    keys, presence,
    storage::{
        members::{self, RoomOfMember},
        stream,
    },
    typing,
    waiting::Awaited,
};

/// The longest time that a sync waits for events.
const MAX_TIMEOUT: Duration = Duration::from_secs(120);
/// The largest sum of the contents of all timelines of a response, in bytes. When it is reached, each
/// further room has one event.
const MAX_TIMELINES: usize = 16 * 1024 * 1024;

/// How long a request may wait for events, if it is an incremental sync.
pub(crate) fn long_poll_timeout(request: &Request) -> Option<Duration> {
    let is_sync = request.method == Method::Get
        && ["/_matrix/client/v3/sync", "/_matrix/client/r0/sync"].contains(&&*request.path);
    // A full state is never empty.
    let is_incremental =
        is_sync && request.query("since").is_some() && request.query("full_state") != Some("true");
    let millis = request.query("timeout")?.parse().ok();
    let millis = millis.filter(|_| is_incremental)?;
    Some(Duration::from_millis(millis).min(MAX_TIMEOUT))
}

/// A sync in progress.
struct Syncing<'a> {
    reader: Reader<'a>,
    requester: &'a Requester,
    filter: &'a Filter,
    /// The users whom this user ignores.
    ignored: &'a BTreeSet<String>,
    /// The position of the newest change that the client knows; none where it knows none.
    since: Option<i64>,
    /// The position of the newest change of the response.
    up_to: i64,
    full_state: bool,
    /// Whether the state is that after the timeline, instead of before it.
    use_state_after: bool,
    /// The maximum number of events of a timeline.
    limit: usize,
    /// What is left of [`MAX_TIMELINES`].
    bytes_left: Cell<usize>,
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
        let syncing = Syncing {
            reader: Reader::new(context, &requester, &user, cx.now),
            requester: &requester,
            filter: &filter,
            ignored: &ignored,
            since,
            up_to: stream::newest(context.tx)?,
            full_state: self.full_state == Some(true),
            use_state_after: self.use_state_after == Some(true),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            bytes_left: Cell::new(MAX_TIMELINES),
        };
        let mut response = Map::new();
        let rooms = syncing.rooms()?;
        if !rooms.is_empty() {
            response.insert("rooms".to_owned(), rooms.into());
        }
        let position = since.unwrap_or(0);
        let mut events = account_data::changes(context, &requester, position, None)?;
        events.retain(|event| passes(&filter.account_data, event));
        put_events(&mut response, "account_data", events);
        let mut events = presence::changes(context, cx.now, &user, &ignored, position)?;
        events.retain(|event| passes(&filter.presence, event));
        put_events(&mut response, "presence", events);
        let keys = keys::sync_section(context, &requester, since, syncing.up_to)?;
        // Without changes the client keeps its token.
        let next = match (since, response.is_empty() && !keys.has_changes) {
            (Some(since), true) => {
                let changes = &context.changes;
                changes.wait_for(Awaited::Sync(user.as_str().to_owned()));
                if let Some(time) = typing::next_expiry(context, cx.now, user.as_str())? {
                    changes.wait_at_most(time);
                }
                since
            }
            _ => keys.position,
        };
        let token = json!(position_token(next));
        response.insert("next_batch".to_owned(), token);
        let mut response = serde_json::from_value(response.into())?;
        keys.write(&mut response)?;
        Ok(response)
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

impl Syncing<'_> {
    /// The changes in rooms, by the user's membership.
    fn rooms(&self) -> Result<Map<String, Value>, HandlerError> {
        let mut rooms = Map::new();
        let user = self.reader.user.as_str();
        let since = match self.full_state {
            true => 0,
            false => self.since.unwrap_or(0),
        };
        for member in members::changed_rooms(self.reader.context.tx, user, since)? {
            if !self.filter.matches_room(&member.room) {
                continue;
            }
            let Some((section, update)) = self.room(&member)? else {
                continue;
            };
            let section = rooms.entry(section).or_insert_with(|| json!({}));
            section[&member.room] = update;
        }
        Ok(rooms)
    }

    /// The changes in one room, and the section that they belong to.
    fn room(&self, member: &RoomOfMember) -> Result<Option<(&'static str, Value)>, HandlerError> {
        let is_new = member.position > self.since.unwrap_or(0);
        let found = match &*member.membership {
            "join" => self.joined_room(member)?.map(|update| ("join", update)),
            "invite" if self.hides_invitation(member)? => None,
            "invite" => {
                let state = json!({ "events": self.stripped_state(member)? });
                Some(("invite", json!({ "invite_state": state })))
            }
            "knock" => {
                let state = json!({ "events": self.stripped_state(member)? });
                Some(("knock", json!({ "knock_state": state })))
            }
            _ if is_new && (self.since.is_some() || self.filter.include_leave) => {
                Some(("leave", self.left_room(member)?))
            }
            _ => None,
        };
        Ok(found)
    }
}
