//! Which changes of power levels a user may make.

use std::collections::{BTreeMap, BTreeSet};

use super::{MissingPower, PowerLevel, PowerLevels, RoomPower};
use crate::AuthorizationRules;

/// Checks that a user may replace the power levels of a room. The room must have some: the first ones are not limited
/// by those before.
pub(crate) fn check_change(
    sender: &str,
    power: &RoomPower,
    old: &PowerLevels,
    new: &PowerLevels,
    rules: AuthorizationRules,
) -> Result<(), MissingPower> {
    let check = |name: &str, old: Option<i64>, new: Option<i64>| {
        if old == new {
            return Ok(());
        }
        let what = format!("changing {name}");
        let levels = [old, new];
        let mut levels = levels.iter().flatten();
        levels.try_for_each(|level| power.need(sender, *level, &what))
    };
    for ((name, old), (_, new)) in old.singles().into_iter().zip(new.singles()) {
        check(name, old, new)?;
    }
    for (kind, old, new) in entries(&old.events, &new.events) {
        check(kind, old, new)?;
    }
    if rules.limits_notification_levels {
        for (key, old, new) in entries(&old.notifications, &new.notifications) {
            check(key, old, new)?;
        }
    }
    for (user, old, new) in entries(&old.users, &new.users) {
        check(user, old, new)?;
        let is_equal = old.map(PowerLevel::Finite) == Some(power.level_of(sender));
        if old != new && user != sender && is_equal {
            power.need_above(sender, user)?;
        }
    }
    Ok(())
}

/// Each key of two maps, with its value in both.
fn entries<'a>(
    old: &'a BTreeMap<String, i64>,
    new: &'a BTreeMap<String, i64>,
) -> impl Iterator<Item = (&'a str, Option<i64>, Option<i64>)> {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    keys.into_iter()
        .map(|key| (key.as_str(), old.get(key).copied(), new.get(key).copied()))
}
