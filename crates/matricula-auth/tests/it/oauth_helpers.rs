//! Metadata, responses and steps of OAuth 2.0 logins that several modules use.

use matricula_api::oauth::ClientMetadata;
use matricula_auth::{Answer, OAuthClient, OAuthLogin, Prompt, tables};
use matricula_core::Job;
use serde_json::{Value, json};

use crate::{helpers::server_info, scripted_server::ScriptedServer};

pub(crate) const REDIRECT_URI: &str = "http://127.0.0.1:4321/back";

pub(crate) fn client_metadata() -> ClientMetadata {
    ClientMetadata::new("https://app.example/").client_name("App")
}

pub(crate) fn server_metadata() -> Value {
    json!({
        "issuer": "https://account.example.org/",
        "authorization_endpoint": "https://account.example.org/authorize",
        "token_endpoint": "https://account.example.org/token",
        "revocation_endpoint": "https://account.example.org/revoke",
        "registration_endpoint": "https://account.example.org/clients",
        "device_authorization_endpoint": "https://account.example.org/device",
        "account_management_uri": "https://account.example.org/account",
        "account_management_actions_supported": ["org.matrix.profile", "org.matrix.devices_list"],
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "response_modes_supported": ["query", "fragment"],
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["create"],
    })
}

pub(crate) fn tokens() -> Value {
    json!({ "access_token": "acc", "refresh_token": "ref", "token_type": "bearer", "expires_in": 300 })
}

pub(crate) fn whoami() -> Value {
    json!({ "user_id": "@alice:example.org", "device_id": "FROMSERVER" })
}

pub(crate) fn oauth_error(code: &str) -> Value {
    json!({ "error": code, "error_description": "the issuer's words" })
}

/// A field of a form or a query, as it is written.
fn field(text: &str, name: &str) -> Option<String> {
    let mut pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value.to_owned())
}

/// A field of the form that a job sends.
pub(crate) fn form_field(job: &Job, name: &str) -> Option<String> {
    field(
        std::str::from_utf8(job.request_body().as_bytes()).unwrap(),
        name,
    )
}

/// The page that the person is to open.
pub(crate) fn page(server: &ScriptedServer<OAuthLogin>) -> String {
    match server.question() {
        Prompt::OpenPage { url, .. } => url.expose().to_owned(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn page_parameter(server: &ScriptedServer<OAuthLogin>, name: &str) -> Option<String> {
    let page = page(server);
    field(page.split_once('?').unwrap().1, name)
}

/// The browser comes back with this, and the page's state.
pub(crate) fn come_back(server: &mut ScriptedServer<OAuthLogin>, answer: &str) {
    let state = page_parameter(server, "state").unwrap();
    server.answer(Answer::Text(
        format!("{REDIRECT_URI}?state={state}&{answer}").into(),
    ));
}

pub(crate) fn login() -> OAuthLogin {
    OAuthLogin::browser(&server_info(), client_metadata(), REDIRECT_URI)
}

/// Up to the question to open the page.
pub(crate) fn asking_to_open_page(login: OAuthLogin) -> ScriptedServer<OAuthLogin> {
    let mut server = registering_client(login);
    server.respond(201, &json!({ "client_id": "c1" }));
    server
}

/// Up to the request that registers the client. The issuer itself has no metadata.
pub(crate) fn registering_client(login: OAuthLogin) -> ScriptedServer<OAuthLogin> {
    let mut server = ScriptedServer::start(login);
    server.respond(200, &server_metadata());
    if server.conversation.signs_up() {
        server.respond(404, &json!({}));
    }
    server
}

/// The client that a login has stored.
pub(crate) fn known_client() -> OAuthClient {
    let server = asking_to_open_page(login());
    OAuthClient::from_stored(&stored_clients(&server).pop().unwrap().unwrap()).unwrap()
}

/// What was written about the client of the issuer, in order: a client, or `None` where it was removed.
pub(crate) fn stored_clients(server: &ScriptedServer<OAuthLogin>) -> Vec<Option<Vec<u8>>> {
    let changes = server.commits.iter().flat_map(|commit| commit.writes());
    let clients = changes.filter(|change| change.table == tables::OAUTH_CLIENTS);
    let clients = clients.inspect(|change| assert_eq!(change.key, "https://account.example.org/"));
    clients.map(|change| change.value.clone()).collect()
}

/// Up to the request for tokens.
pub(crate) fn requesting_tokens() -> ScriptedServer<OAuthLogin> {
    let mut server = asking_to_open_page(login());
    come_back(&mut server, "code=xyz");
    server
}

/// The last thing that was stored of the sign-in itself.
pub(crate) fn is_kept(server: &ScriptedServer<OAuthLogin>) -> bool {
    let changes = server.commits.iter().flat_map(|commit| commit.writes());
    let mut changes = changes.filter(|change| change.table == tables::OAUTH_LOGINS);
    changes.next_back().unwrap().value.is_some()
}

pub(crate) fn device_login() -> OAuthLogin {
    OAuthLogin::device_code(&server_info(), client_metadata())
}

pub(crate) fn device_code() -> Value {
    json!({
        "device_code": "d3v1c3", "user_code": "ABCD-EFGH", "expires_in": 60, "interval": 7,
        "verification_uri": "https://account.example.org/link",
        "verification_uri_complete": "https://account.example.org/link?code=ABCD-EFGH",
    })
}

/// What the store holds of it, in another process.
pub(crate) fn reload_login(server: &ScriptedServer<OAuthLogin>) -> OAuthLogin {
    let changes = server.commits.iter().flat_map(|commit| commit.writes());
    let mut changes = changes.filter(|change| change.table == tables::OAUTH_LOGINS);
    let last = changes.next_back().unwrap();
    OAuthLogin::from_stored(last.value.as_deref().unwrap()).unwrap()
}
