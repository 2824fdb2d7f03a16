//! Push rules.

use matricula_core::Method;
use serde_json::{Value, json};

use super::{delete, events, own, put, since, sync};
use crate::{TestServer, TestUser};

const GLOBAL: &str = "/_matrix/client/v3/pushrules/global";

fn start() -> (TestServer, TestUser) {
    let mut home = TestServer::open();
    let alice = home.sign_up("alice");
    (home, alice)
}

fn rules(home: &mut TestServer, me: &TestUser) -> Value {
    home.get_as(&me.token, &format!("{GLOBAL}/")).ok()
}

/// The ids of the rules of a kind, in order.
fn ids(home: &mut TestServer, me: &TestUser, kind: &str) -> Vec<String> {
    let rules = rules(home, me);
    let rules = rules[kind].as_array().unwrap().iter();
    rules.map(|rule| crate::text(rule, "rule_id")).collect()
}

fn rule(kind: &str, id: &str) -> String {
    format!("{GLOBAL}/{kind}/{id}")
}

#[test]
fn default_rules_are_those_of_the_specification() {
    let (mut home, alice) = start();
    assert_eq!(
        ids(&mut home, &alice, "override"),
        [
            ".m.rule.master",
            ".m.rule.suppress_notices",
            ".m.rule.invite_for_me",
            ".m.rule.member_event",
            ".m.rule.is_user_mention",
            ".m.rule.is_room_mention",
            ".m.rule.tombstone",
            ".m.rule.reaction",
            ".m.rule.room.server_acl",
            ".m.rule.suppress_edits",
        ]
    );
    assert_eq!(
        ids(&mut home, &alice, "underride"),
        [
            ".m.rule.call",
            ".m.rule.encrypted_room_one_to_one",
            ".m.rule.room_one_to_one",
            ".m.rule.message",
            ".m.rule.encrypted",
        ]
    );
    for kind in ["content", "room", "sender"] {
        assert_eq!(ids(&mut home, &alice, kind), [] as [String; 0]);
    }
    let mention = rule("override", ".m.rule.is_user_mention");
    assert_eq!(
        home.get_as(&alice.token, &mention).ok(),
        json!({
            "rule_id": ".m.rule.is_user_mention", "default": true, "enabled": true,
            "conditions": [{ "kind": "event_property_contains",
                "key": r"content.m\.mentions.user_ids", "value": alice.user_id }],
            "actions": ["notify", { "set_tweak": "sound", "value": "default" },
                { "set_tweak": "highlight" }],
        })
    );
    let whole = home
        .get_as(&alice.token, "/_matrix/client/v3/pushrules/")
        .ok();
    assert_eq!(whole, json!({ "global": rules(&mut home, &alice) }));
    let data = own(&alice, "account_data/m.push_rules");
    assert_eq!(home.get_as(&alice.token, &data).ok(), whole);
}

#[test]
fn own_rules_come_before_default_ones() {
    let (mut home, alice) = start();
    let put_rule = |home: &mut TestServer, kind: &str, id: &str, query: &str| {
        let body = json!({ "actions": ["notify"], "pattern": "x" });
        put(home, &alice, &format!("{}{query}", rule(kind, id)), body).ok();
    };
    for (id, query, expected) in [
        ("a", "", vec!["a"]),
        ("b", "", vec!["b", "a"]),
        ("c", "?after=b", vec!["b", "c", "a"]),
        ("d", "?before=a", vec!["b", "c", "d", "a"]),
        ("e", "?after=a", vec!["b", "c", "d", "a", "e"]),
        ("b", "", vec!["b", "c", "d", "a", "e"]),
        ("b", "?after=e", vec!["c", "d", "a", "e", "b"]),
        ("a", "?before=c&after=b", vec!["a", "c", "d", "e", "b"]),
    ] {
        for kind in ["content", "override", "underride", "room", "sender"] {
            put_rule(&mut home, kind, id, query);
            let mut all = ids(&mut home, &alice, kind);
            if kind == "override" {
                assert_eq!(all.remove(0), ".m.rule.master");
            }
            assert_eq!(all[..expected.len()], expected, "{kind} {id} {query}");
        }
    }
}

#[test]
fn rules_can_be_added_changed_and_deleted() {
    let (mut home, alice) = start();
    let first = sync(&mut home, &alice, "");
    let (content, room) = (rule("content", "cake"), rule("room", "!a:b"));
    let body = json!({ "pattern": "cake*lie", "conditions": [{ "kind": "x" }],
        "actions": ["notify", "dont_notify", "coalesce", { "set_tweak": "sound", "value": "a", "y": 1 }] });
    put(&mut home, &alice, &content, body.clone()).ok();
    let actions = json!(["notify", { "set_tweak": "sound", "value": "a", "y": 1 }]);
    let expected = json!({ "rule_id": "cake", "default": false, "enabled": true,
        "pattern": "cake*lie", "actions": actions });
    assert_eq!(home.get_as(&alice.token, &content).ok(), expected);
    put(&mut home, &alice, &room, json!({ "actions": [] })).ok();
    let expected = json!({ "rule_id": "!a:b", "default": false, "enabled": true, "actions": [] });
    assert_eq!(home.get_as(&alice.token, &room).ok(), expected);
    let conditions = json!([{ "kind": "event_match", "key": "type", "pattern": "m.*" },
        { "kind": "org.example.x", "y": 1 }]);
    let own_override = rule("override", "mine");
    let body = json!({ "actions": [], "conditions": conditions });
    put(&mut home, &alice, &own_override, body).ok();
    let stored = home.get_as(&alice.token, &own_override).ok();
    assert_eq!(stored["conditions"], conditions);
    let bare = rule("underride", "bare");
    put(&mut home, &alice, &bare, json!({ "actions": [] })).ok();
    assert_eq!(
        home.get_as(&alice.token, &bare).ok()["conditions"],
        json!([])
    );

    let enabled = format!("{content}/enabled");
    assert_eq!(
        home.get_as(&alice.token, &enabled).ok(),
        json!({ "enabled": true })
    );
    put(&mut home, &alice, &enabled, json!({ "enabled": false })).ok();
    assert_eq!(
        home.get_as(&alice.token, &enabled).ok(),
        json!({ "enabled": false })
    );
    // A changed rule stays disabled.
    let body = json!({ "pattern": "tea", "actions": [] });
    put(&mut home, &alice, &content, body).ok();
    let stored = home.get_as(&alice.token, &content).ok();
    assert_eq!(
        (&stored["enabled"], &stored["pattern"]),
        (&json!(false), &json!("tea"))
    );
    let path = format!("{content}/actions");
    put(&mut home, &alice, &path, json!({ "actions": ["notify"] })).ok();
    assert_eq!(
        home.get_as(&alice.token, &path).ok(),
        json!({ "actions": ["notify"] })
    );

    let news = since(&mut home, &alice, &first);
    let changed = events(&news, "/account_data");
    let whole = json!({ "global": rules(&mut home, &alice) });
    assert_eq!(
        changed,
        [json!({ "type": "m.push_rules", "content": whole })]
    );
    let same = since(&mut home, &alice, &news);
    assert_eq!(same, crate::empty_sync(&crate::text(&news, "next_batch")));

    delete(&mut home, &alice, &content).ok();
    home.get_as(&alice.token, &content).err(404, "M_NOT_FOUND");
    delete(&mut home, &alice, &content).err(404, "M_NOT_FOUND");
    assert_eq!(
        events(&since(&mut home, &alice, &news), "/account_data").len(),
        1
    );
}

#[test]
fn default_rules_can_be_changed() {
    let (mut home, alice) = start();
    let bob = home.sign_up("bob");
    let (master, message) = (
        rule("override", ".m.rule.master"),
        rule("underride", ".m.rule.message"),
    );
    put(
        &mut home,
        &alice,
        &format!("{master}/enabled"),
        json!({ "enabled": true }),
    )
    .ok();
    put(
        &mut home,
        &alice,
        &format!("{message}/actions"),
        json!({ "actions": ["dont_notify"] }),
    )
    .ok();
    let body = json!({ "actions": [] });
    put(&mut home, &alice, &rule("override", "mine"), body).ok();
    let first = &ids(&mut home, &alice, "override")[..3];
    assert_eq!(
        first,
        [".m.rule.master", "mine", ".m.rule.suppress_notices"]
    );
    assert_eq!(home.get_as(&alice.token, &master).ok()["enabled"], true);
    let changed = home.get_as(&alice.token, &message).ok();
    assert_eq!(changed["actions"], json!([]));
    assert_eq!(changed["default"], true);
    assert_eq!(home.get_as(&bob.token, &master).ok()["enabled"], false);
    delete(&mut home, &alice, &master).err(404, "M_NOT_FOUND");
    put(
        &mut home,
        &alice,
        &format!("{master}/enabled"),
        json!({ "enabled": false }),
    )
    .ok();
    let message_actions = json!({ "actions": ["notify"] });
    put(
        &mut home,
        &alice,
        &format!("{message}/actions"),
        message_actions,
    )
    .ok();
    delete(&mut home, &alice, &rule("override", "mine")).ok();
    let of_bob = rules(&mut home, &bob).to_string();
    let expected = of_bob.replace(&bob.user_id, &alice.user_id);
    assert_eq!(rules(&mut home, &alice).to_string(), expected);
}

#[test]
fn odd_push_rules_are_refused() {
    let (mut home, alice) = start();
    let good = || json!({ "actions": ["notify"], "pattern": "x" });
    let long = "x".repeat(256);
    for (kind, id, body, status, code) in [
        ("content", ".mine", good(), 400, "M_INVALID_PARAM"),
        ("content", "a%2Fb", good(), 400, "M_INVALID_PARAM"),
        ("content", "a%5Cb", good(), 400, "M_INVALID_PARAM"),
        ("content", long.as_str(), good(), 400, "M_INVALID_PARAM"),
        ("device", "a", good(), 400, "M_INVALID_PARAM"),
        (
            "content",
            "a",
            json!({ "actions": [] }),
            400,
            "M_MISSING_PARAM",
        ),
        (
            "content",
            "a",
            json!({ "pattern": "x" }),
            400,
            "M_MISSING_PARAM",
        ),
        (
            "content",
            "a",
            json!({ "pattern": 7, "actions": [] }),
            400,
            "M_BAD_JSON",
        ),
        (
            "room",
            "a",
            json!({ "actions": "notify" }),
            400,
            "M_BAD_JSON",
        ),
        ("room", "a", json!({ "actions": [7] }), 400, "M_BAD_JSON"),
        (
            "room",
            "a",
            json!({ "actions": ["shout"] }),
            400,
            "M_INVALID_PARAM",
        ),
        (
            "room",
            "a",
            json!({ "actions": [{}] }),
            400,
            "M_INVALID_PARAM",
        ),
        (
            "room",
            "a",
            json!({ "actions": [{ "set_tweak": 7 }] }),
            400,
            "M_INVALID_PARAM",
        ),
        (
            "override",
            "a",
            json!({ "actions": [], "conditions": {} }),
            400,
            "M_BAD_JSON",
        ),
        (
            "override",
            "a",
            json!({ "actions": [], "conditions": [7] }),
            400,
            "M_BAD_JSON",
        ),
        ("content", "a?before=b", good(), 400, "M_UNKNOWN"),
        ("content", "a?after=b", good(), 400, "M_UNKNOWN"),
        ("content", "a?before=a", good(), 400, "M_UNKNOWN"),
        (
            "override",
            "a?before=.m.rule.master",
            good(),
            400,
            "M_UNKNOWN",
        ),
        (
            "underride",
            "a?after=.m.rule.call",
            good(),
            400,
            "M_UNKNOWN",
        ),
    ] {
        put(&mut home, &alice, &rule(kind, id), body).err(status, code);
    }
    for kind in ["content", "room", "override"] {
        let path = rule(kind, "unknown");
        home.get_as(&alice.token, &path).err(404, "M_NOT_FOUND");
        for (part, body) in [
            ("enabled", json!({ "enabled": true })),
            ("actions", json!({ "actions": [] })),
        ] {
            let path = format!("{path}/{part}");
            home.get_as(&alice.token, &path).err(404, "M_NOT_FOUND");
            put(&mut home, &alice, &path, body).err(404, "M_NOT_FOUND");
        }
    }
    let enabled = format!("{}/enabled", rule("override", ".m.rule.master"));
    put(&mut home, &alice, &enabled, json!({ "enabled": "true" })).err(400, "M_BAD_JSON");
    put(&mut home, &alice, &enabled, json!({})).err(400, "M_MISSING_PARAM");
    for (method, path) in [
        (Method::Get, "/_matrix/client/v3/pushrules/".to_owned()),
        (Method::Put, rule("room", "a")),
    ] {
        let mut request = crate::post(&path, json!({ "actions": [] }));
        request.method = method;
        home.send(request).err(401, "M_MISSING_TOKEN");
    }
    assert_eq!(rules(&mut home, &alice)["content"], json!([]));
}

#[test]
fn push_rules_are_bounded() {
    let (mut home, alice) = start();
    let body = json!({ "actions": [], "pattern": "x".repeat(4_000) });
    let mut stored = 0;
    let refused = loop {
        let path = rule("content", &stored.to_string());
        let reply = put(&mut home, &alice, &path, body.clone());
        if reply.0.status != 200 {
            break reply;
        }
        stored += 1;
    };
    refused.err(413, "M_TOO_LARGE");
    assert!((7..9).contains(&stored), "{stored}");
    assert_eq!(ids(&mut home, &alice, "content").len(), stored);
    delete(&mut home, &alice, &rule("content", "0")).ok();
    let path = rule("content", &stored.to_string());
    put(&mut home, &alice, &path, body).ok();
}
