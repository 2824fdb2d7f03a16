//! Registration and login of an application service's users.

use matricula_auth::{
    AppserviceError, AppserviceLogin, AppserviceRegistration, AuthError, Progress, ServerError,
    ServerInfo, tables,
};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::{
    helpers::{dummy, refused, server_info},
    scripted_server::{ScriptedServer, transport_error},
};

const REGISTER: &str = "POST /_matrix/client/v3/register";
const LOGIN: &str = "POST /_matrix/client/v3/login";

fn register() -> ScriptedServer<AppserviceRegistration> {
    let token = "as-token".into();
    ScriptedServer::start(AppserviceRegistration::new(
        &server_info(),
        token,
        "_bridge_alice",
    ))
}

fn success() -> Value {
    json!({ "user_id": "@_bridge_alice:example.org", "access_token": "syt_b", "device_id": "DEV" })
}

fn bare() -> Value {
    json!({ "user_id": "@_bridge_alice:example.org" })
}

/// The token that the request on its way carries.
fn carries_the_token<C: matricula_auth::Conversation<Error: Into<AuthError>>>(
    server: &ScriptedServer<C>,
) -> bool {
    *server.job().auth() == matricula_core::Auth::Token("as-token".into())
}

#[test]
fn one_request_makes_a_user() {
    let mut server = register();
    assert!(carries_the_token(&server));
    let body = server.body();
    assert_eq!(body["type"], "m.login.application_service");
    assert_eq!(body["username"], "_bridge_alice");
    assert!(body["device_id"].is_string(), "made here: {body}");
    assert_eq!(
        body.as_object().unwrap().len(),
        3,
        "and nothing else: {body}"
    );
    assert_eq!(server.commits.len(), 0, "the service's token is not stored");
    server.respond(200, &success());
    assert_eq!(server.requests, [REGISTER]);
    assert_eq!(server.ok().access_token, Some("syt_b".into()));
    assert_eq!(&*server.commits[0].writes()[0].table, tables::ACCOUNTS);
}

#[test]
fn user_without_session_is_made() {
    let mut server = register();
    server.respond(400, &refused("M_APPSERVICE_LOGIN_UNSUPPORTED"));
    assert_eq!(server.progress, [Progress::NoSession]);
    assert!(carries_the_token(&server));
    assert_eq!(
        server.body(),
        json!({ "type": "m.login.application_service", "username": "_bridge_alice", "inhibit_login": true })
    );
    server.respond(200, &bare());
    let account = server.ok();
    assert_eq!((&account.access_token, &account.device_id), (&None, &None));
}

#[test]
fn refused_session_still_makes_the_user() {
    let mut server = register();
    server
        .respond(400, &refused("M_APPSERVICE_LOGIN_UNSUPPORTED"))
        .respond(400, &refused("M_USER_IN_USE"));
    assert_eq!(server.requests[2], "GET /_matrix/client/v3/account/whoami");
    server.respond(200, &json!({ "user_id": "@bridge_bot:example.org" }));
    let account = server.ok();
    assert_eq!(account.user_id.as_str(), "@_bridge_alice:example.org");
    assert_eq!(account.access_token, None);
}

#[test]
fn refused_session_is_retried_once() {
    let mut server = register();
    server
        .respond(400, &refused("M_APPSERVICE_LOGIN_UNSUPPORTED"))
        .respond(400, &refused("M_APPSERVICE_LOGIN_UNSUPPORTED"));
    assert!(matches!(
        server.error(),
        AuthError::Appservice(AppserviceError::NoServiceLogin { .. })
    ));
}

#[test]
fn delegating_server_gives_no_session() {
    let mut server_info = ServerInfo::of("https://matrix.example.org".parse().unwrap());
    server_info.oauth_issuer = Some("https://account.example.org/".into());
    let server = ScriptedServer::start(AppserviceRegistration::new(
        &server_info,
        "as-token".into(),
        "a",
    ));
    assert_eq!(server.body()["inhibit_login"], true);
}

#[test]
fn registration_refusals_are_actionable() {
    type Is = fn(&AuthError) -> bool;
    let table: [(u16, &str, Is); 7] = [
        (
            400,
            "M_EXCLUSIVE",
            |e| matches!(e, AuthError::Appservice(AppserviceError::OutsideNamespace { username, .. }) if username == "_bridge_alice"),
        ),
        (401, "M_UNKNOWN_TOKEN", |e| {
            matches!(
                e,
                AuthError::Appservice(AppserviceError::ServiceUnknown { .. })
            )
        }),
        (401, "M_MISSING_TOKEN", |e| {
            matches!(
                e,
                AuthError::Appservice(AppserviceError::ServiceUnknown { .. })
            )
        }),
        (400, "M_USER_IN_USE", |e| {
            matches!(e, AuthError::Appservice(AppserviceError::NameTaken { .. }))
        }),
        (400, "M_INVALID_USERNAME", |e| {
            matches!(
                e,
                AuthError::Appservice(AppserviceError::NameInvalid { .. })
            )
        }),
        (403, "M_FORBIDDEN", |e| {
            matches!(e, AuthError::Server(ServerError::Refused { .. }))
        }),
        (429, "M_LIMIT_EXCEEDED", |e| {
            matches!(e, AuthError::Server(ServerError::RateLimited { .. }))
        }),
    ];
    for (status, code, is_it) in table {
        let mut server = register();
        server.respond(status, &refused(code));
        assert!(is_it(server.error()), "{code}: {:?}", server.error());
        assert!(!server.error().to_string().contains("as-token"));
        assert!(server.commits.is_empty(), "{code}");
    }
    let mut server = register();
    server.respond(401, &dummy());
    assert!(
        matches!(
            server.error(),
            AuthError::Appservice(AppserviceError::ServiceUnknown { .. })
        ),
        "a stranger's questions"
    );
}

#[test]
fn lost_response_is_repeated() {
    let mut server = register();
    let before = server.body();
    server.lose();
    assert!(matches!(&server.progress[..], [Progress::Settling(_)]));
    assert_eq!(server.body(), before);
    server.respond(200, &success());
    server.ok();
}

#[test]
fn taken_username_after_loss_is_ours() {
    let mut server = register();
    let device = server.body()["device_id"].clone();
    server.lose().respond(400, &refused("M_USER_IN_USE"));
    assert_eq!(server.requests, [REGISTER, REGISTER, LOGIN]);
    assert!(carries_the_token(&server));
    assert_eq!(server.body()["type"], "m.login.application_service");
    assert_eq!(
        server.body()["device_id"],
        device,
        "the same device, not a second one"
    );
    server.respond(200, &success());
    server.ok();
}

#[test]
fn server_name_comes_from_whoami() {
    let registration =
        AppserviceRegistration::new(&server_info(), "as-token".into(), "_bridge_alice");
    let mut server = ScriptedServer::start(registration.inhibit_login(true));
    server.lose().respond(400, &refused("M_USER_IN_USE"));
    assert_eq!(server.requests[2], "GET /_matrix/client/v3/account/whoami");
    assert!(carries_the_token(&server));
    server.respond(200, &json!({ "user_id": "@bridge_bot:example.org" }));
    assert_eq!(server.ok().user_id.as_str(), "@_bridge_alice:example.org");
    assert_eq!(server.ok().access_token, None);
}

#[test]
fn unreadable_success_is_not_a_failure() {
    let mut server = register();
    server.respond_text(200, r#"{"user_id": 5}"#);
    assert_eq!(server.requests, [REGISTER, REGISTER]);
}

#[test]
fn second_loss_is_in_doubt() {
    let mut server = register();
    server.lose().lose();
    assert!(matches!(
        server.error(),
        AuthError::Appservice(AppserviceError::MayBeDone { .. })
    ));
    let mut server = register();
    server.lose().outcome(Outcome::Failed(transport_error(
        TransportErrorKind::Connect,
    )));
    assert!(matches!(
        server.error(),
        AuthError::Appservice(AppserviceError::MayBeDone { .. })
    ));
    let mut server = register();
    server.outcome(Outcome::Failed(transport_error(
        TransportErrorKind::Connect,
    )));
    assert!(
        matches!(
            server.error(),
            AuthError::Server(ServerError::Unreachable { .. })
        ),
        "nothing was sent"
    );
}

fn log_in() -> ScriptedServer<AppserviceLogin> {
    let token = "as-token".into();
    ScriptedServer::start(AppserviceLogin::new(
        &server_info(),
        token,
        "@_bridge_alice:example.org",
    ))
}

#[test]
fn login_uses_the_service_token() {
    let mut server = log_in();
    assert!(carries_the_token(&server));
    assert_eq!(
        server.body(),
        json!({
            "type": "m.login.application_service",
            "identifier": { "type": "m.id.user", "user": "@_bridge_alice:example.org" },
        })
    );
    server.respond(200, &success());
    assert_eq!(server.ok().access_token, Some("syt_b".into()));
    assert_eq!(&*server.commits[0].writes()[0].table, tables::ACCOUNTS);
}

#[test]
fn login_refusals_are_actionable() {
    type Is = fn(&AuthError) -> bool;
    let table: [(u16, &str, Is); 4] = [
        (400, "M_APPSERVICE_LOGIN_UNSUPPORTED", |e| {
            matches!(
                e,
                AuthError::Appservice(AppserviceError::NoServiceLogin { .. })
            )
        }),
        (400, "M_EXCLUSIVE", |e| {
            matches!(
                e,
                AuthError::Appservice(AppserviceError::OutsideNamespace { .. })
            )
        }),
        (401, "M_UNKNOWN_TOKEN", |e| {
            matches!(
                e,
                AuthError::Appservice(AppserviceError::ServiceUnknown { .. })
            )
        }),
        (403, "M_FORBIDDEN", |e| {
            matches!(e, AuthError::Server(ServerError::Refused { .. }))
        }),
    ];
    for (status, code, is_it) in table {
        let mut server = log_in();
        server.respond(status, &refused(code));
        assert!(is_it(server.error()), "{code}: {:?}", server.error());
    }
    let mut server = log_in();
    server.lose();
    assert!(matches!(
        server.error(),
        AuthError::Server(ServerError::Unreachable { .. })
    ));
}
