//! What authentication services answer, as one of them did it: each answer with what it leads to.

mod account;
mod client_ids;
mod page;
mod sign_up;
mod trouble;

use matricula_auth::{AuthError, Discovery, OAuthLogin, ServerError, ServerInfo};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::{
    helpers::server_info,
    oauth_helpers::{REDIRECT_URI, client_metadata},
    scripted_server::{ScriptedServer, transport_error},
};

pub(super) const CLIENTS: &str = "POST /clients";

pub(super) fn sign_up() -> OAuthLogin {
    OAuthLogin::sign_up(&server_info(), client_metadata(), REDIRECT_URI)
}

/// A registered client, as the service answers.
pub(super) fn registered(client_id: &str) -> Value {
    json!({
        "client_id": client_id, "client_id_issued_at": 1_796_079_264,
        "redirect_uris": ["http://127.0.0.1/"],
        "grant_types": ["authorization_code", "refresh_token",
            "urn:ietf:params:oauth:grant-type:device_code"],
        "application_type": "native", "token_endpoint_auth_method": "none",
        "client_name": "probe", "client_uri": "https://example.org/",
    })
}

pub(super) fn fails_unreachable(server: &mut ScriptedServer<OAuthLogin>) {
    let error = transport_error(TransportErrorKind::Connect);
    server.outcome(Outcome::Failed(error));
}

/// Whether the error says that this server is in trouble, and not that an address is wrong.
#[track_caller]
pub(super) fn is_trouble(error: &AuthError, name: &str) {
    let AuthError::Server(ServerError::Unavailable { .. }) = error else {
        panic!("{error}")
    };
    let words = error.to_string();
    assert!(
        words.starts_with(&format!("{name} is in trouble (")),
        "{words}"
    );
    assert!(words.ends_with("); try again later"), "{words}");
}

/// A discovery whose metadata and registration are answered like this.
pub(super) fn discover(metadata: (u16, &str), registration: (u16, &str)) -> ServerInfo {
    let discovery = Discovery::new("https://matrix.example.org".parse().unwrap());
    let mut server = ScriptedServer::start(discovery.registration(true));
    let no_login = r#"{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}"#;
    server
        .respond_path("/versions", 200, r#"{"versions":["v1.15"]}"#)
        .respond_path("/login", 404, no_login)
        .respond_path("/auth_metadata", metadata.0, metadata.1)
        .respond_path("/register", registration.0, registration.1);
    server.ok().clone()
}

pub(super) const CLOSED: (u16, &str) = (
    403,
    r#"{"errcode":"M_FORBIDDEN","error":"Registration has been disabled. Only m.login.application_service registrations are allowed."}"#,
);
