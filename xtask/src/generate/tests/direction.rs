//! What is required of a type, by who sends it.

use serde_json::json;

use super::{assert_has, assert_response, generate, json_content, responding, sending};

#[test]
fn invalid_part_of_response_keeps_the_rest() {
    let schema = json!({"type": "object", "required": ["id", "count", "ids"], "properties": {
        "id": {"type": "string"},
        "count": {"type": "integer"},
        "timeout": {"type": "integer"},
        "alias": {"type": "string"},
        "ids": {"type": "array", "items": {"type": "string", "format": "mx-user-id"}},
        "by_user": {"type": "object", "patternProperties": {
            "^@": {"x-pattern-format": "mx-user-id", "type": "boolean"},
        }},
    }});
    let overrides = "client:
  empty_as_absent: [{ why: w, at: [getThings.response/alias] }]
  types: [{ why: w, at: { getThings.response/by_user/keys: text } }]
";
    let code = generate(responding(schema), &[], overrides).unwrap();
    assert_has(
        &code,
        &[
            // It says what the object is.
            "pub id: String,",
            "id = reader.field(\"id\")?",
            "id: codec::required(id, \"id\")?,",
            // Something is left without these.
            "pub count: Option<u64>,",
            "count = reader.optional(\"count\", &mut extra)?",
            "pub ids: LenientList<UserId>,",
            "ids = reader.or_empty(\"ids\", &mut extra)?",
            "ids: codec::or_empty(ids, \"ids\", reader)?,",
            "pub fn new(id: impl Into<String>, ids: impl Into<LenientList<UserId>>) -> Self",
            "codec::list_entry(&mut map, \"ids\", &self.ids, self.ids.is_empty(), &self.extra)?;",
            "pub by_user: Option<SortedMap<String, bool>>,",
            "reader.optional(\"timeout\", &mut extra)?.map(|codec::Millis(time)| time)",
            "reader.optional(\"alias\", &mut extra)?.and_then(|codec::NonEmpty(value)| value)",
            "codec::extra(&mut map, &self.extra,",
            "(\"count\", self.count.is_some()),",
            "(\"ids\", !self.ids.is_empty()),",
        ],
    );
}

#[test]
fn response_of_one_list_needs_it() {
    let list = json!({"type": "array", "items": {"type": "string"}});
    let only = json!({"type": "object", "required": ["ids"], "properties": {"ids": list}});
    assert_response(
        only.clone(),
        &[
            "ids = reader.list_field(\"ids\")?",
            "ids: codec::required(ids, \"ids\")?,",
        ],
    );
    let around = json!({"type": "object", "properties": {"inner": only}});
    assert_response(around, &["ids = reader.or_empty(\"ids\", &mut extra)?"]);
    let overrides = "client: { missing_as_empty: [{ why: w, at: [getThings.response/ids] }] }";
    let code = generate(responding(only), &[], overrides).unwrap();
    assert_has(&code, &["ids = reader.or_empty(\"ids\", &mut extra)?"]);
}

/// A type that clients send too keeps what it requires.
#[test]
fn requests_keep_required_fields() {
    let list = json!({"type": "array", "items": {"type": "string"}});
    let base = json!({"type": "object", "required": ["id", "count"], "properties": {
        "id": {"type": "string"}, "count": {"type": "integer"}, "list": list,
    }});
    let beside = [("api/client-server/definitions/a_base.yaml", base.clone())];
    let part = json!({"$ref": "definitions/a_base.yaml"});
    let around = |part| json!({"type": "object", "properties": {"part": part, "own": list}});
    let sent = generate(sending(around(part.clone())), &beside, "client:").unwrap();
    assert_has(
        &sent,
        &[
            "pub own: Option<Vec<String>>,",
            "pub list: Option<Vec<String>>,",
            "pub count: u64,",
        ],
    );
    let received = generate(responding(around(part.clone())), &beside, "client:").unwrap();
    assert_has(
        &received,
        &[
            "pub list: Option<LenientList<String>>,",
            "pub count: Option<u64>,",
        ],
    );

    let mut both = sending(around(part.clone()));
    both["paths"]["/rooms/{roomId}/things/{thingId} "]["put"]["responses"]["200"] =
        json_content(around(part));
    let both = generate(both, &beside, "client:").unwrap();
    assert_has(
        &both,
        &[
            "pub own: Option<Vec<String>>,",
            "pub list: Option<LenientList<String>>,",
            "pub count: u64,",
        ],
    );
}
