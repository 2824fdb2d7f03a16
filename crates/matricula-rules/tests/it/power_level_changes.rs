//! Which changes of power levels are authorised.

use matricula_rules::{RoomVersion, authorization::Denied, power_levels::MissingPower};
use serde_json::{Value, json};

use crate::room::{ALICE, BOB, CAROL, DAVE, Room};

/// Whether Bob, who has 50, may change the levels so.
fn change(version: RoomVersion, old: &Value, new: &Value) -> bool {
    let base = |levels: &Value| {
        let mut levels = levels.clone();
        levels["events"]["m.room.power_levels"] = json!(50);
        if levels["users"][BOB].is_null() {
            levels["users"][BOB] = json!(50);
        }
        levels
    };
    let room = Room::new(version).levels(base(old)).member(BOB, "join");
    room.send_state(BOB, "m.room.power_levels", "", base(new))
        .is_ok()
}

#[track_caller]
fn assert_change(old: &Value, new: &Value, expected: bool) {
    for version in RoomVersion::ALL {
        assert_eq!(
            change(version, old, new),
            expected,
            "{version}: {old} to {new}"
        );
    }
}

#[test]
fn single_levels_are_limited_by_ones_own() {
    for name in [
        "users_default",
        "events_default",
        "state_default",
        "ban",
        "redact",
        "kick",
        "invite",
    ] {
        let level = |level: i64| json!({ name: level });
        for (old, new, expected) in [
            (0, 50, true),
            (50, 0, true),
            (0, 51, false),
            (51, 50, false),
            (51, 51, true),
        ] {
            assert_change(&level(old), &level(new), expected);
        }
        // Added and removed.
        assert_change(&json!({}), &level(50), true);
        assert_change(&json!({}), &level(51), false);
        assert_change(&level(50), &json!({}), true);
        assert_change(&level(51), &json!({}), false);
    }
}

#[test]
fn levels_of_types_are_limited_by_ones_own() {
    let level = |level: i64| json!({ "events": { "m.x": level } });
    for (old, new, expected) in [
        (0, 50, true),
        (50, 49, true),
        (0, 51, false),
        (51, 50, false),
        (51, 51, true),
    ] {
        assert_change(&level(old), &level(new), expected);
    }
    assert_change(&json!({}), &level(51), false);
    assert_change(&level(51), &json!({}), false);
    assert_change(&level(50), &json!({}), true);
}

#[test]
fn notification_levels_are_limited_since_six() {
    for version in RoomVersion::ALL {
        let level = |level: i64| json!({ "notifications": { "room": level } });
        let unlimited = version < RoomVersion::V6;
        assert_eq!(change(version, &level(51), &level(50)), unlimited);
        assert_eq!(change(version, &level(50), &level(51)), unlimited);
        assert_eq!(change(version, &level(51), &json!({})), unlimited);
        assert!(change(version, &level(50), &level(0)));
    }
}

#[test]
fn users_below_oneself_are_changed() {
    let level = |level: i64| json!({ "users": { CAROL: level } });
    for (old, new, expected) in [
        (49, 50, true),
        (49, 51, false),
        (0, -5, true),
        (50, 49, false),
        (50, 51, false),
        (51, 0, false),
        (50, 50, true),
        (100, 100, true),
    ] {
        assert_change(&level(old), &level(new), expected);
    }
    assert_change(&json!({}), &level(50), true);
    assert_change(&json!({}), &level(51), false);
    assert_change(&level(49), &json!({}), true);
    assert_change(&level(50), &json!({}), false);
}

#[test]
fn own_level_can_be_lowered() {
    let own = |level: i64| json!({ "users": { BOB: level } });
    assert_change(&own(50), &own(0), true);
    assert_change(&own(50), &own(51), false);
    assert_change(&own(60), &own(50), true);
}

#[test]
fn first_levels_are_not_limited() {
    for version in RoomVersion::ALL {
        let room = Room::new(version);
        let levels = json!({ "users": { BOB: 1_000 }, "ban": 1_000 });
        assert_eq!(
            room.send_state(ALICE, "m.room.power_levels", "", levels),
            Ok(())
        );
        let room = room.levels(json!({ "users": { ALICE: 100 } }));
        let elsewhere = room.send_state(ALICE, "m.room.power_levels", "x", json!({ "ban": 1_000 }));
        assert_eq!(elsewhere, Ok(()));
    }
}

#[test]
fn invalid_levels_are_refused() {
    for version in RoomVersion::ALL {
        let room = Room::new(version);
        for content in [
            json!({ "users": "none" }),
            json!({ "users": { "bob": 1 } }),
            json!({ "users": { BOB: true } }),
            json!({ "users": { BOB: "x" } }),
            json!({ "kick": {} }),
            json!({ "events": { "m.x": [] } }),
            json!({ "events": 1 }),
            json!({ "notifications": null }),
        ] {
            let denied = room.send_state(ALICE, "m.room.power_levels", "", content.clone());
            assert!(
                matches!(denied, Err(Denied::InvalidPowerLevels(_))),
                "{content} {denied:?}"
            );
        }
        let text = room.send_state(ALICE, "m.room.power_levels", "", json!({ "kick": "50" }));
        assert_eq!(text.is_ok(), version < RoomVersion::V10);
    }
}

#[test]
fn equal_levels_in_other_forms_are_no_change() {
    for version in [RoomVersion::V1, RoomVersion::V9] {
        assert!(change(
            version,
            &json!({ "ban": 99 }),
            &json!({ "ban": " 99" })
        ));
        assert!(!change(
            version,
            &json!({ "ban": 99 }),
            &json!({ "ban": "98" })
        ));
    }
}

#[test]
fn creators_of_version_twelve_are_not_listed() {
    let create = json!({ "creator": ALICE, "additional_creators": [BOB] });
    for version in RoomVersion::ALL {
        let room = Room::with_create(version, create.clone());
        for user in [ALICE, BOB] {
            let content = json!({ "users": { user: 100 } });
            let set = room.send_state(ALICE, "m.room.power_levels", "", content);
            if version == RoomVersion::V12 {
                let user = user.to_owned();
                assert_eq!(set, Err(Denied::Power(MissingPower::Creator { user })));
            } else {
                assert_eq!(set, Ok(()));
            }
        }
        let content = json!({ "users": { DAVE: 100 } });
        assert_eq!(
            room.send_state(ALICE, "m.room.power_levels", "", content),
            Ok(())
        );
    }
}

#[test]
fn creators_of_version_twelve_change_everything() {
    let levels = json!({ "users": { CAROL: 9_000_000_000i64 }, "state_default": 9_000_000_000i64 });
    let room = Room::new(RoomVersion::V12).levels(levels);
    let changed = room.send_state(
        ALICE,
        "m.room.power_levels",
        "",
        json!({ "users": { CAROL: 1 } }),
    );
    assert_eq!(changed, Ok(()));
}
