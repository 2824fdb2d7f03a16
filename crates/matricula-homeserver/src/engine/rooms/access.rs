//! What a user may read of a room:
//! [history visibility](https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility).

use matricula_api::UserId;
use matricula_rules::{
    Membership,
    history_visibility::{HistoryVisibility, Moment, may_see},
};
use rusqlite::Transaction;

use super::{MEMBER, forbidden};
use crate::engine::{
    error::HandlerError,
    storage::{
        events::{EventRow, SERVER},
        members,
    },
};

pub(super) const HISTORY_VISIBILITY: &str = "m.room.history_visibility";

/// What a user may read of one room.
pub(super) struct ReadAccess {
    user: String,
    /// The user's memberships, each with the position since which it holds.
    memberships: Vec<(i64, Option<Membership>)>,
    /// The visibilities of the history, each with the position since which it holds.
    visibilities: Vec<(i64, HistoryVisibility)>,
}

impl ReadAccess {
    pub(super) fn load(
        tx: &Transaction<'_>,
        room: &str,
        user: &UserId,
    ) -> Result<Self, HandlerError> {
        // One who has forgotten the room reads what a stranger reads.
        let memberships = if members::is_forgotten(tx, room, user.as_str())? {
            Vec::new()
        } else {
            SERVER.history_of_state(tx, room, MEMBER, user.as_str())?
        };
        let memberships = memberships
            .iter()
            .map(|event| (event.position, Membership::from_content(&event.content)));
        let visibilities = SERVER.history_of_state(tx, room, HISTORY_VISIBILITY, "")?;
        let visibilities = visibilities.iter().map(|event| {
            let visibility = HistoryVisibility::from_content(&event.content);
            (event.position, visibility)
        });
        Ok(Self {
            user: user.as_str().to_owned(),
            memberships: memberships.collect(),
            visibilities: visibilities.collect(),
        })
    }

    /// The same, of a room that the user may read: one who is or was joined, or anyone where the history
    /// is world-readable. The error is the same for a room that does not exist.
    pub(super) fn require(
        tx: &Transaction<'_>,
        room: &str,
        user: &UserId,
    ) -> Result<Self, HandlerError> {
        let access = Self::load(tx, room, user)?;
        if access.readable_state().is_none() {
            return Err(forbidden(format!("{user} is not in the room {room}")).into());
        }
        Ok(access)
    }

    /// The user's membership just after a position; `leave` where there was none.
    pub(super) fn membership_at(&self, position: i64) -> Membership {
        self.moment(position)
            .membership
            .unwrap_or(Membership::Leave)
    }

    /// Whether the user was joined at some time between two positions.
    pub(super) fn was_joined_between(&self, after: i64, up_to: i64) -> bool {
        let mut changes = self.memberships.iter();
        let joins = |(position, membership): &(i64, Option<Membership>)| {
            *membership == Some(Membership::Join) && (after..up_to).contains(position)
        };
        self.membership_at(after) == Membership::Join || changes.any(joins)
    }

    pub(super) fn is_joined(&self) -> bool {
        self.membership_at(i64::MAX) == Membership::Join
    }

    /// The newest position whose state the user may read; none where the user may read no state.
    pub(super) fn readable_state(&self) -> Option<i64> {
        let now = self.moment(i64::MAX);
        if self.is_joined() || now.visibility == HistoryVisibility::WorldReadable {
            return Some(i64::MAX);
        }
        // The event that ended the last time of being joined.
        let mut left = None;
        let mut was_joined = false;
        for (position, membership) in &self.memberships {
            let is_joined = *membership == Some(Membership::Join);
            if was_joined && !is_joined {
                left = Some(*position);
            }
            was_joined = is_joined;
        }
        left
    }

    /// Whether the user may read an event.
    pub(super) fn may_read(&self, event: &EventRow) -> bool {
        // What became of their own membership is for everyone to know.
        if event.kind == MEMBER && event.state_key.as_deref() == Some(&*self.user) {
            return true;
        }
        let position = event.position;
        let mut later = self.memberships.iter();
        let joins_later = later
            .any(|(since, membership)| *since > position && *membership == Some(Membership::Join));
        may_see(
            self.moment(position - 1),
            self.moment(position),
            joins_later,
        )
    }

    /// What decides just after a position.
    fn moment(&self, position: i64) -> Moment {
        Moment {
            visibility: at(&self.visibilities, position).unwrap_or_default(),
            membership: at(&self.memberships, position).flatten(),
        }
    }
}

/// The value that holds just after a position.
fn at<T: Copy>(values: &[(i64, T)], position: i64) -> Option<T> {
    let held = values.iter().rev().find(|(since, _)| *since <= position);
    held.map(|(_, value)| *value)
}
