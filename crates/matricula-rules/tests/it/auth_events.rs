//! Which state authorises an event.

use matricula_rules::{
    EventView, RoomVersion,
    authorization::{Denied, auth_events, check_auth_events, required_state},
};

use crate::room::{ALICE, BOB, CAROL};

/// The selected auth events, as `type|state_key`.
fn selected(event: &EventView<'_>, version: RoomVersion) -> Vec<String> {
    let selected = auth_events(event, version);
    let mut selected: Vec<_> = selected
        .iter()
        .map(|it| format!("{}|{}", it.kind, it.state_key))
        .collect();
    selected.sort();
    selected
}

fn member<'a>(sender: &'a str, target: &'a str, content: &'a str) -> EventView<'a> {
    EventView::new("m.room.member", sender, content).state_key(target)
}

const ALICES: &str = "m.room.member|@alice:example.org";
const BOBS: &str = "m.room.member|@bob:example.org";
const CAROLS: &str = "m.room.member|@carol:example.org";
const LEVELS: &str = "m.room.power_levels|";
const RULES: &str = "m.room.join_rules|";

#[test]
fn events_are_authorised_by_their_selection() {
    let voucher =
        r#"{"membership":"join","join_authorised_via_users_server":"@carol:example.org"}"#;
    let signed = r#"{"membership":"invite","third_party_invite":{"signed":{"token":"t\u0021"}}}"#;
    let cases: &[(EventView<'_>, &[&str])] = &[
        (
            EventView::new("m.room.message", ALICE, "{}"),
            &[ALICES, LEVELS],
        ),
        (
            EventView::new("m.room.power_levels", ALICE, "{}").state_key(""),
            &[ALICES, LEVELS],
        ),
        (
            member(ALICE, ALICE, r#"{"membership":"join"}"#),
            &[RULES, ALICES, LEVELS],
        ),
        (
            member(ALICE, BOB, r#"{"membership":"invite"}"#),
            &[RULES, ALICES, BOBS, LEVELS],
        ),
        (
            member(ALICE, BOB, r#"{"membership":"ban"}"#),
            &[ALICES, BOBS, LEVELS],
        ),
        (
            member(ALICE, BOB, r#"{"membership":"leave"}"#),
            &[ALICES, BOBS, LEVELS],
        ),
        (
            member(ALICE, ALICE, r#"{"membership":"knock"}"#),
            &[RULES, ALICES, LEVELS],
        ),
        (member(BOB, BOB, voucher), &[RULES, BOBS, CAROLS, LEVELS]),
        (
            member(ALICE, BOB, signed),
            &[RULES, ALICES, BOBS, LEVELS, "m.room.third_party_invite|t!"],
        ),
        (member(ALICE, BOB, "not json"), &[ALICES, BOBS, LEVELS]),
    ];
    for (event, expected) in cases {
        assert_eq!(selected(event, RoomVersion::V12), *expected, "{event:?}");
        // Until version 11, the create event belongs to them.
        let mut expected = expected.to_vec();
        expected.insert(0, "m.room.create|");
        assert_eq!(selected(event, RoomVersion::V11), expected, "{event:?}");
    }
}

#[test]
fn selection_depends_on_the_version() {
    let knock = member(ALICE, ALICE, r#"{"membership":"knock"}"#);
    let voucher =
        r#"{"membership":"join","join_authorised_via_users_server":"@carol:example.org"}"#;
    let vouched = member(BOB, BOB, voucher);
    for version in RoomVersion::ALL {
        let has = |event, entry: &str| selected(event, version).iter().any(|it| it == entry);
        assert_eq!(has(&knock, RULES), version >= RoomVersion::V7);
        assert_eq!(has(&vouched, CAROLS), version >= RoomVersion::V8);
    }
}

#[test]
fn create_event_is_always_required() {
    let message = EventView::new("m.room.message", ALICE, "{}");
    let create = EventView::new("m.room.create", ALICE, "{}").state_key("");
    for version in RoomVersion::ALL {
        let required = required_state(&message, version);
        assert!(required.iter().any(|it| it.kind == "m.room.create"));
        assert!(required_state(&create, version).is_empty());
        assert!(auth_events(&create, version).is_empty());
    }
}

#[test]
fn auth_events_are_checked() {
    let room = "!r:example.org";
    let state = |kind, key| {
        EventView::new(kind, ALICE, "{}")
            .state_key(key)
            .room_id(room)
    };
    let event = EventView::new("m.room.message", ALICE, "{}").room_id(room);
    let create = state("m.room.create", "");
    let alice = state("m.room.member", ALICE);
    let check = |list: &[EventView<'_>], version| check_auth_events(&event, list, version);

    assert_eq!(check(&[alice, create], RoomVersion::V11), Ok(()));
    assert_eq!(check(&[create], RoomVersion::V11), Ok(()));
    assert_eq!(check(&[alice], RoomVersion::V12), Ok(()));
    assert_eq!(
        check(&[alice], RoomVersion::V11),
        Err(Denied::NoCreateEvent)
    );

    let problem = |list: &[EventView<'_>], version| match check(list, version) {
        Err(Denied::AuthEvents { problem, .. }) => problem,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        problem(&[alice, create], RoomVersion::V12),
        "it does not authorise this event"
    );
    for other in [
        state("m.room.member", CAROL),
        state("m.room.topic", ""),
        state("m.room.join_rules", ""),
    ] {
        assert_eq!(
            problem(&[create, other], RoomVersion::V11),
            "it does not authorise this event"
        );
    }
    assert_eq!(
        problem(&[create, alice, alice], RoomVersion::V11),
        "it is there twice"
    );
    let elsewhere = alice.room_id("!x:example.org");
    assert_eq!(
        problem(&[create, elsewhere], RoomVersion::V11),
        "it is in another room"
    );
}
