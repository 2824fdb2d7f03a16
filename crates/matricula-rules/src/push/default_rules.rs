//! The rules that every user has from the beginning.

use serde_json::{Value, json};

/// The [default rules](https://spec.matrix.org/v1.19/client-server-api/#predefined-rules) of a user, as they stand in
/// `global` of `m.push_rules`. The rules that v1.17 removed, for mentions in the text of a message, are not among them.
pub fn default_ruleset(user_id: &str) -> Value {
    let notify = json!(["notify"]);
    let sound = |sound: &str| json!(["notify", { "set_tweak": "sound", "value": sound }]);
    let highlight = json!(["notify", { "set_tweak": "highlight" }]);
    let both = json!(["notify", { "set_tweak": "sound", "value": "default" }, { "set_tweak": "highlight" }]);
    let type_is = |kind: &str| event_match("type", kind);
    let empty_state_key = event_match("state_key", "");
    let two_members = json!({ "kind": "room_member_count", "is": "2" });

    let mut master = rule(".m.rule.master", json!([]), json!([]));
    master["enabled"] = json!(false);
    json!({
        "override": [
            master,
            rule(".m.rule.suppress_notices", json!([event_match("content.msgtype", "m.notice")]), json!([])),
            rule(
                ".m.rule.invite_for_me",
                json!([
                    type_is("m.room.member"),
                    event_match("content.membership", "invite"),
                    event_match("state_key", user_id),
                ]),
                sound("default"),
            ),
            rule(".m.rule.member_event", json!([type_is("m.room.member")]), json!([])),
            rule(
                ".m.rule.is_user_mention",
                json!([{
                    "kind": "event_property_contains",
                    "key": r"content.m\.mentions.user_ids",
                    "value": user_id,
                }]),
                both,
            ),
            rule(
                ".m.rule.is_room_mention",
                json!([
                    { "kind": "event_property_is", "key": r"content.m\.mentions.room", "value": true },
                    { "kind": "sender_notification_permission", "key": "room" },
                ]),
                highlight.clone(),
            ),
            rule(
                ".m.rule.tombstone",
                json!([type_is("m.room.tombstone"), empty_state_key]),
                highlight,
            ),
            rule(".m.rule.reaction", json!([type_is("m.reaction")]), json!([])),
            rule(
                ".m.rule.room.server_acl",
                json!([type_is("m.room.server_acl"), empty_state_key]),
                json!([]),
            ),
            rule(
                ".m.rule.suppress_edits",
                json!([{
                    "kind": "event_property_is",
                    "key": r"content.m\.relates_to.rel_type",
                    "value": "m.replace",
                }]),
                json!([]),
            ),
        ],
        "content": [],
        "room": [],
        "sender": [],
        "underride": [
            rule(".m.rule.call", json!([type_is("m.call.invite")]), sound("ring")),
            rule(
                ".m.rule.encrypted_room_one_to_one",
                json!([two_members, type_is("m.room.encrypted")]),
                sound("default"),
            ),
            rule(
                ".m.rule.room_one_to_one",
                json!([two_members, type_is("m.room.message")]),
                sound("default"),
            ),
            rule(".m.rule.message", json!([type_is("m.room.message")]), notify.clone()),
            rule(".m.rule.encrypted", json!([type_is("m.room.encrypted")]), notify),
        ],
    })
}

fn rule(id: &str, conditions: Value, actions: Value) -> Value {
    json!({
        "rule_id": id,
        "default": true,
        "enabled": true,
        "conditions": conditions,
        "actions": actions,
    })
}

fn event_match(key: &str, pattern: &str) -> Value {
    json!({ "kind": "event_match", "key": key, "pattern": pattern })
}
