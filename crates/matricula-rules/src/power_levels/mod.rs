//! [Power levels](https://spec.matrix.org/v1.19/client-server-api/#mroompower_levels): "may this user do that?"
//!
//! ```
//! use matricula_rules::{EventView, RoomVersion, power_levels::{Action, RoomPower}};
//!
//! let create = EventView::new("m.room.create", "@alice:example.org", "{}").state_key("");
//! let levels = r#"{"users": {"@bob:example.org": 50}, "invite": 50}"#;
//! let power = RoomPower::new(&create, Some(levels), RoomVersion::V12);
//!
//! assert!(power.may("@bob:example.org", Action::Invite));
//! let error = power.check("@bob:example.org", Action::Kick("@alice:example.org")).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "@bob:example.org has power level 50, which is not higher than that of @alice:example.org",
//! );
//! ```

mod change;
mod content;

use std::fmt;

pub(crate) use change::check_change;
pub use content::{InvalidPowerLevels, PowerLevels};

use crate::{EventView, RoomVersion, raw::Object};

/// How much power a user has. Creators in version 12 stand above every number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PowerLevel {
    /// A number.
    Finite(i64),
    /// More than every number.
    Unlimited,
}

impl fmt::Display for PowerLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finite(level) => level.fmt(f),
            Self::Unlimited => f.write_str("without limit"),
        }
    }
}

/// Something that a user may need power for. Users are named by their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action<'a> {
    /// Send a message event of this type.
    Send(&'a str),
    /// Send a state event of this type. For memberships, use the actions below.
    SendState(&'a str),
    /// Invite a user.
    Invite,
    /// Remove a user.
    Kick(&'a str),
    /// Ban a user.
    Ban(&'a str),
    /// Lift the ban of a user.
    Unban(&'a str),
    /// Redact an event that this user sent.
    Redact(&'a str),
    /// Notify everyone by a notification of this kind, such as `room`.
    Notify(&'a str),
    /// Give a user a power level.
    SetLevel {
        /// The user.
        user: &'a str,
        /// The new level.
        level: i64,
    },
}

/// Who has which power in a room. It owns what it needs, so that it can be stored as long as the state is current.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomPower {
    levels: Option<PowerLevels>,
    creator: String,
    /// Empty until version 11.
    additional_creators: Vec<String>,
    creators_have_unlimited_power: bool,
}

impl RoomPower {
    /// Reads the power in a room from its create event and the content of its `m.room.power_levels`, if it has them.
    /// Levels that cannot be read count as absent.
    pub fn new(create: &EventView<'_>, power_levels: Option<&str>, version: RoomVersion) -> Self {
        let rules = version.rules().authorization;
        let content = Object::parse(create.content).unwrap_or_default();
        let creator = if rules.creator_is_sender {
            create.sender.to_owned()
        } else {
            let creator = content.text("creator");
            creator.map_or_else(|| create.sender.to_owned(), |it| it.into_owned())
        };
        let additional_creators = if rules.creators_have_unlimited_power {
            additional_creators(&content).unwrap_or_default()
        } else {
            Vec::new()
        };
        Self {
            levels: power_levels.map(|content| PowerLevels::read(content, version)),
            creator,
            additional_creators,
            creators_have_unlimited_power: rules.creators_have_unlimited_power,
        }
    }

    /// The levels in `m.room.power_levels`; none if the room has none.
    pub fn levels(&self) -> Option<&PowerLevels> {
        self.levels.as_ref()
    }

    /// Whether the user created the room, or is one of its additional creators in version 12.
    pub fn is_creator(&self, user: &str) -> bool {
        self.creator == user || self.additional_creators.iter().any(|it| it == user)
    }

    pub(crate) fn creator(&self) -> &str {
        &self.creator
    }

    /// A user's level.
    pub fn level_of(&self, user: &str) -> PowerLevel {
        if self.creators_have_unlimited_power && self.is_creator(user) {
            return PowerLevel::Unlimited;
        }
        PowerLevel::Finite(match &self.levels {
            Some(levels) => levels.level_of(user),
            None if self.creator == user => 100,
            None => 0,
        })
    }

    /// The level that sending an event of this type needs.
    pub fn to_send(&self, kind: &str, is_state: bool) -> i64 {
        let of_kind = self.levels.as_ref().and_then(|it| it.event(kind));
        of_kind.unwrap_or_else(|| {
            if is_state {
                self.named(|it| it.state_default, 50)
            } else {
                self.named(|it| it.events_default, 0)
            }
        })
    }

    /// The level that inviting needs.
    pub fn to_invite(&self) -> i64 {
        self.named(|it| it.invite, 0)
    }

    /// The level that removing a user needs.
    pub fn to_kick(&self) -> i64 {
        self.named(|it| it.kick, 50)
    }

    /// The level that banning needs.
    pub fn to_ban(&self) -> i64 {
        self.named(|it| it.ban, 50)
    }

    /// The level that redacting other users' events needs.
    pub fn to_redact(&self) -> i64 {
        self.named(|it| it.redact, 50)
    }

    /// The level that a notification of this kind needs, such as `room`.
    pub fn to_notify(&self, key: &str) -> i64 {
        let levels = self.levels.as_ref();
        levels.and_then(|it| it.notification(key)).unwrap_or(50)
    }

    /// Whether a user has the power for something. Memberships are not looked at: someone who is not in the room may do
    /// nothing of it.
    pub fn may(&self, user: &str, action: Action<'_>) -> bool {
        self.check(user, action).is_ok()
    }

    /// As [`may`](Self::may), with the reason.
    ///
    /// # Errors
    /// If the user does not have the power.
    pub fn check(&self, user: &str, action: Action<'_>) -> Result<(), MissingPower> {
        match action {
            Action::Send(kind) => self.need(user, self.to_send(kind, false), kind),
            // It is an invitation, and the rules treat it as one.
            Action::SendState("m.room.third_party_invite") | Action::Invite => {
                self.need(user, self.to_invite(), "inviting")
            }
            Action::SendState(kind) => self.need(user, self.to_send(kind, true), kind),
            Action::Kick(target) => {
                self.need(user, self.to_kick(), "removing users")?;
                self.need_above(user, target)
            }
            Action::Ban(target) => {
                self.need(user, self.to_ban(), "banning")?;
                self.need_above(user, target)
            }
            Action::Unban(target) => {
                self.need(user, self.to_ban(), "lifting a ban")?;
                self.check(user, Action::Kick(target))
            }
            Action::Redact(sender) => {
                let kind = "m.room.redaction";
                self.need(user, self.to_send(kind, false), kind)?;
                if user == sender {
                    return Ok(());
                }
                self.need(user, self.to_redact(), "redacting other users' events")
            }
            Action::Notify(key) => self.need(user, self.to_notify(key), "notifying everyone"),
            Action::SetLevel {
                user: target,
                level,
            } => {
                let kind = "m.room.power_levels";
                self.need(user, self.to_send(kind, true), kind)?;
                if self.level_of(target) == PowerLevel::Unlimited {
                    let user = target.to_owned();
                    return Err(MissingPower::Creator { user });
                }
                if user != target {
                    self.need_above(user, target)?;
                }
                self.need(user, level, "giving this power level")
            }
        }
    }

    fn named(&self, of: impl Fn(&PowerLevels) -> Option<i64>, default: i64) -> i64 {
        self.levels.as_ref().and_then(of).unwrap_or(default)
    }

    pub(crate) fn need(&self, user: &str, needed: i64, what: &str) -> Result<(), MissingPower> {
        let has = self.level_of(user);
        if has >= PowerLevel::Finite(needed) {
            return Ok(());
        }
        Err(MissingPower::TooLow {
            user: user.to_owned(),
            has,
            what: what.to_owned(),
            needed,
        })
    }

    pub(crate) fn need_above(&self, user: &str, other: &str) -> Result<(), MissingPower> {
        let has = self.level_of(user);
        if has > self.level_of(other) {
            return Ok(());
        }
        Err(MissingPower::NotAbove {
            user: user.to_owned(),
            has,
            other: other.to_owned(),
        })
    }
}

/// `additional_creators`; none if it is not a list of user ids.
pub(crate) fn additional_creators(create_content: &Object<'_>) -> Option<Vec<String>> {
    let Some(list) = create_content.get("additional_creators") else {
        return Some(Vec::new());
    };
    let list: Vec<String> = serde_json::from_str(list.get()).ok()?;
    list.iter().all(|it| is_user_id(it)).then_some(list)
}

pub(crate) fn is_user_id(text: &str) -> bool {
    ruma_identifiers_validation::user_id::validate(text).is_ok()
}

/// Why a user does not have the power for something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MissingPower {
    /// The user's level is too low.
    #[error("{user} has power level {has}, and {what} needs {needed}")]
    TooLow {
        /// The user.
        user: String,
        /// The user's level.
        has: PowerLevel,
        /// What needs more.
        what: String,
        /// How much it needs.
        needed: i64,
    },
    /// The other user has as much power, or more.
    #[error("{user} has power level {has}, which is not higher than that of {other}")]
    NotAbove {
        /// The user.
        user: String,
        /// The user's level.
        has: PowerLevel,
        /// The other user.
        other: String,
    },
    /// The level of a creator of a room of version 12 cannot be set.
    #[error("{user} is a creator of the room, whose power has no limit and cannot be changed")]
    Creator {
        /// The creator.
        user: String,
    },
}
