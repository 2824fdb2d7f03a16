//! [History visibility](https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility): "may this user see
//! that event?"

use std::convert::Infallible;
use std::str::FromStr;

use crate::{Membership, raw::Object};

/// Who may see the events of a room from now on: `history_visibility` in `m.room.history_visibility`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HistoryVisibility {
    /// Everyone.
    WorldReadable,
    /// Members, also those who join later. It is the value where none, or an unknown one, is set.
    #[default]
    Shared,
    /// Members, from their invitation on.
    Invited,
    /// Members, from their joining on.
    Joined,
}

impl HistoryVisibility {
    /// Reads the visibility in the content of `m.room.history_visibility`.
    pub fn from_content(content: &str) -> Self {
        let content = Object::parse(content).unwrap_or_default();
        let text = content.text("history_visibility").unwrap_or_default();
        let Ok(visibility) = text.parse();
        visibility
    }
}

impl FromStr for HistoryVisibility {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "world_readable" => Self::WorldReadable,
            "invited" => Self::Invited,
            "joined" => Self::Joined,
            _ => Self::Shared,
        })
    }
}

/// The state of a room at an event, as far as it decides who sees the event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The room's history visibility.
    pub visibility: HistoryVisibility,
    /// The reader's membership; none if there never was one.
    pub membership: Option<Membership>,
}

/// Whether a user may see an event.
///
/// `before` and `after` are the state of the room before and after the event. They differ only for the user's own
/// memberships and for changes of the visibility: those events are seen if either permits it. `joined_later` says
/// whether the user joined the room at any time after the event.
///
/// ```
/// use matricula_rules::{Membership, history_visibility::{HistoryVisibility, Moment, may_see}};
///
/// let before = Moment { visibility: HistoryVisibility::Joined, membership: Some(Membership::Invite) };
/// assert!(!may_see(before, before, true));
/// let joined = Moment { membership: Some(Membership::Join), ..before };
/// assert!(may_see(before, joined, false)); // One's own join.
/// ```
pub fn may_see(before: Moment, after: Moment, joined_later: bool) -> bool {
    [before, after].into_iter().any(|moment| {
        let visibility = moment.visibility;
        match moment.membership {
            Some(Membership::Join) => true,
            Some(Membership::Invite) if visibility == HistoryVisibility::Invited => true,
            _ => match visibility {
                HistoryVisibility::WorldReadable => true,
                HistoryVisibility::Shared => joined_later,
                HistoryVisibility::Invited | HistoryVisibility::Joined => false,
            },
        }
    })
}
