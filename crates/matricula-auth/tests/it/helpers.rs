//! Accounts, options and response bodies that several modules use.

use matricula_auth::{Account, Registration, RegistrationOptions, ServerInfo, tables};
use serde_json::{Value, json};

use crate::scripted_server::ScriptedServer;

pub(crate) fn server_info() -> ServerInfo {
    ServerInfo::of("https://matrix.example.org".parse().unwrap())
}

pub(crate) fn alice() -> RegistrationOptions {
    RegistrationOptions {
        username: Some("alice".into()),
        password: Some("wordpass".into()),
        ..RegistrationOptions::default()
    }
}

pub(crate) fn uia(flows: &Value) -> Value {
    json!({ "session": "s1", "flows": flows, "params": {} })
}

pub(crate) fn dummy() -> Value {
    uia(&json!([{ "stages": ["m.login.dummy"] }]))
}

pub(crate) fn success() -> Value {
    json!({ "user_id": "@alice:example.org", "access_token": "syt_a", "device_id": "DEV" })
}

pub(crate) fn register(options: RegistrationOptions) -> ScriptedServer<Registration> {
    ScriptedServer::start(Registration::new(&server_info(), options))
}

pub(crate) fn refused(code: &str) -> Value {
    json!({ "errcode": code, "error": "the server's words" })
}

/// Stores a registration and reads it back, as another process would.
pub(crate) fn reload(server: &ScriptedServer<Registration>) -> Registration {
    let last = server.commits.last().unwrap().writes().last().unwrap();
    assert_eq!(last.table, tables::REGISTRATIONS);
    Registration::from_stored(last.value.as_ref().unwrap()).unwrap()
}

pub(crate) fn stages(stages: &[&str]) -> Value {
    uia(&json!([{ "stages": stages }]))
}

pub(crate) fn password() -> Value {
    stages(&["m.login.password"])
}

pub(crate) fn wrong() -> Value {
    let mut answer = password();
    answer["errcode"] = json!("M_FORBIDDEN");
    answer["error"] = json!("Invalid password");
    answer
}

/// An account with this stored password.
pub(crate) fn account(kept: Option<&str>) -> Account {
    serde_json::from_value(json!({
        "user_id": "@alice:example.org", "server": "https://matrix.example.org", "device_id": "DEV",
        "access_token": "syt_a", "expires_at": null, "password": kept,
    }))
    .unwrap()
}

/// An account that an OAuth 2.0 server keeps.
pub(crate) fn delegated(page: Option<&str>) -> Account {
    let mut json = serde_json::to_value(account(None)).unwrap();
    json["oauth"] = json!({
        "issuer": "https://id.example.org/", "client_id": "c1",
        "token_endpoint": "https://id.example.org/token",
        "revocation_endpoint": "https://id.example.org/revoke",
        "account_management_uri": page,
    });
    serde_json::from_value(json).unwrap()
}
