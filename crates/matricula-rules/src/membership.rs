//! A user's relation to a room.

use std::{fmt, str::FromStr};

use crate::raw::Object;

/// A user's relation to a room: `membership` in the content of `m.room.member`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Membership {
    /// In the room.
    Join,
    /// Invited, and not in the room yet.
    Invite,
    /// Left, removed, or refused an invitation.
    Leave,
    /// Banned.
    Ban,
    /// Asked to be let in.
    Knock,
}

impl Membership {
    /// Reads the membership in the content of `m.room.member`; none where it is absent or unknown.
    pub fn from_content(content: &str) -> Option<Self> {
        let content = Object::parse(content).ok()?;
        content.text("membership")?.parse().ok()
    }

    /// The membership as it stands in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Invite => "invite",
            Self::Leave => "leave",
            Self::Ban => "ban",
            Self::Knock => "knock",
        }
    }
}

impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Membership {
    type Err = UnknownMembership;

    fn from_str(text: &str) -> Result<Self, UnknownMembership> {
        Ok(match text {
            "join" => Self::Join,
            "invite" => Self::Invite,
            "leave" => Self::Leave,
            "ban" => Self::Ban,
            "knock" => Self::Knock,
            _ => return Err(UnknownMembership),
        })
    }
}

/// A membership that the specification does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a membership is one of join, invite, leave, ban and knock")]
pub struct UnknownMembership;
