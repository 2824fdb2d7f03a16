//! Rules of the specification for clients that no other module tests.

use matricula_api::client::refresh::RefreshResponse;
use matricula_auth::{
    AuthError, Login, Prompt, RegisterError, Registration, RegistrationOptions, ServerInfo,
};
use matricula_core::Timestamp;
use serde_json::json;

use crate::{
    helpers::{alice, server_info, success, uia_response},
    scripted_server::ScriptedServer,
};

#[test]
fn missing_session_is_not_sent() {
    let mut server = ScriptedServer::start(Registration::new(
        &server_info(),
        RegistrationOptions::default(),
    ));
    server.respond(401, &json!({ "flows": [{ "stages": ["m.login.dummy"] }] }));
    assert_eq!(server.body()["auth"], json!({ "type": "m.login.dummy" }));
}

#[test]
fn preferred_sso_forbids_registration() {
    let server_info: ServerInfo = serde_json::from_value(json!({
        "server": "https://matrix.example.org", "versions": ["v1.18"], "oauth_issuer": null,
        "registration": null,
        "login_flows": [
            { "type": "m.login.password", "oauth_aware_preferred": false },
            { "type": "m.login.sso", "oauth_aware_preferred": true },
        ],
    }))
    .unwrap();
    let server = ScriptedServer::start(Registration::new(&server_info, alice()));
    assert!(
        matches!(
            server.error(),
            AuthError::Register(RegisterError::SsoNeeded { .. })
        ),
        "{}",
        server.error()
    );
    assert!(server.requests.is_empty());
}

#[test]
fn all_policies_are_shown() {
    let mut offer = uia_response(&json!([{ "stages": ["m.login.terms"] }]));
    offer["params"] = json!({ "m.login.terms": { "policies": {
        "privacy": { "version": "1", "en_GB": { "name": "Privacy", "url": "https://e.org/p" } },
        "terms": { "version": "2", "fr": { "name": "Conditions", "url": "https://e.org/t" } },
    }}});
    let mut server = ScriptedServer::start(Registration::new(
        &server_info(),
        RegistrationOptions::default(),
    ));
    server.respond(401, &offer);
    let Prompt::AcceptTerms { policies } = server.question() else {
        panic!("{:?}", server.question());
    };
    let shown: Vec<_> = policies
        .iter()
        .map(|policy| (policy.name.as_str(), policy.url.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            ("Privacy", "https://e.org/p"),
            ("Conditions", "https://e.org/t")
        ]
    );
}

#[test]
fn token_without_lifetime_never_expires() {
    let mut registering = ScriptedServer::start(Registration::new(
        &server_info(),
        RegistrationOptions::default(),
    ));
    registering.respond(200, &success());
    assert_eq!(registering.ok().expires_at, None);
    let mut signing_in =
        ScriptedServer::start(Login::new(&server_info(), "alice", "wordpass".into()));
    signing_in.respond(200, &success());
    assert_eq!(signing_in.ok().expires_at, None);
}

#[test]
fn refresh_replaces_token_and_expiry() {
    let mut server = ScriptedServer::start(Registration::new(
        &server_info(),
        RegistrationOptions::default(),
    ));
    let mut first = success();
    first["refresh_token"] = json!("syr_1");
    first["expires_in_ms"] = json!(1_000);
    server.respond(200, &first);
    let mut account = server.ok().clone();
    let now = Timestamp::from_millis(server.now);

    let answer = |body| serde_json::from_value::<RefreshResponse>(body).unwrap();
    account.renew(now, answer(json!({ "access_token": "syt_2" })));
    assert_eq!(account.access_token, Some("syt_2".into()));
    assert_eq!(account.refresh_token, Some("syr_1".into()), "kept");
    assert_eq!(account.expires_at, None);

    let both = json!({ "access_token": "syt_3", "refresh_token": "syr_3", "expires_in_ms": 500 });
    account.renew(now, answer(both));
    assert_eq!(account.refresh_token, Some("syr_3".into()));
    let end = Timestamp::from_millis(server.now + 500);
    assert_eq!(account.expires_at, Some(end));
}
