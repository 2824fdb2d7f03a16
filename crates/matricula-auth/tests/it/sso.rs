//! Login and sign-up by single sign-on.

use matricula_auth::{
    Answer, AuthError, BrowserError, DeviceOptions, Progress, Prompt, RegistrationOptions,
    ServerError, ServerInfo, SignUp, SsoLogin, tables,
};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::{
    helpers::alice,
    scripted_server::{ScriptedServer, transport_error},
};

const BACK: &str = "http://127.0.0.1:4321/";

fn server_info(flows: &Value) -> ServerInfo {
    serde_json::from_value(json!({
        "server": "https://matrix.example.org", "versions": ["v1.18"], "oauth_issuer": null,
        "registration": null, "login_flows": flows,
    }))
    .unwrap()
}

fn sso() -> ServerInfo {
    server_info(&json!([{ "type": "m.login.sso", "oauth_aware_preferred": false }]))
}

fn page<C: matricula_auth::Conversation<Error: Into<AuthError>>>(
    server: &ScriptedServer<C>,
) -> (String, String) {
    match server.question() {
        Prompt::OpenPage { url, state, .. } => (url.expose().into(), state.expose().into()),
        other => panic!("{other:?}"),
    }
}

fn come_back<C: matricula_auth::Conversation<Error: Into<AuthError>>>(
    server: &mut ScriptedServer<C>,
    answer: &str,
) {
    let (_, state) = page(server);
    server.answer(Answer::Text(
        format!("{BACK}?state={state}&{answer}").into(),
    ));
}

fn signed_in() -> Value {
    json!({ "user_id": "@alice:example.org", "access_token": "syt", "device_id": "D" })
}

fn is_kept<C: matricula_auth::Conversation<Error: Into<AuthError>>>(
    server: &ScriptedServer<C>,
) -> bool {
    let changes = server.commits.iter().flat_map(|commit| commit.writes());
    let mut changes = changes.filter(|change| change.table == tables::SSO_LOGINS);
    changes.next_back().unwrap().value.is_some()
}

#[test]
fn callback_token_logs_in() {
    let login = SsoLogin::new(&sso(), BACK).device(DeviceOptions::new().device_name("Laptop"));
    let mut server = ScriptedServer::start(login);
    let (url, state) = page(&server);
    let start = "https://matrix.example.org/_matrix/client/v3/login/sso/redirect?redirectUrl=";
    let back = format!("http%3A%2F%2F127.0.0.1%3A4321%2F%3Fstate%3D{state}");
    assert_eq!(url, format!("{start}{back}&action=login"));
    // 258 random bits.
    assert_eq!(state.len(), 43);
    come_back(&mut server, "loginToken=one-time");
    let body = server.body();
    assert_eq!(body["type"], "m.login.token");
    assert_eq!(body["token"], "one-time");
    assert_eq!(body["initial_device_display_name"], "Laptop");
    assert!(body["device_id"].is_string());
    // Durable before it is sent.
    let stored = server.commits.last().unwrap().writes()[0].value.clone();
    let stored = String::from_utf8(stored.unwrap()).unwrap();
    assert!(stored.contains("one-time") && stored.contains(body["device_id"].as_str().unwrap()));
    server.respond(200, &signed_in());
    assert_eq!(server.ok().user_id.as_str(), "@alice:example.org");
    assert!(!is_kept(&server));
    assert_eq!(server.requests, ["POST /_matrix/client/v3/login"]);
}

#[test]
fn sign_up_uses_action_register() {
    for flows in [
        json!([{ "type": "m.login.sso", "oauth_aware_preferred": false }]),
        json!([
            { "type": "m.login.password", "oauth_aware_preferred": false },
            { "type": "m.login.sso", "oauth_aware_preferred": true },
        ]),
    ] {
        let sign_up = SignUp::new(&server_info(&flows), alice());
        let about = matricula_api::oauth::ClientMetadata::new("https://app.example/");
        let mut server = ScriptedServer::start(sign_up.browser(about, BACK));
        assert!(page(&server).0.ends_with("&action=register"));
        assert!(
            matches!(&server.progress[..], [Progress::Route { why, .. }] if why.contains("single sign-on"))
        );
        come_back(&mut server, "loginToken=t");
        server.respond(200, &signed_in());
        server.ok();
        assert_eq!(server.requests, ["POST /_matrix/client/v3/login"]);
    }
}

#[test]
fn closed_registration_falls_back_to_sso() {
    let flows = json!([
        { "type": "m.login.password", "oauth_aware_preferred": false },
        { "type": "m.login.sso", "oauth_aware_preferred": false },
    ]);
    let about = matricula_api::oauth::ClientMetadata::new("https://app.example/");
    let sign_up =
        SignUp::new(&server_info(&flows), RegistrationOptions::default()).browser(about, BACK);
    let mut server = ScriptedServer::start(sign_up);
    server.respond(403, &json!({ "errcode": "M_FORBIDDEN", "error": "closed" }));
    assert!(page(&server).0.contains("/login/sso/redirect?"));
    come_back(&mut server, "loginToken=t");
    server.respond(200, &signed_in());
    server.ok();
}

#[test]
fn person_chooses_a_provider() {
    let flows = json!([{
        "type": "m.login.sso", "oauth_aware_preferred": false,
        "identity_providers": [{ "id": "oidc-a/b", "name": "A" }, { "id": "b", "name": "B" }],
    }]);
    let path = |answer: Answer| {
        let mut server = ScriptedServer::start(SsoLogin::new(&server_info(&flows), BACK));
        let Prompt::IdentityProvider { providers } = server.question() else {
            panic!("{:?}", server.question());
        };
        assert_eq!(providers[0].name, "A");
        server.answer(answer);
        let url = page(&server).0;
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
fn wrong_callback_is_limited() {
    let mut server = ScriptedServer::start(SsoLogin::new(&sso(), BACK));
    for forged in [
        "loginToken=x",
        "state=forged&loginToken=x",
        "",
        "state=forged",
    ] {
        let (url, _) = page(&server);
        server.answer(Answer::Text(format!("{BACK}?{forged}").into()));
        // The page that was opened stays good.
        assert_eq!(page(&server).0, url);
    }
    assert!(server.requests.is_empty());
    server.answer(Answer::Yes).answer(Answer::Yes);
    assert!(matches!(
        server.error(),
        AuthError::Browser(BrowserError::WrongCallback { .. })
    ));
    assert!(!is_kept(&server));
}

#[test]
fn lost_response_reopens_the_page() {
    let mut server = ScriptedServer::start(SsoLogin::new(&sso(), BACK));
    come_back(&mut server, "loginToken=t");
    let first = server.body();
    server.lose();
    assert_eq!(server.body(), first);
    server.respond(403, &json!({ "errcode": "M_FORBIDDEN", "error": "used" }));
    assert!(server.result.is_none());
    come_back(&mut server, "loginToken=t2");
    assert_eq!(server.body()["device_id"], first["device_id"]);
    server.respond(200, &signed_in());
    server.ok();
}

#[test]
fn login_resumes_after_any_crash() {
    let read = |server: &ScriptedServer<SsoLogin>| {
        let changes = server.commits.iter().flat_map(|commit| commit.writes());
        let stored = changes
            .filter_map(|change| change.value.clone())
            .next_back();
        SsoLogin::from_stored(&stored.unwrap()).unwrap()
    };
    let server = ScriptedServer::start(SsoLogin::new(&sso(), BACK));
    let (_, state) = page(&server);
    let again = read(&server).replace_redirect_uri("http://127.0.0.1:9/");
    let mut server = ScriptedServer::start(again);
    let (url, same) = page(&server);
    assert_eq!(same, state);
    assert!(url.contains("127.0.0.1%3A9%2F"), "{url}");
    come_back(&mut server, "loginToken=t");
    let mut server = ScriptedServer::start(read(&server));
    assert_eq!(server.body()["token"], "t");
    server.respond(403, &json!({ "errcode": "M_FORBIDDEN", "error": "used" }));
    assert!(page(&server).0.contains("/login/sso/redirect"));
}

#[test]
fn transient_errors_keep_the_login() {
    let sent = || {
        let mut server = ScriptedServer::start(SsoLogin::new(&sso(), BACK));
        come_back(&mut server, "loginToken=t");
        server
    };
    let mut server = sent();
    server.outcome(Outcome::Failed(transport_error(
        TransportErrorKind::Connect,
    )));
    assert!(matches!(
        server.error(),
        AuthError::Server(ServerError::Unreachable { .. })
    ));
    assert!(is_kept(&server));
    let mut server = sent();
    server.respond(502, &json!({})).respond(502, &json!({}));
    assert!(matches!(
        server.error(),
        AuthError::Server(ServerError::Unavailable { .. })
    ));
    assert!(is_kept(&server));
    let mut server = sent();
    server.respond(
        429,
        &json!({ "errcode": "M_LIMIT_EXCEEDED", "error": "slow" }),
    );
    assert!(matches!(
        server.error(),
        AuthError::Server(ServerError::RateLimited { .. })
    ));
    assert!(is_kept(&server));
    let mut server = sent();
    server.respond(403, &json!({ "errcode": "M_FORBIDDEN", "error": "no" }));
    assert!(matches!(
        server.error(),
        AuthError::Server(ServerError::Refused { .. })
    ));
    assert!(!is_kept(&server));
    let mut server = ScriptedServer::start(SsoLogin::new(&sso(), BACK));
    server.answer(Answer::Unavailable);
    assert!(matches!(
        server.error(),
        AuthError::Browser(BrowserError::BrowserNeeded { .. })
    ));
    assert!(is_kept(&server));
}
