//! The events that concern an application service.

use std::collections::BTreeMap;

use rusqlite::Transaction;
use serde_json::{Value, json};

use crate::{
    ApplicationService, Config,
    engine::{
        auth::localpart,
        error::HandlerError,
        storage::{
            aliases,
            events::{EventRow, SERVER},
            members, stream,
        },
    },
};

/// The number of events that are looked at.
const BATCH: i64 = 500;

/// The events after a position that concern a service, at most so many, and the position up to which all
/// were looked at: those from or about its users, and all in rooms with one of its users or aliases.
pub(crate) fn events_for_service(
    tx: &Transaction<'_>,
    config: &Config,
    service: &ApplicationService,
    after: i64,
    max: usize,
) -> Result<(Vec<Value>, i64), HandlerError> {
    let owns = |user: &str| {
        let localpart = localpart::existing_localpart(config, user);
        localpart.is_some_and(|it| service.owns(&it))
    };
    let condition = "events.position > ?3 ORDER BY events.position LIMIT ?4";
    let found = SERVER.query(tx, condition, &[&after, &BATCH])?;
    let is_last = (found.len() as i64) < BATCH;
    let (mut rooms, mut events, mut up_to) = (BTreeMap::new(), Vec::new(), after);
    for event in &found {
        let is_about = event
            .state_key
            .as_deref()
            .is_some_and(|it| it.starts_with('@') && owns(it));
        let is_in_room = match rooms.get(&event.room) {
            Some(known) => *known,
            None => {
                let has_user = members::joined(tx, &event.room)?.iter().any(|it| owns(it));
                let has_alias = aliases::of_room(tx, &event.room)?
                    .iter()
                    .any(|alias| service.owns_alias(alias));
                rooms.insert(event.room.clone(), has_user || has_alias);
                has_user || has_alias
            }
        };
        if is_about || is_in_room || owns(&event.sender) {
            if events.len() == max {
                return Ok((events, up_to));
            }
            events.push(write(event)?);
        }
        up_to = event.position;
    }
    if is_last {
        up_to = stream::newest(tx)?;
    }
    Ok((events, up_to))
}

fn write(event: &EventRow) -> Result<Value, HandlerError> {
    let mut json = json!({
        "event_id": event.id,
        "room_id": event.room,
        "type": event.kind,
        "sender": event.sender,
        "origin_server_ts": event.sent_at,
        "content": serde_json::from_str::<Value>(&event.content)?,
    });
    if let Some(state_key) = &event.state_key {
        json["state_key"] = json!(state_key);
    }
    Ok(json)
}
