//! Lost responses and crashes at every point of a registration.

use matricula_auth::{AccountKind, AuthError, RegisterError, Registration, RegistrationOptions};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::json;

use crate::{
    helpers::{alice, dummy_flow, refused, reload, server_info, success},
    scripted_server::{ScriptedServer, transport_error},
};

/// Alice, whose answer to the last request of a dummy flow is on its way.
fn last_request() -> ScriptedServer<Registration> {
    let mut server = ScriptedServer::start(Registration::new(&server_info(), alice()));
    server
        .respond(200, &json!({ "available": true }))
        .respond(401, &dummy_flow());
    server
}

#[test]
fn lost_response_is_replayed_in_session() {
    let mut server = last_request();
    let before = server.body();
    server.lose();
    assert_eq!(server.body(), before);
    server.respond(200, &success());
    assert_eq!(server.ok().user_id.as_str(), "@alice:example.org");
}

#[test]
fn taken_username_leads_to_login() {
    let mut server = last_request();
    let device = server.body()["device_id"].clone();
    server.lose().respond(400, &refused("M_USER_IN_USE"));
    assert_eq!(
        server.requests.last().unwrap(),
        "POST /_matrix/client/v3/login"
    );
    assert_eq!(
        server.body()["identifier"],
        json!({ "type": "m.id.user", "user": "alice" })
    );
    assert_eq!(server.body()["password"], "wordpass");
    assert_eq!(
        server.body()["device_id"],
        device,
        "the same device, not a second one"
    );
    server.respond(200, &success());
    assert_eq!(server.ok().user_id.as_str(), "@alice:example.org");
}

#[test]
fn foreign_username_stays_in_doubt() {
    let mut server = last_request();
    server
        .lose()
        .respond(400, &refused("M_USER_IN_USE"))
        .respond(403, &refused("M_FORBIDDEN"));
    assert!(matches!(
        server.error(),
        AuthError::Register(RegisterError::InDoubt { .. })
    ));
}

#[test]
fn forgotten_session_leads_to_login() {
    for (status, answer) in [
        (400, refused("M_UNKNOWN")),
        (401, json!({ "session": "s2", "flows": [] })),
    ] {
        let mut server = last_request();
        server.lose().respond(status, &answer);
        assert_eq!(
            server.requests.last().unwrap(),
            "POST /_matrix/client/v3/login"
        );
    }
}

#[test]
fn third_loss_ends_in_doubt() {
    let mut server = last_request();
    server.lose().lose();
    assert_eq!(
        server.requests.last().unwrap(),
        "POST /_matrix/client/v3/login"
    );
    server.lose();
    assert!(matches!(
        server.error(),
        AuthError::Register(RegisterError::InDoubt { .. })
    ));
}

#[test]
fn second_loss_without_username_is_in_doubt() {
    let mut server = ScriptedServer::start(Registration::new(
        &server_info(),
        RegistrationOptions::default(),
    ));
    server.respond(401, &dummy_flow()).lose().lose();
    assert!(matches!(
        server.error(),
        AuthError::Register(RegisterError::InDoubt { .. })
    ));
}

#[test]
fn lost_guest_is_not_repeated() {
    let options = RegistrationOptions {
        kind: AccountKind::Guest,
        ..RegistrationOptions::default()
    };
    let mut server = ScriptedServer::start(Registration::new(&server_info(), options));
    server.lose();
    assert!(matches!(
        server.error(),
        AuthError::Register(RegisterError::InDoubt { .. })
    ));
    assert_eq!(server.requests.len(), 1);
}

#[test]
fn unreadable_success_is_not_a_failure() {
    let mut server = last_request();
    server.respond_text(200, r#"{"user_id": 5}"#);
    assert_eq!(
        server.requests.last().unwrap(),
        "POST /_matrix/client/v3/login"
    );
}

#[test]
fn unreachable_login_leaves_doubt() {
    let mut server = last_request();
    server
        .lose()
        .lose()
        .outcome(Outcome::Failed(transport_error(
            TransportErrorKind::Connect,
        )));
    assert!(matches!(
        server.error(),
        AuthError::Register(RegisterError::InDoubt { .. })
    ));
}

/// Kills the process after each step of a whole registration, with the request sent or not, and
/// lets another process go on.
#[test]
fn registration_resumes_after_any_step() {
    let flow =
        json!({ "session": "s1", "flows": [{ "stages": ["m.login.terms", "m.login.dummy"] }] });
    let options = || RegistrationOptions {
        accept_terms: true,
        ..alice()
    };
    for dies_after in 0..4 {
        let mut server = ScriptedServer::start(Registration::new(&server_info(), options()));
        let answers = [
            (200, json!({})),
            (401, flow.clone()),
            (401, {
                let mut done = flow.clone();
                done["completed"] = json!(["m.login.terms"]);
                done
            }),
        ];
        for (status, answer) in &answers[..dies_after] {
            server.respond(*status, answer);
        }
        let before = (
            server.requests.last().unwrap().clone(),
            server.job().request_body().clone(),
        );
        let mut server = ScriptedServer::start(reload(&server));
        let after = (
            server.requests.last().unwrap().clone(),
            server.job().request_body().clone(),
        );
        assert_eq!(
            after, before,
            "the same request, with the same password and session"
        );
        for (status, answer) in &answers[dies_after..] {
            server.respond(*status, answer);
        }
        server.respond(200, &success());
        assert_eq!(server.ok().user_id.as_str(), "@alice:example.org");
    }
}

#[test]
fn recovery_login_resumes() {
    let mut server = last_request();
    server.lose().respond(400, &refused("M_USER_IN_USE"));
    let mut server = ScriptedServer::start(reload(&server));
    assert_eq!(server.requests, ["POST /_matrix/client/v3/login"]);
    server.respond(200, &success());
    server.ok();
}
