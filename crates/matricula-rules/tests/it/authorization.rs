//! Authorisation of events, rule by rule.

use matricula_rules::{
    EventView, PrevEvents, RoomVersion,
    authorization::{Denied, authorize, redaction_applies},
    power_levels::{MissingPower, RoomPower},
};
use serde_json::{Value, json};

use crate::room::{ALICE, BOB, CAROL, DAVE, Room};

/// Authorises a create event.
fn create(version: RoomVersion, change: impl Fn(EventView<'_>) -> EventView<'_>) -> bool {
    create_with(version, &json!({ "creator": ALICE }), change)
}

fn create_with(
    version: RoomVersion,
    content: &Value,
    change: impl Fn(EventView<'_>) -> EventView<'_>,
) -> bool {
    let content = content.to_string();
    let mut event = EventView::new("m.room.create", ALICE, &content).state_key("");
    if version < RoomVersion::V12 {
        event = event.room_id("!room:example.org");
    }
    authorize(&change(event), &[], version).is_ok()
}

#[test]
fn create_event_is_the_first() {
    for version in RoomVersion::ALL {
        assert!(create(version, |it| it));
        assert!(!create(version, |it| it.prev_events(PrevEvents::One("$x"))));
        assert!(!create(version, |it| it.prev_events(PrevEvents::Several)));
    }
}

#[test]
fn create_event_has_the_right_room_id() {
    for version in RoomVersion::ALL {
        let is_hash = version == RoomVersion::V12;
        assert_eq!(create(version, |it| it.room_id("!x:example.org")), !is_hash);
        assert!(!create(version, |it| it.room_id("!x:other.org")));
        assert_eq!(
            create(version, |it| EventView {
                room_id: None,
                ..it
            }),
            is_hash
        );
    }
}

#[test]
fn create_event_names_creator_and_version() {
    for version in RoomVersion::ALL {
        let create = |content: Value| create_with(version, &content, |it| it);
        assert_eq!(create(json!({})), version >= RoomVersion::V11);
        assert!(create(json!({ "creator": ALICE, "room_version": "1" })));
        for unknown in [json!("x"), json!(1), json!(null), json!("13")] {
            assert!(!create(
                json!({ "creator": ALICE, "room_version": unknown })
            ));
        }
    }
}

#[test]
fn additional_creators_are_user_ids() {
    let create = |version, creators: Value| {
        let content = json!({ "creator": ALICE, "additional_creators": creators });
        create_with(version, &content, |it| it)
    };
    for accepted in [json!([]), json!([BOB]), json!([BOB, DAVE])] {
        assert!(create(RoomVersion::V12, accepted));
    }
    let long = format!("@{}:example.org", "x".repeat(250));
    for refused in [
        json!(BOB),
        json!([BOB, 1]),
        json!(["bob"]),
        json!(["@bob"]),
        json!(null),
        json!({}),
        json!([long]),
    ] {
        assert!(!create(RoomVersion::V12, refused.clone()), "{refused}");
        assert!(create(RoomVersion::V11, refused));
    }
}

#[test]
fn room_without_create_event_takes_nothing() {
    let event = EventView::new("m.room.message", ALICE, "{}").room_id("!x:example.org");
    for version in RoomVersion::ALL {
        assert_eq!(authorize(&event, &[], version), Err(Denied::NoCreateEvent));
    }
}

#[test]
fn room_id_belongs_to_the_create_event() {
    let room = Room::new(RoomVersion::V12);
    let event = EventView::new("m.room.message", ALICE, "{}");
    assert_eq!(room.authorize(&event), Ok(()));
    for other in ["!other", "$m.room.create|", "!room:example.org", ""] {
        assert!(room.authorize(&event.room_id(other)).is_err(), "{other}");
    }
}

#[test]
fn creator_joins_first() {
    for version in RoomVersion::ALL {
        let room = Room::new(version)
            .member(ALICE, "leave")
            .join_rule("invite");
        let content = r#"{"membership":"join"}"#;
        let join = EventView::new("m.room.member", ALICE, content).state_key(ALICE);
        let after_create = join.prev_events(PrevEvents::One("$m.room.create|"));
        assert_eq!(room.authorize(&after_create), Ok(()));
        assert!(room.authorize(&join).is_err());
        assert!(
            room.authorize(&join.prev_events(PrevEvents::Several))
                .is_err()
        );
        let other = EventView::new("m.room.member", BOB, content).state_key(BOB);
        assert!(
            room.authorize(&other.prev_events(PrevEvents::One("$m.room.create|")))
                .is_err()
        );
    }
}

#[test]
fn creator_is_named_by_the_content_until_ten() {
    for version in RoomVersion::ALL {
        let room = Room::with_create(version, json!({ "creator": BOB }));
        let room = room.member(ALICE, "leave").join_rule("invite");
        let joins = |user: &str| {
            let join = EventView::new("m.room.member", user, r#"{"membership":"join"}"#);
            let join = join
                .state_key(user)
                .prev_events(PrevEvents::One("$m.room.create|"));
            room.authorize(&join).is_ok()
        };
        let by_content = version < RoomVersion::V11;
        assert_eq!((joins(BOB), joins(ALICE)), (by_content, !by_content));
    }
}

#[test]
fn unfederated_room_is_closed_to_other_servers() {
    for version in RoomVersion::ALL {
        let create = json!({ "creator": ALICE, "m.federate": false });
        let room = Room::with_create(version, create).join_rule("public");
        assert_eq!(room.set_membership(BOB, BOB, "join"), Ok(()));
        assert_eq!(
            room.set_membership(DAVE, DAVE, "join"),
            Err(Denied::NotFederated)
        );
        assert_eq!(
            Room::new(version)
                .join_rule("public")
                .set_membership(DAVE, DAVE, "join"),
            Ok(())
        );
    }
}

/// For each join rule and membership: whether the user may join, in which versions.
#[test]
fn joining_follows_the_join_rule() {
    for version in RoomVersion::ALL {
        for membership in [
            None,
            Some("leave"),
            Some("knock"),
            Some("invite"),
            Some("join"),
            Some("ban"),
        ] {
            for rule in [
                "public",
                "invite",
                "knock",
                "restricted",
                "knock_restricted",
                "private",
                "x",
            ] {
                let mut room = Room::new(version).join_rule(rule);
                if let Some(membership) = membership {
                    room = room.member(BOB, membership);
                }
                let is_invited = matches!(membership, Some("invite" | "join"));
                let expected = match rule {
                    "public" => membership != Some("ban"),
                    "invite" => is_invited,
                    "knock" => is_invited && version >= RoomVersion::V7,
                    "restricted" => is_invited && version >= RoomVersion::V8,
                    "knock_restricted" => is_invited && version >= RoomVersion::V10,
                    _ => false,
                };
                let joined = room.set_membership(BOB, BOB, "join");
                assert_eq!(
                    joined.is_ok(),
                    expected,
                    "{version} {rule} {membership:?}: {joined:?}"
                );
                assert!(room.set_membership(ALICE, BOB, "join").is_err());
            }
        }
    }
}

#[test]
fn join_rule_is_invite_by_default() {
    let room = Room::new(RoomVersion::V12);
    assert!(room.set_membership(BOB, BOB, "join").is_err());
    assert_eq!(
        room.member(BOB, "invite").set_membership(BOB, BOB, "join"),
        Ok(())
    );
    let odd = Room::new(RoomVersion::V12).member(BOB, "invite");
    let odd = odd.set("m.room.join_rules", "", ALICE, json!({ "join_rule": 5 }));
    assert!(odd.set_membership(BOB, BOB, "join").is_err());
}

#[test]
fn members_may_invite() {
    for version in RoomVersion::ALL {
        let room = Room::new(version).member(BOB, "join");
        for (membership, expected) in [
            ("leave", true),
            ("invite", true),
            ("knock", true),
            ("join", false),
            ("ban", false),
        ] {
            let room = room.clone().member(CAROL, membership);
            let invited = room.set_membership(BOB, CAROL, "invite");
            assert_eq!(invited.is_ok(), expected, "{version} {membership}");
        }
        for outside in ["leave", "invite", "ban"] {
            let room = room.clone().member(BOB, outside);
            assert!(room.set_membership(BOB, CAROL, "invite").is_err());
        }
        let strict = room
            .levels(json!({ "invite": 1, "users": { CAROL: 1 } }))
            .member(CAROL, "join");
        assert!(strict.set_membership(BOB, DAVE, "invite").is_err());
        assert_eq!(strict.set_membership(CAROL, DAVE, "invite"), Ok(()));
    }
}

#[test]
fn users_may_leave() {
    for version in RoomVersion::ALL {
        for (membership, expected) in [
            ("join", true),
            ("invite", true),
            ("knock", version >= RoomVersion::V7),
            ("leave", false),
            ("ban", false),
        ] {
            let room = Room::new(version).member(BOB, membership);
            let left = room.set_membership(BOB, BOB, "leave");
            assert_eq!(left.is_ok(), expected, "{version} {membership}");
        }
        assert!(
            Room::new(version)
                .set_membership(BOB, BOB, "leave")
                .is_err()
        );
    }
}

#[test]
fn kicking_needs_more_power_than_the_target() {
    for version in RoomVersion::ALL {
        let levels = json!({ "users": { BOB: 50, CAROL: 49 } });
        let room = Room::new(version)
            .levels(levels)
            .member(BOB, "join")
            .member(CAROL, "join");
        assert_eq!(room.set_membership(BOB, CAROL, "leave"), Ok(()));
        assert!(room.set_membership(CAROL, BOB, "leave").is_err());
        // An invitation is withdrawn by the same rule.
        assert_eq!(
            room.clone()
                .member(DAVE, "invite")
                .set_membership(BOB, DAVE, "leave"),
            Ok(())
        );
        let equal = room
            .clone()
            .levels(json!({ "users": { BOB: 50, CAROL: 50 } }));
        let error = equal.set_membership(BOB, CAROL, "leave").unwrap_err();
        assert!(matches!(
            error,
            Denied::Power(MissingPower::NotAbove { .. })
        ));
        let weak = room
            .clone()
            .levels(json!({ "users": { BOB: 50 }, "kick": 51 }));
        assert!(weak.set_membership(BOB, CAROL, "leave").is_err());
        assert!(
            room.member(BOB, "leave")
                .set_membership(BOB, CAROL, "leave")
                .is_err()
        );
    }
}

#[test]
fn banning_and_unbanning_need_their_levels() {
    for version in RoomVersion::ALL {
        let room = |levels: Value| Room::new(version).levels(levels).member(BOB, "join");
        let strong = room(json!({ "users": { BOB: 50 } }));
        assert_eq!(strong.set_membership(BOB, CAROL, "ban"), Ok(()));
        assert!(strong.set_membership(BOB, BOB, "ban").is_err());
        assert!(
            room(json!({ "users": { BOB: 49 } }))
                .set_membership(BOB, CAROL, "ban")
                .is_err()
        );
        let equal = room(json!({ "users": { BOB: 50, CAROL: 50 } }));
        assert!(equal.set_membership(BOB, CAROL, "ban").is_err());
        let outside = strong.clone().member(BOB, "leave");
        assert!(outside.set_membership(BOB, CAROL, "ban").is_err());

        let banned = |levels: Value| {
            room(levels)
                .member(CAROL, "ban")
                .set_membership(BOB, CAROL, "leave")
        };
        assert_eq!(banned(json!({ "users": { BOB: 50 } })), Ok(()));
        assert!(banned(json!({ "users": { BOB: 50 }, "ban": 51 })).is_err());
        assert!(banned(json!({ "users": { BOB: 50 }, "kick": 51 })).is_err());
        assert!(banned(json!({ "users": { BOB: 50, CAROL: 50 } })).is_err());
    }
}

#[test]
fn knocking_follows_the_join_rule() {
    for version in RoomVersion::ALL {
        for rule in [
            "public",
            "invite",
            "knock",
            "restricted",
            "knock_restricted",
        ] {
            let permitted = match rule {
                "knock" => version >= RoomVersion::V7,
                "knock_restricted" => version >= RoomVersion::V10,
                _ => false,
            };
            let room = Room::new(version).join_rule(rule);
            let knocked = room.set_membership(BOB, BOB, "knock");
            assert_eq!(knocked.is_ok(), permitted, "{version} {rule}: {knocked:?}");
            assert!(room.set_membership(ALICE, BOB, "knock").is_err());
            for (membership, may) in [
                ("leave", true),
                ("knock", true),
                ("invite", false),
                ("join", false),
                ("ban", false),
            ] {
                let room = room.clone().member(BOB, membership);
                let knocked = room.set_membership(BOB, BOB, "knock");
                assert_eq!(
                    knocked.is_ok(),
                    permitted && may,
                    "{version} {rule} {membership}"
                );
            }
        }
    }
}

#[test]
fn memberships_of_another_form_are_refused() {
    let room = Room::new(RoomVersion::V12).join_rule("public");
    for membership in [json!("x"), json!(1), json!(null), json!("Join")] {
        let content = json!({ "membership": membership });
        assert!(room.send_state(BOB, "m.room.member", BOB, content).is_err());
    }
    assert!(
        room.send_state(BOB, "m.room.member", BOB, json!({}))
            .is_err()
    );
    assert!(
        room.send(BOB, "m.room.member", json!({ "membership": "join" }))
            .is_err()
    );
    assert!(
        room.send_state(BOB, "m.room.member", "", json!({ "membership": "join" }))
            .is_err()
    );
}

#[test]
fn only_members_send() {
    for version in RoomVersion::ALL {
        let room = Room::new(version).levels(json!({ "users": { BOB: 100 } }));
        assert_eq!(
            room.send(BOB, "m.room.message", json!({})),
            Err(Denied::NotInRoom {
                user: BOB.to_owned()
            })
        );
        for membership in ["invite", "leave", "ban", "knock"] {
            let room = room.clone().member(BOB, membership);
            assert!(room.send(BOB, "m.room.message", json!({})).is_err());
            assert!(room.send_state(BOB, "m.room.topic", "", json!({})).is_err());
        }
        assert_eq!(
            room.member(BOB, "join")
                .send(BOB, "m.room.message", json!({})),
            Ok(())
        );
    }
}

#[test]
fn sending_needs_the_level_of_the_type() {
    for version in RoomVersion::ALL {
        let room = |levels: Value| Room::new(version).levels(levels).member(BOB, "join");
        let plain = room(json!({}));
        assert_eq!(plain.send(BOB, "m.x", json!({})), Ok(()));
        assert!(plain.send_state(BOB, "m.x", "", json!({})).is_err());
        let listed =
            room(json!({ "events": { "m.x": 7 }, "users": { BOB: 7 }, "events_default": 8 }));
        assert_eq!(listed.send(BOB, "m.x", json!({})), Ok(()));
        assert_eq!(listed.send_state(BOB, "m.x", "", json!({})), Ok(()));
        assert!(listed.send(BOB, "m.y", json!({})).is_err());
        let default = room(json!({ "users_default": 3, "state_default": 3, "events_default": 4 }));
        assert_eq!(default.send_state(BOB, "m.y", "", json!({})), Ok(()));
        assert!(default.send(BOB, "m.y", json!({})).is_err());
        // Without levels, state needs 50, and only the creator has more than 0.
        let none = Room::new(version).member(BOB, "join");
        assert!(none.send_state(BOB, "m.x", "", json!({})).is_err());
        assert_eq!(none.send_state(ALICE, "m.x", "", json!({})), Ok(()));
    }
}

#[test]
fn state_of_other_users_is_refused() {
    for version in RoomVersion::ALL {
        let room = Room::new(version)
            .levels(json!({ "state_default": 0 }))
            .member(BOB, "join");
        assert_eq!(room.send_state(BOB, "m.x", BOB, json!({})), Ok(()));
        assert_eq!(
            room.send_state(BOB, "m.x", ALICE, json!({})),
            Err(Denied::StateOfOtherUser {
                user: ALICE.to_owned()
            })
        );
        assert_eq!(room.send_state(BOB, "m.x", "alice", json!({})), Ok(()));
    }
}

#[test]
fn third_party_invites_need_the_invite_level() {
    for version in RoomVersion::ALL {
        let room = |levels: Value| Room::new(version).levels(levels).member(BOB, "join");
        let send = |room: Room| room.send_state(BOB, "m.room.third_party_invite", "t", json!({}));
        // The level of its type and `state_default` do not count.
        assert_eq!(
            send(room(
                json!({ "events": { "m.room.third_party_invite": 9 } })
            )),
            Ok(())
        );
        assert!(send(room(json!({ "invite": 1, "state_default": 0 }))).is_err());
    }
}

#[test]
fn aliases_belong_to_a_server_until_five() {
    for version in RoomVersion::ALL {
        let send = |room: &Room, key| {
            room.send_state(BOB, "m.room.aliases", key, json!({}))
                .is_ok()
        };
        let special = version < RoomVersion::V6;
        // The sender need not even be in the room.
        let outside = Room::new(version);
        assert_eq!(send(&outside, "example.org"), special);
        assert!(!send(&outside, "other.org"));
        assert!(!send(&outside, ""));
        let member = Room::new(version)
            .levels(json!({ "state_default": 0 }))
            .member(BOB, "join");
        assert_eq!(send(&member, "other.org"), !special);
        assert_eq!(
            member.send(BOB, "m.room.aliases", json!({})).is_ok(),
            !special
        );
    }
}

#[test]
fn redactions_are_authorised_in_one_and_two() {
    for version in RoomVersion::ALL {
        let special = version < RoomVersion::V3;
        let room = Room::new(version).levels(json!({ "users": { CAROL: 50 } }));
        let room = room.member(BOB, "join").member(CAROL, "join");
        let redacts = |sender, id: &str, redacted: &str| {
            let event = EventView::new("m.room.redaction", sender, "{}")
                .event_id(id)
                .redacts(redacted);
            room.authorize(&event).is_ok()
        };
        assert!(redacts(BOB, "$r:example.org", "$x:example.org"));
        assert_eq!(redacts(BOB, "$r:example.org", "$x:other.org"), !special);
        assert_eq!(redacts(BOB, "$r", "$x"), !special);
        assert!(redacts(CAROL, "$r:example.org", "$x:other.org"));
        // Before the event has an id, its sender's server counts.
        let unnamed = EventView::new("m.room.redaction", BOB, "{}");
        assert_eq!(room.authorize(&unnamed.redacts("$x:example.org")), Ok(()));
        assert_eq!(
            room.authorize(&unnamed.redacts("$x:other.org")).is_ok(),
            !special
        );
        let strict = Room::new(version).member(BOB, "join");
        let strict = strict.levels(json!({ "events": { "m.room.redaction": 1 } }));
        assert!(strict.send(BOB, "m.room.redaction", json!({})).is_err());
    }
}

#[test]
fn redactions_apply_by_power_or_server() {
    let create = EventView::new("m.room.create", ALICE, "{}").state_key("");
    let levels = json!({ "users": { CAROL: 50 } }).to_string();
    let power = RoomPower::new(&create, Some(&levels), RoomVersion::V11);
    let applies = |sender, other| {
        let redaction = EventView::new("m.room.redaction", sender, "{}");
        redaction_applies(&redaction, &EventView::new("m.x", other, "{}"), &power)
    };
    assert!(applies(BOB, BOB));
    assert!(applies(BOB, ALICE));
    assert!(!applies(BOB, DAVE));
    assert!(applies(CAROL, DAVE));
    assert!(!applies(DAVE, CAROL));
}

#[test]
fn reasons_are_for_people() {
    let room = Room::new(RoomVersion::V12)
        .member(BOB, "join")
        .join_rule("invite");
    let reason = |result: Result<(), Denied>| result.unwrap_err().to_string();
    assert_eq!(
        reason(room.set_membership(CAROL, CAROL, "join")),
        "@carol:example.org is not invited to the room"
    );
    assert_eq!(
        reason(room.send_state(BOB, "m.room.topic", "", json!({}))),
        "@bob:example.org has power level 0, and m.room.topic needs 50"
    );
    assert_eq!(
        reason(room.set_membership(BOB, ALICE, "leave")),
        "@bob:example.org has power level 0, and removing users needs 50"
    );
    assert_eq!(
        reason(room.set_membership(BOB, CAROL, "join")),
        "@carol:example.org alone may join with this user id"
    );
}
