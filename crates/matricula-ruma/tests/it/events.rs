//! Events: sent, stored as state, sent to devices, received, and the rules that tell of them.

use matricula_api::client::{
    pushrules::{GetPushRules, SetPushRule, SetPushRuleActions, SetPushRuleEnabled},
    redaction::RedactEvent,
    room_send::SendMessage,
    room_state::SendStateEvent,
    rooms::GetStateEvent,
    sync::Sync,
    to_device::SendToDevice,
};
use ruma_client_api::{
    message::send_message_event,
    push::{get_pushrules_all, set_pushrule, set_pushrule_actions, set_pushrule_enabled},
    redact::redact_event,
    state::{get_state_event_for_key, send_state_event},
    sync::sync_events,
    to_device::send_event_to_device,
};
use serde_json::{Value, json};

use crate::round_trip::hold;

#[test]
fn message_round_trips() {
    hold::<SendMessage, send_message_event::v3::Request, _>(
        "/_matrix/client/v3/rooms/%21a%3Aexample.org/send/m.room.message/txn%2F1",
        &json!({"msgtype": "m.text", "body": "hello", "org.example.mood": ["fine", 1.5]}),
        &json!({"event_id": "$e"}),
    );
}

#[test]
fn state_events_round_trip() {
    for key in ["", "%40alice%3Aexample.org", "a%20%2B%25%3F%23b"] {
        let address =
            format!("/_matrix/client/v3/rooms/%21a%3Aexample.org/state/org.example.mood/{key}");
        hold::<SendStateEvent, send_state_event::v3::Request, _>(
            &address,
            &json!({"now": "fine"}),
            &json!({"event_id": "$e"}),
        );
        hold::<GetStateEvent, get_state_event_for_key::v3::Request, _>(
            &address,
            &Value::Null,
            &json!({"now": "fine"}),
        );
    }
}

#[test]
fn redaction_round_trips() {
    hold::<RedactEvent, redact_event::v3::Request, _>(
        "/_matrix/client/v3/rooms/%21a%3Aexample.org/redact/%24e/txn1",
        &json!({"reason": "a mistake"}),
        &json!({"event_id": "$r"}),
    );
}

#[test]
fn to_device_messages_round_trip() {
    hold::<SendToDevice, send_event_to_device::v3::Request, _>(
        "/_matrix/client/v3/sendToDevice/m.new_device/txn1",
        &json!({"messages": {
            "@alice:example.org": {"D": {"a": 1}, "*": {"b": [null, true]}},
        }}),
        &json!({}),
    );
}

#[test]
fn sync_round_trips() {
    let event = json!({
        "type": "m.room.message", "event_id": "$e", "sender": "@alice:example.org",
        "origin_server_ts": 1, "content": {"msgtype": "m.text", "body": "hello"},
    });
    let state = json!({
        "type": "m.room.name", "state_key": "", "event_id": "$n", "sender": "@alice:example.org",
        "origin_server_ts": 1, "content": {"name": "Lobby"},
    });
    hold::<Sync, sync_events::v3::Request, _>(
        "/_matrix/client/v3/sync?since=s1&timeout=30000&full_state=true&set_presence=offline\
         &filter=66696p746572",
        &Value::Null,
        &json!({
            "next_batch": "s2",
            "account_data": {"events": [{"type": "m.direct", "content": {}}]},
            "to_device": {"events": [
                {"type": "m.dummy", "sender": "@bob:example.org", "content": {}},
            ]},
            "device_lists": {"changed": ["@bob:example.org"]},
            "device_one_time_keys_count": {"signed_curve25519": 50},
            "rooms": {"join": {"!a:example.org": {
                "summary": {"m.joined_member_count": 2, "m.heroes": ["@bob:example.org"]},
                "unread_notifications": {"highlight_count": 1, "notification_count": 2},
                "timeline": {"events": [event], "limited": true, "prev_batch": "p"},
                "state": {"events": [state]},
            }}},
        }),
    );
}

#[test]
fn push_rules_round_trip() {
    hold::<GetPushRules, get_pushrules_all::v3::Request, _>(
        "/_matrix/client/v3/pushrules/",
        &Value::Null,
        &json!({"global": {
            "override": [{
                "rule_id": ".m.rule.master", "default": true, "enabled": false,
                "actions": [], "conditions": [],
            }],
            "content": [{
                "rule_id": ".m.rule.contains_user_name", "default": true, "enabled": true,
                "pattern": "alice",
                "actions": ["notify", {"set_tweak": "sound", "value": "default"}],
            }],
            "room": [{
                "rule_id": "!a:example.org", "default": false, "enabled": true, "actions": [],
            }],
        }}),
    );
    let rule = "/_matrix/client/v3/pushrules/global/content/nocake";
    hold::<SetPushRule, set_pushrule::v3::Request, _>(
        &format!("{rule}?before=a&after=b"),
        &json!({"actions": ["notify"], "pattern": "cake*lie"}),
        &json!({}),
    );
    hold::<SetPushRuleEnabled, set_pushrule_enabled::v3::Request, _>(
        &format!("{rule}/enabled"),
        &json!({"enabled": false}),
        &json!({}),
    );
    hold::<SetPushRuleActions, set_pushrule_actions::v3::Request, _>(
        &format!("{rule}/actions"),
        &json!({"actions": [{"set_tweak": "highlight"}]}),
        &json!({}),
    );
}
