//! What the generator makes of each shape that it meets in the data.

use serde_json::{Value, json};

use super::overrides::Overrides;
use super::schema::Lower;
use super::spec::Spec;
use super::{emit, format_code};
use crate::Result;

const FILE: &str = "api/client-server/some_things.yaml";

/// A file of one operation. JSON is YAML.
fn file(path: &str, method: &str, operation: Value) -> Value {
    json!({
        "servers": [{"variables": {"basePath": {"default": "/_matrix/client/v3"}}}],
        "paths": {path: {method: operation}},
    })
}

fn json_content(schema: Value) -> Value {
    json!({"content": {"application/json": {"schema": schema}}})
}

/// An operation that answers `schema`.
fn answering(schema: Value) -> Value {
    let responses = json!({"200": json_content(schema)});
    let operation = json!({"operationId": "getThings", "responses": responses});
    file("/things", "get", operation)
}

/// An operation that is sent `schema`, at a path with two parameters.
fn sending(schema: Value) -> Value {
    let text = json!({"type": "string"});
    let operation = json!({
        "operationId": "setThing",
        "security": [{"accessTokenQuery": []}, {"accessTokenBearer": []}],
        "parameters": [
            {"in": "query", "name": "txn", "schema": text},
            {"in": "path", "name": "thingId", "required": true, "schema": text},
            {"in": "path", "name": "roomId", "required": true, "schema": text},
        ],
        "requestBody": json_content(schema),
        "responses": {"200": json_content(json!({"type": "object"})), "429": {}},
    });
    file("/rooms/{roomId}/things/{thingId} ", "put", operation)
}

/// The code for a file, with others beside it.
fn generate(main: Value, others: &[(&str, Value)], overrides: &str) -> Result<String> {
    let mut files = vec![(FILE, main.to_string())];
    files.extend(others.iter().map(|(name, file)| (*name, file.to_string())));
    let spec = Spec::of(&files);
    let overrides = Overrides::read(overrides, "client")?;
    let mut lower = Lower::new(&spec, &overrides, "api/client-server");
    lower.lower_file(FILE)?;
    overrides.all_used()?;
    let modules = lower.modules.values();
    modules
        .map(|module| format_code(&emit::module(module, "Client")))
        .collect()
}

/// Asserts that each of `expected` is in the code, wherever lines are broken.
fn assert_has(code: &str, expected: &[&str]) {
    let squeeze = |text: &str| text.split_whitespace().collect::<String>();
    for part in expected {
        assert!(
            squeeze(code).contains(&squeeze(part)),
            "no {part} in\n{code}"
        );
    }
}

fn answer(schema: Value, expected: &[&str]) {
    assert_has(
        &generate(answering(schema), &[], "client:").unwrap(),
        expected,
    );
}

#[test]
fn fields_are_optional_unless_they_are_required() {
    let schema = json!({
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"type": "integer"},
            "m.name": {"type": "string", "x-addedInMatrixVersion": "1.3"},
            "sent_ts": {"type": "integer", "format": "int64"},
            "owner": {"type": "string", "format": "mx-user-id"},
        },
    });
    let optional = "#[serde(skip_serializing_if = \"Option::is_none\")]";
    answer(
        schema,
        &[
            "/// The answer to [`GetThings`].",
            "pub struct GetThingsResponse {",
            "pub size: u64,",
            "/// `m.name`. Since 1.3.
             #[serde(rename = \"m.name\", skip_serializing_if = \"Option::is_none\")]
             pub name: Option<String>,",
            &format!("{optional} pub sent_ts: Option<Timestamp>,"),
            &format!("{optional} pub owner: Option<UserId>,"),
            "pub fn new(size: u64) -> Self",
        ],
    );
}

#[test]
fn an_answer_without_fields_is_an_empty_struct() {
    answer(
        json!({"type": "object", "properties": {}}),
        &[
            "pub struct GetThingsResponse {}",
            "type Response = GetThingsResponse;",
        ],
    );
}

#[test]
fn maps_lists_and_free_objects_keep_their_shape() {
    let by_user = json!({"type": "object", "patternProperties": {
        "^@": {"x-pattern-format": "mx-user-id", "type": "array", "items": {"type": "boolean"}},
    }});
    let schema = json!({"type": "object", "properties": {
        "by_user": by_user,
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
        "content": {"type": "object"},
        "anything": {"description": "no type at all"},
        "maybe": {"type": ["string", "null"]},
        "actions": {"type": "array", "items": {"type": ["object", "string"]}},
    }});
    answer(
        schema,
        &[
            "pub by_user: Option<BTreeMap<UserId, Vec<bool>>>,",
            "pub counts: Option<BTreeMap<String, u64>>,",
            "pub content: Option<Map<String, Value>>,",
            "pub anything: Option<Value>,",
            "pub maybe: Option<String>,",
            "pub actions: Option<Vec<TextOr<Map<String, Value>>>>,",
        ],
    );
    answer(
        json!({"type": "array", "items": {"type": "string"}}),
        &["type Response = Vec<String>;"],
    );
}

#[test]
fn a_wrapper_of_one_schema_is_that_schema_and_two_are_merged() {
    let base = json!({
        "type": "object",
        "required": ["id"],
        "properties": {"id": {"type": "string"}, "kind": {"type": "string"}},
    });
    let part = json!({"$ref": "definitions/a_base.yaml"});
    let more = json!({
        "type": "object",
        "title": "Bigger base",
        "required": ["kind"],
        // The second says nothing of its own, and must not take the type away.
        "properties": {"size": {"type": "number"}, "kind": {"description": "say more"}},
    });
    let schema = json!({"type": "object", "properties": {
        "plain": {"description": "a wrapper", "allOf": [part]},
        "merged": {"allOf": [part, more]},
    }});
    let beside = [("api/client-server/definitions/a_base.yaml", base)];
    let code = generate(answering(schema), &beside, "client:").unwrap();
    assert_has(
        &code,
        &[
            "pub plain: Option<definitions::ABase>,",
            "/// The shared definition `a_base`.",
            "pub struct ABase { /// `id`. pub id: String, /// `kind`.
             #[serde(skip_serializing_if = \"Option::is_none\")] pub kind: Option<String>, }",
            "pub merged: Option<BiggerBase>,",
            "pub struct BiggerBase { /// `id`. pub id: String, /// `kind`. pub kind: String,",
        ],
    );
}

#[test]
fn what_stands_beside_the_fields_is_kept() {
    let schema = json!({
        "type": "object",
        "required": ["one"],
        "properties": {"one": {"type": "string"}, "two": {"type": "string"}},
        "additionalProperties": {"description": "anything"},
    });
    answer(
        schema,
        &[
            "pub extra: Map<String, Value>,",
            "one: fields.required(\"one\")?, two: fields.optional(\"two\")?, extra: fields.rest(),",
            "map.serialize_entry(\"one\", &self.one)?;",
        ],
    );
}

#[test]
fn texts_of_the_same_values_share_a_type_if_told_to() {
    let schema = json!({"type": "object", "properties": {
        "colour": {"type": "string", "enum": ["m.light_red", "green"]},
        "dir": {"type": "string", "enum": ["f", "b"]},
    }});
    let overrides = "client: { enums: [ { why: w, at: { 'b,f': Direction } } ] }";
    let code = generate(answering(schema), &[], overrides).unwrap();
    assert_has(
        &code,
        &[
            "pub colour: Option<GetThingsResponseColour>,",
            "LightRed = \"m.light_red\",",
            "pub dir: Option<definitions::Direction>,",
        ],
    );
}

#[test]
fn a_title_that_is_taken_gives_way_to_the_name_of_the_field() {
    let thing = |field: &str| json!({"type": "object", "title": "Thing", "properties": {field: {"type": "string"}}});
    let schema = json!({"type": "object", "properties": {
        "first": thing("a"), "second": thing("b"), "result": {
            "type": "object", "title": "Result", "properties": {"c": {"type": "string"}},
        },
    }});
    answer(
        schema,
        &[
            "pub first: Option<Thing>,",
            "pub second: Option<GetThingsResponseSecond>,",
            "pub result: Option<GetThingsResponseResult>,",
        ],
    );
}

#[test]
fn a_request_has_its_parameters_first_and_a_body_of_the_rest() {
    let schema = json!({
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"type": "string"}, "size": {"type": "integer"}},
    });
    let overrides = "client: { formats: [ { why: w, at: { '*.path/roomId': mx-room-id } } ] }";
    let code = generate(sending(schema), &[], overrides).unwrap();
    assert_has(
        &code,
        &[
            "/// `PUT /_matrix/client/v3/rooms/{roomId}/things/{thingId}`: set thing.",
            "/// Token: required. Rate-limited.",
            "#put_matrixclientv3roomsroomidthingsthingid)",
            "#[doc(alias = \"SetThingJob\")]",
            "/// Path `roomId`. #[serde(skip)] pub room_id: RoomId,
             /// Path `thingId`. #[serde(skip)] pub thing_id: String,
             /// Query `txn`. #[serde(skip)] pub txn: Option<String>,",
            "/// `type`. #[serde(rename = \"type\")] pub kind: String,",
            "&[self.room_id.as_str(), &self.thing_id]",
            ".with_body(wire::body(self))",
            "if let Some(txn) = &self.txn { job = job.with_query(\"txn\", txn.clone()); }",
        ],
    );
    // What has parameters that must be given cannot be read from a body alone.
    assert!(
        !code.contains("PartialEq, Serialize, Deserialize)]\n#[doc"),
        "{code}"
    );
}

#[test]
fn secrets_are_found_in_lists_maps_and_shared_definitions() {
    let base = json!({"type": "object", "properties": {"to/ken": {"type": "string"}}});
    let schema = json!({"type": "object", "properties": {
        "list": {"type": "array", "items": {"type": "object", "additionalProperties": {
            "$ref": "definitions/a_base.yaml",
        }}},
        "pass": {"type": "string"},
    }});
    let overrides = "client: { secrets: [ { why: w, at: [
        setThing.request/pass, client-server/definitions/a_base.yaml/to/ken, setThing.query/txn
    ] } ] }";
    let beside = [("api/client-server/definitions/a_base.yaml", base)];
    let code = generate(sending(schema), &beside, overrides).unwrap();
    assert_has(
        &code,
        &[
            ".with_query_secrets(&[\"txn\"])",
            ".with_secrets(&[\"/list/*/*/to~1ken\", \"/pass\"], &[])",
            "#[serde(with = \"exposed\", default, skip_serializing_if = \"Option::is_none\")]
             pub pass: Option<Secret>,",
        ],
    );
}

#[test]
fn what_is_new_in_the_data_is_an_error_and_not_a_guess() {
    let fails = |main: Value, overrides: &str, expected: &str| {
        let error = generate(main, &[], overrides).unwrap_err();
        assert!(error.contains(expected), "{error}");
    };
    let one_of = json!({"type": "object", "properties": {
        "x": {"oneOf": [{"type": "integer"}, {"type": "boolean"}]},
    }});
    fails(
        answering(one_of),
        "client:",
        "getThings.response/x: this oneOf is new",
    );
    let format = json!({"type": "object", "properties": {
        "x": {"type": "string", "format": "mx-new"},
    }});
    fails(answering(format), "client:", "the format mx-new is new");
    let collision = json!({"type": "object", "properties": {"thingId": {"type": "string"}}});
    fails(
        sending(collision),
        "client:",
        "two parameters named thing_id",
    );
    let unused = "client: { secrets: [ { why: w, at: [getThings.response/gone] } ] }";
    fails(
        answering(json!({"type": "object"})),
        unused,
        "getThings.response/gone",
    );
    let mut insecure = sending(json!({"type": "object"}));
    insecure["paths"]["/rooms/{roomId}/things/{thingId} "]["put"]["security"] =
        json!([{"signedRequest": []}]);
    fails(insecure, "client:", "signedRequest");
}
