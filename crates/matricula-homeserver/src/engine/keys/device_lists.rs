//! [Device lists](https://spec.matrix.org/v1.19/client-server-api/#tracking-the-device-list-for-a-user): of
//! which users a client must query the keys again.

use std::collections::{BTreeMap, BTreeSet};

use matricula_api::{
    UserId,
    client::keys::{GetKeysChanges, GetKeysChangesResponse},
};
use matricula_core::StepContext;

use crate::engine::{
    auth::localpart,
    context::RequestContext,
    error::HandlerError,
    handler::Handler,
    rooms::parse_position,
    storage::{device_keys, device_lists, members, stream, users},
};

/// Records that the keys of a user changed, and ends the waits of those who see it.
pub(super) fn device_list_changed(
    context: &RequestContext<'_>,
    user: i64,
) -> Result<(), HandlerError> {
    let position = stream::next(context.tx)?;
    device_lists::set_changed(context.tx, user, position)?;
    let localpart = users::get(context.tx, user)?.localpart;
    let user_id = localpart::user_id(context.config, &localpart)?;
    context.changes.add_for_user(user_id.as_str());
    for other in members::sharing_a_room(context.tx, user_id.as_str())? {
        context.changes.add_for_user(&other);
    }
    Ok(())
}

/// Records that a device has a new name, which is shown with its keys.
pub(crate) fn device_renamed(
    context: &RequestContext<'_>,
    user: i64,
    device: &str,
) -> Result<(), HandlerError> {
    match device_keys::find(context.tx, user, device)? {
        Some(_) => device_list_changed(context, user),
        None => Ok(()),
    }
}

/// The users whose keys a client must query again or need not follow any more.
#[derive(Debug, Default)]
pub(super) struct ListChanges {
    /// Users whose keys changed, or with whom the user shares a room that they did not share before.
    pub(super) changed: BTreeSet<String>,
    /// Users with whom the user shares no room any more.
    pub(super) left: BTreeSet<String>,
}

impl ListChanges {
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.left.is_empty()
    }
}

/// What changed for a user after a position. Rooms without encryption count too: it may begin at any time.
pub(super) fn changes_since(
    context: &RequestContext<'_>,
    user: i64,
    user_id: &UserId,
    since: i64,
) -> Result<ListChanges, HandlerError> {
    let (tx, me) = (context.tx, user_id.as_str());
    let ListChanges {
        mut changed,
        mut left,
    } = membership_changes(context, me, since)?;
    changed.remove(me);
    left.remove(me);
    for localpart in device_lists::changed(tx, since)? {
        let other = localpart::user_id(context.config, &localpart)?;
        if other == *user_id || device_lists::share_a_room(tx, me, other.as_str())? {
            changed.insert(other.as_str().to_owned());
        }
    }
    for localpart in device_lists::changed_for(tx, user, since)? {
        let other = localpart::user_id(context.config, &localpart)?;
        changed.insert(other.as_str().to_owned());
    }
    let mut without_room = BTreeSet::new();
    for other in left {
        if !device_lists::share_a_room(tx, me, &other)? {
            without_room.insert(other);
        }
    }
    Ok(ListChanges {
        changed,
        left: without_room,
    })
}

/// The users who came into a room that the user is in, and those who left one or whom the user left.
fn membership_changes(
    context: &RequestContext<'_>,
    me: &str,
    since: i64,
) -> Result<ListChanges, HandlerError> {
    let tx = context.tx;
    let mut rooms: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (room, member) in device_lists::membership_changes(tx, since)? {
        rooms.entry(room).or_default().insert(member);
    }
    let is_joined = |room: &str, member: &str| {
        let membership = members::membership(tx, room, member)?;
        Ok::<_, HandlerError>(membership.as_deref() == Some("join"))
    };
    let mut changes = ListChanges::default();
    for (room, members_changed) in rooms {
        let is_mine = is_joined(&room, me)?;
        let was_mine = match members_changed.contains(me) {
            true => device_lists::was_joined(tx, &room, me, since)?,
            false => is_mine,
        };
        match (was_mine, is_mine) {
            (false, false) => {}
            (false, true) => changes.changed.extend(members::joined(tx, &room)?),
            (true, false) => changes
                .left
                .extend(device_lists::joined_at(tx, &room, since)?),
            (true, true) => {
                for member in members_changed {
                    let was_joined = device_lists::was_joined(tx, &room, &member, since)?;
                    let moved = match (was_joined, is_joined(&room, &member)?) {
                        (false, true) => &mut changes.changed,
                        (true, false) => &mut changes.left,
                        _ => continue,
                    };
                    moved.insert(member);
                }
            }
        }
    }
    Ok(changes)
}

impl Handler for GetKeysChanges {
    /// Changes after `to` are included: the next sync reports them again, which does no harm.
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetKeysChangesResponse, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        let user_id = localpart::user_id(context.config, &requester.localpart)?;
        let from = parse_position(context, &self.from)?;
        parse_position(context, &self.to)?;
        let changes = changes_since(context, requester.user, &user_id, from)?;
        Ok(GetKeysChangesResponse::default()
            .changed(changes.changed.into_iter().collect::<Vec<_>>())
            .left(changes.left.into_iter().collect::<Vec<_>>()))
    }
}
