//! Conditions of push rules, and events for them.

use serde_json::{Value, json};

use super::random::Random;

/// A condition, an event, and what a server knows beside them.
pub(super) fn any_case(random: &mut Random) -> Value {
    let body = any_text(random, "abA_ -@", 10);
    let topic = any_text(random, "abA_ -@", 6);
    let list: Vec<Value> = (0..random.below(3)).map(|_| any_value(random)).collect();
    let event = json!({
        "type": "m.room.message",
        "sender": "@alice:example.org",
        "room_id": "!room:example.org",
        "content": {
            "body": body,
            "topic": topic,
            "value": any_value(random),
            "list": list,
            "m.x": { "y": any_value(random) },
        },
    });
    json!({
        "condition": any_condition(random),
        "event": event,
        "member_count": random.below(4),
        "sender_level": random.pick(&[0, 49, 50, 51]),
        "notifications": random.pick(&[json!({}), json!({ "room": 0 }), json!({ "room": 51 })]),
        "display_name": random.pick(&[json!(null), json!("a"), json!("ab"), json!("A b"), json!("-")]),
    })
}

fn any_condition(random: &mut Random) -> Value {
    let key = random.pick(&[
        "content.value",
        "content.list",
        r"content.m\.x.y",
        "content.m.x.y",
        "content.absent",
        "content",
    ]);
    match random.below(8) {
        0..4 => {
            let key = random.pick(&[
                "content.body",
                "content.body",
                "content.topic",
                "content.value",
            ]);
            let pattern = any_text(random, "abA_ -@**?", 5);
            json!({ "kind": "event_match", "key": key, "pattern": pattern })
        }
        4 => json!({ "kind": "event_property_is", "key": key, "value": any_value(random) }),
        5 => json!({ "kind": "event_property_contains", "key": key, "value": any_value(random) }),
        6 => {
            let is = ["2", "==2", "<2", "<=2", ">2", ">=2"];
            json!({ "kind": "room_member_count", "is": random.pick(&is) })
        }
        _ => random.pick(&[
            json!({ "kind": "contains_display_name" }),
            json!({ "kind": "sender_notification_permission", "key": "room" }),
            json!({ "kind": "org.example.unknown" }),
        ]),
    }
}

fn any_text(random: &mut Random, characters: &str, length: usize) -> String {
    let characters: Vec<char> = characters.chars().collect();
    (0..random.below(length + 1))
        .map(|_| random.pick(&characters))
        .collect()
}

fn any_value(random: &mut Random) -> Value {
    random.pick(&[
        json!("a"),
        json!("A"),
        json!(""),
        json!(1),
        json!(0),
        json!(true),
        json!(false),
        json!(null),
    ])
}
