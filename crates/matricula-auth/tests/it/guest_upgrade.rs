//! A guest becomes a user: under the same user id, on a new device, and whatever gets lost.

use matricula_auth::{
    Account, Answer, AuthError, Guest, RegisterError, Registration, RegistrationOptions,
    ServerError, tables,
};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::{
    registration::{dummy, refused, register, reload},
    talk::{Talk, transport_error},
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

fn wishes() -> RegistrationOptions {
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
fn last_request() -> Talk<Registration> {
    let mut talk = register(wishes());
    talk.answer(401, &dummy());
    talk
}

#[test]
fn the_guests_name_and_token_are_in_every_request_and_the_name_is_not_checked() {
    let mut talk = last_request();
    assert_eq!(talk.requests, ["POST /_matrix/client/v3/register"; 2]);
    assert_eq!(talk.job().request_query(), [], "it registers no guest");
    let body = talk.body();
    assert_eq!(body["username"], "17");
    assert_eq!(body["guest_access_token"], "guests-token");
    assert_eq!(body["password"], "wordpass");
    assert_ne!(
        body["device_id"], "guest_device",
        "keys of the guest's device are not taken over"
    );
    assert!(!talk.job().masked_body().contains("guests-token"));
    talk.answer(200, &success());
    let user = talk.ok();
    assert_eq!(user.user_id.as_str(), "@17:example.org");
    assert!(!user.is_guest);
    assert_eq!(user.access_token, Some("users-token".into()));
}

#[test]
fn the_user_takes_the_guests_place_in_the_store_in_one_commit() {
    let mut talk = last_request();
    talk.answer(200, &success());
    let last = talk.commits.last().unwrap().writes();
    assert_eq!(last.len(), 2);
    assert_eq!(
        (&*last[0].table, &*last[0].key),
        (tables::ACCOUNTS, "@17:example.org")
    );
    assert_eq!(&*last[1].table, tables::REGISTRATIONS);
    assert_eq!(last[1].value, None);
}

#[test]
fn a_name_that_was_wished_besides_does_not_count() {
    let talk = register(RegistrationOptions {
        username: Some("alice".into()),
        ..wishes()
    });
    assert_eq!(talk.body()["username"], "17");
    let registration = talk.conversation.answers(RegistrationOptions {
        username: Some("alice".into()),
        ..RegistrationOptions::default()
    });
    assert_eq!(Talk::start(registration).body()["username"], "17");
}

#[test]
fn only_a_guest_with_a_session_can_become_a_user() {
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
fn each_refusal_of_the_guest_ends_it_and_asks_for_no_other_name() {
    for (status, code) in [
        (401, "M_UNKNOWN_TOKEN"),
        (401, "M_MISSING_TOKEN"),
        (400, "M_USER_IN_USE"),
        (400, "M_INVALID_USERNAME"),
        (400, "M_EXCLUSIVE"),
        (403, "M_FORBIDDEN"),
        (403, "M_UNKNOWN"),
    ] {
        let mut talk = register(wishes());
        talk.answer(status, &refused(code));
        let error = talk.error();
        assert!(
            matches!(error, AuthError::Register(RegisterError::GuestNotUpgraded { guest, .. }) if guest == "17"),
            "{code}"
        );
        assert!(error.to_string().contains("the server's words"), "{error}");
        let last = talk.commits.last().unwrap().writes().last().unwrap();
        assert_eq!(
            (&*last.table, &last.value),
            (tables::REGISTRATIONS, &None),
            "{code}"
        );
    }
}

#[test]
fn a_weak_password_is_asked_for_anew() {
    let mut talk = register(wishes());
    talk.answer(400, &refused("M_WEAK_PASSWORD"))
        .reply(Answer::Text("better".into()));
    assert_eq!(talk.body()["password"], "better");
    assert_eq!(talk.body()["guest_access_token"], "guests-token");
}

#[test]
fn a_lost_answer_is_asked_for_again_in_the_same_session() {
    let mut talk = last_request();
    let before = talk.body();
    talk.lose();
    assert_eq!(talk.body(), before);
    talk.answer(200, &success());
    talk.ok();
}

#[test]
fn a_dead_guest_token_after_a_lost_answer_is_settled_by_signing_in() {
    for (status, code) in [
        (401, "M_UNKNOWN_TOKEN"),
        (403, "M_FORBIDDEN"),
        (400, "M_USER_IN_USE"),
        (400, "M_UNKNOWN"),
    ] {
        let mut talk = last_request();
        let device = talk.body()["device_id"].clone();
        talk.lose().answer(status, &refused(code));
        assert_eq!(
            talk.requests.last().unwrap(),
            "POST /_matrix/client/v3/login",
            "{code}"
        );
        assert_eq!(talk.body()["identifier"]["user"], "17");
        assert_eq!(talk.body()["password"], "wordpass");
        assert_eq!(
            talk.body()["device_id"],
            device,
            "the same device, not a second one"
        );
        talk.answer(200, &success());
        assert!(!talk.ok().is_guest);
    }
}

#[test]
fn what_cannot_be_settled_is_in_doubt_and_kept() {
    let mut talk = last_request();
    talk.lose()
        .answer(401, &refused("M_UNKNOWN_TOKEN"))
        .answer(403, &refused("M_FORBIDDEN"));
    assert!(matches!(
        talk.error(),
        AuthError::Register(RegisterError::InDoubt { .. })
    ));
    let talk = Talk::start(reload(&talk));
    assert_eq!(talk.requests, ["POST /_matrix/client/v3/login"]);
}

/// Kills the process after each step, and lets another go on, which is told that the guest is gone
/// or not.
#[test]
fn another_process_goes_on_after_any_step() {
    for dies_after in 0..2 {
        let mut talk = register(wishes());
        if dies_after == 1 {
            talk.answer(401, &dummy());
        }
        let before = talk.body();
        let mut talk = Talk::start(reload(&talk));
        assert_eq!(talk.body(), before, "the same device, password and token");
        if dies_after == 0 {
            talk.answer(401, &dummy());
        }
        talk.answer(200, &success());
        talk.ok();
    }
    let mut talk = Talk::start(reload(&last_request()));
    talk.answer(401, &refused("M_UNKNOWN_TOKEN"));
    assert_eq!(
        talk.requests.last().unwrap(),
        "POST /_matrix/client/v3/login"
    );
    let mut talk = Talk::start(reload(&talk));
    talk.answer(200, &success());
    talk.ok();
}

#[test]
fn where_nothing_was_sent_it_is_kept_for_later() {
    let mut talk = register(wishes());
    talk.outcome(Outcome::Failed(transport_error(
        TransportErrorKind::Connect,
    )));
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::Unreachable { .. })
    ));
    let talk = Talk::start(
        Registration::from_stored(&serde_json::to_vec(&talk.conversation).unwrap()).unwrap(),
    );
    assert_eq!(talk.body()["guest_access_token"], "guests-token");
}

#[test]
fn what_is_stored_of_it() {
    let stored = serde_json::to_value(&last_request().conversation).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&stored["options"]).unwrap());
}
