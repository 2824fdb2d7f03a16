//! [Presence](https://spec.matrix.org/v1.19/client-server-api/#presence): whether a user is online.
//!
//! A user has one presence for all devices: the newest request decides. What a user sets ends the waiting
//! syncs of those who share a room. What follows from a sync itself, or from no sync, reaches them with their
//! next one: otherwise every client that starts would end the syncs of all others.

use std::{collections::BTreeSet, time::Duration};

use matricula_api::{
    ErrorCode, UserId,
    client::presence::{GetPresence, GetPresenceResponse, SetPresence, SetPresenceResponse},
    common::PresenceState,
};
use matricula_core::{StepContext, Timestamp};
use serde_json::{Value, json};

use super::{
    account::profile::profile,
    auth::user_lookup::user_by_name,
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::{Handler, check_text_length},
    millis,
    storage::{
        members,
        presence::{self, PresenceRow},
    },
};

const ONLINE: &str = "online";
const UNAVAILABLE: &str = "unavailable";
const OFFLINE: &str = "offline";
/// A user whose clients have not asked for changes for this long is offline. It is longer than a sync may
/// wait and [`GRANULARITY`] together.
const OFFLINE_AFTER: Duration = Duration::from_secs(4 * 60);
/// A user who has done nothing for this long is unavailable.
const IDLE_AFTER: Duration = Duration::from_secs(5 * 60);
/// How old stored times may be before they are stored again.
const GRANULARITY: Duration = Duration::from_secs(60);

impl Handler for GetPresence {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetPresenceResponse, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        let user_id = self.user_id.as_str();
        let own_id = requester.user_id(context.config)?;
        if own_id != self.user_id && !members::share_a_room(context.tx, own_id.as_str(), user_id)? {
            let error = "the presence of a user is shown to those who share a room";
            return Err(ApiError::new(403, ErrorCode::Forbidden, error).into());
        }
        update_outdated(context, cx.now)?;
        let Some(row) = presence::find(context.tx, user_id)? else {
            return Ok(GetPresenceResponse::new(PresenceState::Offline));
        };
        let active_ago = Duration::from_millis(age(row.active_at, cx.now));
        let mut response = GetPresenceResponse::new(row.state.as_str().into());
        response.currently_active = is_active(&row, cx.now);
        response.last_active_ago = Some(active_ago);
        response.status_msg = row.status;
        Ok(response)
    }
}

impl Handler for SetPresence {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SetPresenceResponse, HandlerError> {
        context.authenticate_as(cx.now, &self.user_id)?;
        check_text_length("status_msg", self.status_msg.as_deref())?;
        check_state(&self.presence)?;
        let user_id = self.user_id.as_str();
        let row = PresenceRow {
            user_id: user_id.to_owned(),
            state: self.presence.as_str().to_owned(),
            status: self.status_msg,
            is_idle: false,
            active_at: millis(cx.now),
            seen_at: millis(cx.now),
        };
        let known = presence::find(context.tx, user_id)?;
        if known.is_some_and(|it| it.state == row.state && it.status == row.status) {
            presence::set_times(context.tx, user_id, row.active_at, row.seen_at)?;
            return Ok(SetPresenceResponse::default());
        }
        row.save(context.tx)?;
        add_change(context, user_id)?;
        Ok(SetPresenceResponse::default())
    }
}

fn check_state(state: &PresenceState) -> Result<(), ApiError> {
    if let PresenceState::Other(other) = state {
        let error = format!("presence is online, offline or unavailable, and not {other}");
        return Err(ApiError::new(400, ErrorCode::InvalidParam, error));
    }
    Ok(())
}

/// What a sync does to the presence of its user: the client is there.
pub(crate) fn on_sync(
    context: &RequestContext<'_>,
    now: Timestamp,
    user_id: &UserId,
    wanted: Option<&PresenceState>,
) -> Result<(), HandlerError> {
    let wanted = wanted.unwrap_or(&PresenceState::Online);
    check_state(wanted)?;
    update_outdated(context, now)?;
    if *wanted == PresenceState::Offline {
        return Ok(());
    }
    let known = presence::find(context.tx, user_id.as_str())?;
    let Some(mut row) = known else {
        let row = PresenceRow {
            user_id: user_id.as_str().to_owned(),
            state: wanted.as_str().to_owned(),
            status: None,
            is_idle: false,
            active_at: millis(now),
            seen_at: millis(now),
        };
        return Ok(row.save(context.tx)?);
    };
    // To ask for changes is no activity: it does not end idleness.
    let is_idle = row.is_idle && *wanted == PresenceState::Online;
    if row.state != wanted.as_str() && !is_idle {
        if row.state == OFFLINE {
            row.active_at = millis(now);
        }
        row.state = wanted.as_str().to_owned();
        row.is_idle = false;
        row.seen_at = millis(now);
        row.save(context.tx)?;
    } else if is_outdated(row.seen_at, now) {
        presence::set_times(context.tx, &row.user_id, row.active_at, millis(now))?;
    }
    Ok(())
}

/// Stores that a user did something, such as to send a message.
pub(crate) fn on_activity(
    context: &RequestContext<'_>,
    now: Timestamp,
    user_id: &str,
) -> Result<(), HandlerError> {
    let Some(mut row) = presence::find(context.tx, user_id)? else {
        return Ok(());
    };
    if row.is_idle && row.state == UNAVAILABLE {
        row.state = ONLINE.to_owned();
        row.is_idle = false;
        row.active_at = millis(now);
        row.save(context.tx)?;
    } else if is_outdated(row.active_at, now) {
        presence::set_times(context.tx, user_id, millis(now), row.seen_at)?;
    }
    Ok(())
}

/// Shows others the changed display name or avatar of a user.
pub(crate) fn on_profile_change(
    context: &RequestContext<'_>,
    user_id: &str,
) -> Result<(), HandlerError> {
    if presence::find(context.tx, user_id)?.is_some() {
        presence::set_changed(context.tx, user_id)?;
        add_change(context, user_id)?;
    }
    Ok(())
}

/// The presence that changed after a position, as events for a sync: that of all who are online where the
/// position is 0. Users whom the reader ignores are left out.
pub(crate) fn changes(
    context: &RequestContext<'_>,
    now: Timestamp,
    reader: &UserId,
    ignored: &BTreeSet<String>,
    after: i64,
) -> Result<Vec<Value>, HandlerError> {
    let mut events = Vec::new();
    for row in presence::changes(context.tx, reader.as_str(), after)? {
        let is_default = after == 0 && row.state == OFFLINE && row.status.is_none();
        if is_default || ignored.contains(&row.user_id) {
            continue;
        }
        let mut content = json!({
            "presence": row.state,
            "last_active_ago": age(row.active_at, now),
        });
        if let Some(is_active) = is_active(&row, now) {
            content["currently_active"] = is_active.into();
        }
        if let Some(user) = user_by_name(context, Some(&row.user_id))? {
            for (name, value) in profile(context, user.id)? {
                if ["displayname", "avatar_url"].contains(&&*name) {
                    content[name] = value;
                }
            }
        }
        if let Some(status) = row.status {
            content["status_msg"] = status.into();
        }
        events.push(json!({ "type": "m.presence", "sender": row.user_id, "content": content }));
    }
    Ok(events)
}

/// Makes users idle or offline, whose time has passed.
fn update_outdated(context: &RequestContext<'_>, now: Timestamp) -> Result<(), HandlerError> {
    let (seen_before, active_before) = (before(now, OFFLINE_AFTER), before(now, IDLE_AFTER));
    for mut row in presence::outdated(context.tx, seen_before, active_before)? {
        let is_gone = row.seen_at <= seen_before;
        row.state = if is_gone { OFFLINE } else { UNAVAILABLE }.to_owned();
        row.is_idle = !is_gone;
        row.save(context.tx)?;
    }
    Ok(())
}

/// Ends the waiting syncs of the user and of those who share a room.
fn add_change(context: &RequestContext<'_>, user_id: &str) -> Result<(), HandlerError> {
    context.changes.add_for_user(user_id);
    for other in members::sharing_a_room(context.tx, user_id)? {
        context.changes.add_for_user(&other);
    }
    Ok(())
}

/// Whether a user who is online did something just now.
fn is_active(row: &PresenceRow, now: Timestamp) -> Option<bool> {
    (row.state == ONLINE).then(|| !is_outdated(row.active_at, now))
}

/// Whether a stored time is too old, or in the future: then the clock was set back.
fn is_outdated(at: i64, now: Timestamp) -> bool {
    at <= before(now, GRANULARITY) || at > millis(now)
}

/// The time before `now`, in milliseconds.
fn before(now: Timestamp, by: Duration) -> i64 {
    millis(now) - i64::try_from(by.as_millis()).unwrap_or(i64::MAX)
}

/// How long ago a time is, in milliseconds. The clock may have been set back.
fn age(at: i64, now: Timestamp) -> u64 {
    u64::try_from(millis(now) - at).unwrap_or(0)
}
