//! The users of an application service: registered without being asked anything, and signed in.

use matricula_auth::{
    AppserviceError, AppserviceLogin, AppserviceRegistration, AuthError, Progress, ServerError,
    ServerInfo, tables,
};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::{
    registration::{dummy, facts, refused},
    talk::{Talk, transport_error},
};

const REGISTER: &str = "POST /_matrix/client/v3/register";
const LOGIN: &str = "POST /_matrix/client/v3/login";

fn register() -> Talk<AppserviceRegistration> {
    let token = "as-token".into();
    Talk::start(AppserviceRegistration::new(
        &facts(),
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
    talk: &Talk<C>,
) -> bool {
    *talk.job().auth() == matricula_core::Auth::Token("as-token".into())
}

#[test]
fn one_request_makes_a_user_with_a_session() {
    let mut talk = register();
    assert!(carries_the_token(&talk));
    let body = talk.body();
    assert_eq!(body["type"], "m.login.application_service");
    assert_eq!(body["username"], "_bridge_alice");
    assert!(body["device_id"].is_string(), "made here: {body}");
    assert_eq!(
        body.as_object().unwrap().len(),
        3,
        "and nothing else: {body}"
    );
    assert_eq!(talk.commits.len(), 0, "the service's token is not stored");
    talk.answer(200, &success());
    assert_eq!(talk.requests, [REGISTER]);
    assert_eq!(talk.ok().access_token, Some("syt_b".into()));
    assert_eq!(&*talk.commits[0].writes()[0].table, tables::ACCOUNTS);
}

#[test]
fn where_the_server_gives_no_session_it_is_made_without_one() {
    let mut talk = register();
    talk.answer(400, &refused("M_APPSERVICE_LOGIN_UNSUPPORTED"));
    assert_eq!(talk.notices, [Progress::NoSession]);
    assert!(carries_the_token(&talk));
    assert_eq!(
        talk.body(),
        json!({ "type": "m.login.application_service", "username": "_bridge_alice", "inhibit_login": true })
    );
    talk.answer(200, &bare());
    let account = talk.ok();
    assert_eq!((&account.access_token, &account.device_id), (&None, &None));
}

#[test]
fn a_server_that_has_made_the_user_before_it_says_so_is_not_told_that_the_name_is_taken() {
    let mut talk = register();
    talk.answer(400, &refused("M_APPSERVICE_LOGIN_UNSUPPORTED"))
        .answer(400, &refused("M_USER_IN_USE"));
    assert_eq!(talk.requests[2], "GET /_matrix/client/v3/account/whoami");
    talk.answer(200, &json!({ "user_id": "@bridge_bot:example.org" }));
    let account = talk.ok();
    assert_eq!(account.user_id.as_str(), "@_bridge_alice:example.org");
    assert_eq!(account.access_token, None);
}

#[test]
fn a_server_that_says_so_twice_is_not_asked_for_ever() {
    let mut talk = register();
    talk.answer(400, &refused("M_APPSERVICE_LOGIN_UNSUPPORTED"))
        .answer(400, &refused("M_APPSERVICE_LOGIN_UNSUPPORTED"));
    assert!(matches!(
        talk.error(),
        AuthError::Appservice(AppserviceError::NoServiceLogin { .. })
    ));
}

#[test]
fn on_a_server_that_delegates_to_oauth_no_session_is_asked_for() {
    let mut facts = ServerInfo::of("https://matrix.example.org".parse().unwrap());
    facts.oauth_issuer = Some("https://account.example.org/".into());
    let talk = Talk::start(AppserviceRegistration::new(&facts, "as-token".into(), "a"));
    assert_eq!(talk.body()["inhibit_login"], true);
}

#[test]
fn each_refusal_says_what_to_do() {
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
        let mut talk = register();
        talk.answer(status, &refused(code));
        assert!(is_it(talk.error()), "{code}: {:?}", talk.error());
        assert!(!talk.error().to_string().contains("as-token"));
        assert!(talk.commits.is_empty(), "{code}");
    }
    let mut talk = register();
    talk.answer(401, &dummy());
    assert!(
        matches!(
            talk.error(),
            AuthError::Appservice(AppserviceError::ServiceUnknown { .. })
        ),
        "a stranger's questions"
    );
}

#[test]
fn a_lost_answer_is_asked_for_again() {
    let mut talk = register();
    let before = talk.body();
    talk.lose();
    assert!(matches!(&talk.notices[..], [Progress::Settling(_)]));
    assert_eq!(talk.body(), before);
    talk.answer(200, &success());
    talk.ok();
}

#[test]
fn a_name_that_is_taken_after_a_lost_answer_is_ours() {
    let mut talk = register();
    let device = talk.body()["device_id"].clone();
    talk.lose().answer(400, &refused("M_USER_IN_USE"));
    assert_eq!(talk.requests, [REGISTER, REGISTER, LOGIN]);
    assert!(carries_the_token(&talk));
    assert_eq!(talk.body()["type"], "m.login.application_service");
    assert_eq!(
        talk.body()["device_id"],
        device,
        "the same device, not a second one"
    );
    talk.answer(200, &success());
    talk.ok();
}

#[test]
fn without_a_session_the_services_own_name_tells_the_servers() {
    let registration = AppserviceRegistration::new(&facts(), "as-token".into(), "_bridge_alice");
    let mut talk = Talk::start(registration.inhibit_login(true));
    talk.lose().answer(400, &refused("M_USER_IN_USE"));
    assert_eq!(talk.requests[2], "GET /_matrix/client/v3/account/whoami");
    assert!(carries_the_token(&talk));
    talk.answer(200, &json!({ "user_id": "@bridge_bot:example.org" }));
    assert_eq!(talk.ok().user_id.as_str(), "@_bridge_alice:example.org");
    assert_eq!(talk.ok().access_token, None);
}

#[test]
fn a_success_that_cannot_be_read_is_not_taken_for_a_failure() {
    let mut talk = register();
    talk.answer_text(200, r#"{"user_id": 5}"#);
    assert_eq!(talk.requests, [REGISTER, REGISTER]);
}

#[test]
fn what_is_lost_twice_is_in_doubt_aloud() {
    let mut talk = register();
    talk.lose().lose();
    assert!(matches!(
        talk.error(),
        AuthError::Appservice(AppserviceError::MayBeDone { .. })
    ));
    let mut talk = register();
    talk.lose().outcome(Outcome::Failed(transport_error(
        TransportErrorKind::Connect,
    )));
    assert!(matches!(
        talk.error(),
        AuthError::Appservice(AppserviceError::MayBeDone { .. })
    ));
    let mut talk = register();
    talk.outcome(Outcome::Failed(transport_error(
        TransportErrorKind::Connect,
    )));
    assert!(
        matches!(
            talk.error(),
            AuthError::Server(ServerError::Unreachable { .. })
        ),
        "nothing was sent"
    );
}

fn log_in() -> Talk<AppserviceLogin> {
    let token = "as-token".into();
    Talk::start(AppserviceLogin::new(
        &facts(),
        token,
        "@_bridge_alice:example.org",
    ))
}

#[test]
fn signing_in_takes_the_services_token_and_no_password() {
    let mut talk = log_in();
    assert!(carries_the_token(&talk));
    assert_eq!(
        talk.body(),
        json!({
            "type": "m.login.application_service",
            "identifier": { "type": "m.id.user", "user": "@_bridge_alice:example.org" },
        })
    );
    talk.answer(200, &success());
    assert_eq!(talk.ok().access_token, Some("syt_b".into()));
    assert_eq!(&*talk.commits[0].writes()[0].table, tables::ACCOUNTS);
}

#[test]
fn each_refusal_to_sign_in_says_what_to_do() {
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
        let mut talk = log_in();
        talk.answer(status, &refused(code));
        assert!(is_it(talk.error()), "{code}: {:?}", talk.error());
    }
    let mut talk = log_in();
    talk.lose();
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::Unreachable { .. })
    ));
}
