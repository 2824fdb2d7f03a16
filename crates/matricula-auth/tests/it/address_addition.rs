//! Adding an email address or a phone number to an account.

use matricula_auth::{
    AddThreepid, Answer, AuthError, PendingThreepid, Prompt, ServerError, Threepid, ThreepidError,
    UiaError, tables,
};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::{
    authenticated::{account, password, stages},
    registration::refused,
    talk::{Talk, transport_error},
};

const EMAIL: &str = "POST /_matrix/client/v3/account/3pid/email/requestToken";
const PHONE: &str = "POST /_matrix/client/v3/account/3pid/msisdn/requestToken";
const ADD: &str = "POST /_matrix/client/v3/account/3pid/add";
const LIST: &str = "GET /_matrix/client/v3/account/3pid";

fn email() -> Threepid {
    Threepid::Email("alice@example.org".into())
}

fn phone() -> Threepid {
    Threepid::Phone("GB:07700900001".parse().unwrap())
}

fn adding(address: Threepid) -> Talk<AddThreepid> {
    Talk::start(AddThreepid::new(&account(Some("kept")), address))
}

/// Up to the question whether the link was followed.
fn written_to() -> Talk<AddThreepid> {
    let mut talk = adding(email());
    talk.answer(200, &json!({ "sid": "sid1" }));
    talk
}

fn stored(talk: &Talk<AddThreepid>) -> Option<PendingThreepid> {
    let mut changes = talk.commits.iter().flat_map(|commit| commit.writes());
    let last = changes.rfind(|change| change.table == tables::THREEPID_ADDITIONS)?;
    let value = last.value.as_ref()?;
    Some(serde_json::from_slice(value).unwrap())
}

/// The program ended, and another goes on with what was stored.
fn another_process(talk: &Talk<AddThreepid>, address: Threepid) -> Talk<AddThreepid> {
    let addition = AddThreepid::new(&account(Some("kept")), address);
    Talk::start(addition.resume(stored(talk).unwrap()))
}

fn not_yet() -> Value {
    refused("M_THREEPID_AUTH_FAILED")
}

#[test]
fn a_message_is_sent_its_link_waited_for_with_patience_and_the_address_added() {
    let mut talk = adding(email());
    assert_eq!(talk.requests, [EMAIL]);
    let asked = talk.body();
    let secret = asked["client_secret"].as_str().unwrap().to_owned();
    assert!(secret.len() >= 32);
    assert_eq!(
        (&asked["email"], &asked["send_attempt"]),
        (&json!("alice@example.org"), &json!(1))
    );
    assert!(stored(&talk).is_some(), "stored before it is sent");
    talk.answer(200, &json!({ "sid": "sid1" }));
    let address = "alice@example.org".to_owned();
    assert_eq!(*talk.question(), Prompt::FollowLink { address, why: None });
    talk.reply(Answer::Yes);
    assert_eq!(talk.requests.last().unwrap(), ADD);
    assert_eq!(
        talk.body(),
        json!({ "sid": "sid1", "client_secret": secret })
    );
    talk.answer(401, &password());
    assert_eq!(talk.body()["auth"]["password"], "kept");
    let mut waits = Vec::new();
    for _ in 0..3 {
        talk.answer(400, &not_yet());
        waits.push(talk.wake());
        assert_eq!(talk.body()["auth"], json!({ "session": "s1" }));
    }
    assert_eq!(waits, [2_000, 3_000, 4_500]);
    talk.answer(200, &json!({}));
    talk.ok();
    assert_eq!(stored(&talk), None);
    let sent = talk.requests.iter().filter(|request| *request == EMAIL);
    assert_eq!(sent.count(), 1, "one message");
}

#[test]
fn a_code_is_sent_on_and_asked_for_again_where_it_is_wrong() {
    let mut talk = adding(phone());
    assert_eq!(talk.requests, [PHONE]);
    assert_eq!(talk.body()["country"], "GB");
    let url = "https://id.example.org/submit";
    talk.answer(200, &json!({ "sid": "sid1", "submit_url": url }));
    talk.reply(Answer::Text("000000".into()));
    assert_eq!(talk.requests.last().unwrap(), "POST /submit");
    talk.answer(400, &refused("M_TOKEN_INCORRECT"));
    assert!(matches!(talk.question(), Prompt::Code { why: Some(_), .. }));
    talk.reply(Answer::Text("123456".into()));
    talk.answer(200, &json!({ "success": true }))
        .answer(200, &json!({}));
    talk.ok();
}

#[test]
fn days_later_another_process_goes_on_without_a_second_message() {
    let mut first = written_to();
    first.reply(Answer::Unavailable);
    assert!(matches!(
        first.error(),
        AuthError::Threepid(ThreepidError::AddressNotProved { .. })
    ));
    let mut talk = another_process(&first, email());
    assert_eq!(talk.requests, [ADD]);
    talk.answer(400, &not_yet());
    assert!(talk.is_asking());
    talk.reply(Answer::Unavailable);
    let mut talk = another_process(&first, email());
    talk.answer(200, &json!({}));
    talk.ok();
    assert_eq!(stored(&talk), None);
}

#[test]
fn what_was_stored_of_one_address_is_not_used_for_another() {
    let talk = written_to();
    let talk = another_process(&talk, Threepid::Email("bob@example.org".into()));
    assert_eq!(talk.requests, [EMAIL]);
    assert_eq!(talk.body()["email"], "bob@example.org");
}

#[test]
fn a_crash_at_any_point_sends_no_second_message_and_loses_nothing() {
    // Before the first answer: the same request again, with the same secret and number.
    let talk = adding(email());
    let body = talk.body();
    let again = another_process(&talk, email());
    assert_eq!(again.body(), body);
    // After it, and while adding.
    let mut talk = written_to();
    for _ in 0..3 {
        let again = another_process(&talk, email());
        assert_eq!(again.requests, [ADD]);
        match talk.is_asking() {
            true => talk.reply(Answer::Yes),
            false => talk.answer(401, &password()),
        };
    }
}

#[test]
fn another_message_is_sent_where_the_person_wants_one_within_a_bound() {
    let mut talk = written_to();
    let mut attempts = Vec::new();
    while talk.result.is_none() {
        talk.reply(Answer::No);
        if talk.result.is_none() {
            attempts.push(talk.body()["send_attempt"].as_u64().unwrap());
            talk.answer(200, &json!({ "sid": "sid" }));
        }
    }
    assert_eq!(attempts, [2, 3, 4, 5, 6]);
    assert!(matches!(
        talk.error(),
        AuthError::Threepid(ThreepidError::AddressNotProved { .. })
    ));
}

#[test]
fn an_address_that_is_refused_is_forgotten_and_told_with_its_code() {
    for code in [
        "M_THREEPID_IN_USE",
        "M_THREEPID_DENIED",
        "M_INVALID_EMAIL",
        "M_SERVER_NOT_TRUSTED",
    ] {
        let mut talk = adding(email());
        talk.answer(400, &refused(code));
        let AuthError::Threepid(ThreepidError::AddressRefused { code: told, .. }) = talk.error()
        else {
            panic!("{}", talk.error())
        };
        assert_eq!(told.as_str(), code);
        assert_eq!(stored(&talk), None);
    }
    // Somebody else was faster.
    let mut talk = written_to();
    talk.reply(Answer::Yes)
        .answer(400, &refused("M_THREEPID_IN_USE"));
    assert!(matches!(
        talk.error(),
        AuthError::Threepid(ThreepidError::AddressRefused { .. })
    ));
    assert_eq!(stored(&talk), None);
}

#[test]
fn what_is_no_word_on_the_address_keeps_it() {
    type Ending = fn(&mut Talk<AddThreepid>);
    let endings: [Ending; 6] = [
        |talk| {
            talk.answer(404, &refused("M_UNRECOGNIZED"));
        },
        |talk| {
            talk.answer(500, &refused("M_UNKNOWN"));
        },
        |talk| {
            talk.answer(429, &refused("M_LIMIT_EXCEEDED"));
        },
        |talk| {
            talk.lose();
        },
        |talk| {
            talk.outcome(Outcome::Failed(transport_error(
                TransportErrorKind::Connect,
            )));
        },
        |talk| {
            talk.answer(200, &json!({ "sid": "sid1" }))
                .reply(Answer::Yes)
                .answer(401, &stages(&["m.login.sso"]))
                .reply(Answer::Unavailable);
        },
    ];
    for (at, ending) in endings.into_iter().enumerate() {
        let mut talk = adding(email());
        ending(&mut talk);
        talk.error();
        assert!(stored(&talk).is_some(), "{at}");
    }
}

#[test]
fn a_lost_answer_is_settled_by_looking_through_the_accounts_addresses() {
    let listed = |medium: &str, address: &str| json!({ "threepids": [{ "medium": medium, "address": address, "validated_at": 1, "added_at": 1 }] });
    for (listed, is_there) in [
        (listed("email", "Alice@example.org"), true),
        (listed("email", "bob@example.org"), false),
        (listed("msisdn", "alice@example.org"), false),
        (json!({}), false),
    ] {
        let mut talk = written_to();
        talk.reply(Answer::Yes).answer(401, &password()).lose();
        assert_eq!(talk.requests.last().unwrap(), LIST);
        talk.answer(200, &listed);
        if !is_there {
            assert_eq!(talk.requests.last().unwrap(), ADD, "{listed}");
            talk.answer(401, &password());
            assert_eq!(talk.body()["auth"]["password"], "kept");
            talk.answer(200, &json!({}));
        }
        talk.ok();
        assert_eq!(stored(&talk), None);
    }
    let mut talk = written_to();
    talk.reply(Answer::Yes).lose().lose();
    assert!(matches!(
        talk.error(),
        AuthError::Uia(UiaError::MayBeDone { .. })
    ));
    assert!(stored(&talk).is_some());
}

#[test]
fn a_phone_number_is_found_as_servers_write_it() {
    let mut talk = adding(phone());
    talk.answer(
        200,
        &json!({ "sid": "sid1", "submit_url": "https://id.example.org/submit" }),
    )
    .reply(Answer::Text("123456".into()))
    .answer(200, &json!({ "success": true }))
    .lose();
    talk.answer(
        200,
        &json!({ "threepids": [
        { "medium": "msisdn", "address": "447700900001", "validated_at": 1, "added_at": 1 }
    ] }),
    );
    talk.ok();
}

#[test]
fn a_code_goes_to_no_address_that_is_not_safe() {
    for url in [
        "http://id.example.org/submit",
        "https://10.0.0.1/submit",
        "file:///x",
        "",
    ] {
        let mut talk = adding(phone());
        talk.answer(200, &json!({ "sid": "sid1", "submit_url": url }))
            .reply(Answer::Text("123456".into()));
        assert!(
            matches!(
                talk.error(),
                AuthError::Server(ServerError::NotMatrix { .. })
            ),
            "{url}"
        );
    }
}

#[test]
fn whatever_the_server_answers_it_ends_within_a_bound() {
    let answers = [
        (200, json!({ "sid": "sid1" })),
        (200, json!({})),
        (400, not_yet()),
        (401, password()),
        (401, stages(&["m.login.dummy"])),
        (500, refused("M_UNKNOWN")),
    ];
    // Each pair of answers, in turn.
    for first in &answers {
        for second in &answers {
            let mut talk = adding(email());
            let mut turns = 0;
            while talk.result.is_none() {
                turns += 1;
                assert!(turns < 5_000, "{first:?} {second:?}");
                if talk.is_asking() {
                    talk.reply(Answer::Yes);
                } else if talk.is_waiting() {
                    talk.wake();
                } else {
                    let (status, body) = if turns % 2 == 0 { first } else { second };
                    talk.answer(*status, body);
                }
            }
        }
    }
}

#[test]
fn a_code_that_is_known_is_sent_on_without_asking() {
    let mut first = adding(phone());
    let url = "https://id.example.org/submit";
    first
        .answer(200, &json!({ "sid": "sid1", "submit_url": url }))
        .reply(Answer::Unavailable);
    let later = AddThreepid::new(&account(Some("kept")), phone())
        .resume(stored(&first).unwrap())
        .code("123456".into());
    let mut talk = Talk::start(later);
    assert_eq!(talk.requests, ["POST /submit"]);
    assert_eq!(talk.body()["token"], "123456");
    talk.answer(200, &json!({ "success": true }))
        .answer(200, &json!({}));
    talk.ok();
}
