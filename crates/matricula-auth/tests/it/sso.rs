//! Signing in and up by single sign-on.

use matricula_auth::{
    Answer, AuthError, BrowserError, DeviceOptions, Progress, Prompt, RegistrationOptions,
    ServerError, ServerInfo, SignUp, SsoLogin, tables,
};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::{
    registration::alice,
    talk::{Talk, transport_error},
};

const BACK: &str = "http://127.0.0.1:4321/";

fn facts(flows: &Value) -> ServerInfo {
    serde_json::from_value(json!({
        "server": "https://matrix.example.org", "versions": ["v1.18"], "oauth_issuer": null,
        "registration": null, "login_flows": flows,
    }))
    .unwrap()
}

fn sso() -> ServerInfo {
    facts(&json!([{ "type": "m.login.sso", "oauth_aware_preferred": false }]))
}

fn page<C: matricula_auth::Conversation<Error: Into<AuthError>>>(
    talk: &Talk<C>,
) -> (String, String) {
    match talk.question() {
        Prompt::OpenPage { url, state, .. } => (url.expose().into(), state.expose().into()),
        other => panic!("{other:?}"),
    }
}

fn come_back<C: matricula_auth::Conversation<Error: Into<AuthError>>>(
    talk: &mut Talk<C>,
    answer: &str,
) {
    let (_, state) = page(talk);
    talk.reply(Answer::Text(
        format!("{BACK}?state={state}&{answer}").into(),
    ));
}

fn signed_in() -> Value {
    json!({ "user_id": "@alice:example.org", "access_token": "syt", "device_id": "D" })
}

fn is_kept<C: matricula_auth::Conversation<Error: Into<AuthError>>>(talk: &Talk<C>) -> bool {
    let changes = talk.commits.iter().flat_map(|commit| commit.writes());
    let mut changes = changes.filter(|change| change.table == tables::SSO_LOGINS);
    changes.next_back().unwrap().value.is_some()
}

#[test]
fn the_page_leads_back_with_a_token_that_signs_in_on_a_device_of_ours() {
    let login = SsoLogin::new(&sso(), BACK).device(DeviceOptions::new().device_name("Laptop"));
    let mut talk = Talk::start(login);
    let (url, state) = page(&talk);
    let start = "https://matrix.example.org/_matrix/client/v3/login/sso/redirect?redirectUrl=";
    let back = format!("http%3A%2F%2F127.0.0.1%3A4321%2F%3Fstate%3D{state}");
    assert_eq!(url, format!("{start}{back}&action=login"));
    // 258 bits that nobody can guess.
    assert_eq!(state.len(), 43);
    come_back(&mut talk, "loginToken=one-time");
    let body = talk.body();
    assert_eq!(body["type"], "m.login.token");
    assert_eq!(body["token"], "one-time");
    assert_eq!(body["initial_device_display_name"], "Laptop");
    assert!(body["device_id"].is_string());
    // Durable before it is sent.
    let kept = talk.commits.last().unwrap().writes()[0].value.clone();
    let kept = String::from_utf8(kept.unwrap()).unwrap();
    assert!(kept.contains("one-time") && kept.contains(body["device_id"].as_str().unwrap()));
    talk.answer(200, &signed_in());
    assert_eq!(talk.ok().user_id.as_str(), "@alice:example.org");
    assert!(!is_kept(&talk));
    assert_eq!(talk.requests, ["POST /_matrix/client/v3/login"]);
}

#[test]
fn signing_up_says_so_to_the_page_and_asks_nothing_of_register() {
    for flows in [
        json!([{ "type": "m.login.sso", "oauth_aware_preferred": false }]),
        json!([
            { "type": "m.login.password", "oauth_aware_preferred": false },
            { "type": "m.login.sso", "oauth_aware_preferred": true },
        ]),
    ] {
        let sign_up = SignUp::new(&facts(&flows), alice());
        let about = matricula_api::oauth::ClientMetadata::new("https://app.example/");
        let mut talk = Talk::start(sign_up.browser(about, BACK));
        assert!(page(&talk).0.ends_with("&action=register"));
        assert!(
            matches!(&talk.notices[..], [Progress::Route { why, .. }] if why.contains("single sign-on"))
        );
        come_back(&mut talk, "loginToken=t");
        talk.answer(200, &signed_in());
        talk.ok();
        assert_eq!(talk.requests, ["POST /_matrix/client/v3/login"]);
    }
}

#[test]
fn a_server_that_is_closed_to_strangers_lets_them_in_by_single_sign_on() {
    let flows = json!([
        { "type": "m.login.password", "oauth_aware_preferred": false },
        { "type": "m.login.sso", "oauth_aware_preferred": false },
    ]);
    let about = matricula_api::oauth::ClientMetadata::new("https://app.example/");
    let sign_up = SignUp::new(&facts(&flows), RegistrationOptions::default()).browser(about, BACK);
    let mut talk = Talk::start(sign_up);
    talk.answer(403, &json!({ "errcode": "M_FORBIDDEN", "error": "closed" }));
    assert!(page(&talk).0.contains("/login/sso/redirect?"));
    come_back(&mut talk, "loginToken=t");
    talk.answer(200, &signed_in());
    talk.ok();
}

#[test]
fn of_several_providers_the_person_chooses_or_leaves_it_to_the_page() {
    let flows = json!([{
        "type": "m.login.sso", "oauth_aware_preferred": false,
        "identity_providers": [{ "id": "oidc-a/b", "name": "A" }, { "id": "b", "name": "B" }],
    }]);
    let path = |reply: Answer| {
        let mut talk = Talk::start(SsoLogin::new(&facts(&flows), BACK));
        let Prompt::IdentityProvider { providers } = talk.question() else {
            panic!("{:?}", talk.question());
        };
        assert_eq!(providers[0].name, "A");
        talk.reply(reply);
        let url = page(&talk).0;
        url.split('?').next().unwrap().to_owned()
    };
    let base = "https://matrix.example.org/_matrix/client/v3/login/sso/redirect";
    assert_eq!(
        path(Answer::Text("oidc-a/b".into())),
        format!("{base}/oidc-a%2Fb")
    );
    assert_eq!(path(Answer::Unavailable), base);
    assert_eq!(path(Answer::Text("../evil".into())), base);
}

#[test]
fn an_answer_that_is_not_the_pages_is_asked_for_again_and_not_without_end() {
    let mut talk = Talk::start(SsoLogin::new(&sso(), BACK));
    for forged in [
        "loginToken=x",
        "state=forged&loginToken=x",
        "",
        "state=forged",
    ] {
        let (url, _) = page(&talk);
        talk.reply(Answer::Text(format!("{BACK}?{forged}").into()));
        // The page that was opened stays good.
        assert_eq!(page(&talk).0, url);
    }
    assert!(talk.requests.is_empty());
    talk.reply(Answer::Yes).reply(Answer::Yes);
    assert!(matches!(
        talk.error(),
        AuthError::Browser(BrowserError::WrongCallback { .. })
    ));
    assert!(!is_kept(&talk));
}

#[test]
fn a_lost_answer_is_asked_for_again_and_a_token_that_was_used_up_begins_anew() {
    let mut talk = Talk::start(SsoLogin::new(&sso(), BACK));
    come_back(&mut talk, "loginToken=t");
    let first = talk.body();
    talk.lose();
    assert_eq!(talk.body(), first);
    talk.answer(403, &json!({ "errcode": "M_FORBIDDEN", "error": "used" }));
    assert!(talk.result.is_none());
    come_back(&mut talk, "loginToken=t2");
    assert_eq!(talk.body()["device_id"], first["device_id"]);
    talk.answer(200, &signed_in());
    talk.ok();
}

#[test]
fn it_goes_on_after_a_crash_at_any_point() {
    let read = |talk: &Talk<SsoLogin>| {
        let changes = talk.commits.iter().flat_map(|commit| commit.writes());
        let kept = changes
            .filter_map(|change| change.value.clone())
            .next_back();
        SsoLogin::from_stored(&kept.unwrap()).unwrap()
    };
    let talk = Talk::start(SsoLogin::new(&sso(), BACK));
    let (_, state) = page(&talk);
    let again = read(&talk).replace_redirect_uri("http://127.0.0.1:9/");
    let mut talk = Talk::start(again);
    let (url, same) = page(&talk);
    assert_eq!(same, state);
    assert!(url.contains("127.0.0.1%3A9%2F"), "{url}");
    come_back(&mut talk, "loginToken=t");
    let mut talk = Talk::start(read(&talk));
    assert_eq!(talk.body()["token"], "t");
    talk.answer(403, &json!({ "errcode": "M_FORBIDDEN", "error": "used" }));
    assert!(page(&talk).0.contains("/login/sso/redirect"));
}

#[test]
fn what_may_pass_is_kept_and_what_is_final_is_not() {
    let sent = || {
        let mut talk = Talk::start(SsoLogin::new(&sso(), BACK));
        come_back(&mut talk, "loginToken=t");
        talk
    };
    let mut talk = sent();
    talk.outcome(Outcome::Failed(transport_error(
        TransportErrorKind::Connect,
    )));
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::Unreachable { .. })
    ));
    assert!(is_kept(&talk));
    let mut talk = sent();
    talk.answer(502, &json!({})).answer(502, &json!({}));
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::NotMatrix { .. })
    ));
    assert!(is_kept(&talk));
    let mut talk = sent();
    talk.answer(
        429,
        &json!({ "errcode": "M_LIMIT_EXCEEDED", "error": "slow" }),
    );
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::RateLimited { .. })
    ));
    assert!(is_kept(&talk));
    let mut talk = sent();
    talk.answer(403, &json!({ "errcode": "M_FORBIDDEN", "error": "no" }));
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::Refused { .. })
    ));
    assert!(!is_kept(&talk));
    let mut talk = Talk::start(SsoLogin::new(&sso(), BACK));
    talk.reply(Answer::Unavailable);
    assert!(matches!(
        talk.error(),
        AuthError::Browser(BrowserError::BrowserNeeded { .. })
    ));
    assert!(is_kept(&talk));
}
