//! Server discovery.

use matricula_auth::{
    Answer, AuthError, Discovery, DiscoveryError, PasswordPolicy, Progress, Prompt,
    RegistrationMethod, RegistrationOffer, ServerError, ServerInfo, Warning, WellKnown,
};
use matricula_core::{Auth, CredentialRef, Secret, TransportErrorKind, scheduler::Outcome};
use serde_json::json;

use crate::scripted_server::{ScriptedServer, transport_error};

const VERSIONS: &str = r#"{"versions":["v1.1","v1.15"]}"#;
const LOGIN: &str =
    r#"{"flows":[{"type":"m.login.password"},{"type":"m.login.sso"},{"odd":1},"x"]}"#;
const NO_OAUTH: &str = r#"{"errcode":"M_UNRECOGNIZED"}"#;

fn discover(server: &str) -> ScriptedServer<Discovery> {
    ScriptedServer::start(Discovery::new(server.parse().unwrap()))
}

/// Answers the three questions of a server without OAuth 2.0.
fn ordinary(script: &mut ScriptedServer<Discovery>) -> &ServerInfo {
    script
        .respond_path("/versions", 200, VERSIONS)
        .respond_path("/login", 200, LOGIN)
        .respond_path("/auth_metadata", 404, NO_OAUTH);
    script.ok()
}

#[test]
fn server_is_asked_in_parallel() {
    let mut script = discover("https://matrix.example.org");
    assert_eq!(
        script.requests,
        [
            "GET /_matrix/client/versions",
            "GET /_matrix/client/v3/login",
            "GET /_matrix/client/v1/auth_metadata",
        ]
    );
    let server_info = ordinary(&mut script);
    assert_eq!(server_info.versions, ["v1.1", "v1.15"]);
    let kinds: Vec<_> = server_info
        .login_flows
        .iter()
        .map(|flow| flow.kind.as_str())
        .collect();
    assert_eq!(
        kinds,
        ["m.login.password", "m.login.sso"],
        "what is malformed hides nothing else"
    );
    assert_eq!(
        (&server_info.oauth_issuer, &server_info.registration),
        (&None, &None)
    );
}

#[test]
fn name_leads_to_well_known_document() {
    let mut script = discover("example.org");
    assert_eq!(
        script.job().url(),
        "https://example.org/.well-known/matrix/client"
    );
    script.respond(
        200,
        &json!({ "m.homeserver": { "base_url": "https://matrix.example.org/" }, "x": 1 }),
    );
    assert_eq!(
        ordinary(&mut script).server.as_str(),
        "https://matrix.example.org"
    );
}

#[test]
fn missing_document_means_same_host() {
    let mut script = discover("example.org");
    script.respond_text(404, "<html>not found</html>");
    assert_eq!(ordinary(&mut script).server.as_str(), "https://example.org");
}

#[test]
fn invalid_document_is_refused() {
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
        let mut script = discover("example.org");
        script.respond_text(status, body);
        if script.is_asking() {
            script.answer(Answer::Unavailable);
        }
        assert!(
            matches!(
                script.error(),
                AuthError::Discovery(DiscoveryError::WellKnown { .. })
            ),
            "{body}: {}",
            script.error()
        );
    }
}

#[test]
fn non_matrix_server_is_reported() {
    for (status, body) in [
        (200, "<html>welcome</html>"),
        (200, "{}"),
        (404, "<html>"),
        (404, r#"{"errcode":"M_NOT_FOUND","error":"no"}"#),
        (500, ""),
        (200, r#"{"versions":"all"}"#),
    ] {
        let mut script = discover("https://example.org");
        script.respond_path("/versions", status, body);
        assert!(
            matches!(
                script.error(),
                AuthError::Server(ServerError::NotMatrix { .. })
            ),
            "{body}: {}",
            script.error()
        );
    }
}

#[test]
fn network_failure_differs_from_non_matrix() {
    let mut script = discover("example.org");
    script.outcome(Outcome::Failed(transport_error(
        TransportErrorKind::Connect,
    )));
    script.answer(Answer::Unavailable);
    assert!(matches!(
        script.error(),
        AuthError::Server(ServerError::Unreachable { .. })
    ));
    let mut script = discover("example.org");
    script.outcome(Outcome::Failed(transport_error(
        TransportErrorKind::TooLarge,
    )));
    script.answer(Answer::Unavailable);
    assert!(matches!(
        script.error(),
        AuthError::Server(ServerError::NotMatrix { .. })
    ));
}

#[test]
fn delegating_server_is_recognised() {
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
    let mut script = discover("https://matrix.example.org");
    script
        .respond_path("/versions", 200, VERSIONS)
        .respond_path("/login", 404, NO_OAUTH)
        .respond_path("/auth_metadata", 200, &metadata.to_string());
    assert_eq!(
        script.ok().oauth_issuer.as_deref(),
        Some("https://account.example.org/")
    );
    assert!(script.ok().login_flows.is_empty());
}

fn registration(status: u16, body: &str) -> RegistrationOffer {
    let mut script =
        ScriptedServer::start(Discovery::new("https://e.org".parse().unwrap()).registration(true));
    script
        .respond_path("/versions", 200, VERSIONS)
        .respond_path("/login", 200, LOGIN)
        .respond_path("/auth_metadata", 404, NO_OAUTH)
        .respond_path("/register", status, body);
    script.ok().registration.clone().unwrap()
}

#[test]
fn registration_flows_are_optional() {
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
fn server_info_survives_storage() {
    let mut script = discover("https://matrix.example.org");
    let server_info = ordinary(&mut script);
    let stored = serde_json::to_string(server_info).unwrap();
    assert_eq!(
        &serde_json::from_str::<ServerInfo>(&stored).unwrap(),
        server_info
    );
}

#[test]
fn preferred_sso_skips_registration_probe() {
    let sso = r#"{"flows":[{"type":"m.login.sso","oauth_aware_preferred":true}]}"#;
    let mut script =
        ScriptedServer::start(Discovery::new("https://e.org".parse().unwrap()).registration(true));
    script
        .respond_path("/versions", 200, VERSIONS)
        .respond_path("/login", 200, sso)
        .respond_path("/auth_metadata", 404, NO_OAUTH);
    assert_eq!(script.ok().registration, None);
    assert!(
        !script
            .requests
            .iter()
            .any(|request| request.starts_with("POST"))
    );
}

#[test]
fn oauth_metadata_may_fail() {
    let mut script = discover("https://matrix.example.org");
    script
        .respond_path("/versions", 200, VERSIONS)
        .respond_path("/login", 200, LOGIN);
    script.outcome(Outcome::Failed(transport_error(
        TransportErrorKind::Redirect,
    )));
    assert_eq!(script.ok().oauth_issuer, None);
}

/// The verdicts of the specification, by what becomes of the name.
#[test]
fn well_known_follows_the_specification() {
    let good = r#"{"m.homeserver":{"base_url":"https://matrix.example.org"}}"#;
    let with_identity = |base_url: &str| {
        let mut document: serde_json::Value = serde_json::from_str(good).unwrap();
        document["m.identity_server"] = json!({ "base_url": base_url });
        document.to_string()
    };
    let verdict = |status: u16, body: &str| {
        let mut script = discover("example.org");
        script.respond_text(status, body);
        if script.is_asking() {
            return "FAIL_PROMPT";
        }
        if let Some(result) = &script.result {
            assert!(
                matches!(
                    result,
                    Err(AuthError::Discovery(DiscoveryError::WellKnown { .. }))
                ),
                "{result:?}"
            );
            return "FAIL_ERROR";
        }
        match ordinary(&mut script).well_known {
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
            "FAIL_ERROR",
            200,
            r#"{"m.homeserver":{"base_url":"matrix.example.org"}}"#.to_owned(),
        ),
        (
            "FAIL_ERROR",
            200,
            r#"{"m.homeserver":{"base_url":"http://matrix.example.org"}}"#.to_owned(),
        ),
        // The specification says FAIL_ERROR, but nothing here needs an identity server.
        ("found", 200, with_identity("http://id.example.org")),
        ("found", 200, with_identity("https://192.168.1.1")),
    ] {
        assert_eq!(verdict(status, &body), expected, "{status} {body}");
    }
}

#[test]
fn rate_limited_document_names_the_wait() {
    let limit = json!({ "errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 700_000 });
    for status in [429, 503] {
        let mut script = discover("example.org");
        script.respond(status, &limit).answer(Answer::Unavailable);
        let error = script.error();
        let AuthError::Server(ServerError::RateLimited { retry_after, .. }) = error else {
            panic!("{status}: {error}")
        };
        assert_eq!(retry_after.map(|wait| wait.as_secs()), Some(700));
    }
}

#[test]
fn missing_document_is_reported() {
    let mut script = discover("example.org");
    script.respond_text(404, "");
    let notice = Progress::NoWellKnown {
        name: "example.org".into(),
        server: "https://example.org".parse().unwrap(),
    };
    assert_eq!(script.progress, [notice]);
    let server_info = ordinary(&mut script);
    assert_eq!(server_info.well_known, WellKnown::Missing);
    assert!(server_info.warnings().contains(&Warning::NoWellKnown));
}

#[test]
fn invalid_document_asks_for_address() {
    let mut script = discover("@alice:example.org");
    script.respond_text(200, "<html>");
    let Prompt::HomeserverUrl { name, why } = script.question() else {
        panic!("{:?}", script.question());
    };
    assert_eq!(name, "example.org");
    assert!(
        why.contains("names no homeserver that can be used"),
        "{why}"
    );
    script.answer(Answer::Text("not a server/".into()));
    script.answer(Answer::Text("https://matrix.example.org".into()));
    let server_info = ordinary(&mut script);
    assert_eq!(server_info.server.as_str(), "https://matrix.example.org");
    assert!(matches!(
        server_info.well_known,
        WellKnown::GivenInstead { .. }
    ));
}

#[test]
fn guessed_host_asks_for_address() {
    let mut script = discover("example.org");
    script.respond_text(404, "");
    script
        .respond_path("/auth_metadata", 404, NO_OAUTH)
        .respond_path("/login", 404, NO_OAUTH)
        .respond_path("/versions", 404, "<html>");
    assert!(matches!(script.question(), Prompt::HomeserverUrl { .. }));
    script.answer(Answer::Unavailable);
    assert!(matches!(
        script.error(),
        AuthError::Server(ServerError::NotMatrix { .. })
    ));
}

#[test]
fn address_is_asked_five_times() {
    let mut script = discover("example.org");
    script.respond_text(200, "<html>");
    for _ in 0..5 {
        script.answer(Answer::Text("http://example.org is plain".into()));
    }
    assert!(matches!(
        script.error(),
        AuthError::Discovery(DiscoveryError::WellKnown { .. })
    ));
}

#[test]
fn probes_are_recorded_in_order() {
    let mut script = discover("example.org");
    script.respond(
        200,
        &json!({ "m.homeserver": { "base_url": "https://matrix.example.org" }, "m.identity_server": { "base_url": "https://id.example.org" } }),
    );
    script
        .respond_path(
            "/auth_metadata",
            404,
            r#"{"errcode":"M_UNRECOGNIZED","error":"no"}"#,
        )
        .respond_path("/login", 200, LOGIN)
        .respond_path("/versions", 200, VERSIONS);
    let server_info = script.ok();
    assert_eq!(
        server_info.identity_server.as_ref().map(|url| url.as_str()),
        Some("https://id.example.org")
    );
    let tried: Vec<_> = server_info
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
fn probes_are_available_after_failure() {
    let mut script = discover("https://example.org");
    script.respond_path("/versions", 200, r#"{"versions":"all"}"#);
    script.error();
    let tried = &script.conversation.server_info().tried;
    assert_eq!(tried.len(), 3);
    let error = tried[0].error.as_deref().unwrap();
    assert!(error.contains("versions"), "{error}");
    assert_eq!(tried[1].status, None, "its result is no longer needed");
}

#[test]
fn password_policy_checks_passwords() {
    let policy = |status: u16, body: &str| -> Option<PasswordPolicy> {
        let address = "https://e.org".parse().unwrap();
        let mut script = ScriptedServer::start(Discovery::new(address).password_policy(true));
        script.respond_path("/password_policy", status, body);
        ordinary(&mut script).password_policy.clone()
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
fn capabilities_need_a_session() {
    let address = "https://e.org".parse().unwrap();
    let credential = CredentialRef::new("@a:e.org/D");
    let discovery = Discovery::new(address).session(credential.clone());
    let mut script = ScriptedServer::start(discovery);
    let job = script.job_to("/capabilities");
    assert_eq!(*job.auth(), Auth::Required(credential));
    let body = r#"{"capabilities":{"m.change_password":{"enabled":false}}}"#;
    script.respond_path("/capabilities", 200, body);
    let capabilities = ordinary(&mut script).capabilities.clone().unwrap();
    assert_eq!(
        capabilities.change_password.map(|one| one.enabled),
        Some(false)
    );
}

#[test]
fn oauth_abilities_are_recorded() {
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
    let mut script = discover("https://matrix.example.org");
    script
        .respond_path("/versions", 200, VERSIONS)
        .respond_path("/login", 404, NO_OAUTH)
        .respond_path("/auth_metadata", 200, &metadata.to_string());
    let server_info = script.ok();
    let oauth = server_info.oauth.as_ref().unwrap();
    assert!(oauth.can_sign_up());
    assert_eq!(oauth.grants, ["authorization_code", "refresh_token"]);
    assert_eq!(oauth.account_management, None, "not a link to a script");
    assert_eq!(oauth.account_actions, ["org.matrix.profile"]);
    let way = RegistrationMethod::OAuth {
        issuer: "https://account.example.org/".into(),
        can_sign_up: true,
    };
    assert_eq!(server_info.registration_methods(), [way]);
}

#[test]
fn methods_and_warnings_follow_from_info() {
    let server_info = |server: &str, versions: &str, flows: &str| {
        let address = server.parse().unwrap();
        let mut script = ScriptedServer::start(Discovery::new(address).registration(true));
        script
            .respond_path("/versions", 200, versions)
            .respond_path("/login", 200, LOGIN)
            .respond_path("/auth_metadata", 404, NO_OAUTH)
            .respond_path("/register", 401, flows);
        script.ok().clone()
    };
    let open = r#"{"session":"s","flows":[{"stages":["m.login.dummy"]},{"stages":["m.login.recaptcha","m.login.email.identity"]}]}"#;
    let info_of_open = server_info("https://e.org", r#"{"versions":["r0.6.1"]}"#, open);
    assert_eq!(
        info_of_open.warnings(),
        [Warning::OpenRegistration, Warning::OldVersions]
    );
    let ways: Vec<_> = info_of_open
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
    let info_of_verified = server_info("http://127.0.0.1:1", VERSIONS, verified);
    assert_eq!(info_of_verified.warnings(), []);
}
