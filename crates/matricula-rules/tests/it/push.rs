//! Evaluation of push rules.

use matricula_rules::{
    EventView, JsonError, RoomVersion,
    power_levels::RoomPower,
    push::{MatchedRule, PushContext, PushEvent, RuleKind, Ruleset, default_ruleset},
};
use serde_json::{Value, json};

use crate::room::{ALICE, BOB};

const CONTEXT: PushContext<'_> = PushContext {
    user_id: BOB,
    display_name: Some("Bob B."),
    member_count: 3,
    power: None,
};

fn ruleset(rules: Value) -> Ruleset {
    Ruleset::parse(&rules.to_string()).unwrap()
}

fn event(event: &Value) -> PushEvent {
    PushEvent::parse(&event.to_string()).unwrap()
}

fn message(content: Value) -> Value {
    json!({ "type": "m.room.message", "sender": ALICE, "room_id": "!r:example.org", "content": content })
}

/// Whether an override rule with this one condition matches.
fn holds(condition: Value, about: &Value, context: &PushContext<'_>) -> bool {
    let rule = json!({ "rule_id": "r", "actions": ["notify"], "conditions": [condition] });
    ruleset(json!({ "override": [rule] }))
        .evaluate(&event(about), context)
        .is_some()
}

/// The default rule that decides about an event in a room of three.
fn default_rule(about: &Value, context: &PushContext<'_>) -> Option<String> {
    let rules = ruleset(default_ruleset(BOB));
    rules
        .evaluate(&event(about), context)
        .map(|it| it.rule_id.to_owned())
}

#[test]
fn default_rules_decide() {
    let of_type =
        |kind: &str, content: Value| json!({ "type": kind, "sender": ALICE, "content": content });
    let state = |kind: &str, key: &str, content: Value| json!({ "type": kind, "sender": ALICE, "state_key": key, "content": content });
    let cases = [
        (
            message(json!({ "msgtype": "m.text", "body": "x" })),
            Some(".m.rule.message"),
        ),
        (
            message(json!({ "msgtype": "m.notice" })),
            Some(".m.rule.suppress_notices"),
        ),
        (
            message(json!({ "m.mentions": { "user_ids": [ALICE, BOB] } })),
            Some(".m.rule.is_user_mention"),
        ),
        (
            message(json!({ "m.mentions": { "user_ids": [ALICE] } })),
            Some(".m.rule.message"),
        ),
        (
            message(json!({ "m.mentions": { "user_ids": BOB } })),
            Some(".m.rule.message"),
        ),
        (
            message(json!({ "m.relates_to": { "rel_type": "m.replace" } })),
            Some(".m.rule.suppress_edits"),
        ),
        (
            of_type("m.room.encrypted", json!({})),
            Some(".m.rule.encrypted"),
        ),
        (of_type("m.call.invite", json!({})), Some(".m.rule.call")),
        (of_type("m.reaction", json!({})), Some(".m.rule.reaction")),
        (
            state("m.room.member", BOB, json!({ "membership": "invite" })),
            Some(".m.rule.invite_for_me"),
        ),
        (
            state("m.room.member", ALICE, json!({ "membership": "invite" })),
            Some(".m.rule.member_event"),
        ),
        (
            state("m.room.tombstone", "", json!({})),
            Some(".m.rule.tombstone"),
        ),
        (of_type("m.room.tombstone", json!({})), None),
        (
            state("m.room.server_acl", "", json!({})),
            Some(".m.rule.room.server_acl"),
        ),
        (state("m.room.topic", "", json!({})), None),
        // The rules for mentions in texts are gone since v1.17.
        (
            message(json!({ "body": "Bob B. and bob and @room" })),
            Some(".m.rule.message"),
        ),
    ];
    for (about, expected) in cases {
        assert_eq!(
            default_rule(&about, &CONTEXT).as_deref(),
            expected,
            "{about}"
        );
    }
    let two = PushContext {
        member_count: 2,
        ..CONTEXT
    };
    let one_to_one = default_rule(&message(json!({})), &two);
    assert_eq!(one_to_one.as_deref(), Some(".m.rule.room_one_to_one"));
    let encrypted = default_rule(&of_type("m.room.encrypted", json!({})), &two);
    assert_eq!(
        encrypted.as_deref(),
        Some(".m.rule.encrypted_room_one_to_one")
    );
}

#[test]
fn default_rules_are_those_of_the_specification() {
    let rules = default_ruleset(BOB);
    let ids = |kind: &str| -> Vec<&str> {
        let rules = rules[kind].as_array().unwrap();
        rules
            .iter()
            .map(|it| it["rule_id"].as_str().unwrap())
            .collect()
    };
    assert_eq!(
        ids("override"),
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
        ids("underride"),
        [
            ".m.rule.call",
            ".m.rule.encrypted_room_one_to_one",
            ".m.rule.room_one_to_one",
            ".m.rule.message",
            ".m.rule.encrypted",
        ]
    );
    for kind in ["content", "room", "sender"] {
        assert!(ids(kind).is_empty());
    }
    for rule in rules["override"].as_array().unwrap() {
        assert_eq!(rule["default"], true);
        assert_eq!(rule["enabled"], rule["rule_id"] != ".m.rule.master");
    }
}

#[test]
fn default_actions_say_how_to_notify() {
    let rules = ruleset(default_ruleset(BOB));
    let matched = |about: &Value| -> Option<(bool, bool, Option<String>)> {
        let found: MatchedRule<'_> = rules.evaluate(&event(about), &CONTEXT)?;
        Some((
            found.notify,
            found.highlight,
            found.sound.map(str::to_owned),
        ))
    };
    let mention = message(json!({ "m.mentions": { "user_ids": [BOB] } }));
    assert_eq!(
        matched(&mention),
        Some((true, true, Some("default".to_owned())))
    );
    assert_eq!(matched(&message(json!({}))), Some((true, false, None)));
    assert_eq!(
        matched(&message(json!({ "msgtype": "m.notice" }))),
        Some((false, false, None))
    );
    let call = json!({ "type": "m.call.invite", "sender": ALICE, "content": {} });
    assert_eq!(matched(&call), Some((true, false, Some("ring".to_owned()))));
}

#[test]
fn master_rule_silences_everything() {
    let mut rules = default_ruleset(BOB);
    rules["override"][0]["enabled"] = json!(true);
    let mention = message(json!({ "m.mentions": { "user_ids": [BOB] } }));
    let rules = ruleset(rules);
    let found = rules.evaluate(&event(&mention), &CONTEXT).unwrap();
    assert_eq!((found.rule_id, found.notify), (".m.rule.master", false));
}

#[test]
fn own_events_notify_of_nothing() {
    let mut own = message(json!({ "m.mentions": { "user_ids": [BOB] } }));
    own["sender"] = json!(BOB);
    assert_eq!(default_rule(&own, &CONTEXT), None);
}

#[test]
fn kinds_are_evaluated_in_order() {
    let rule = |id: &str| json!({ "rule_id": id, "actions": ["notify"], "conditions": [] });
    let mut rules = json!({
        "underride": [rule("u")],
        "sender": [rule(ALICE)],
        "room": [rule("!r:example.org")],
        "content": [{ "rule_id": "c", "pattern": "word", "actions": [] }],
        "override": [rule("o"), rule("o2")],
    });
    let about = event(&message(json!({ "body": "a word" })));
    for (kind, id) in [
        (RuleKind::Override, "o"),
        (RuleKind::Content, "c"),
        (RuleKind::Room, "!r:example.org"),
        (RuleKind::Sender, ALICE),
        (RuleKind::Underride, "u"),
    ] {
        let parsed = ruleset(rules.clone());
        let found = parsed.evaluate(&about, &CONTEXT).unwrap();
        assert_eq!((found.kind, found.rule_id), (kind, id));
        rules[kind.as_str()] = json!([]);
    }
    assert_eq!(ruleset(rules).evaluate(&about, &CONTEXT), None);
}

#[test]
fn rules_of_rooms_and_senders_match_theirs_only() {
    let rule = |id: &str| json!({ "rule_id": id, "actions": ["notify"] });
    for (kind, id, expected) in [
        ("room", "!r:example.org", true),
        ("room", "!R:example.org", false),
        ("room", "*", false),
        ("sender", ALICE, true),
        ("sender", "@alic?:example.org", false),
    ] {
        let rules = ruleset(json!({ kind: [rule(id)] }));
        let found = rules.evaluate(&event(&message(json!({}))), &CONTEXT);
        assert_eq!(found.is_some(), expected, "{kind} {id}");
    }
}

#[test]
fn properties_are_compared_exactly() {
    let about = message(json!({
        "text": "x", "number": 5, "yes": true, "nothing": null, "list": [1, "a", null, {}, 2.5], "half": 0.5,
    }));
    let is = |field: &str, value: Value| {
        let key = format!("content.{field}");
        holds(
            json!({ "kind": "event_property_is", "key": key, "value": value }),
            &about,
            &CONTEXT,
        )
    };
    assert!(is("text", json!("x")) && !is("text", json!("X")) && !is("text", json!("*")));
    assert!(is("number", json!(5)) && !is("number", json!("5")) && !is("number", json!(6)));
    assert!(is("yes", json!(true)) && !is("yes", json!(1)) && !is("yes", json!("true")));
    assert!(is("nothing", json!(null)) && !is("absent", json!(null)));
    assert!(!is("half", json!(0.5)) && !is("list", json!([1])));

    let contains = |field: &str, value: Value| {
        let key = format!("content.{field}");
        holds(
            json!({ "kind": "event_property_contains", "key": key, "value": value }),
            &about,
            &CONTEXT,
        )
    };
    assert!(
        contains("list", json!(1)) && contains("list", json!("a")) && contains("list", json!(null))
    );
    assert!(
        !contains("list", json!("1"))
            && !contains("list", json!({}))
            && !contains("list", json!(2.5))
    );
    assert!(!contains("text", json!("x")) && !contains("absent", json!(1)));
}

#[test]
fn member_counts_are_compared() {
    let about = message(json!({}));
    for (is, holding) in [
        ("2", vec![2]),
        ("==2", vec![2]),
        ("<2", vec![0, 1]),
        ("<=2", vec![0, 1, 2]),
        (">2", vec![3]),
        (">=2", vec![2, 3]),
        ("02", vec![2]),
        ("", vec![]),
        ("==", vec![]),
        ("=2", vec![]),
        ("-2", vec![]),
        ("+2", vec![]),
        ("x", vec![]),
        ("< 2", vec![]),
    ] {
        for member_count in 0..4 {
            let context = PushContext {
                member_count,
                ..CONTEXT
            };
            let condition = json!({ "kind": "room_member_count", "is": is });
            assert_eq!(
                holds(condition, &about, &context),
                holding.contains(&member_count),
                "{is}"
            );
        }
    }
}

#[test]
fn notifying_everyone_needs_power() {
    let create = EventView::new("m.room.create", "@creator:example.org", "{}").state_key("");
    let condition = || json!({ "kind": "sender_notification_permission", "key": "room" });
    let about = message(json!({}));
    for (levels, expected) in [
        (json!({}), false),
        (json!({ "users": { ALICE: 50 } }), true),
        (json!({ "users": { ALICE: 49 } }), false),
        (
            json!({ "users": { ALICE: 50 }, "notifications": { "room": 51 } }),
            false,
        ),
        (json!({ "notifications": { "room": 0 } }), true),
        (json!({ "notifications": { "other": 0 } }), false),
    ] {
        let power = RoomPower::new(&create, Some(&levels.to_string()), RoomVersion::V12);
        let context = PushContext {
            power: Some(&power),
            ..CONTEXT
        };
        assert_eq!(holds(condition(), &about, &context), expected, "{levels}");
    }
    assert!(!holds(condition(), &about, &CONTEXT));
    let create = EventView::new("m.room.create", ALICE, "{}").state_key("");
    let power = RoomPower::new(&create, None, RoomVersion::V12);
    let context = PushContext {
        power: Some(&power),
        ..CONTEXT
    };
    assert!(holds(condition(), &about, &context));
}

#[test]
fn display_names_are_found_in_texts() {
    let condition = || json!({ "kind": "contains_display_name" });
    let in_body = |body: &str, name: Option<&str>| {
        let context = PushContext {
            display_name: name,
            ..CONTEXT
        };
        holds(condition(), &message(json!({ "body": body })), &context)
    };
    assert!(in_body("hello BOB b.!", Some("Bob B.")));
    assert!(!in_body("hello Bobby", Some("Bob")));
    assert!(in_body("what is *?", Some("*?")));
    assert!(!in_body("anything", Some("*")));
    assert!(!in_body("anything", Some("")));
    assert!(!in_body("Bob", None));
    assert!(!holds(condition(), &message(json!({})), &CONTEXT));
}

#[test]
fn old_mention_rules_respect_mentions() {
    let rules = ruleset(json!({
        "override": [
            { "rule_id": ".m.rule.contains_display_name", "conditions": [{ "kind": "contains_display_name" }], "actions": ["notify"] },
            { "rule_id": ".m.rule.roomnotif", "conditions": [{ "kind": "event_match", "key": "content.body", "pattern": "@room" }], "actions": ["notify"] },
        ],
        "content": [{ "rule_id": ".m.rule.contains_user_name", "pattern": "bob", "actions": ["notify"] }],
    }));
    for body in ["Bob B.", "@room", "hi bob"] {
        let plain = event(&message(json!({ "body": body })));
        assert!(rules.evaluate(&plain, &CONTEXT).is_some(), "{body}");
        let with_mentions = event(&message(json!({ "body": body, "m.mentions": {} })));
        assert_eq!(rules.evaluate(&with_mentions, &CONTEXT), None, "{body}");
    }
}

#[test]
fn unknown_conditions_never_match() {
    let about = message(json!({ "body": "x" }));
    for condition in [
        json!({ "kind": "org.example.new" }),
        json!({}),
        json!("event_match"),
        json!(null),
        json!({ "kind": "event_match", "key": "content.body" }),
        json!({ "kind": "event_match", "key": "content.body", "pattern": 1 }),
        json!({ "kind": "event_property_is", "key": "content.body", "value": ["x"] }),
        json!({ "kind": "event_property_is", "key": "content.absent" }),
        json!({ "kind": "room_member_count" }),
        json!({ "kind": "room_member_count", "is": 3 }),
    ] {
        assert!(!holds(condition.clone(), &about, &CONTEXT), "{condition}");
        let rule = json!({ "rule_id": "r", "actions": ["notify"], "conditions": [
            { "kind": "event_match", "key": "content.body", "pattern": "x" }, condition,
        ] });
        assert_eq!(
            ruleset(json!({ "override": [rule] })).evaluate(&event(&about), &CONTEXT),
            None
        );
    }
}

#[test]
fn unreadable_rules_are_left_out() {
    let good = json!({ "rule_id": "good", "actions": ["notify"] });
    let rules = ruleset(json!({
        "override": [1, null, {}, { "rule_id": 1 }, { "rule_id": "x", "conditions": "all" }, good],
        "content": [{ "rule_id": "no pattern", "actions": [] }],
        "room": "none",
        "new_kind": [good],
    }));
    let found = rules
        .evaluate(&event(&message(json!({}))), &CONTEXT)
        .unwrap();
    assert_eq!(found.rule_id, "good");
    assert_eq!(Ruleset::parse("{}"), Ok(Ruleset::default()));
    assert_eq!(Ruleset::parse("[]"), Err(JsonError::NotAnObject));
}

#[test]
fn actions_are_read_as_given() {
    let found = |actions: Value| {
        let rules = ruleset(json!({ "override": [{ "rule_id": "r", "actions": actions }] }));
        let event = event(&message(json!({})));
        let found = rules.evaluate(&event, &CONTEXT).unwrap();
        let tweaks: Vec<_> = found.tweaks.iter().map(|(name, _)| name.clone()).collect();
        (
            found.notify,
            found.highlight,
            found.sound.map(str::to_owned),
            tweaks.join(","),
        )
    };
    let none = || (false, false, None, String::new());
    assert_eq!(found(json!([])), none());
    assert_eq!(found(json!(["dont_notify"])), none());
    assert_eq!(found(json!(["coalesce", 5, {}])), none());
    let tweaks =
        json!(["notify", { "set_tweak": "highlight", "value": false }, { "set_tweak": "flash" }]);
    assert_eq!(
        found(tweaks),
        (true, false, None, "highlight,flash".to_owned())
    );
    let odd = json!(["notify", { "set_tweak": "highlight", "value": "yes" }]);
    assert_eq!(found(odd), (true, false, None, "highlight".to_owned()));
    let highlight = json!([{ "set_tweak": "highlight", "value": true }, "notify"]);
    assert_eq!(found(highlight), (true, true, None, "highlight".to_owned()));
}

#[test]
fn disabled_rules_never_match() {
    let rule = json!({ "rule_id": "r", "enabled": false, "actions": ["notify"] });
    let rules = ruleset(json!({ "override": [rule], "underride": [rule] }));
    assert_eq!(rules.evaluate(&event(&message(json!({}))), &CONTEXT), None);
}
