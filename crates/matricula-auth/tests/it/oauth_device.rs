//! Login with a device code.

use matricula_auth::{
    AuthError, OAuthClient, OAuthLogin, OAuthLoginError, OAuthRefusal, Progress, ServerError,
};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::{
    oauth_helpers::{
        device_code, device_login, form_field, oauth_error, reload_login, server_metadata,
        stored_clients, tokens, whoami,
    },
    scripted_server::{ScriptedServer, transport_error},
};

/// Up to the first wait.
fn waiting() -> ScriptedServer<OAuthLogin> {
    let mut server = ScriptedServer::start(device_login());
    server
        .respond(200, &server_metadata())
        .respond(201, &json!({ "client_id": "c1" }))
        .respond(200, &device_code());
    server
}

/// Up to the first question whether the person has decided.
fn polling() -> ScriptedServer<OAuthLogin> {
    let mut server = waiting();
    server.wake();
    server
}

#[test]
fn code_is_polled_until_decision() {
    let mut server = waiting();
    assert_eq!(
        server.progress,
        [Progress::DeviceCode {
            url: "https://account.example.org/link".into(),
            url_with_code: Some("https://account.example.org/link?code=ABCD-EFGH".into()),
            user_code: "ABCD-EFGH".into(),
            expires_at: matricula_core::Timestamp::from_millis(server.now + 60_000),
        }]
    );
    assert_eq!(server.wake(), 7_000);
    assert_eq!(
        form_field(server.job(), "device_code").as_deref(),
        Some("d3v1c3")
    );
    server.respond(200, &tokens()).respond(200, &whoami());
    let account = server.ok();
    assert_eq!(account.user_id.as_str(), "@alice:example.org");
    assert!(account.oauth.is_some());
}

#[test]
fn authorization_pending_keeps_the_interval() {
    let mut server = polling();
    server.respond(400, &oauth_error("authorization_pending"));
    assert_eq!(server.wake(), 7_000);
}

#[test]
fn slow_down_adds_five_seconds() {
    let mut server = polling();
    server.respond(400, &oauth_error("slow_down"));
    assert_eq!(server.wake(), 12_000);
    server.respond(400, &oauth_error("authorization_pending"));
    assert_eq!(server.wake(), 12_000);
}

#[test]
fn expired_token_fails() {
    let mut server = polling();
    server.respond(400, &oauth_error("expired_token"));
    assert!(matches!(
        server.error(),
        AuthError::OAuth(OAuthLoginError::CodeExpired { .. })
    ));
}

#[test]
fn access_denied_fails() {
    let mut server = polling();
    server.respond(400, &oauth_error("access_denied"));
    let AuthError::OAuthRefused(OAuthRefusal { refusal, .. }) = server.error() else {
        panic!("{}", server.error())
    };
    assert_eq!(refusal.code.as_str(), "access_denied");
}

#[test]
fn expired_code_is_not_polled() {
    let mut server = polling();
    for _ in 0..7 {
        server.respond(400, &oauth_error("authorization_pending"));
        server.wake();
    }
    server.respond(400, &oauth_error("authorization_pending"));
    assert_eq!(server.wake(), 4_000, "until the code ends, and no longer");
    assert!(matches!(
        server.error(),
        AuthError::OAuth(OAuthLoginError::CodeExpired { .. })
    ));
}

#[test]
fn default_interval_is_five_seconds() {
    for (interval, waited) in [(Value::Null, 5_000), (json!(0), 1_000)] {
        let mut server = ScriptedServer::start(device_login());
        let mut code = device_code();
        code["interval"] = interval;
        server
            .respond(200, &server_metadata())
            .respond(201, &json!({ "client_id": "c1" }))
            .respond(200, &code);
        assert_eq!(server.wake(), waited);
    }
}

#[test]
fn unreachable_server_increases_the_interval() {
    let mut server = polling();
    server.outcome(Outcome::Failed(transport_error(
        TransportErrorKind::Connect,
    )));
    assert_eq!(server.wake(), 14_000);
    server.respond(503, &json!({}));
    assert_eq!(server.wake(), 28_000);
}

#[test]
fn lost_tokens_lead_to_new_code() {
    let mut server = polling();
    server.lose();
    server.wake();
    server.respond(400, &oauth_error("invalid_grant"));
    assert_eq!(server.requests.last().unwrap(), "POST /device");
    let mut server = polling();
    server.respond(400, &oauth_error("invalid_grant"));
    assert!(matches!(
        server.error(),
        AuthError::OAuthRefused(OAuthRefusal { .. })
    ));
}

#[test]
fn stored_device_login_resumes() {
    let mut server = ScriptedServer::start(reload_login(&waiting()));
    assert!(matches!(server.progress[..], [Progress::DeviceCode { .. }]));
    server.wake();
    let mut server = ScriptedServer::start(reload_login(&server));
    assert_eq!(
        form_field(server.job(), "device_code").as_deref(),
        Some("d3v1c3")
    );
    server
        .respond(400, &oauth_error("invalid_grant"))
        .respond(201, &json!({ "client_id": "c1" }));
    assert_eq!(
        server.requests.last().unwrap(),
        "POST /device",
        "it may have held the tokens"
    );
}

#[test]
fn missing_device_endpoint_is_reported() {
    let mut without = server_metadata();
    without["device_authorization_endpoint"] = Value::Null;
    let mut server = ScriptedServer::start(device_login());
    server
        .respond(200, &without)
        .respond(201, &json!({ "client_id": "c1" }));
    assert!(matches!(
        server.error(),
        AuthError::Server(ServerError::NotMatrix { .. })
    ));
    let mut server = ScriptedServer::start(device_login());
    let mut script = device_code();
    script["verification_uri"] = json!("javascript:alert(1)");
    server
        .respond(200, &server_metadata())
        .respond(201, &json!({ "client_id": "c1" }))
        .respond(200, &script);
    assert!(matches!(
        server.error(),
        AuthError::Server(ServerError::NotMatrix { .. })
    ));
}

#[test]
fn rate_limit_sets_the_interval() {
    let mut server = polling();
    server.respond(
        429,
        &json!({ "errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 20_000 }),
    );
    assert_eq!(server.wake(), 20_000);
}

#[test]
fn polling_ends_with_stopped_clock() {
    let mut server = waiting();
    let now = server.now;
    for _ in 0..10_000 {
        if server.result.is_some() {
            break;
        }
        server.wake();
        server.now = now;
        if server.result.is_none() {
            server.respond(400, &oauth_error("authorization_pending"));
        }
    }
    assert!(matches!(
        server.error(),
        AuthError::OAuth(OAuthLoginError::CodeExpired { .. })
    ));
}

#[test]
fn forgotten_client_is_registered_again() {
    let mut stored = ScriptedServer::start(device_login());
    stored
        .respond(200, &server_metadata())
        .respond(201, &json!({ "client_id": "c1" }));
    let client = stored_clients(&stored).pop().unwrap().unwrap();
    let client = OAuthClient::from_stored(&client).unwrap();
    let mut server = ScriptedServer::start(device_login().client(client));
    server
        .respond(200, &server_metadata())
        .respond(403, &json!({}));
    assert_eq!(form_field(server.job(), "client_id").as_deref(), Some("c1"));
    server.respond(401, &oauth_error("invalid_client"));
    assert_eq!(server.requests.last().unwrap(), "POST /clients");
    server.respond(201, &json!({ "client_id": "c2" }));
    assert_eq!(form_field(server.job(), "client_id").as_deref(), Some("c2"));
    server.respond(401, &oauth_error("invalid_client"));
    assert!(matches!(
        server.error(),
        AuthError::OAuthRefused(OAuthRefusal { .. })
    ));
    assert_eq!(stored_clients(&server).pop(), Some(None), "removed again");
}
