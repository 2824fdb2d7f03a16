//! Tests of the generator: from OpenAPI data to code.

mod direction;

use serde_json::{Value, json};

use super::common::Lowered;
use super::lower::Lower;
use super::model::{COMMON, Module};
use super::overrides::Overrides;
use super::spec::Spec;
use super::{APIS, common, emit, emit_doc, format_code, overrides};
use crate::Result;
use crate::spec::TAG;

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

/// An operation with the response `schema`.
fn responding(schema: Value) -> Value {
    let responses = json!({"200": json_content(schema)});
    let operation = json!({"operationId": "getThings", "responses": responses});
    file("/things", "get", operation)
}

/// An operation with the request body `schema` and two path parameters.
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
    let mut apis = [lower.into_lowered("client")];
    let mut common = Module {
        name: COMMON.to_owned(),
        about: String::new(),
        items: Vec::new(),
    };
    super::direction::apply(&mut apis, &mut common);
    let modules = apis[0].modules.values();
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

fn assert_response(schema: Value, expected: &[&str]) {
    assert_has(
        &generate(responding(schema), &[], "client:").unwrap(),
        expected,
    );
}

#[test]
fn lists_alone_have_a_default() {
    let list = json!({"type": "array", "items": {"type": "string"}});
    for (required, derives) in [
        (json!(["events"]), "Clone, Debug, Default, PartialEq"),
        (json!([]), "Clone, Debug, Default, PartialEq"),
        (
            json!(["events", "size"]),
            "Clone, Debug, Default, PartialEq",
        ),
        (json!(["events", "name"]), "Clone, Debug, PartialEq"),
    ] {
        let schema = json!({
            "type": "object",
            "required": required,
            "properties": {
                "events": list,
                "size": {"type": "integer"},
                "name": {"type": "string"},
            },
        });
        let expected = format!("#[derive({derives})] pub struct GetThingsResponse");
        assert_response(schema, &[&expected]);
    }
}

#[test]
fn fields_are_optional_unless_required() {
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
    assert_response(
        schema,
        &[
            "/// Response to [`GetThings`].",
            "pub struct GetThingsResponse {",
            "pub size: u64,",
            "/// `m.name`. Since 1.3.
             pub name: Option<String>,",
            "pub sent_ts: Option<Timestamp>,",
            "pub owner: Option<UserId>,",
            "pub fn new(size: u64) -> Self",
            "\"m.name\" => name = reader.optional(\"m.name\", &mut extra)?,",
            "size = reader.field(\"size\")?",
            "size: codec::required(size, \"size\")?,",
            "codec::entry(&mut map, \"m.name\", self.name.as_ref())?;",
            "map.serialize_entry(\"size\", &self.size)?;",
        ],
    );
}

#[test]
fn response_without_fields_says_so() {
    assert_response(
        json!({"type": "object", "properties": {}}),
        &[
            "/// Response to [`GetThings`]; it has no fields.",
            "pub struct GetThingsResponse {
             /// Fields that the specification does not name.
             pub extra: Extra, }",
            "type Response = GetThingsResponse;",
        ],
    );
}

#[test]
fn maps_lists_and_objects_are_typed() {
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
    assert_response(
        schema,
        &[
            "pub by_user: Option<SortedMap<UserId, LenientList<bool>>>,",
            "pub counts: Option<SortedMap<String, u64>>,",
            "pub content: Option<Map<String, Value>>,",
            "pub anything: Option<Value>,",
            "pub maybe: Option<String>,",
            "pub actions: Option<LenientList<StringOr<Map<String, Value>>>>,",
        ],
    );
    assert_response(
        json!({"type": "array", "items": {"type": "string"}}),
        &["type Response = LenientList<String>;"],
    );
}

#[test]
fn all_of_merges_its_schemas() {
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
        // The second `kind` has no type, and must not replace the first.
        "properties": {"size": {"type": "number"}, "kind": {"description": "say more"}},
    });
    let schema = json!({"type": "object", "properties": {
        "plain": {"description": "a wrapper", "allOf": [part]},
        "merged": {"allOf": [part, more]},
    }});
    let beside = [("api/client-server/definitions/a_base.yaml", base)];
    let code = generate(responding(schema), &beside, "client:").unwrap();
    assert_has(
        &code,
        &[
            "pub plain: Option<definitions::ABase>,",
            "/// Shared definition `a_base`.",
            "pub struct ABase { /// `id`. pub id: String, /// `kind`. pub kind: Option<String>,",
            "pub merged: Option<BiggerBase>,",
            "pub struct BiggerBase { /// `id`. pub id: String, /// `kind`. pub kind: String,",
        ],
    );
}

#[test]
fn additional_properties_become_extra() {
    let schema = |beside: Value| {
        json!({
            "type": "object",
            "required": ["one"],
            "properties": {"one": {"type": "string"}, "two": {"type": "string"}},
            "additionalProperties": beside,
        })
    };
    let code = [
        "pub extra: Extra,",
        "_ => extra.read(entry_key, reader)?,",
        "codec::extra(&mut map, &self.extra, &[(\"two\", self.two.is_some())])?;",
    ];
    assert_response(schema(json!({"description": "anything"})), &code);
    let size = json!({"title": "Size of it", "type": "object", "properties": {
        "height": {"type": "integer"},
    }});
    assert_response(
        schema(size),
        &[
            "pub extra: SortedMap<String, SizeOfIt>,",
            "let mut extra = Unsorted::default();",
            "codec::typed_extra(&mut map, &self.extra, &[(\"two\", self.two.is_some())])?;",
            "/// `extra` of [`GetThingsResponse`].",
        ],
    );
}

#[test]
fn equal_enums_share_a_named_type() {
    let schema = json!({"type": "object", "properties": {
        "colour": {"type": "string", "enum": ["m.light_red", "green"]},
        "dir": {"type": "string", "enum": ["f", "b"]},
    }});
    let overrides = "client: { enums: [ { why: w, at: { 'b,f': Direction } } ] }";
    let code = generate(responding(schema), &[], overrides).unwrap();
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
fn taken_title_gives_way_to_field_name() {
    let thing = |field: &str| json!({"type": "object", "title": "Thing", "properties": {field: {"type": "string"}}});
    let schema = json!({"type": "object", "properties": {
        "first": thing("a"), "second": thing("b"), "result": {
            "type": "object", "title": "Result", "properties": {"c": {"type": "string"}},
        },
    }});
    assert_response(
        schema,
        &[
            "pub first: Option<Thing>,",
            "pub second: Option<GetThingsResponseSecond>,",
            "pub result: Option<GetThingsResponseResult>,",
        ],
    );
}

#[test]
fn request_fields_begin_with_parameters() {
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
            "/// Set thing.",
            "/// `PUT /_matrix/client/v3/rooms/{roomId}/things/{thingId}`. Access token: required. Rate limited.",
            "#put_matrixclientv3roomsroomidthingsthingid)",
            "#[doc(alias = \"SetThingJob\")]",
            "/// Path `roomId`. pub room_id: RoomId,
             /// Path `thingId`. pub thing_id: String,
             /// Query `txn`. pub txn: Option<String>,",
            "/// `type`. pub kind: String,",
            "map.serialize_entry(\"type\", &self.kind)?;",
            "&[self.room_id.as_str(), &self.thing_id]",
            ".with_body(codec::body(self))",
            "if let Some(txn) = &self.txn { job = job.with_query(\"txn\", txn.clone()); }",
        ],
    );
    // A request with required parameters cannot be read from a body alone.
    let reads_itself = "impl<'de> Deserialize<'de> for SetThing {";
    assert!(!code.contains(reads_itself), "{code}");
}

#[test]
fn operation_documents_token_and_guests() {
    let overrides = "client: { guests: [ { why: w, at: [getThings] } ] }";
    let mut main = responding(json!({"type": "object"}));
    main["paths"]["/things"]["get"]["security"] = json!([{"homeserverAccessToken": []}]);
    let code = generate(main, &[], overrides).unwrap();
    assert_has(
        &code,
        &[
            "/// `GET /_matrix/client/v3/things`. Access token: the `hs_token` of the homeserver. Available to
             /// guests.",
            ".with_auth(OperationAuth::Homeserver).with_guests()",
        ],
    );
}

#[test]
fn renamed_operation_keeps_its_id_as_alias() {
    let overrides = "client: { type_names: [ { why: w, at: { getThings: Things } } ] }";
    let code = generate(responding(json!({"type": "object"})), &[], overrides).unwrap();
    assert_has(
        &code,
        &[
            "#[doc(alias = \"GetThings\")] #[doc(alias = \"GetThingsJob\")] pub struct Things {",
            "Operation::new(Api::Client, \"getThings\",",
            "type Response = ThingsResponse;",
        ],
    );
}

#[test]
fn operation_links_to_its_section() {
    for (base, page) in [
        (
            "/_matrix/media/v3",
            "client-server-api/#get_matrixmediav3things",
        ),
        ("/.well-known", "client-server-api/#getwell-knownthings"),
        (
            "/_matrix/identity/v2",
            "identity-service-api/#get_matrixidentityv2things",
        ),
        (
            "/_matrix/app/v1",
            "application-service-api/#get_matrixappv1things",
        ),
        (
            "/_matrix/push/v1",
            "push-gateway-api/#get_matrixpushv1things",
        ),
    ] {
        let mut main = responding(json!({"type": "object"}));
        main["servers"][0]["variables"]["basePath"]["default"] = json!(base);
        let code = generate(main, &[], "client:").unwrap();
        let link = format!("https://spec.matrix.org/{TAG}/{page})");
        assert_has(&code, &[&link]);
    }
}

#[test]
fn page_lists_operations_by_api() {
    let overrides = "client: { guests: [ { why: w, at: [setThing] } ] }";
    let overrides = Overrides::read(overrides, "client").unwrap();
    let text = sending(json!({"type": "object"})).to_string();
    let spec = Spec::of(&[(FILE, text)]);
    let mut lower = Lower::new(&spec, &overrides, "api/client-server");
    lower.lower_file(FILE).unwrap();
    let push = Lower::new(&spec, &overrides, "api/push-gateway");
    let lowered = [lower.into_lowered("client"), push.into_lowered("push")];
    let [client, _, _, push] = APIS;
    let page = emit_doc::page(&[client, push], &lowered);
    let row = format!(
        "\n| [`setThing`](https://spec.matrix.org/{TAG}/client-server-api/\
         #put_matrixclientv3roomsroomidthingsthingid) \
         | `PUT /_matrix/client/v3/rooms/{{roomId}}/things/{{thingId}}` \
         | required | yes |  | yes |  |  | `some_things::SetThing` |\n"
    );
    for part in [
        "The 1 operations of",
        "\n## Client-server API\n\n1 operations",
        "\n## Push gateway API\n\n0 operations",
        &row,
    ] {
        assert!(page.contains(part), "no {part} in\n{page}");
    }
}

#[test]
fn missing_query_parameter_is_added() {
    let overrides = "client: { fields: [ { why: w, at: { setThing.query: { sent_ts: { type: integer } } } } ] }";
    let code = generate(sending(json!({"type": "object"})), &[], overrides).unwrap();
    assert_has(
        &code,
        &[
            "/// Query `sent_ts`. pub sent_ts: Option<Timestamp>,",
            "job.with_query(\"sent_ts\",",
        ],
    );
}

#[test]
fn secrets_are_found_in_nested_types() {
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
            "pub pass: Option<Secret>,",
            "\"pass\", self.pass.as_ref().map(codec::Exposed).as_ref(),",
        ],
    );
}

#[test]
fn unsupported_data_is_an_error() {
    let fails = |main: Value, overrides: &str, expected: &str| {
        let error = generate(main, &[], overrides).unwrap_err();
        assert!(error.contains(expected), "{error}");
    };
    let one_of = json!({"type": "object", "properties": {
        "x": {"oneOf": [{"type": "integer"}, {"type": "boolean"}]},
    }});
    fails(
        responding(one_of),
        "client:",
        "getThings.response/x: the generator does not support this oneOf",
    );
    let format = json!({"type": "object", "properties": {
        "x": {"type": "string", "format": "mx-new"},
    }});
    fails(
        responding(format),
        "client:",
        "does not know the format mx-new",
    );
    let collision = json!({"type": "object", "properties": {"thingId": {"type": "string"}}});
    fails(
        sending(collision),
        "client:",
        "two parameters named thing_id",
    );
    let unused = "client: { secrets: [ { why: w, at: [getThings.response/gone] } ] }";
    fails(
        responding(json!({"type": "object"})),
        unused,
        "getThings.response/gone",
    );
    let mut insecure = sending(json!({"type": "object"}));
    insecure["paths"]["/rooms/{roomId}/things/{thingId} "]["put"]["security"] =
        json!([{"signedRequest": []}]);
    fails(insecure, "client:", "signedRequest");
    for (key, node) in [
        ("patch", json!({"operationId": "changeThings"})),
        ("parameters", json!([{"in": "query", "name": "all"}])),
    ] {
        let mut main = responding(json!({"type": "object"}));
        main["paths"]["/things"][key] = node;
        fails(main, "client:", key);
    }
    let map = json!({"type": "object", "patternProperties": {
        "^@": {"type": "string"}, "^!": {"type": "integer"},
    }});
    fails(
        responding(map.clone()),
        "client:",
        "several patternProperties",
    );
    let mut both = map;
    both["properties"] = json!({"a": {"type": "string"}});
    fails(responding(both), "client:", "together with properties");
}

/// The shared types of two APIs that both respond with the definition `a_base`, or the error.
fn share(client: &str, push: &str) -> Result<(String, String)> {
    let base = json!({
        "type": "object",
        "properties": {"id": {"type": "string"}, "dir": {"type": "string", "enum": ["f", "b"]}},
    });
    let main = responding(json!({"$ref": "../client-server/definitions/a_base.yaml"}));
    let other = "api/push-gateway/some_things.yaml";
    let spec = Spec::of(&[
        (FILE, main.to_string()),
        (other, main.to_string()),
        (
            "api/client-server/definitions/a_base.yaml",
            base.to_string(),
        ),
    ]);
    let mut lowered = Vec::new();
    for (name, yaml, file) in [("client", client, FILE), ("push", push, other)] {
        let overrides = Overrides::read(yaml, name)?;
        let (dir, _) = file.rsplit_once('/').unwrap();
        let mut lower = Lower::new(&spec, &overrides, dir);
        lower.lower_file(file)?;
        lowered.push(lower.into_lowered(name));
    }
    let common = common::extract(&mut lowered)?;
    assert_eq!(common.users, ["client", "push"].into());
    let has_definitions = |api: &Lowered| api.modules.contains_key("definitions");
    assert!(!lowered.iter().any(has_definitions));
    let common = format_code(&emit::module(&common.module, ""))?;
    let users = lowered.iter().flat_map(|api| api.modules.values());
    let users = users.map(|module| emit::module(module, "Client"));
    Ok((common, users.collect()))
}

#[test]
fn shared_schemas_are_emitted_once() {
    let overrides = "common: { enums: [ { why: w, at: { 'b,f': Direction } } ] }";
    let (common, users) = share(overrides, overrides).unwrap();
    assert_has(
        &common,
        &[
            "pub struct ABase {",
            "pub dir: Option<Direction>,",
            "pub enum Direction {",
        ],
    );
    assert_eq!(common.matches("pub struct").count(), 1);
    assert!(!users.contains("pub struct ABase"), "{users}");
    assert_eq!(users.matches("type Response = common::ABase;").count(), 2);
}

#[test]
fn shared_schemas_must_not_differ() {
    let secret =
        "client: { secrets: [ { why: w, at: [client-server/definitions/a_base.yaml/id] } ] }";
    let error = share(secret, "push:").unwrap_err();
    assert!(
        error.contains("`ABase` of client differs from that of push"),
        "{error}"
    );

    let renamed =
        "push: { type_names: [ { why: w, at: { client-server/definitions/a_base.yaml: Base } } ] }";
    let error = share("client:", renamed).unwrap_err();
    assert!(
        error.contains("is `ABase` in client and `Base` in push"),
        "{error}"
    );
}

#[test]
fn common_overrides_apply_to_every_api() {
    let yaml = "common: { secrets: [ { why: w, at: [a, b] } ] }\nclient: { secrets: [ { why: w, at: [c] } ] }";
    let client = Overrides::read(yaml, "client").unwrap();
    let push = Overrides::read(yaml, "push").unwrap();
    assert!(client.has("secrets", "a") && client.has("secrets", "c"));
    assert!(push.has("secrets", "a") && !push.has("secrets", "c"));
    // The client had no use for `b`, nor had the push gateway API.
    assert_eq!(client.all_used(), Ok(()));
    assert_eq!(client.unused_common(), push.unused_common());
    let error = overrides::all_exist(client.unused_common().iter()).unwrap_err();
    assert!(error.contains("secrets: b"), "{error}");
}
