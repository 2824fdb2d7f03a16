//! Login with a password.

use matricula_auth::{AuthError, DeviceOptions, Login, LoginError, ServerError, ServerInfo};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::json;

use crate::{
    helpers::server_info,
    scripted_server::{ScriptedServer, transport_error},
};

fn login() -> ScriptedServer<Login> {
    ScriptedServer::start(Login::new(&server_info(), "alice", "wordpass".into()))
}

#[test]
fn user_password_and_device_are_sent() {
    let login = Login::new(&server_info(), "@alice:example.org", "wordpass".into()).device(
        DeviceOptions::new()
            .device_id("DEV")
            .device_name("phone")
            .refresh_token(true),
    );
    let server = ScriptedServer::start(login);
    assert_eq!(server.requests, ["POST /_matrix/client/v3/login"]);
    assert_eq!(
        server.body(),
        json!({
            "type": "m.login.password",
            "identifier": { "type": "m.id.user", "user": "@alice:example.org" },
            "password": "wordpass",
            "device_id": "DEV",
            "initial_device_display_name": "phone",
            "refresh_token": true,
        })
    );
}

#[test]
fn generated_password_is_stored_with_account() {
    let login = Login::new(&server_info(), "alice", "made".into())
        .generated_password("made".into())
        .device(DeviceOptions::new().data(json!({ "k": 1 })));
    let mut server = ScriptedServer::start(login);
    server.respond(
        200,
        &json!({ "user_id": "@alice:e.org", "access_token": "t", "device_id": "D" }),
    );
    let account = server.ok();
    assert_eq!(
        (account.device_id.as_deref(), &account.data),
        (Some("D"), &json!({ "k": 1 }))
    );
    assert_eq!(account.password, Some("made".into()));
    assert_eq!(server.commits.len(), 1);
}

#[test]
fn refusals_are_distinguished() {
    let mut server = login();
    server.respond(
        403,
        &json!({ "errcode": "M_FORBIDDEN", "error": "Invalid username or password" }),
    );
    assert!(matches!(
        server.error(),
        AuthError::Login(LoginError::WrongPassword { .. })
    ));
    let mut server = login();
    server.respond(403, &json!({ "errcode": "M_USER_DEACTIVATED" }));
    assert!(matches!(
        server.error(),
        AuthError::Server(ServerError::Refused { .. })
    ));
    let mut server = login();
    server.respond(429, &json!({ "errcode": "M_LIMIT_EXCEEDED" }));
    assert!(matches!(
        server.error(),
        AuthError::Server(ServerError::RateLimited { .. })
    ));
    let mut server = login();
    server.outcome(Outcome::Failed(transport_error(
        TransportErrorKind::Connect,
    )));
    assert!(matches!(
        server.error(),
        AuthError::Server(ServerError::Unreachable { .. })
    ));
    let mut server = login();
    server.respond_text(200, "{}");
    assert!(matches!(
        server.error(),
        AuthError::Server(ServerError::NotMatrix { .. })
    ));
}

#[test]
fn password_needs_an_offered_flow() {
    let server_info: ServerInfo = serde_json::from_value(json!({
        "server": "https://matrix.example.org", "versions": [], "registration": null,
        "oauth_issuer": "https://account.example.org/",
        "login_flows": [{ "type": "m.login.sso", "oauth_aware_preferred": false }],
    }))
    .unwrap();
    let server = ScriptedServer::start(Login::new(&server_info, "alice", "wordpass".into()));
    let AuthError::Login(LoginError::NoPasswordLogin { offers, .. }) = server.error() else {
        panic!("{}", server.error())
    };
    assert_eq!(
        offers,
        &["m.login.sso", "OAuth 2.0 at https://account.example.org/"]
    );
    assert!(server.requests.is_empty());
}
