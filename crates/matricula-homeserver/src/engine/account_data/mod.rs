//! [Account data](https://spec.matrix.org/v1.19/client-server-api/#client-config): what clients store about
//! an account or about a room, with tags and the list of ignored users.
//!
//! | limit | |
//! |---|---|
//! | [`MAX_CONTENT`] | bytes of one content |
//! | [`MAX_KIND`] | bytes of a type |
//! | [`MAX_ROWS`] | contents of an account |
//! | [`MAX_BYTES`] | bytes of all contents of an account |

mod tags;

use std::collections::BTreeSet;

use matricula_api::{
    ErrorCode, Raw, RoomId,
    client::account_data::{
        GetAccountData, GetAccountDataPerRoom, SetAccountData, SetAccountDataPerRoom,
        SetAccountDataPerRoomResponse, SetAccountDataResponse,
    },
};
use matricula_core::StepContext;
use serde_json::{Map, Value, json};

use super::{
    auth::requester::Requester,
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    push_rules,
    storage::account_data::{self, AccountDataRow},
};

/// The largest content, in bytes.
const MAX_CONTENT: usize = 65_536;
/// The longest type, in bytes.
const MAX_KIND: usize = 255;
/// The maximum number of contents of an account, with those of its rooms.
const MAX_ROWS: i64 = 10_000;
/// The size of all contents of an account, in bytes.
const MAX_BYTES: i64 = 16 * 1024 * 1024;

/// The room of what is about the account itself.
const GLOBAL: &str = "";
const FULLY_READ: &str = "m.fully_read";
const PUSH_RULES: &str = "m.push_rules";
const IGNORED_USERS: &str = "m.ignored_user_list";
const INVITE_PERMISSION: &str = "m.invite_permission_config";

impl Handler for GetAccountData {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<Raw, HandlerError> {
        let requester = context.authenticate_as(cx.now, &self.user_id)?;
        if self.event_type == PUSH_RULES {
            let rules = push_rules::content(context, &requester)?;
            return Ok(Raw::new(&rules)?);
        }
        get(context, &requester, GLOBAL, &self.event_type)
    }
}

impl Handler for GetAccountDataPerRoom {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<Raw, HandlerError> {
        let requester = context.authenticate_as(cx.now, &self.user_id)?;
        get(context, &requester, self.room_id.as_str(), &self.event_type)
    }
}

impl Handler for SetAccountData {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SetAccountDataResponse, HandlerError> {
        let requester = context.authenticate_as(cx.now, &self.user_id)?;
        put(context, &requester, GLOBAL, &self.event_type, &self.body)?;
        Ok(SetAccountDataResponse::default())
    }
}

impl Handler for SetAccountDataPerRoom {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SetAccountDataPerRoomResponse, HandlerError> {
        let requester = context.authenticate_as(cx.now, &self.user_id)?;
        let room = self.room_id.as_str();
        put(context, &requester, room, &self.event_type, &self.body)?;
        Ok(SetAccountDataPerRoomResponse::default())
    }
}

fn get(
    context: &RequestContext<'_>,
    requester: &Requester,
    room: &str,
    kind: &str,
) -> Result<Raw, HandlerError> {
    let content = account_data::find(context.tx, requester.user, room, kind)?;
    let content = content.ok_or_else(|| {
        let error = "there is no account data of this type";
        ApiError::new(404, ErrorCode::NotFound, error)
    })?;
    Ok(Raw::from_json(content)?)
}

fn put(
    context: &RequestContext<'_>,
    requester: &Requester,
    room: &str,
    kind: &str,
    body: &Raw,
) -> Result<(), HandlerError> {
    if [FULLY_READ, PUSH_RULES].contains(&kind) {
        let error = format!("{kind} cannot be set as account data; use the endpoints for it");
        return Err(ApiError::new(405, ErrorCode::BadJson, error).into());
    }
    let content: Map<String, Value> = body.read_as().map_err(|error| {
        let error = format!("account data must be a JSON object: {error}");
        ApiError::new(400, ErrorCode::BadJson, error)
    })?;
    set(context, requester, room, kind, &content)
}

/// Stores account data of any type, and ends the syncs that wait for it.
fn set(
    context: &RequestContext<'_>,
    requester: &Requester,
    room: &str,
    kind: &str,
    content: &Map<String, Value>,
) -> Result<(), HandlerError> {
    let content = serde_json::to_string(content)?;
    if kind.len() > MAX_KIND || content.len() > MAX_CONTENT {
        let error = format!(
            "account data must have at most {MAX_CONTENT} bytes, and its type at most {MAX_KIND}"
        );
        return Err(ApiError::new(413, ErrorCode::TooLarge, error).into());
    }
    let (rows, bytes) = account_data::usage(context.tx, requester.user)?;
    let replaced = account_data::find(context.tx, requester.user, room, kind)?;
    let rows = rows + i64::from(replaced.is_none());
    let bytes = bytes - length(replaced.as_deref()) + length(Some(&content));
    if rows > MAX_ROWS || bytes > MAX_BYTES {
        let error = format!(
            "an account stores at most {MAX_ROWS} pieces of account data, of {MAX_BYTES} bytes in all"
        );
        return Err(ApiError::new(413, ErrorCode::TooLarge, error).into());
    }
    account_data::set(context.tx, requester.user, room, kind, &content)?;
    let user_id = requester.user_id(context.config)?;
    context.changes.add_for_user(user_id.as_str());
    Ok(())
}

fn length(content: Option<&str>) -> i64 {
    content.map_or(0, |it| i64::try_from(it.len()).unwrap_or(i64::MAX))
}

/// Moves the marker up to which the user has read a room in full.
pub(crate) fn set_fully_read(
    context: &RequestContext<'_>,
    requester: &Requester,
    room: &RoomId,
    event: &str,
) -> Result<(), HandlerError> {
    let content = Map::from_iter([("event_id".to_owned(), event.into())]);
    set(context, requester, room.as_str(), FULLY_READ, &content)
}

/// The event up to which the user has read a room in full.
pub(crate) fn fully_read(
    context: &RequestContext<'_>,
    user: i64,
    room: &str,
) -> Result<Option<String>, HandlerError> {
    let content = object(context, user, room, FULLY_READ)?;
    let event = content.get("event_id").and_then(Value::as_str);
    Ok(event.map(str::to_owned))
}

/// Account data that changed after a position, as events for a sync: all of it where that is 0.
pub(crate) fn changes(
    context: &RequestContext<'_>,
    requester: &Requester,
    after: i64,
    room: Option<&str>,
) -> Result<Vec<Value>, HandlerError> {
    let mut events = Vec::new();
    if room.is_none()
        && let Some(rules) = push_rules::changed_content(context, requester, after)?
    {
        events.push(json!({ "type": PUSH_RULES, "content": rules }));
    }
    let room = room.unwrap_or(GLOBAL);
    for row in account_data::changes(context.tx, requester.user, room, after)? {
        let AccountDataRow { kind, content } = row;
        let content: Value = serde_json::from_str(&content)?;
        events.push(json!({ "type": kind, "content": content }));
    }
    Ok(events)
}

/// The ids of the users that a user ignores.
///
/// [Specification](https://spec.matrix.org/v1.19/client-server-api/#ignoring-users): of what they send, only
/// state events reach the user, and their invitations do not.
pub(crate) fn ignored_users(
    context: &RequestContext<'_>,
    user: i64,
) -> Result<BTreeSet<String>, HandlerError> {
    let content = object(context, user, GLOBAL, IGNORED_USERS)?;
    let ignored = content.get("ignored_users").and_then(Value::as_object);
    Ok(ignored.into_iter().flat_map(Map::keys).cloned().collect())
}

/// Whether a user wants no invitations.
///
/// [Specification](https://spec.matrix.org/v1.19/client-server-api/#invite-permission): they are refused, and
/// those of before are not shown.
pub(crate) fn blocks_invites(
    context: &RequestContext<'_>,
    user: i64,
) -> Result<bool, HandlerError> {
    let content = object(context, user, GLOBAL, INVITE_PERMISSION)?;
    Ok(content
        .get("default_action")
        .is_some_and(|it| it == "block"))
}

/// The content of a type; an empty object if nothing is stored.
fn object(
    context: &RequestContext<'_>,
    user: i64,
    room: &str,
    kind: &str,
) -> Result<Map<String, Value>, HandlerError> {
    match account_data::find(context.tx, user, room, kind)? {
        Some(content) => Ok(serde_json::from_str(&content)?),
        None => Ok(Map::new()),
    }
}
