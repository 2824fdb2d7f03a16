//! Upgrade of a guest to a user, with lost responses.

use matricula_auth::{
    Account, Answer, AuthError, Guest, RegisterError, Registration, RegistrationOptions,
    ServerError, tables,
};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::{
    helpers::{dummy_flow, refused, register, reload},
    scripted_server::{ScriptedServer, transport_error},
};

fn account(changes: &Value) -> Account {
    let mut account = json!({
        "user_id": "@17:example.org",
        "server": "https://matrix.example.org",
        "device_id": "guest_device",
        "access_token": "guests-token",
        "is_guest": true,
        "expires_at": null,
    });
    for (key, value) in changes.as_object().unwrap() {
        account[key] = value.clone();
    }
    serde_json::from_value(account).unwrap()
}

fn options() -> RegistrationOptions {
    RegistrationOptions {
        upgrade: Some(Guest::of(&account(&json!({}))).unwrap()),
        password: Some("wordpass".into()),
        ..RegistrationOptions::default()
    }
}

fn success() -> Value {
    json!({ "user_id": "@17:example.org", "access_token": "users-token", "device_id": "DEV" })
}

/// The guest, whose answer to the last request is on its way.
fn last_request() -> ScriptedServer<Registration> {
    let mut server = register(options());
    server.respond(401, &dummy_flow());
    server
}

#[test]
fn guest_token_is_in_every_request() {
    let mut server = last_request();
    assert_eq!(server.requests, ["POST /_matrix/client/v3/register"; 2]);
    assert_eq!(server.job().request_query(), [], "it registers no guest");
    let body = server.body();
    assert_eq!(body["username"], "17");
    assert_eq!(body["guest_access_token"], "guests-token");
    assert_eq!(body["password"], "wordpass");
    assert_ne!(
        body["device_id"], "guest_device",
        "keys of the guest's device are not taken over"
    );
    assert!(!server.job().masked_body().contains("guests-token"));
    server.respond(200, &success());
    let user = server.ok();
    assert_eq!(user.user_id.as_str(), "@17:example.org");
    assert!(!user.is_guest);
    assert_eq!(user.access_token, Some("users-token".into()));
}

#[test]
fn user_replaces_guest_in_one_write() {
    let mut server = last_request();
    server.respond(200, &success());
    let last = server.commits.last().unwrap().writes();
    assert_eq!(last.len(), 2);
    assert_eq!(
        (&*last[0].table, &*last[0].key),
        (tables::ACCOUNTS, "@17:example.org")
    );
    assert_eq!(&*last[1].table, tables::REGISTRATIONS);
    assert_eq!(last[1].value, None);
}

#[test]
fn other_username_is_ignored() {
    let server = register(RegistrationOptions {
        username: Some("alice".into()),
        ..options()
    });
    assert_eq!(server.body()["username"], "17");
    let registration = server.conversation.answers(RegistrationOptions {
        username: Some("alice".into()),
        ..RegistrationOptions::default()
    });
    assert_eq!(ScriptedServer::start(registration).body()["username"], "17");
}

#[test]
fn upgrade_needs_a_guest_session() {
    for no_guest in [
        json!({ "is_guest": false }),
        json!({ "access_token": null }),
    ] {
        let error = Guest::of(&account(&no_guest)).unwrap_err();
        assert!(
            matches!(&error, RegisterError::NotAGuest { user_id } if user_id.as_str() == "@17:example.org")
        );
        assert!(
            error
                .to_string()
                .starts_with("@17:example.org is not a guest")
        );
    }
}

#[test]
fn guest_refusal_ends_the_upgrade() {
    for (status, code) in [
        (401, "M_UNKNOWN_TOKEN"),
        (401, "M_MISSING_TOKEN"),
        (400, "M_USER_IN_USE"),
        (400, "M_INVALID_USERNAME"),
        (400, "M_EXCLUSIVE"),
        (403, "M_FORBIDDEN"),
        (403, "M_UNKNOWN"),
    ] {
        let mut server = register(options());
        server.respond(status, &refused(code));
        let error = server.error();
        assert!(
            matches!(error, AuthError::Register(RegisterError::GuestNotUpgraded { guest, .. }) if guest == "17"),
            "{code}"
        );
        assert!(error.to_string().contains("the server's words"), "{error}");
        let last = server.commits.last().unwrap().writes().last().unwrap();
        assert_eq!(
            (&*last.table, &last.value),
            (tables::REGISTRATIONS, &None),
            "{code}"
        );
    }
}

#[test]
fn weak_password_is_asked_again() {
    let mut server = register(options());
    server
        .respond(400, &refused("M_WEAK_PASSWORD"))
        .answer(Answer::Text("better".into()));
    assert_eq!(server.body()["password"], "better");
    assert_eq!(server.body()["guest_access_token"], "guests-token");
}

#[test]
fn lost_response_is_replayed_in_session() {
    let mut server = last_request();
    let before = server.body();
    server.lose();
    assert_eq!(server.body(), before);
    server.respond(200, &success());
    server.ok();
}

#[test]
fn dead_guest_token_leads_to_login() {
    for (status, code) in [
        (401, "M_UNKNOWN_TOKEN"),
        (403, "M_FORBIDDEN"),
        (400, "M_USER_IN_USE"),
        (400, "M_UNKNOWN"),
    ] {
        let mut server = last_request();
        let device = server.body()["device_id"].clone();
        server.lose().respond(status, &refused(code));
        assert_eq!(
            server.requests.last().unwrap(),
            "POST /_matrix/client/v3/login",
            "{code}"
        );
        assert_eq!(server.body()["identifier"]["user"], "17");
        assert_eq!(server.body()["password"], "wordpass");
        assert_eq!(
            server.body()["device_id"],
            device,
            "the same device, not a second one"
        );
        server.respond(200, &success());
        assert!(!server.ok().is_guest);
    }
}

#[test]
fn unknown_result_is_stored_in_doubt() {
    let mut server = last_request();
    server
        .lose()
        .respond(401, &refused("M_UNKNOWN_TOKEN"))
        .respond(403, &refused("M_FORBIDDEN"));
    assert!(matches!(
        server.error(),
        AuthError::Register(RegisterError::InDoubt { .. })
    ));
    let server = ScriptedServer::start(reload(&server));
    assert_eq!(server.requests, ["POST /_matrix/client/v3/login"]);
}

/// Kills the process after each step; another one resumes and learns that the guest is gone
/// or not.
#[test]
fn upgrade_resumes_after_any_step() {
    for dies_after in 0..2 {
        let mut server = register(options());
        if dies_after == 1 {
            server.respond(401, &dummy_flow());
        }
        let before = server.body();
        let mut server = ScriptedServer::start(reload(&server));
        assert_eq!(server.body(), before, "the same device, password and token");
        if dies_after == 0 {
            server.respond(401, &dummy_flow());
        }
        server.respond(200, &success());
        server.ok();
    }
    let mut server = ScriptedServer::start(reload(&last_request()));
    server.respond(401, &refused("M_UNKNOWN_TOKEN"));
    assert_eq!(
        server.requests.last().unwrap(),
        "POST /_matrix/client/v3/login"
    );
    let mut server = ScriptedServer::start(reload(&server));
    server.respond(200, &success());
    server.ok();
}

#[test]
fn unsent_upgrade_is_stored() {
    let mut server = register(options());
    server.outcome(Outcome::Failed(transport_error(
        TransportErrorKind::Connect,
    )));
    assert!(matches!(
        server.error(),
        AuthError::Server(ServerError::Unreachable { .. })
    ));
    let server = ScriptedServer::start(
        Registration::from_stored(&serde_json::to_vec(&server.conversation).unwrap()).unwrap(),
    );
    assert_eq!(server.body()["guest_access_token"], "guests-token");
}

#[test]
fn stored_options_of_an_upgrade() {
    let stored = serde_json::to_value(&last_request().conversation).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&stored["options"]).unwrap());
}
