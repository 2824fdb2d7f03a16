//! Finding out what a server is and offers.

use matricula_auth::{AuthError, Discovery, RegistrationOffer, ServerFacts};
use matricula_job::{TransportKind, scheduler::Outcome};
use serde_json::json;

use crate::talk::{Talk, transport_error};

const VERSIONS: &str = r#"{"versions":["v1.1","v1.15"]}"#;
const LOGIN: &str =
    r#"{"flows":[{"type":"m.login.password"},{"type":"m.login.sso"},{"odd":1},"x"]}"#;
const NO_OAUTH: &str = r#"{"errcode":"M_UNRECOGNIZED"}"#;

fn discover(server: &str) -> Talk<Discovery> {
    Talk::start(Discovery::new(server.parse().unwrap()))
}

/// Answers the three questions of a server without OAuth 2.0.
fn ordinary(talk: &mut Talk<Discovery>) -> &ServerFacts {
    talk.answer_path("/versions", 200, VERSIONS)
        .answer_path("/login", 200, LOGIN)
        .answer_path("/auth_metadata", 404, NO_OAUTH);
    talk.ok()
}

#[test]
fn a_server_is_asked_for_versions_sign_in_and_oauth_at_once() {
    let mut talk = discover("https://matrix.example.org");
    assert_eq!(
        talk.requests,
        [
            "GET /_matrix/client/versions",
            "GET /_matrix/client/v3/login",
            "GET /_matrix/client/v1/auth_metadata",
        ]
    );
    let facts = ordinary(&mut talk);
    assert_eq!(facts.versions, ["v1.1", "v1.15"]);
    let kinds: Vec<_> = facts
        .login_flows
        .iter()
        .map(|flow| flow.kind.as_str())
        .collect();
    assert_eq!(
        kinds,
        ["m.login.password", "m.login.sso"],
        "what is malformed hides nothing else"
    );
    assert_eq!((&facts.oauth_issuer, &facts.registration), (&None, &None));
}

#[test]
fn a_name_is_looked_up_in_its_well_known_document() {
    let mut talk = discover("example.org");
    assert_eq!(
        talk.job().url(),
        "https://example.org/.well-known/matrix/client"
    );
    talk.answer(
        200,
        &json!({ "m.homeserver": { "base_url": "https://matrix.example.org/" }, "x": 1 }),
    );
    assert_eq!(
        ordinary(&mut talk).server.as_str(),
        "https://matrix.example.org"
    );
}

#[test]
fn a_name_without_a_document_is_the_server_itself() {
    let mut talk = discover("example.org");
    talk.answer_text(404, "<html>not found</html>");
    assert_eq!(ordinary(&mut talk).server.as_str(), "https://example.org");
}

#[test]
fn a_document_that_is_broken_or_leads_astray_is_refused() {
    for (status, body) in [
        (500, "oops"),
        (200, "<html>"),
        (200, "{}"),
        (200, r#"{"m.homeserver":{}}"#),
        (200, r#"{"m.homeserver":{"base_url":5}}"#),
        (200, r#"{"m.homeserver":{"base_url":"not a url"}}"#),
        (200, r#"{"m.homeserver":{"base_url":"file:///etc/passwd"}}"#),
        (
            200,
            r#"{"m.homeserver":{"base_url":"http://matrix.example.org"}}"#,
        ),
        (
            200,
            r#"{"m.homeserver":{"base_url":"https://localhost:8008"}}"#,
        ),
        (200, r#"{"m.homeserver":{"base_url":"https://127.0.0.1"}}"#),
        (200, r#"{"m.homeserver":{"base_url":"https://10.1.2.3"}}"#),
        (
            200,
            r#"{"m.homeserver":{"base_url":"https://192.168.0.1"}}"#,
        ),
        (
            200,
            r#"{"m.homeserver":{"base_url":"https://169.254.169.254"}}"#,
        ),
        (200, r#"{"m.homeserver":{"base_url":"https://[fd00::1]"}}"#),
        (
            200,
            r#"{"m.homeserver":{"base_url":"https://[::ffff:127.0.0.1]"}}"#,
        ),
        (200, r#"{"m.homeserver":{"base_url":"https://0.0.0.0"}}"#),
        (200, r#"{"m.homeserver":{"base_url":"https://127.1"}}"#),
        (200, r#"{"m.homeserver":{"base_url":"https://2130706433"}}"#),
    ] {
        let mut talk = discover("example.org");
        talk.answer_text(status, body);
        assert!(
            matches!(talk.error(), AuthError::WellKnown { .. }),
            "{body}: {}",
            talk.error()
        );
    }
}

#[test]
fn what_does_not_speak_matrix_is_said_not_to() {
    for (status, body) in [
        (200, "<html>welcome</html>"),
        (200, "{}"),
        (404, "<html>"),
        (404, r#"{"errcode":"M_NOT_FOUND","error":"no"}"#),
        (500, ""),
        (200, r#"{"versions":"all"}"#),
    ] {
        let mut talk = discover("https://example.org");
        talk.answer_path("/versions", status, body);
        assert!(
            matches!(talk.error(), AuthError::NotMatrix { .. }),
            "{body}: {}",
            talk.error()
        );
    }
}

#[test]
fn a_network_failure_is_told_from_an_answer_that_is_none() {
    let mut talk = discover("example.org");
    talk.outcome(Outcome::Failed(transport_error(TransportKind::Connect)));
    assert!(matches!(talk.error(), AuthError::Unreachable { .. }));
    let mut talk = discover("example.org");
    talk.outcome(Outcome::Failed(transport_error(TransportKind::TooLarge)));
    assert!(matches!(talk.error(), AuthError::NotMatrix { .. }));
}

#[test]
fn a_server_that_delegates_is_recognised() {
    let metadata = json!({
        "issuer": "https://account.example.org/",
        "authorization_endpoint": "https://account.example.org/authorize",
        "token_endpoint": "https://account.example.org/token",
        "registration_endpoint": "https://account.example.org/clients",
        "revocation_endpoint": "https://account.example.org/revoke",
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "response_modes_supported": ["query", "fragment"],
        "code_challenge_methods_supported": ["S256"],
    });
    let mut talk = discover("https://matrix.example.org");
    talk.answer_path("/versions", 200, VERSIONS)
        .answer_path("/login", 404, NO_OAUTH)
        .answer_path("/auth_metadata", 200, &metadata.to_string());
    assert_eq!(
        talk.ok().oauth_issuer.as_deref(),
        Some("https://account.example.org/")
    );
    assert!(talk.ok().login_flows.is_empty());
}

fn registration(status: u16, body: &str) -> RegistrationOffer {
    let mut talk =
        Talk::start(Discovery::new("https://e.org".parse().unwrap()).with_registration());
    talk.answer_path("/versions", 200, VERSIONS)
        .answer_path("/login", 200, LOGIN)
        .answer_path("/auth_metadata", 404, NO_OAUTH)
        .answer_path("/register", status, body);
    talk.ok().registration.clone().unwrap()
}

#[test]
fn what_a_stranger_would_be_asked_is_told_where_it_is_asked_for() {
    let open = registration(
        401,
        r#"{"session":"s","flows":[{"stages":["m.login.terms"]}],"params":null}"#,
    );
    assert!(matches!(open, RegistrationOffer::Open(info) if info.flows.len() == 1));
    let closed = registration(403, r#"{"errcode":"M_FORBIDDEN","error":"no"}"#);
    assert_eq!(
        closed,
        RegistrationOffer::Closed {
            message: "no".into()
        }
    );
    let limited = registration(429, r#"{"errcode":"M_LIMIT_EXCEEDED"}"#);
    assert!(matches!(limited, RegistrationOffer::Unknown { .. }));
}

#[test]
fn facts_survive_being_stored() {
    let mut talk = discover("https://matrix.example.org");
    let facts = ordinary(&mut talk);
    let stored = serde_json::to_string(facts).unwrap();
    assert_eq!(
        &serde_json::from_str::<ServerFacts>(&stored).unwrap(),
        facts
    );
}

#[test]
fn nobody_registers_where_single_sign_on_is_preferred() {
    let sso = r#"{"flows":[{"type":"m.login.sso","oauth_aware_preferred":true}]}"#;
    let mut talk =
        Talk::start(Discovery::new("https://e.org".parse().unwrap()).with_registration());
    talk.answer_path("/versions", 200, VERSIONS)
        .answer_path("/login", 200, sso)
        .answer_path("/auth_metadata", 404, NO_OAUTH);
    assert_eq!(talk.ok().registration, None);
    assert!(
        !talk
            .requests
            .iter()
            .any(|request| request.starts_with("POST"))
    );
}

#[test]
fn the_question_for_oauth_may_fail_in_any_way() {
    let mut talk = discover("https://matrix.example.org");
    talk.answer_path("/versions", 200, VERSIONS)
        .answer_path("/login", 200, LOGIN);
    talk.outcome(Outcome::Failed(transport_error(TransportKind::Redirect)));
    assert_eq!(talk.ok().oauth_issuer, None);
}
