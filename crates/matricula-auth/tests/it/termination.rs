//! Every registration ends, whatever the server and the person answer.

use matricula_auth::{Answer, AuthError, RegistrationOptions, UiaError};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::helpers::{refused, register, success, uia_response};

fn any_answer() -> impl Strategy<Value = (u16, String)> {
    let stage = prop_oneof![
        Just("m.login.dummy"),
        Just("m.login.terms"),
        Just("m.login.registration_token"),
        Just("m.login.recaptcha"),
        Just("m.login.email.identity"),
        Just("m.login.msisdn"),
        Just("x"),
    ];
    let flows = prop::collection::vec(prop::collection::vec(stage.clone(), 0..4), 0..4);
    let uia = (flows, prop::collection::vec(stage, 0..3), "[a-c]?", any::<bool>()).prop_map(
        |(flows, completed, session, failed)| {
            let flows: Vec<Value> = flows.into_iter().map(|stages| json!({ "stages": stages })).collect();
            let mut body = json!({ "flows": flows, "completed": completed, "session": session, "params": null });
            if failed {
                body["errcode"] = json!("M_UNAUTHORIZED");
            }
            (401, body.to_string())
        },
    );
    let code = prop_oneof![
        Just("M_USER_IN_USE"),
        Just("M_WEAK_PASSWORD"),
        Just("M_UNKNOWN"),
        Just("M_FORBIDDEN"),
        Just("M_LIMIT_EXCEEDED"),
        Just("M_EXCLUSIVE"),
        Just("M_THREEPID_IN_USE"),
        Just("M_UNRECOGNIZED"),
        Just("X"),
    ];
    let refusal =
        (400u16..600, code).prop_map(|(status, code)| (status, refused(code).to_string()));
    let other = (100u16..600, ".{0,20}");
    let good = Just((200, success().to_string()));
    let sent = any::<bool>().prop_map(|code| {
        let mut sent = json!({ "sid": "s" });
        if code {
            sent["submit_url"] = json!("https://id.example.org/submit");
        }
        (200, sent.to_string())
    });
    prop_oneof![4 => uia, 2 => refusal, 1 => other, 1 => good, 2 => sent]
}

proptest! {
    /// Whatever the server answers and the person says, it ends within a bound; no stage that the
    /// server listed as completed is attempted again in the same session; no password is sent before
    /// its name has passed the server's check, where the server has one that works; nothing goes out
    /// unencrypted.
    #[test]
    fn every_registration_ends(
        answers in prop::collection::vec((any_answer(), 0u8..6), 1..12),
        has_name: bool,
        has_token: bool,
    ) {
        let mut server = register(RegistrationOptions {
            username: has_name.then(|| "alice".to_owned()),
            token: has_token.then(|| "t".into()),
            ..RegistrationOptions::default()
        });
        let mut completed: Vec<(Value, Value)> = Vec::new();
        let mut unchecked = has_name;
        let mut turns = 0;
        for ((status, body), luck) in answers.iter().cycle() {
            if server.result.is_some() {
                break;
            }
            turns += 1;
            prop_assert!(turns < 3_000, "no end: {:?}", server.requests);
            if server.is_waiting() {
                server.wake();
                continue;
            }
            if server.is_asking() {
                server.answer(match luck { 0 => Answer::Unavailable, 1 => Answer::No, 2 => Answer::Yes, 3 => Answer::Text("a@example.org".into()), _ => Answer::Text("GB:07700900001".into()) });
                continue;
            }
            let url = server.job().url().to_owned();
            prop_assert!(url.starts_with("https://"), "{url}");
            if url.ends_with("/available") {
                // The name is another, or the server does not say so.
                let says_nothing = ["M_USER_IN_USE", "M_EXCLUSIVE"].iter().all(|code| !body.contains(code));
                let is_missing = matches!(*status, 401 | 404 | 405 | 501) && says_nothing;
                let has_failed = *status >= 500 && !matches!(*status, 501 | 505);
                unchecked = !(*luck != 5 && (is_missing || has_failed || *status < 300 || *status == 403 || body.contains("M_UNRECOGNIZED") || body.contains("M_FORBIDDEN")));
            } else if url.ends_with("/register") {
                prop_assert!(!unchecked || server.body().get("password").is_none(), "{:?}", server.requests);
            }
            let auth = match server.job().request_body().as_bytes() {
                [] => Value::Null,
                _ => server.body()["auth"].clone(),
            };
            let attempt = (auth["session"].clone(), auth["type"].clone());
            prop_assert!(auth.is_null() || !completed.contains(&attempt), "{attempt:?} again");
            if *luck == 5 {
                server.lose();
                continue;
            }
            let asks = !server.job().url().ends_with("/register");
            if let (false, Ok(Value::Object(answer))) = (asks, serde_json::from_str::<Value>(body)) {
                for stage in answer.get("completed").and_then(Value::as_array).into_iter().flatten() {
                    completed.push((answer["session"].clone(), stage.clone()));
                }
            }
            server.respond_text(*status, body);
        }
    }
}

#[test]
fn endless_sessions_stop_after_forty_requests() {
    let mut server = register(RegistrationOptions::default());
    for session in 0..200 {
        if server.result.is_some() {
            break;
        }
        let mut answer = uia_response(&json!([{ "stages": ["m.login.dummy"] }]));
        answer["session"] = json!(session.to_string());
        server.respond(401, &answer);
    }
    assert!(matches!(
        server.error(),
        AuthError::Uia(UiaError::Endless { .. })
    ));
    assert_eq!(server.requests.len(), 40);
}
