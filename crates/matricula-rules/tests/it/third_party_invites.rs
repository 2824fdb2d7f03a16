//! Invitations that were made by an email address or a phone number.

use matricula_rules::{
    RoomVersion,
    authorization::Denied,
    signing::{SigningKey, sign_json},
};
use serde_json::{Value, json};

use crate::room::{ALICE, BOB, CAROL, Room};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed("ed25519:0", [seed; 32]).unwrap()
}

/// A room in which Alice has invited an email address, with these keys.
fn room(version: RoomVersion, content: Value) -> Room {
    Room::new(version).set("m.room.third_party_invite", "token", ALICE, content)
}

/// The content of Bob's invitation, signed by an identity server.
fn invitation(signed: &Value, key: &SigningKey) -> Value {
    let signed = sign_json(&signed.to_string(), "id.example.org", key).unwrap();
    let signed: Value = signed.parse().unwrap();
    json!({ "membership": "invite", "third_party_invite": { "display_name": "b", "signed": signed } })
}

fn right() -> Value {
    json!({ "mxid": BOB, "token": "token" })
}

fn invite(room: &Room, sender: &str, content: Value) -> Result<(), Denied> {
    room.send_state(sender, "m.room.member", BOB, content)
}

#[test]
fn signed_invitation_is_accepted() {
    for version in RoomVersion::ALL {
        let public = key(1).verifying_key().to_base64();
        let contents = [
            json!({ "public_key": public }),
            json!({ "public_keys": [{ "public_key": public }] }),
            json!({ "public_key": "x", "public_keys": [1, {}, { "public_key": public }] }),
        ];
        for content in contents {
            let room = room(version, content);
            assert_eq!(invite(&room, ALICE, invitation(&right(), &key(1))), Ok(()));
            // The original invitation was authorised: the sender may have left, or lost the power.
            let room = room.member(ALICE, "leave").levels(json!({ "invite": 100 }));
            assert_eq!(invite(&room, ALICE, invitation(&right(), &key(1))), Ok(()));
        }
    }
}

#[test]
fn wrong_invitations_are_refused() {
    let room = room(
        RoomVersion::V12,
        json!({ "public_key": key(1).verifying_key().to_base64() }),
    );
    let reason = |sender: &str, content: Value| match invite(&room, sender, content) {
        Err(Denied::ThirdPartyInvite(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        reason(ALICE, invitation(&right(), &key(2))),
        "no signature was made with one of its keys"
    );
    let other_user = json!({ "mxid": CAROL, "token": "token" });
    assert_eq!(
        reason(ALICE, invitation(&other_user, &key(1))),
        "it is for another user"
    );
    let other_token = json!({ "mxid": BOB, "token": "x" });
    assert_eq!(
        reason(ALICE, invitation(&other_token, &key(1))),
        "the room has no such invitation"
    );
    assert_eq!(
        reason(CAROL, invitation(&right(), &key(1))),
        "it was sent by another user"
    );
    let no_token = json!({ "mxid": BOB });
    assert_eq!(
        reason(ALICE, invitation(&no_token, &key(1))),
        "`signed` has no `mxid` or no `token`"
    );
    for invite in [json!({}), json!({ "signed": 1 }), json!(null), json!("x")] {
        let content = json!({ "membership": "invite", "third_party_invite": invite });
        assert_eq!(reason(ALICE, content), "it has no `signed`");
    }
}

#[test]
fn changed_signed_part_is_refused() {
    let room = room(
        RoomVersion::V12,
        json!({ "public_key": key(1).verifying_key().to_base64() }),
    );
    let mut content = invitation(&right(), &key(1));
    content["third_party_invite"]["signed"]["more"] = json!(1);
    assert!(invite(&room, ALICE, content).is_err());
}

#[test]
fn banned_user_is_not_invited() {
    let room = room(
        RoomVersion::V12,
        json!({ "public_key": key(1).verifying_key().to_base64() }),
    );
    let room = room.member(BOB, "ban");
    let denied = invite(&room, ALICE, invitation(&right(), &key(1)));
    assert_eq!(
        denied,
        Err(Denied::Banned {
            user: BOB.to_owned()
        })
    );
}
