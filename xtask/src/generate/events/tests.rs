//! What the generator makes of the schemas of events.

use serde_json::{Value, json};

use super::*;
use crate::generate::emit;
use crate::generate::overrides::Overrides;
use crate::generate::spec::Spec;

/// A schema of an event with this content, which is of a kind by what it refers to.
fn schema(kind: &str, content: Value) -> Value {
    json!({"allOf": [{"$ref": format!("core-event-schema/{kind}.yaml")}],
        "properties": {"content": content}})
}

fn object(properties: Value, required: Value) -> Value {
    json!({"type": "object", "properties": properties, "required": required})
}

/// The types, and the code of each module, for schemas by the name of their file.
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
fn a_content_is_named_after_its_type_and_goes_to_the_module_of_its_kind() {
    let content = || object(json!({"x": {"type": "string"}}), json!([]));
    let (types, _) = generate(
        &[
            ("m.room.member", schema("state_event", content())),
            ("m.call.invite", schema("room_event", content())),
            ("m.key.verification.done", schema("event", content())),
            ("m.tag", schema("event", content())),
        ],
        "events:\n  kinds:\n    - why: w\n      at:\n        m.tag: account_data\n        \
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
fn a_type_of_which_nobody_says_the_kind_is_an_error() {
    let content = json!({"type": "object"});
    let schemas = [("m.odd", schema("event", content))];
    let error = generate(&schemas, "events: {}").err().unwrap();
    assert!(error.contains("the kind of m.odd"), "{error}");
}

#[test]
fn a_file_for_each_shape_makes_one_type_of_all() {
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
        "codec::tagged(from, \"msgtype\", &[]",
        "codec::Tag::Is(\"m.text\") => found.read().map(Self::Text),",
        // Of one value, and so no field; any other value is one.
        "pub fn new(body: impl Into<String>) -> Self",
        "map.serialize_entry(\"msgtype\", \"m.text\")?;",
        "pub fn new(body: impl Into<String>, msgtype: impl Into<String>) -> Self",
    ] {
        assert!(code.contains(part), "{part} is not in {code}");
    }
    assert!(!code.contains("TextMessageMsgtype"), "{code}");
}

#[test]
fn a_map_is_wrapped_and_an_empty_text_may_be_none() {
    let map = json!({"type": "object", "patternProperties":
        {"^@": {"x-pattern-format": "mx-user-id", "type": "integer"}}});
    let alias = object(json!({"alias": {"type": "string"}}), json!([]));
    let (_, code) = generate(
        &[
            ("m.room.counts", schema("state_event", map)),
            ("m.room.alias", schema("state_event", alias)),
        ],
        "events:\n  blank:\n    - why: w\n      at: [m.room.alias/alias]\n",
    )
    .unwrap();
    assert!(
        code.contains("pub struct RoomCounts(pub SortedMap<UserId, u64>);"),
        "{code}"
    );
    assert!(
        code.contains("alias = codec::filled(&mut entries)?"),
        "{code}"
    );
}

#[test]
fn a_definition_takes_the_place_of_a_bare_object() {
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
