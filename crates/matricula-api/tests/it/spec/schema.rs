//! Schemas of the data: the fields of objects, and valid values.

use serde_json::{Map, Value, json};

use super::data::Node;
use crate::sample_requests::{of_format, of_name};

/// The fields of an object: name, schema, and whether it must be there. Those of every part of an
/// `allOf` are together.
pub(super) fn properties(schema: &Node) -> Vec<(String, Node, bool)> {
    let mut found: Vec<(String, Node, bool)> = Vec::new();
    for part in schema.get("allOf").items() {
        for (key, node, required) in properties(&part) {
            add(&mut found, key, node, required);
        }
    }
    let required: Vec<Value> = schema
        .get("required")
        .items()
        .into_iter()
        .map(|one| one.value)
        .collect();
    for (key, node) in schema.get("properties").entries() {
        add(&mut found, key, node, false);
    }
    for (key, _, is_required) in &mut found {
        *is_required |= required.contains(&Value::String(key.clone()));
    }
    found
}

/// A later part of an `allOf` that only annotates a field must not hide what it is.
fn add(found: &mut Vec<(String, Node, bool)>, key: String, node: Node, required: bool) {
    match found.iter_mut().find(|(known, ..)| *known == key) {
        None => found.push((key, node, required)),
        Some((_, known, needed)) => {
            *needed |= required;
            if ["type", "allOf", "oneOf", "properties"]
                .iter()
                .any(|one| node.get(one).is_there())
            {
                *known = node;
            }
        }
    }
}

/// How much a sample holds.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Amount {
    /// The required fields.
    Required,
    /// Everything.
    Full,
}

/// A value that fits the schema of the field `name`.
pub(super) fn sample(name: &str, schema: &Node, amount: Amount) -> Value {
    if let Some(first) = schema.get("enum").items().first() {
        return first.value.clone();
    }
    if let Some(first) = schema.get("oneOf").items().first() {
        return sample(name, first, amount);
    }
    let kind = schema.get("type");
    let kind = match kind.items().first() {
        Some(first) => first.text().map(str::to_owned),
        None => kind.text().map(str::to_owned),
    };
    match kind.as_deref() {
        Some("string") => json!(text(name, schema)),
        Some("integer") => json!(1000),
        Some("number") => json!(0.5),
        Some("boolean") => json!(true),
        Some("array") => json!([sample(name, &schema.get("items"), amount)]),
        Some("object") => object(schema, amount),
        None if !properties(schema).is_empty() => object(schema, amount),
        None => match schema.get("allOf").items().first() {
            Some(only) => sample(name, only, amount),
            None => json!({"org.example.any": "value"}),
        },
        Some(other) => panic!("{name}: what is {other}?"),
    }
}

fn object(schema: &Node, amount: Amount) -> Value {
    let mut map = Map::new();
    for (key, node, required) in properties(schema) {
        if required || amount == Amount::Full {
            let value = sample(&key, &node, amount);
            map.insert(key, value);
        }
    }
    if let Some((key, node)) = values(schema) {
        let value = sample("", &node, amount);
        map.insert(key, value);
    }
    let is_free = !schema.get("properties").is_there() && !schema.get("allOf").is_there();
    let is_wanted = amount == Amount::Full || schema.get("minProperties").is_there();
    if map.is_empty() && is_free && is_wanted {
        map.insert("org.example.key".to_owned(), json!("value"));
    }
    Value::Object(map)
}

/// A key for the values of a map, and their schema.
fn values(schema: &Node) -> Option<(String, Node)> {
    let by_pattern = schema.get("patternProperties").entries();
    if let Some((_, node)) = by_pattern.into_iter().next() {
        let format = node.get("x-pattern-format");
        let key = format
            .text()
            .and_then(of_format)
            .unwrap_or("org.example.key");
        return Some((key.to_owned(), node));
    }
    let node = schema.get("additionalProperties");
    let key = node.get("x-pattern-format");
    let key = key.text().and_then(of_format).unwrap_or("org.example.key");
    node.value.is_object().then(|| (key.to_owned(), node))
}

fn text(name: &str, schema: &Node) -> String {
    let format = schema.get("format");
    if let Some(value) = format.text().and_then(of_format) {
        return value.to_owned();
    }
    of_name(name)
}
