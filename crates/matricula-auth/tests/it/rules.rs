//! Rules that the specification puts on a client that registers, where no other module shows them.

use matricula_api::client::refresh::RefreshResponse;
use matricula_auth::{
    Answer, AuthError, Discovery, DiscoveryError, Login, Prompt, RegisterError, Registration,
    RegistrationOptions, ServerInfo,
};
use matricula_core::Timestamp;
use serde_json::json;

use crate::{
    registration::{alice, facts, success, uia},
    talk::Talk,
};

#[test]
fn a_server_that_names_no_session_is_sent_none() {
    let mut talk = Talk::start(Registration::new(&facts(), RegistrationOptions::default()));
    talk.answer(401, &json!({ "flows": [{ "stages": ["m.login.dummy"] }] }));
    assert_eq!(talk.body()["auth"], json!({ "type": "m.login.dummy" }));
}

#[test]
fn single_sign_on_that_is_preferred_rules_registering_out_beside_passwords_too() {
    let facts: ServerInfo = serde_json::from_value(json!({
        "server": "https://matrix.example.org", "versions": ["v1.18"], "oauth_issuer": null,
        "registration": null,
        "login_flows": [
            { "type": "m.login.password", "oauth_aware_preferred": false },
            { "type": "m.login.sso", "oauth_aware_preferred": true },
        ],
    }))
    .unwrap();
    let talk = Talk::start(Registration::new(&facts, alice()));
    assert!(
        matches!(
            talk.error(),
            AuthError::Register(RegisterError::SsoNeeded { .. })
        ),
        "{}",
        talk.error()
    );
    assert!(talk.requests.is_empty());
}

#[test]
fn every_document_is_put_before_the_person() {
    let mut offer = uia(&json!([{ "stages": ["m.login.terms"] }]));
    offer["params"] = json!({ "m.login.terms": { "policies": {
        "privacy": { "version": "1", "en_GB": { "name": "Privacy", "url": "https://e.org/p" } },
        "terms": { "version": "2", "fr": { "name": "Conditions", "url": "https://e.org/t" } },
    }}});
    let mut talk = Talk::start(Registration::new(&facts(), RegistrationOptions::default()));
    talk.answer(401, &offer);
    let Prompt::AcceptTerms { policies } = talk.question() else {
        panic!("{:?}", talk.question());
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
fn a_token_without_a_term_does_not_expire() {
    let mut registering = Talk::start(Registration::new(&facts(), RegistrationOptions::default()));
    registering.answer(200, &success());
    assert_eq!(registering.ok().expires_at, None);
    let mut signing_in = Talk::start(Login::new(&facts(), "alice", "wordpass".into()));
    signing_in.answer(200, &success());
    assert_eq!(signing_in.ok().expires_at, None);
}

#[test]
fn a_renewed_token_takes_the_place_of_the_old_one_with_its_term() {
    let mut talk = Talk::start(Registration::new(&facts(), RegistrationOptions::default()));
    let mut first = success();
    first["refresh_token"] = json!("syr_1");
    first["expires_in_ms"] = json!(1_000);
    talk.answer(200, &first);
    let mut account = talk.ok().clone();
    let now = Timestamp::from_millis(talk.now);

    let answer = |body| serde_json::from_value::<RefreshResponse>(body).unwrap();
    account.renew(now, answer(json!({ "access_token": "syt_2" })));
    assert_eq!(account.access_token, Some("syt_2".into()));
    assert_eq!(account.refresh_token, Some("syr_1".into()), "kept");
    assert_eq!(account.expires_at, None);

    let both = json!({ "access_token": "syt_3", "refresh_token": "syr_3", "expires_in_ms": 500 });
    account.renew(now, answer(both));
    assert_eq!(account.refresh_token, Some("syr_3".into()));
    let end = Timestamp::from_millis(talk.now + 500);
    assert_eq!(account.expires_at, Some(end));
}

#[test]
fn an_identity_server_without_an_address_makes_a_document_unusable() {
    let mut talk = Talk::start(Discovery::new("example.org".parse().unwrap()));
    let homeserver = json!({ "base_url": "https://matrix.example.org" });
    talk.answer(
        200,
        &json!({ "m.homeserver": homeserver, "m.identity_server": {} }),
    );
    talk.reply(Answer::Unavailable);
    assert!(
        matches!(
            talk.error(),
            AuthError::Discovery(DiscoveryError::WellKnown { .. })
        ),
        "{}",
        talk.error()
    );
}
