//! The contents of events against the specification's own examples and schemas.
#![allow(clippy::print_stdout, reason = "the counts are part of the result")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use matricula_api::{
    Raw,
    events::{
        AnyAccountData, AnyEphemeral, AnyMessage, AnyState, AnyToDevice, BasicEvent, EventKind,
        RoomEvent, StrippedState,
    },
};
use serde_json::{Map, Value};

/// Where the schemas and examples of events are.
fn event_schemas() -> PathBuf {
    let spec = std::env::var_os("MATRIX_SPEC").expect("MATRIX_SPEC names the specification");
    let spec = PathBuf::from(spec);
    let inside = spec.join("data/event-schemas");
    match inside.is_dir() {
        true => inside,
        false => spec.join("event-schemas"),
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    files
}

/// An example, with what it refers to in it.
fn example(path: &Path) -> Value {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let value: Value =
        yaml_serde::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    resolve(value, path)
}

fn resolve(value: Value, path: &Path) -> Value {
    match value {
        Value::Object(mut fields) => {
            let base = fields.remove("$ref");
            let own: Map<String, Value> = fields
                .into_iter()
                .map(|(name, value)| (name, resolve(value, path)))
                .collect();
            let Some(base) = base else {
                return Value::Object(own);
            };
            let base = path.parent().unwrap().join(base.as_str().unwrap());
            match example(&base) {
                Value::Object(mut whole) => {
                    whole.extend(own);
                    Value::Object(whole)
                }
                other => other,
            }
        }
        Value::Array(items) => items.into_iter().map(|item| resolve(item, path)).collect(),
        other => other,
    }
}

/// The examples of events, by file name.
pub(crate) fn examples() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for path in files(&event_schemas().join("examples")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("m.") {
            found.push((name.to_owned(), example(&path)));
        }
    }
    found
}

/// Every kind of event.
pub(crate) const KINDS: [EventKind; 5] = [
    EventKind::State,
    EventKind::Message,
    EventKind::Ephemeral,
    EventKind::AccountData,
    EventKind::ToDevice,
];

/// A content, read as one of this kind and type, and written. An unknown one is an error.
pub(crate) fn read_content(
    kind: EventKind,
    event_type: &str,
    text: &str,
) -> Result<String, String> {
    let content = Raw::from_json(text.to_owned()).map_err(|error| error.to_string())?;
    macro_rules! through {
        ($any:ident) => {
            match $any::read(event_type, &content) {
                Ok($any::Unknown(_)) => Err("unknown".to_owned()),
                Ok(known) => Ok(serde_json::to_string(&known).unwrap()),
                Err(error) => Err(error.to_string()),
            }
        };
    }
    match kind {
        EventKind::State => through!(AnyState),
        EventKind::Message => through!(AnyMessage),
        EventKind::Ephemeral => through!(AnyEphemeral),
        EventKind::AccountData => through!(AnyAccountData),
        _ => through!(AnyToDevice),
    }
}

/// An event like `example`, read and written.
pub(crate) fn read_whole(example: &Value, text: &str) -> Result<String, String> {
    let raw = Raw::<Value>::from_json(text.to_owned()).map_err(|error| error.to_string())?;
    let written = match example.get("event_id") {
        Some(_) => RoomEvent::from_raw(&raw).map(|event| serde_json::to_string(&event)),
        None => BasicEvent::from_raw(&raw).map(|event| serde_json::to_string(&event)),
    };
    written
        .map(Result::unwrap)
        .map_err(|error| error.to_string())
}

/// A content, read and written by each kind of its type.
fn through_types(kind: &str, content: &Raw) -> Vec<Result<(Value, String), String>> {
    let mut found = Vec::new();
    macro_rules! through {
        ($($any:ident)*) => {$(
            match $any::read(kind, content) {
                Ok($any::Unknown(_)) => {}
                Ok(known) => {
                    assert_eq!(known.event_type(), kind);
                    let written = serde_json::to_value(&known).unwrap();
                    found.push(Ok((written, format!("{known:?}"))));
                }
                Err(error) => found.push(Err(error.to_string())),
            }
        )*};
    }
    through!(AnyState AnyMessage AnyEphemeral AnyAccountData AnyToDevice);
    found
}

#[test]
#[ignore = "needs the specification: set MATRIX_SPEC"]
fn event_examples_round_trip() {
    let (mut typed, mut kinds) = (0, 0);
    for (name, event) in examples() {
        let raw: Raw<Value> = Raw::new(&event).unwrap();
        let whole = match event.get("event_id") {
            Some(_) => serde_json::to_value(RoomEvent::from_raw(&raw).unwrap()),
            None => serde_json::to_value(BasicEvent::from_raw(&raw).unwrap()),
        };
        assert_eq!(whole.unwrap(), event, "{name}");

        let content = Raw::new(&event["content"]).unwrap();
        let found = through_types(event["type"].as_str().unwrap(), &content);
        assert!(!found.is_empty(), "{name}: no kind knows the type");
        for result in found {
            let (written, shown) = result.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(written, event["content"], "{name}");
            assert!(!shown.contains("Other("), "{name}: {shown}");
            kinds += 1;
        }
        typed += 1;
    }
    println!("{typed} examples, read as {kinds} contents");
    assert_eq!((typed, kinds), (83, 93));
}

#[test]
#[ignore = "needs the specification: set MATRIX_SPEC"]
fn envelope_examples_round_trip() {
    let core = event_schemas().join("examples/core");
    let mut found = 0;
    for path in files(&core) {
        let event = example(&path);
        let raw: Raw<Value> = Raw::new(&event).unwrap();
        let written = match event.get("event_id") {
            Some(_) => serde_json::to_value(RoomEvent::from_raw(&raw).unwrap()),
            None => serde_json::to_value(BasicEvent::from_raw(&raw).unwrap()),
        };
        assert_eq!(written.unwrap(), event, "{}", path.display());
        found += 1;
    }
    let mut stripped = 0;
    for name in ["invite_room_state.json", "knock_room_state.json"] {
        let events = example(&event_schemas().join("examples").join(name));
        for event in events.as_array().unwrap() {
            let read = StrippedState::from_raw(&Raw::<Value>::new(event).unwrap()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), *event);
            let state = read.state().unwrap();
            assert_eq!(serde_json::to_value(&state).unwrap(), event["content"]);
            stripped += 1;
        }
    }
    println!("{found} envelopes, {stripped} stripped events");
    assert_eq!((found, stripped), (4, 4));
}

#[test]
#[ignore = "needs the specification: set MATRIX_SPEC"]
fn every_event_schema_has_a_type() {
    let mut types = BTreeSet::new();
    let schemas = files(&event_schemas().join("schema"));
    for path in &schemas {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let root: Value = yaml_serde::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        // A part of events, and no event.
        if root["allOf"].is_null() {
            assert_eq!(stem, "m.key.verification.m.relates_to");
            continue;
        }
        let kind = stem.split('$').next().unwrap();
        let named = &root["properties"]["type"]["enum"][0];
        assert!(named.is_null() || named == kind, "{stem}");
        types.insert(kind.to_owned());
    }
    // No content is a number.
    let wrong = Raw::from_json("5".to_owned()).unwrap();
    for kind in &types {
        assert!(!through_types(kind, &wrong).is_empty(), "{kind}");
    }
    println!("{} schemas, {} types", schemas.len(), types.len());
    assert_eq!((schemas.len(), types.len()), (79, 66));
    assert!(through_types("org.example.custom", &wrong).is_empty());
}
