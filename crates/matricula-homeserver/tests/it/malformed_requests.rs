//! Property tests: malformed requests cause no panic and no 500, and every error has a code.

use matricula_core::{Method, Secret};
use matricula_homeserver::{Config, Limit, Limits, Mail, Policy, RegistrationToken, Request};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use crate::{LOGIN, LOGOUT, PASSWORD, REFRESH, REGISTER, Reply, TestServer, VALIDITY, WHOAMI};

const STAGES: [&str; 4] = [
    "m.login.dummy",
    "m.login.terms",
    "m.login.registration_token",
    "org.example.riddle",
];

fn home() -> TestServer {
    let policy = Policy::new("1").translation("en", "Rules", "Be kind.");
    let flows = STAGES
        .map(|it| vec![it])
        .into_iter()
        .chain([STAGES.to_vec()]);
    let mut home = TestServer::new(
        Config::default()
            .flows(flows)
            .guests(true)
            .policy("rules", policy)
            .registration_token(RegistrationToken::new("sesame"))
            .registration_shared_secret("shared")
            .admin("1")
            .mail(Mail::new("127.0.0.1:25").sms_gateway("sms.invalid")),
    );
    home.register_named("alice").ok();
    home
}

fn path() -> impl Strategy<Value = String> {
    let known = select(vec![
        REGISTER,
        LOGIN,
        LOGOUT,
        REFRESH,
        WHOAMI,
        VALIDITY,
        "/_matrix/client/v3/logout/all",
        "/_matrix/client/v3/account/password",
        "/_matrix/client/v3/account/deactivate",
        "/_matrix/client/v3/devices",
        "/_matrix/client/v3/devices/D",
        "/_matrix/client/v3/delete_devices",
        "/_matrix/client/v3/account/3pid",
        "/_matrix/client/v3/account/3pid/add",
        "/_matrix/client/v3/account/3pid/delete",
        "/_matrix/client/v3/register/email/requestToken",
        "/_matrix/client/v3/register/msisdn/requestToken",
        "/_matrix/client/v3/account/password/email/requestToken",
        "/_matricula/confirm/email",
        "/_matrix/client/v1/admin/lock/@1:private.localhost",
        "/_synapse/admin/v1/register",
        "/_synapse/admin/v1/registration_tokens",
        "/_synapse/admin/v1/registration_tokens/new",
        "/_synapse/admin/v1/registration_tokens/sesame",
        "/_synapse/admin/v2/users/@1:private.localhost",
        "/_synapse/admin/v2/users/@alice:private.localhost",
        "/_matricula/confirm/msisdn",
        "/_matrix/client/v3/profile/@1:private.localhost",
        "/_matrix/client/v3/profile/@alice:private.localhost/displayname",
        "/_matrix/client/v3/register/available",
        "/_matrix/client/v3/auth/m.login.terms/fallback/web",
        "/_matrix/client/v3/auth/m.login.registration_token/fallback/web",
        "/_matrix/client/v3/auth/org.example.riddle/fallback/web",
        "/_matricula/terms/rules/en",
        "/_matrix/client/versions",
        "/.well-known/matrix/client",
    ]);
    prop_oneof![
        8 => known.prop_map(str::to_owned),
        1 => any::<String>(),
        1 => "(/[a-z0-9%._-]{0,8}){0,8}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        select(STAGES.to_vec()).prop_map(Value::from),
        select(vec![
            "alice",
            "SESSION",
            "TOKEN",
            "m.login.password",
            "m.id.user",
            PASSWORD,
            "sesame"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let key = prop_oneof![
            4 => select(vec![
                "auth", "type", "session", "token", "username", "password", "device_id",
                "initial_device_display_name", "inhibit_login", "refresh_token", "identifier",
                "user", "address", "guest_access_token", "new_password", "logout_devices", "erase",
                "devices", "displayname", "client_secret", "send_attempt", "email", "country",
                "phone_number", "nonce", "mac", "admin", "locked", "deactivated", "length",
                "uses_allowed", "expiry_time", "sid", "threepid_creds", "medium", "next_link",
            ])
            .prop_map(str::to_owned),
            1 => any::<String>(),
        ];
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => proptest::collection::hash_map(key, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn request() -> impl Strategy<Value = Request> {
    let method = select(vec![
        Method::Get,
        Method::Post,
        Method::Post,
        Method::Put,
        Method::Delete,
    ]);
    let key = prop_oneof![
        select(vec!["kind", "username", "token", "session", "access_token"])
            .prop_map(str::to_owned),
        any::<String>(),
    ];
    let text = prop_oneof![
        select(vec!["guest", "user", "SESSION", "TOKEN"]).prop_map(str::to_owned),
        any::<String>(),
    ];
    let body = prop_oneof![
        4 => value().prop_map(|it| it.to_string().into_bytes()),
        1 => vec(any::<u8>(), 0..64),
        1 => select(vec!["accept=rules", "token=sesame", "token=%ff"]).prop_map(|it| it.as_bytes().to_vec()),
    ];
    let bearer = proptest::option::of(text.clone());
    (method, path(), vec((key, text), 0..3), bearer, body).prop_map(
        |(method, path, query, bearer, body)| {
            let mut request = Request::new(method, path);
            request.query = query;
            request.access_token = bearer.map(Secret::from);
            request.body = body;
            request
        },
    )
}

/// Fills values of earlier responses into the placeholders of a request.
fn fill(request: &mut Request, session: &str, token: &str) {
    let filled = |text: &str| text.replace("SESSION", session).replace("TOKEN", token);
    for (_, value) in &mut request.query {
        *value = filled(value);
    }
    if let Ok(body) = std::str::from_utf8(&request.body) {
        request.body = filled(body).into_bytes();
    }
    request.access_token = request
        .access_token
        .take()
        .map(|it| Secret::from(filled(it.expose())));
}

fn check(reply: &Reply) {
    assert!((200..500).contains(&reply.0.status), "{}", reply.text());
    if reply.header("Content-Type") == Some("text/html; charset=utf-8") {
        assert!(reply.text().starts_with("<!doctype html>"));
        return;
    }
    assert_eq!(reply.header("Content-Type"), Some("application/json"));
    let json = reply.json();
    let asks_for_more = reply.0.status == 401 && json["flows"].is_array();
    if reply.0.status != 200 && !asks_for_more {
        assert!(
            json["errcode"]
                .as_str()
                .is_some_and(|it| it.starts_with("M_")),
            "{json}"
        );
        assert!(
            json["error"].as_str().is_some_and(|it| !it.is_empty()),
            "{json}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn malformed_requests_get_specified_errors(requests in vec(request(), 1..12)) {
        let mut home = home();
        let (mut session, mut token) = (String::new(), String::new());
        for mut request in requests {
            fill(&mut request, &session, &token);
            let reply = home.send(request);
            check(&reply);
            if let Ok(json) = serde_json::from_slice::<Value>(&reply.0.body) {
                session = json["session"].as_str().map_or(session, str::to_owned);
                token = json["access_token"].as_str().map_or(token, str::to_owned);
            }
        }
        // The server still works.
        home.login("alice", json!({})).ok();
    }
}

#[test]
fn deeply_nested_json_is_handled() {
    let mut home = TestServer::open();
    let deep = |depth: usize| [r#"{"a":"#.repeat(depth), "}".repeat(depth)].join("1");
    send_to(&mut home, REGISTER, &deep(100)).more();
    // JSON that is nested too deeply is rejected.
    for (body, code) in [
        (deep(1_000), "M_BAD_JSON"),
        (deep(100_000), "M_BAD_JSON"),
        (r#"{"a":"#.repeat(100_000), "M_NOT_JSON"),
    ] {
        send_to(&mut home, REGISTER, &body).err(400, code);
        send_to(&mut home, LOGIN, &body).err(400, code);
    }
}

#[test]
fn errors_name_the_wrong_field() {
    let password = r#""type": "m.login.password", "password": "x""#;
    let mut home = TestServer::open();
    for (path, body, code, name) in [
        (LOGIN, "{}".to_owned(), "M_MISSING_PARAM", "`type`"),
        (
            LOGIN,
            r#"{"type": null}"#.to_owned(),
            "M_MISSING_PARAM",
            "`type`",
        ),
        (LOGIN, r#"{"type": 1}"#.to_owned(), "M_BAD_JSON", "/type"),
        (
            LOGIN,
            format!("{{{password}}}"),
            "M_MISSING_PARAM",
            "identifier",
        ),
        (
            LOGIN,
            format!(r#"{{{password}, "identifier": {{}}}}"#),
            "M_MISSING_PARAM",
            "`identifier/type`",
        ),
        (
            LOGIN,
            format!(r#"{{{password}, "identifier": {{"type": []}}}}"#),
            "M_BAD_JSON",
            "/identifier/type",
        ),
        (
            REFRESH,
            "{}".to_owned(),
            "M_MISSING_PARAM",
            "`refresh_token`",
        ),
        (
            REGISTER,
            r#"{"auth": {"session": {}}}"#.to_owned(),
            "M_BAD_JSON",
            "/auth/session",
        ),
        (REGISTER, String::new(), "M_NOT_JSON", "empty"),
        // A field of a wrong type before the error.
        (
            REGISTER,
            r#"{"username": 1, "password"#.to_owned(),
            "M_NOT_JSON",
            "EOF",
        ),
    ] {
        let json = send_to(&mut home, path, &body).err(400, code);
        let error = json["error"].as_str().unwrap();
        assert!(error.contains(name), "{body}: {error}");
    }
    for (path, name) in [
        ("/_matrix/client/v3/register/available", "`username`"),
        (VALIDITY, "`token`"),
    ] {
        let json = home.get(path).err(400, "M_MISSING_PARAM");
        assert!(json["error"].as_str().unwrap().contains(name), "{json}");
    }
}

#[test]
fn errors_do_not_echo_input() {
    let mut home = TestServer::open();
    for body in [
        r#"{"password": {"canary": "canary"}}"#,
        r#"{"auth": "canary"}"#,
        r#"{"auth": {"type": "canary"}}"#,
        r#"{"device_id": "", "password": "canary"}"#,
        r#"{"guest_access_token": "canary"}"#,
        r#""canary""#,
        "canary",
    ] {
        let reply = send_to(&mut home, REGISTER, body);
        assert!((400..500).contains(&reply.0.status), "{}", reply.text());
        assert!(!reply.text().contains("canary"), "{}", reply.text());
    }
}

#[test]
fn unreadable_requests_count_as_attempts() {
    let limit = Limits::default().login(Limit::new(1.0, 1));
    let mut home = TestServer::new(Config::default().limits(limit));
    send_to(&mut home, LOGIN, "{").err(400, "M_NOT_JSON");
    send_to(&mut home, LOGIN, "{").err(429, "M_LIMIT_EXCEEDED");
}

fn send_to(home: &mut TestServer, path: &str, body: &str) -> Reply {
    let mut request = crate::post(path, Value::Null);
    request.body = body.as_bytes().to_vec();
    home.send(request)
}

#[test]
fn debug_output_hides_secrets() {
    let mut request = crate::post(REGISTER, json!({ "password": "canary" }));
    request.query = vec![("access_token".to_owned(), "canary".to_owned())];
    request.access_token = Some(Secret::from("canary"));
    let mut home =
        TestServer::new(Config::default().registration_token(RegistrationToken::new("canary")));
    let reply = home.send(request.clone());
    let shown = format!("{request:?} {:?} {:?}", home.server, reply.0);
    assert!(!shown.contains("canary"), "{shown}");
}
