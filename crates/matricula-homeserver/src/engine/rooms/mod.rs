//! Rooms of this server: their events and members.
//!
//! | limit | |
//! |---|---|
//! | [`MAX_ROOMS`] | rooms that an account creates |
//! | [`MAX_PAGE`] | events of a page |
//!
//! [`limits`](matricula_rules::limits) has the sizes of events. The number of stored transaction ids is
//! limited in `storage::events`.

mod access;
mod aliases;
mod client_event;
mod create;
mod directory;
mod events;
mod faults;
mod members;
mod membership;
mod messages;
mod positions;
mod power;
mod redact;
mod relations;
mod send;
mod services;
mod state;
mod sync;
mod upgrade;

pub use faults::FaultyEvent;
pub(crate) use faults::append_faulty;
pub(crate) use membership::update_profile;
pub(crate) use positions::parse_position;
pub(crate) use services::events_for_service;
pub(crate) use sync::long_poll_timeout;

use std::borrow::Cow;

use matricula_api::{ErrorCode, RoomId, UserId};
use matricula_core::Timestamp;

use super::{
    auth::{localpart, requester::Requester},
    context::RequestContext,
    error::{ApiError, HandlerError},
};

/// The longest room alias, in bytes.
const MAX_NAME: usize = 255;
/// The maximum number of rooms that an account creates.
const MAX_ROOMS: u32 = 1_000;
/// The largest page, in events, and the default one.
const MAX_PAGE: u64 = 1_000;
const DEFAULT_PAGE: u64 = 10;

const MEMBER: &str = "m.room.member";

fn not_found(error: &'static str) -> ApiError {
    ApiError::new(404, ErrorCode::NotFound, error)
}

fn forbidden(error: impl Into<Cow<'static, str>>) -> ApiError {
    ApiError::new(403, ErrorCode::Forbidden, error)
}

/// The requester, who must be allowed to act in rooms.
fn require_sender(
    context: &RequestContext<'_>,
    now: Timestamp,
) -> Result<(Requester, UserId), HandlerError> {
    let (requester, user_id) = require_reader(context, now)?;
    if requester.is_suspended {
        let error = "this account is suspended; it can only read and leave rooms";
        return Err(ApiError::new(403, ErrorCode::UserSuspended, error).into());
    }
    Ok((requester, user_id))
}

/// The requester, who must be allowed to read rooms.
fn require_reader(
    context: &RequestContext<'_>,
    now: Timestamp,
) -> Result<(Requester, UserId), HandlerError> {
    let requester = context.authenticate_caller(now)?;
    let user_id = localpart::user_id(context.config, &requester.localpart)?;
    Ok((requester, user_id))
}

/// Rejects users who are not joined. The error is the same for a room that does not exist, so that it
/// reveals nothing.
fn require_joined(
    context: &RequestContext<'_>,
    room: &RoomId,
    user: &UserId,
) -> Result<(), HandlerError> {
    match events::membership(context, room, user)?.as_deref() {
        Some("join") => Ok(()),
        _ => Err(forbidden(format!("{user} is not in the room {room}")).into()),
    }
}
