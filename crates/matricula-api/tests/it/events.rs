//! Event contents: constructors, unknown data, and rejected data.

use matricula_api::{
    EventId, Raw, StringOr, UserId,
    client::definitions::KeyObject,
    common::PushCondition,
    events::{
        self, AnyAccountData, AnyEphemeral, AnyMessage, AnyState, AnyToDevice, BasicEvent,
        CallInvite, CallVersion, CrossSigningMaster, EventContent, EventKind, ForwardedRoomKey,
        FullyRead, IdentityServer, JoinRule, KeyVerificationStart, Membership, Mentions,
        PolicyRuleUser, PowerLevel, PushRules, Reaction, Receipt, Relation, RoomCanonicalAlias,
        RoomEncrypted, RoomEvent, RoomJoinRules, RoomKey, RoomKeyBundle, RoomMember, RoomMessage,
        RoomName, RoomPowerLevels, RoomTopic, SecretSend, SecretStorageKey, SpaceChild,
        StrippedState, Tag, ToDeviceEvent, Typing, message::TextMessage,
    },
};
use serde_json::{Value, json};

use crate::first_part;

fn event_id(id: &str) -> EventId {
    id.parse().unwrap()
}

fn user(id: &str) -> UserId {
    id.parse().unwrap()
}

fn written(content: &impl EventContent) -> Value {
    serde_json::from_str(content.to_raw().json()).unwrap()
}

fn content<C: EventContent>(json: Value) -> C {
    C::from_raw(&raw(json)).unwrap()
}

/// Why a content is refused.
/// What is invalid in a content: as a whole, or a part of it.
fn refused<C: EventContent + std::fmt::Debug>(json: Value) -> String {
    let content = raw(json);
    match C::from_raw(&content) {
        Err(error) => error.message().to_owned(),
        Ok(_) => first_part(&events::invalid_parts(C::TYPE, &content)).unwrap(),
    }
}

fn raw(json: Value) -> Raw {
    Raw::new(&json).unwrap()
}

/// Reads a content, and asserts that it is written back unchanged.
fn survives<C: EventContent>(json: Value) -> C {
    let read: C = content(json.clone());
    assert_eq!(written(&read), json);
    read
}

fn room_event(kind: &str, content: Value) -> RoomEvent {
    let event = json!({
        "type": kind,
        "content": content,
        "event_id": "$event:example.org",
        "sender": "@alice:example.org",
        "origin_server_ts": 1,
    });
    RoomEvent::from_raw(&raw(event)).unwrap()
}

#[test]
fn message_constructors_set_fields() {
    let bob = [user("@bob:example.org")];
    let root = || event_id("$root:example.org");
    for (made, expected) in [
        (
            RoomMessage::text("hello"),
            json!({"msgtype": "m.text", "body": "hello"}),
        ),
        (
            RoomMessage::html("hello", "<b>hello</b>"),
            json!({"msgtype": "m.text", "body": "hello", "format": "org.matrix.custom.html",
                "formatted_body": "<b>hello</b>"}),
        ),
        (
            RoomMessage::notice("done"),
            json!({"msgtype": "m.notice", "body": "done"}),
        ),
        (
            RoomMessage::emote("waves"),
            json!({"msgtype": "m.emote", "body": "waves"}),
        ),
        (
            RoomMessage::text("hello").mention(bob.clone()).mention(bob),
            json!({"msgtype": "m.text", "body": "hello",
                "m.mentions": {"user_ids": ["@bob:example.org"]}}),
        ),
        (
            RoomMessage::text("hello").in_thread(root(), root()),
            json!({"msgtype": "m.text", "body": "hello", "m.relates_to": {
                "rel_type": "m.thread", "event_id": "$root:example.org", "is_falling_back": true,
                "m.in_reply_to": {"event_id": "$root:example.org"}}}),
        ),
        (
            RoomMessage::html("better", "<i>better</i>").edit_of(root()),
            json!({"msgtype": "m.text", "body": "* better", "format": "org.matrix.custom.html",
                "formatted_body": "* <i>better</i>",
                "m.new_content": {"msgtype": "m.text", "body": "better",
                    "format": "org.matrix.custom.html", "formatted_body": "<i>better</i>"},
                "m.relates_to": {"rel_type": "m.replace", "event_id": "$root:example.org"}}),
        ),
    ] {
        assert_eq!(written(&made), expected);
        survives::<RoomMessage>(expected);
    }
}

#[test]
fn reply_stays_in_its_thread() {
    let plain = room_event(
        "m.room.message",
        json!({"msgtype": "m.text", "body": "one"}),
    );
    let answer = RoomMessage::text("two").reply_to(&plain);
    assert_eq!(
        written(&answer),
        json!({"msgtype": "m.text", "body": "two",
            "m.relates_to": {"m.in_reply_to": {"event_id": "$event:example.org"}},
            "m.mentions": {"user_ids": ["@alice:example.org"]}})
    );
    let relation = answer.relates_to().unwrap();
    assert_eq!(relation.in_reply_to(), Some(&plain.event_id));
    assert_eq!(relation.thread_root(), None);

    // For any event type, even with an unreadable content.
    let thread = json!({"algorithm": "org.example.none", "m.relates_to": {
        "rel_type": "m.thread", "event_id": "$root:example.org", "is_falling_back": true,
        "m.in_reply_to": {"event_id": "$other:example.org"}}});
    let threaded = room_event("m.room.encrypted", thread);
    let relation = threaded.relation().unwrap();
    assert_eq!(relation.in_reply_to(), None, "it only shows as answered");
    let answer = RoomMessage::text("two").reply_to(&threaded);
    assert_eq!(
        written(&answer)["m.relates_to"],
        json!({"rel_type": "m.thread", "event_id": "$root:example.org", "is_falling_back": false,
            "m.in_reply_to": {"event_id": "$event:example.org"}})
    );
}

#[test]
fn content_constructors_set_fields() {
    let reaction = Reaction::new(event_id("$event:example.org"), "👍");
    assert_eq!(
        written(&reaction),
        json!({"m.relates_to":
            {"rel_type": "m.annotation", "event_id": "$event:example.org", "key": "👍"}})
    );
    let (to, key) = reaction.annotation().unwrap();
    assert_eq!((to.as_str(), key), ("$event:example.org", "👍"));

    let member = RoomMember::new(Membership::Join).displayname("Alice");
    let expected = json!({"membership": "join", "displayname": "Alice"});
    assert_eq!(written(&member), expected);
    assert_eq!(
        written(&RoomName::default().name("Lobby")),
        json!({"name": "Lobby"})
    );
    assert_eq!(
        written(&RoomJoinRules::new(JoinRule::Invite)),
        json!({"join_rule": "invite"})
    );
    assert_eq!(
        written(&Typing::new(vec![user("@a:b.c")])),
        json!({"user_ids": ["@a:b.c"]})
    );
    assert_eq!(
        written(
            &PolicyRuleUser::default()
                .entity("@spam*:*")
                .recommendation("m.ban")
                .reason("spam")
        ),
        json!({"entity": "@spam*:*", "recommendation": "m.ban", "reason": "spam"})
    );
    assert_eq!(
        written(&RoomMessage::from(
            TextMessage::new("all").mentions(Mentions::everybody())
        )),
        json!({"msgtype": "m.text", "body": "all", "m.mentions": {"room": true}})
    );
    let ids = Mentions::users([user("@a:b.c")]).user_ids;
    assert_eq!(ids, Some(vec![user("@a:b.c")].into()));
}

#[test]
fn edit_contains_new_content() {
    let edit = RoomMessage::text("new").edit_of(event_id("$old:example.org"));
    assert_eq!(edit.body(), "* new");
    assert_eq!(edit.edited().unwrap(), Ok(RoomMessage::text("new")));
    assert!(matches!(edit.relates_to(), Some(Relation::Replacement(_))));
    assert!(RoomMessage::text("new").edited().is_none());
}

#[test]
fn types_have_name_and_kinds() {
    assert_eq!(RoomMember::TYPE, "m.room.member");
    assert_eq!(RoomMember::KINDS, [EventKind::State]);
    assert_eq!(RoomMessage::KINDS, [EventKind::Message]);
    assert_eq!(Receipt::KINDS, [EventKind::Ephemeral]);
    assert_eq!(Tag::KINDS, [EventKind::AccountData]);
    assert_eq!(RoomKey::KINDS, [EventKind::ToDevice]);
    let both = [EventKind::Message, EventKind::ToDevice];
    assert_eq!(RoomEncrypted::KINDS, both);
    assert_eq!(KeyVerificationStart::KINDS, both);
    assert_eq!(SecretStorageKey::TYPE, "m.secret_storage.key.");
}

#[test]
fn tag_may_be_the_last_field() {
    let last = r#"{"body": "hello", "m.relates_to": {"event_id": "$a:b.c", "rel_type": "m.reference"}, "msgtype": "m.notice"}"#;
    let read = RoomMessage::from_raw(&Raw::<Value>::from_json(last.to_owned()).unwrap()).unwrap();
    assert!(matches!(read, RoomMessage::Notice(_)), "{read:?}");
    assert!(matches!(read.relates_to(), Some(Relation::Reference(_))));
    // And from a tree as from a text.
    let tree: Value = serde_json::from_str(last).unwrap();
    assert_eq!(serde_json::from_value::<RoomMessage>(tree).unwrap(), read);
}

#[test]
fn unknown_types_are_preserved() {
    let poll = json!({"msgtype": "org.example.poll", "body": "?", "options": [1, {"a": null}],
        "m.mentions": {}});
    let RoomMessage::Other(other) = survives(poll) else {
        panic!("it is another message");
    };
    assert_eq!((&*other.msgtype, &*other.body), ("org.example.poll", "?"));

    for relation in [
        json!({"rel_type": "org.example.after", "event_id": "$a:b.c", "weight": 3}),
        json!({"rel_type": "org.example.none"}),
        json!({}),
    ] {
        let reaction: Reaction = survives(json!({"m.relates_to": relation}));
        assert!(matches!(reaction.relates_to, Some(Relation::Other(_))));
        assert_eq!(reaction.annotation(), None);
    }
    let reply = json!({"m.in_reply_to": {"event_id": "$a:b.c", "x": 1}, "y": 2});
    let reaction: Reaction = survives(json!({"m.relates_to": reply}));
    assert!(matches!(reaction.relates_to, Some(Relation::Reply(_))));

    let encrypted: RoomEncrypted = survives(json!({"algorithm": "org.example.a", "c": [1]}));
    assert!(matches!(encrypted, RoomEncrypted::Other(_)));
    let start = json!({"method": "org.example.m", "from_device": "D", "secret": 1});
    let start: KeyVerificationStart = survives(start);
    assert!(matches!(start, KeyVerificationStart::Other(_)));

    let member: RoomMember = survives(json!({"membership": "org.example.lurk", "mood": "fine"}));
    assert_eq!(
        member.membership,
        Membership::Other("org.example.lurk".into())
    );
    assert_eq!(member.extra["mood"], "fine");
}

#[test]
fn every_kind_preserves_unknown_types() {
    let odd = raw(json!({"a": [1]}));
    macro_rules! keeps {
        ($($any:ident)*) => {$(
            let read = $any::read("org.example.odd", &odd).unwrap();
            assert_eq!(read.event_type(), "org.example.odd");
            assert_eq!(serde_json::to_value(&read).unwrap(), json!({"a": [1]}));
            let $any::Unknown(unknown) = read else { panic!("{read:?}") };
            assert_eq!(unknown.content, odd);
        )*};
    }
    keeps!(AnyState AnyMessage AnyEphemeral AnyAccountData AnyToDevice);
    // A type is known only among those of its kind.
    let name = AnyMessage::read("m.room.name", &raw(json!({}))).unwrap();
    assert!(matches!(name, AnyMessage::Unknown(_)));
}

#[test]
fn event_type_may_have_suffix() {
    let key = json!({"algorithm": "m.secret_storage.v1.aes-hmac-sha2", "iv": "i", "mac": "m"});
    let read = AnyAccountData::read("m.secret_storage.key.abc", &raw(key)).unwrap();
    assert_eq!(read.event_type(), "m.secret_storage.key.abc");
    let AnyAccountData::SecretStorageKey(id, key) = read else {
        panic!("{read:?}");
    };
    assert_eq!((&*id, key.mac.as_deref()), ("abc", Some("m")));
}

#[test]
fn object_or_string_is_read_alone() {
    let keys = json!([
        "plain",
        { "key": "x", "signatures": { "@a:b.c": { "ed25519:A": "y" } }, "fallback": true },
    ]);
    for key in keys.as_array().unwrap() {
        let read: StringOr<KeyObject> = serde_json::from_str(&key.to_string()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), *key);
        let same: StringOr<KeyObject> = serde_json::from_value(key.clone()).unwrap();
        assert_eq!(same, read);
    }
    for other in ["1", "null", "[]", "true", "{}"] {
        serde_json::from_str::<StringOr<KeyObject>>(other).unwrap_err();
    }
}

#[test]
fn push_conditions_and_actions_are_typed() {
    let rules: PushRules = survives(json!({"global": {"override": [{
        "rule_id": ".m.rule.x", "default": true, "enabled": true,
        "actions": ["notify", {"set_tweak": "sound", "value": "ring"}, {"set_tweak": "highlight"}],
        "conditions": [
            {"kind": "event_match", "key": "type", "pattern": "m.call.invite"},
            {"kind": "event_property_is", "key": "content.x", "value": null},
            {"kind": "room_member_count", "is": "2"},
            {"kind": "org.example.moon", "phase": "full"},
        ],
    }]}, "device": {}}));
    let rule = &rules.global.unwrap().overrides.unwrap()[0];
    assert_eq!(rule.actions[0], StringOr::Text("notify".into()));
    let StringOr::Object(sound) = &rule.actions[1] else {
        panic!("{:?}", rule.actions)
    };
    assert_eq!(
        (&*sound.set_tweak, &sound.value),
        ("sound", &Some(json!("ring")))
    );
    let conditions = rule.conditions.as_ref().unwrap();
    assert!(matches!(conditions[0], PushCondition::EventMatch(_)));
    assert!(
        matches!(&conditions[1], PushCondition::EventPropertyIs(is) if is.value == Value::Null)
    );
    assert!(matches!(&conditions[2], PushCondition::RoomMemberCount(count) if count.count == "2"));
    assert!(matches!(conditions[3], PushCondition::Other(_)));
}

#[test]
fn event_error_names_the_path() {
    let text = |more: Value| {
        let mut message = json!({"msgtype": "m.text", "body": "secret words"});
        let more = more.as_object().unwrap().clone();
        message.as_object_mut().unwrap().extend(more);
        message
    };
    for (reason, expected) in [
        (
            refused::<RoomMember>(json!({})),
            "missing field `membership`",
        ),
        (
            refused::<RoomMember>(json!({"membership": 5})),
            "expected a string, found integer, at /membership",
        ),
        (
            refused::<RoomMessage>(json!({"msgtype": "m.text"})),
            "missing field `body`",
        ),
        (
            refused::<RoomMessage>(json!({"msgtype": 5, "body": "b"})),
            "expected a string, found integer, at /msgtype",
        ),
        (
            refused::<RoomMessage>(json!({"msgtype": "m.file", "body": "b", "file": {"url": 5}})),
            "expected a content address, found integer, at /file/url",
        ),
        (
            refused::<RoomMessage>(text(json!({"formatted_body": 5}))),
            "expected a string, found integer, at /formatted_body",
        ),
        (
            refused::<RoomMessage>(
                json!({"msgtype": "m.file", "body": "b", "file": {"hashes": {"a": 5}}}),
            ),
            "missing field `url`, at /file",
        ),
        (
            refused::<PushRules>(json!({"global": {"room": [{"rule_id": "a", "default": true,
                "enabled": true, "actions": [], "conditions": [{"kind": 5}]}]}})),
            "expected a string, found integer, at /global/room/0/conditions/0/kind",
        ),
        (
            refused::<RoomPowerLevels>(json!({"users": {"@a:b.c": "many"}})),
            "it is not a whole number, at /users/@a:b.c",
        ),
        (
            refused::<FullyRead>(json!({"event_id": 5})),
            "expected a event id, found integer, at /event_id",
        ),
    ] {
        assert_eq!(reason, expected);
    }
    let error = AnyState::read("m.room.member", &raw(json!({"membership": 1}))).unwrap_err();
    assert_eq!(error.event_type(), "m.room.member");
    assert_eq!(
        error.to_string(),
        "the m.room.member event is not valid: expected a string, found integer, at /membership"
    );
}

#[test]
fn wrong_message_type_is_rejected() {
    let notice = r#"{"msgtype": "m.notice", "body": "b"}"#;
    let error = serde_json::from_str::<TextMessage>(notice).unwrap_err();
    assert!(error.to_string().starts_with("not `m.text`"), "{error}");
}

#[test]
fn null_in_contents_is_absence() {
    let member: RoomMember = content(json!({"membership": "join", "displayname": null,
        "avatar_url": null, "is_direct": null, "third_party_invite": null}));
    assert_eq!(member, RoomMember::new(Membership::Join));
    let message: RoomMessage = content(json!({"msgtype": "m.text", "body": "b",
        "m.relates_to": null, "m.mentions": null, "m.new_content": null, "format": null}));
    assert_eq!(message, RoomMessage::text("b"));
    // Except where null has a meaning.
    let none: IdentityServer = survives(json!({"base_url": null}));
    assert_eq!(none.base_url, Some(Value::Null));
    assert_eq!(survives::<IdentityServer>(json!({})).base_url, None);
}

#[test]
fn old_formats_are_read() {
    let levels: RoomPowerLevels = content(json!({"ban": "50", "users": {"@a:b.c": " -1"},
        "notifications": {"room": "20", "org.example": 7}}));
    assert_eq!(levels.ban, Some(PowerLevel(50)));
    assert_eq!(
        written(&levels),
        json!({"ban": 50, "users": {"@a:b.c": -1}, "notifications": {"room": 20, "org.example": 7}})
    );

    let alias: RoomCanonicalAlias = content(json!({"alias": ""}));
    assert_eq!(alias, RoomCanonicalAlias::default());
    let alias: RoomCanonicalAlias = survives(json!({"alias": "#a:b.c"}));
    assert_eq!(alias.alias.unwrap().as_str(), "#a:b.c");
    assert!(refused::<RoomCanonicalAlias>(json!({"alias": "a"})).ends_with(", at /alias"));

    let call: CallInvite = survives(json!({"call_id": "c", "version": 0, "lifetime": 60000,
        "offer": {"type": "offer", "sdp": "s"}}));
    assert_eq!(call.version, CallVersion::V0);
    assert!(refused::<CallInvite>(json!({"version": 1})).ends_with(", at /version"));

    // Empty contents take names, topics and children away.
    survives::<RoomName>(json!({}));
    survives::<RoomTopic>(json!({}));
    survives::<SpaceChild>(json!({}));
}

#[test]
fn secrets_in_contents_are_masked() {
    let key = json!({"algorithm": "m.megolm.v1.aes-sha2", "room_id": "!a:b.c", "session_id": "id",
        "session_key": "hidden"});
    let mut forwarded = key.clone();
    forwarded["sender_key"] = json!("k");
    forwarded["sender_claimed_ed25519_key"] = json!("k");
    forwarded["forwarding_curve25519_key_chain"] = json!([]);
    let file = json!({"url": "mxc://a.b/c", "iv": "i", "hashes": {}, "v": "v2",
        "key": {"kty": "oct", "key_ops": [], "alg": "A256CTR", "k": "hidden", "ext": true}});
    let start = json!({"method": "m.reciprocate.v1", "from_device": "D", "secret": "hidden"});
    let stored = json!({"encrypted": {"id": {"iv": "i", "ciphertext": "hidden", "mac": "m"}}});
    for shown in [
        format!("{:?}", survives::<RoomKey>(key)),
        format!("{:?}", survives::<ForwardedRoomKey>(forwarded)),
        format!(
            "{:?}",
            survives::<SecretSend>(json!({"request_id": "r", "secret": "hidden"}))
        ),
        format!(
            "{:?}",
            survives::<RoomKeyBundle>(json!({"room_id": "!a:b.c", "file": file}))
        ),
        format!("{:?}", survives::<KeyVerificationStart>(start)),
        format!("{:?}", survives::<CrossSigningMaster>(stored)),
        format!(
            "{:?}",
            survives::<RoomName>(json!({"org.example.password": "hidden"}))
        ),
        format!(
            "{:?}",
            AnyToDevice::read("org.example", &raw(json!({"key": "hidden"}))).unwrap()
        ),
    ] {
        assert!(!shown.contains("hidden"), "{shown}");
    }
}

#[test]
fn events_give_typed_contents() {
    let event = room_event("m.room.message", json!({"msgtype": "m.text", "body": "b"}));
    assert!(event.state().is_none());
    let message = event.message().unwrap().unwrap();
    assert_eq!(message, AnyMessage::RoomMessage(RoomMessage::text("b")));
    let again = event.content_as::<RoomMessage>().unwrap();
    assert_eq!(again, Ok(RoomMessage::text("b")));
    assert!(event.content_as::<RoomName>().is_none());

    let mut event = room_event("m.room.name", json!({"name": "Lobby"}));
    event.state_key = Some(String::new());
    assert!(event.message().is_none());
    let name = RoomName::default().name("Lobby");
    assert_eq!(event.state().unwrap(), Ok(AnyState::RoomName(name.clone())));

    let stripped = json!({"type": "m.room.name", "state_key": "", "content": {"name": "Lobby"},
        "sender": "@a:b.c", "origin_server_ts": 5});
    let stripped = StrippedState::from_raw(&raw(stripped)).unwrap();
    assert_eq!(stripped.state(), Ok(AnyState::RoomName(name)));
    assert_eq!(stripped.extra["origin_server_ts"], 5);

    let dummy = json!({"type": "m.dummy", "sender": "@a:b.c", "content": {}});
    let dummy = ToDeviceEvent::from_raw(&raw(dummy)).unwrap();
    assert!(matches!(dummy.to_device(), Ok(AnyToDevice::Dummy(_))));

    let typing = json!({"type": "m.typing", "content": {"user_ids": []}, "room_id": "!a:b.c"});
    let typing = BasicEvent::from_raw(&raw(typing)).unwrap();
    let read = typing.ephemeral().unwrap();
    assert_eq!(read, AnyEphemeral::Typing(Typing::new(vec![])));
    let tag = json!({"type": "m.tag", "content": {"tags": {"u.work": {"order": 0.5}}}});
    let tag = BasicEvent::from_raw(&raw(tag)).unwrap();
    assert!(matches!(tag.account_data(), Ok(AnyAccountData::Tag(_))));

    let error = RoomEvent::from_raw(&raw(json!({"type": 1}))).unwrap_err();
    assert_eq!(
        error.message(),
        "expected a string, found integer, at /type"
    );
}

#[test]
fn redacted_content_is_no_error() {
    let broken = room_event("m.room.message", json!({"body": 5}));
    assert!(broken.message().unwrap().is_err());
    assert!(!broken.is_redacted());

    let mut redacted = serde_json::to_value(&broken).unwrap();
    redacted["unsigned"] = json!({"redacted_because": {"type": "m.room.redaction"}});
    let redacted = RoomEvent::from_raw(&raw(redacted)).unwrap();
    assert!(redacted.is_redacted());
    let left = redacted.message().unwrap().unwrap();
    assert!(matches!(left, AnyMessage::Unknown(_)));
    assert_eq!(left.event_type(), "m.room.message");
}

#[test]
fn endless_nesting_is_preserved() {
    let depth = 100_000;
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = open.repeat(depth) + "1" + &close.repeat(depth);
        for json in [
            format!(r#"{{"msgtype":"m.text","body":"b","x":{deep}}}"#),
            format!(r#"{{"msgtype":"org.example","body":"b","x":{deep}}}"#),
            format!(r#"{{"msgtype":"m.text","body":"b","m.relates_to":{deep}}}"#),
            format!(r#"{{"msgtype":"m.text","body":"b","m.relates_to":{{"rel_type":{deep}}}}}"#),
        ] {
            let content = Raw::<Value>::from_json(json).unwrap();
            let message = RoomMessage::from_raw(&content).unwrap();
            assert_eq!(message.to_raw().json().len(), content.json().len());
        }
    }
    // A message in a message in a message is read one at a time.
    let edit = r#"{"msgtype":"m.text","body":"b","m.new_content":"#;
    let deep = edit.repeat(depth) + r#"{"msgtype":"m.text","body":"b"}"# + &"}".repeat(depth);
    let content = Raw::<Value>::from_json(deep).unwrap();
    let message = RoomMessage::from_raw(&content).unwrap();
    assert_eq!(message.edited().unwrap().unwrap().body(), "b");
}

#[test]
fn uploaded_files_are_messages() {
    let url = || "mxc://b.test/AbCdEf".parse().unwrap();
    for (message, kind) in [
        (RoomMessage::image("cat.png", url()), "m.image"),
        (RoomMessage::file("cat.zip", url()), "m.file"),
        (RoomMessage::audio("cat.ogg", url()), "m.audio"),
        (RoomMessage::video("cat.mp4", url()), "m.video"),
    ] {
        let json = json!({ "msgtype": kind, "body": message.body(), "url": "mxc://b.test/AbCdEf" });
        assert_eq!(written(&message), json);
    }
}

#[test]
fn raw_is_read_as_another_type() {
    let raw = raw(json!({ "msgtype": "m.text", "body": "hi" }));
    let text: Value = raw.read_as().unwrap();
    assert_eq!(text["body"], "hi");
    raw.read_as::<Vec<String>>().unwrap_err();
    let cast: Raw<RoomMessage> = raw.cast();
    assert_eq!(RoomMessage::from_raw(&cast).unwrap().body(), "hi");
}
