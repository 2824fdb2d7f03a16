//! Property test: whatever clients store, nothing fails with a 500, and everyone can still sync.

use matricula_core::Method;
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use super::{in_room, own, say, shared_room};

/// A path of an endpoint for user data. `R` stands for the room, `E` for an event, `U` for a user.
fn path() -> impl Strategy<Value = (Method, &'static str)> {
    select(vec![
        (Method::Put, "user/U/account_data/x"),
        (Method::Put, "user/U/account_data/m.ignored_user_list"),
        (Method::Put, "user/U/account_data/m.push_rules"),
        (Method::Put, "user/U/rooms/R/account_data/m.tag"),
        (Method::Put, "user/U/rooms/R/account_data/m.fully_read"),
        (Method::Get, "user/U/rooms/R/tags"),
        (Method::Put, "user/U/rooms/R/tags/x"),
        (Method::Delete, "user/U/rooms/R/tags/x"),
        (Method::Post, "user/U/filter"),
        (Method::Get, "user/U/filter/1"),
        (Method::Put, "pushrules/global/override/x"),
        (Method::Put, "pushrules/global/content/x"),
        (Method::Put, "pushrules/global/room/R"),
        (
            Method::Put,
            "pushrules/global/override/.m.rule.master/enabled",
        ),
        (
            Method::Put,
            "pushrules/global/underride/.m.rule.message/actions",
        ),
        (Method::Get, "pushrules/"),
        (Method::Delete, "pushrules/global/content/x"),
        (Method::Put, "rooms/R/typing/U"),
        (Method::Post, "rooms/R/receipt/m.read/E"),
        (Method::Post, "rooms/R/receipt/m.read.private/E"),
        (Method::Post, "rooms/R/receipt/m.fully_read/E"),
        (Method::Post, "rooms/R/read_markers"),
        (Method::Put, "presence/U/status"),
        (Method::Get, "presence/U/status"),
        (Method::Post, "user/U/openid/request_token"),
        (Method::Post, "rooms/R/report"),
        (Method::Post, "rooms/R/report/E"),
        (Method::Post, "users/U/report"),
        (Method::Put, "rooms/R/send/m.room.message/TXN"),
    ])
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0_u64..1_000).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        select(vec![
            "main",
            "notify",
            "m.thread",
            "*",
            "m.room.*",
            "online",
            "E",
            "R",
            "U",
            "event_match",
            "content.body",
            r"content.m\.mentions.room",
            ">2",
            "event_property_contains",
            "room_member_count",
            "contains_display_name",
            "sender_notification_permission",
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let key = prop_oneof![
            6 => select(vec![
                "ignored_users", "tags", "order", "event_id", "room", "timeline", "state", "types",
                "not_types", "senders", "rooms", "not_rooms", "limit", "contains_url", "ephemeral",
                "event_fields", "event_format", "presence", "account_data", "actions", "conditions",
                "pattern", "kind", "key", "is", "value", "set_tweak", "enabled", "typing", "timeout",
                "thread_id", "m.read", "m.read.private", "m.fully_read", "status_msg", "reason",
                "body", "m.relates_to", "rel_type", "m.mentions", "user_ids", "url",
            ])
            .prop_map(str::to_owned),
            1 => any::<String>(),
        ];
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => proptest::collection::hash_map(key, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_user_data_breaks_a_sync(requests in vec((path(), value(), any::<bool>()), 1..24)) {
        let (mut home, alice, bob, room) = shared_room();
        let event = say(&mut home, &alice, &room, "hello");
        let mut filter = None;
        for (number, ((method, path), body, is_alice)) in requests.into_iter().enumerate() {
            let me = if is_alice { &alice } else { &bob };
            let segments = path.split('/').map(|segment| match segment {
                "R" => room.clone(),
                "E" => event.clone(),
                "U" => me.user_id.clone(),
                "TXN" => number.to_string(),
                other => other.to_owned(),
            });
            let path = segments.collect::<Vec<_>>().join("/");
            let body = body.to_string();
            let body = body.replace("\"E\"", &format!("{event:?}"));
            let body = body.replace("\"R\"", &format!("{room:?}"));
            let body: Value = serde_json::from_str(&body.replace("\"U\"", &format!("{:?}", bob.user_id)))?;
            let path = format!("/_matrix/client/v3/{path}");
            let reply = home.call_as(&me.token, method, &path, body.clone());
            prop_assert!(reply.0.status < 500, "{method} {path}: {body}");
            if path.ends_with("/filter") && reply.0.status == 200 {
                filter = Some((me, reply.json()["filter_id"].as_str().unwrap().to_owned()));
            }
        }
        let mut addresses = vec![
            (&alice, "/_matrix/client/v3/sync".to_owned()),
            (&bob, "/_matrix/client/v3/sync?since=s1".to_owned()),
        ];
        if let Some((me, id)) = filter {
            addresses.push((me, format!("/_matrix/client/v3/sync?filter={id}")));
        }
        for me in [&alice, &bob] {
            addresses.push((me, own(me, "account_data/m.push_rules")));
            addresses.push((me, own(me, &format!("rooms/{room}/tags"))));
        }
        addresses.push((&bob, in_room(&room, "messages?dir=b")));
        for (me, address) in addresses {
            let reply = home.get_as(&me.token, &address);
            prop_assert_eq!(reply.0.status, 200, "{}: {}", address, reply.text());
        }
        let sent = home.call_as(&alice.token, Method::Put,
            &in_room(&room, "send/m.room.message/last"), json!({ "body": "hello, bob" }));
        prop_assert_eq!(sent.0.status, 200);
    }
}
