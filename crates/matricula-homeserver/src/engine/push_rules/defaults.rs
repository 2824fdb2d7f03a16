//! The [predefined push rules](https://spec.matrix.org/v1.19/client-server-api/#predefined-rules), as of v1.17.

use matricula_api::{UserId, common::PushRuleset};
use serde_json::{Value, json};

/// The id of the rule that comes before all others.
pub(super) const MASTER: &str = ".m.rule.master";

/// The rules of a user who changed nothing.
pub(super) fn ruleset(user_id: &UserId) -> serde_json::Result<PushRuleset> {
    let user_id = user_id.as_str();
    let notify = json!(["notify"]);
    let silent = json!([]);
    let with_sound = json!(["notify", { "set_tweak": "sound", "value": "default" }]);
    let with_ring = json!(["notify", { "set_tweak": "sound", "value": "ring" }]);
    let with_highlight = json!(["notify", { "set_tweak": "highlight" }]);
    let with_both = json!(["notify", { "set_tweak": "sound", "value": "default" },
        { "set_tweak": "highlight" }]);
    let two_members = json!({ "kind": "room_member_count", "is": "2" });
    let mut master = rule(MASTER, json!([]), &silent);
    master["enabled"] = false.into();
    serde_json::from_value(json!({
        "override": [
            master,
            rule(
                ".m.rule.suppress_notices",
                json!([matches("content.msgtype", "m.notice")]),
                &silent,
            ),
            rule(
                ".m.rule.invite_for_me",
                json!([
                    matches("type", "m.room.member"),
                    matches("content.membership", "invite"),
                    matches("state_key", user_id),
                ]),
                &with_sound,
            ),
            rule(".m.rule.member_event", json!([matches("type", "m.room.member")]), &silent),
            rule(
                ".m.rule.is_user_mention",
                json!([{
                    "kind": "event_property_contains",
                    "key": "content.m\\.mentions.user_ids",
                    "value": user_id,
                }]),
                &with_both,
            ),
            rule(
                ".m.rule.is_room_mention",
                json!([
                    { "kind": "event_property_is", "key": "content.m\\.mentions.room", "value": true },
                    { "kind": "sender_notification_permission", "key": "room" },
                ]),
                &with_highlight,
            ),
            rule(
                ".m.rule.tombstone",
                json!([matches("type", "m.room.tombstone"), matches("state_key", "")]),
                &with_highlight,
            ),
            rule(".m.rule.reaction", json!([matches("type", "m.reaction")]), &silent),
            rule(
                ".m.rule.room.server_acl",
                json!([matches("type", "m.room.server_acl"), matches("state_key", "")]),
                &silent,
            ),
            rule(
                ".m.rule.suppress_edits",
                json!([{
                    "kind": "event_property_is",
                    "key": "content.m\\.relates_to.rel_type",
                    "value": "m.replace",
                }]),
                &silent,
            ),
        ],
        "content": [],
        "room": [],
        "sender": [],
        "underride": [
            rule(".m.rule.call", json!([matches("type", "m.call.invite")]), &with_ring),
            rule(
                ".m.rule.encrypted_room_one_to_one",
                json!([two_members, matches("type", "m.room.encrypted")]),
                &with_sound,
            ),
            rule(
                ".m.rule.room_one_to_one",
                json!([two_members, matches("type", "m.room.message")]),
                &with_sound,
            ),
            rule(".m.rule.message", json!([matches("type", "m.room.message")]), &notify),
            rule(".m.rule.encrypted", json!([matches("type", "m.room.encrypted")]), &notify),
        ],
    }))
}

fn rule(id: &str, conditions: Value, actions: &Value) -> Value {
    json!({ "rule_id": id, "default": true, "enabled": true, "conditions": conditions,
        "actions": actions })
}

fn matches(key: &str, pattern: &str) -> Value {
    json!({ "kind": "event_match", "key": key, "pattern": pattern })
}
