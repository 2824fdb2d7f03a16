//! Joining rooms that are restricted to members of other rooms.

use matricula_rules::{RoomVersion, authorization::Denied};
use serde_json::json;

use crate::room::{ALICE, BOB, CAROL, Room};

/// Whether Bob may join by the voucher of a user.
fn join(room: &Room, voucher: &str) -> Result<(), Denied> {
    let content = json!({ "membership": "join", "join_authorised_via_users_server": voucher });
    room.send_state(BOB, "m.room.member", BOB, content)
}

/// The rooms of a rule, in the versions that have it.
fn rooms() -> Vec<Room> {
    let rooms = RoomVersion::ALL.into_iter().flat_map(|version| {
        let rules = [
            ("restricted", RoomVersion::V8),
            ("knock_restricted", RoomVersion::V10),
        ];
        let rules = rules
            .into_iter()
            .filter(move |(_, since)| version >= *since);
        rules.map(move |(rule, _)| Room::new(version).join_rule(rule))
    });
    rooms.collect()
}

#[test]
fn member_who_may_invite_vouches() {
    for room in rooms() {
        assert_eq!(join(&room, ALICE), Ok(()));
        assert!(join(&room.clone().member(BOB, "ban"), ALICE).is_err());
        assert_eq!(join(&room.clone().member(BOB, "leave"), ALICE), Ok(()));
    }
}

#[test]
fn voucher_must_be_in_the_room() {
    for room in rooms() {
        for room in [
            room.clone(),
            room.clone().member(CAROL, "invite"),
            room.clone().member(CAROL, "leave"),
        ] {
            let error = join(&room, CAROL).unwrap_err();
            assert!(
                matches!(error, Denied::NotPermittedToJoin { .. }),
                "{error}"
            );
        }
        assert_eq!(join(&room.member(CAROL, "join"), CAROL), Ok(()));
    }
}

#[test]
fn voucher_must_have_the_invite_level() {
    for room in rooms() {
        let room = room
            .levels(json!({ "invite": 5, "users": { ALICE: 100 } }))
            .member(CAROL, "join");
        assert!(join(&room, CAROL).is_err());
        assert_eq!(join(&room, ALICE), Ok(()));
    }
}

#[test]
fn joining_without_voucher_needs_an_invitation() {
    for room in rooms() {
        let error = room.set_membership(BOB, BOB, "join").unwrap_err();
        assert!(
            matches!(error, Denied::NotPermittedToJoin { .. }),
            "{error}"
        );
        for invited in ["invite", "join"] {
            let room = room.clone().member(BOB, invited);
            assert_eq!(room.set_membership(BOB, BOB, "join"), Ok(()));
        }
        // The users who join cannot vouch for themselves.
        assert!(join(&room, BOB).is_err());
    }
}

#[test]
fn vouchers_mean_nothing_elsewhere() {
    for version in RoomVersion::ALL {
        assert!(join(&Room::new(version).join_rule("invite"), ALICE).is_err());
        let restricted = Room::new(version).join_rule("restricted");
        assert_eq!(join(&restricted, ALICE).is_ok(), version >= RoomVersion::V8);
    }
}
