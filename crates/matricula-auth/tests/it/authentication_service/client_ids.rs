//! The client id that the service gave to this program earlier, and may know no more.

use matricula_auth::{Answer, OAuthLogin, Progress};
use matricula_core::scheduler::Outcome;
use serde_json::json;

use super::{CLIENTS, fails_unreachable, is_trouble, registered, sign_up};
use crate::{
    oauth_helpers::{
        asking_to_open_page, come_back, device_login, form_field, is_kept, known_client, login,
        oauth_error, page, page_parameter, registering_client, reload_login, requesting_tokens,
        stored_clients, tokens,
    },
    scripted_server::ScriptedServer,
};

#[test]
fn client_is_registered_before_each_page() {
    for (name, login) in [
        ("login", login()),
        ("sign-up", sign_up()),
        ("device code", device_login()),
    ] {
        let mut server = registering_client(login.client(known_client()));
        assert_eq!(server.requests.last().unwrap(), CLIENTS, "{name}");
        server.respond(201, &registered("01M8NEW"));
        let stored = stored_clients(&server).pop().unwrap().unwrap();
        let stored = String::from_utf8(stored).unwrap();
        assert!(stored.contains("01M8NEW"), "{name}: {stored}");
        let used = match name {
            "device code" => form_field(server.job(), "client_id"),
            _ => page_parameter(&server, "client_id"),
        };
        assert_eq!(used.as_deref(), Some("01M8NEW"), "{name}");
    }
}

#[test]
fn stored_id_serves_if_registration_is_refused() {
    let refusals = [
        (
            400,
            json!({ "error": "invalid_client_metadata", "error_description": "missing client_uri" }),
        ),
        (
            400,
            json!({ "error": "invalid_redirect_uri", "error_description": "invalid redirect_uri" }),
        ),
        (401, json!({ "error": "invalid_token" })),
        (403, json!({ "error": "access_denied" })),
        (403, json!({ "errcode": "M_FORBIDDEN", "error": "no" })),
        (404, json!("not here")),
        (405, json!({})),
        (409, json!({ "error": "already_registered" })),
        (429, json!({ "error": "temporarily_unavailable" })),
        (429, json!({ "errcode": "M_LIMIT_EXCEEDED" })),
        // A success that names no client.
        (201, json!({})),
        (200, json!({ "client_id": null })),
    ];
    for (status, body) in refusals {
        let mut server = registering_client(login().client(known_client()));
        server.respond(status, &body);
        let used = page_parameter(&server, "client_id");
        assert_eq!(used.as_deref(), Some("c1"), "{status} {body}");
        let mut server = registering_client(login());
        server.respond(status, &body);
        server.error();
        assert!(!is_kept(&server), "{status} {body}");
    }
    let mut server = registering_client(login());
    server.respond(
        400,
        &json!({ "error": "invalid_client_metadata", "error_description": "missing client_uri" }),
    );
    let words = server.error().to_string();
    assert!(
        words.contains("invalid_client_metadata: missing client_uri"),
        "{words}"
    );
}

#[test]
fn no_page_is_opened_while_the_service_is_down() {
    for (status, body) in [
        (500, json!({ "errcode": "M_UNKNOWN", "error": "oh" })),
        (502, json!("<html>")),
        (503, json!({})),
        (504, json!(null)),
    ] {
        let mut server = registering_client(login().client(known_client()));
        server.respond(status, &body);
        is_trouble(
            server.error(),
            "the OAuth 2.0 server https://account.example.org/",
        );
    }
    let mut server = registering_client(login().client(known_client()));
    fails_unreachable(&mut server);
    let words = server.error().to_string();
    assert!(
        words.starts_with("https://account.example.org cannot be reached"),
        "not the homeserver: {words}"
    );
}

#[test]
fn resumed_page_uses_a_client_that_is_known() {
    let open = || asking_to_open_page(login());
    let resumed = |server: &ScriptedServer<OAuthLogin>| {
        let server = ScriptedServer::start(reload_login(server));
        assert_eq!(server.requests, [CLIENTS]);
        server
    };
    // The same id: the page that the person may have opened.
    let mut server = open();
    let first = page(&server);
    server.answer(Answer::Unavailable);
    let mut server = resumed(&server);
    // It may end there too.
    let mut again = resumed(&server);
    again.respond(201, &registered("c1"));
    assert_eq!(page(&again), first);
    server.respond(403, &json!({ "error": "access_denied" }));
    assert_eq!(page(&server), first, "refused: the stored id");
    // Another id: a page of its own, because the answer to the old one is of no use.
    let mut server = resumed(&open());
    server.respond(201, &registered("c2"));
    assert_eq!(page_parameter(&server, "client_id").as_deref(), Some("c2"));
    let state = first.split("state=").nth(1).unwrap();
    let state = state.split('&').next().unwrap();
    assert_ne!(page_parameter(&server, "state").unwrap(), state);
    come_back(&mut server, "code=xyz");
    assert_eq!(form_field(server.job(), "client_id").as_deref(), Some("c2"));
    // The service is down: the login stays.
    let down: [fn(&mut ScriptedServer<OAuthLogin>); 4] = [
        fails_unreachable,
        |server| _ = server.respond(503, &json!({})),
        |server| _ = server.lose(),
        |server| _ = server.outcome(Outcome::Cancelled),
    ];
    for ending in down {
        let mut server = resumed(&open());
        ending(&mut server);
        server.error();
        assert!(is_kept(&server));
        let mut server = resumed(&server);
        server.respond(201, &registered("c1"));
        assert_eq!(page(&server), first);
    }
}

#[test]
fn unknown_client_is_removed_wherever_it_shows() {
    let unknown =
        json!({ "error": "invalid_client", "error_description": "Client authentication failed." });
    for has_stored in [false, true] {
        let mut start = registering_client(match has_stored {
            true => login().client(known_client()),
            false => login(),
        });
        match has_stored {
            true => start.respond(403, &json!({})),
            false => start.respond(201, &registered("c1")),
        };
        come_back(&mut start, "code=xyz");
        start.respond(401, &unknown);
        assert_eq!(stored_clients(&start).pop(), Some(None), "{has_stored}");
        match has_stored {
            // It is introduced again, once.
            true => assert_eq!(start.requests.last().unwrap(), CLIENTS),
            false => assert!(start.error().to_string().contains("invalid_client")),
        }
    }
}

#[test]
fn repetitions_are_not_called_lost_answers() {
    let mut server = registering_client(login().client(known_client()));
    server.respond(403, &json!({}));
    come_back(&mut server, "code=xyz");
    server.respond(401, &oauth_error("invalid_client"));
    let again = |progress: &[Progress]| matches!(progress, [.., Progress::BeginningAgain(why)] if why.contains("does not know this program"));
    assert!(again(&server.progress), "{:?}", server.progress);
    let mut server = requesting_tokens();
    server
        .respond(200, &tokens())
        .respond(401, &json!({ "errcode": "M_UNKNOWN_TOKEN" }));
    let settles = |one: &Progress| matches!(one, Progress::Settling(_));
    assert!(!server.progress.iter().any(settles));
    let mut server = requesting_tokens();
    server.lose();
    assert!(server.progress.iter().any(settles), "this one was lost");
}

#[test]
fn code_of_an_unknown_client_begins_again() {
    let mut server = ScriptedServer::start(reload_login(&requesting_tokens()));
    server.respond(401, &oauth_error("invalid_client"));
    assert_eq!(server.requests, ["POST /token", CLIENTS]);
    server.respond(201, &registered("c2"));
    assert_eq!(page_parameter(&server, "client_id").as_deref(), Some("c2"));
}
