//! The content of `m.room.power_levels`.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::is_user_id;
use crate::{
    RoomVersion,
    canonical_json::MAX_INTEGER,
    raw::{Object, parse_text},
};

/// The content of `m.room.power_levels`: what is absent is `None` here, and has a default in
/// [`RoomPower`](super::RoomPower).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PowerLevels {
    /// The level of users who are not listed.
    pub users_default: Option<i64>,
    /// The level that message events need that are not listed.
    pub events_default: Option<i64>,
    /// The level that state events need that are not listed.
    pub state_default: Option<i64>,
    /// The level that banning needs.
    pub ban: Option<i64>,
    /// The level that redacting other users' events needs.
    pub redact: Option<i64>,
    /// The level that removing a user needs.
    pub kick: Option<i64>,
    /// The level that inviting needs.
    pub invite: Option<i64>,
    /// The levels of users.
    pub users: BTreeMap<String, i64>,
    /// The levels that types of events need.
    pub events: BTreeMap<String, i64>,
    /// The levels that notifications need.
    pub notifications: BTreeMap<String, i64>,
}

impl PowerLevels {
    /// Reads power levels as they may stand in a room: a level that cannot be read counts as absent.
    pub fn read(content: &str, version: RoomVersion) -> Self {
        let mut levels = Self::default();
        let Ok(content) = Object::parse(content) else {
            return levels;
        };
        for (field, value) in content.iter() {
            if let Some(place) = levels.single(field) {
                *place = read_level(value, version);
            } else if let Some(place) = levels.map(field) {
                for (key, value) in Object::of(value).unwrap_or_default().iter() {
                    if let Some(level) = read_level(value, version) {
                        place.insert(key.to_owned(), level);
                    }
                }
            }
        }
        levels
    }

    /// Reads power levels that someone wants to set: everything must be valid. Versions until 9 also take a text of
    /// digits as a level, and versions until 5 a number with a fraction, which is cut off.
    ///
    /// # Errors
    /// If a level is not an integer, or `users` has a key that is not a user id.
    pub fn parse(content: &str, version: RoomVersion) -> Result<Self, InvalidPowerLevels> {
        let mut levels = Self::default();
        let content = Object::parse(content).map_err(|_| InvalidPowerLevels::NotAnObject {
            field: "the content".to_owned(),
        })?;
        for (field, value) in content.iter() {
            let not_a_level = |field: String| InvalidPowerLevels::NotALevel { field };
            if let Some(place) = levels.single(field) {
                let level = read_level(value, version);
                *place = Some(level.ok_or_else(|| not_a_level(field.to_owned()))?);
            } else if let Some(place) = levels.map(field) {
                let entries = Object::of(value).ok_or_else(|| InvalidPowerLevels::NotAnObject {
                    field: field.to_owned(),
                })?;
                for (key, value) in entries.iter() {
                    if field == "users" && !is_user_id(key) {
                        let key = key.to_owned();
                        return Err(InvalidPowerLevels::NotAUserId { key });
                    }
                    let level = read_level(value, version);
                    let level = level.ok_or_else(|| not_a_level(format!("{field}.{key}")))?;
                    place.insert(key.to_owned(), level);
                }
            }
        }
        Ok(levels)
    }

    /// The level of a user, by these levels alone.
    pub fn level_of(&self, user: &str) -> i64 {
        let listed = self.users.get(user).copied();
        listed.or(self.users_default).unwrap_or(0)
    }

    pub(super) fn event(&self, kind: &str) -> Option<i64> {
        self.events.get(kind).copied()
    }

    pub(super) fn notification(&self, key: &str) -> Option<i64> {
        self.notifications.get(key).copied()
    }

    /// The levels that stand by themselves, with their names.
    pub(super) fn singles(&self) -> [(&'static str, Option<i64>); 7] {
        [
            ("users_default", self.users_default),
            ("events_default", self.events_default),
            ("state_default", self.state_default),
            ("ban", self.ban),
            ("redact", self.redact),
            ("kick", self.kick),
            ("invite", self.invite),
        ]
    }

    fn single(&mut self, field: &str) -> Option<&mut Option<i64>> {
        Some(match field {
            "users_default" => &mut self.users_default,
            "events_default" => &mut self.events_default,
            "state_default" => &mut self.state_default,
            "ban" => &mut self.ban,
            "redact" => &mut self.redact,
            "kick" => &mut self.kick,
            "invite" => &mut self.invite,
            _ => return None,
        })
    }

    fn map(&mut self, field: &str) -> Option<&mut BTreeMap<String, i64>> {
        Some(match field {
            "users" => &mut self.users,
            "events" => &mut self.events,
            "notifications" => &mut self.notifications,
            _ => return None,
        })
    }
}

/// Why power levels cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPowerLevels {
    /// A part must be an object.
    #[error("{field} of the power levels must be an object")]
    NotAnObject {
        /// Which part.
        field: String,
    },
    /// A level is not an integer.
    #[error("the power level {field} must be an integer within ±{MAX_INTEGER}")]
    NotALevel {
        /// Which one.
        field: String,
    },
    /// A key of `users` is not a user id.
    #[error("{key:?} in the users of the power levels is not a user id")]
    NotAUserId {
        /// The key.
        key: String,
    },
}

/// Reads a level; none if it is not one in this version.
fn read_level(value: &RawValue, version: RoomVersion) -> Option<i64> {
    let rules = version.rules();
    let json = value.get();
    match json.as_bytes().first()? {
        b'"' if !rules.authorization.integer_power_levels => read_digits(&parse_text(value)?),
        b'-' | b'0'..=b'9' if !json.contains(['.', 'e', 'E']) => {
            if rules.strict_canonical_json {
                let level = json.parse().ok()?;
                (-MAX_INTEGER..=MAX_INTEGER)
                    .contains(&level)
                    .then_some(level)
            } else {
                Some(saturating_integer(json))
            }
        }
        // These versions do not refuse fractions, and cut them off.
        b'-' | b'0'..=b'9' if !rules.strict_canonical_json => {
            let level: f64 = json.parse().ok()?;
            level.is_finite().then_some(level as i64)
        }
        _ => None,
    }
}

/// Digits with an optional sign and white space around them.
fn read_digits(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_integer = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
    is_integer.then(|| saturating_integer(text))
}

/// An integer in decimal digits. Beyond 64 bits it is the greatest or smallest that there is.
fn saturating_integer(digits: &str) -> i64 {
    let bound = if digits.starts_with('-') {
        i64::MIN
    } else {
        i64::MAX
    };
    digits.parse().unwrap_or(bound)
}
