//! Signing in with a code that is typed in on another device.

use matricula_auth::{
    AuthError, OAuthClient, OAuthLogin, OAuthLoginError, OAuthRefusal, Progress, ServerError,
    tables,
};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::{
    oauth::{about, form, metadata, owner, refusal, tokens},
    oauth_crash::reload,
    registration::facts,
    talk::{Talk, transport_error},
};

pub(crate) fn login() -> OAuthLogin {
    OAuthLogin::device_code(&facts(), about())
}

pub(crate) fn code() -> Value {
    json!({
        "device_code": "d3v1c3", "user_code": "ABCD-EFGH", "expires_in": 60, "interval": 7,
        "verification_uri": "https://account.example.org/link",
        "verification_uri_complete": "https://account.example.org/link?code=ABCD-EFGH",
    })
}

/// Up to the first wait.
fn waiting() -> Talk<OAuthLogin> {
    let mut talk = Talk::start(login());
    talk.answer(200, &metadata())
        .answer(201, &json!({ "client_id": "c1" }))
        .answer(200, &code());
    talk
}

/// Up to the first question whether the person has decided.
fn polling() -> Talk<OAuthLogin> {
    let mut talk = waiting();
    talk.wake();
    talk
}

#[test]
fn the_code_is_shown_and_asked_about_until_the_person_has_decided() {
    let mut talk = waiting();
    assert_eq!(
        talk.notices,
        [Progress::DeviceCode {
            url: "https://account.example.org/link".into(),
            url_with_code: Some("https://account.example.org/link?code=ABCD-EFGH".into()),
            user_code: "ABCD-EFGH".into(),
            expires_at: matricula_core::Timestamp::from_millis(talk.now + 60_000),
        }]
    );
    assert_eq!(talk.wake(), 7_000);
    assert_eq!(form(talk.job(), "device_code").as_deref(), Some("d3v1c3"));
    talk.answer(200, &tokens()).answer(200, &owner());
    let account = talk.ok();
    assert_eq!(account.user_id.as_str(), "@alice:example.org");
    assert!(account.oauth.is_some());
}

#[test]
fn authorization_pending_waits_as_long_as_before() {
    let mut talk = polling();
    talk.answer(400, &refusal("authorization_pending"));
    assert_eq!(talk.wake(), 7_000);
}

#[test]
fn slow_down_waits_five_seconds_longer_from_then_on() {
    let mut talk = polling();
    talk.answer(400, &refusal("slow_down"));
    assert_eq!(talk.wake(), 12_000);
    talk.answer(400, &refusal("authorization_pending"));
    assert_eq!(talk.wake(), 12_000);
}

#[test]
fn expired_token_ends_it() {
    let mut talk = polling();
    talk.answer(400, &refusal("expired_token"));
    assert!(matches!(
        talk.error(),
        AuthError::OAuth(OAuthLoginError::CodeExpired { .. })
    ));
}

#[test]
fn access_denied_ends_it() {
    let mut talk = polling();
    talk.answer(400, &refusal("access_denied"));
    let AuthError::OAuthRefused(OAuthRefusal { refusal, .. }) = talk.error() else {
        panic!("{}", talk.error())
    };
    assert_eq!(refusal.code.as_str(), "access_denied");
}

#[test]
fn a_code_whose_time_is_over_is_not_asked_about() {
    let mut talk = polling();
    for _ in 0..7 {
        talk.answer(400, &refusal("authorization_pending"));
        talk.wake();
    }
    talk.answer(400, &refusal("authorization_pending"));
    assert_eq!(talk.wake(), 4_000, "until the code ends, and no longer");
    assert!(matches!(
        talk.error(),
        AuthError::OAuth(OAuthLoginError::CodeExpired { .. })
    ));
}

#[test]
fn five_seconds_are_waited_where_the_server_says_nothing_and_never_none() {
    for (interval, waited) in [(Value::Null, 5_000), (json!(0), 1_000)] {
        let mut talk = Talk::start(login());
        let mut code = code();
        code["interval"] = interval;
        talk.answer(200, &metadata())
            .answer(201, &json!({ "client_id": "c1" }))
            .answer(200, &code);
        assert_eq!(talk.wake(), waited);
    }
}

#[test]
fn a_server_that_is_not_there_is_asked_ever_more_slowly() {
    let mut talk = polling();
    talk.outcome(Outcome::Failed(transport_error(
        TransportErrorKind::Connect,
    )));
    assert_eq!(talk.wake(), 14_000);
    talk.answer(503, &json!({}));
    assert_eq!(talk.wake(), 28_000);
}

#[test]
fn a_lost_answer_that_held_the_tokens_leads_to_a_new_code() {
    let mut talk = polling();
    talk.lose();
    talk.wake();
    talk.answer(400, &refusal("invalid_grant"));
    assert_eq!(talk.requests.last().unwrap(), "POST /device");
    let mut talk = polling();
    talk.answer(400, &refusal("invalid_grant"));
    assert!(matches!(
        talk.error(),
        AuthError::OAuthRefused(OAuthRefusal { .. })
    ));
}

#[test]
fn it_goes_on_in_another_process_while_it_waits_and_while_it_asks() {
    let mut talk = Talk::start(reload(&waiting()));
    assert!(matches!(talk.notices[..], [Progress::DeviceCode { .. }]));
    talk.wake();
    let mut talk = Talk::start(reload(&talk));
    assert_eq!(form(talk.job(), "device_code").as_deref(), Some("d3v1c3"));
    talk.answer(400, &refusal("invalid_grant"));
    assert_eq!(
        talk.requests.last().unwrap(),
        "POST /device",
        "it may have held the tokens"
    );
}

#[test]
fn a_server_without_it_and_one_without_a_page_are_told_apart_from_the_rest() {
    let mut without = metadata();
    without["device_authorization_endpoint"] = Value::Null;
    let mut talk = Talk::start(login());
    talk.answer(200, &without)
        .answer(201, &json!({ "client_id": "c1" }));
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::NotMatrix { .. })
    ));
    let mut talk = Talk::start(login());
    let mut script = code();
    script["verification_uri"] = json!("javascript:alert(1)");
    talk.answer(200, &metadata())
        .answer(201, &json!({ "client_id": "c1" }))
        .answer(200, &script);
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::NotMatrix { .. })
    ));
}

#[test]
fn a_server_that_has_had_too_many_questions_is_asked_when_it_says() {
    let mut talk = polling();
    talk.answer(
        429,
        &json!({ "errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 20_000 }),
    );
    assert_eq!(talk.wake(), 20_000);
}

#[test]
fn it_ends_even_where_the_clock_stands_still() {
    let mut talk = waiting();
    let now = talk.now;
    for _ in 0..10_000 {
        if talk.result.is_some() {
            break;
        }
        talk.wake();
        talk.now = now;
        if talk.result.is_none() {
            talk.answer(400, &refusal("authorization_pending"));
        }
    }
    assert!(matches!(
        talk.error(),
        AuthError::OAuth(OAuthLoginError::CodeExpired { .. })
    ));
}

#[test]
fn a_client_that_the_server_forgot_is_introduced_anew() {
    let mut stored = Talk::start(login());
    stored
        .answer(200, &metadata())
        .answer(201, &json!({ "client_id": "c1" }));
    let changes = stored.commits.last().unwrap().writes();
    let client = changes
        .iter()
        .find(|change| change.table == tables::OAUTH_CLIENTS);
    let client = OAuthClient::from_stored(client.unwrap().value.as_deref().unwrap()).unwrap();
    let mut talk = Talk::start(login().client(client));
    talk.answer(200, &metadata());
    assert_eq!(talk.requests.last().unwrap(), "POST /device");
    talk.answer(401, &refusal("invalid_client"));
    assert_eq!(talk.requests.last().unwrap(), "POST /clients");
    talk.answer(201, &json!({ "client_id": "c2" }));
    assert_eq!(form(talk.job(), "client_id").as_deref(), Some("c2"));
    talk.answer(401, &refusal("invalid_client"));
    assert!(matches!(
        talk.error(),
        AuthError::OAuthRefused(OAuthRefusal { .. })
    ));
}
