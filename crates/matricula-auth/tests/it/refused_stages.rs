//! A stage is complete if the server lists it; any other answer to it is a refusal.

use matricula_api::client::device_management::DeleteDevices;
use matricula_auth::{
    Answer, AuthError, Progress, Prompt, Registration, RegistrationOptions, UiaError, UiaRequest,
};
use serde_json::{Value, json};

use crate::{
    helpers::{account, alice, one_flow, password_flow, register, success},
    scripted_server::ScriptedServer,
};

const WORDS: &str = "Invalid registration token.";

/// Answers to a registration token that is wrong: status, body, the server's words.
fn refusals(stages: &[&str]) -> Vec<(u16, Value, &'static str)> {
    let flows = json!([{ "stages": stages }]);
    let body = |more: Value| {
        let mut body = json!({ "flows": flows, "session": "s1" });
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    };
    let palpo = json!({
        "params": null, "kind": { "errcode": "M_FORBIDDEN" }, "message": WORDS,
    });
    let mut refusals = Vec::new();
    // The specification has 401. Servers have others too.
    for status in [401, 403, 400, 422] {
        refusals.extend([
            (status, body(palpo.clone()), WORDS),
            (
                status,
                body(json!({ "errcode": "M_UNAUTHORIZED", "error": WORDS, "params": {} })),
                WORDS,
            ),
            (
                status,
                body(json!({ "error": WORDS, "completed": [] })),
                WORDS,
            ),
            (status, body(json!({ "message": WORDS })), WORDS),
            (status, body(json!({ "errcode": "M_FORBIDDEN" })), ""),
            (
                status,
                body(json!({ "kind": { "errcode": "M_FORBIDDEN" } })),
                "",
            ),
            (status, body(json!({})), ""),
            (status, body(json!({ "completed": [] })), ""),
            (
                status,
                body(json!({ "completed": null, "params": null })),
                "",
            ),
            (
                status,
                body(json!({ "completed": ["m.login.msisdn"], "error": WORDS })),
                WORDS,
            ),
            // A new session, and the words say that it is not because the old one is forgotten.
            (
                status,
                body(json!({ "session": "s2", "errcode": "M_FORBIDDEN", "error": WORDS })),
                WORDS,
            ),
        ]);
    }
    // Without the flows.
    for status in [401, 403, 400] {
        for body in [
            json!({ "errcode": "M_FORBIDDEN", "error": WORDS }),
            json!({ "errcode": "M_UNAUTHORIZED", "error": WORDS }),
            json!({ "errcode": "M_UNAUTHORIZED", "message": WORDS }),
            json!({ "kind": { "errcode": "M_FORBIDDEN" }, "message": WORDS }),
            json!({ "error": WORDS }),
            json!({
                "flows": null, "params": null, "session": "s1",
                "kind": { "errcode": "M_FORBIDDEN" }, "message": WORDS,
            }),
        ] {
            refusals.push((status, body, WORDS));
        }
    }
    for code in ["M_UNKNOWN", "M_INVALID_PARAM", "ORG.EXAMPLE.ODD"] {
        refusals.push((401, json!({ "errcode": code, "error": WORDS }), WORDS));
    }
    refusals
}

/// Alice, after this answer to her token.
fn answered(stages: &[&str], status: u16, body: &Value) -> ScriptedServer<Registration> {
    let mut server = register(RegistrationOptions {
        token: Some("wrong".into()),
        ..alice()
    });
    server
        .respond(200, &json!({}))
        .respond(401, &one_flow(stages));
    assert_eq!(server.body()["auth"]["token"], "wrong");
    server.respond(status, body);
    server
}

fn has_flows(body: &Value) -> bool {
    body.get("flows").is_some_and(Value::is_array)
}

fn done(server: &ScriptedServer<Registration>) -> Vec<&str> {
    let done = server.progress.iter().filter_map(|one| match one {
        Progress::StageDone(stage) => Some(stage.as_str()),
        _ => None,
    });
    done.collect()
}

#[test]
fn refused_token_is_asked_for_again() {
    for stages in [
        &["m.login.registration_token"][..],
        &["m.login.registration_token", "m.login.dummy"],
    ] {
        for (status, body, words) in refusals(stages) {
            let mut server = answered(stages, status, &body);
            let what = format!("{status} {body}");
            let Prompt::RegistrationToken { why: Some(why) } = server.question() else {
                panic!("{what}: {:?}", server.question());
            };
            let shown = match words {
                "" => "the server does not accept it",
                words => words,
            };
            assert_eq!(why, shown, "{what}");
            assert_eq!(done(&server), [""; 0], "{what}");
            server.answer(Answer::Text("right".into()));
            assert_eq!(server.body()["auth"]["token"], "right", "{what}");
            server.respond(200, &success());
            server.ok();
        }
    }
}

#[test]
fn refused_token_ends_without_a_person() {
    for stages in [
        &["m.login.registration_token"][..],
        &["m.login.registration_token", "m.login.dummy"],
    ] {
        for (status, body, words) in refusals(stages) {
            let mut server = answered(stages, status, &body);
            server.answer(Answer::Unavailable);
            let what = format!("{status} {body}");
            let AuthError::Uia(UiaError::TokenWrong { message, .. }) = server.error() else {
                panic!("{what}: {}", server.error());
            };
            assert_eq!(message, words, "{what}");
            assert_eq!(server.requests.len(), 3, "{what}: nothing more is sent");
        }
    }
}

#[test]
fn refused_password_is_asked_for_again() {
    for (status, body, words) in refusals(&["m.login.password"]) {
        // Without the flows, a 403 is not about the password.
        if !has_flows(&body) && status == 403 {
            continue;
        }
        let what = format!("{status} {body}");
        let request = DeleteDevices::new(vec!["A".into()]);
        let mut server = ScriptedServer::start(UiaRequest::new(&account(Some("old")), request));
        server.respond(401, &password_flow()).respond(status, &body);
        let Prompt::CurrentPassword { why: Some(why), .. } = server.question() else {
            panic!("{what}: {:?}", server.question());
        };
        let shown = match words {
            "" => "the server does not accept it",
            words => words,
        };
        assert_eq!(why, shown, "{what}");
        assert!(
            server
                .progress
                .iter()
                .all(|one| !matches!(one, Progress::StageDone(_)))
        );
        server.answer(Answer::Text("new".into()));
        assert_eq!(server.body()["auth"]["password"], "new", "{what}");
        server.respond(200, &json!({}));
        server.ok();
    }
}

/// What has no answer to give again ends with the server's words.
#[test]
fn refused_consent_ends_with_the_words() {
    for (stage, options) in [
        ("m.login.dummy", alice()),
        (
            "m.login.terms",
            RegistrationOptions {
                accept_terms: true,
                ..alice()
            },
        ),
    ] {
        for stages in [&[stage][..], &[stage, "m.login.recaptcha"]] {
            for (status, body, words) in refusals(stages) {
                if !has_flows(&body) && status == 403 {
                    continue;
                }
                let mut server = register(options.clone());
                server
                    .respond(200, &json!({}))
                    .respond(401, &one_flow(stages))
                    .respond(status, &body);
                let what = format!("{status} {body}");
                let AuthError::Uia(UiaError::StageFailed { message, .. }) = server.error() else {
                    panic!("{what}: {}", server.error());
                };
                assert_eq!(message, words, "{what}");
                assert_eq!(done(&server), [""; 0], "{what}");
            }
        }
    }
}

/// A stage that the person completes elsewhere is polled for, then asked for again, in the same words.
#[test]
fn refused_page_is_shown_again() {
    for (status, body, words) in refusals(&["m.login.recaptcha"]) {
        if !has_flows(&body) && status == 403 || body["session"] == "s2" {
            continue;
        }
        let what = format!("{status} {body}");
        let mut server = register(alice());
        server
            .respond(200, &json!({}))
            .respond(401, &one_flow(&["m.login.recaptcha"]))
            .answer(Answer::Yes);
        while !server.is_asking() {
            server.respond(status, &body);
            if server.is_waiting() {
                server.wake();
            }
        }
        let Prompt::StagePage { why: Some(why), .. } = server.question() else {
            panic!("{what}: {:?}", server.question());
        };
        let shown = match words {
            "" => "the server says that this is not done yet",
            words => words,
        };
        assert_eq!(why, shown, "{what}");
        assert_eq!(done(&server), [""; 0], "{what}");
    }
}

#[test]
fn listed_stage_is_reported_as_done() {
    let stages = ["m.login.registration_token", "m.login.dummy"];
    for status in [401, 403, 400] {
        let mut body = one_flow(&stages);
        body["completed"] = json!(["m.login.registration_token"]);
        // What Palpo writes about the stage that is not done yet.
        body["message"] = json!("");
        let mut server = answered(&stages, status, &body);
        assert_eq!(done(&server), ["m.login.registration_token"]);
        assert_eq!(server.body()["auth"]["type"], "m.login.dummy");
        server.respond(200, &success());
        server.ok();
    }
}

/// No stage is left: the request is sent with the session alone, once.
#[test]
fn flow_without_stages_is_finished() {
    for flows in [
        json!([{ "stages": [] }]),
        json!([{}]),
        json!([{ "stages": ["m.login.recaptcha"] }, { "stages": [] }]),
    ] {
        for (session, auth) in [
            (json!("s1"), json!({ "session": "s1" })),
            (Value::Null, json!({})),
        ] {
            let offer = json!({ "session": session, "flows": flows });
            let begin = || {
                let mut server = register(alice());
                server.respond(200, &json!({})).respond(401, &offer);
                assert_eq!(server.body()["auth"], auth, "{offer}");
                assert_eq!(server.body()["password"], "wordpass");
                server
            };
            let mut server = begin();
            server.respond(200, &success());
            server.ok();
            assert_eq!(server.requests.len(), 3);

            let mut server = begin();
            server.respond(401, &offer);
            assert!(
                matches!(server.error(), AuthError::Uia(UiaError::Endless { .. })),
                "{offer}: {}",
                server.error()
            );
            assert_eq!(server.requests.len(), 3);

            // The server wants more all the same.
            let mut server = begin();
            server.respond(401, &one_flow(&["m.login.dummy"]));
            assert_eq!(server.body()["auth"]["type"], "m.login.dummy");

            // The account may have been made.
            let mut server = begin();
            server.lose();
            if !session.is_null() {
                assert_eq!(server.body()["auth"], auth, "{offer}");
                server.respond(400, &json!({ "errcode": "M_USER_IN_USE" }));
            }
            let last = server.requests.last().unwrap();
            assert_eq!(last, "POST /_matrix/client/v3/login", "{offer}");
            server.respond(200, &success());
            server.ok();
        }
    }
}

/// An address that is not validated yet is polled for, also where the server does not repeat its flows.
#[test]
fn refused_address_is_polled_for() {
    for (status, code) in [
        (401, "M_UNAUTHORIZED"),
        (401, "M_THREEPID_AUTH_FAILED"),
        (400, "M_THREEPID_AUTH_FAILED"),
        (403, "M_SESSION_NOT_VALIDATED"),
    ] {
        let mut server = register(RegistrationOptions {
            email: Some("alice@example.org".into()),
            ..alice()
        });
        server
            .respond(200, &json!({}))
            .respond(401, &one_flow(&["m.login.email.identity"]))
            .respond(200, &json!({ "sid": "1" }))
            .answer(Answer::Yes)
            .respond(status, &json!({ "errcode": code, "error": WORDS }));
        assert!(server.is_waiting(), "{status} {code}: {:?}", server.result);
        server.wake();
        assert_eq!(server.body()["auth"]["type"], "m.login.email.identity");
        server.respond(200, &success());
        server.ok();
    }
}

/// A server that offers no flow may say why.
#[test]
fn missing_flow_is_said_in_the_servers_words() {
    for (body, words) in [
        (
            json!({ "flows": [], "errcode": "M_FORBIDDEN", "error": "closed for the summer" }),
            "closed for the summer",
        ),
        (
            json!({ "flows": [], "kind": { "errcode": "M_FORBIDDEN" }, "message": "closed" }),
            "\"closed\"",
        ),
        (json!({ "flows": [] }), "it offers no flow to register"),
        (
            json!({ "flows": [], "errcode": "M_FORBIDDEN" }),
            "it offers no flow to register",
        ),
    ] {
        let mut server = register(alice());
        server.respond(200, &json!({})).respond(401, &body);
        let error = server.error().to_string();
        assert!(error.contains(words), "{body}: {error}");
    }
    let request = DeleteDevices::new(vec!["A".into()]);
    let mut server = ScriptedServer::start(UiaRequest::new(&account(None), request));
    server.respond(401, &json!({ "flows": [], "error": "not here" }));
    let error = server.error().to_string();
    assert!(error.contains("not here"), "{error}");
}
