//! A value that is not needed stops nothing when it cannot be read: it counts as absent.

use matricula_auth::{
    Account, AuthError, Conversation, Discovery, Login, OAuthLogin, Registration, WellKnown,
};
use serde_json::{Value, json};

use crate::{
    helpers::{alice, refused, register, server_info},
    oauth_helpers::{
        REDIRECT_URI, client_metadata, come_back, device_code, device_login, form_field, login,
        page_parameter, registering_client, requesting_tokens, server_metadata, tokens, whoami,
    },
    scripted_server::ScriptedServer,
};

/// One field each, as no server should send it.
fn with_each(body: &Value, fields: &[(&str, &[Value])]) -> Vec<Value> {
    let one = |(name, values): &(&str, &[Value])| -> Vec<Value> {
        let with = |value: &Value| {
            let mut body = body.clone();
            body[*name] = value.clone();
            body
        };
        values.iter().map(with).collect()
    };
    fields.iter().flat_map(one).collect()
}

/// Answers to a login or registration that gave a session.
fn sessions() -> Vec<Value> {
    let good = json!({
        "user_id": "@alice:example.org", "access_token": "syt_a", "device_id": "DEV",
    });
    with_each(
        &good,
        &[
            (
                "home_server",
                &[
                    json!(""),
                    json!(null),
                    json!(5),
                    json!({}),
                    json!("a b"),
                    json!([]),
                ],
            ),
            (
                "well_known",
                &[
                    json!({}),
                    json!(null),
                    json!([]),
                    json!("https://example.org"),
                    json!({ "m.homeserver": {} }),
                    json!({ "m.homeserver": { "base_url": 5 } }),
                    json!({ "m.homeserver": null, "m.identity_server": {} }),
                ],
            ),
            (
                "device_id",
                &[json!(""), json!(null), json!(5), json!({}), json!([])],
            ),
            (
                "refresh_token",
                &[json!(""), json!(null), json!(5), json!({}), json!(false)],
            ),
            (
                "expires_in_ms",
                &[
                    json!(null),
                    json!(-1),
                    json!("soon"),
                    json!({}),
                    json!(true),
                ],
            ),
            ("org.example.extra", &[json!(null), json!([{}])]),
        ],
    )
}

fn check(account: &Account, body: &Value) {
    assert_eq!(account.user_id.as_str(), "@alice:example.org", "{body}");
    assert_eq!(account.access_token, Some("syt_a".into()), "{body}");
    let device = body["device_id"].as_str().filter(|id| !id.is_empty());
    assert_eq!(account.device_id.as_deref(), device, "{body}");
    assert_eq!((&account.refresh_token, account.expires_at), (&None, None));
}

#[test]
fn session_of_a_login_is_taken() {
    for body in sessions() {
        let login = Login::new(&server_info(), "alice", "wordpass".into());
        let mut server = ScriptedServer::start(login);
        server.respond(200, &body);
        check(server.ok(), &body);
    }
}

#[test]
fn session_of_a_registration_is_taken() {
    for body in sessions() {
        let mut server = register(alice());
        server.respond(200, &json!({})).respond(200, &body);
        check(server.ok(), &body);
        assert_eq!(
            server.requests.len(),
            2,
            "{body}: nothing is left to find out"
        );
    }
}

/// The login that finds out whether an account was made.
#[test]
fn session_that_settles_a_doubt_is_taken() {
    for body in sessions() {
        let mut server = register(alice());
        server
            .respond(200, &json!({}))
            .lose()
            .respond(400, &refused("M_USER_IN_USE"))
            .respond(200, &body);
        check(server.ok(), &body);
    }
}

/// The check of a username is optional, and so is what it answers.
#[test]
fn unreadable_check_of_a_name_stops_nothing() {
    for (status, body) in [
        (200, "{}"),
        (200, "[]"),
        (200, ""),
        (200, "<html>"),
        (200, r#"{"available":null}"#),
        (200, r#"{"available":"yes"}"#),
        (200, r#"{"available":false}"#),
        (204, ""),
        (401, r#"{"errcode":"M_MISSING_TOKEN","error":"no"}"#),
        (401, "<html>"),
        (404, "<html>"),
        (405, r#"{"errcode":"M_UNRECOGNIZED"}"#),
        (
            500,
            r#"{"errcode":"M_UNKNOWN","error":"Internal server error"}"#,
        ),
        (500, "<html>"),
        (502, ""),
        (501, r#"{"errcode":"M_UNKNOWN"}"#),
    ] {
        let mut server = register(alice());
        server.respond_text(status, body);
        let last = server.requests.last().unwrap();
        assert_eq!(last, "POST /_matrix/client/v3/register", "{status} {body}");
        server.respond(
            200,
            &json!({ "user_id": "@alice:example.org", "access_token": "syt_a" }),
        );
        server.ok();
    }
}

fn discovered<C>(conversation: C, versions: &Value) -> ScriptedServer<C>
where
    C: Conversation<Error: Into<AuthError>>,
{
    let mut server = ScriptedServer::start(conversation);
    let none = r#"{"errcode":"M_UNRECOGNIZED"}"#;
    server
        .respond_path("/versions", 200, &versions.to_string())
        .respond_path("/login", 200, r#"{"flows":[{"type":"m.login.password"}]}"#)
        .respond_path("/auth_metadata", 404, none);
    server
}

#[test]
fn server_with_odd_features_is_discovered() {
    let good = json!({ "versions": ["v1.11"] });
    let odd = with_each(
        &good,
        &[
            (
                "unstable_features",
                &[
                    json!({ "org.matrix.a": "yes", "org.matrix.b": true }),
                    json!({ "org.matrix.a": 1, "org.matrix.b": null }),
                    json!({ "org.matrix.a": { "enabled": true }, "": [] }),
                    json!([]),
                    json!("none"),
                    json!(null),
                ],
            ),
            ("server", &[json!(5), json!({ "name": "Synapse" })]),
        ],
    );
    for body in odd {
        let discovery = Discovery::new("https://matrix.example.org".parse().unwrap());
        let server = discovered(discovery, &body);
        assert_eq!(server.ok().versions, ["v1.11"], "{body}");
    }
}

/// The bodies are texts: some of these values are none that `Value` holds.
#[test]
fn odd_part_of_the_login_flows_hides_no_other() {
    let password = r#"{"type":"m.login.password"}"#;
    for odd in [
        "5",
        "null",
        "[]",
        "{}",
        r#"{"type":5}"#,
        r#"{"type":"m.login.sso","identity_providers":5}"#,
        r#"{"type":"m.login.sso","identity_providers":[5,{"id":""},{"name":"x"}]}"#,
        r#"{"type":"m.login.sso","identity_providers":[{"id":"i","name":"\ud83d"}]}"#,
        r#"{"type":"m.login.token","get_login_token":1e400}"#,
        r#"{"type":"\ud800"}"#,
        "1e400",
    ] {
        let server = Discovery::new("https://matrix.example.org".parse().unwrap());
        let mut server = ScriptedServer::start(server);
        server
            .respond_path("/versions", 200, r#"{"versions":["v1.11"],"server":1e400}"#)
            .respond_path("/login", 200, &format!(r#"{{"flows":[{odd},{password}]}}"#))
            .respond_path(
                "/auth_metadata",
                404,
                r#"{"errcode":"M_UNRECOGNIZED","a":"\ud800"}"#,
            );
        let mut kinds = server
            .ok()
            .login_flows
            .iter()
            .map(|flow| flow.kind.as_str());
        assert_eq!(kinds.next_back(), Some("m.login.password"), "{odd}");
    }
}

#[test]
fn provider_without_a_name_has_its_id() {
    let server = Discovery::new("https://matrix.example.org".parse().unwrap());
    let mut server = ScriptedServer::start(server);
    let flows = json!({ "flows": [{ "type": "m.login.sso", "identity_providers": [
        { "id": "a" }, { "id": "b", "name": 5 }, { "id": "c", "name": " " }, { "id": "d", "name": "D" },
    ] }] });
    server
        .respond_path("/versions", 200, r#"{"versions":["v1.11"]}"#)
        .respond_path("/login", 200, &flows.to_string())
        .respond_path("/auth_metadata", 404, r#"{"errcode":"M_UNRECOGNIZED"}"#);
    let providers = &server.ok().login_flows[0].identity_providers;
    let shown: Vec<_> = providers.iter().map(|one| (&*one.id, &*one.name)).collect();
    assert_eq!(shown, [("a", "a"), ("b", "b"), ("c", "c"), ("d", "D")]);
}

#[test]
fn odd_rule_of_the_password_policy_is_none() {
    for (rules, length, digit) in [
        (r#""m.minimum_length":8.0,"m.require_digit":true"#, 8, true),
        (r#""m.minimum_length":8e0,"m.require_digit":1"#, 8, false),
        (r#""m.minimum_length":"8","m.require_digit":true"#, 0, true),
        (r#""m.minimum_length":-8,"m.require_digit":true"#, 0, true),
        (r#""m.minimum_length":8.5,"m.require_digit":true"#, 0, true),
        (
            r#""m.minimum_length":1e400,"m.require_digit":true"#,
            0,
            true,
        ),
        (
            r#""m.minimum_length":1e300,"m.require_digit":true"#,
            0,
            true,
        ),
        (
            r#""m.minimum_length":8,"m.require_digit":"\ud800""#,
            8,
            false,
        ),
    ] {
        let server = Discovery::new("https://matrix.example.org".parse().unwrap());
        let mut server = discovered(server.password_policy(true), &json!({ "versions": [] }));
        server.respond_path("/password_policy", 200, &format!("{{{rules}}}"));
        let policy = server.ok().password_policy.as_ref().unwrap();
        assert_eq!(
            (policy.minimum_length, policy.digit),
            (length, digit),
            "{rules}"
        );
    }
}

/// The session is there: it is not lost for a word about it.
#[test]
fn tokens_are_taken_with_an_odd_field() {
    let odd = [json!(null), json!(5), json!({}), json!("")];
    let mut answers = with_each(
        &tokens(),
        &[
            ("token_type", &odd),
            ("expires_in", &odd),
            ("scope", &odd[..3]),
            ("id_token", &odd),
        ],
    );
    let mut without = tokens();
    without.as_object_mut().unwrap().remove("token_type");
    answers.push(without);
    for answer in answers {
        let mut server = requesting_tokens();
        server.respond(200, &answer).respond(200, &whoami());
        let account = server.ok();
        assert_eq!(account.access_token, Some("acc".into()), "{answer}");
    }
}

#[test]
fn device_code_is_used_with_an_odd_field() {
    let odd = [json!(null), json!(-5), json!("soon"), json!({})];
    let answers = with_each(
        &device_code(),
        &[
            ("expires_in", &odd),
            ("interval", &odd),
            ("verification_uri_complete", &[json!(5), json!({})]),
        ],
    );
    for answer in answers {
        let mut server = ScriptedServer::start(device_login());
        server
            .respond(200, &server_metadata())
            .respond(201, &json!({ "client_id": "c1" }))
            .respond(200, &answer);
        server.wake();
        server.respond(200, &tokens()).respond(200, &whoami());
        assert!(server.ok().oauth.is_some(), "{answer}");
    }
}

/// The specification says `FAIL_PROMPT` or `FAIL_ERROR` to these: a deliberate deviation.
#[test]
fn odd_identity_server_is_none() {
    let good = json!({ "m.homeserver": { "base_url": "https://matrix.example.org" } });
    let odd = with_each(
        &good,
        &[
            (
                "m.identity_server",
                &[
                    json!({}),
                    json!(null),
                    json!([]),
                    json!("https://id.example.org"),
                    json!({ "base_url": null }),
                    json!({ "base_url": 5 }),
                    json!({ "base_url": "" }),
                    json!({ "base_url": "id.example.org" }),
                    json!({ "base_url": "http://id.example.org" }),
                    json!({ "base_url": "https://10.0.0.1" }),
                ],
            ),
            ("m.tile_server", &[json!({}), json!(5), json!(null)]),
            ("org.example.other", &[json!([{}])]),
        ],
    );
    for document in odd {
        let mut server = ScriptedServer::start(Discovery::new("example.org".parse().unwrap()));
        server.respond(200, &document);
        assert!(!server.is_asking(), "{document}");
        let none = r#"{"errcode":"M_UNRECOGNIZED"}"#;
        server
            .respond_path("/versions", 200, r#"{"versions":["v1.11"]}"#)
            .respond_path("/login", 200, r#"{"flows":[{"type":"m.login.password"}]}"#)
            .respond_path("/auth_metadata", 404, none);
        let info = server.ok();
        assert_eq!(info.server.as_str(), "https://matrix.example.org");
        assert_eq!(info.well_known, WellKnown::Found, "{document}");
        assert_eq!(info.identity_server, None, "{document}");
    }
}

/// What the documents of a server look like after an editor has saved them.
#[test]
fn byte_order_mark_is_skipped() {
    let mark = "\u{feff}";
    let mut server = ScriptedServer::start(Discovery::new("example.org".parse().unwrap()));
    let document = r#"{"m.homeserver":{"base_url":" https://münchen.test/ "}}"#;
    server.respond_text(200, &format!("{mark}{document}"));
    let none = format!(r#"{mark}{{"errcode":"M_UNRECOGNIZED"}}"#);
    let login = r#"{"flows":[{"type":"m.login.password"}]}"#;
    server
        .respond_path(
            "/versions",
            200,
            &format!(r#"{mark}{{"versions":["v1.11"]}}"#),
        )
        .respond_path("/login", 200, &format!("{mark}{login}"))
        .respond_path("/auth_metadata", 404, &none);
    let info = server.ok();
    assert_eq!(info.server.as_str(), "https://xn--mnchen-3ya.test");
    assert_eq!(info.login_flows[0].kind, "m.login.password");

    let mut server = ScriptedServer::start(Registration::new(info, alice()));
    let offer = r#"{"session":"s","flows":[{"stages":["m.login.dummy"]}]}"#;
    let success = r#"{"user_id":"@alice:example.org","access_token":"syt_a","device_id":"DEV"}"#;
    server
        .respond_text(200, &format!(r#"{mark}{{"available":true}}"#))
        .respond_text(401, &format!("{mark}{offer}"))
        .respond_text(200, &format!("{mark}{success}"));
    assert_eq!(server.ok().access_token, Some("syt_a".into()));
}

/// Values of every JSON type.
fn every_type() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!(""),
        json!("odd"),
        json!([]),
        json!([5, {}]),
        json!({}),
    ]
}

#[test]
fn odd_metadata_of_a_service_stops_no_page() {
    let odd = every_type();
    let fields: Vec<(&str, &[Value])> = [
        "account_management_uri",
        "account_management_actions_supported",
        "device_authorization_endpoint",
        "prompt_values_supported",
        "grant_types_supported",
        "response_modes_supported",
        "response_types_supported",
        "service_documentation",
    ]
    .map(|name| (name, &*odd))
    .into();
    let mut bodies = with_each(&server_metadata(), &fields);
    // An endpoint that no browser needs, and that secrets may not go to.
    let unsafe_one = [
        json!("http://account.example.org/device"),
        json!("https://10.0.0.1/device"),
    ];
    let device = ("device_authorization_endpoint", &unsafe_one[..]);
    bodies.extend(with_each(&server_metadata(), &[device]));
    for body in bodies {
        let mut server = ScriptedServer::start(login());
        server
            .respond(200, &body)
            .respond(201, &json!({ "client_id": "c1" }));
        assert!(page_parameter(&server, "client_id").is_some(), "{body}");
        let sign_up = OAuthLogin::sign_up(&server_info(), client_metadata(), REDIRECT_URI);
        let mut server = ScriptedServer::start(sign_up);
        server.respond(200, &body).respond(404, &json!({}));
        assert_eq!(server.requests.last().unwrap(), "POST /clients", "{body}");
    }
}

#[test]
fn odd_registration_of_a_client_is_taken() {
    let odd = every_type();
    let fields: Vec<(&str, &[Value])> = [
        "client_secret_expires_at",
        "registration_access_token",
        "redirect_uris",
        "grant_types",
        "client_id_issued_at",
    ]
    .map(|name| (name, &*odd))
    .into();
    let mut bodies = with_each(&json!({ "client_id": "c1" }), &fields);
    let secrets: Vec<Value> = odd.iter().filter(|one| **one != "odd").cloned().collect();
    bodies.extend(with_each(
        &json!({ "client_id": "c1" }),
        &[("client_secret", &secrets)],
    ));
    for body in bodies {
        let mut server = registering_client(login());
        server.respond(201, &body);
        come_back(&mut server, "code=xyz");
        assert_eq!(form_field(server.job(), "client_id").as_deref(), Some("c1"));
        assert_eq!(form_field(server.job(), "client_secret"), None, "{body}");
    }
}

#[test]
fn odd_tokens_of_a_service_are_taken() {
    let odd = every_type();
    let fields: Vec<(&str, &[Value])> = ["expires_in", "scope", "id_token", "org.example.extra"]
        .map(|name| (name, &*odd))
        .into();
    for body in with_each(&tokens(), &fields) {
        let mut server = requesting_tokens();
        server.respond(200, &body).respond(200, &whoami());
        let account = server.ok();
        assert_eq!(account.access_token, Some("acc".into()), "{body}");
        assert_eq!(account.refresh_token, Some("ref".into()), "{body}");
    }
    // An empty token renews nothing.
    let refresh: Vec<Value> = odd.iter().filter(|one| **one != "odd").cloned().collect();
    for body in with_each(&tokens(), &[("refresh_token", &refresh)]) {
        let mut server = requesting_tokens();
        server.respond(200, &body).respond(200, &whoami());
        assert_eq!(server.ok().refresh_token, None, "{body}");
    }
    let fields: Vec<(&str, &[Value])> = ["device_id", "is_guest", "org.example.extra"]
        .map(|name| (name, &*odd))
        .into();
    for body in with_each(&whoami(), &fields) {
        let mut server = requesting_tokens();
        server.respond(200, &tokens()).respond(200, &body);
        assert_eq!(server.ok().user_id.as_str(), "@alice:example.org", "{body}");
    }
}

#[test]
fn odd_device_codes_are_taken() {
    let odd = every_type();
    let fields: Vec<(&str, &[Value])> = ["interval", "verification_uri_complete", "message"]
        .map(|name| (name, &*odd))
        .into();
    for body in with_each(&device_code(), &fields) {
        let mut server = registering_client(device_login());
        server
            .respond(201, &json!({ "client_id": "c1" }))
            .respond(200, &body);
        assert!(server.is_waiting(), "{body}: {:?}", server.result);
        let waited = server.wake();
        assert!((1_000..=7_000).contains(&waited), "{body}: {waited}");
    }
}
