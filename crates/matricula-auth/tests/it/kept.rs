//! A registration is kept until there is an account, or certainly none.

use matricula_auth::{
    Answer, AuthError, Progress, RegisterError, Registration, RegistrationOptions, ServerError,
    UiaError, tables,
};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::{
    registration::{alice, dummy, facts, reload, success, uia},
    talk::{Talk, transport_error},
};

fn refused(code: &str) -> Value {
    json!({ "errcode": code, "error": "words" })
}

fn no_connection() -> Outcome {
    Outcome::Failed(transport_error(TransportErrorKind::Connect))
}

/// A registration with a made password, whose answer to the last request is on its way.
fn last_request(wishes: RegistrationOptions) -> Talk<Registration> {
    let mut talk = Talk::start(Registration::new(&facts(), wishes));
    if talk.requests[0].starts_with("GET") {
        talk.answer(200, &json!({}));
    }
    talk.answer(401, &dummy());
    talk
}

fn is_kept(talk: &Talk<Registration>) -> bool {
    let last = talk.commits.last().unwrap().writes().last().unwrap();
    last.table == tables::REGISTRATIONS && last.value.is_some()
}

fn two_stages() -> Value {
    uia(&json!([{ "stages": ["m.login.registration_token", "m.login.dummy"] }]))
}

#[test]
fn whatever_leaves_it_in_doubt_keeps_the_password_that_was_made() {
    let named = || RegistrationOptions {
        username: Some("alice".into()),
        ..RegistrationOptions::default()
    };
    let inhibited = || RegistrationOptions {
        inhibit_login: true,
        ..named()
    };
    type Ending = fn(&mut Talk<Registration>);
    let endings: [(RegistrationOptions, Ending); 6] = [
        (named(), |talk| {
            talk.lose().lose().answer(404, &refused("M_UNRECOGNIZED"));
        }),
        (named(), |talk| {
            talk.lose().lose().lose();
        }),
        (named(), |talk| {
            talk.lose().outcome(no_connection());
        }),
        (inhibited(), |talk| {
            talk.lose().lose();
        }),
        (RegistrationOptions::default(), |talk| {
            talk.lose().lose();
        }),
        (named(), |talk| {
            talk.lose().lose().outcome(no_connection());
        }),
    ];
    for (at, (wishes, ending)) in endings.into_iter().enumerate() {
        let mut talk = last_request(wishes);
        let password = talk.body()["password"].clone();
        ending(&mut talk);
        assert!(
            matches!(
                talk.error(),
                AuthError::Register(RegisterError::InDoubt { .. })
            ),
            "{at}: {}",
            talk.error()
        );
        assert!(is_kept(&talk), "{at}");
        let mut talk = Talk::start(reload(&talk));
        assert_eq!(talk.body()["password"], password, "{at}");
        talk.answer(200, &success());
        assert_eq!(
            talk.ok().password,
            Some(password.as_str().unwrap().into()),
            "{at}"
        );
    }
}

#[test]
fn trouble_on_the_way_keeps_what_was_done() {
    let limited = json!({ "errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 9_000_000 });
    let endings: [fn(&mut Talk<Registration>, &Value); 3] = [
        |talk, _| {
            talk.outcome(no_connection());
        },
        |talk, limited| {
            talk.answer(429, limited);
        },
        |talk, _| {
            talk.outcome(Outcome::Cancelled);
        },
    ];
    for ending in endings {
        let wishes = RegistrationOptions {
            token: Some("once".into()),
            ..alice()
        };
        let mut talk = Talk::start(Registration::new(&facts(), wishes));
        let mut done = two_stages();
        done["completed"] = json!(["m.login.registration_token"]);
        talk.answer(200, &json!({}))
            .answer(401, &two_stages())
            .answer(401, &done);
        ending(&mut talk, &limited);
        assert!(is_kept(&talk), "{}", talk.error());
        let talk = Talk::start(reload(&talk));
        assert_eq!(
            talk.body()["auth"],
            json!({ "type": "m.login.dummy", "session": "s1" })
        );
    }
}

#[test]
fn a_definite_refusal_keeps_nothing() {
    let refusals = [
        (403, "M_FORBIDDEN"),
        (403, "M_UNKNOWN"),
        (400, "M_USER_IN_USE"),
        (400, "M_BAD_JSON"),
    ];
    for (status, code) in refusals {
        let mut talk = last_request(alice());
        talk.answer(status, &refused(code));
        if talk.result.is_none() {
            talk.reply(Answer::Unavailable);
        }
        let is_closed = matches!(
            talk.error(),
            AuthError::Register(RegisterError::Closed { .. })
        );
        assert_eq!(is_closed, status == 403, "{code}");
        assert!(!is_kept(&talk), "{code}");
    }
}

#[test]
fn nothing_is_kept_where_nothing_was_sent() {
    let mut talk = Talk::start(Registration::new(&facts(), alice()));
    talk.outcome(no_connection());
    assert!(!is_kept(&talk));
}

#[test]
fn another_password_on_resuming_begins_a_new_session() {
    let wishes = RegistrationOptions {
        username: Some("bob".into()),
        ..RegistrationOptions::default()
    };
    let mut talk = Talk::start(Registration::new(&facts(), wishes));
    talk.answer(200, &json!({}))
        .answer(401, &two_stages())
        .reply(Answer::Unavailable);
    let answers = RegistrationOptions {
        password: Some("mine".into()),
        token: Some("t".into()),
        ..RegistrationOptions::default()
    };
    let mut talk = Talk::start(reload(&talk).answers(answers));
    talk.answer(200, &json!({}));
    assert_eq!(
        (talk.body()["auth"].clone(), talk.body()["password"].clone()),
        (Value::Null, json!("mine"))
    );
    talk.answer(401, &two_stages())
        .answer(401, &two_stages())
        .answer(200, &success());
    assert_eq!(talk.ok().password, None, "the person knows it");
}

#[test]
fn a_session_forgotten_before_the_last_stage_is_begun_anew_without_doubt() {
    let wishes = || RegistrationOptions {
        token: Some("t".into()),
        ..alice()
    };
    let mut second = two_stages();
    second["session"] = json!("s2");
    for (status, answer, auth) in [
        (400, refused("M_UNKNOWN"), Value::Null),
        (
            401,
            second,
            json!({ "type": "m.login.registration_token", "token": "t", "session": "s2" }),
        ),
    ] {
        let mut talk = Talk::start(Registration::new(&facts(), wishes()));
        talk.answer(200, &json!({})).answer(401, &two_stages());
        let mut talk = Talk::start(reload(&talk));
        talk.answer(status, &answer);
        assert_eq!(talk.body()["auth"], auth);
    }
}

#[test]
fn a_session_that_the_server_replaces_counts_nothing_as_done() {
    let wishes = RegistrationOptions {
        token: Some("t".into()),
        ..alice()
    };
    let mut talk = Talk::start(Registration::new(&facts(), wishes));
    let mut done = two_stages();
    done["completed"] = json!(["m.login.registration_token"]);
    let mut other = two_stages();
    other["session"] = json!("s2");
    talk.answer(200, &json!({}))
        .answer(401, &two_stages())
        .answer(401, &done)
        .answer(401, &other);
    assert_eq!(talk.body()["auth"]["type"], "m.login.registration_token");
    assert_eq!(talk.body()["auth"]["session"], "s2");
}

#[test]
fn a_name_that_was_taken_all_along_is_told_as_that() {
    let mut talk = Talk::start(Registration::new(&facts(), alice()));
    talk.answer(200, &json!({})).lose();
    talk.answer(400, &refused("M_USER_IN_USE"))
        .answer(403, &refused("M_FORBIDDEN"));
    talk.reply(Answer::Unavailable);
    assert!(
        matches!(
            talk.error(),
            AuthError::Register(RegisterError::NameTaken { .. })
        ),
        "{}",
        talk.error()
    );
}

#[test]
fn a_stage_done_in_a_browser_is_asked_about_and_the_rest_goes_on() {
    let flow = uia(&json!([{ "stages": ["m.login.recaptcha", "m.login.dummy"] }]));
    let mut talk = last_request_with(&flow);
    talk.reply(Answer::Unavailable);
    assert!(matches!(
        talk.error(),
        AuthError::Uia(UiaError::StagesNotSupported(_))
    ));
    let mut talk_again = Talk::start(reload(&talk));
    assert_eq!(talk_again.body()["auth"], json!({ "session": "s1" }));
    assert_eq!(talk_again.body()["password"], "wordpass");
    let mut done = flow.clone();
    done["completed"] = json!(["m.login.recaptcha"]);
    talk_again.answer(401, &done);
    assert_eq!(talk_again.body()["auth"]["type"], "m.login.dummy");
    talk_again.answer(200, &success());
    talk_again.ok();

    talk = Talk::start(reload(&talk));
    talk.answer(401, &flow).reply(Answer::Unavailable);
    assert!(
        matches!(
            talk.error(),
            AuthError::Uia(UiaError::StagesNotSupported(_))
        ),
        "not done yet"
    );
}

fn last_request_with(flow: &Value) -> Talk<Registration> {
    let mut talk = Talk::start(Registration::new(&facts(), alice()));
    talk.answer(200, &json!({})).answer(401, flow);
    talk
}

#[test]
fn the_route_is_told_again_on_going_on() {
    let mut talk = Talk::start(Registration::new(&facts(), alice()));
    talk.answer(200, &json!({}))
        .answer(401, &two_stages())
        .reply(Answer::Unavailable);
    let answers = RegistrationOptions {
        token: Some("t".into()),
        ..RegistrationOptions::default()
    };
    let talk = Talk::start(reload(&talk).answers(answers));
    assert!(
        matches!(&talk.notices[..], [Progress::Route { .. }]),
        "{:?}",
        talk.notices
    );
}

#[test]
fn what_a_server_sends_is_stored_within_bounds() {
    let big = "x".repeat(100_000);
    let many: Vec<Value> = (0..10_000)
        .map(|_| json!({ "stages": ["m.login.registration_token"] }))
        .collect();
    let mut answer = uia(&json!(many));
    answer["params"] =
        json!({ "m.login.terms": { "policies": { "a": { "version": big } } }, "other": big });
    let talk = last_request_with(&answer);
    let stored = talk.commits.last().unwrap().writes()[0]
        .value
        .as_ref()
        .unwrap()
        .len();
    assert!(stored < 10_000, "{stored} bytes");
}

#[test]
fn terms_that_cannot_be_read_are_not_accepted() {
    let page = |url: &str| json!({ "policies": { "p": { "version": "1", "en": { "name": "T", "url": url } } } });
    for params in [
        json!(7),
        json!({}),
        json!({ "policies": [] }),
        json!({ "policies": { "p": "text" } }),
        json!({ "policies": { "p": { "version": "1" } } }),
        page("javascript:alert(1)"),
        page("file:///etc/passwd"),
    ] {
        let mut answer = uia(&json!([{ "stages": ["m.login.terms"] }]));
        answer["params"] = json!({ "m.login.terms": params });
        let wishes = RegistrationOptions {
            accept_terms: true,
            ..alice()
        };
        let mut talk = Talk::start(Registration::new(&facts(), wishes));
        talk.answer(200, &json!({})).answer(401, &answer);
        assert!(
            matches!(
                talk.error(),
                AuthError::Server(ServerError::NotMatrix { .. })
            ),
            "{params}"
        );
    }
}

#[test]
fn a_server_with_both_ways_that_is_closed_in_one_is_said_to_want_the_other() {
    let mut both = facts();
    both.oauth_issuer = Some("https://account.example.org/".into());
    both.login_flows = serde_json::from_value(
        json!([{ "type": "m.login.password", "oauth_aware_preferred": false }]),
    )
    .unwrap();
    let mut talk = Talk::start(Registration::new(&both, alice()));
    talk.answer(403, &refused("M_FORBIDDEN"))
        .answer(403, &refused("M_FORBIDDEN"));
    assert!(
        matches!(
            talk.error(),
            AuthError::Register(RegisterError::OAuthNeeded { .. })
        ),
        "{}",
        talk.error()
    );
}
