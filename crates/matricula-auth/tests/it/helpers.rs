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

/// A response that requires authentication with one of these flows.
pub(crate) fn uia_response(flows: &Value) -> Value {
    json!({ "session": "s1", "flows": flows, "params": {} })
}

pub(crate) fn dummy_flow() -> Value {
    uia_response(&json!([{ "stages": ["m.login.dummy"] }]))
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

/// A response that requires authentication with these stages.
pub(crate) fn one_flow(stages: &[&str]) -> Value {
    uia_response(&json!([{ "stages": stages }]))
}

pub(crate) fn password_flow() -> Value {
    one_flow(&["m.login.password"])
}

/// A response that refuses the password and repeats the flow.
pub(crate) fn wrong_password() -> Value {
    let mut body = password_flow();
    body["errcode"] = json!("M_FORBIDDEN");
    body["error"] = json!("Invalid password");
    body
}

/// An account with this stored password.
pub(crate) fn account(password: Option<&str>) -> Account {
    serde_json::from_value(json!({
        "user_id": "@alice:example.org", "server": "https://matrix.example.org", "device_id": "DEV",
        "access_token": "syt_a", "expires_at": null, "password": password,
    }))
    .unwrap()
}

/// An account that an OAuth 2.0 server manages.
pub(crate) fn oauth_account(page: Option<&str>) -> Account {
    let mut json = serde_json::to_value(account(None)).unwrap();
    json["oauth"] = json!({
        "issuer": "https://id.example.org/", "client_id": "c1",
        "token_endpoint": "https://id.example.org/token",
        "revocation_endpoint": "https://id.example.org/revoke",
        "account_management_uri": page,
    });
    serde_json::from_value(json).unwrap()
}

/// Registers `alice` up to the first answer of `/register`.
pub(crate) fn register_alice() -> ScriptedServer<Registration> {
    let mut server = register(alice());
    server.respond(200, &json!({ "available": true }));
    server
}
