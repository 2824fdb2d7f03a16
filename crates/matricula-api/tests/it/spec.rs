//! The generated code against the specification's data, read here in another, simpler way.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use matricula_api::client::{OPERATIONS, SERVED};
use serde_json::Value;

use crate::response;

/// The directory of the client-server API's files.
fn client_server() -> PathBuf {
    let spec = std::env::var_os("MATRIX_SPEC").expect("MATRIX_SPEC names the specification");
    let spec = PathBuf::from(spec);
    let inside = spec.join("data/api/client-server");
    if inside.is_dir() {
        inside
    } else {
        spec.join("api/client-server")
    }
}

fn parse(path: &Path) -> Value {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    yaml_serde::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every operation of the data: its file, and `(operationId, method, path)`, and its node.
fn operations() -> Vec<(PathBuf, (String, String, String), Value)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(client_server()).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let root = parse(&file);
        let base = &root["servers"][0]["variables"]["basePath"]["default"];
        for (path, methods) in root["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let Some(id) = operation["operationId"].as_str() else {
                    continue;
                };
                let path = format!("{}{}", base.as_str().unwrap(), path.trim());
                let facts = (id.to_owned(), method.to_uppercase(), path);
                found.push((file.clone(), facts, operation.clone()));
            }
        }
    }
    found
}

#[test]
#[ignore = "needs the specification: set MATRIX_SPEC"]
fn every_operation_of_the_data_is_here_and_no_other() {
    let expected: BTreeSet<_> = operations()
        .into_iter()
        .map(|(_, facts, _)| facts)
        .collect();
    let generated: BTreeSet<_> = OPERATIONS
        .iter()
        .map(|found| {
            (
                found.id.to_owned(),
                found.method.to_string(),
                found.path.to_owned(),
            )
        })
        .collect();
    assert_eq!(generated, expected);
    assert_eq!(expected.len(), 166);
}

#[test]
#[ignore = "needs the specification: set MATRIX_SPEC"]
fn facts_are_as_in_the_data() {
    for (_, (id, ..), node) in operations() {
        let operation = OPERATIONS.iter().find(|found| found.id == id).unwrap();
        let limited = !node["responses"]["429"].is_null();
        assert_eq!(operation.rate_limited, limited, "{id}");
        assert_eq!(operation.deprecated, node["deprecated"] == true, "{id}");
        if let Some(since) = node["x-addedInMatrixVersion"].as_str() {
            assert_eq!(operation.since, Some(since), "{id}");
        }
    }
}

/// Replaces references in an example of `file` by what they lead to, keys beside them winning.
fn inline(value: &mut Value, file: &Path) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|inner| inline(inner, file)),
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.remove("$ref") {
                let (target, pointer) = reference.split_once('#').unwrap_or((&reference, ""));
                let target = match target {
                    "" => file.to_owned(),
                    target => file.parent().unwrap().join(target),
                };
                let mut referred = parse(&target).pointer(pointer).unwrap().clone();
                inline(&mut referred, &target);
                for (key, inner) in referred.as_object().unwrap() {
                    map.entry(key).or_insert_with(|| inner.clone());
                }
            }
            map.values_mut().for_each(|inner| inline(inner, file));
        }
        _ => {}
    }
}

/// The examples of whole 200 bodies that an operation's media type or schema holds.
fn examples(operation: &Value, file: &Path) -> Vec<Value> {
    let content = &operation["responses"]["200"]["content"]["application/json"];
    let named = content["examples"].as_object().into_iter().flatten();
    let mut found: Vec<Value> = named
        .map(|(_, example)| {
            let mut example = example.clone();
            inline(&mut example, file);
            example["value"].take()
        })
        .collect();
    let mut schema = content["schema"].clone();
    if schema.get("$ref").is_some() {
        inline(&mut schema, file);
    }
    found.extend([&content["example"], &schema["example"]].map(Value::clone));
    found.retain(|example| !example.is_null());
    found.iter_mut().for_each(|example| inline(example, file));
    found
}

#[test]
#[ignore = "needs the specification: set MATRIX_SPEC"]
fn every_example_of_a_whole_answer_can_be_read() {
    let mut read = 0;
    let mut failures = Vec::new();
    for (file, (id, ..), operation) in operations() {
        let endpoint = SERVED.iter().find(|one| one.operation.id == id).unwrap();
        for example in examples(&operation, &file) {
            read += 1;
            if let Err(error) = endpoint.read(&response(200, &example.to_string())) {
                failures.push(format!("{id}: {error}"));
            }
        }
    }
    assert_eq!(failures, [""; 0]);
    assert!(read >= 110, "only {read} examples were found");
}
