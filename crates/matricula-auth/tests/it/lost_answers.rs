//! A request whose answer was lost, and a process that died, at every point of a registration.

use matricula_auth::{AccountKind, AuthError, RegisterError, Registration, RegistrationOptions};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::json;

use crate::{
    registration::{alice, dummy, facts, reload, success},
    talk::{Talk, transport_error},
};

/// Alice, whose answer to the last request of a dummy flow is on its way.
fn last_request() -> Talk<Registration> {
    let mut talk = Talk::start(Registration::new(&facts(), alice()));
    talk.answer(200, &json!({ "available": true }))
        .answer(401, &dummy());
    talk
}

fn refused(code: &str) -> serde_json::Value {
    json!({ "errcode": code, "error": "words" })
}

#[test]
fn a_lost_answer_is_asked_for_again_in_the_same_session() {
    let mut talk = last_request();
    let before = talk.body();
    talk.lose();
    assert_eq!(talk.body(), before);
    talk.answer(200, &success());
    assert_eq!(talk.ok().user_id.as_str(), "@alice:example.org");
}

#[test]
fn where_the_name_is_taken_by_then_signing_in_tells_whose_it_is() {
    let mut talk = last_request();
    let device = talk.body()["device_id"].clone();
    talk.lose().answer(400, &refused("M_USER_IN_USE"));
    assert_eq!(
        talk.requests.last().unwrap(),
        "POST /_matrix/client/v3/login"
    );
    assert_eq!(
        talk.body()["identifier"],
        json!({ "type": "m.id.user", "user": "alice" })
    );
    assert_eq!(talk.body()["password"], "wordpass");
    assert_eq!(
        talk.body()["device_id"],
        device,
        "the same device, not a second one"
    );
    talk.answer(200, &success());
    assert_eq!(talk.ok().user_id.as_str(), "@alice:example.org");
}

#[test]
fn a_name_that_is_somebody_elses_leaves_it_in_doubt_aloud() {
    let mut talk = last_request();
    talk.lose()
        .answer(400, &refused("M_USER_IN_USE"))
        .answer(403, &refused("M_FORBIDDEN"));
    assert!(matches!(
        talk.error(),
        AuthError::Register(RegisterError::InDoubt { .. })
    ));
}

#[test]
fn a_session_that_is_gone_is_settled_by_signing_in() {
    for (status, answer) in [
        (400, refused("M_UNKNOWN")),
        (401, json!({ "session": "s2", "flows": [] })),
    ] {
        let mut talk = last_request();
        talk.lose().answer(status, &answer);
        assert_eq!(
            talk.requests.last().unwrap(),
            "POST /_matrix/client/v3/login"
        );
    }
}

#[test]
fn two_lost_answers_are_settled_by_signing_in_and_a_third_ends_in_doubt() {
    let mut talk = last_request();
    talk.lose().lose();
    assert_eq!(
        talk.requests.last().unwrap(),
        "POST /_matrix/client/v3/login"
    );
    talk.lose();
    assert!(matches!(
        talk.error(),
        AuthError::Register(RegisterError::InDoubt { .. })
    ));
}

#[test]
fn without_a_name_to_sign_in_with_a_twice_lost_answer_ends_in_doubt() {
    let mut talk = Talk::start(Registration::new(&facts(), RegistrationOptions::default()));
    talk.answer(401, &dummy()).lose().lose();
    assert!(matches!(
        talk.error(),
        AuthError::Register(RegisterError::InDoubt { .. })
    ));
}

#[test]
fn a_guest_whose_answer_is_lost_is_in_doubt_and_not_made_twice() {
    let wishes = RegistrationOptions {
        kind: AccountKind::Guest,
        ..RegistrationOptions::default()
    };
    let mut talk = Talk::start(Registration::new(&facts(), wishes));
    talk.lose();
    assert!(matches!(
        talk.error(),
        AuthError::Register(RegisterError::InDoubt { .. })
    ));
    assert_eq!(talk.requests.len(), 1);
}

#[test]
fn a_success_that_cannot_be_read_is_not_taken_for_a_failure() {
    let mut talk = last_request();
    talk.answer_text(200, r#"{"user_id": 5}"#);
    assert_eq!(
        talk.requests.last().unwrap(),
        "POST /_matrix/client/v3/login"
    );
}

#[test]
fn a_server_that_dies_while_settling_leaves_it_in_doubt() {
    let mut talk = last_request();
    talk.lose().lose().outcome(Outcome::Failed(transport_error(
        TransportErrorKind::Connect,
    )));
    assert!(matches!(
        talk.error(),
        AuthError::Register(RegisterError::InDoubt { .. })
    ));
}

/// Kills the process after each step of a whole registration, with the request sent or not, and
/// lets another process go on.
#[test]
fn another_process_goes_on_after_any_step() {
    let flow =
        json!({ "session": "s1", "flows": [{ "stages": ["m.login.terms", "m.login.dummy"] }] });
    let wishes = || RegistrationOptions {
        accept_terms: true,
        ..alice()
    };
    for dies_after in 0..4 {
        let mut talk = Talk::start(Registration::new(&facts(), wishes()));
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
            talk.answer(*status, answer);
        }
        let before = (
            talk.requests.last().unwrap().clone(),
            talk.job().request_body().clone(),
        );
        let mut talk = Talk::start(reload(&talk));
        let after = (
            talk.requests.last().unwrap().clone(),
            talk.job().request_body().clone(),
        );
        assert_eq!(
            after, before,
            "the same request, with the same password and session"
        );
        for (status, answer) in &answers[dies_after..] {
            talk.answer(*status, answer);
        }
        talk.answer(200, &success());
        assert_eq!(talk.ok().user_id.as_str(), "@alice:example.org");
    }
}

#[test]
fn another_process_goes_on_signing_in() {
    let mut talk = last_request();
    talk.lose().answer(400, &refused("M_USER_IN_USE"));
    let mut talk = Talk::start(reload(&talk));
    assert_eq!(talk.requests, ["POST /_matrix/client/v3/login"]);
    talk.answer(200, &success());
    talk.ok();
}
