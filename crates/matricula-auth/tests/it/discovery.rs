//! Finding out what a server is and offers.

use matricula_auth::{
    Answer, AuthError, Discovery, DiscoveryError, PasswordPolicy, Progress, Prompt,
    RegistrationMethod, RegistrationOffer, ServerError, ServerInfo, Warning, WellKnown,
};
use matricula_core::{Auth, CredentialRef, Secret, TransportErrorKind, scheduler::Outcome};
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
fn ordinary(talk: &mut Talk<Discovery>) -> &ServerInfo {
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
        if talk.is_asking() {
            talk.reply(Answer::Unavailable);
        }
        assert!(
            matches!(
                talk.error(),
                AuthError::Discovery(DiscoveryError::WellKnown { .. })
            ),
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
            matches!(
                talk.error(),
                AuthError::Server(ServerError::NotMatrix { .. })
            ),
            "{body}: {}",
            talk.error()
        );
    }
}

#[test]
fn a_network_failure_is_told_from_an_answer_that_is_none() {
    let mut talk = discover("example.org");
    talk.outcome(Outcome::Failed(transport_error(
        TransportErrorKind::Connect,
    )));
    talk.reply(Answer::Unavailable);
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::Unreachable { .. })
    ));
    let mut talk = discover("example.org");
    talk.outcome(Outcome::Failed(transport_error(
        TransportErrorKind::TooLarge,
    )));
    talk.reply(Answer::Unavailable);
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::NotMatrix { .. })
    ));
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
    let mut talk = Talk::start(Discovery::new("https://e.org".parse().unwrap()).registration(true));
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
    assert_eq!(&serde_json::from_str::<ServerInfo>(&stored).unwrap(), facts);
}

#[test]
fn nobody_registers_where_single_sign_on_is_preferred() {
    let sso = r#"{"flows":[{"type":"m.login.sso","oauth_aware_preferred":true}]}"#;
    let mut talk = Talk::start(Discovery::new("https://e.org".parse().unwrap()).registration(true));
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
    talk.outcome(Outcome::Failed(transport_error(
        TransportErrorKind::Redirect,
    )));
    assert_eq!(talk.ok().oauth_issuer, None);
}

/// The verdicts of the specification, by what becomes of the name.
#[test]
fn each_answer_of_a_well_known_address_has_the_verdict_of_the_specification() {
    let good = r#"{"m.homeserver":{"base_url":"https://matrix.example.org"}}"#;
    let with_identity = |base_url: &str| {
        let mut document: serde_json::Value = serde_json::from_str(good).unwrap();
        document["m.identity_server"] = json!({ "base_url": base_url });
        document.to_string()
    };
    let verdict = |status: u16, body: &str| {
        let mut talk = discover("example.org");
        talk.answer_text(status, body);
        if talk.is_asking() {
            return "FAIL_PROMPT";
        }
        if let Some(result) = &talk.result {
            assert!(
                matches!(
                    result,
                    Err(AuthError::Discovery(DiscoveryError::WellKnown { .. }))
                ),
                "{result:?}"
            );
            return "FAIL_ERROR";
        }
        match ordinary(&mut talk).well_known {
            WellKnown::Missing => "IGNORE",
            _ => "found",
        }
    };
    for (expected, status, body) in [
        ("found", 200, good.to_owned()),
        ("found", 200, with_identity("https://id.example.org")),
        ("IGNORE", 404, String::new()),
        ("IGNORE", 404, r#"{"errcode":"M_NOT_FOUND"}"#.to_owned()),
        ("FAIL_PROMPT", 500, String::new()),
        ("FAIL_PROMPT", 403, "<html>".to_owned()),
        ("FAIL_PROMPT", 204, String::new()),
        ("FAIL_PROMPT", 200, String::new()),
        ("FAIL_PROMPT", 200, "<html>".to_owned()),
        ("FAIL_PROMPT", 200, "[]".to_owned()),
        ("FAIL_PROMPT", 200, "{}".to_owned()),
        ("FAIL_PROMPT", 200, r#"{"m.homeserver":{}}"#.to_owned()),
        (
            "FAIL_PROMPT",
            200,
            r#"{"m.homeserver":{"base_url":"https://matrix.example.org"},"m.identity_server":{}}"#
                .to_owned(),
        ),
        (
            "FAIL_ERROR",
            200,
            r#"{"m.homeserver":{"base_url":"matrix.example.org"}}"#.to_owned(),
        ),
        (
            "FAIL_ERROR",
            200,
            r#"{"m.homeserver":{"base_url":"http://matrix.example.org"}}"#.to_owned(),
        ),
        ("FAIL_ERROR", 200, with_identity("http://id.example.org")),
        ("FAIL_ERROR", 200, with_identity("https://192.168.1.1")),
    ] {
        assert_eq!(verdict(status, &body), expected, "{status} {body}");
    }
}

#[test]
fn a_name_without_a_document_is_taken_as_the_address_and_that_is_said() {
    let mut talk = discover("example.org");
    talk.answer_text(404, "");
    let notice = Progress::NoWellKnown {
        name: "example.org".into(),
        server: "https://example.org".parse().unwrap(),
    };
    assert_eq!(talk.notices, [notice]);
    let facts = ordinary(&mut talk);
    assert_eq!(facts.well_known, WellKnown::Missing);
    assert!(facts.warnings().contains(&Warning::NoWellKnown));
}

#[test]
fn the_person_is_asked_for_the_address_where_the_document_is_no_good() {
    let mut talk = discover("@alice:example.org");
    talk.answer_text(200, "<html>");
    let Prompt::HomeserverUrl { name, why } = talk.question() else {
        panic!("{:?}", talk.question());
    };
    assert_eq!(name, "example.org");
    assert!(
        why.contains("names no homeserver that can be used"),
        "{why}"
    );
    talk.reply(Answer::Text("not a server/".into()));
    talk.reply(Answer::Text("https://matrix.example.org".into()));
    let facts = ordinary(&mut talk);
    assert_eq!(facts.server.as_str(), "https://matrix.example.org");
    assert!(matches!(facts.well_known, WellKnown::GivenInstead { .. }));
}

#[test]
fn the_person_is_asked_where_the_name_itself_is_no_homeserver_either() {
    let mut talk = discover("example.org");
    talk.answer_text(404, "");
    talk.answer_path("/auth_metadata", 404, NO_OAUTH)
        .answer_path("/login", 404, NO_OAUTH)
        .answer_path("/versions", 404, "<html>");
    assert!(matches!(talk.question(), Prompt::HomeserverUrl { .. }));
    talk.reply(Answer::Unavailable);
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::NotMatrix { .. })
    ));
}

#[test]
fn whoever_types_nonsense_is_asked_five_times_at_most() {
    let mut talk = discover("example.org");
    talk.answer_text(200, "<html>");
    for _ in 0..5 {
        talk.reply(Answer::Text("http://example.org is plain".into()));
    }
    assert!(matches!(
        talk.error(),
        AuthError::Discovery(DiscoveryError::WellKnown { .. })
    ));
}

#[test]
fn what_was_tried_is_kept_in_order_with_what_came_of_it() {
    let mut talk = discover("example.org");
    talk.answer(
        200,
        &json!({ "m.homeserver": { "base_url": "https://matrix.example.org" }, "m.identity_server": { "base_url": "https://id.example.org" } }),
    );
    talk.answer_path(
        "/auth_metadata",
        404,
        r#"{"errcode":"M_UNRECOGNIZED","error":"no"}"#,
    )
    .answer_path("/login", 200, LOGIN)
    .answer_path("/versions", 200, VERSIONS);
    let facts = talk.ok();
    assert_eq!(
        facts.identity_server.as_ref().map(|url| url.as_str()),
        Some("https://id.example.org")
    );
    let tried: Vec<_> = facts
        .tried
        .iter()
        .map(|one| {
            let url = one.url.trim_start_matches("https://");
            format!("{} {url} {:?} {:?}", one.operation, one.status, one.error)
        })
        .collect();
    assert_eq!(
        tried,
        [
            "getWellknown example.org/.well-known/matrix/client Some(200) None",
            "getVersions matrix.example.org/_matrix/client/versions Some(200) None",
            "getLoginFlows matrix.example.org/_matrix/client/v3/login Some(200) None",
            r#"getAuthMetadata matrix.example.org/_matrix/client/v1/auth_metadata Some(404) Some("no")"#,
        ]
    );
}

#[test]
fn what_was_tried_is_told_where_it_failed_too() {
    let mut talk = discover("https://example.org");
    talk.answer_path("/versions", 200, r#"{"versions":"all"}"#);
    talk.error();
    let tried = &talk.conversation.server_info().tried;
    assert_eq!(tried.len(), 3);
    let error = tried[0].error.as_deref().unwrap();
    assert!(error.contains("versions"), "{error}");
    assert_eq!(tried[1].status, None, "nobody waits for it any more");
}

#[test]
fn a_password_policy_is_kept_as_rules_that_a_password_keeps_or_breaks() {
    let policy = |status: u16, body: &str| -> Option<PasswordPolicy> {
        let address = "https://e.org".parse().unwrap();
        let mut talk = Talk::start(Discovery::new(address).password_policy(true));
        talk.answer_path("/password_policy", status, body);
        ordinary(&mut talk).password_policy.clone()
    };
    for (status, body) in [
        (404, NO_OAUTH),
        (200, "{}"),
        (200, "<html>"),
        (200, "[]"),
        (500, ""),
    ] {
        assert_eq!(policy(status, body), None, "{status} {body}");
    }
    let policy = policy(
        200,
        r#"{"m.minimum_length":8,"m.require_digit":true,"m.require_symbol":true,
            "m.require_uppercase":true,"m.require_lowercase":true,"m.require_emoji":true}"#,
    )
    .unwrap();
    let complaint = |password: &str| {
        let complaint = policy.complaint(&Secret::from(password));
        complaint.map(|(code, _)| code.as_str().to_owned())
    };
    for (password, code) in [
        ("aA1-aA1", Some("M_PASSWORD_TOO_SHORT")),
        ("aA-aA-aA", Some("M_PASSWORD_NO_DIGIT")),
        ("aA1aA1aA", Some("M_PASSWORD_NO_SYMBOL")),
        ("aa1-aa1-", Some("M_PASSWORD_NO_UPPERCASE")),
        ("AA1-AA1-", Some("M_PASSWORD_NO_LOWERCASE")),
        ("aA1-aA1-", None),
        ("aA1äaA1ä", None),
    ] {
        assert_eq!(complaint(password).as_deref(), code, "{password}");
    }
}

#[test]
fn capabilities_are_asked_for_in_the_session_that_is_given() {
    let address = "https://e.org".parse().unwrap();
    let credential = CredentialRef::new("@a:e.org/D");
    let discovery = Discovery::new(address).session(credential.clone());
    let mut talk = Talk::start(discovery);
    let job = talk.job_to("/capabilities");
    assert_eq!(*job.auth(), Auth::Required(credential));
    let body = r#"{"capabilities":{"m.change_password":{"enabled":false}}}"#;
    talk.answer_path("/capabilities", 200, body);
    let capabilities = ordinary(&mut talk).capabilities.clone().unwrap();
    assert_eq!(
        capabilities.change_password.map(|one| one.enabled),
        Some(false)
    );
}

#[test]
fn what_an_oauth_server_can_do_is_kept() {
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
        "prompt_values_supported": ["create"],
        "account_management_uri": "javascript:alert(1)",
        "account_management_actions_supported": ["org.matrix.profile"],
    });
    let mut talk = discover("https://matrix.example.org");
    talk.answer_path("/versions", 200, VERSIONS)
        .answer_path("/login", 404, NO_OAUTH)
        .answer_path("/auth_metadata", 200, &metadata.to_string());
    let facts = talk.ok();
    let oauth = facts.oauth.as_ref().unwrap();
    assert!(oauth.can_sign_up());
    assert_eq!(oauth.grants, ["authorization_code", "refresh_token"]);
    assert_eq!(oauth.account_management, None, "nobody is sent to a script");
    assert_eq!(oauth.account_actions, ["org.matrix.profile"]);
    let way = RegistrationMethod::OAuth {
        issuer: "https://account.example.org/".into(),
        can_sign_up: true,
    };
    assert_eq!(facts.registration_methods(), [way]);
}

#[test]
fn ways_and_warnings_follow_from_the_facts() {
    let facts = |server: &str, versions: &str, flows: &str| {
        let address = server.parse().unwrap();
        let mut talk = Talk::start(Discovery::new(address).registration(true));
        talk.answer_path("/versions", 200, versions)
            .answer_path("/login", 200, LOGIN)
            .answer_path("/auth_metadata", 404, NO_OAUTH)
            .answer_path("/register", 401, flows);
        talk.ok().clone()
    };
    let open = r#"{"session":"s","flows":[{"stages":["m.login.dummy"]},{"stages":["m.login.recaptcha","m.login.email.identity"]}]}"#;
    let facts_of_open = facts("https://e.org", r#"{"versions":["r0.6.1"]}"#, open);
    assert_eq!(
        facts_of_open.warnings(),
        [Warning::OpenRegistration, Warning::OldVersions]
    );
    let ways: Vec<_> = facts_of_open
        .registration_methods()
        .iter()
        .map(|way| format!("{way}: {}", way.demands()))
        .collect();
    assert_eq!(
        ways,
        [
            "m.login.dummy: nothing more",
            "m.login.recaptcha → m.login.email.identity: a captcha and an email address",
            "single sign-on: single sign-on in a browser",
        ]
    );
    let verified = r#"{"session":"s","flows":[{"stages":["m.login.email.identity"]}]}"#;
    let facts_of_verified = facts("http://127.0.0.1:1", VERSIONS, verified);
    assert_eq!(facts_of_verified.warnings(), []);
}
