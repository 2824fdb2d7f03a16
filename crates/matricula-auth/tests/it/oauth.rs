//! Signing in and up on a page of an OAuth 2.0 server.

use matricula_api::oauth::{ClientMetadata, GrantType};
use matricula_auth::{
    Answer, AuthError, BrowserError, Input, OAuthClient, OAuthLogin, OAuthLoginError, OAuthRefusal,
    Progress, Prompt, ServerError, ServerInfo, tables,
};
use matricula_core::{EffectId, Job, TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::{
    registration::facts,
    talk::{Talk, transport_error},
};

pub(crate) const BACK: &str = "http://127.0.0.1:4321/back";

pub(crate) fn about() -> ClientMetadata {
    ClientMetadata::new("https://app.example/").client_name("App")
}

pub(crate) fn metadata() -> Value {
    json!({
        "issuer": "https://account.example.org/",
        "authorization_endpoint": "https://account.example.org/authorize",
        "token_endpoint": "https://account.example.org/token",
        "revocation_endpoint": "https://account.example.org/revoke",
        "registration_endpoint": "https://account.example.org/clients",
        "device_authorization_endpoint": "https://account.example.org/device",
        "account_management_uri": "https://account.example.org/account",
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "response_modes_supported": ["query", "fragment"],
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["create"],
    })
}

pub(crate) fn tokens() -> Value {
    json!({ "access_token": "acc", "refresh_token": "ref", "token_type": "bearer", "expires_in": 300 })
}

pub(crate) fn owner() -> Value {
    json!({ "user_id": "@alice:example.org", "device_id": "FROMSERVER" })
}

pub(crate) fn refusal(code: &str) -> Value {
    json!({ "error": code, "error_description": "the issuer's words" })
}

/// A field of a form or a query, as it is written.
fn field(text: &str, name: &str) -> Option<String> {
    let mut pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value.to_owned())
}

/// A field of the form that a job sends.
pub(crate) fn form(job: &Job, name: &str) -> Option<String> {
    field(
        std::str::from_utf8(job.request_body().as_bytes()).unwrap(),
        name,
    )
}

/// The page that the person is to open.
pub(crate) fn page(talk: &Talk<OAuthLogin>) -> String {
    match talk.question() {
        Prompt::OpenPage { url, .. } => url.expose().to_owned(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn on_page(talk: &Talk<OAuthLogin>, name: &str) -> Option<String> {
    let page = page(talk);
    field(page.split_once('?').unwrap().1, name)
}

/// The browser comes back with this, and the page's state.
pub(crate) fn come_back(talk: &mut Talk<OAuthLogin>, answer: &str) {
    let state = on_page(talk, "state").unwrap();
    talk.reply(Answer::Text(
        format!("{BACK}?state={state}&{answer}").into(),
    ));
}

pub(crate) fn login() -> OAuthLogin {
    OAuthLogin::browser(&facts(), about(), BACK)
}

/// Up to the question to open the page.
pub(crate) fn asked(login: OAuthLogin) -> Talk<OAuthLogin> {
    let mut talk = Talk::start(login);
    talk.answer(200, &metadata())
        .answer(201, &json!({ "client_id": "c1" }));
    talk
}

/// Up to the request for tokens.
pub(crate) fn redeeming() -> Talk<OAuthLogin> {
    let mut talk = asked(login());
    come_back(&mut talk, "code=xyz");
    talk
}

fn known_client() -> OAuthClient {
    let talk = asked(login());
    let changes = talk.commits.iter().flat_map(|commit| commit.writes());
    let mut clients = changes.filter(|change| change.table == tables::OAUTH_CLIENTS);
    let stored = clients.next_back().unwrap();
    assert_eq!(stored.key, "https://account.example.org/");
    OAuthClient::from_stored(stored.value.as_deref().unwrap()).unwrap()
}

/// The last thing that was stored of the sign-in itself.
pub(crate) fn is_kept(talk: &Talk<OAuthLogin>) -> bool {
    let changes = talk.commits.iter().flat_map(|commit| commit.writes());
    let mut changes = changes.filter(|change| change.table == tables::OAUTH_LOGINS);
    changes.next_back().unwrap().value.is_some()
}

#[test]
fn it_introduces_itself_opens_a_page_redeems_the_code_and_asks_who_it_is() {
    let mut talk = Talk::start(login());
    talk.answer(200, &metadata());
    assert_eq!(
        talk.body(),
        json!({
            "client_uri": "https://app.example/", "client_name": "App",
            "redirect_uris": ["http://127.0.0.1/back"], "response_types": ["code"],
            "grant_types": ["authorization_code", "refresh_token",
                "urn:ietf:params:oauth:grant-type:device_code"],
            "token_endpoint_auth_method": "none", "application_type": "native",
        })
    );
    talk.answer(201, &json!({ "client_id": "c1" }));
    let challenge = on_page(&talk, "code_challenge").unwrap();
    assert_eq!((challenge.len(), on_page(&talk, "prompt")), (43, None));
    assert_eq!(on_page(&talk, "client_id").as_deref(), Some("c1"));
    come_back(&mut talk, "code=xyz");
    assert_eq!(form(talk.job(), "code").as_deref(), Some("xyz"));
    assert_eq!(
        form(talk.job(), "redirect_uri").as_deref(),
        Some("http%3A%2F%2F127.0.0.1%3A4321%2Fback"),
        "the same address as on the page, with its port"
    );
    assert_eq!(form(talk.job(), "code_verifier").unwrap().len(), 43);
    talk.answer(200, &tokens()).answer(200, &owner());
    assert_eq!(
        talk.requests,
        [
            "GET /_matrix/client/v1/auth_metadata",
            "POST /clients",
            "POST /token",
            "GET /_matrix/client/v3/account/whoami"
        ]
    );
    let account = talk.ok();
    assert_eq!(account.user_id.as_str(), "@alice:example.org");
    assert_eq!(account.device_id.as_deref(), Some("FROMSERVER"));
    assert_eq!(account.refresh_token, Some("ref".into()));
    assert_eq!(account.expires_at.unwrap().as_millis(), talk.now + 300_000);
    let oauth = account.oauth.as_ref().unwrap();
    assert_eq!(oauth.client_id, "c1");
    assert_eq!(
        oauth.revocation_endpoint,
        "https://account.example.org/revoke"
    );
    assert!(!is_kept(&talk));
}

#[test]
fn signing_up_asks_for_the_page_that_begins_with_it() {
    let talk = asked(OAuthLogin::sign_up(&facts(), about(), BACK));
    assert_eq!(on_page(&talk, "prompt").as_deref(), Some("create"));
}

#[test]
fn where_the_page_cannot_begin_with_signing_up_the_person_is_told() {
    let mut without = metadata();
    without["prompt_values_supported"] = Value::Null;
    let mut talk = Talk::start(OAuthLogin::sign_up(&facts(), about(), BACK));
    talk.answer(200, &without)
        .answer(201, &json!({ "client_id": "c1" }));
    assert_eq!(on_page(&talk, "prompt"), None);
    let [Progress::Route { why, .. }] = &talk.notices[..] else {
        panic!("{:?}", talk.notices)
    };
    assert!(why.contains("choose so there"), "{why}");
}

#[test]
fn the_client_is_kept_before_the_page_is_opened_and_used_again_on_another_port() {
    let client = known_client();
    assert_eq!(client.client_id, "c1");
    let other_port = OAuthLogin::browser(&facts(), about(), "http://127.0.0.1:99/back");
    let mut talk = Talk::start(other_port.client(client.clone()));
    talk.answer(200, &metadata());
    assert_eq!(on_page(&talk, "client_id").as_deref(), Some("c1"));
    // What was said of it must still be true.
    for other in [
        OAuthLogin::browser(&facts(), about(), "http://127.0.0.1:99/elsewhere"),
        OAuthLogin::browser(&facts(), ClientMetadata::new("https://new.example/"), BACK),
    ] {
        let mut talk = Talk::start(other.client(client.clone()));
        talk.answer(200, &metadata());
        assert_eq!(talk.requests.last().unwrap(), "POST /clients");
    }
    // One that was let in by codes alone cannot come back from a page.
    let mut by_codes = client.clone();
    by_codes.metadata.grant_types = Some(vec![GrantType::DeviceCode, GrantType::RefreshToken]);
    let mut talk = Talk::start(login().client(by_codes));
    talk.answer(200, &metadata());
    assert_eq!(talk.requests.last().unwrap(), "POST /clients");
    let mut elsewhere = metadata();
    elsewhere["issuer"] = json!("https://other.example.org/");
    let mut talk = Talk::start(login().client(client));
    talk.answer(200, &elsewhere);
    assert_eq!(talk.requests.last().unwrap(), "POST /clients");
}

#[test]
fn a_client_that_the_server_forgot_is_introduced_anew_once() {
    let mut talk = Talk::start(login().client(known_client()));
    talk.answer(200, &metadata());
    let first = page(&talk);
    come_back(&mut talk, "code=xyz");
    talk.answer(401, &refusal("invalid_client"));
    assert_eq!(talk.requests.last().unwrap(), "POST /clients");
    let forgotten = talk.commits.last().unwrap().writes();
    assert!(
        forgotten
            .iter()
            .any(|change| change.table == tables::OAUTH_CLIENTS && change.value.is_none())
    );
    talk.answer(201, &json!({ "client_id": "c2" }));
    assert_eq!(on_page(&talk, "client_id").as_deref(), Some("c2"));
    assert_ne!(
        page(&talk),
        first,
        "what proved who asked is not used twice"
    );
    come_back(&mut talk, "code=abc");
    talk.answer(401, &refusal("invalid_client"));
    assert!(matches!(
        talk.error(),
        AuthError::OAuthRefused(OAuthRefusal { .. })
    ));
}

#[test]
fn a_forgotten_client_that_the_browser_brings_back_is_introduced_anew() {
    let mut talk = Talk::start(login().client(known_client()));
    talk.answer(200, &metadata());
    come_back(&mut talk, "error=unauthorized_client");
    assert_eq!(talk.requests.last().unwrap(), "POST /clients");
}

#[test]
fn an_answer_with_a_wrong_state_redeems_nothing_and_is_asked_for_again() {
    let mut talk = asked(login());
    let first = page(&talk);
    for at in 0..5 {
        talk.reply(Answer::Text(format!("{BACK}?state=other&code=evil").into()));
        let Prompt::OpenPage { why, .. } = talk.question() else {
            panic!("{at}")
        };
        assert!(why.is_some(), "{at}");
        assert_eq!(page(&talk), first, "{at}: the same page");
    }
    talk.reply(Answer::Text(format!("{BACK}?state=other&code=evil").into()));
    assert!(
        matches!(
            talk.error(),
            AuthError::Browser(BrowserError::WrongCallback { .. })
        ),
        "{}",
        talk.error()
    );
    assert_eq!(talk.requests.len(), 2, "no code was redeemed");
}

#[test]
fn a_page_that_came_back_without_a_state_or_code_can_be_mended() {
    let mut talk = asked(login());
    talk.reply(Answer::Text("nonsense".into()))
        .reply(Answer::Yes);
    come_back(&mut talk, "neither=1");
    come_back(&mut talk, "code=xyz");
    assert_eq!(form(talk.job(), "code").as_deref(), Some("xyz"));
}

#[test]
fn a_verifier_that_the_server_refuses_ends_it() {
    let mut talk = redeeming();
    talk.answer(400, &refusal("invalid_grant"));
    let AuthError::OAuthRefused(OAuthRefusal { refusal, .. }) = talk.error() else {
        panic!("{}", talk.error())
    };
    assert_eq!(refusal.code.as_str(), "invalid_grant");
    assert!(!is_kept(&talk));
}

#[test]
fn answers_that_nobody_waits_for_any_more_are_passed_over() {
    let mut talk = asked(login());
    let state = on_page(&talk, "state").unwrap();
    let answer = |code: &str| Answer::Text(format!("{BACK}?state={state}&code={code}").into());
    // Two requests came before the page.
    let (page, again, grant) = (EffectId(3), EffectId(4), EffectId(5));
    talk.reply(Answer::Yes);
    talk.step(Input::Answer(page, answer("old")));
    talk.step(Input::Waited(again));
    talk.reply(answer("xyz"));
    talk.step(Input::Answer(again, answer("xyz")));
    let sent = form(talk.job(), "code");
    assert_eq!(sent.as_deref(), Some("xyz"));
    let lost = || Outcome::InDoubt(transport_error(TransportErrorKind::ConnectionLost));
    talk.answer(200, &tokens());
    talk.step(Input::Outcome(grant, lost()));
    talk.answer(200, &owner());
    talk.ok();
    talk.step(Input::Outcome(grant, lost()));
    let grants = talk.requests.iter().filter(|sent| *sent == "POST /token");
    assert_eq!(grants.count(), 1);
}

#[test]
fn refusals_on_the_page_end_it_in_the_servers_words() {
    for code in [
        "access_denied",
        "consent_required",
        "invalid_scope",
        "login_required",
    ] {
        let mut talk = asked(login());
        come_back(&mut talk, &format!("error={code}&error_description=words"));
        let error = talk.error().to_string();
        assert!(error.contains(code) && error.contains("words"), "{error}");
        assert!(!is_kept(&talk), "{code}");
        assert_eq!(talk.requests.len(), 2, "{code}");
    }
}

#[test]
fn a_refusal_with_a_wrong_state_is_nobodys() {
    let mut talk = asked(login());
    talk.reply(Answer::Text(
        format!("{BACK}?state=other&error=access_denied").into(),
    ));
    assert!(talk.is_asking());
}

#[test]
fn trouble_of_the_server_on_the_page_keeps_the_sign_in() {
    for code in ["server_error", "temporarily_unavailable"] {
        let mut talk = asked(login());
        let first = page(&talk);
        come_back(&mut talk, &format!("error={code}"));
        assert!(is_kept(&talk), "{code}");
        let talk = Talk::start(crate::oauth_crash::reload(&talk));
        assert_ne!(page(&talk), first, "{code}: a new page");
    }
}

#[test]
fn calling_it_off_keeps_nothing_and_nobody_there_keeps_the_page() {
    let mut talk = asked(login());
    talk.reply(Answer::No);
    assert_eq!(talk.error(), &AuthError::Server(ServerError::Cancelled));
    assert!(!is_kept(&talk));
    let mut talk = asked(login());
    let first = page(&talk);
    talk.reply(Answer::Unavailable);
    let AuthError::Browser(BrowserError::BrowserNeeded { url, .. }) = talk.error() else {
        panic!("{}", talk.error())
    };
    assert_eq!(url.expose(), first);
    let mut talk = Talk::start(crate::oauth_crash::reload(&talk));
    assert_eq!(
        page(&talk),
        first,
        "the page that the person may have opened"
    );
    come_back(&mut talk, "code=xyz");
    assert_eq!(form(talk.job(), "code").as_deref(), Some("xyz"));
}

#[test]
fn an_address_that_no_browser_may_be_led_back_to_is_refused_before_anything_is_said() {
    for address in [
        "http://example.org/",
        "ftp:x",
        "",
        "http://127.0.0.1:1/#x",
        "http://127.0.0.1.evil/",
        "https://app.example/#x",
    ] {
        let mut talk = Talk::start(OAuthLogin::browser(&facts(), about(), address));
        talk.answer(200, &metadata());
        assert!(
            matches!(
                talk.error(),
                AuthError::OAuth(OAuthLoginError::RedirectAddress { .. })
            ),
            "{address}: {}",
            talk.error()
        );
        assert_eq!(talk.requests.len(), 1);
    }
    for (address, registered) in [
        ("http://localhost:8/", "http://localhost/"),
        ("http://[::1]:8/a?b=c", "http://[::1]/a?b=c"),
        ("http://127.0.0.1", "http://127.0.0.1"),
        ("http://[::1]/", "http://[::1]/"),
        ("https://app.example/back", "https://app.example/back"),
        ("org.example.app:/back", "org.example.app:/back"),
    ] {
        let mut talk = Talk::start(OAuthLogin::browser(&facts(), about(), address));
        talk.answer(200, &metadata());
        assert_eq!(talk.body()["redirect_uris"], json!([registered]));
    }
}

#[test]
fn a_server_that_cannot_be_used_safely_is_not_used() {
    let cases = [
        ("token_endpoint", json!("http://account.example.org/token")),
        (
            "registration_endpoint",
            json!("https://192.168.1.1/clients"),
        ),
        ("authorization_endpoint", json!("javascript:alert(1)")),
        (
            "authorization_endpoint",
            json!("http://127.0.0.1/authorize"),
        ),
        ("code_challenge_methods_supported", json!(["plain"])),
    ];
    for (name, value) in cases {
        let mut metadata = metadata();
        metadata[name] = value;
        let mut talk = Talk::start(login());
        talk.answer(200, &metadata);
        assert!(
            matches!(
                talk.error(),
                AuthError::Server(ServerError::NotMatrix { .. })
            ),
            "{name}: {}",
            talk.error()
        );
        assert_eq!(talk.requests.len(), 1, "{name}");
    }
    let mut talk = Talk::start(login());
    talk.answer(404, &json!({ "errcode": "M_UNRECOGNIZED" }));
    assert!(matches!(
        talk.error(),
        AuthError::OAuth(OAuthLoginError::NoOAuth { .. })
    ));
    // A server on this machine may name addresses on this machine.
    let here = ServerInfo::of("http://127.0.0.1:8008".parse().unwrap());
    let mut metadata = metadata();
    metadata["registration_endpoint"] = json!("http://127.0.0.1:1/clients");
    let mut talk = Talk::start(OAuthLogin::browser(&here, about(), BACK));
    talk.answer(200, &metadata);
    assert_eq!(talk.requests.len(), 2);
}

#[test]
fn refusals_of_the_introduction_end_it() {
    let mut talk = Talk::start(login());
    talk.answer(200, &metadata())
        .answer(400, &refusal("invalid_redirect_uri"));
    assert!(talk.error().to_string().contains("invalid_redirect_uri"));
    let mut talk = Talk::start(login());
    talk.answer(200, &metadata())
        .outcome(Outcome::Failed(transport_error(
            TransportErrorKind::Connect,
        )));
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::Unreachable { .. })
    ));
}

#[test]
fn tokens_of_another_type_are_not_used() {
    let mut talk = redeeming();
    let mut other = tokens();
    other["token_type"] = json!("mac");
    talk.answer(200, &other);
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::NotMatrix { .. })
    ));
}

#[test]
fn a_secret_that_the_server_gave_unasked_goes_with_the_grant_until_it_ends() {
    let mut talk = Talk::start(login());
    let named = json!({ "client_id": "c1", "client_secret": "shh", "client_secret_expires_at": 1_700_000_100 });
    talk.answer(200, &metadata()).answer(201, &named);
    let stored = talk.commits.last().unwrap().writes();
    let stored = stored
        .iter()
        .find(|change| change.table == tables::OAUTH_CLIENTS);
    let client = OAuthClient::from_stored(stored.unwrap().value.as_deref().unwrap()).unwrap();
    come_back(&mut talk, "code=xyz");
    assert_eq!(form(talk.job(), "client_secret").as_deref(), Some("shh"));
    let mut later = Talk::start(login().client(client));
    later.now = 1_700_000_100_000;
    later.answer(200, &metadata());
    assert_eq!(later.requests.last().unwrap(), "POST /clients");
}
