//! [Syncing](https://spec.matrix.org/v1.19/client-server-api/#syncing): what is new for somebody, and
//! whether it is worth an answer yet.

use std::time::Duration;

use matricula_api::{
    ErrorCode, UserId,
    client::sync::{Sync, SyncResponse},
    server::OutgoingResponse,
};
use matricula_core::{Method, StepContext};
use serde_json::{Map, Value, json};

use super::{
    super::{
        Request,
        refusal::{ApiError, HandlerError},
        routes::{Handler, RequestContext},
        tokens::Requester,
    },
    DEFAULT_PAGE, Event, MAX_PAGE, position_token,
};

/// The longest time that a sync waits for news.
const MAX_TIMEOUT: Duration = Duration::from_secs(120);
/// What of a room somebody sees who is only invited.
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

/// How long this request waits for news, if it is a sync that goes on from another. Until then, or until
/// something happens, an answer [without news](has_no_changes) may be held back.
pub(crate) fn long_poll_timeout(request: &Request) -> Option<Duration> {
    let is_sync = request.method == Method::Get && request.path.ends_with("/client/v3/sync");
    // The whole state is an answer at any time.
    let goes_on = is_sync && request.query("since").is_some();
    let goes_on = goes_on && request.query("full_state") != Some("true");
    let millis = request.query("timeout")?.parse().ok();
    let patience = millis.filter(|_| goes_on).map(Duration::from_millis)?;
    Some(patience.min(MAX_TIMEOUT))
}

/// Whether the answer to a sync says that nothing has happened: its token is the one it went on from.
pub(crate) fn has_no_changes(request: &Request, reply: &OutgoingResponse) -> bool {
    let answer: Option<Value> = serde_json::from_slice(&reply.body).ok();
    let next = answer
        .as_ref()
        .and_then(|it| it.get("next_batch")?.as_str());
    reply.status == 200 && next.is_some() && next == request.query("since")
}

/// What somebody wants to hear of.
struct SyncParams<'a> {
    bearer: &'a Requester,
    user: &'a UserId,
    /// The newest event that they have; 0 where they have none.
    since: i64,
    is_first: bool,
    full_state: bool,
    limit: i64,
    include_leave: bool,
}

impl Handler for Sync {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SyncResponse, HandlerError> {
        let (bearer, user) = call.require_reader(cx.now)?;
        let since = self
            .since
            .as_deref()
            .map(|it| call.parse_position(it))
            .transpose()?;
        let filter = parse_filter(self.filter.as_deref())?;
        let room = &filter["room"];
        let limit = room["timeline"]["limit"]
            .as_u64()
            .unwrap_or(DEFAULT_PAGE)
            .clamp(1, MAX_PAGE);
        let wish = SyncParams {
            bearer: &bearer,
            user: &user,
            since: since.unwrap_or(0),
            is_first: since.is_none(),
            full_state: self.full_state == Some(true),
            limit: i64::try_from(limit).unwrap_or(i64::MAX),
            include_leave: room["include_leave"] == true,
        };
        let newest = call.newest_position()?;
        let rooms = call.room_updates(&wish)?;
        // Where there is nothing new for them, they stay where they are.
        let next = match (since, rooms.is_empty()) {
            (Some(since), true) => since,
            _ => newest,
        };
        let mut response = json!({ "next_batch": position_token(next) });
        if !rooms.is_empty() {
            response["rooms"] = rooms.into();
        }
        Ok(serde_json::from_value(response)?)
    }
}

/// The filter, given as JSON: kept filters are not served.
fn parse_filter(text: Option<&str>) -> Result<Value, ApiError> {
    let Some(text) = text else {
        return Ok(Value::Null);
    };
    let filter = serde_json::from_str(text).ok().filter(Value::is_object);
    filter.ok_or_else(|| {
        let error = "this server keeps no filters; give the filter itself, as a JSON object";
        ApiError::new(400, ErrorCode::InvalidParam, error)
    })
}

impl RequestContext<'_> {
    /// What is new in rooms, by how somebody has to do with them.
    fn room_updates(&self, wish: &SyncParams<'_>) -> Result<Map<String, Value>, HandlerError> {
        let mut rooms = Map::new();
        let mut put = |section: &str, room: &str, news: Value| {
            let section = rooms.entry(section).or_insert_with(|| json!({}));
            section[room] = news;
        };
        for event in self.memberships(wish.bearer, wish.user)? {
            let is_new = event.position > wish.since;
            match event.content()?["membership"].as_str() {
                Some("join") => {
                    if let Some(news) = self.joined_room(wish, &event)? {
                        put("join", &event.room, news);
                    }
                }
                Some("invite") if is_new || wish.full_state => {
                    let state = self.stripped_state(wish.bearer, &event)?;
                    put(
                        "invite",
                        &event.room,
                        json!({ "invite_state": { "events": state } }),
                    );
                }
                Some("leave" | "ban") if is_new && (!wish.is_first || wish.include_leave) => {
                    // Who was never in sees no more than that they are not.
                    let after = match self.was_joined_between(wish, &event)? {
                        true => wish.since,
                        false => event.position - 1,
                    };
                    let left = self.timeline(wish, &event.room, after, event.position)?;
                    put("leave", &event.room, left);
                }
                _ => {}
            }
        }
        Ok(rooms)
    }

    /// What is new in a room that somebody is in.
    fn joined_room(
        &self,
        wish: &SyncParams<'_>,
        own: &Event,
    ) -> Result<Option<Value>, HandlerError> {
        let was_in = self.was_joined(wish, &own.room)?;
        let since = if was_in { wish.since } else { 0 };
        let mut news = self.timeline(wish, &own.room, since, i64::MAX)?;
        let is_empty = news["timeline"]["events"] == json!([]);
        if was_in && is_empty && !wish.full_state {
            return Ok(None);
        }
        news["summary"] = self.summary(wish, &own.room)?;
        Ok(Some(news))
    }

    /// Whether somebody was in the room at any time between the event that they have and their leaving.
    fn was_joined_between(
        &self,
        wish: &SyncParams<'_>,
        left: &Event,
    ) -> Result<bool, HandlerError> {
        if self.was_joined(wish, &left.room)? {
            return Ok(true);
        }
        let what = "events.kind = 'm.room.member' AND events.state_key = ?3 AND events.room = ?4
             AND events.position > ?5 AND events.position < ?6";
        let with: [&dyn rusqlite::ToSql; 4] =
            [&wish.user.as_str(), &left.room, &wish.since, &left.position];
        for event in self.query_events(wish.bearer, what, &with)? {
            if event.content()?["membership"] == "join" {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether somebody was in the room at the event that they have.
    fn was_joined(&self, wish: &SyncParams<'_>, room: &str) -> Result<bool, HandlerError> {
        let what = "events.kind = 'm.room.member' AND events.state_key = ?3 AND events.room = ?4
             AND events.position <= ?5 ORDER BY events.position DESC LIMIT 1";
        let with: [&dyn rusqlite::ToSql; 3] = [&wish.user.as_str(), &room, &wish.since];
        let before = self.query_events(wish.bearer, what, &with)?;
        match before.first() {
            Some(event) => Ok(event.content()?["membership"] == "join"),
            None => Ok(false),
        }
    }

    /// The last events of a room after one and up to another, and the state that came before them.
    fn timeline(
        &self,
        wish: &SyncParams<'_>,
        room: &str,
        after: i64,
        up_to: i64,
    ) -> Result<Value, HandlerError> {
        let what = "events.room = ?3 AND events.position > ?4 AND events.position <= ?5
             ORDER BY events.position DESC LIMIT ?6";
        // One more tells whether there are more.
        let mut last = self.query_events(
            wish.bearer,
            what,
            &[&room, &after, &up_to, &(wish.limit + 1)],
        )?;
        let is_limited = last.len() as i64 > wish.limit;
        if is_limited {
            last.pop();
        }
        last.reverse();
        let first = last.first().map_or(up_to, |event| event.position);
        let before = match last.first() {
            Some(event) => event.position - 1,
            None => self.newest_position()?.min(up_to),
        };
        let known = if wish.full_state { 0 } else { after };
        let state = self.state_between(wish.bearer, room, known, first)?;
        Ok(json!({
            "state": { "events": shown(&state)? },
            "timeline": {
                "events": shown(&last)?,
                "limited": is_limited,
                "prev_batch": position_token(before),
            },
        }))
    }

    fn summary(&self, wish: &SyncParams<'_>, room: &str) -> Result<Value, HandlerError> {
        let what = "events.position IN (
                SELECT max(position) FROM events WHERE room = ?3 AND kind = 'm.room.member'
                    AND state_key IS NOT NULL GROUP BY state_key
            ) ORDER BY events.position";
        let (mut joined, mut invited, mut heroes) = (0, 0, Vec::new());
        for event in self.query_events(wish.bearer, what, &[&room])? {
            match event.content()?["membership"].as_str() {
                Some("join") => joined += 1,
                Some("invite") => invited += 1,
                _ => continue,
            }
            let who = event.state_key.unwrap_or_default();
            if heroes.len() < 5 && who != wish.user.as_str() {
                heroes.push(who);
            }
        }
        Ok(json!({
            "m.heroes": heroes,
            "m.joined_member_count": joined,
            "m.invited_member_count": invited,
        }))
    }

    /// What somebody sees of a room that they are invited to.
    fn stripped_state(
        &self,
        bearer: &Requester,
        invitation: &Event,
    ) -> Result<Vec<Value>, HandlerError> {
        let mut all = Vec::new();
        for event in self.state_between(bearer, &invitation.room, 0, i64::MAX)? {
            let is_theirs = [
                &invitation.sender,
                invitation.state_key.as_ref().unwrap_or(&event.sender),
            ]
            .contains(&event.state_key.as_ref().unwrap_or(&event.sender));
            if STRIPPED.contains(&&*event.kind) && (event.kind != super::MEMBER || is_theirs) {
                all.push(json!({ "type": event.kind, "state_key": event.state_key,
                    "sender": event.sender, "content": event.content()? }));
            }
        }
        Ok(all)
    }
}

fn shown(events: &[Event]) -> Result<Vec<Value>, HandlerError> {
    events.iter().map(|event| event.to_client(false)).collect()
}
