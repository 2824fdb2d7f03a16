//! Login and sign-up on a page of an OAuth 2.0 server.

use matricula_api::oauth::{ClientMetadata, GrantType};
use matricula_auth::{
    Answer, AuthError, BrowserError, Input, OAuthClient, OAuthLogin, OAuthLoginError, OAuthRefusal,
    Progress, Prompt, ServerError, ServerInfo, tables,
};
use matricula_core::{EffectId, TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::{
    helpers::server_info,
    oauth_helpers::{
        REDIRECT_URI, asking_to_open_page, client_metadata, come_back, form_field, is_kept,
        known_client, login, oauth_error, page, page_parameter, registering_client, reload_login,
        requesting_tokens, server_metadata, stored_clients, tokens, whoami,
    },
    scripted_server::{ScriptedServer, transport_error},
};

#[test]
fn login_runs_from_client_to_whoami() {
    let mut server = ScriptedServer::start(login());
    server.respond(200, &server_metadata());
    assert_eq!(
        server.body(),
        json!({
            "client_uri": "https://app.example/", "client_name": "App",
            "redirect_uris": ["http://127.0.0.1/back"], "response_types": ["code"],
            "grant_types": ["authorization_code", "refresh_token",
                "urn:ietf:params:oauth:grant-type:device_code"],
            "token_endpoint_auth_method": "none", "application_type": "native",
        })
    );
    server.respond(201, &json!({ "client_id": "c1" }));
    let challenge = page_parameter(&server, "code_challenge").unwrap();
    assert_eq!(
        (challenge.len(), page_parameter(&server, "prompt")),
        (43, None)
    );
    assert_eq!(page_parameter(&server, "client_id").as_deref(), Some("c1"));
    come_back(&mut server, "code=xyz");
    assert_eq!(form_field(server.job(), "code").as_deref(), Some("xyz"));
    assert_eq!(
        form_field(server.job(), "redirect_uri").as_deref(),
        Some("http%3A%2F%2F127.0.0.1%3A4321%2Fback"),
        "the same address as on the page, with its port"
    );
    assert_eq!(form_field(server.job(), "code_verifier").unwrap().len(), 43);
    server.respond(200, &tokens()).respond(200, &whoami());
    assert_eq!(
        server.requests,
        [
            "GET /_matrix/client/v1/auth_metadata",
            "POST /clients",
            "POST /token",
            "GET /_matrix/client/v3/account/whoami"
        ]
    );
    let account = server.ok();
    assert_eq!(account.user_id.as_str(), "@alice:example.org");
    assert_eq!(account.device_id.as_deref(), Some("FROMSERVER"));
    assert_eq!(account.refresh_token, Some("ref".into()));
    assert_eq!(
        account.expires_at.unwrap().as_millis(),
        server.now + 300_000
    );
    let oauth = account.oauth.as_ref().unwrap();
    assert_eq!(oauth.client_id, "c1");
    assert_eq!(
        oauth.revocation_endpoint,
        "https://account.example.org/revoke"
    );
    assert!(!is_kept(&server));
}

#[test]
fn sign_up_uses_prompt_create() {
    let server = asking_to_open_page(OAuthLogin::sign_up(
        &server_info(),
        client_metadata(),
        REDIRECT_URI,
    ));
    assert_eq!(page_parameter(&server, "prompt").as_deref(), Some("create"));
}

#[test]
fn missing_prompt_create_is_reported() {
    let mut without = server_metadata();
    without["prompt_values_supported"] = Value::Null;
    let mut server = ScriptedServer::start(OAuthLogin::sign_up(
        &server_info(),
        client_metadata(),
        REDIRECT_URI,
    ));
    server
        .respond(200, &without)
        .respond(404, &json!({}))
        .respond(201, &json!({ "client_id": "c1" }));
    assert_eq!(page_parameter(&server, "prompt"), None);
    let [Progress::Route { why, .. }] = &server.progress[..] else {
        panic!("{:?}", server.progress)
    };
    assert!(why.contains("choose that there"), "{why}");
}

#[test]
fn stored_client_serves_if_registration_is_refused() {
    let client = known_client();
    let other_port = OAuthLogin::browser(
        &server_info(),
        client_metadata(),
        "http://127.0.0.1:99/back",
    );
    let mut server = registering_client(other_port.client(client.clone()));
    server.respond(403, &json!({ "error": "access_denied" }));
    assert_eq!(page_parameter(&server, "client_id").as_deref(), Some("c1"));
    // What was said of it must still be true.
    let mut by_codes = client.clone();
    by_codes.metadata.grant_types = Some(vec![GrantType::DeviceCode, GrantType::RefreshToken]);
    let mut elsewhere = client.clone();
    elsewhere.issuer = "https://other.example.org/".to_owned();
    let other_address = OAuthLogin::browser(
        &server_info(),
        client_metadata(),
        "http://127.0.0.1:99/elsewhere",
    );
    let other_page = ClientMetadata::new("https://new.example/");
    let other_page = OAuthLogin::browser(&server_info(), other_page, REDIRECT_URI);
    for login in [
        other_address.client(client.clone()),
        other_page.client(client),
        // One that was let in by codes alone cannot come back from a page.
        login().client(by_codes),
        login().client(elsewhere),
    ] {
        let mut server = registering_client(login);
        server.respond(403, &json!({ "error": "access_denied" }));
        assert!(matches!(
            server.error(),
            AuthError::OAuthRefused(OAuthRefusal { .. })
        ));
    }
}

#[test]
fn forgotten_client_is_registered_once() {
    let mut server = registering_client(login().client(known_client()));
    server.respond(429, &json!({}));
    let first = page(&server);
    come_back(&mut server, "code=xyz");
    server.respond(401, &oauth_error("invalid_client"));
    assert_eq!(server.requests.last().unwrap(), "POST /clients");
    assert_eq!(stored_clients(&server), [None]);
    server.respond(201, &json!({ "client_id": "c2" }));
    assert_eq!(page_parameter(&server, "client_id").as_deref(), Some("c2"));
    assert_ne!(
        page(&server),
        first,
        "what proved who asked is not used twice"
    );
    come_back(&mut server, "code=abc");
    server.respond(401, &oauth_error("invalid_client"));
    assert!(matches!(
        server.error(),
        AuthError::OAuthRefused(OAuthRefusal { .. })
    ));
}

#[test]
fn callback_error_registers_client_again() {
    let mut server = registering_client(login().client(known_client()));
    server.respond(403, &json!({}));
    come_back(&mut server, "error=unauthorized_client");
    assert_eq!(server.requests.last().unwrap(), "POST /clients");
}

#[test]
fn wrong_state_is_asked_again() {
    let mut server = asking_to_open_page(login());
    let first = page(&server);
    for at in 0..5 {
        server.answer(Answer::Text(
            format!("{REDIRECT_URI}?state=other&code=evil").into(),
        ));
        let Prompt::OpenPage { why, .. } = server.question() else {
            panic!("{at}")
        };
        assert!(why.is_some(), "{at}");
        assert_eq!(page(&server), first, "{at}: the same page");
    }
    server.answer(Answer::Text(
        format!("{REDIRECT_URI}?state=other&code=evil").into(),
    ));
    assert!(
        matches!(
            server.error(),
            AuthError::Browser(BrowserError::WrongCallback { .. })
        ),
        "{}",
        server.error()
    );
    assert_eq!(server.requests.len(), 2, "no code was redeemed");
}

#[test]
fn incomplete_callback_is_asked_again() {
    let mut server = asking_to_open_page(login());
    server
        .answer(Answer::Text("nonsense".into()))
        .answer(Answer::Yes);
    come_back(&mut server, "neither=1");
    come_back(&mut server, "code=xyz");
    assert_eq!(form_field(server.job(), "code").as_deref(), Some("xyz"));
}

#[test]
fn refused_verifier_fails() {
    let mut server = requesting_tokens();
    server.respond(400, &oauth_error("invalid_grant"));
    let AuthError::OAuthRefused(OAuthRefusal { refusal, .. }) = server.error() else {
        panic!("{}", server.error())
    };
    assert_eq!(refusal.code.as_str(), "invalid_grant");
    assert!(!is_kept(&server));
}

#[test]
fn stale_inputs_are_ignored() {
    let mut server = asking_to_open_page(login());
    let state = page_parameter(&server, "state").unwrap();
    let answer =
        |code: &str| Answer::Text(format!("{REDIRECT_URI}?state={state}&code={code}").into());
    // Two requests came before the page.
    let (page, again, grant) = (EffectId(3), EffectId(4), EffectId(5));
    server.answer(Answer::Yes);
    server.step(Input::Answer(page, answer("old")));
    server.step(Input::Waited(again));
    server.answer(answer("xyz"));
    server.step(Input::Answer(again, answer("xyz")));
    let sent = form_field(server.job(), "code");
    assert_eq!(sent.as_deref(), Some("xyz"));
    let lost = || Outcome::InDoubt(transport_error(TransportErrorKind::ConnectionLost));
    server.respond(200, &tokens());
    server.step(Input::Outcome(grant, lost()));
    server.respond(200, &whoami());
    server.ok();
    server.step(Input::Outcome(grant, lost()));
    let grants = server.requests.iter().filter(|sent| *sent == "POST /token");
    assert_eq!(grants.count(), 1);
}

#[test]
fn page_refusals_carry_server_message() {
    for code in [
        "access_denied",
        "consent_required",
        "invalid_scope",
        "login_required",
    ] {
        let mut server = asking_to_open_page(login());
        come_back(
            &mut server,
            &format!("error={code}&error_description=words"),
        );
        let error = server.error().to_string();
        assert!(error.contains(code) && error.contains("words"), "{error}");
        assert!(!is_kept(&server), "{code}");
        assert_eq!(server.requests.len(), 2, "{code}");
    }
}

#[test]
fn refusal_with_wrong_state_is_ignored() {
    let mut server = asking_to_open_page(login());
    server.answer(Answer::Text(
        format!("{REDIRECT_URI}?state=other&error=access_denied").into(),
    ));
    assert!(server.is_asking());
}

#[test]
fn transient_refusal_keeps_the_login() {
    for code in ["server_error", "temporarily_unavailable"] {
        let mut server = asking_to_open_page(login());
        let first = page(&server);
        come_back(&mut server, &format!("error={code}"));
        assert!(is_kept(&server), "{code}");
        let mut server = ScriptedServer::start(reload_login(&server));
        server.respond(201, &json!({ "client_id": "c1" }));
        assert_ne!(page(&server), first, "{code}: a new page");
    }
}

#[test]
fn cancelled_login_is_removed() {
    let mut server = asking_to_open_page(login());
    server.answer(Answer::No);
    assert_eq!(server.error(), &AuthError::Server(ServerError::Cancelled));
    assert!(!is_kept(&server));
    let mut server = asking_to_open_page(login());
    let first = page(&server);
    server.answer(Answer::Unavailable);
    let AuthError::Browser(BrowserError::BrowserNeeded { url, .. }) = server.error() else {
        panic!("{}", server.error())
    };
    assert_eq!(url.expose(), first);
    let mut server = ScriptedServer::start(reload_login(&server));
    server.respond(201, &json!({ "client_id": "c1" }));
    assert_eq!(
        page(&server),
        first,
        "the page that the person may have opened"
    );
    come_back(&mut server, "code=xyz");
    assert_eq!(form_field(server.job(), "code").as_deref(), Some("xyz"));
}

#[test]
fn invalid_redirect_uri_is_refused() {
    for address in [
        "http://example.org/",
        "ftp:x",
        "",
        "http://127.0.0.1:1/#x",
        "http://127.0.0.1.evil/",
        "https://app.example/#x",
    ] {
        let mut server = ScriptedServer::start(OAuthLogin::browser(
            &server_info(),
            client_metadata(),
            address,
        ));
        server.respond(200, &server_metadata());
        assert!(
            matches!(
                server.error(),
                AuthError::OAuth(OAuthLoginError::RedirectAddress { .. })
            ),
            "{address}: {}",
            server.error()
        );
        assert_eq!(server.requests.len(), 1);
    }
    for (address, registered) in [
        ("http://localhost:8/", "http://localhost/"),
        ("http://[::1]:8/a?b=c", "http://[::1]/a?b=c"),
        ("http://127.0.0.1", "http://127.0.0.1"),
        ("http://[::1]/", "http://[::1]/"),
        ("https://app.example/back", "https://app.example/back"),
        ("org.example.app:/back", "org.example.app:/back"),
    ] {
        let mut server = ScriptedServer::start(OAuthLogin::browser(
            &server_info(),
            client_metadata(),
            address,
        ));
        server.respond(200, &server_metadata());
        assert_eq!(server.body()["redirect_uris"], json!([registered]));
    }
}

#[test]
fn unsafe_metadata_is_refused() {
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
        let mut metadata = server_metadata();
        metadata[name] = value;
        let mut server = ScriptedServer::start(login());
        server.respond(200, &metadata);
        assert!(
            matches!(
                server.error(),
                AuthError::Server(ServerError::NotMatrix { .. })
            ),
            "{name}: {}",
            server.error()
        );
        assert_eq!(server.requests.len(), 1, "{name}");
    }
    let mut server = ScriptedServer::start(login());
    server.respond(404, &json!({ "errcode": "M_UNRECOGNIZED" }));
    assert!(matches!(
        server.error(),
        AuthError::OAuth(OAuthLoginError::NoOAuth { .. })
    ));
    // A server on this machine may name addresses on this machine.
    let here = ServerInfo::of("http://127.0.0.1:8008".parse().unwrap());
    let mut metadata = server_metadata();
    metadata["registration_endpoint"] = json!("http://127.0.0.1:1/clients");
    let mut server =
        ScriptedServer::start(OAuthLogin::browser(&here, client_metadata(), REDIRECT_URI));
    server.respond(200, &metadata);
    assert_eq!(server.requests.len(), 2);
}

#[test]
fn client_registration_refusals_fail() {
    let mut server = ScriptedServer::start(login());
    server
        .respond(200, &server_metadata())
        .respond(400, &oauth_error("invalid_redirect_uri"));
    assert!(server.error().to_string().contains("invalid_redirect_uri"));
    let mut server = ScriptedServer::start(login());
    server
        .respond(200, &server_metadata())
        .outcome(Outcome::Failed(transport_error(
            TransportErrorKind::Connect,
        )));
    assert!(matches!(
        server.error(),
        AuthError::Server(ServerError::Unreachable { .. })
    ));
}

#[test]
fn non_bearer_tokens_are_refused() {
    let mut server = requesting_tokens();
    let mut other = tokens();
    other["token_type"] = json!("mac");
    server.respond(200, &other);
    assert!(matches!(
        server.error(),
        AuthError::Server(ServerError::NotMatrix { .. })
    ));
}

#[test]
fn client_secret_is_sent_until_expiry() {
    let mut server = ScriptedServer::start(login());
    let client = json!({ "client_id": "c1", "client_secret": "shh", "client_secret_expires_at": 1_700_000_100 });
    server
        .respond(200, &server_metadata())
        .respond(201, &client);
    let stored = server.commits.last().unwrap().writes();
    let stored = stored
        .iter()
        .find(|change| change.table == tables::OAUTH_CLIENTS);
    let client = OAuthClient::from_stored(stored.unwrap().value.as_deref().unwrap()).unwrap();
    come_back(&mut server, "code=xyz");
    assert_eq!(
        form_field(server.job(), "client_secret").as_deref(),
        Some("shh")
    );
    let mut later = ScriptedServer::start(login().client(client));
    later.now = 1_700_000_100_000;
    later.respond(200, &server_metadata());
    assert_eq!(later.requests.last().unwrap(), "POST /clients");
}
