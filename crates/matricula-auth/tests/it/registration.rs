//! Registration: the chosen flow, the requests, the prompts, the messages of refusals.

use matricula_auth::{
    Account, AccountKind, Answer, AuthError, DeviceOptions, Input, Progress, Prompt, RegisterError,
    Registration, RegistrationOptions, ServerError, UiaError, tables,
};
use matricula_core::{
    Machine, SeededEntropy, StepContext, Timestamp, TransportErrorKind, scheduler::Outcome,
};
use serde_json::{Value, json};

use crate::{
    helpers::{
        alice, dummy_flow, refused, register, register_alice, reload, server_info, success,
        uia_response,
    },
    scripted_server::{ScriptedServer, transport_error},
};

#[test]
fn username_is_checked_before_password_is_sent() {
    let mut server = register(alice());
    assert_eq!(
        server.requests,
        ["GET /_matrix/client/v3/register/available"]
    );
    assert_eq!(
        server.job().request_query(),
        [("username".into(), "alice".to_owned())]
    );
    server
        .respond(400, &refused("M_USER_IN_USE"))
        .answer(Answer::Unavailable);
    assert!(
        matches!(server.error(), AuthError::Register(RegisterError::NameTaken { username, .. }) if username == "alice")
    );
    assert_eq!(server.requests.len(), 1, "nothing else was sent");
}

#[test]
fn dummy_flow_takes_three_requests() {
    let mut server = register_alice();
    assert_eq!(server.body()["auth"], Value::Null);
    assert_eq!(server.body()["username"], "alice");
    server.respond(401, &dummy_flow());
    assert_eq!(
        server.body()["auth"],
        json!({ "type": "m.login.dummy", "session": "s1" })
    );
    assert_eq!(
        server.body()["password"],
        "wordpass",
        "every request repeats the whole body"
    );
    server.respond(200, &success());
    let account = server.ok();
    assert_eq!(account.user_id.as_str(), "@alice:example.org");
    assert_eq!(account.device_id.as_deref(), Some("DEV"));
    assert_eq!(account.access_token, Some("syt_a".into()));
    assert_eq!(
        account.password, None,
        "a password that the person chose is not stored with the account"
    );
    assert_eq!(server.requests.len(), 3);
}

#[test]
fn user_id_is_the_servers_choice() {
    let mut server = register_alice();
    server.respond(
        200,
        &json!({ "user_id": "@other-1:elsewhere.org", "access_token": "t", "device_id": "D" }),
    );
    assert_eq!(server.ok().user_id.as_str(), "@other-1:elsewhere.org");
}

#[test]
fn missing_username_is_chosen_by_server() {
    let mut server = register(RegistrationOptions {
        password: Some("p".into()),
        ..RegistrationOptions::default()
    });
    assert_eq!(server.requests, ["POST /_matrix/client/v3/register"]);
    assert_eq!(server.body().get("username"), None);
    server.respond(401, &dummy_flow()).respond(200, &success());
    server.ok();
}

#[test]
fn generated_password_is_stored_before_sending() {
    let mut server = register(RegistrationOptions::default());
    let sent = server.body()["password"].as_str().unwrap().to_owned();
    let stored = String::from_utf8(server.commits[0].writes()[0].value.clone().unwrap()).unwrap();
    assert!(
        stored.contains(&sent),
        "it is in the commit of the very step that sends it"
    );
    assert_eq!(sent.len(), 24);
    for class in [
        char::is_lowercase,
        char::is_uppercase,
        |c: char| c.is_ascii_digit(),
        |c: char| c.is_ascii_punctuation(),
    ] {
        assert!(sent.chars().any(class), "{sent}");
    }
    server.respond(401, &dummy_flow()).respond(200, &success());
    assert_eq!(server.ok().password, Some(sent.into()));
}

#[test]
fn device_id_is_generated_once() {
    let mut server = register_alice();
    let device_id = server.body()["device_id"].clone();
    assert_eq!(device_id.as_str().unwrap().len(), 10);
    server.respond(401, &dummy_flow());
    assert_eq!(server.body()["device_id"], device_id);

    let mut server = register(RegistrationOptions {
        device: DeviceOptions::new().device_id("MINE"),
        ..alice()
    });
    server.respond(200, &json!({}));
    assert_eq!(server.body()["device_id"], "MINE");
}

#[test]
fn all_options_reach_the_server() {
    let mut server = register(RegistrationOptions {
        device: DeviceOptions::new()
            .device_name("phone")
            .refresh_token(true),
        inhibit_login: true,
        ..alice()
    });
    server.respond(200, &json!({}));
    let body = server.body();
    assert_eq!(body["initial_device_display_name"], "phone");
    assert_eq!(body["inhibit_login"], true);
    assert_eq!(body["refresh_token"], true);
    assert_eq!(body.get("device_id"), None, "no device without a login");
    server.respond(200, &json!({ "user_id": "@alice:example.org" }));
    assert_eq!(server.ok().access_token, None);
}

#[test]
fn guest_sends_only_a_device_name() {
    let mut server = register(RegistrationOptions {
        kind: AccountKind::Guest,
        device: DeviceOptions::new().device_name("kiosk"),
        ..alice()
    });
    assert_eq!(
        server.job().request_query(),
        [("kind".into(), "guest".to_owned())]
    );
    assert_eq!(
        server.body(),
        json!({ "initial_device_display_name": "kiosk" })
    );
    server.respond(
        200,
        &json!({ "user_id": "@1:e.org", "access_token": "t", "device_id": "guest_device" }),
    );
    assert!(server.ok().is_guest);
    let mut server = register(RegistrationOptions {
        kind: AccountKind::Guest,
        ..RegistrationOptions::default()
    });
    server.respond(403, &refused("M_UNKNOWN"));
    assert!(matches!(
        server.error(),
        AuthError::Register(RegisterError::GuestsNotAllowed { .. })
    ));
}

#[test]
fn token_expiry_follows_the_server() {
    let mut server = register_alice();
    let mut answer = success();
    answer["expires_in_ms"] = json!(5_000);
    answer["refresh_token"] = json!("syr_r");
    let expected = Timestamp::from_millis(server.now + 5_000);
    server.respond(200, &answer);
    assert_eq!(server.ok().expires_at, Some(expected));
    assert_eq!(server.ok().refresh_token, Some("syr_r".into()));
}

#[test]
fn easiest_flow_is_chosen_and_explained() {
    let offered = json!([
        { "stages": ["m.login.recaptcha", "m.login.dummy"] },
        { "stages": ["m.login.registration_token", "m.login.terms"] },
        { "stages": ["m.login.terms"] },
        { "stages": ["m.login.email.identity"] },
    ]);
    for (token, accept_terms, expected) in [
        (None, true, vec!["m.login.terms"]),
        (Some("letmein"), true, vec!["m.login.terms"]),
        (Some("letmein"), false, vec!["m.login.terms"]),
    ] {
        let mut server = register(RegistrationOptions {
            token: token.map(Into::into),
            accept_terms,
            ..alice()
        });
        server
            .respond(200, &json!({}))
            .respond(401, &uia_response(&offered));
        let [Progress::Route { stages, why }] = &server.progress[..] else {
            panic!("{:?}", server.progress)
        };
        assert_eq!(
            stages.iter().map(|s| s.as_str()).collect::<Vec<_>>(),
            expected
        );
        assert!(why.starts_with("of 4 ways that the server offers"), "{why}");
    }
    let with_token =
        json!([{ "stages": ["m.login.terms"] }, { "stages": ["m.login.registration_token"] }]);
    let mut server = register(RegistrationOptions {
        token: Some("t".into()),
        ..alice()
    });
    server
        .respond(200, &json!({}))
        .respond(401, &uia_response(&with_token));
    assert_eq!(
        server.body()["auth"]["type"],
        "m.login.registration_token",
        "a token at hand beats a question"
    );
}

#[test]
fn stages_run_in_order_and_once() {
    let flow =
        json!([{ "stages": ["m.login.registration_token", "m.login.terms", "m.login.dummy"] }]);
    let mut server = register(RegistrationOptions {
        token: Some("letmein".into()),
        accept_terms: true,
        ..alice()
    });
    server
        .respond(200, &json!({}))
        .respond(401, &uia_response(&flow));
    let mut sent = Vec::new();
    for completed in [
        json!(["m.login.registration_token"]),
        json!(["m.login.registration_token", "m.login.terms"]),
    ] {
        sent.push(server.body()["auth"].clone());
        let mut answer = uia_response(&flow);
        answer["completed"] = completed;
        server.respond(401, &answer);
    }
    sent.push(server.body()["auth"].clone());
    assert_eq!(
        sent,
        [
            json!({ "type": "m.login.registration_token", "token": "letmein", "session": "s1" }),
            json!({ "type": "m.login.terms", "session": "s1" }),
            json!({ "type": "m.login.dummy", "session": "s1" }),
        ]
    );
    server.respond(200, &success());
    server.ok();
}

#[test]
fn wrong_token_is_asked_again() {
    let flow = json!([{ "stages": ["m.login.registration_token"] }]);
    let mut server = register_alice();
    server.respond(401, &uia_response(&flow));
    assert_eq!(server.question(), &Prompt::RegistrationToken { why: None });
    server.answer(Answer::Text("wrong".into()));
    let mut failed = uia_response(&flow);
    failed["errcode"] = json!("M_UNAUTHORIZED");
    failed["error"] = json!("Invalid registration token");
    server.respond(401, &failed);
    let why = Some("Invalid registration token".to_owned());
    assert_eq!(server.question(), &Prompt::RegistrationToken { why });
    server.answer(Answer::Text("right".into()));
    assert_eq!(server.body()["auth"]["token"], "right");
    assert!(!server.job().masked_body().contains("right"));
    server.respond(200, &success());
    server.ok();
}

#[test]
fn wrong_token_without_person_fails() {
    let flow = json!([{ "stages": ["m.login.registration_token"] }]);
    let mut server = register(RegistrationOptions {
        token: Some("wrong".into()),
        ..alice()
    });
    server
        .respond(200, &json!({}))
        .respond(401, &uia_response(&flow));
    let mut failed = uia_response(&flow);
    failed["errcode"] = json!("M_UNAUTHORIZED");
    server.respond(401, &failed).answer(Answer::Unavailable);
    assert!(matches!(
        server.error(),
        AuthError::Uia(UiaError::TokenWrong { .. })
    ));
}

#[test]
fn wrong_token_does_not_end_a_resumed_registration() {
    let flow = json!([{ "stages": ["m.login.registration_token"] }]);
    let mut server = register_alice();
    server
        .respond(401, &uia_response(&flow))
        .answer(Answer::Unavailable);
    for token in ["wrong", "wrong again"] {
        let answers = RegistrationOptions {
            token: Some(token.into()),
            ..RegistrationOptions::default()
        };
        server = ScriptedServer::start(reload(&server).answers(answers));
        assert_eq!(server.body()["auth"]["token"], token);
        let mut failed = uia_response(&flow);
        failed["errcode"] = json!("M_UNAUTHORIZED");
        server.respond(401, &failed).answer(Answer::Unavailable);
        assert!(matches!(
            server.error(),
            AuthError::Uia(UiaError::TokenWrong { .. })
        ));
    }
    // Without a new token, it is asked for.
    let server = ScriptedServer::start(reload(&server));
    assert_eq!(server.question(), &Prompt::RegistrationToken { why: None });
}

#[test]
fn terms_need_an_explicit_yes() {
    let mut offer = uia_response(&json!([{ "stages": ["m.login.terms"] }]));
    offer["params"] = json!({ "m.login.terms": { "policies": { "privacy": {
        "version": "1.2",
        "fr": { "name": "Confidentialité", "url": "https://e.org/fr" },
        "en": { "name": "Privacy", "url": "https://e.org/en" },
    }}}});
    let mut server = register_alice();
    server.respond(401, &offer);
    let Prompt::AcceptTerms { policies } = server.question() else {
        panic!()
    };
    assert_eq!(
        (policies[0].name.as_str(), policies[0].url.as_str()),
        ("Privacy", "https://e.org/en")
    );
    server.answer(Answer::No);
    let AuthError::Uia(UiaError::TermsNotAccepted { documents, .. }) = server.error() else {
        panic!("{}", server.error())
    };
    assert_eq!(documents, "Privacy (https://e.org/en)");

    let mut server = register_alice();
    server.respond(401, &offer).answer(Answer::Yes);
    assert_eq!(server.body()["auth"]["type"], "m.login.terms");
}

#[test]
fn refused_username_can_be_replaced() {
    for code in ["M_USER_IN_USE", "M_INVALID_USERNAME", "M_EXCLUSIVE"] {
        let mut server = register(alice());
        server.respond(400, &refused(code));
        assert!(matches!(
            server.question(),
            Prompt::Username { why: Some(_) }
        ));
        server.answer(Answer::Text("bob".into()));
        assert_eq!(server.job().request_query()[0].1, "bob");
        server
            .respond(200, &json!({}))
            .respond(401, &dummy_flow())
            .respond(200, &success());
        server.ok();
    }
}

#[test]
fn username_lost_midway_begins_new_session() {
    let mut server = register_alice();
    server
        .respond(401, &dummy_flow())
        .respond(400, &refused("M_USER_IN_USE"));
    server
        .answer(Answer::Text("bob".into()))
        .respond(200, &json!({}));
    assert_eq!(server.body()["auth"], Value::Null);
    assert_eq!(server.body()["username"], "bob");
}

#[test]
fn refused_password_can_be_replaced() {
    let mut server = register_alice();
    server.respond(400, &refused("M_PASSWORD_TOO_SHORT"));
    let Prompt::Password { why: Some(why) } = server.question() else {
        panic!()
    };
    assert!(
        why.contains("M_PASSWORD_TOO_SHORT") && why.contains("the server's words"),
        "{why}"
    );
    server.answer(Answer::Text("longer than before".into()));
    assert_eq!(server.body()["password"], "longer than before");
}

/// What the server answers to the first registration, and how that reads.
fn refusal(status: u16, body: &Value) -> AuthError {
    let mut server = register_alice();
    server.respond(status, body);
    if server.result.is_none() {
        server.answer(Answer::Unavailable);
    }
    server.error().clone()
}

#[test]
fn documented_errors_have_actionable_messages() {
    let full = json!({ "errcode": "M_RESOURCE_LIMIT_EXCEEDED", "error": "full", "admin_contact": "mailto:a@b" });
    let errors = [
        refusal(400, &refused("M_USER_IN_USE")),
        refusal(400, &refused("M_INVALID_USERNAME")),
        refusal(400, &refused("M_EXCLUSIVE")),
        refusal(400, &refused("M_WEAK_PASSWORD")),
        refusal(400, &refused("M_PASSWORD_NO_DIGIT")),
        refusal(403, &refused("M_FORBIDDEN")),
        refusal(404, &refused("M_UNRECOGNIZED")),
        refusal(403, &full),
        refusal(
            429,
            &json!({ "errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 61_500 }),
        ),
        refusal(400, &refused("M_BAD_JSON")),
        refusal(401, &uia_response(&json!([]))),
        refusal(
            401,
            &uia_response(&json!([{ "stages": ["m.login.email.identity", "m.login.recaptcha"] }])),
        ),
        refusal(
            401,
            &uia_response(&json!([{ "stages": ["org.example.riddle"] }])),
        ),
        refusal(
            401,
            &uia_response(&json!([{ "stages": ["m.login.registration_token"] }])),
        ),
        refusal(418, &json!("<html>")),
    ];
    let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn oauth_or_sso_is_required_before_sending() {
    let mut oauth = server_info();
    oauth.oauth_issuer = Some("https://account.example.org/".into());
    let server = ScriptedServer::start(Registration::new(&oauth, alice()));
    assert!(
        matches!(server.error(), AuthError::Register(RegisterError::OAuthNeeded { issuer, .. }) if issuer == "https://account.example.org/")
    );
    assert!(server.requests.is_empty());

    let sso = serde_json::from_value(json!({
        "server": "https://matrix.example.org", "versions": [], "oauth_issuer": null, "registration": null,
        "login_flows": [{ "type": "m.login.sso", "oauth_aware_preferred": true }],
    }));
    let server = ScriptedServer::start(Registration::new(&sso.unwrap(), alice()));
    let AuthError::Register(RegisterError::SsoNeeded { url, .. }) = server.error() else {
        panic!("{}", server.error())
    };
    assert_eq!(
        url,
        "https://matrix.example.org/_matrix/static/client/login/"
    );
    assert!(server.requests.is_empty());
}

#[test]
fn missing_username_check_is_skipped() {
    for (status, code) in [(404, "M_UNRECOGNIZED"), (403, "M_FORBIDDEN")] {
        let mut server = register(alice());
        server.respond(status, &refused(code));
        assert_eq!(
            server.requests.last().unwrap(),
            "POST /_matrix/client/v3/register"
        );
    }
}

#[test]
fn unreachable_server_is_reported() {
    let mut server = register(alice());
    server.outcome(Outcome::Failed(transport_error(
        TransportErrorKind::Connect,
    )));
    assert!(matches!(
        server.error(),
        AuthError::Server(ServerError::Unreachable { .. })
    ));
}

#[test]
fn account_replaces_registration_in_one_write() {
    let mut server = register_alice();
    let id = server.conversation.id().to_owned();
    server.respond(200, &success());
    let last = server.commits.last().unwrap().writes();
    let tables: Vec<_> = last
        .iter()
        .map(|c| (c.table.as_ref(), c.key.as_str(), c.value.is_some()))
        .collect();
    assert_eq!(
        tables,
        [
            (tables::ACCOUNTS, "@alice:example.org", true),
            (tables::REGISTRATIONS, id.as_str(), false)
        ]
    );
    let stored: Account = serde_json::from_slice(last[0].value.as_ref().unwrap()).unwrap();
    assert_eq!(&stored, server.ok());
}

#[test]
fn unsupported_stage_names_fallback_page() {
    let mut offer = uia_response(&json!([{ "stages": ["m.login.recaptcha"] }]));
    offer["session"] = json!("a b&c");
    let mut server = register_alice();
    server.respond(401, &offer).answer(Answer::Unavailable);
    let AuthError::Uia(UiaError::StagesNotSupported(missing)) = server.error() else {
        panic!("{}", server.error())
    };
    let page = "https://matrix.example.org/_matrix/client/v3/auth/m.login.recaptcha/fallback/web";
    assert_eq!(missing.url, format!("{page}?session=a+b%26c"));
}

#[test]
fn generated_passwords_differ_by_seed() {
    let stored = |seed| {
        let mut registration = Registration::new(&server_info(), RegistrationOptions::default());
        let mut entropy = SeededEntropy::new(seed);
        let mut cx = StepContext::new(Timestamp::from_millis(0), &mut entropy);
        let step = registration.step(&mut cx, Input::Start);
        let json: Value =
            serde_json::from_slice(step.writes.writes()[0].value.as_ref().unwrap()).unwrap();
        json["options"]["password"].clone()
    };
    assert_eq!(stored(1), stored(1));
    assert_ne!(stored(1), stored(2));
}

/// A username is taken as people type it; a user of another server is not made here.
#[test]
fn typed_user_id_names_the_user() {
    let request = |typed: &str, known: Option<&str>| {
        let mut info = server_info();
        info.server_name = known.map(str::to_owned);
        let options = RegistrationOptions {
            username: Some(typed.to_owned()),
            ..alice()
        };
        ScriptedServer::start(Registration::new(&info, options).name_check(false))
    };
    for (typed, known) in [
        ("alice", Some("example.org")),
        (" alice\n", None),
        ("@alice", Some("example.org")),
        ("@alice:example.org", None),
        ("@alice:Example.org", Some("example.org")),
        ("@alice:münchen.test", Some("xn--mnchen-3ya.test")),
    ] {
        let server = request(typed, known);
        assert_eq!(server.body()["username"], "alice", "{typed:?}");
    }
    for (typed, known) in [
        ("@alice:example.com", "example.org"),
        ("@alice:example.org:8448", "example.org"),
        ("@alice:", "example.org"),
    ] {
        let server = request(typed, Some(known));
        assert!(server.requests.is_empty(), "{typed:?}");
        assert!(
            matches!(
                server.error(),
                AuthError::Register(RegisterError::NameInvalid { .. })
            ),
            "{typed:?}: {}",
            server.error()
        );
    }
}
