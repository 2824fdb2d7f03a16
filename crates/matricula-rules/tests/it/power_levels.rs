//! Power levels: how they are read, and "may this user do that?".

use matricula_rules::{
    EventView, PowerLevel, RoomVersion,
    power_levels::{Action, InvalidPowerLevels, PowerLevels, RoomPower},
};
use serde_json::{Value, json};

use crate::room::{ALICE, BOB, CAROL};

fn power(version: RoomVersion, create: Value, levels: Option<Value>) -> RoomPower {
    let create = create.to_string();
    let create = EventView::new("m.room.create", ALICE, &create).state_key("");
    RoomPower::new(&create, levels.map(|it| it.to_string()).as_deref(), version)
}

/// The power in a room of version 11 that Alice created.
fn power_of(levels: Value) -> RoomPower {
    power(RoomVersion::V11, json!({}), Some(levels))
}

#[test]
fn absent_levels_have_defaults() {
    for power in [
        power(RoomVersion::V11, json!({}), None),
        power_of(json!({})),
    ] {
        assert_eq!(power.to_send("m.x", false), 0);
        assert_eq!(power.to_send("m.x", true), 50);
        assert_eq!(
            (power.to_invite(), power.to_kick(), power.to_ban()),
            (0, 50, 50)
        );
        assert_eq!((power.to_redact(), power.to_notify("room")), (50, 50));
        assert_eq!(power.level_of(BOB), PowerLevel::Finite(0));
    }
}

#[test]
fn creator_has_a_hundred_without_levels() {
    for version in RoomVersion::ALL {
        let levels = power(version, json!({ "creator": BOB }), None);
        let named = version < RoomVersion::V11;
        let expected = match version {
            RoomVersion::V12 => PowerLevel::Unlimited,
            _ => PowerLevel::Finite(100),
        };
        assert_eq!(levels.level_of(if named { BOB } else { ALICE }), expected);
        assert_eq!(
            levels.level_of(if named { ALICE } else { BOB }),
            PowerLevel::Finite(0)
        );
        if version < RoomVersion::V12 {
            let levels = power(version, json!({ "creator": ALICE }), Some(json!({})));
            assert_eq!(levels.level_of(ALICE), PowerLevel::Finite(0));
        }
    }
}

#[test]
fn creators_of_version_twelve_stand_above_all() {
    let create = json!({ "additional_creators": [BOB] });
    let levels = json!({ "users": { CAROL: 9_007_199_254_740_991i64, ALICE: 1 }, "kick": 9_007_199_254_740_991i64 });
    let twelve = power(RoomVersion::V12, create.clone(), Some(levels.clone()));
    for creator in [ALICE, BOB] {
        assert_eq!(twelve.level_of(creator), PowerLevel::Unlimited);
        assert!(twelve.may(creator, Action::Kick(CAROL)));
        assert!(!twelve.may(CAROL, Action::Kick(creator)));
        assert!(!twelve.may(
            CAROL,
            Action::SetLevel {
                user: creator,
                level: 0
            }
        ));
        assert!(!twelve.may(
            ALICE,
            Action::SetLevel {
                user: creator,
                level: 0
            }
        ));
    }
    assert!(!twelve.may(ALICE, Action::Kick(BOB)));
    assert!(twelve.may(CAROL, Action::Kick("@x:example.org")));
    let eleven = power(RoomVersion::V11, create, Some(levels));
    assert_eq!(eleven.level_of(ALICE), PowerLevel::Finite(1));
    assert_eq!(eleven.level_of(BOB), PowerLevel::Finite(0));
}

#[test]
fn actions_need_their_levels() {
    let power = power_of(json!({
        "users": { ALICE: 100, BOB: 50 },
        "events": { "m.reaction": 60, "m.room.topic": 10 },
        "users_default": 5, "events_default": 5, "state_default": 20,
        "invite": 30, "kick": 40, "ban": 50, "redact": 45, "notifications": { "room": 20 },
    }));
    let cases = [
        (Action::Send("m.room.message"), true, true),
        (Action::Send("m.reaction"), false, false),
        (Action::Send("m.room.topic"), true, false),
        (Action::SendState("m.room.topic"), true, false),
        (Action::SendState("m.room.name"), true, false),
        (Action::SendState("m.room.third_party_invite"), true, false),
        (Action::Invite, true, false),
        (Action::Kick("@x:y"), true, false),
        (Action::Kick(ALICE), false, false),
        (Action::Kick(BOB), false, false),
        (Action::Ban("@x:y"), true, false),
        (Action::Ban(ALICE), false, false),
        (Action::Unban("@x:y"), true, false),
        (Action::Redact(CAROL), true, true),
        (Action::Redact(ALICE), true, false),
        (Action::Notify("room"), true, false),
        (Action::Notify("other"), true, false),
        (
            Action::SetLevel {
                user: "@x:y",
                level: 50,
            },
            true,
            false,
        ),
        (
            Action::SetLevel {
                user: "@x:y",
                level: 51,
            },
            false,
            false,
        ),
        (
            Action::SetLevel {
                user: ALICE,
                level: 0,
            },
            false,
            false,
        ),
        (
            Action::SetLevel {
                user: BOB,
                level: 10,
            },
            true,
            false,
        ),
    ];
    for (action, bob, carol) in cases {
        assert_eq!(power.may(BOB, action), bob, "Bob: {action:?}");
        assert_eq!(power.may(CAROL, action), carol, "Carol: {action:?}");
    }
}

#[test]
fn unbanning_needs_both_levels() {
    for (kick, ban, expected) in [(50, 50, true), (51, 50, false), (50, 51, false)] {
        let power = power_of(json!({ "users": { BOB: 50 }, "kick": kick, "ban": ban }));
        assert_eq!(power.may(BOB, Action::Unban(CAROL)), expected);
    }
}

#[test]
fn own_events_need_the_level_of_redactions() {
    let power =
        power_of(json!({ "events": { "m.room.redaction": 1 }, "users": { BOB: 1 }, "redact": 0 }));
    assert!(power.may(BOB, Action::Redact(BOB)));
    assert!(power.may(BOB, Action::Redact(CAROL)));
    assert!(!power.may(CAROL, Action::Redact(CAROL)));
}

/// What a level means in a version, read leniently and strictly.
fn level(value: &str, version: RoomVersion) -> Option<i64> {
    let content = format!(r#"{{"ban":{value}}}"#);
    let read = PowerLevels::read(&content, version).ban;
    let parsed = PowerLevels::parse(&content, version);
    assert_eq!(
        parsed.is_ok(),
        read.is_some(),
        "{value} in version {version}"
    );
    read
}

#[test]
fn texts_are_levels_until_nine() {
    let texts = [
        (r#""100""#, 100),
        (r#""000100""#, 100),
        (r#""+100""#, 100),
        (r#""-100""#, -100),
        (r#"" 100 ""#, 100),
        (r#"" 00100\t""#, 100),
        (r#""\n-0 ""#, 0),
        (r#""99999999999999999999""#, i64::MAX),
        (r#""-99999999999999999999""#, i64::MIN),
    ];
    for version in RoomVersion::ALL {
        let until_nine = version < RoomVersion::V10;
        for (text, expected) in texts {
            assert_eq!(
                level(text, version),
                until_nine.then_some(expected),
                "{text} {version}"
            );
        }
        for text in [
            r#""""#, r#"" ""#, r#""1.5""#, r#""1e2""#, r#""+-1""#, r#""- 1""#, r#""1 0""#,
            r#""x""#, r#""+""#,
        ] {
            assert_eq!(level(text, version), None, "{text} {version}");
        }
    }
}

#[test]
fn fractions_are_cut_off_until_five() {
    for version in RoomVersion::ALL {
        let until_five = version < RoomVersion::V6;
        for (number, expected) in [
            ("50.57", 50),
            ("-50.57", -50),
            ("5.114698E4", 51_146),
            ("1.0", 1),
            ("9007199254740992", 9_007_199_254_740_992),
            ("99999999999999999999", i64::MAX),
        ] {
            assert_eq!(
                level(number, version),
                until_five.then_some(expected),
                "{number} {version}"
            );
        }
        assert_eq!(level("1e400", version), None);
        for (number, expected) in [
            ("0", 0),
            ("-5", -5),
            ("-9007199254740991", -9_007_199_254_740_991),
        ] {
            assert_eq!(level(number, version), Some(expected));
        }
        for other in ["null", "true", "[1]", "{}"] {
            assert_eq!(level(other, version), None);
        }
    }
}

#[test]
fn unreadable_levels_count_as_absent() {
    let content = r#"{"users":{"@a:b.org":"x","@c:d.org":7},"kick":true,"events":[],"ban":9}"#;
    let levels = PowerLevels::read(content, RoomVersion::V12);
    assert_eq!(levels.users, [("@c:d.org".to_owned(), 7)].into());
    assert_eq!((levels.kick, levels.ban), (None, Some(9)));
    assert_eq!(
        PowerLevels::read("[]", RoomVersion::V12),
        PowerLevels::default()
    );
}

#[test]
fn invalid_levels_are_named() {
    let message = |content: &str| {
        let error: InvalidPowerLevels = PowerLevels::parse(content, RoomVersion::V12).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        message(r#"{"users":"none"}"#),
        "users of the power levels must be an object"
    );
    assert_eq!(
        message(r#"{"users":{"bob":1}}"#),
        r#""bob" in the users of the power levels is not a user id"#
    );
    let integer = "must be an integer within ±9007199254740991";
    assert_eq!(
        message(r#"{"users":{"@a:b.org":"1"}}"#),
        format!("the power level users.@a:b.org {integer}")
    );
    assert_eq!(
        message(r#"{"kick":1.0}"#),
        format!("the power level kick {integer}")
    );
    assert_eq!(
        message(r#"{"notifications":{"room":null}}"#),
        format!("the power level notifications.room {integer}")
    );
    assert_eq!(
        message("1"),
        "the content of the power levels must be an object"
    );
}

#[test]
fn other_fields_are_not_levels() {
    let content = r#"{"historical":"x","org.example":{"a":1.5}}"#;
    assert_eq!(
        PowerLevels::parse(content, RoomVersion::V12),
        Ok(PowerLevels::default())
    );
}
