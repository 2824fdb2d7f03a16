//! Property tests: every response has the right form, and redirects are safe.

use matricula_core::{Method, Secret};
use matricula_homeserver::{Config, OAuth, Request, Sso};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use super::{CHALLENGE, DEVICE_ID, REDIRECT, VERIFIER, client, session, url};
use crate::{PASSWORD, Reply, TestServer, browser};

const PATHS: [&str; 14] = [
    "/oauth2/authorize",
    "/oauth2/authorize",
    "/oauth2/token",
    "/oauth2/token",
    "/oauth2/registration",
    "/oauth2/device",
    "/oauth2/revoke",
    "/oauth2/introspect",
    "/link",
    "/account",
    "/_matricula/sso",
    "/_matrix/client/v3/login/sso/redirect",
    "/_matrix/client/v3/login/sso/redirect/house",
    "/.well-known/openid-configuration",
];

/// Values of earlier responses, and their placeholders in requests.
struct Given {
    client: String,
    visit: String,
    code: String,
    access: String,
    refresh: String,
}

impl Given {
    fn fill(&self, text: &str) -> String {
        text.replace("CLIENT", &self.client)
            .replace("VISIT", &self.visit)
            .replace("CODE", &self.code)
            .replace("ACCESS", &self.access)
            .replace("REFRESH", &self.refresh)
    }

    fn learn(&mut self, reply: &Reply) {
        if let Ok(json) = serde_json::from_slice::<Value>(&reply.0.body) {
            for (place, names) in [
                (&mut self.client, &["client_id"][..]),
                (&mut self.code, &["user_code", "device_code"]),
                (&mut self.access, &["access_token"]),
                (&mut self.refresh, &["refresh_token"]),
            ] {
                let found = names.iter().find_map(|name| json[*name].as_str());
                *place = found.map_or_else(|| std::mem::take(place), str::to_owned);
            }
        } else if reply.text().contains("name=\"csrf\"") {
            self.visit = browser::visit(reply.text());
        }
    }
}

fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = select(vec![
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "response_type",
        "response_mode",
        "code",
        "code_challenge",
        "code_challenge_method",
        "code_verifier",
        "prompt",
        "login_hint",
        "csrf",
        "step",
        "username",
        "password",
        "grant_type",
        "refresh_token",
        "device_code",
        "token",
        "device",
        "device_id",
        "redirectUrl",
        "action",
        "provider",
    ]);
    let scope = format!("urn:matrix:client:api:* urn:matrix:client:device:{DEVICE_ID}");
    let value = prop_oneof![
        6 => select(vec![
            "CLIENT", "VISIT", "CODE", "ACCESS", "REFRESH", REDIRECT, CHALLENGE, VERIFIER, "S256",
            "code", "query", "fragment", "create", "none", "allow", "cancel", "sign-in", "sign-up",
            "sign-out", "show-sign-up", "alice", PASSWORD, "authorization_code", "refresh_token",
            "urn:ietf:params:oauth:grant-type:device_code", "javascript:alert(1)",
            "https://evil.example.org/", "<script>alert(1)</script>", "\"'><b>", "",
        ])
        .prop_map(str::to_owned),
        1 => Just(scope),
        1 => any::<String>(),
    ];
    let name = prop_oneof![8 => name.prop_map(str::to_owned), 1 => any::<String>()];
    vec((name, value), 0..9)
}

/// An arbitrary request, or a mutated valid one.
fn request() -> impl Strategy<Value = (Request, bool)> {
    let method = select(vec![
        Method::Get,
        Method::Post,
        Method::Post,
        Method::Delete,
    ]);
    let raw = prop_oneof![
        4 => Just(None),
        1 => vec(any::<u8>(), 0..40).prop_map(Some),
        1 => Just(Some(super::metadata().to_string().into_bytes())),
    ];
    let bearer = proptest::option::of(select(vec!["ACCESS", "", "x"]));
    (
        method,
        select(&PATHS[..]),
        pairs(),
        pairs(),
        raw,
        bearer,
        any::<bool>(),
    )
        .prop_map(|(method, path, query, fields, raw, bearer, likely)| {
            let mut request = Request::new(method, path);
            request.query = query;
            let form = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(fields)
                .finish();
            request.body = raw.unwrap_or(form.into_bytes());
            request.access_token = bearer.map(Secret::from);
            (request, likely)
        })
}

fn check(request: &Request, reply: &Reply) {
    assert!(
        (200..500).contains(&reply.0.status),
        "{request:?}: {}",
        reply.text()
    );
    if let Some(location) = reply.header("Location") {
        let registered = [
            "http://127.0.0.1:4567/callback",
            "https://app.example.com/back",
        ];
        let ours = "http://private.localhost/_matricula/sso?";
        // Single sign-on must not redirect to schemes that a browser handles itself.
        let asked = request.query.iter().find(|(name, _)| name == "redirectUrl");
        let wanted = asked.is_some_and(|(_, asked)| location.starts_with(asked));
        let led = registered.iter().any(|it| location.starts_with(it));
        assert!(led || wanted || location.starts_with(ours), "{location}");
        assert!(
            !location.to_ascii_lowercase().starts_with("javascript"),
            "{location}"
        );
        return;
    }
    if reply.header("Content-Type") == Some("text/html; charset=utf-8") {
        assert!(!reply.text().contains("<script"), "{}", reply.text());
        assert!(!reply.text().contains("<b>"), "{}", reply.text());
        return;
    }
    let json = reply.json();
    if reply.0.status >= 400 {
        assert!(
            json["error"].as_str().is_some_and(|it| !it.is_empty()),
            "{json}"
        );
        let matrix = json["errcode"]
            .as_str()
            .is_some_and(|it| it.starts_with("M_"));
        assert!(matrix || json["error_description"].is_string(), "{json}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn malformed_requests_get_right_errors(requests in vec(request(), 1..14)) {
        let config = Config::default()
            .oauth(OAuth::beside())
            .sso(Sso::default().provider("house", "The House"));
        let mut home = TestServer::new(config);
        home.register_named("alice").ok();
        let client = client(&mut home);
        let likely_query = browser::link(&url(&super::request(&client))).query;
        let mut given = Given {
            client,
            visit: String::new(),
            code: String::new(),
            access: String::new(),
            refresh: String::new(),
        };
        for (mut request, likely) in requests {
            if likely && request.path == "/oauth2/authorize" {
                // The first field of a name counts; repeated ones are rejected.
                request.query.truncate(1);
                request.query.extend(likely_query.clone());
            }
            for (_, value) in &mut request.query {
                *value = given.fill(value);
            }
            if let Ok(body) = std::str::from_utf8(&request.body) {
                request.body = given.fill(body).into_bytes();
            }
            request.access_token = request.access_token.take().map(|it| given.fill(it.expose()).into());
            let reply = home.send(request.clone());
            check(&request, &reply);
            given.learn(&reply);
        }
        // The server still works.
        let (_, tokens) = session(&mut home);
        home.whoami(tokens["access_token"].as_str().unwrap()).ok();
        home.login("alice", json!({})).ok();
    }
}
