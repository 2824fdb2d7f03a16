//! Lost responses and crashes at every point of an OAuth 2.0 login.

use matricula_auth::{Answer, OAuthLogin, Progress, tables};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    oauth_helpers::{
        asking_to_open_page, come_back, device_code, device_login, form_field, is_kept, login,
        oauth_error, page, page_parameter, reload_login, requesting_tokens, server_metadata,
        tokens, whoami,
    },
    scripted_server::{ScriptedServer, transport_error},
};

/// Ends the process. Another continues.
fn crash(server: &mut ScriptedServer<OAuthLogin>) {
    *server = ScriptedServer::start(reload_login(server));
}

#[test]
fn login_resumes_after_any_step() {
    for ends_at in 0..=5 {
        let mut server = ScriptedServer::start(login());
        let mut device = None;
        for at in 0..=4 {
            if at == ends_at {
                crash(&mut server);
                if at == 2 {
                    server.respond(201, &json!({ "client_id": "c1" }));
                }
            }
            match at {
                0 => _ = server.respond(200, &server_metadata()),
                1 => _ = server.respond(201, &json!({ "client_id": "c1" })),
                2 => {
                    device = page(&server)
                        .split("device%3A")
                        .nth(1)
                        .map(|rest| rest[..10].to_owned());
                    come_back(&mut server, "code=xyz");
                }
                3 => _ = server.respond(200, &tokens()),
                _ => {
                    _ = server.respond(
                        200,
                        &json!({ "user_id": "@alice:example.org", "device_id": null }),
                    )
                }
            }
        }
        let account = server.ok();
        assert_eq!(account.access_token, Some("acc".into()), "{ends_at}");
        assert_eq!(account.device_id, device, "{ends_at}: one device all along");
    }
}

#[test]
fn verifier_is_stored_before_page_opens() {
    let server = asking_to_open_page(login());
    let state = page_parameter(&server, "state").unwrap();
    let stored = server.commits.last().unwrap().writes().last().unwrap();
    let text = String::from_utf8(stored.value.clone().unwrap()).unwrap();
    assert!(text.contains(&state));
}

#[test]
fn lost_token_response_is_repeated() {
    let mut server = requesting_tokens();
    let first = form_field(server.job(), "code_verifier");
    server.lose();
    assert_eq!(form_field(server.job(), "code_verifier"), first);
    server.respond(200, &tokens()).respond(200, &whoami());
    assert_eq!(server.ok().access_token, Some("acc".into()));
}

#[test]
fn used_code_opens_a_new_page() {
    for crashes in [false, true] {
        let mut server = asking_to_open_page(login());
        let first = page(&server);
        come_back(&mut server, "code=xyz");
        match crashes {
            true => crash(&mut server),
            false => _ = server.lose(),
        }
        server.respond(400, &oauth_error("invalid_grant"));
        if crashes {
            server.respond(201, &json!({ "client_id": "c1" }));
        }
        assert_ne!(page(&server), first, "{crashes}");
        assert!(matches!(&server.progress[..], [.., Progress::Route { .. }]));
        come_back(&mut server, "code=abc");
        server.respond(200, &tokens()).respond(200, &whoami());
        assert!(server.ok().oauth.is_some());
    }
}

#[test]
fn transient_failure_keeps_the_code() {
    let endings: [fn(&mut ScriptedServer<OAuthLogin>); 5] = [
        |server| _ = server.lose().lose(),
        |server| {
            _ = server.outcome(Outcome::Failed(transport_error(
                TransportErrorKind::Connect,
            )))
        },
        |server| _ = server.respond(503, &json!({})).respond(503, &json!({})),
        |server| _ = server.respond(429, &json!({ "errcode": "M_LIMIT_EXCEEDED" })),
        |server| _ = server.outcome(Outcome::Cancelled),
    ];
    for (at, ending) in endings.into_iter().enumerate() {
        let mut server = requesting_tokens();
        ending(&mut server);
        server.error();
        assert!(is_kept(&server), "{at}");
        crash(&mut server);
        assert_eq!(
            form_field(server.job(), "code").as_deref(),
            Some("xyz"),
            "{at}"
        );
    }
}

#[test]
fn tokens_are_stored_before_whoami() {
    let endings: [fn(&mut ScriptedServer<OAuthLogin>); 4] = [
        |server| _ = server.lose(),
        |server| _ = server.respond(502, &json!({})),
        |server| _ = server.respond(429, &json!({})),
        |server| {
            _ = server.respond(
                401,
                &json!({ "errcode": "M_USER_LOCKED", "soft_logout": true }),
            )
        },
    ];
    for (at, ending) in endings.into_iter().enumerate() {
        let mut server = requesting_tokens();
        server.respond(200, &tokens());
        ending(&mut server);
        assert!(is_kept(&server), "{at}: {}", server.error());
        crash(&mut server);
        server.respond(200, &whoami());
        assert_eq!(server.ok().refresh_token, Some("ref".into()), "{at}");
    }
}

#[test]
fn invalid_tokens_open_a_new_page() {
    let mut server = requesting_tokens();
    server
        .respond(200, &tokens())
        .respond(401, &json!({ "errcode": "M_UNKNOWN_TOKEN" }));
    assert!(server.is_asking());
}

#[test]
fn secrets_stay_in_secret_tables() {
    let mut server = asking_to_open_page(login());
    let state = page_parameter(&server, "state").unwrap();
    let mut seen = format!("{:?}{:?}", server.conversation, server.question());
    server.answer(Answer::Text(
        format!("http://127.0.0.1/?state={state}&code=c0d3").into(),
    ));
    let verifier = form_field(server.job(), "code_verifier").unwrap();
    seen += &format!("{:?}{:?}", server.conversation, server.job());
    seen += &server.job().masked_body();
    server.respond(
        200,
        &json!({ "access_token": "acc3ss", "refresh_token": "r3fr3sh", "token_type": "Bearer" }),
    );
    seen += &format!("{:?}{:?}", server.conversation, server.job());
    server.lose();
    seen += &format!("{:?}{}", server.error(), server.error());
    seen += &format!("{:?}{:?}", server.commits, server.progress);
    crash(&mut server);
    server.respond(200, &whoami());
    seen += &format!("{:?}{:?}", server.ok(), server.commits);
    let mut without_person = asking_to_open_page(login());
    let other = page_parameter(&without_person, "state").unwrap();
    without_person.answer(Answer::Unavailable);
    seen += &format!("{:?}{}", without_person.error(), without_person.error());
    for secret in [&state, &verifier, &other, "c0d3", "acc3ss", "r3fr3sh"] {
        assert!(!seen.contains(secret), "{secret} in {seen}");
    }
    let tables = server.commits.iter().flat_map(|commit| commit.writes());
    for change in tables {
        assert!([tables::ACCOUNTS, tables::OAUTH_LOGINS].contains(&&*change.table));
    }
}

fn any_answer() -> impl Strategy<Value = (u16, Value)> {
    let error = prop_oneof![
        Just("invalid_client"),
        Just("invalid_grant"),
        Just("authorization_pending"),
        Just("slow_down"),
        Just("server_error"),
        Just("x"),
    ];
    prop_oneof![
        1 => Just((200, server_metadata())),
        1 => Just((201, json!({ "client_id": "c" }))),
        3 => Just((200, device_code())),
        1 => Just((200, tokens())),
        1 => Just((200, whoami())),
        3 => (400u16..600, error).prop_map(|(status, code)| (status, oauth_error(code))),
        1 => Just((401, json!({ "errcode": "M_UNKNOWN_TOKEN" }))),
        1 => (200u16..600).prop_map(|status| (status, json!([]))),
    ]
}

proptest! {
    /// Whatever the servers answer, the person says and the network loses, it ends.
    #[test]
    fn every_login_ends(
        answers in prop::collection::vec((any_answer(), 0u8..8), 1..12),
        on_device: bool,
    ) {
        let login = match on_device {
            true => device_login(),
            false => login(),
        };
        let mut server = ScriptedServer::start(login);
        server.respond(200, &server_metadata()).respond(201, &json!({ "client_id": "c1" }));
        let mut turns = 0;
        for ((status, body), luck) in answers.iter().cycle() {
            if server.result.is_some() {
                break;
            }
            turns += 1;
            prop_assert!(turns < 8000, "no end: {:?}", &server.requests[..20]);
            if server.is_asking() {
                match luck {
                    0 => _ = server.answer(Answer::Unavailable),
                    1 => _ = server.answer(Answer::No),
                    2 => _ = server.answer(Answer::Text("x".into())),
                    _ => come_back(&mut server, "code=xyz"),
                }
            } else if server.is_waiting() {
                server.wake();
            } else if *luck == 7 {
                server.lose();
            } else {
                server.respond(*status, body);
            }
        }
    }
}
