//! Proving email addresses and phone numbers, and stages that a browser does.

use matricula_auth::{
    Answer, AuthError, Phone, PhoneError, Prompt, Registration, RegistrationOptions, ServerError,
    ThreepidError,
};
use serde_json::{Value, json};

use crate::{
    registration::{alice, facts, refused, register, reload, success, uia},
    talk::Talk,
};

const EMAIL: &str = "POST /_matrix/client/v3/register/email/requestToken";
const PHONE: &str = "POST /_matrix/client/v3/register/msisdn/requestToken";

fn stages(stages: &[&str]) -> Value {
    uia(&json!([{ "stages": stages }]))
}

fn email() -> Value {
    stages(&["m.login.email.identity"])
}

fn not_yet(offer: &Value) -> Value {
    let mut answer = offer.clone();
    answer["errcode"] = json!("M_UNAUTHORIZED");
    answer
}

fn with_email() -> RegistrationOptions {
    RegistrationOptions {
        email: Some("alice@example.org".into()),
        ..alice()
    }
}

fn with_phone() -> RegistrationOptions {
    RegistrationOptions {
        phone: Some("gb:07700900001".parse().unwrap()),
        ..alice()
    }
}

/// Up to the question that `offer` leads to.
fn offered(wishes: RegistrationOptions, offer: &Value) -> Talk<Registration> {
    let mut talk = register(wishes);
    talk.answer(200, &json!({})).answer(401, offer);
    talk
}

/// Up to where the message is sent.
fn written_to() -> Talk<Registration> {
    let mut talk = offered(with_email(), &email());
    talk.answer(200, &json!({ "sid": "sid1" }));
    talk
}

fn with_code(submit_url: &str) -> Talk<Registration> {
    let mut talk = offered(with_phone(), &stages(&["m.login.msisdn"]));
    talk.answer(200, &json!({ "sid": "sid1", "submit_url": submit_url }));
    talk
}

#[test]
fn a_link_is_waited_for_with_growing_patience_and_then_the_account_is_made() {
    let mut talk = offered(with_email(), &email());
    assert_eq!(talk.requests.last().unwrap(), EMAIL);
    let asked = talk.body();
    let secret = asked["client_secret"].as_str().unwrap().to_owned();
    assert_eq!(
        (
            &asked["email"],
            &asked["send_attempt"],
            asked.get("next_link")
        ),
        (&json!("alice@example.org"), &json!(1), None)
    );
    assert!(secret.len() > 30, "{secret}");
    talk.answer(200, &json!({ "sid": "sid1" }));
    let address = "alice@example.org".to_owned();
    assert_eq!(talk.question(), &Prompt::FollowLink { address, why: None });
    talk.reply(Answer::Yes);
    let creds = json!({ "sid": "sid1", "client_secret": secret });
    let auth =
        json!({ "type": "m.login.email.identity", "session": "s1", "threepid_creds": creds });
    let mut waits = Vec::new();
    for _ in 0..8 {
        assert_eq!(talk.body()["auth"], auth);
        talk.answer(401, &not_yet(&email()));
        waits.push(talk.wake());
    }
    assert_eq!(
        waits,
        [2_000, 3_000, 4_500, 6_750, 10_125, 15_000, 15_000, 15_000]
    );
    talk.answer(200, &success());
    talk.ok();
    let sent = talk.requests.iter().filter(|request| *request == EMAIL);
    assert_eq!(sent.count(), 1, "one message");
}

#[test]
fn patience_ends_after_half_an_hour_and_the_person_is_asked_again() {
    let mut talk = written_to();
    let begun = talk.now;
    talk.reply(Answer::Yes);
    while !talk.is_asking() {
        talk.answer(401, &not_yet(&email()));
        if talk.is_waiting() {
            talk.wake();
        }
    }
    let minutes = (talk.now - begun) / 60_000;
    assert!((30..31).contains(&minutes), "{minutes} minutes");
    assert!(matches!(
        talk.question(),
        Prompt::FollowLink { why: Some(_), .. }
    ));
    talk.reply(Answer::Unavailable);
    assert!(matches!(
        talk.error(),
        AuthError::Threepid(ThreepidError::AddressNotProved { .. })
    ));
}

#[test]
fn another_message_has_the_same_secret_and_the_next_number() {
    let mut talk = offered(with_email(), &email());
    let first = talk.body();
    talk.answer(200, &json!({ "sid": "sid1" }))
        .reply(Answer::No);
    let second = talk.body();
    assert_eq!(second["client_secret"], first["client_secret"]);
    assert_eq!(second["send_attempt"], 2);
}

#[test]
fn a_crash_before_the_answer_asks_for_no_second_message() {
    let mut talk = offered(with_email(), &email());
    let before = talk.body();
    let again = Talk::start(reload(&talk));
    assert_eq!(
        (again.requests.last().unwrap().as_str(), again.body()),
        (EMAIL, before.clone())
    );
    talk.lose();
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::Unreachable { .. })
    ));
    let again = Talk::start(reload(&talk));
    assert_eq!(
        (again.requests.last().unwrap().as_str(), again.body()),
        (EMAIL, before)
    );
}

#[test]
fn days_later_the_stage_is_tried_and_no_message_sent() {
    let mut talk = written_to();
    talk.reply(Answer::Unavailable);
    assert!(matches!(
        talk.error(),
        AuthError::Threepid(ThreepidError::AddressNotProved { .. })
    ));
    let mut later = Talk::start(reload(&talk));
    assert_eq!(later.body()["auth"]["threepid_creds"]["sid"], "sid1");
    later
        .answer(401, &not_yet(&email()))
        .reply(Answer::Unavailable);
    let mut later = Talk::start(reload(&later));
    // The server has forgotten the session, and knows the proof.
    later.answer(400, &refused("M_UNKNOWN"));
    let mut second = email();
    second["session"] = json!("s2");
    later.answer(401, &second);
    assert_eq!(later.body()["auth"]["session"], "s2");
    later.answer(200, &success());
    later.ok();
    assert!(!later.requests.contains(&EMAIL.to_owned()));
}

#[test]
fn every_step_can_be_the_last_of_a_process() {
    let offer = stages(&[
        "m.login.msisdn",
        "m.login.email.identity",
        "m.login.recaptcha",
    ]);
    let wishes = RegistrationOptions {
        email: with_email().email,
        ..with_phone()
    };
    let mut talk = register(wishes);
    let (mut completed, mut sent, mut secrets) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..60 {
        if talk.result.is_some() {
            break;
        }
        // What it waits for, it waits for again in another process.
        let before = talk.requests.last().cloned();
        let was_asking = talk.is_asking() || talk.is_waiting();
        talk = Talk::start(reload(&talk));
        if was_asking && !talk.is_asking() && !talk.is_waiting() {
            // It looked first whether the person has done it meanwhile.
            talk.answer(401, &progress(&offer, &completed, true));
        } else if !was_asking {
            assert_eq!(talk.requests.last(), before.as_ref());
        }
        if talk.is_waiting() {
            talk.wake();
            continue;
        }
        if talk.is_asking() {
            let reply = match talk.question() {
                Prompt::Code { .. } => Answer::Text("123456".into()),
                _ => Answer::Yes,
            };
            talk.reply(reply);
        }
        let request = talk.requests.last().cloned().unwrap();
        match request.as_str() {
            EMAIL | PHONE => {
                sent.push(request.clone());
                secrets.push(talk.body()["client_secret"].clone());
                talk.answer(200, &json!({ "sid": request, "submit_url": submit(&talk) }));
            }
            "POST /submit" => {
                assert_eq!(talk.body()["token"], "123456");
                talk.answer(200, &json!({ "success": true }));
                let stage = talk.body()["auth"]["type"].clone();
                completed.push(stage);
                talk.answer(401, &progress(&offer, &completed, false));
            }
            get if get.starts_with("GET") => {
                talk.answer(200, &json!({}));
            }
            _ => {
                let auth = talk.body()["auth"].clone();
                if auth.is_null() {
                    talk.answer(401, &offer);
                } else if auth["type"].is_null() {
                    talk.answer(200, &success());
                } else {
                    assert!(!completed.contains(&auth["type"]), "{auth} again");
                    completed.push(auth["type"].clone());
                    talk.answer(401, &progress(&offer, &completed, false));
                }
            }
        }
    }
    talk.ok();
    assert_eq!(sent, [PHONE, EMAIL], "each message once");
    assert_ne!(secrets[0], secrets[1]);
}

fn submit(talk: &Talk<Registration>) -> Value {
    match talk.requests.last().unwrap().as_str() {
        PHONE => json!("https://id.example.org/submit"),
        _ => Value::Null,
    }
}

fn progress(offer: &Value, completed: &[Value], failed: bool) -> Value {
    let mut answer = match failed {
        true => not_yet(offer),
        false => offer.clone(),
    };
    answer["completed"] = json!(completed);
    answer
}

#[test]
fn a_code_goes_where_the_server_says_and_a_wrong_one_is_asked_for_again() {
    let mut talk = with_code("https://id.example.org/submit");
    assert_eq!(talk.requests.last().unwrap(), PHONE);
    let address = "GB:07700900001".to_owned();
    assert_eq!(talk.question(), &Prompt::Code { address, why: None });
    talk.reply(Answer::Text("000000".into()));
    assert_eq!(talk.job().url(), "https://id.example.org/submit");
    assert_eq!(talk.body()["sid"], "sid1");
    talk.answer(200, &json!({ "success": false }));
    assert!(matches!(talk.question(), Prompt::Code { why: Some(_), .. }));
    talk.reply(Answer::Text("123456".into()));
    assert_eq!(talk.body()["token"], "123456");
    talk.answer(200, &json!({ "success": true }));
    assert_eq!(talk.body()["auth"]["type"], "m.login.msisdn");
    talk.answer(200, &success());
    talk.ok();
}

#[test]
fn codes_go_nowhere_that_is_not_safe() {
    for url in [
        "http://id.example.org/submit",
        "https://192.168.1.1/submit",
        "http://127.0.0.1:8080/submit",
        "file:///etc/passwd",
        "nonsense",
    ] {
        let mut talk = with_code(url);
        talk.reply(Answer::Text("123456".into()));
        assert!(
            matches!(
                talk.error(),
                AuthError::Server(ServerError::NotMatrix { .. })
            ),
            "{url}"
        );
        assert_eq!(talk.requests.last().unwrap(), PHONE, "{url}");
    }
}

#[test]
fn every_refusal_of_an_address_is_told_and_another_can_be_given() {
    for (status, code, words) in [
        (400, "M_THREEPID_IN_USE", "another account has it"),
        (403, "M_THREEPID_DENIED", "not allowed there"),
        (
            400,
            "M_SERVER_NOT_TRUSTED",
            "does not trust the identity server",
        ),
        (400, "M_INVALID_PARAM", "check it, or give another"),
    ] {
        let mut talk = offered(with_email(), &email());
        let first = talk.body()["client_secret"].clone();
        talk.answer(status, &refused(code));
        let Prompt::EmailAddress { why: Some(why) } = talk.question() else {
            panic!("{code}: {:?}", talk.question())
        };
        assert!(
            why.contains(words) && why.contains("alice@example.org"),
            "{why}"
        );
        talk.reply(Answer::Text("bob@example.org".into()));
        assert_eq!(talk.body()["email"], "bob@example.org");
        assert_ne!(talk.body()["client_secret"], first, "another proof");

        let mut talk = offered(with_email(), &email());
        talk.answer(status, &refused(code))
            .reply(Answer::Unavailable);
        assert!(
            matches!(
                talk.error(),
                AuthError::Threepid(ThreepidError::AddressRefused { .. })
            ),
            "{code}"
        );
    }
    let mut talk = offered(with_email(), &email());
    talk.answer(429, &json!({ "errcode": "M_LIMIT_EXCEEDED" }));
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::RateLimited { .. })
    ));
}

#[test]
fn an_address_is_asked_for_where_none_was_given() {
    let mut talk = offered(alice(), &email());
    assert_eq!(talk.question(), &Prompt::EmailAddress { why: None });
    talk.reply(Answer::Text("nonsense".into()));
    assert!(talk.is_asking(), "that is none");
    talk.reply(Answer::Unavailable);
    assert!(matches!(
        talk.error(),
        AuthError::Threepid(ThreepidError::AddressNeeded { .. })
    ));
    let mut talk = Talk::start(reload(&talk).answers(with_email()));
    talk.answer(200, &json!({}));
    assert_eq!(talk.body()["auth"], Value::Null);
    for (text, phone) in [
        ("GB:07700 900001", Ok("GB:07700 900001".to_owned())),
        ("07700900001", Err(PhoneError)),
        ("GBR:1", Err(PhoneError)),
        ("GB:", Err(PhoneError)),
    ] {
        assert_eq!(text.parse::<Phone>().map(|phone| phone.to_string()), phone);
    }
}

#[test]
fn an_address_that_was_given_is_used_where_it_can_be() {
    let both = uia(&json!([
        { "stages": ["m.login.dummy"] },
        { "stages": ["m.login.email.identity"] },
        { "stages": ["m.login.email.identity", "m.login.msisdn"] },
    ]));
    let last = |talk: &Talk<Registration>| talk.requests.last().unwrap().clone();
    assert_eq!(last(&offered(with_email(), &both)), EMAIL);
    assert_eq!(
        offered(alice(), &both).body()["auth"]["type"],
        "m.login.dummy"
    );
    let page = uia(&json!([{ "stages": ["m.login.msisdn"] }, { "stages": ["m.login.recaptcha"] }]));
    assert!(matches!(
        offered(alice(), &page).question(),
        Prompt::StagePage { .. }
    ));
    assert_eq!(last(&offered(with_phone(), &page)), PHONE);
}

#[test]
fn a_page_is_looked_at_until_the_server_says_that_it_is_done() {
    for stage in ["m.login.recaptcha", "m.login.sso", "org.example.riddle"] {
        let offer = stages(&[stage, "m.login.dummy"]);
        let mut talk = offered(alice(), &offer);
        let Prompt::StagePage { url, .. } = talk.question() else {
            panic!("{stage}")
        };
        let page = format!("/_matrix/client/v3/auth/{stage}/fallback/web?session=s1");
        assert_eq!(url, &format!("{}{page}", facts().server));
        talk.reply(Answer::Yes);
        for _ in 0..100 {
            assert_eq!(talk.body()["auth"], json!({ "session": "s1" }));
            talk.answer(401, &offer);
            talk.wake();
        }
        talk.answer(401, &progress(&offer, &[json!(stage)], false));
        assert_eq!(talk.body()["auth"]["type"], "m.login.dummy");
        talk.answer(200, &success());
        talk.ok();
    }
}

#[test]
fn days_later_the_same_address_given_again_is_written_to_again() {
    let mut talk = offered(with_email(), &email());
    let secret = talk.body()["client_secret"].clone();
    talk.answer(200, &json!({ "sid": "sid1" }))
        .reply(Answer::Unavailable);
    let answers = RegistrationOptions {
        email: with_email().email,
        ..RegistrationOptions::default()
    };
    let later = Talk::start(reload(&talk).answers(answers));
    assert_eq!(later.requests, [EMAIL]);
    let asked = later.body();
    assert_eq!(
        (&asked["send_attempt"], &asked["client_secret"]),
        (&json!(2), &secret)
    );
    // Going on without it writes to nobody.
    let later = Talk::start(reload(&talk).answers(RegistrationOptions::default()));
    assert_eq!(later.requests, ["POST /_matrix/client/v3/register"]);
}

#[test]
fn a_code_that_is_known_is_sent_on_without_asking_and_only_once() {
    let mut talk = with_code("https://id.example.org/submit");
    talk.reply(Answer::Unavailable);
    let answers = RegistrationOptions {
        code: Some("123456".into()),
        ..RegistrationOptions::default()
    };
    let later = || Talk::start(reload(&talk).answers(answers.clone()));
    let mut right = later();
    assert_eq!(right.requests, ["POST /submit"]);
    assert_eq!(right.body()["token"], "123456");
    right.answer(200, &json!({ "success": true }));
    right.answer(200, &success());
    right.ok();
    let mut wrong = later();
    wrong.answer(400, &refused("M_TOKEN_INCORRECT"));
    assert!(matches!(
        wrong.question(),
        Prompt::Code { why: Some(_), .. }
    ));
    wrong.reply(Answer::Unavailable);
    // It is not sent again with the next run.
    assert_eq!(
        Talk::start(reload(&wrong)).requests,
        ["POST /_matrix/client/v3/register"]
    );
}
