//! The page of the service, the way back from it, and the device of the session.

use matricula_api::oauth::Scope;
use matricula_auth::{
    Answer, AuthError, BrowserError, DeviceOptions, OAuthLogin, OAuthLoginError, Progress, Prompt,
};
use serde_json::{Value, json};

use super::{fails_unreachable, registered, sign_up};
use crate::{
    oauth_helpers::{
        REDIRECT_URI, asking_to_open_page, come_back, device_code, device_login, form_field,
        is_kept, login, oauth_error, page_parameter, registering_client, reload_login, tokens,
        whoami,
    },
    scripted_server::ScriptedServer,
};

#[test]
fn callbacks_of_the_service_are_read() {
    let mut server = asking_to_open_page(login());
    let state = page_parameter(&server, "state").unwrap();
    // A browser keeps the empty fragment.
    let back = format!("{REDIRECT_URI}?state={state}&code=xyz#");
    server.answer(Answer::Text(back.into()));
    assert_eq!(form_field(server.job(), "code").as_deref(), Some("xyz"));
    server.respond(
        200,
        &json!({ "access_token": "mat_a", "refresh_token": "mar_r", "token_type": "Bearer",
            "expires_in": 300, "scope": "urn:matrix:client:api:* urn:matrix:client:device:AAAAAAAAAA" }),
    );
    server.respond(200, &whoami());
    assert_eq!(server.ok().access_token, Some("mat_a".into()));
    let mut server = asking_to_open_page(login());
    let back = format!(
        "{REDIRECT_URI}?error=access_denied&state={}",
        page_parameter(&server, "state").unwrap()
    );
    server.answer(Answer::Text(back.into()));
    let words = server.error().to_string();
    assert!(words.contains("access_denied"), "{words}");
    assert!(!is_kept(&server));
}

#[test]
fn short_device_ids_are_refused_first() {
    let bad = [
        "LAPTOP",
        "A",
        "",
        "123456789",
        "with space",
        "quote\"quote",
        "back\\slash1",
        "tab\ttab\ttab",
        "ÄÖÜÄÖÜÄÖÜÄÖÜ",
        &"A".repeat(256),
    ];
    let good = ["ABCDEFGHIJ", "0123456789", "a-b.c_d~e!", &"A".repeat(255)];
    let started = |login: OAuthLogin, id: &str| {
        ScriptedServer::start(login.device(DeviceOptions::new().device_id(id)))
    };
    for login in [login(), sign_up(), device_login()] {
        for id in bad {
            let server = started(login.clone(), id);
            let AuthError::OAuth(OAuthLoginError::DeviceId(_)) = server.error() else {
                panic!("{id:?}: {}", server.error())
            };
            assert!(server.requests.is_empty(), "{id:?}");
            assert!(!is_kept(&server), "{id:?}");
        }
        for id in good {
            assert_eq!(started(login.clone(), id).requests.len(), 1, "{id:?}");
        }
        // One that is generated is long enough.
        assert_eq!(ScriptedServer::start(login.clone()).requests.len(), 1);
    }
}

#[test]
fn page_begins_with_the_known_user() {
    let user = "@alice:example.org".parse().unwrap();
    let server = asking_to_open_page(login().login_hint(user));
    assert_eq!(
        page_parameter(&server, "login_hint").as_deref(),
        Some("mxid%3A%40alice%3Aexample.org")
    );
    let server = asking_to_open_page(login());
    assert_eq!(page_parameter(&server, "login_hint"), None);
}

#[test]
fn administrators_ask_for_the_admin_api() {
    let admin = "urn%3Asynapse%3Aadmin%3A*";
    let scope = |login| page_parameter(&asking_to_open_page(login), "scope").unwrap();
    assert!(scope(login().admin(true)).ends_with(admin));
    assert!(!scope(login()).contains("admin"));
    let mut server = registering_client(device_login().admin(true));
    server.respond(201, &registered("c1"));
    assert!(form_field(server.job(), "scope").unwrap().ends_with(admin));
    // Other people do not get it. A service need not repeat what it grants.
    for (granted, is_warned) in [
        (Value::Null, false),
        (json!("urn:matrix:client:api:*"), true),
        (json!("urn:matrix:client:api:* urn:synapse:admin:*"), false),
    ] {
        let mut server = asking_to_open_page(login().admin(true));
        come_back(&mut server, "code=xyz");
        let mut answer = tokens();
        answer["scope"] = granted.clone();
        server.respond(200, &answer).respond(200, &whoami());
        server.ok();
        let warned = |one: &Progress| matches!(one, Progress::AdminNotGranted { .. });
        assert_eq!(server.progress.iter().any(warned), is_warned, "{granted}");
    }
    let scope = Scope::client("ABCDEFGHIJ").unwrap();
    assert!(!scope.allows_synapse_admin() && scope.synapse_admin().allows_synapse_admin());
}

#[test]
fn device_gets_its_name_after_the_login() {
    let named = |login: OAuthLogin| login.device(DeviceOptions::new().device_name("my laptop"));
    let until_named = || {
        let mut server = asking_to_open_page(named(login()));
        come_back(&mut server, "code=xyz");
        server.respond(200, &tokens()).respond(200, &whoami());
        server
    };
    let mut server = until_named();
    let path = "PUT /_matrix/client/v3/devices/FROMSERVER";
    assert_eq!(server.requests.last().unwrap(), path);
    assert_eq!(server.body(), json!({ "display_name": "my laptop" }));
    server.respond(200, &json!({}));
    assert_eq!(server.ok().access_token, Some("acc".into()));
    assert!(server.progress.iter().all(|one| !is_nameless(one)));
    // The session is there in any case.
    let endings: [fn(&mut ScriptedServer<OAuthLogin>); 6] = [
        |server| _ = server.respond(404, &json!({ "errcode": "M_UNRECOGNIZED" })),
        |server| _ = server.respond(403, &json!({ "errcode": "M_FORBIDDEN", "error": "no" })),
        |server| _ = server.respond(502, &json!("<html>")),
        |server| _ = server.respond(429, &json!({ "errcode": "M_LIMIT_EXCEEDED" })),
        |server| _ = server.lose(),
        fails_unreachable,
    ];
    for (at, ending) in endings.into_iter().enumerate() {
        let mut server = until_named();
        ending(&mut server);
        assert!(server.ok().access_token.is_some(), "{at}");
        assert!(is_nameless(server.progress.last().unwrap()), "{at}");
        assert!(!is_kept(&server), "{at}");
    }
    // It ends meanwhile, and another process continues.
    let mut server = ScriptedServer::start(reload_login(&until_named()));
    assert_eq!(server.requests, [path]);
    server.respond(200, &json!({}));
    assert_eq!(server.ok().refresh_token, Some("ref".into()));
    // The same by code, and for a new account.
    let mut server = registering_client(named(device_login()));
    server
        .respond(201, &registered("c1"))
        .respond(200, &device_code());
    server.wake();
    server.respond(200, &tokens()).respond(200, &whoami());
    assert_eq!(server.requests.last().unwrap(), path);
    let mut server = asking_to_open_page(named(sign_up()));
    come_back(&mut server, "code=xyz");
    server.respond(200, &tokens()).respond(200, &whoami());
    assert_eq!(server.requests.last().unwrap(), path);
}

fn is_nameless(progress: &Progress) -> bool {
    matches!(progress, Progress::DeviceNotNamed { name, .. } if name == "my laptop")
}

#[test]
fn polls_are_read_by_their_code() {
    let code = json!({ "device_code": "h8atXXXX", "user_code": "C7EIDN", "expires_in": 1200,
        "verification_uri": "https://account.example.org/link", "interval": 5 });
    let polling = || {
        let mut server = registering_client(device_login());
        server.respond(201, &registered("c1")).respond(200, &code);
        assert_eq!(server.wake(), 5_000);
        server
    };
    // RFC 8628 has 400, and services have 403.
    for status in [400, 401, 403, 428] {
        let mut server = polling();
        server.respond(status, &oauth_error("authorization_pending"));
        assert_eq!(server.wake(), 5_000, "{status}");
        server.respond(status, &oauth_error("slow_down"));
        assert_eq!(server.wake(), 10_000, "{status}");
        server.respond(200, &tokens()).respond(200, &whoami());
        assert!(server.ok().access_token.is_some(), "{status}");
        for (code, words) in [
            ("access_denied", "access_denied"),
            ("expired_token", "was not entered in time"),
        ] {
            let mut server = polling();
            server.respond(status, &oauth_error(code));
            let error = server.error().to_string();
            assert!(error.contains(words), "{status} {code}: {error}");
            assert!(!is_kept(&server), "{status} {code}");
        }
    }
}

#[test]
fn page_still_waits_for_a_person() {
    let mut server = asking_to_open_page(login());
    assert!(matches!(server.question(), Prompt::OpenPage { .. }));
    server.answer(Answer::Unavailable);
    assert!(matches!(
        server.error(),
        AuthError::Browser(BrowserError::BrowserNeeded { .. })
    ));
}
