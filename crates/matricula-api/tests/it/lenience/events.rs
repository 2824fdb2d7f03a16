//! Invalid parts of events, and of lists of third-party users.

use matricula_api::{
    Raw,
    client::third_party_lookup::QueryThirdPartyUserByProtocol,
    common::PushCondition,
    events::{
        Direct, EventContent, PushRules, Reaction, RoomAvatar, RoomCreate, RoomEncrypted,
        RoomMember, RoomMessage, RoomTopic, SpaceChild,
    },
};
use serde_json::{Value, json};

use crate::{difference::differences, read};

/// Reads `content` with `part` in it, which does not fit, and expects that only it is missed.
fn without<C: EventContent + PartialEq + std::fmt::Debug>(content: &Value, part: &str, bad: Value) {
    let from = |value: &Value| C::from_raw(&Raw::<Value>::new(value).unwrap());
    let mut with = content.clone();
    let (parent, name) = part.rsplit_once('/').unwrap();
    let place = with.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    place.insert(name.to_owned(), bad);
    let read = from(&with).unwrap_or_else(|error| panic!("{part}: {error}"));
    let written: Value = serde_json::from_str(read.to_raw().json()).unwrap();
    assert_eq!(differences(&with, &written), [], "{part}");
    assert_ne!(read, from(content).unwrap(), "{part}");
}

#[test]
fn invalid_part_keeps_the_event() {
    let text = json!({"msgtype": "m.text", "body": "b"});
    let relation = json!({"rel_type": "m.thread"});
    without::<RoomMessage>(&text, "/m.relates_to", relation.clone());
    without::<Reaction>(&json!({}), "/m.relates_to", relation.clone());
    let encrypted = json!({"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "c"});
    without::<RoomEncrypted>(&encrypted, "/m.relates_to", relation);
    for bad in [json!([]), json!({"user_ids": ["bob"]}), json!("@a:b")] {
        without::<RoomMessage>(&text, "/m.mentions", bad);
    }
    for kind in ["image", "video", "audio", "file"] {
        let media = json!({"msgtype": format!("m.{kind}"), "body": "b", "info": {"mimetype": "m"}});
        for bad in [json!(1.5), json!(-1), json!("9")] {
            without::<RoomMessage>(&media, "/info/size", bad);
        }
        without::<RoomMessage>(&media, "/info", json!("none"));
        without::<RoomMessage>(&media, "/url", json!("https://a/b"));
        if kind == "audio" || kind == "video" {
            without::<RoomMessage>(&media, "/info/duration", json!(0.5));
        }
        if kind != "audio" {
            without::<RoomMessage>(&media, "/info/thumbnail_url", json!(""));
            without::<RoomMessage>(&media, "/info/thumbnail_file", json!({"url": 5}));
            without::<RoomMessage>(&media, "/info/thumbnail_info", json!(5));
        }
    }
    let empty = json!({});
    without::<RoomAvatar>(&empty, "/info", json!({"w": [], "thumbnail_info": []}));
    without::<RoomTopic>(&empty, "/m.topic", json!("words"));
    without::<RoomCreate>(&empty, "/predecessor", json!("!a:b"));
    without::<SpaceChild>(&empty, "/order", json!(5));
    let member = json!({"membership": "join"});
    without::<RoomMember>(&member, "/join_authorised_via_users_server", json!("b"));
}

#[test]
fn setting_field_drops_invalid_value() {
    let topic = json!({"topic": "t", "m.topic": "words"}).to_string();
    let mut topic = serde_json::from_str::<RoomTopic>(&topic).unwrap();
    topic.topic_block = Some(Default::default());
    assert_eq!(topic.to_raw().json(), r#"{"topic":"t","m.topic":{}}"#);
    // Of two, the last counts.
    let twice = r#"{"order": 5, "order": "a"}"#;
    let child = serde_json::from_str::<SpaceChild>(twice).unwrap();
    assert_eq!(child.to_raw().json(), r#"{"order":"a"}"#);
    let twice = r#"{"order": "a", "order": 5}"#;
    let child = serde_json::from_str::<SpaceChild>(twice).unwrap();
    assert_eq!(
        (child.order.as_deref(), &child.extra["order"]),
        (None, &json!(5))
    );
}

#[test]
fn invalid_entry_keeps_direct_rooms() {
    let direct = json!({"bob@example.org": ["!a:b"], "@c:b": ["!d:b", 5, "here"], "@d:b": null});
    let Direct(rooms) = serde_json::from_value(direct.clone()).unwrap();
    let of = |user: &str| rooms.get(user).unwrap();
    assert_eq!(of("bob@example.org")[0].as_str(), "!a:b");
    assert_eq!(of("@c:b").len(), 1);
    let invalid = [(1, Raw::from(&json!(5))), (2, Raw::from(&json!("here")))];
    assert_eq!(of("@c:b").invalid(), invalid);
    assert!(of("@d:b").is_empty());
    let written = serde_json::to_value(Direct(rooms)).unwrap();
    assert_eq!(written["@c:b"], direct["@c:b"]);
}

#[test]
fn invalid_condition_keeps_push_rules() {
    let rule = json!({"rule_id": "a", "default": true, "enabled": true,
        "actions": ["notify", {"set_tweak": 5}], "conditions": [{"kind": "event_match"}]});
    let rules = json!({"global": {"override": [rule]}});
    let read = serde_json::from_value::<PushRules>(rules.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), rules);
    let rule = &read.global.unwrap().overrides.unwrap()[0];
    assert!(matches!(
        rule.conditions.as_ref().unwrap()[0],
        PushCondition::Other(_)
    ));
    assert_eq!((rule.actions.len(), rule.actions.invalid().len()), (1, 1));
}

#[test]
fn invalid_third_party_entry_keeps_others() {
    let user = |id: &str| json!({"userid": id, "protocol": "irc", "fields": {}});
    let body = json!([user("@_irc_bob:example.org"), user("bob")]);
    let found = read::<QueryThirdPartyUserByProtocol>(200, &body.to_string()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].user_id.as_str(), "@_irc_bob:example.org");
    assert_eq!(found.invalid(), [(1, Raw::from(&user("bob")))]);
}
