//! What changes between two syncs.

use serde_json::json;

use super::{create, enter, kinds, look, public, put, said, say, since, sync};
use crate::{empty_sync, text};

#[test]
fn sync_returns_only_changes() {
    let (mut home, alice, bob, room) = public();
    let first = sync(&mut home, &alice, "");
    let joined = &first["rooms"]["join"][&room];
    assert_eq!(joined["summary"]["m.joined_member_count"], 1);
    assert_eq!(joined["timeline"]["limited"], false);
    assert_eq!(kinds(&joined["timeline"]["events"]).len(), 7);

    // Without changes the token stays the same.
    let same = since(&mut home, &alice, &first);
    assert_eq!(same, empty_sync(&text(&first, "next_batch")));
    let other = create(&mut home, &bob, json!({}));
    assert_eq!(since(&mut home, &alice, &first), same, "it is not her room");

    say(&mut home, &alice, &room, "1", "hello");
    let second = since(&mut home, &alice, &first);
    let timeline = &second["rooms"]["join"][&room]["timeline"];
    assert_eq!(said(&timeline["events"]), ["hello"]);
    assert_eq!(timeline["events"][0]["unsigned"]["transaction_id"], "1");
    assert_eq!(second["rooms"]["join"][&room]["state"]["events"], json!([]));
    assert_eq!(timeline["events"][0].get("room_id"), None);

    // A new member gets the full state.
    let before = sync(&mut home, &bob, "");
    enter(&mut home, &bob, &room, "join").ok();
    let news = since(&mut home, &bob, &before);
    let mine = &news["rooms"]["join"][&room];
    assert_eq!(said(&mine["timeline"]["events"]), ["hello"]);
    assert_eq!(news["rooms"]["join"].get(&other), None, "nothing new there");
    assert_eq!(mine["summary"]["m.heroes"], json!([alice.user_id]));

    enter(&mut home, &bob, &room, "leave").ok();
    say(&mut home, &alice, &room, "2", "behind his back");
    let after = since(&mut home, &bob, &news);
    let left = &after["rooms"]["leave"][&room]["timeline"]["events"];
    assert_eq!(kinds(left), ["m.room.member"]);
    assert_eq!(since(&mut home, &bob, &after).get("rooms"), None);
    assert_eq!(sync(&mut home, &bob, "")["rooms"].get("leave"), None);
}

#[test]
fn limited_sync_gap_can_be_filled() {
    let (mut home, alice, _, room) = public();
    let first = sync(&mut home, &alice, "");
    put(
        &mut home,
        &alice,
        &room,
        "state/m.room.topic/",
        json!({ "topic": "gaps" }),
    )
    .ok();
    for number in 0..15 {
        say(
            &mut home,
            &alice,
            &room,
            &number.to_string(),
            &number.to_string(),
        );
    }
    let batch = first["next_batch"].as_str().unwrap().to_owned();
    let filter = r#"{"room":{"timeline":{"limit":5}}}"#;
    let news = sync(
        &mut home,
        &alice,
        &format!("?since={batch}&filter={filter}"),
    );
    let room_news = &news["rooms"]["join"][&room];
    assert_eq!(room_news["timeline"]["limited"], true);
    assert_eq!(
        said(&room_news["timeline"]["events"]),
        ["10", "11", "12", "13", "14"]
    );
    assert_eq!(kinds(&room_news["state"]["events"]), ["m.room.topic"]);
    let back = text(&room_news["timeline"], "prev_batch");
    let rest = format!("messages?dir=b&from={back}&to={batch}&limit=100");
    let gap = look(&mut home, &alice, &room, &rest).ok();
    let expected: Vec<_> = (0..10).rev().map(|it| it.to_string()).collect();
    assert_eq!(said(&gap["chunk"]), expected);
    assert_eq!(gap.get("end"), None);
    home.get_as(&alice.token, "/_matrix/client/v3/sync?filter=7")
        .err(400, "M_INVALID_PARAM");
    home.get_as(&alice.token, "/_matrix/client/v3/sync?since=x")
        .err(400, "M_INVALID_PARAM");
}

#[test]
fn future_sync_token_is_rejected() {
    let (mut home, alice, ..) = public();
    for token in ["s9999", "s-1", "s+1", "s", "7"] {
        let path = format!("/_matrix/client/v3/sync?since={token}");
        home.get_as(&alice.token, &path).err(400, "M_INVALID_PARAM");
    }
}

#[test]
fn full_state_returns_at_once() {
    let (mut home, alice, _, room) = public();
    let first = sync(&mut home, &alice, "");
    let batch = first["next_batch"].as_str().unwrap().to_owned();
    let again = sync(
        &mut home,
        &alice,
        &format!("?since={batch}&full_state=true"),
    );
    let news = &again["rooms"]["join"][&room];
    assert_eq!(kinds(&news["state"]["events"]).len(), 7);
    assert_eq!(news["timeline"]["prev_batch"], batch.as_str());
}
