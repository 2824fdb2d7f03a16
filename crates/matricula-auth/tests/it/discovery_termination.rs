//! Every discovery ends, whatever the server and the person answer, and stays encrypted.

use matricula_auth::{Answer, Discovery};
use matricula_core::{ServerUrl, TransportErrorKind};
use proptest::prelude::*;
use serde_json::json;

use crate::scripted_server::{ScriptedServer, transport_error};

fn any_address() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("https://matrix.example.org"),
        Just("http://matrix.example.org"),
        Just("http://127.0.0.1:8008"),
        Just("http://192.168.1.5"),
        Just("ftp://example.org"),
        Just("example.org"),
        Just(""),
    ]
}

fn any_body() -> impl Strategy<Value = String> {
    let document = (any_address(), any_address()).prop_map(|(server, identity)| {
        json!({ "m.homeserver": { "base_url": server }, "m.identity_server": { "base_url": identity } })
            .to_string()
    });
    let metadata = any_address().prop_map(|issuer| json!({ "issuer": issuer }).to_string());
    prop_oneof![
        3 => document,
        1 => metadata,
        3 => Just(r#"{"versions":["v1.1"],"flows":[{"type":"m.login.password"}],"session":"s"}"#.to_owned()),
        1 => Just(r#"{"flows":[{"type":"m.login.sso","oauth_aware_preferred":true}]}"#.to_owned()),
        1 => Just(r#"{"errcode":"M_UNRECOGNIZED"}"#.to_owned()),
        1 => ".{0,20}",
    ]
}

/// What comes of one request, or what the person says.
fn any_turn() -> impl Strategy<Value = (u16, String, u8, &'static str)> {
    let status =
        prop_oneof![4 => Just(200u16), 2 => Just(404u16), 1 => Just(401u16), 1 => 100u16..600];
    (status, any_body(), 0u8..8, any_address())
}

proptest! {
    #[test]
    fn every_discovery_ends(
        turns in prop::collection::vec(any_turn(), 1..12),
        server in prop_oneof![Just("example.org"), Just("@a:example.org"), Just("https://a.example.org")],
    ) {
        let discovery = Discovery::new(server.parse().unwrap())
            .registration(true)
            .password_policy(true);
        let mut script = ScriptedServer::start(discovery);
        for (status, body, luck, address) in turns.iter().cycle() {
            if script.result.is_some() {
                break;
            }
            // The look-up, and six questions for each server: the guess, and what the person says.
            prop_assert!(script.requests.len() <= 13, "no end: {:?}", script.requests);
            if script.is_asking() {
                script.answer(match luck { 0 => Answer::Unavailable, 1 => Answer::No, _ => Answer::Text((*address).into()) });
                continue;
            }
            let job = script.any_job().clone();
            let url: ServerUrl = job.url().parse().unwrap();
            prop_assert!(url.is_https() || url.is_loopback(), "{url}");
            match luck {
                0 => script.fail(transport_error(TransportErrorKind::Connect)),
                _ => script.respond_first(*status, body),
            };
        }
        let tried = &script.conversation.server_info().tried;
        prop_assert_eq!(tried.len(), script.requests.len(), "every request is written down");
        if let Some(Ok(server_info)) = &script.result {
            prop_assert!(server_info.server.is_https() || server_info.server.is_loopback());
        }
    }
}
