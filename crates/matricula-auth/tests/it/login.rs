//! Signing in with a password.

use matricula_auth::{AuthError, DeviceOptions, Login, LoginError, ServerError, ServerInfo};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::json;

use crate::{
    registration::facts,
    talk::{Talk, transport_error},
};

fn login() -> Talk<Login> {
    Talk::start(Login::new(&facts(), "alice", "wordpass".into()))
}

#[test]
fn user_password_and_device_are_sent() {
    let login = Login::new(&facts(), "@alice:example.org", "wordpass".into()).device(
        DeviceOptions::new()
            .device_id("DEV")
            .device_name("phone")
            .refresh_token(true),
    );
    let talk = Talk::start(login);
    assert_eq!(talk.requests, ["POST /_matrix/client/v3/login"]);
    assert_eq!(
        talk.body(),
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
fn it_ends_in_a_stored_account_that_keeps_a_made_password() {
    let login = Login::new(&facts(), "alice", "made".into())
        .generated_password("made".into())
        .device(DeviceOptions::new().data(json!({ "k": 1 })));
    let mut talk = Talk::start(login);
    talk.answer(
        200,
        &json!({ "user_id": "@alice:e.org", "access_token": "t", "device_id": "D" }),
    );
    let account = talk.ok();
    assert_eq!(
        (account.device_id.as_deref(), &account.data),
        (Some("D"), &json!({ "k": 1 }))
    );
    assert_eq!(account.password, Some("made".into()));
    assert_eq!(talk.commits.len(), 1);
}

#[test]
fn refusals_are_told_apart() {
    let mut talk = login();
    talk.answer(
        403,
        &json!({ "errcode": "M_FORBIDDEN", "error": "Invalid username or password" }),
    );
    assert!(matches!(
        talk.error(),
        AuthError::Login(LoginError::WrongPassword { .. })
    ));
    let mut talk = login();
    talk.answer(403, &json!({ "errcode": "M_USER_DEACTIVATED" }));
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::Refused { .. })
    ));
    let mut talk = login();
    talk.answer(429, &json!({ "errcode": "M_LIMIT_EXCEEDED" }));
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::RateLimited { .. })
    ));
    let mut talk = login();
    talk.outcome(Outcome::Failed(transport_error(
        TransportErrorKind::Connect,
    )));
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::Unreachable { .. })
    ));
    let mut talk = login();
    talk.answer_text(200, "{}");
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::NotMatrix { .. })
    ));
}

#[test]
fn a_server_without_sign_in_by_password_is_not_sent_one() {
    let facts: ServerInfo = serde_json::from_value(json!({
        "server": "https://matrix.example.org", "versions": [], "registration": null,
        "oauth_issuer": "https://account.example.org/",
        "login_flows": [{ "type": "m.login.sso", "oauth_aware_preferred": false }],
    }))
    .unwrap();
    let talk = Talk::start(Login::new(&facts, "alice", "wordpass".into()));
    let AuthError::Login(LoginError::NoPasswordLogin { offers, .. }) = talk.error() else {
        panic!("{}", talk.error())
    };
    assert_eq!(
        offers,
        &["m.login.sso", "OAuth 2.0 at https://account.example.org/"]
    );
    assert!(talk.requests.is_empty());
}
