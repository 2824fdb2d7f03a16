//! A stored registration resumes, until there is an account or certainly none.

use matricula_auth::{
    Answer, AuthError, Progress, RegisterError, Registration, RegistrationOptions, ServerError,
    UiaError, tables,
};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::{
    helpers::{
        alice, dummy_flow, refused, register_alice, reload, server_info, success, uia_response,
    },
    scripted_server::{ScriptedServer, transport_error},
};

fn no_connection() -> Outcome {
    Outcome::Failed(transport_error(TransportErrorKind::Connect))
}

/// A registration that waits for the response to its last request.
fn last_request(options: RegistrationOptions) -> ScriptedServer<Registration> {
    let mut server = ScriptedServer::start(Registration::new(&server_info(), options));
    if server.requests[0].starts_with("GET") {
        server.respond(200, &json!({}));
    }
    server.respond(401, &dummy_flow());
    server
}

fn is_stored(server: &ScriptedServer<Registration>) -> bool {
    let last = server.commits.last().unwrap().writes().last().unwrap();
    last.table == tables::REGISTRATIONS && last.value.is_some()
}

fn two_stages() -> Value {
    uia_response(&json!([{ "stages": ["m.login.registration_token", "m.login.dummy"] }]))
}

#[test]
fn doubt_keeps_the_generated_password() {
    let with_name = || RegistrationOptions {
        username: Some("alice".into()),
        ..RegistrationOptions::default()
    };
    let inhibited = || RegistrationOptions {
        inhibit_login: true,
        ..with_name()
    };
    type Ending = fn(&mut ScriptedServer<Registration>);
    let endings: [(RegistrationOptions, Ending); 6] = [
        (with_name(), |server| {
            server
                .lose()
                .lose()
                .respond(404, &refused("M_UNRECOGNIZED"));
        }),
        (with_name(), |server| {
            server.lose().lose().lose();
        }),
        (with_name(), |server| {
            server.lose().outcome(no_connection());
        }),
        (inhibited(), |server| {
            server.lose().lose();
        }),
        (RegistrationOptions::default(), |server| {
            server.lose().lose();
        }),
        (with_name(), |server| {
            server.lose().lose().outcome(no_connection());
        }),
    ];
    for (at, (options, ending)) in endings.into_iter().enumerate() {
        let mut server = last_request(options);
        let password = server.body()["password"].clone();
        ending(&mut server);
        assert!(
            matches!(
                server.error(),
                AuthError::Register(RegisterError::InDoubt { .. })
            ),
            "{at}: {}",
            server.error()
        );
        assert!(is_stored(&server), "{at}");
        let mut server = ScriptedServer::start(reload(&server));
        assert_eq!(server.body()["password"], password, "{at}");
        server.respond(200, &success());
        assert_eq!(
            server.ok().password,
            Some(password.as_str().unwrap().into()),
            "{at}"
        );
    }
}

#[test]
fn failure_midway_keeps_completed_stages() {
    let limited = json!({ "errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 9_000_000 });
    let endings: [fn(&mut ScriptedServer<Registration>, &Value); 3] = [
        |server, _| {
            server.outcome(no_connection());
        },
        |server, limited| {
            server.respond(429, limited);
        },
        |server, _| {
            server.outcome(Outcome::Cancelled);
        },
    ];
    for ending in endings {
        let options = RegistrationOptions {
            token: Some("once".into()),
            ..alice()
        };
        let mut server = ScriptedServer::start(Registration::new(&server_info(), options));
        let mut done = two_stages();
        done["completed"] = json!(["m.login.registration_token"]);
        server
            .respond(200, &json!({}))
            .respond(401, &two_stages())
            .respond(401, &done);
        ending(&mut server, &limited);
        assert!(is_stored(&server), "{}", server.error());
        let server = ScriptedServer::start(reload(&server));
        assert_eq!(
            server.body()["auth"],
            json!({ "type": "m.login.dummy", "session": "s1" })
        );
    }
}

#[test]
fn final_refusal_removes_the_registration() {
    let refusals = [
        (403, "M_FORBIDDEN"),
        (403, "M_UNKNOWN"),
        (400, "M_USER_IN_USE"),
        (400, "M_BAD_JSON"),
    ];
    for (status, code) in refusals {
        let mut server = last_request(alice());
        server.respond(status, &refused(code));
        if server.result.is_none() {
            server.answer(Answer::Unavailable);
        }
        let is_closed = matches!(
            server.error(),
            AuthError::Register(RegisterError::Closed { .. })
        );
        assert_eq!(is_closed, status == 403, "{code}");
        assert!(!is_stored(&server), "{code}");
    }
}

#[test]
fn nothing_is_stored_before_sending() {
    let mut server = ScriptedServer::start(Registration::new(&server_info(), alice()));
    server.outcome(no_connection());
    assert!(!is_stored(&server));
}

#[test]
fn new_password_begins_a_new_session() {
    let options = RegistrationOptions {
        username: Some("bob".into()),
        ..RegistrationOptions::default()
    };
    let mut server = ScriptedServer::start(Registration::new(&server_info(), options));
    server
        .respond(200, &json!({}))
        .respond(401, &two_stages())
        .answer(Answer::Unavailable);
    let answers = RegistrationOptions {
        password: Some("mine".into()),
        token: Some("t".into()),
        ..RegistrationOptions::default()
    };
    let mut server = ScriptedServer::start(reload(&server).answers(answers));
    server.respond(200, &json!({}));
    assert_eq!(
        (
            server.body()["auth"].clone(),
            server.body()["password"].clone()
        ),
        (Value::Null, json!("mine"))
    );
    let mut done = two_stages();
    done["completed"] = json!(["m.login.registration_token"]);
    server
        .respond(401, &two_stages())
        .respond(401, &done)
        .respond(200, &success());
    assert_eq!(server.ok().password, None, "the person knows it");
}

#[test]
fn forgotten_session_restarts_without_doubt() {
    let options = || RegistrationOptions {
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
        let mut server = ScriptedServer::start(Registration::new(&server_info(), options()));
        server.respond(200, &json!({})).respond(401, &two_stages());
        let mut server = ScriptedServer::start(reload(&server));
        server.respond(status, &answer);
        assert_eq!(server.body()["auth"], auth);
    }
}

#[test]
fn replaced_session_has_no_completed_stages() {
    let options = RegistrationOptions {
        token: Some("t".into()),
        ..alice()
    };
    let mut server = ScriptedServer::start(Registration::new(&server_info(), options));
    let mut done = two_stages();
    done["completed"] = json!(["m.login.registration_token"]);
    let mut other = two_stages();
    other["session"] = json!("s2");
    server
        .respond(200, &json!({}))
        .respond(401, &two_stages())
        .respond(401, &done)
        .respond(401, &other);
    assert_eq!(server.body()["auth"]["type"], "m.login.registration_token");
    assert_eq!(server.body()["auth"]["session"], "s2");
}

#[test]
fn username_taken_before_is_reported() {
    let mut server = ScriptedServer::start(Registration::new(&server_info(), alice()));
    server.respond(200, &json!({})).lose();
    server
        .respond(400, &refused("M_USER_IN_USE"))
        .respond(403, &refused("M_FORBIDDEN"));
    server.answer(Answer::Unavailable);
    assert!(
        matches!(
            server.error(),
            AuthError::Register(RegisterError::NameTaken { .. })
        ),
        "{}",
        server.error()
    );
}

#[test]
fn stage_completed_in_browser_is_polled() {
    let flow = uia_response(&json!([{ "stages": ["m.login.recaptcha", "m.login.dummy"] }]));
    let mut server = last_request_with(&flow);
    server.answer(Answer::Unavailable);
    assert!(matches!(
        server.error(),
        AuthError::Uia(UiaError::StagesNotSupported(_))
    ));
    let mut resumed = ScriptedServer::start(reload(&server));
    assert_eq!(resumed.body()["auth"], json!({ "session": "s1" }));
    assert_eq!(resumed.body()["password"], "wordpass");
    let mut done = flow.clone();
    done["completed"] = json!(["m.login.recaptcha"]);
    resumed.respond(401, &done);
    assert_eq!(resumed.body()["auth"]["type"], "m.login.dummy");
    resumed.respond(200, &success());
    resumed.ok();

    server = ScriptedServer::start(reload(&server));
    server.respond(401, &flow).answer(Answer::Unavailable);
    assert!(
        matches!(
            server.error(),
            AuthError::Uia(UiaError::StagesNotSupported(_))
        ),
        "not done yet"
    );
}

fn last_request_with(flow: &Value) -> ScriptedServer<Registration> {
    let mut server = ScriptedServer::start(Registration::new(&server_info(), alice()));
    server.respond(200, &json!({})).respond(401, flow);
    server
}

#[test]
fn flow_is_reported_again_on_resume() {
    let mut server = ScriptedServer::start(Registration::new(&server_info(), alice()));
    server
        .respond(200, &json!({}))
        .respond(401, &two_stages())
        .answer(Answer::Unavailable);
    let answers = RegistrationOptions {
        token: Some("t".into()),
        ..RegistrationOptions::default()
    };
    let server = ScriptedServer::start(reload(&server).answers(answers));
    assert!(
        matches!(&server.progress[..], [Progress::Route { .. }]),
        "{:?}",
        server.progress
    );
}

#[test]
fn stored_server_data_is_bounded() {
    let big = "x".repeat(100_000);
    let many: Vec<Value> = (0..10_000)
        .map(|_| json!({ "stages": ["m.login.registration_token"] }))
        .collect();
    let mut answer = uia_response(&json!(many));
    answer["params"] =
        json!({ "m.login.terms": { "policies": { "a": { "version": big } } }, "other": big });
    let server = last_request_with(&answer);
    let stored = server.commits.last().unwrap().writes()[0]
        .value
        .as_ref()
        .unwrap()
        .len();
    assert!(stored < 10_000, "{stored} bytes");
}

#[test]
fn unreadable_terms_are_not_accepted() {
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
        let mut answer = uia_response(&json!([{ "stages": ["m.login.terms"] }]));
        answer["params"] = json!({ "m.login.terms": params });
        let options = RegistrationOptions {
            accept_terms: true,
            ..alice()
        };
        let mut server = ScriptedServer::start(Registration::new(&server_info(), options));
        server.respond(200, &json!({})).respond(401, &answer);
        assert!(
            matches!(
                server.error(),
                AuthError::Server(ServerError::NotMatrix { .. })
            ),
            "{params}"
        );
    }
}

#[test]
fn closed_registration_points_to_oauth() {
    let mut both = server_info();
    both.oauth_issuer = Some("https://account.example.org/".into());
    both.login_flows = serde_json::from_value(
        json!([{ "type": "m.login.password", "oauth_aware_preferred": false }]),
    )
    .unwrap();
    let mut server = ScriptedServer::start(Registration::new(&both, alice()));
    server
        .respond(403, &refused("M_FORBIDDEN"))
        .respond(403, &refused("M_FORBIDDEN"));
    assert!(
        matches!(
            server.error(),
            AuthError::Register(RegisterError::OAuthNeeded { .. })
        ),
        "{}",
        server.error()
    );
}

#[test]
fn stored_registration_resumes_with_token() {
    let flow = json!([{ "stages": ["m.login.registration_token"] }]);
    let mut server = register_alice();
    server
        .respond(401, &uia_response(&flow))
        .answer(Answer::Unavailable);
    assert!(matches!(
        server.error(),
        AuthError::Uia(UiaError::TokenNeeded { .. })
    ));

    let answers = RegistrationOptions {
        token: Some("letmein".into()),
        ..RegistrationOptions::default()
    };
    let mut server = ScriptedServer::start(reload(&server).answers(answers));
    let expected =
        json!({ "type": "m.login.registration_token", "token": "letmein", "session": "s1" });
    assert_eq!(server.body()["auth"], expected);
    assert_eq!(server.body()["password"], "wordpass");
    server.respond(200, &success());
    server.ok();
}

#[test]
fn forgotten_session_is_restarted() {
    let flow = json!([{ "stages": ["m.login.registration_token"] }]);
    let mut server = register_alice();
    server
        .respond(401, &uia_response(&flow))
        .answer(Answer::Unavailable);
    let answers = RegistrationOptions {
        token: Some("letmein".into()),
        ..RegistrationOptions::default()
    };
    let mut server = ScriptedServer::start(reload(&server).answers(answers));
    server.respond(400, &refused("M_UNKNOWN"));
    assert_eq!(server.body()["auth"], Value::Null);
    let mut second = uia_response(&flow);
    second["session"] = json!("s2");
    server.respond(401, &second);
    assert_eq!(server.body()["auth"]["session"], "s2");
}
