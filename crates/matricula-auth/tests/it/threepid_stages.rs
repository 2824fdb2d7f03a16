//! Validation of email addresses and phone numbers in a registration, and stages in a browser.

use matricula_api::uia::Stage;
use matricula_auth::{
    Answer, AuthError, Phone, PhoneError, Progress, Prompt, Registration, RegistrationOptions,
    ServerError, ThreepidError,
};
use serde_json::{Value, json};

use crate::{
    helpers::{alice, one_flow, refused, register, reload, server_info, success, uia_response},
    scripted_server::ScriptedServer,
};

const EMAIL: &str = "POST /_matrix/client/v3/register/email/requestToken";
const PHONE: &str = "POST /_matrix/client/v3/register/msisdn/requestToken";

fn email_flow() -> Value {
    one_flow(&["m.login.email.identity"])
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
fn offered(options: RegistrationOptions, offer: &Value) -> ScriptedServer<Registration> {
    let mut server = register(options);
    server.respond(200, &json!({})).respond(401, offer);
    server
}

/// Up to where the message is sent.
fn after_email_message() -> ScriptedServer<Registration> {
    let mut server = offered(with_email(), &email_flow());
    server.respond(200, &json!({ "sid": "sid1" }));
    server
}

fn with_code(submit_url: &str) -> ScriptedServer<Registration> {
    let mut server = offered(with_phone(), &one_flow(&["m.login.msisdn"]));
    server.respond(200, &json!({ "sid": "sid1", "submit_url": submit_url }));
    server
}

#[test]
fn opened_link_completes_the_stage() {
    let mut server = offered(with_email(), &email_flow());
    assert_eq!(server.requests.last().unwrap(), EMAIL);
    let asked = server.body();
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
    server.respond(200, &json!({ "sid": "sid1" }));
    let address = "alice@example.org".to_owned();
    assert_eq!(
        server.question(),
        &Prompt::FollowLink { address, why: None }
    );
    server.answer(Answer::Yes);
    let creds = json!({ "sid": "sid1", "client_secret": secret });
    let auth =
        json!({ "type": "m.login.email.identity", "session": "s1", "threepid_creds": creds });
    let mut waits = Vec::new();
    for _ in 0..8 {
        assert_eq!(server.body()["auth"], auth);
        server.respond(401, &not_yet(&email_flow()));
        waits.push(server.wake());
    }
    assert_eq!(
        waits,
        [2_000, 3_000, 4_500, 6_750, 10_125, 15_000, 15_000, 15_000]
    );
    server.respond(200, &success());
    server.ok();
    let sent = server.requests.iter().filter(|request| *request == EMAIL);
    assert_eq!(sent.count(), 1, "one message");
}

#[test]
fn link_that_is_not_followed_yet_is_reported_once() {
    let mut server = after_email_message();
    server.answer(Answer::Yes);
    for _ in 0..3 {
        server.respond(401, &not_yet(&email_flow()));
        server.wake();
    }
    let not_done = |one: &&Progress| matches!(one, Progress::StageNotDone { .. });
    let reported: Vec<&Progress> = server.progress.iter().filter(not_done).collect();
    let [Progress::StageNotDone { stage, .. }] = reported[..] else {
        panic!("{reported:?}");
    };
    assert_eq!(*stage, Stage::EmailIdentity);
}

#[test]
fn polling_ends_after_half_an_hour() {
    let mut server = after_email_message();
    let begun = server.now;
    server.answer(Answer::Yes);
    while !server.is_asking() {
        server.respond(401, &not_yet(&email_flow()));
        if server.is_waiting() {
            server.wake();
        }
    }
    let minutes = (server.now - begun) / 60_000;
    assert!((30..31).contains(&minutes), "{minutes} minutes");
    assert!(matches!(
        server.question(),
        Prompt::FollowLink { why: Some(_), .. }
    ));
    server.answer(Answer::Unavailable);
    assert!(matches!(
        server.error(),
        AuthError::Threepid(ThreepidError::AddressNotValidated { .. })
    ));
}

#[test]
fn next_message_increases_the_attempt() {
    let mut server = offered(with_email(), &email_flow());
    let first = server.body();
    server
        .respond(200, &json!({ "sid": "sid1" }))
        .answer(Answer::No);
    let second = server.body();
    assert_eq!(second["client_secret"], first["client_secret"]);
    assert_eq!(second["send_attempt"], 2);
}

#[test]
fn crash_sends_no_second_message() {
    let mut server = offered(with_email(), &email_flow());
    let before = server.body();
    let again = ScriptedServer::start(reload(&server));
    assert_eq!(
        (again.requests.last().unwrap().as_str(), again.body()),
        (EMAIL, before.clone())
    );
    server.lose();
    assert!(matches!(
        server.error(),
        AuthError::Server(ServerError::Unreachable { .. })
    ));
    let again = ScriptedServer::start(reload(&server));
    assert_eq!(
        (again.requests.last().unwrap().as_str(), again.body()),
        (EMAIL, before)
    );
}

#[test]
fn resume_tries_the_stage_first() {
    let mut server = after_email_message();
    server.answer(Answer::Unavailable);
    assert!(matches!(
        server.error(),
        AuthError::Threepid(ThreepidError::AddressNotValidated { .. })
    ));
    let mut later = ScriptedServer::start(reload(&server));
    assert_eq!(later.body()["auth"]["threepid_creds"]["sid"], "sid1");
    later
        .respond(401, &not_yet(&email_flow()))
        .answer(Answer::Unavailable);
    let mut later = ScriptedServer::start(reload(&later));
    // The server has forgotten the session, and knows the proof.
    later.respond(400, &refused("M_UNKNOWN"));
    let mut second = email_flow();
    second["session"] = json!("s2");
    later.respond(401, &second);
    assert_eq!(later.body()["auth"]["session"], "s2");
    later.respond(200, &success());
    later.ok();
    assert!(!later.requests.contains(&EMAIL.to_owned()));
}

#[test]
fn registration_resumes_after_any_step() {
    let offer = one_flow(&[
        "m.login.msisdn",
        "m.login.email.identity",
        "m.login.recaptcha",
    ]);
    let options = RegistrationOptions {
        email: with_email().email,
        ..with_phone()
    };
    let mut server = register(options);
    let (mut completed, mut sent, mut secrets) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..60 {
        if server.result.is_some() {
            break;
        }
        // What it waits for, it waits for again in another process.
        let before = server.requests.last().cloned();
        let was_asking = server.is_asking() || server.is_waiting();
        server = ScriptedServer::start(reload(&server));
        if was_asking && !server.is_asking() && !server.is_waiting() {
            // It looked first whether the person has done it meanwhile.
            server.respond(401, &progress(&offer, &completed, true));
        } else if !was_asking {
            assert_eq!(server.requests.last(), before.as_ref());
        }
        if server.is_waiting() {
            server.wake();
            continue;
        }
        if server.is_asking() {
            let answer = match server.question() {
                Prompt::Code { .. } => Answer::Text("123456".into()),
                _ => Answer::Yes,
            };
            server.answer(answer);
        }
        let request = server.requests.last().cloned().unwrap();
        match request.as_str() {
            EMAIL | PHONE => {
                sent.push(request.clone());
                secrets.push(server.body()["client_secret"].clone());
                server.respond(
                    200,
                    &json!({ "sid": request, "submit_url": submit(&server) }),
                );
            }
            "POST /submit" => {
                assert_eq!(server.body()["token"], "123456");
                server.respond(200, &json!({ "success": true }));
                let stage = server.body()["auth"]["type"].clone();
                completed.push(stage);
                server.respond(401, &progress(&offer, &completed, false));
            }
            get if get.starts_with("GET") => {
                server.respond(200, &json!({}));
            }
            _ => {
                let auth = server.body()["auth"].clone();
                if auth.is_null() {
                    server.respond(401, &offer);
                } else if auth["type"].is_null() {
                    server.respond(200, &success());
                } else {
                    assert!(!completed.contains(&auth["type"]), "{auth} again");
                    completed.push(auth["type"].clone());
                    server.respond(401, &progress(&offer, &completed, false));
                }
            }
        }
    }
    server.ok();
    assert_eq!(sent, [PHONE, EMAIL], "each message once");
    assert_ne!(secrets[0], secrets[1]);
}

fn submit(server: &ScriptedServer<Registration>) -> Value {
    match server.requests.last().unwrap().as_str() {
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
fn wrong_code_is_asked_again() {
    let mut server = with_code("https://id.example.org/submit");
    assert_eq!(server.requests.last().unwrap(), PHONE);
    let address = "GB:07700900001".to_owned();
    assert_eq!(server.question(), &Prompt::Code { address, why: None });
    server.answer(Answer::Text("000000".into()));
    assert_eq!(server.job().url(), "https://id.example.org/submit");
    assert_eq!(server.body()["sid"], "sid1");
    server.respond(200, &json!({ "success": false }));
    assert!(matches!(
        server.question(),
        Prompt::Code { why: Some(_), .. }
    ));
    server.answer(Answer::Text("123456".into()));
    assert_eq!(server.body()["token"], "123456");
    server.respond(200, &json!({ "success": true }));
    assert_eq!(server.body()["auth"]["type"], "m.login.msisdn");
    server.respond(200, &success());
    server.ok();
}

#[test]
fn code_goes_to_safe_urls_only() {
    for url in [
        "http://id.example.org/submit",
        "https://192.168.1.1/submit",
        "http://127.0.0.1:8080/submit",
        "file:///etc/passwd",
        "nonsense",
    ] {
        let mut server = with_code(url);
        server.answer(Answer::Text("123456".into()));
        assert!(
            matches!(
                server.error(),
                AuthError::Server(ServerError::NotMatrix { .. })
            ),
            "{url}"
        );
        assert_eq!(server.requests.last().unwrap(), PHONE, "{url}");
    }
}

#[test]
fn refused_address_can_be_replaced() {
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
        let mut server = offered(with_email(), &email_flow());
        let first = server.body()["client_secret"].clone();
        server.respond(status, &refused(code));
        let Prompt::EmailAddress { why: Some(why) } = server.question() else {
            panic!("{code}: {:?}", server.question())
        };
        assert!(
            why.contains(words) && why.contains("alice@example.org"),
            "{why}"
        );
        server.answer(Answer::Text("bob@example.org".into()));
        assert_eq!(server.body()["email"], "bob@example.org");
        assert_ne!(server.body()["client_secret"], first, "another proof");

        let mut server = offered(with_email(), &email_flow());
        server
            .respond(status, &refused(code))
            .answer(Answer::Unavailable);
        assert!(
            matches!(
                server.error(),
                AuthError::Threepid(ThreepidError::AddressRefused { .. })
            ),
            "{code}"
        );
    }
    let mut server = offered(with_email(), &email_flow());
    server.respond(429, &json!({ "errcode": "M_LIMIT_EXCEEDED" }));
    assert!(matches!(
        server.error(),
        AuthError::Server(ServerError::RateLimited { .. })
    ));
}

#[test]
fn missing_address_is_asked() {
    let mut server = offered(alice(), &email_flow());
    assert_eq!(server.question(), &Prompt::EmailAddress { why: None });
    server.answer(Answer::Text("nonsense".into()));
    assert!(server.is_asking(), "that is none");
    server.answer(Answer::Unavailable);
    assert!(matches!(
        server.error(),
        AuthError::Threepid(ThreepidError::AddressNeeded { .. })
    ));
    let mut server = ScriptedServer::start(reload(&server).answers(with_email()));
    server.respond(200, &json!({}));
    assert_eq!(server.body()["auth"], Value::Null);
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
fn given_address_is_preferred() {
    let both = uia_response(&json!([
        { "stages": ["m.login.dummy"] },
        { "stages": ["m.login.email.identity"] },
        { "stages": ["m.login.email.identity", "m.login.msisdn"] },
    ]));
    let last = |server: &ScriptedServer<Registration>| server.requests.last().unwrap().clone();
    assert_eq!(last(&offered(with_email(), &both)), EMAIL);
    assert_eq!(
        offered(alice(), &both).body()["auth"]["type"],
        "m.login.dummy"
    );
    let page = uia_response(
        &json!([{ "stages": ["m.login.msisdn"] }, { "stages": ["m.login.recaptcha"] }]),
    );
    assert!(matches!(
        offered(alice(), &page).question(),
        Prompt::StagePage { .. }
    ));
    assert_eq!(last(&offered(with_phone(), &page)), PHONE);
}

#[test]
fn page_stage_is_polled_until_complete() {
    for stage in ["m.login.recaptcha", "m.login.sso", "org.example.riddle"] {
        let offer = one_flow(&[stage, "m.login.dummy"]);
        let mut server = offered(alice(), &offer);
        let Prompt::StagePage { url, .. } = server.question() else {
            panic!("{stage}")
        };
        let page = format!("/_matrix/client/v3/auth/{stage}/fallback/web?session=s1");
        assert_eq!(url, &format!("{}{page}", server_info().server));
        server.answer(Answer::Yes);
        for _ in 0..100 {
            assert_eq!(server.body()["auth"], json!({ "session": "s1" }));
            server.respond(401, &offer);
            server.wake();
        }
        server.respond(401, &progress(&offer, &[json!(stage)], false));
        assert_eq!(server.body()["auth"]["type"], "m.login.dummy");
        server.respond(200, &success());
        server.ok();
    }
}

#[test]
fn same_address_again_gets_new_message() {
    let mut server = offered(with_email(), &email_flow());
    let secret = server.body()["client_secret"].clone();
    server
        .respond(200, &json!({ "sid": "sid1" }))
        .answer(Answer::Unavailable);
    let answers = RegistrationOptions {
        email: with_email().email,
        ..RegistrationOptions::default()
    };
    let later = ScriptedServer::start(reload(&server).answers(answers));
    assert_eq!(later.requests, [EMAIL]);
    let asked = later.body();
    assert_eq!(
        (&asked["send_attempt"], &asked["client_secret"]),
        (&json!(2), &secret)
    );
    // Resuming without it sends no message.
    let later = ScriptedServer::start(reload(&server).answers(RegistrationOptions::default()));
    assert_eq!(later.requests, ["POST /_matrix/client/v3/register"]);
}

#[test]
fn known_code_is_submitted_once() {
    let mut server = with_code("https://id.example.org/submit");
    server.answer(Answer::Unavailable);
    let answers = RegistrationOptions {
        code: Some("123456".into()),
        ..RegistrationOptions::default()
    };
    let later = || ScriptedServer::start(reload(&server).answers(answers.clone()));
    let mut right = later();
    assert_eq!(right.requests, ["POST /submit"]);
    assert_eq!(right.body()["token"], "123456");
    right.respond(200, &json!({ "success": true }));
    right.respond(200, &success());
    right.ok();
    let mut wrong = later();
    wrong.respond(400, &refused("M_TOKEN_INCORRECT"));
    assert!(matches!(
        wrong.question(),
        Prompt::Code { why: Some(_), .. }
    ));
    wrong.answer(Answer::Unavailable);
    // It is not sent again with the next run.
    assert_eq!(
        ScriptedServer::start(reload(&wrong)).requests,
        ["POST /_matrix/client/v3/register"]
    );
}
