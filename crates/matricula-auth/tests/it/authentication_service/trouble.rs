//! A service that is down: it is named, and no address is blamed.

use matricula_auth::{
    AuthError, AuthMethod, Discovery, Login, OAuthLoginError, RegistrationOffer,
    RegistrationOptions, ServerError, SignUp,
};
use serde_json::json;

use super::{CLOSED, discover, is_trouble, sign_up};
use crate::{
    oauth_helpers::{
        REDIRECT_URI, client_metadata, device_login, is_kept, login, registering_client,
        requesting_tokens, tokens,
    },
    scripted_server::ScriptedServer,
};

/// What a homeserver answers that could not ask its service for the metadata.
fn failed_metadata() -> [(u16, String); 6] {
    let own = json!({ "errcode": "M_UNKNOWN", "error": "Internal server error" }).to_string();
    [
        (500, own.clone()),
        (502, "<html>Bad gateway</html>".to_owned()),
        (503, own),
        (504, String::new()),
        (520, "error".to_owned()),
        (500, "null".to_owned()),
    ]
}

#[test]
fn failed_metadata_is_not_a_missing_service() {
    for (status, body) in failed_metadata() {
        for login in [login(), sign_up(), device_login()] {
            let mut server = ScriptedServer::start(login);
            server.respond_text(status, &body);
            is_trouble(
                server.error(),
                "the OAuth 2.0 server of https://matrix.example.org",
            );
        }
    }
    for (status, body) in [
        (404, json!({ "errcode": "M_UNRECOGNIZED" })),
        (404, json!("404 page not found")),
        (405, json!({ "errcode": "M_UNRECOGNIZED" })),
        (400, json!({ "errcode": "M_UNRECOGNIZED" })),
        (501, json!({})),
    ] {
        let mut server = ScriptedServer::start(login());
        server.respond(status, &body);
        let AuthError::OAuth(OAuthLoginError::NoOAuth { .. }) = server.error() else {
            panic!("{status} {body}: {}", server.error())
        };
    }
}

/// The service asks to wait, and the homeserver does not.
#[test]
fn rate_limit_of_the_service_names_it() {
    let limit = json!({ "errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 700_000 });
    let mut server = registering_client(login());
    server.respond(429, &limit);
    let registering = server.error().to_string();
    let mut server = requesting_tokens();
    server.respond(429, &limit);
    for error in [registering, server.error().to_string()] {
        assert_eq!(
            error,
            "https://account.example.org accepts no more requests for now; try again in 700 s"
        );
    }
    // A homeserver that asks to wait does not say that there is no service.
    let info = discover((429, &limit.to_string()), CLOSED);
    assert!(info.oauth_trouble.is_some());
}

#[test]
fn closed_server_in_trouble_is_unclear() {
    for (status, body) in failed_metadata() {
        let info = discover((status, &body), CLOSED);
        let Some(RegistrationOffer::Unknown { message }) = &info.registration else {
            panic!("{status}: {:?}", info.registration)
        };
        assert!(
            message.starts_with("its OAuth 2.0 server is in trouble ("),
            "{message}"
        );
        // Registering and signing in say so too.
        let options = RegistrationOptions::default();
        let sign_up = SignUp::new(&info, options.clone());
        let browser = sign_up.clone().browser(client_metadata(), REDIRECT_URI);
        for sign_up in [sign_up, browser] {
            let mut server = ScriptedServer::start(sign_up);
            server.respond_text(CLOSED.0, CLOSED.1);
            is_trouble(
                server.error(),
                "the OAuth 2.0 server of https://matrix.example.org",
            );
        }
        let named = SignUp::new(&info, options).method(AuthMethod::OAuth);
        is_trouble(
            ScriptedServer::start(named).error(),
            "the OAuth 2.0 server of https://matrix.example.org",
        );
        let mut server = ScriptedServer::start(Login::new(&info, "alice", "wordpass".into()));
        server.respond(404, &json!({ "errcode": "M_UNRECOGNIZED", "error": "no" }));
        is_trouble(
            server.error(),
            "the OAuth 2.0 server of https://matrix.example.org",
        );
    }
    // What is not needed does not stop an open server.
    let open = r#"{"session":"s","flows":[{"stages":["m.login.dummy"]}],"params":{}}"#;
    let info = discover((500, "{}"), (401, open));
    assert!(matches!(
        info.registration,
        Some(RegistrationOffer::Open(_))
    ));
    assert_eq!(info.sign_up_method().0, AuthMethod::Password);
    // A server without such a service is closed.
    let info = discover((404, r#"{"errcode":"M_UNRECOGNIZED"}"#), CLOSED);
    assert!(matches!(
        info.registration,
        Some(RegistrationOffer::Closed { .. })
    ));
    assert_eq!(info.oauth_trouble, None);
}

#[test]
fn failing_login_endpoint_blames_no_address() {
    let (versions, login) = (
        ("/versions", 200, r#"{"versions":["v1.15"]}"#),
        ("/login", 502, "<html>Bad gateway</html>"),
    );
    for answers in [[versions, login], [login, versions]] {
        let discovery = Discovery::new("example.org".parse().unwrap());
        let mut server = ScriptedServer::start(discovery);
        server.respond(404, &json!({}));
        for (path, status, body) in answers {
            server.respond_path(path, status, body);
        }
        // The person is not asked for another address.
        is_trouble(server.error(), "https://example.org");
    }
    // Only a homeserver can be in trouble: the name may be another's.
    let gone = ("/versions", 502, "<html>Bad gateway</html>");
    for answers in [[gone, login], [login, gone]] {
        let discovery = Discovery::new("https://example.org".parse().unwrap());
        let mut server = ScriptedServer::start(discovery);
        for (path, status, body) in answers {
            if server.result.is_none() {
                server.respond_path(path, status, body);
            }
        }
        let AuthError::Server(ServerError::NotMatrix { .. }) = server.error() else {
            panic!("{}", server.error())
        };
    }
}

#[test]
fn errors_of_the_token_endpoint_name_the_service() {
    let mut server = requesting_tokens();
    let form = json!({ "error": "server_error",
        "error_description": "Failed to deserialize form body: missing field `code`" });
    server.respond(500, &form);
    assert_eq!(server.requests.last().unwrap(), "POST /token", "once more");
    server.respond(500, &form);
    is_trouble(
        server.error(),
        "the OAuth 2.0 server https://account.example.org/",
    );
    assert!(server.error().to_string().contains("missing field `code`"));
    assert!(is_kept(&server));
    let mut server = requesting_tokens();
    server.respond(
        400,
        &json!({ "error": "invalid_grant",
            "error_description": "The provided access grant is invalid, expired, or revoked." }),
    );
    let words = server.error().to_string();
    assert!(words.contains("invalid, expired, or revoked"), "{words}");
    assert!(!is_kept(&server));
    // The homeserver cannot ask the service whose token it is.
    let mut server = requesting_tokens();
    server.respond(200, &tokens()).respond(
        503,
        &json!({ "errcode": "M_UNKNOWN", "error": "Unable to introspect the access token" }),
    );
    is_trouble(server.error(), "https://matrix.example.org");
    assert!(is_kept(&server), "the tokens are not lost");
    // What is not an answer of such a server is not blamed on the homeserver.
    let mut server = registering_client(login());
    server.respond_text(200, "<html>It works</html>");
    let AuthError::Server(ServerError::NotOAuth { issuer, .. }) = server.error() else {
        panic!("{}", server.error())
    };
    assert_eq!(issuer, "https://account.example.org/");
}
