//! Events: form one, check it against the rules of its room, append it; and the current state.

use matricula_api::{ErrorCode, RoomId, UserId};
use matricula_core::StepContext;
use matricula_rules::{
    EventIdFormat, EventView, JsonError, PrevEvents, RoomVersion, authorization,
    canonical_json::{self, Numbers},
    hashes,
    limits::{self, LimitError},
    signing::{self, SigningKey},
};
use serde_json::{Map, Value, json};

use super::{
    MEMBER,
    client_event::{REDACTION, to_federation},
    forbidden, not_found,
    power::room_power,
};
use crate::engine::{
    account_data,
    auth::user_lookup::user_by_name,
    context::RequestContext,
    error::{ApiError, HandlerError},
    push_rules::{self, AppendedEvent},
    storage::{
        events::{EventRow, NewEventRow, SERVER},
        members, notifications, rooms, server,
    },
    typing,
    util::ALPHANUMERIC,
};

pub(super) const CREATE: &str = "m.room.create";

/// An event to be appended to a room.
pub(super) struct NewEvent<'a> {
    pub(super) room: &'a RoomId,
    pub(super) sender: &'a UserId,
    pub(super) kind: &'a str,
    pub(super) state_key: Option<&'a str>,
    pub(super) content: &'a Value,
}

/// An event that was appended.
pub(super) struct Appended {
    pub(super) id: String,
    pub(super) position: i64,
}

/// An event that is formed, signed and authorised, but not stored.
pub(super) struct Formed {
    pub(super) id: String,
    content: String,
    sent_at: i64,
    envelope: String,
    depth: i64,
}

/// Appends an event, if the rules of the room allow its sender to send it.
pub(super) fn append_event(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    new: &NewEvent<'_>,
) -> Result<Appended, HandlerError> {
    let version = room_version(context, new.room)?;
    let sent_at = context.event_time(cx.now);
    let formed = form_event(context, cx, version, (Some(new.room), sent_at), new)?;
    check_invitation(context, new)?;
    store_event(context, new, &formed)
}

/// Rejects an invitation of a user who wants none.
fn check_invitation(context: &RequestContext<'_>, new: &NewEvent<'_>) -> Result<(), HandlerError> {
    if new.kind != MEMBER || new.content["membership"] != "invite" {
        return Ok(());
    }
    let Some(invited) = user_by_name(context, new.state_key)? else {
        return Ok(());
    };
    if account_data::blocks_invites(context, invited.id)? {
        let error = "this user accepts no invitations";
        return Err(ApiError::new(403, ErrorCode::InviteBlocked, error).into());
    }
    Ok(())
}

/// The version of a room, which must exist.
pub(super) fn room_version(
    context: &RequestContext<'_>,
    room: &RoomId,
) -> Result<RoomVersion, HandlerError> {
    let version = rooms::version(context.tx, room.as_str())?
        .ok_or_else(|| not_found("this server has no such room"))?;
    version
        .parse()
        .map_err(|error| HandlerError::Internal(Box::new(error)))
}

/// Forms an event. `room` is `None` for the first event of a room whose id is made from it. Then `new.room`
/// is not read.
pub(super) fn form_event(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    version: RoomVersion,
    (room, sent_at): (Option<&RoomId>, i64),
    new: &NewEvent<'_>,
) -> Result<Formed, HandlerError> {
    let rules = version.rules();
    let numbers = Numbers::from(version);
    let content = canonical_json::canonicalize_value(new.content, numbers);
    let content = content.map_err(|error| invalid(&error))?;
    let previous = match room {
        Some(room) => SERVER.newest(context.tx, room.as_str())?,
        None => None,
    };
    let redacts = new.content["redacts"].as_str();
    let redacts = redacts.filter(|_| new.kind == REDACTION);

    let mut view = EventView::new(new.kind, new.sender.as_str(), &content);
    view.room_id = room.map(RoomId::as_str);
    view.state_key = new.state_key;
    view.redacts = redacts;
    if let Some(previous) = &previous {
        view.prev_events = PrevEvents::One(&previous.id);
    }
    limits::check_fields(&view).map_err(|error| too_large(&error))?;
    let state = authorize(context, version, &view)?;

    let depth = previous.as_ref().map_or(1, |it| it.depth + 1);
    let is_auth =
        |event: &&EventRow| event.kind != CREATE || rules.authorization.create_is_auth_event;
    let reference = |event: &EventRow| -> Result<Value, HandlerError> {
        if rules.event_id_format != EventIdFormat::Chosen {
            return Ok(json!(event.id));
        }
        let hash = hashes::reference_hash(&to_federation(event)?.to_string(), version);
        let hash = hash.map_err(|error| HandlerError::Internal(Box::new(error)))?;
        Ok(json!([event.id, { "sha256": signing::encode_base64(&hash) }]))
    };
    let auth = state.iter().filter(is_auth).map(reference);
    let mut event = json!({
        "type": new.kind,
        "sender": new.sender.as_str(),
        "content": serde_json::from_str::<Value>(&content)?,
        "origin_server_ts": sent_at,
        "depth": depth,
        "prev_events": previous.iter().map(reference).collect::<Result<Vec<_>, _>>()?,
        "auth_events": auth.collect::<Result<Vec<_>, _>>()?,
    });
    if let Some(room) = room.filter(|_| new.kind != CREATE || !rules.room_id_is_create_hash) {
        event["room_id"] = json!(room.as_str());
    }
    if let Some(state_key) = new.state_key {
        event["state_key"] = json!(state_key);
    }
    if rules.event_id_format == EventIdFormat::Chosen {
        let opaque = cx.entropy.text(ALPHANUMERIC, 18);
        event["event_id"] = json!(format!("${opaque}:{}", context.config.server_name));
    }
    if let Some(redacts) = redacts.filter(|_| !rules.redaction.redacts_in_content) {
        event["redacts"] = json!(redacts);
        if let Some(content) = event["content"].as_object_mut() {
            content.remove("redacts");
        }
    }
    let key = signing_key(context, cx)?;
    let server = &context.config.server_name;
    let signed = signing::hash_and_sign_event(&event.to_string(), version, server, &key);
    let signed = signed.map_err(|error| HandlerError::Internal(Box::new(error)))?;
    limits::check_event(&signed.json, version).map_err(|error| too_large(&error))?;
    let mut envelope: Map<String, Value> = serde_json::from_str(&signed.json)?;
    // What stands in columns of its own.
    for name in [
        "type",
        "sender",
        "content",
        "origin_server_ts",
        "depth",
        "state_key",
    ] {
        envelope.remove(name);
    }
    Ok(Formed {
        id: signed.event_id,
        content,
        sent_at,
        envelope: Value::from(envelope).to_string(),
        depth,
    })
}

/// Stores an event, and what follows from it.
pub(super) fn store_event(
    context: &RequestContext<'_>,
    new: &NewEvent<'_>,
    formed: &Formed,
) -> Result<Appended, HandlerError> {
    let room = new.room.as_str();
    let relation = &new.content["m.relates_to"];
    let relation = (relation["rel_type"].as_str(), relation["event_id"].as_str());
    let row = NewEventRow {
        id: &formed.id,
        room,
        kind: new.kind,
        state_key: new.state_key,
        sender: new.sender.as_str(),
        content: &formed.content,
        sent_at: formed.sent_at,
        envelope: &formed.envelope,
        depth: formed.depth,
        relation: relation.0.zip(relation.1),
    };
    let position = row.insert(context.tx)?;
    if let (MEMBER, Some(member)) = (new.kind, new.state_key) {
        let membership = new.content["membership"].as_str().unwrap_or("leave");
        members::set(context.tx, room, member, membership, position)?;
        if membership != "join" {
            typing::stop(context, room, member)?;
            notifications::clear(context.tx, member, room, None, i64::MAX)?;
        }
        // One who is not joined sees this change too.
        context.changes.add_for_user(member);
    }
    let event = AppendedEvent {
        room,
        id: &formed.id,
        position,
        kind: new.kind,
        state_key: new.state_key,
        sender: new.sender.as_str(),
        content: new.content,
    };
    push_rules::on_event(context, &event, || room_power(context, new.room))?;
    context.changes.add_for_room(context.tx, room)?;
    Ok(Appended {
        id: formed.id.clone(),
        position,
    })
}

/// Checks an event by the rules of its room, and returns the state events that they ask for.
fn authorize(
    context: &RequestContext<'_>,
    version: RoomVersion,
    event: &EventView<'_>,
) -> Result<Vec<EventRow>, HandlerError> {
    let mut state = Vec::new();
    if let Some(room) = event.room_id {
        for needed in authorization::required_state(event, version) {
            let found = SERVER.state(context.tx, room, needed.kind, &needed.state_key, i64::MAX)?;
            state.extend(found);
        }
    }
    let views: Vec<_> = state.iter().map(view_of).collect();
    authorization::authorize(event, &views, version)
        .map_err(|error| forbidden(error.to_string()))?;
    Ok(state)
}

/// What the rules read of a stored event.
pub(super) fn view_of(event: &EventRow) -> EventView<'_> {
    let view = EventView::new(&event.kind, &event.sender, &event.content)
        .event_id(&event.id)
        .room_id(&event.room);
    match &event.state_key {
        Some(state_key) => view.state_key(state_key),
        None => view,
    }
}

fn too_large(error: &LimitError) -> ApiError {
    ApiError::new(413, ErrorCode::TooLarge, error.to_string())
}

fn invalid(error: &JsonError) -> ApiError {
    let error = format!("the content of an event must be canonical JSON: {error}");
    ApiError::new(400, ErrorCode::BadJson, error)
}

/// The key that signs events. It is made when it is first needed.
fn signing_key(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<SigningKey, HandlerError> {
    let seed = match server::signing_key(context.tx)? {
        Some(seed) => seed,
        None => {
            let mut seed = [0; 32];
            cx.entropy.fill(&mut seed);
            server::set_signing_key(context.tx, &seed)?;
            seed
        }
    };
    SigningKey::from_seed("ed25519:1", seed)
        .map_err(|error| HandlerError::Internal(Box::new(error)))
}

/// The content of a current state event.
pub(super) fn state_content(
    context: &RequestContext<'_>,
    room: &RoomId,
    kind: &str,
    state_key: &str,
) -> Result<Option<Value>, HandlerError> {
    let found = SERVER.state(context.tx, room.as_str(), kind, state_key, i64::MAX)?;
    let content = found.map(|event| serde_json::from_str(&event.content));
    Ok(content.transpose()?)
}

/// A user's membership of a room: `join`, `invite`, `knock`, `leave` or `ban`; none where there never
/// was one.
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
