//! Registering: the way chosen, what is sent, what is asked, and how each refusal reads.

use matricula_auth::{
    Account, AccountKind, Answer, AuthError, DeviceOptions, Input, Progress, Prompt, RegisterError,
    Registration, RegistrationOptions, ServerError, ServerInfo, UiaError, tables,
};
use matricula_core::{
    Machine, SeededEntropy, StepContext, Timestamp, TransportErrorKind, scheduler::Outcome,
};
use serde_json::{Value, json};

use crate::talk::{Talk, transport_error};

pub(crate) fn facts() -> ServerInfo {
    ServerInfo::of("https://matrix.example.org".parse().unwrap())
}

pub(crate) fn alice() -> RegistrationOptions {
    RegistrationOptions {
        username: Some("alice".into()),
        password: Some("wordpass".into()),
        ..RegistrationOptions::default()
    }
}

pub(crate) fn uia(flows: &Value) -> Value {
    json!({ "session": "s1", "flows": flows, "params": {} })
}

pub(crate) fn dummy() -> Value {
    uia(&json!([{ "stages": ["m.login.dummy"] }]))
}

pub(crate) fn success() -> Value {
    json!({ "user_id": "@alice:example.org", "access_token": "syt_a", "device_id": "DEV" })
}

pub(crate) fn register(wishes: RegistrationOptions) -> Talk<Registration> {
    Talk::start(Registration::new(&facts(), wishes))
}

/// Registers `alice` up to the first answer of `/register`.
fn named() -> Talk<Registration> {
    let mut talk = register(alice());
    talk.answer(200, &json!({ "available": true }));
    talk
}

pub(crate) fn refused(code: &str) -> Value {
    json!({ "errcode": code, "error": "the server's words" })
}

#[test]
fn the_name_is_checked_before_the_password_is_sent() {
    let mut talk = register(alice());
    assert_eq!(talk.requests, ["GET /_matrix/client/v3/register/available"]);
    assert_eq!(
        talk.job().request_query(),
        [("username".into(), "alice".to_owned())]
    );
    talk.answer(400, &refused("M_USER_IN_USE"))
        .reply(Answer::Unavailable);
    assert!(
        matches!(talk.error(), AuthError::Register(RegisterError::NameTaken { username, .. }) if username == "alice")
    );
    assert_eq!(talk.requests.len(), 1, "nothing else was sent");
}

#[test]
fn a_dummy_flow_takes_three_requests() {
    let mut talk = named();
    assert_eq!(talk.body()["auth"], Value::Null);
    assert_eq!(talk.body()["username"], "alice");
    talk.answer(401, &dummy());
    assert_eq!(
        talk.body()["auth"],
        json!({ "type": "m.login.dummy", "session": "s1" })
    );
    assert_eq!(
        talk.body()["password"],
        "wordpass",
        "every request repeats the whole body"
    );
    talk.answer(200, &success());
    let account = talk.ok();
    assert_eq!(account.user_id.as_str(), "@alice:example.org");
    assert_eq!(account.device_id.as_deref(), Some("DEV"));
    assert_eq!(account.access_token, Some("syt_a".into()));
    assert_eq!(
        account.password, None,
        "a password that the person chose is not kept"
    );
    assert_eq!(talk.requests.len(), 3);
}

#[test]
fn the_user_id_is_the_servers_not_the_wish() {
    let mut talk = named();
    talk.answer(
        200,
        &json!({ "user_id": "@other-1:elsewhere.org", "access_token": "t", "device_id": "D" }),
    );
    assert_eq!(talk.ok().user_id.as_str(), "@other-1:elsewhere.org");
}

#[test]
fn without_a_name_nothing_is_checked_and_the_server_picks() {
    let mut talk = register(RegistrationOptions {
        password: Some("p".into()),
        ..RegistrationOptions::default()
    });
    assert_eq!(talk.requests, ["POST /_matrix/client/v3/register"]);
    assert_eq!(talk.body().get("username"), None);
    talk.answer(401, &dummy()).answer(200, &success());
    talk.ok();
}

#[test]
fn without_a_password_a_strong_one_is_made_stored_before_it_is_sent_and_kept() {
    let mut talk = register(RegistrationOptions::default());
    let sent = talk.body()["password"].as_str().unwrap().to_owned();
    let stored = String::from_utf8(talk.commits[0].writes()[0].value.clone().unwrap()).unwrap();
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
    talk.answer(401, &dummy()).answer(200, &success());
    assert_eq!(talk.ok().password, Some(sent.into()));
}

#[test]
fn a_device_id_is_made_once_and_the_wished_one_is_sent_as_it_is() {
    let mut talk = named();
    let made = talk.body()["device_id"].clone();
    assert_eq!(made.as_str().unwrap().len(), 10);
    talk.answer(401, &dummy());
    assert_eq!(talk.body()["device_id"], made);

    let mut talk = register(RegistrationOptions {
        device: DeviceOptions::new().device_id("MINE"),
        ..alice()
    });
    talk.answer(200, &json!({}));
    assert_eq!(talk.body()["device_id"], "MINE");
}

#[test]
fn all_wishes_reach_the_server() {
    let mut talk = register(RegistrationOptions {
        device: DeviceOptions::new()
            .device_name("phone")
            .refresh_token(true),
        inhibit_login: true,
        ..alice()
    });
    talk.answer(200, &json!({}));
    let body = talk.body();
    assert_eq!(body["initial_device_display_name"], "phone");
    assert_eq!(body["inhibit_login"], true);
    assert_eq!(body["refresh_token"], true);
    assert_eq!(
        body.get("device_id"),
        None,
        "no device where nobody signs in"
    );
    talk.answer(200, &json!({ "user_id": "@alice:example.org" }));
    assert_eq!(talk.ok().access_token, None);
}

#[test]
fn a_guest_sends_only_a_device_name() {
    let mut talk = register(RegistrationOptions {
        kind: AccountKind::Guest,
        device: DeviceOptions::new().device_name("kiosk"),
        ..alice()
    });
    assert_eq!(
        talk.job().request_query(),
        [("kind".into(), "guest".to_owned())]
    );
    assert_eq!(
        talk.body(),
        json!({ "initial_device_display_name": "kiosk" })
    );
    talk.answer(
        200,
        &json!({ "user_id": "@1:e.org", "access_token": "t", "device_id": "guest_device" }),
    );
    assert!(talk.ok().is_guest);
    let mut talk = register(RegistrationOptions {
        kind: AccountKind::Guest,
        ..RegistrationOptions::default()
    });
    talk.answer(403, &refused("M_UNKNOWN"));
    assert!(matches!(
        talk.error(),
        AuthError::Register(RegisterError::GuestsNotAllowed { .. })
    ));
}

#[test]
fn tokens_expire_when_the_server_says() {
    let mut talk = named();
    let mut answer = success();
    answer["expires_in_ms"] = json!(5_000);
    answer["refresh_token"] = json!("syr_r");
    let expected = Timestamp::from_millis(talk.now + 5_000);
    talk.answer(200, &answer);
    assert_eq!(talk.ok().expires_at, Some(expected));
    assert_eq!(talk.ok().refresh_token, Some("syr_r".into()));
}

#[test]
fn of_several_ways_the_one_that_asks_least_is_chosen_and_explained() {
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
        let mut talk = register(RegistrationOptions {
            token: token.map(Into::into),
            accept_terms,
            ..alice()
        });
        talk.answer(200, &json!({})).answer(401, &uia(&offered));
        let [Progress::Route { stages, why }] = &talk.notices[..] else {
            panic!("{:?}", talk.notices)
        };
        assert_eq!(
            stages.iter().map(|s| s.as_str()).collect::<Vec<_>>(),
            expected
        );
        assert!(why.starts_with("of 4 ways that the server offers"), "{why}");
    }
    let with_token =
        json!([{ "stages": ["m.login.terms"] }, { "stages": ["m.login.registration_token"] }]);
    let mut talk = register(RegistrationOptions {
        token: Some("t".into()),
        ..alice()
    });
    talk.answer(200, &json!({})).answer(401, &uia(&with_token));
    assert_eq!(
        talk.body()["auth"]["type"],
        "m.login.registration_token",
        "a token at hand beats a question"
    );
}

#[test]
fn stages_are_done_in_the_order_of_the_flow_and_never_twice() {
    let flow =
        json!([{ "stages": ["m.login.registration_token", "m.login.terms", "m.login.dummy"] }]);
    let mut talk = register(RegistrationOptions {
        token: Some("letmein".into()),
        accept_terms: true,
        ..alice()
    });
    talk.answer(200, &json!({})).answer(401, &uia(&flow));
    let mut sent = Vec::new();
    for completed in [
        json!(["m.login.registration_token"]),
        json!(["m.login.registration_token", "m.login.terms"]),
    ] {
        sent.push(talk.body()["auth"].clone());
        let mut answer = uia(&flow);
        answer["completed"] = completed;
        talk.answer(401, &answer);
    }
    sent.push(talk.body()["auth"].clone());
    assert_eq!(
        sent,
        [
            json!({ "type": "m.login.registration_token", "token": "letmein", "session": "s1" }),
            json!({ "type": "m.login.terms", "session": "s1" }),
            json!({ "type": "m.login.dummy", "session": "s1" }),
        ]
    );
    talk.answer(200, &success());
    talk.ok();
}

#[test]
fn a_server_that_lists_nothing_as_completed_is_believed_to_have_accepted() {
    let flow = json!([{ "stages": ["m.login.registration_token", "m.login.dummy"] }]);
    let mut talk = register(RegistrationOptions {
        token: Some("t".into()),
        ..alice()
    });
    talk.answer(200, &json!({}))
        .answer(401, &uia(&flow))
        .answer(401, &uia(&flow));
    assert_eq!(talk.body()["auth"]["type"], "m.login.dummy");
}

#[test]
fn a_token_is_asked_for_and_a_wrong_one_again_with_the_servers_words() {
    let flow = json!([{ "stages": ["m.login.registration_token"] }]);
    let mut talk = named();
    talk.answer(401, &uia(&flow));
    assert_eq!(talk.question(), &Prompt::RegistrationToken { why: None });
    talk.reply(Answer::Text("wrong".into()));
    let mut failed = uia(&flow);
    failed["errcode"] = json!("M_UNAUTHORIZED");
    failed["error"] = json!("Invalid registration token");
    talk.answer(401, &failed);
    let why = Some("Invalid registration token".to_owned());
    assert_eq!(talk.question(), &Prompt::RegistrationToken { why });
    talk.reply(Answer::Text("right".into()));
    assert_eq!(talk.body()["auth"]["token"], "right");
    talk.answer(200, &success());
    talk.ok();
}

#[test]
fn a_wrong_token_without_anyone_to_ask_is_an_end() {
    let flow = json!([{ "stages": ["m.login.registration_token"] }]);
    let mut talk = register(RegistrationOptions {
        token: Some("wrong".into()),
        ..alice()
    });
    talk.answer(200, &json!({})).answer(401, &uia(&flow));
    let mut failed = uia(&flow);
    failed["errcode"] = json!("M_UNAUTHORIZED");
    talk.answer(401, &failed).reply(Answer::Unavailable);
    assert!(matches!(
        talk.error(),
        AuthError::Uia(UiaError::TokenWrong { .. })
    ));
}

#[test]
fn terms_are_shown_and_only_yes_is_yes() {
    let mut offer = uia(&json!([{ "stages": ["m.login.terms"] }]));
    offer["params"] = json!({ "m.login.terms": { "policies": { "privacy": {
        "version": "1.2",
        "fr": { "name": "Confidentialité", "url": "https://e.org/fr" },
        "en": { "name": "Privacy", "url": "https://e.org/en" },
    }}}});
    let mut talk = named();
    talk.answer(401, &offer);
    let Prompt::AcceptTerms { policies } = talk.question() else {
        panic!()
    };
    assert_eq!(
        (policies[0].name.as_str(), policies[0].url.as_str()),
        ("Privacy", "https://e.org/en")
    );
    talk.reply(Answer::No);
    let AuthError::Uia(UiaError::TermsNotAccepted { documents, .. }) = talk.error() else {
        panic!("{}", talk.error())
    };
    assert_eq!(documents, "Privacy (https://e.org/en)");

    let mut talk = named();
    talk.answer(401, &offer).reply(Answer::Yes);
    assert_eq!(talk.body()["auth"]["type"], "m.login.terms");
}

#[test]
fn another_name_can_be_tried_after_each_refusal_of_a_name() {
    for code in ["M_USER_IN_USE", "M_INVALID_USERNAME", "M_EXCLUSIVE"] {
        let mut talk = register(alice());
        talk.answer(400, &refused(code));
        assert!(matches!(talk.question(), Prompt::Username { why: Some(_) }));
        talk.reply(Answer::Text("bob".into()));
        assert_eq!(talk.job().request_query()[0].1, "bob");
        talk.answer(200, &json!({}))
            .answer(401, &dummy())
            .answer(200, &success());
        talk.ok();
    }
}

#[test]
fn a_name_lost_while_authenticating_begins_a_new_session() {
    let mut talk = named();
    talk.answer(401, &dummy())
        .answer(400, &refused("M_USER_IN_USE"));
    talk.reply(Answer::Text("bob".into()))
        .answer(200, &json!({}));
    assert_eq!(talk.body()["auth"], Value::Null);
    assert_eq!(talk.body()["username"], "bob");
}

#[test]
fn another_password_can_be_tried_and_goes_on_in_the_same_session() {
    let mut talk = named();
    talk.answer(400, &refused("M_PASSWORD_TOO_SHORT"));
    let Prompt::Password { why: Some(why) } = talk.question() else {
        panic!()
    };
    assert!(
        why.contains("M_PASSWORD_TOO_SHORT") && why.contains("the server's words"),
        "{why}"
    );
    talk.reply(Answer::Text("longer than before".into()));
    assert_eq!(talk.body()["password"], "longer than before");
}

/// What the server answers to the first registration, and how that reads.
fn refusal(status: u16, body: &Value) -> AuthError {
    let mut talk = named();
    talk.answer(status, body);
    if talk.result.is_none() {
        talk.reply(Answer::Unavailable);
    }
    talk.error().clone()
}

#[test]
fn every_documented_error_becomes_one_to_act_on() {
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
        refusal(401, &uia(&json!([]))),
        refusal(
            401,
            &uia(&json!([{ "stages": ["m.login.email.identity", "m.login.recaptcha"] }])),
        ),
        refusal(401, &uia(&json!([{ "stages": ["org.example.riddle"] }]))),
        refusal(
            401,
            &uia(&json!([{ "stages": ["m.login.registration_token"] }])),
        ),
        refusal(418, &json!("<html>")),
    ];
    let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_server_that_wants_oauth_or_sso_is_named_before_anything_is_sent() {
    let mut oauth = facts();
    oauth.oauth_issuer = Some("https://account.example.org/".into());
    let talk = Talk::start(Registration::new(&oauth, alice()));
    assert!(
        matches!(talk.error(), AuthError::Register(RegisterError::OAuthNeeded { issuer, .. }) if issuer == "https://account.example.org/")
    );
    assert!(talk.requests.is_empty());

    let sso = serde_json::from_value(json!({
        "server": "https://matrix.example.org", "versions": [], "oauth_issuer": null, "registration": null,
        "login_flows": [{ "type": "m.login.sso", "oauth_aware_preferred": true }],
    }));
    let talk = Talk::start(Registration::new(&sso.unwrap(), alice()));
    let AuthError::Register(RegisterError::SsoNeeded { url, .. }) = talk.error() else {
        panic!("{}", talk.error())
    };
    assert_eq!(
        url,
        "https://matrix.example.org/_matrix/static/client/login/"
    );
    assert!(talk.requests.is_empty());
}

#[test]
fn a_check_that_the_server_does_not_offer_is_left_out() {
    for (status, code) in [(404, "M_UNRECOGNIZED"), (403, "M_FORBIDDEN")] {
        let mut talk = register(alice());
        talk.answer(status, &refused(code));
        assert_eq!(
            talk.requests.last().unwrap(),
            "POST /_matrix/client/v3/register"
        );
    }
}

#[test]
fn an_unreachable_server_is_said_to_be_that() {
    let mut talk = register(alice());
    talk.outcome(Outcome::Failed(transport_error(
        TransportErrorKind::Connect,
    )));
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::Unreachable { .. })
    ));
}

#[test]
fn the_end_stores_the_account_and_drops_the_registration_in_one_commit() {
    let mut talk = named();
    let id = talk.conversation.id().to_owned();
    talk.answer(200, &success());
    let last = talk.commits.last().unwrap().writes();
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
    assert_eq!(&stored, talk.ok());
}

/// Stores a registration and reads it back, as another process would.
pub(crate) fn reload(talk: &Talk<Registration>) -> Registration {
    let last = talk.commits.last().unwrap().writes().last().unwrap();
    assert_eq!(last.table, tables::REGISTRATIONS);
    Registration::from_stored(last.value.as_ref().unwrap()).unwrap()
}

#[test]
fn a_registration_waits_in_the_store_for_a_token_and_goes_on_in_the_same_session() {
    let flow = json!([{ "stages": ["m.login.registration_token"] }]);
    let mut talk = named();
    talk.answer(401, &uia(&flow)).reply(Answer::Unavailable);
    assert!(matches!(
        talk.error(),
        AuthError::Uia(UiaError::TokenNeeded { .. })
    ));

    let answers = RegistrationOptions {
        token: Some("letmein".into()),
        ..RegistrationOptions::default()
    };
    let mut talk = Talk::start(reload(&talk).answers(answers));
    let expected =
        json!({ "type": "m.login.registration_token", "token": "letmein", "session": "s1" });
    assert_eq!(talk.body()["auth"], expected);
    assert_eq!(talk.body()["password"], "wordpass");
    talk.answer(200, &success());
    talk.ok();
}

#[test]
fn a_session_that_the_server_has_forgotten_meanwhile_is_begun_anew() {
    let flow = json!([{ "stages": ["m.login.registration_token"] }]);
    let mut talk = named();
    talk.answer(401, &uia(&flow)).reply(Answer::Unavailable);
    let answers = RegistrationOptions {
        token: Some("letmein".into()),
        ..RegistrationOptions::default()
    };
    let mut talk = Talk::start(reload(&talk).answers(answers));
    talk.answer(400, &refused("M_UNKNOWN"));
    assert_eq!(talk.body()["auth"], Value::Null);
    let mut second = uia(&flow);
    second["session"] = json!("s2");
    talk.answer(401, &second);
    assert_eq!(talk.body()["auth"]["session"], "s2");
}

#[test]
fn the_page_for_a_stage_that_cannot_be_done_is_named_with_its_session() {
    let mut offer = uia(&json!([{ "stages": ["m.login.recaptcha"] }]));
    offer["session"] = json!("a b&c");
    let mut talk = named();
    talk.answer(401, &offer).reply(Answer::Unavailable);
    let AuthError::Uia(UiaError::StagesNotSupported(missing)) = talk.error() else {
        panic!("{}", talk.error())
    };
    let page = "https://matrix.example.org/_matrix/client/v3/auth/m.login.recaptcha/fallback/web";
    assert_eq!(missing.url, format!("{page}?session=a+b%26c"));
}

#[test]
fn made_passwords_differ_from_seed_to_seed() {
    let stored = |seed| {
        let mut registration = Registration::new(&facts(), RegistrationOptions::default());
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
