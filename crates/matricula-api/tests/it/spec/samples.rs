//! The checked-in samples hold every field that the schemas of the data name.

use std::{collections::BTreeMap, fmt::Write};

use serde_json::{Value, json};

use super::{
    data::{Described, Media, answers, operations, requests},
    schema::{Amount, sample},
};
use crate::{
    apis::APIS,
    samples::{Sample, file},
};

/// What the data lack, as `xtask/overrides.yaml` says: put into the sample of an answer, or of a
/// request, at a pointer.
fn added() -> Vec<(&'static str, &'static str, Value)> {
    let user = "@user:example.org";
    let provider = json!({"id": "some id", "name": "some name", "icon": "mxc://example.org/media", "brand": "gitlab"});
    let auth = json!({
        "type": "m.login.email.identity", "session": "some session", "token": "some token",
        "password": "some password", "response": "some response",
        "identifier": {"type": "m.id.user", "user": "alice"},
        "threepid_creds": {
            "sid": "some sid", "client_secret": "some_secret", "id_server": "id.example.org",
            "id_access_token": "some id_access_token",
        },
    });
    vec![
        ("client/requestOpenIdToken", "/request", json!({})),
        (
            "identity/lookupUsersV2",
            "/answer/mappings",
            json!({"some hash": user}),
        ),
        ("client/register", "/request/auth", auth),
        (
            "client/register",
            "/request/type",
            json!("m.login.application_service"),
        ),
        (
            "client/register",
            "/request/guest_access_token",
            json!("some token"),
        ),
        (
            "client/getLoginFlows",
            "/answer/flows/0/identity_providers",
            json!([provider]),
        ),
        (
            "client/getLoginFlows",
            "/answer/flows/0/oauth_aware_preferred",
            json!(true),
        ),
        (
            "client/sync",
            "/answer/to_device",
            json!({"events": [{"type": "m.dummy", "content": {}, "sender": user}]}),
        ),
        (
            "client/sync",
            "/answer/device_lists",
            json!({"changed": [user], "left": [user]}),
        ),
        (
            "client/sync",
            "/answer/device_unused_fallback_key_types",
            json!(["signed_curve25519"]),
        ),
    ]
}

fn is_json(media: &Media) -> bool {
    media.content_type == "application/json"
}

fn sample_of(operation: &Described) -> Sample {
    let mut found = Sample::default();
    if let Some(media) = requests(operation).iter().find(|media| is_json(media)) {
        found.required = sample("", &media.schema(), Amount::Required);
        found.request = sample("", &media.schema(), Amount::Full);
    }
    let answers = answers(operation);
    let success = |media: &&Media| is_json(media) && (200..300).contains(&media.status);
    if let Some(media) = answers.iter().find(success) {
        found.answer = sample("", &media.schema(), Amount::Full);
    }
    let mut whole = serde_json::to_value(&found).unwrap();
    for (name, pointer, value) in added() {
        if name == operation.name() {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            whole.pointer_mut(parent).unwrap()[key] = value;
        }
    }
    serde_json::from_value(whole).unwrap()
}

/// A line for each body, so that differences can be read.
fn written(samples: &BTreeMap<String, Sample>) -> String {
    let mut text = String::new();
    for (id, sample) in samples {
        let start = if text.is_empty() { "{\n" } else { ",\n" };
        let parts = [
            ("required", &sample.required),
            ("request", &sample.request),
            ("answer", &sample.answer),
        ];
        let parts = parts.map(|(name, value)| format!("  \"{name}\": {value}"));
        write!(text, "{start}\"{id}\": {{\n{}\n}}", parts.join(",\n")).unwrap();
    }
    text + "\n}\n"
}

#[test]
#[ignore = "needs the specification: set MATRIX_SPEC"]
fn samples_have_every_field() {
    let operations = operations();
    for (api, _) in APIS {
        let of_api = operations.iter().filter(|one| one.api == api);
        let samples = of_api.map(|one| (one.id.clone(), sample_of(one))).collect();
        let expected = written(&samples);
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(file(api), &expected).unwrap();
        }
        let known = std::fs::read_to_string(file(api)).unwrap_or_default();
        let first = known
            .lines()
            .zip(expected.lines())
            .find(|(old, new)| old != new);
        assert!(
            known == expected,
            "{} does not match the data: {first:?}. Update it with BLESS=1",
            file(api).display()
        );
    }
}
