//! Tests of the generator: from event schemas to code.

use serde_json::{Value, json};

use super::*;
use crate::generate::emit;
use crate::generate::overrides::Overrides;
use crate::generate::spec::Spec;

/// The schema of an event with this content. What it refers to determines its kind.
fn schema(kind: &str, content: Value) -> Value {
    json!({"allOf": [{"$ref": format!("core-event-schema/{kind}.yaml")}],
        "properties": {"content": content}})
}

fn object(properties: Value, required: Value) -> Value {
    json!({"type": "object", "properties": properties, "required": required})
}

/// The event types and the code for schemas, by file name.
fn generate(schemas: &[(&str, Value)], yaml: &str) -> Result<(Vec<EventType>, String)> {
    let envelope = object(json!({"content": {"type": "object"}}), json!(["content"]));
    let mut files: Vec<(String, Value)> = ["event", "room_event", "state_event"]
        .map(|kind| {
            (
                format!("{DIR}/core-event-schema/{kind}.yaml"),
                envelope.clone(),
            )
        })
        .into();
    let sources: Vec<String> = schemas
        .iter()
        .map(|(name, _)| format!("{DIR}/{name}.yaml"))
        .collect();
    files.extend(
        sources
            .iter()
            .cloned()
            .zip(schemas.iter().map(|(_, schema)| schema.clone())),
    );
    let overrides = Overrides::read(yaml, "events")?;
    for (name, node) in overrides.all("definitions") {
        files.push((definitions::file(name), serde_json::to_value(node).unwrap()));
    }
    let texts: Vec<(&str, String)> = files
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_string()))
        .collect();
    let spec = Spec::of(&texts);
    let mut lowered = Lower::new(&spec, &overrides, DIR);
    let types = lower(&mut lowered, &sources)?;
    overrides.all_used()?;
    let code = lowered
        .modules
        .values()
        .map(|module| emit::module(module, ""))
        .collect();
    Ok((types, code))
}

#[test]
fn content_is_named_after_event_type() {
    let content = || object(json!({"x": {"type": "string"}}), json!([]));
    let (types, _) = generate(
        &[
            ("m.room.member", schema("state_event", content())),
            ("m.call.invite", schema("room_event", content())),
            ("m.key.verification.done", schema("event", content())),
            ("m.tag", schema("event", content())),
        ],
        "events:\n  event_kinds:\n    - why: w\n      at:\n        m.tag: account_data\n        \
         m.key.verification.done: message to_device\n",
    )
    .unwrap();
    let found: Vec<(&str, &str, &[Kind])> = types
        .iter()
        .map(|ty| (&*ty.content.module, &*ty.content.name, &*ty.kinds))
        .collect();
    assert_eq!(
        found,
        [
            ("call", "CallInvite", &[Kind::Message][..]),
            (
                "verification",
                "KeyVerificationDone",
                &[Kind::Message, Kind::ToDevice]
            ),
            ("room", "RoomMember", &[Kind::State]),
            ("account_data", "Tag", &[Kind::AccountData]),
        ]
    );
}

#[test]
fn unknown_event_kind_is_an_error() {
    let content = json!({"type": "object"});
    let schemas = [("m.odd", schema("event", content))];
    let error = generate(&schemas, "events: {}").err().unwrap();
    assert!(
        error.contains("the schema of m.odd does not say its kind"),
        "{error}"
    );
}

#[test]
fn variant_files_become_one_enum() {
    let shape = |tag: Value| {
        let fields = json!({"msgtype": tag, "body": {"type": "string"}});
        schema("room_event", object(fields, json!(["msgtype", "body"])))
    };
    let text = shape(json!({"type": "string", "enum": ["m.text"]}));
    let any = shape(json!({"type": "string"}));
    let (_, code) = generate(
        &[("m.room.message$m.text", text), ("m.room.message", any)],
        "events:\n  tagged:\n    - why: w\n      at: { m.room.message: { tag: msgtype } }\n",
    )
    .unwrap();
    for part in [
        "pub enum RoomMessage {",
        "Text(TextMessage),",
        "Other(OtherMessage),",
        "codec::tagged(reader, \"msgtype\", &[]",
        "codec::Tag::Is(\"m.text\") => TextMessage::read(reader).map(Self::Text),",
        // The tag is a constant in its variant, and a field in the catch-all variant.
        "pub fn new(body: impl Into<String>) -> Self",
        "map.serialize_entry(\"msgtype\", \"m.text\")?;",
        "pub fn new(body: impl Into<String>, msgtype: impl Into<String>) -> Self",
    ] {
        assert!(code.contains(part), "{part} is not in {code}");
    }
    assert!(!code.contains("TextMessageMsgtype"), "{code}");
}

#[test]
fn maps_are_wrapped() {
    let map = json!({"type": "object", "patternProperties":
        {"^@": {"x-pattern-format": "mx-user-id", "type": "integer"}}});
    let alias = object(json!({"alias": {"type": "string"}}), json!([]));
    let (_, code) = generate(
        &[
            ("m.room.counts", schema("state_event", map)),
            ("m.room.alias", schema("state_event", alias)),
        ],
        "events:\n  empty_as_absent:\n    - why: w\n      at: [m.room.alias/alias]\n",
    )
    .unwrap();
    assert!(
        code.contains("pub struct RoomCounts(pub SortedMap<UserId, u64>);"),
        "{code}"
    );
    assert!(
        code.contains("alias = reader.optional(\"alias\", &mut extra)?.and_then("),
        "{code}"
    );
}

#[test]
fn definition_replaces_untyped_object() {
    let file = object(json!({"file": {"type": "object"}}), json!(["file"]));
    let (_, code) = generate(
        &[("m.room.file", schema("state_event", file))],
        r#"{"events": {
            "definitions": [{"why": "w", "at": {"Locked":
                {"description": "A locked thing.", "type": "object", "properties": {"k": {"type": "string"}}}}}],
            "fields": [{"why": "w", "at": {"m.room.file": {"file": {"$ref": "definitions/Locked.yaml"}}}}],
            "secrets": [{"why": "w", "at": ["definitions/Locked.yaml/k"]}]}}"#,
    )
    .unwrap();
    for part in [
        "/// A locked thing.\n",
        "pub struct Locked {",
        "pub k: Option<Secret>,",
        "pub file: definitions::Locked,",
    ] {
        assert!(code.contains(part), "{part} is not in {code}");
    }
}
