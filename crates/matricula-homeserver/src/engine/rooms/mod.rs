//! Rooms of this server: what happened in them, and who is in them.
//!
//! | bound | |
//! |---|---|
//! | [`MAX_EVENT`] | bytes of an event |
//! | [`MAX_ROOMS`] | rooms that one account makes |
//! | [`MAX_TRANSACTIONS`] | transactions that are remembered of a device |
//! | [`MAX_PAGE`] | events of a page |

mod create;
mod members;
mod messages;
mod power;
mod send;
mod sync;

pub(in crate::engine) use create::ROOM_VERSION;
pub(crate) use sync::{has_no_changes, long_poll_timeout};

use matricula_api::{ErrorCode, RoomId, UserId};
use matricula_core::{StepContext, Timestamp};
use rusqlite::{OptionalExtension, Row, params};
use serde_json::{Value, json};

use super::{
    millis, names,
    refusal::{ApiError, HandlerError},
    routes::RequestContext,
    tokens::{ALPHANUMERIC, Requester},
};

/// The largest event, in bytes of JSON:
/// [size limits](https://spec.matrix.org/v1.19/client-server-api/#size-limits).
const MAX_EVENT: usize = 65_536;
/// The longest type and the longest state key of an event, in bytes.
const MAX_NAME: usize = 255;
/// How many rooms one account makes.
const MAX_ROOMS: u32 = 1_000;
/// How many transactions of a device are remembered; beyond it the oldest is forgotten.
const MAX_TRANSACTIONS: u32 = 10_000;
/// How many events a page has at most, and where nobody says how many.
const MAX_PAGE: u64 = 1_000;
const DEFAULT_PAGE: u64 = 10;

const MEMBER: &str = "m.room.member";

/// What is to happen in a room.
struct NewEvent<'a> {
    room: &'a RoomId,
    kind: &'a str,
    state_key: Option<&'a str>,
    content: &'a Value,
}

/// Something that happened in a room.
struct Event {
    position: i64,
    id: String,
    room: String,
    kind: String,
    state_key: Option<String>,
    sender: String,
    content: String,
    sent_at: i64,
    /// The transaction of whoever looks at it, if it is theirs.
    transaction: Option<String>,
}

/// The columns that an [`Event`] is read from, of `events` and, as `mine`, the reader's transactions.
const COLUMNS: &str = "events.position, events.id, events.room, events.kind, events.state_key,
    events.sender, events.content, events.sent_at, mine.id";

impl Event {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            position: row.get(0)?,
            id: row.get(1)?,
            room: row.get(2)?,
            kind: row.get(3)?,
            state_key: row.get(4)?,
            sender: row.get(5)?,
            content: row.get(6)?,
            sent_at: row.get(7)?,
            transaction: row.get(8)?,
        })
    }

    fn content(&self) -> Result<Value, HandlerError> {
        Ok(serde_json::from_str(&self.content)?)
    }

    /// As clients are shown it, with or without its room.
    fn to_client(&self, with_room: bool) -> Result<Value, HandlerError> {
        let mut shown = json!({
            "event_id": self.id,
            "type": self.kind,
            "sender": self.sender,
            "origin_server_ts": self.sent_at,
            "content": self.content()?,
        });
        if let Some(state_key) = &self.state_key {
            shown["state_key"] = json!(state_key);
        }
        if with_room {
            shown["room_id"] = json!(self.room);
        }
        if let Some(transaction) = &self.transaction {
            shown["unsigned"] = json!({ "transaction_id": transaction });
        }
        Ok(shown)
    }
}

/// A point between two events, as clients are given it.
fn position_token(position: i64) -> String {
    format!("s{position}")
}

fn forbidden(error: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    ApiError::new(403, ErrorCode::Forbidden, error)
}

impl RequestContext<'_> {
    /// Whose access token this is, if they may act in rooms.
    fn require_sender(&self, now: Timestamp) -> Result<(Requester, UserId), HandlerError> {
        let bearer = self.authenticate_user(now)?;
        if bearer.is_suspended {
            let error = "this account is suspended; it may read and leave rooms";
            return Err(ApiError::new(403, ErrorCode::UserSuspended, error).into());
        }
        self.with_id(bearer)
    }

    /// Whose access token this is, if they may look at rooms.
    fn require_reader(&self, now: Timestamp) -> Result<(Requester, UserId), HandlerError> {
        let bearer = self.authenticate_user(now)?;
        self.with_id(bearer)
    }

    fn with_id(&self, bearer: Requester) -> Result<(Requester, UserId), HandlerError> {
        let user_id = names::user_id(&self.homeserver.config, &bearer.localpart)?;
        Ok((bearer, user_id))
    }

    /// The position of the newest event of all rooms.
    fn newest_position(&self) -> Result<i64, HandlerError> {
        let sql = "SELECT coalesce(max(position), 0) FROM events";
        Ok(self.tx.query_row(sql, [], |row| row.get(0))?)
    }

    /// The position that a token stands for: one that has been.
    fn parse_position(&self, token: &str) -> Result<i64, HandlerError> {
        let digits = token
            .strip_prefix('s')
            .filter(|it| it.bytes().all(|it| it.is_ascii_digit()));
        let position = digits.and_then(|it| it.parse().ok());
        let newest = self.newest_position()?;
        Ok(position.filter(|it| *it <= newest).ok_or_else(|| {
            let error = "this is no token that this server has given";
            ApiError::new(400, ErrorCode::InvalidParam, error)
        })?)
    }

    /// Lets something happen. Whether it may is for whoever calls to see.
    fn append_event(
        &self,
        cx: &mut StepContext<'_>,
        sender: &UserId,
        new: &NewEvent<'_>,
    ) -> Result<String, HandlerError> {
        let names = [Some(new.kind), new.state_key];
        if names.iter().flatten().any(|name| name.len() > MAX_NAME) {
            let error = format!("the type and the state key have at most {MAX_NAME} bytes each");
            return Err(ApiError::new(413, ErrorCode::TooLarge, error).into());
        }
        let content = new.content.to_string();
        let id = format!("${}", cx.entropy.text(ALPHANUMERIC, 43));
        let names: usize = names.iter().flatten().map(|name| name.len()).sum();
        // What is around the content in its whole form, and the longest names of users and rooms.
        if content.len() + names + 1_024 > MAX_EVENT {
            let error = format!("an event has at most {MAX_EVENT} bytes");
            return Err(ApiError::new(413, ErrorCode::TooLarge, error).into());
        }
        self.tx.execute(
            "INSERT INTO events (id, room, kind, state_key, sender, content, sent_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                id,
                new.room.as_str(),
                new.kind,
                new.state_key,
                sender.as_str(),
                content,
                millis(cx.now)
            ],
        )?;
        Ok(id)
    }

    /// The content of a piece of a room's state, as it is now.
    fn state_content(
        &self,
        room: &str,
        kind: &str,
        state_key: &str,
    ) -> Result<Option<Value>, HandlerError> {
        let sql = "SELECT content FROM events
             WHERE room = ?1 AND kind = ?2 AND state_key = ?3 ORDER BY position DESC LIMIT 1";
        let found = self
            .tx
            .query_row(sql, [room, kind, state_key], |row| row.get::<_, String>(0));
        let content = found.optional()?;
        Ok(content
            .map(|json| serde_json::from_str(&json))
            .transpose()?)
    }

    /// What somebody is to a room: `join`, `invite`, `leave`, `ban`; none who has nothing to do with it.
    fn membership(&self, room: &str, user: &str) -> Result<Option<String>, HandlerError> {
        let content = self.state_content(room, MEMBER, user)?;
        Ok(content.and_then(|it| Some(it.get("membership")?.as_str()?.to_owned())))
    }

    fn room_exists(&self, room: &str) -> Result<bool, HandlerError> {
        let sql = "SELECT 1 FROM rooms WHERE id = ?1";
        Ok(self
            .tx
            .query_row(sql, [room], |_| Ok(()))
            .optional()?
            .is_some())
    }

    /// Refuses whoever is not in the room; also where there is none, so that nobody learns of rooms.
    fn require_joined(&self, room: &RoomId, user: &UserId) -> Result<(), HandlerError> {
        match self.membership(room.as_str(), user.as_str())?.as_deref() {
            Some("join") => Ok(()),
            _ => Err(forbidden(format!("{user} is not in the room {room}")).into()),
        }
    }

    /// The events that this says, in the order that it says: `what` goes on from `WHERE`.
    fn query_events(
        &self,
        bearer: &Requester,
        what: &str,
        with: &[&dyn rusqlite::ToSql],
    ) -> Result<Vec<Event>, HandlerError> {
        let device = bearer.device.as_deref().unwrap_or_default();
        let sql = format!(
            "SELECT {COLUMNS} FROM events LEFT JOIN transactions AS mine
                 ON mine.event = events.position AND mine.user = ?1 AND mine.device = ?2
             WHERE {what}"
        );
        let mut statement = self.tx.prepare_cached(&sql)?;
        let mut all: Vec<&dyn rusqlite::ToSql> = vec![&bearer.user, &device];
        all.extend(with);
        let rows = statement.query_map(&*all, Event::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A room's state just before a position, and after another.
    fn state_between(
        &self,
        bearer: &Requester,
        room: &str,
        after: i64,
        before: i64,
    ) -> Result<Vec<Event>, HandlerError> {
        let what = "events.position IN (
                SELECT max(position) FROM events
                WHERE room = ?3 AND state_key IS NOT NULL AND position > ?4 AND position < ?5
                GROUP BY kind, state_key
            ) ORDER BY events.position";
        self.query_events(bearer, what, &[&room, &after, &before])
    }
}
