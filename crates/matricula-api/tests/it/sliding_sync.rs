//! Sliding sync requests and responses, as Synapse implements them.

use std::time::Duration;

use matricula_api::{
    ApiError, Endpoint,
    common::PresenceState,
    sliding_sync::{
        ANY, AccountData, E2ee, Extensions, Filters, LAZY, List, ME, Receipts, Room,
        RoomSubscription, SlidingSync, SlidingSyncResponse, ThreadSubscriptions, ToDevice, Typing,
        is_expired,
    },
};
use matricula_core::{OperationAuth, RetrySafety};
use serde_json::{Value, json};

use crate::{read, sent};

const PATH: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

fn state(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = pairs.iter();
    pairs
        .map(|(kind, key)| ((*kind).to_owned(), (*key).to_owned()))
        .collect()
}

#[test]
fn minimal_request_is_empty_object() {
    let (path, query, body) = sent(&SlidingSync::default());
    assert_eq!((path.as_str(), query.as_str(), body), (PATH, "", json!({})));
    assert_eq!(SlidingSync::OPERATION.auth, OperationAuth::Required);
    assert_eq!(SlidingSync::OPERATION.retry_safety, RetrySafety::Idempotent);
}

#[test]
fn position_is_in_the_query() {
    let request = SlidingSync::default()
        .pos("5/s58_224")
        .timeout(Duration::from_secs(30))
        .set_presence(PresenceState::Offline);
    let (_, query, body) = sent(&request);
    assert_eq!(query, "pos=5/s58_224&timeout=30000&set_presence=offline");
    assert_eq!(body, json!({}));
}

fn extensions() -> Extensions {
    let mut extensions = Extensions::default()
        .to_device(ToDevice::default().enabled(true).limit(10).since("7"))
        .e2ee(E2ee::default().enabled(true))
        .account_data(AccountData::default().enabled(true))
        .receipts(Receipts::default().enabled(true).rooms(vec!["*".into()]))
        .typing(Typing::default().enabled(false).lists(vec!["all".into()]))
        .thread_subscriptions(ThreadSubscriptions::default().enabled(true).limit(5));
    let sticky = json!({"enabled": true});
    extensions
        .extra
        .insert("org.matrix.msc4354.sticky_events".to_owned(), sticky);
    extensions
}

#[test]
fn everything_else_is_in_body() {
    let filters = Filters::default()
        .is_dm(true)
        .is_encrypted(false)
        .is_invite(false)
        .spaces(vec!["!space:example.org".parse().unwrap()])
        .room_types(vec![None, Some("m.space".into())])
        .not_room_types(vec![])
        .room_name_like("foo")
        .tags(vec!["m.favourite".into()])
        .not_tags(vec!["m.lowpriority".into()]);
    let wanted = state(&[("m.room.member", LAZY), ("m.room.member", ME), (ANY, ANY)]);
    let list = List::new(wanted, 1)
        .ranges(vec![(0, 19), (30, 39)])
        .filters(filters);
    let all = List::new(vec![], 0).slow_get_all_rooms(true);
    let room = RoomSubscription::new(state(&[("m.room.topic", "")]), 20);
    let request = SlidingSync::default()
        .conn_id("main")
        .lists([("newest".to_owned(), list), ("all".to_owned(), all)].into())
        .room_subscriptions([("!a:example.org".parse().unwrap(), room)].into())
        .extensions(extensions());
    let expected = json!({
        "conn_id": "main",
        "lists": {
            "all": {"required_state": [], "timeline_limit": 0, "slow_get_all_rooms": true},
            "newest": {
                "required_state": [["m.room.member", "$LAZY"], ["m.room.member", "$ME"], ["*", "*"]],
                "timeline_limit": 1,
                "ranges": [[0, 19], [30, 39]],
                "filters": {
                    "is_dm": true,
                    "spaces": ["!space:example.org"],
                    "is_encrypted": false,
                    "is_invite": false,
                    "room_types": [null, "m.space"],
                    "not_room_types": [],
                    "room_name_like": "foo",
                    "tags": ["m.favourite"],
                    "not_tags": ["m.lowpriority"],
                },
            },
        },
        "room_subscriptions": {
            "!a:example.org": {"required_state": [["m.room.topic", ""]], "timeline_limit": 20},
        },
        "extensions": {
            "to_device": {"enabled": true, "limit": 10, "since": "7"},
            "e2ee": {"enabled": true},
            "account_data": {"enabled": true},
            "receipts": {"enabled": true, "rooms": ["*"]},
            "typing": {"enabled": false, "lists": ["all"]},
            "io.element.msc4308.thread_subscriptions": {"enabled": true, "limit": 5},
            "org.matrix.msc4354.sticky_events": {"enabled": true},
        },
    });
    assert_eq!(sent(&request).2, expected);
    // The parts read back as they were written.
    let read: Extensions = serde_json::from_value(expected["extensions"].clone()).unwrap();
    assert_eq!(read, extensions());
    let read: List = serde_json::from_value(expected["lists"]["newest"].clone()).unwrap();
    assert_eq!(Some(&read), request.lists.unwrap().get("newest"));
}

/// Every field that Synapse's serializer writes, and some that it does not.
fn answer() -> Value {
    json!({
        "pos": "5/s58_224_0",
        "lists": {"newest": {
            "count": 1337,
            "ops": [{"op": "SYNC", "range": [0, 1], "room_ids": ["!a:example.org", "!b:example.org"]}],
        }},
        "rooms": {
            "!a:example.org": {
                "name": "Alice and Bob",
                "avatar": "mxc://example.org/abc",
                "heroes": [{"user_id": "@b:example.org", "displayname": "Bob", "avatar_url": ""}],
                "initial": true,
                "unstable_expanded_timeline": true,
                "required_state": [{"type": "m.room.create", "state_key": "", "content": {}}],
                "timeline": [{"type": "m.room.message", "content": {"body": "A"}}],
                "prev_batch": "t111_222_333",
                "limited": false,
                "num_live": 1,
                "is_dm": true,
                "bump_stamp": -3,
                "joined_count": 41,
                "invited_count": 1,
                "notification_count": 2,
                "highlight_count": 0,
                "org.example.mood": "fine",
            },
            "!b:example.org": {
                "invite_state": [{"type": "m.room.name", "state_key": "", "sender": "@b:example.org",
                    "content": {"name": "B"}}],
                "notification_count": 0,
                "highlight_count": 0,
            },
        },
        "extensions": {
            "to_device": {"next_batch": "8", "events": [{"type": "m.dummy", "content": {}}]},
            "e2ee": {
                "device_one_time_keys_count": {"signed_curve25519": 50},
                "device_unused_fallback_key_types": ["signed_curve25519"],
                "device_lists": {"changed": ["@b:example.org"], "left": []},
            },
            "account_data": {
                "global": [{"type": "m.direct", "content": {}}],
                "rooms": {"!a:example.org": [{"type": "m.tag", "content": {}}]},
            },
            "receipts": {"rooms": {"!a:example.org": {"type": "m.receipt", "content": {}}}},
            "typing": {"rooms": {"!a:example.org": {"type": "m.typing", "content": {}}}},
            "io.element.msc4308.thread_subscriptions": {
                "subscribed": {"!a:example.org": {"$root": {"automatic": true, "bump_stamp": 4}}},
                "unsubscribed": {"!a:example.org": {"$other": {"bump_stamp": 5}}},
                "prev_batch": "p",
            },
            "org.matrix.msc4262.profiles": {"users": {}},
        },
        "org.example.more": 1,
    })
}

#[test]
fn response_is_preserved_completely() {
    let read = read::<SlidingSync>(200, &answer().to_string()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), answer());
    assert_eq!(read.pos, "5/s58_224_0");

    let list = &read.lists.as_ref().unwrap()["newest"];
    let op = &list.ops.as_ref().unwrap()[0];
    assert_eq!(
        (list.count, op.op.as_str(), op.range),
        (Some(1337), "SYNC", Some((0, 1)))
    );

    let rooms = read.rooms.as_ref().unwrap();
    let room = &rooms["!a:example.org"];
    assert_eq!(room.name.as_deref(), Some("Alice and Bob"));
    assert_eq!(
        (room.initial, room.limited, room.bump_stamp),
        (Some(true), Some(false), Some(-3))
    );
    let message: Value = room.timeline.as_ref().unwrap()[0].read().unwrap();
    assert_eq!(message["content"]["body"], "A");
    assert_eq!(room.extra["org.example.mood"], "fine");
    let invite = rooms["!b:example.org"].invite_state.as_ref().unwrap();
    assert_eq!(invite[0].read().unwrap().event_type, "m.room.name");

    let extensions = read.extensions.as_ref().unwrap();
    assert_eq!(extensions.to_device.as_ref().unwrap().next_batch, "8");
    let e2ee = extensions.e2ee.as_ref().unwrap();
    assert_eq!(
        e2ee.device_one_time_keys_count.as_ref().unwrap()["signed_curve25519"],
        50
    );
    let changed = e2ee
        .device_lists
        .as_ref()
        .unwrap()
        .changed
        .as_ref()
        .unwrap();
    assert_eq!(changed[0].as_str(), "@b:example.org");
    let threads = extensions.thread_subscriptions.as_ref().unwrap();
    let thread = &threads.subscribed.as_ref().unwrap()["!a:example.org"]["$root"];
    assert_eq!((thread.automatic, thread.bump_stamp), (Some(true), 4));
    // Typed fields are not in `extra`.
    let known = [&room.extra, &extensions.extra, &read.extra].map(|extra| extra.len());
    assert_eq!(known, [1, 1, 1]);
    assert!(extensions.extra.contains_key("org.matrix.msc4262.profiles"));
    let typed = [
        &op.extra,
        &list.extra,
        &e2ee.extra,
        &threads.extra,
        &thread.extra,
        &room.heroes.as_ref().unwrap()[0].extra,
        &e2ee.device_lists.as_ref().unwrap().extra,
        &extensions.to_device.as_ref().unwrap().extra,
        &extensions.account_data.as_ref().unwrap().extra,
        &extensions.receipts.as_ref().unwrap().extra,
        &extensions.typing.as_ref().unwrap().extra,
    ];
    assert!(typed.iter().all(|extra| extra.is_empty()), "{typed:?}");
}

#[test]
fn minimal_response_has_a_position() {
    let least = read::<SlidingSync>(200, r#"{"pos": "0/s0"}"#).unwrap();
    assert_eq!(least, SlidingSyncResponse::new("0/s0"));
    let nulls = r#"{"pos": "0/s0", "lists": null, "rooms": {"!a:b": {"name": null}}}"#;
    let nulls = read::<SlidingSync>(200, nulls).unwrap();
    assert_eq!(nulls.rooms.unwrap()["!a:b"], Room::default());
}

#[test]
fn invalid_response_names_the_field() {
    let read = |body| read::<SlidingSync>(200, body).unwrap_err().to_string();
    assert!(read("{}").contains("pos"));
    let wrong = read(r#"{"pos": ["many"]}"#);
    assert!(wrong.contains("/pos") && !wrong.contains("many"), "{wrong}");
}

#[test]
fn invalid_part_keeps_the_response() {
    let body = r#"{"pos":"0","lists":{"a":{"count":1,"ops":[5]},"b":7},"rooms":{"!a:b":{"joined_count":"many",
        "heroes":[{"user_id":"bob"},{"user_id":"@a:b"}]},"x":{}},"extensions":{"e2ee":{"device_lists":{"left":[1]}}}}"#;
    let read = read::<SlidingSync>(200, body).unwrap();
    let written = serde_json::to_value(&read).unwrap();
    assert_eq!(written, serde_json::from_str::<Value>(body).unwrap());
    let rooms = read.rooms.unwrap();
    assert_eq!((rooms.len(), rooms.invalid().count()), (1, 1));
    let room = &rooms["!a:b"];
    assert_eq!(
        (room.joined_count, &room.extra["joined_count"]),
        (None, &json!("many"))
    );
    assert_eq!(room.heroes.as_ref().unwrap().len(), 1);
}

#[test]
fn expired_connection_is_detected() {
    let read = |code| {
        let body = json!({"errcode": code, "error": "?"}).to_string();
        read::<SlidingSync>(400, &body).unwrap_err()
    };
    assert!(is_expired(&read("M_UNKNOWN_POS")));
    assert!(!is_expired(&read("M_UNKNOWN")));
    assert!(!is_expired(&ApiError::UnexpectedStatus { status: 400 }));
}

#[test]
fn debug_hides_messages() {
    let read = read::<SlidingSync>(200, &answer().to_string()).unwrap();
    let room = &read.rooms.unwrap()["!a:example.org"];
    let shown = format!("{room:?}");
    assert!(
        !shown.contains("body") && !shown.contains("fine"),
        "{shown}"
    );
}
