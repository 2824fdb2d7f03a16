//! Responses of an authorization server, and callback URLs.

use std::time::Duration;

use matricula_api::{
    ApiError, ErrorCode,
    oauth::{
        AuthorizationCodeGrant, CallbackError, ClientRegistration, DeviceAuthorization,
        DeviceAuthorizationRequest, DeviceCodeGrant, GrantType, OAuthEndpoint, OAuthError,
        OAuthErrorCode, RefreshTokenGrant, RegisterClient, TokenResponse, read_callback,
    },
};
use matricula_core::{Body, Headers, Response, Secret};
use serde_json::json;

use super::{CANARY, round_trip};
use crate::response;

#[test]
fn callback_code_is_read_anywhere() {
    let state = Secret::from("ewu+bo");
    for url in [
        "https://app.example.com/callback#state=ewu%2Bbo&code=iuB7+Eiz",
        "com.example.app:/callback?code=iuB7+Eiz&state=ewu%2Bbo",
        "http://127.0.0.1:8080/callback?code=iuB7%20Eiz&state=ewu%2Bbo#",
        "http://127.0.0.1:8080/callback?code=iuB7%20Eiz&state=ewu%2Bbo#_=_",
    ] {
        assert_eq!(read_callback(url, &state), Ok("iuB7 Eiz".into()), "{url}");
    }
}

#[test]
fn callback_errors_are_read() {
    let url = "https://app.example.com/callback#state=s&error=access_denied\
               &error_description=The+owner+said+no.&error_uri=https%3A%2F%2Fe.example.com%2F&iss=i";
    let Err(CallbackError::Refused(refusal)) = read_callback(url, &"s".into()) else {
        panic!("not refused");
    };
    assert_eq!(refusal.code, OAuthErrorCode::AccessDenied);
    assert_eq!(refusal.description.as_deref(), Some("The owner said no."));
    assert_eq!(refusal.uri.as_deref(), Some("https://e.example.com/"));
    assert_eq!(refusal.extra["iss"], "i");
    assert_eq!(refusal.status, None);
    assert_eq!(refusal.to_string(), "access_denied: The owner said no.");
}

#[test]
fn foreign_callback_is_rejected() {
    for url in [
        "https://app.example.com/callback#state=other&code=c",
        "https://app.example.com/callback#code=c",
        "https://app.example.com/callback#state=other&error=access_denied",
        "https://app.example.com/callback?state=s&code=c#code=c2",
        "",
    ] {
        assert_eq!(
            read_callback(url, &"s".into()),
            Err(CallbackError::State),
            "{url}"
        );
    }
    assert_eq!(
        read_callback("a:/?state=s", &"s".into()),
        Err(CallbackError::Empty)
    );
}

#[test]
fn registered_client_is_preserved() {
    let answer = json!({
        "client_id": "s6BhdRkqt3",
        "client_secret": "hush",
        "client_secret_expires_at": 0,
        "registration_access_token": "hush too",
        "client_uri": "https://example.com/",
        "redirect_uris": ["https://app.example.com/callback"],
        "grant_types": ["authorization_code", "org.example.grant"],
        "client_id_issued_at": 1_700_000_000,
    });
    let read = RegisterClient::read(&response(201, &answer.to_string())).unwrap();
    assert_eq!(read, round_trip::<ClientRegistration>(&answer));
    assert_eq!(read.client_id, "s6BhdRkqt3");
    assert_eq!(
        read.grant_types,
        Some(
            [
                GrantType::AuthorizationCode,
                GrantType::from("org.example.grant")
            ]
            .into()
        )
    );
    assert_eq!(read.extra["client_uri"], "https://example.com/");
    assert_eq!(read.extra.len(), 2);
    // The minimal response.
    let least = RegisterClient::read(&response(201, r#"{"client_id": "c"}"#)).unwrap();
    assert_eq!(least, ClientRegistration::new("c"));
}

#[test]
fn token_response_is_preserved() {
    let answer = json!({
        "access_token": "2YotnFZFEjr1zCsicMWpAA",
        "token_type": "Bearer",
        "expires_in": 299,
        "refresh_token": "tGz3JOkF0XG5Qx2TlKWIA",
        "scope": "urn:matrix:client:api:* urn:matrix:client:device:AAABBBCCCDDD openid",
        "id_token": "eyJ",
    });
    let text = answer.to_string();
    let tokens = AuthorizationCodeGrant::read(&response(200, &text)).unwrap();
    assert_eq!(
        tokens,
        RefreshTokenGrant::read(&response(200, &text)).unwrap()
    );
    assert_eq!(
        tokens,
        DeviceCodeGrant::read(&response(200, &text)).unwrap()
    );
    assert_eq!(tokens, round_trip::<TokenResponse>(&answer));
    assert_eq!(tokens.access_token.expose(), "2YotnFZFEjr1zCsicMWpAA");
    assert_eq!(tokens.extra.keys().collect::<Vec<_>>(), ["id_token"]);
    assert_eq!(tokens.expires_in, Some(Duration::from_secs(299)));
    let scope = tokens.scope.unwrap();
    assert!(scope.allows_api() && scope.contains("openid") && !scope.contains("open"));
    assert_eq!(scope.device_id(), Some("AAABBBCCCDDD"));

    let least = r#"{"access_token": "a", "token_type": "bearer", "expires_in": null}"#;
    let tokens = RefreshTokenGrant::read(&response(200, least)).unwrap();
    assert_eq!(tokens, TokenResponse::new("a").token_type("bearer"));
    for odd in [
        r#"{"access_token":"a"}"#,
        r#"{"access_token":"a","token_type":null}"#,
    ] {
        let tokens = RefreshTokenGrant::read(&response(200, odd)).unwrap();
        assert_eq!(tokens, TokenResponse::new("a"));
    }
}

#[test]
fn device_authorization_is_preserved() {
    let answer = json!({
        "device_code": "GmRhmhcxhwAzkoEqiMEg",
        "user_code": "WDJB-MJHT",
        "verification_uri": "https://account.example.com/link",
        "verification_uri_complete": "https://account.example.com/link?user_code=WDJB-MJHT",
        "expires_in": 1800,
        "interval": 7,
        "org.example.more": true,
    });
    let answered = response(200, &answer.to_string());
    let code = DeviceAuthorizationRequest::read(&answered).unwrap();
    assert_eq!(code, round_trip::<DeviceAuthorization>(&answer));
    assert_eq!(code.extra.len(), 1);
    assert_eq!(
        (code.wait(), code.expires_in),
        (Duration::from_secs(7), Some(Duration::from_secs(1800)))
    );
    let least = DeviceAuthorization::new("d", "u", "https://a.example");
    assert_eq!(
        (least.wait(), least.expires_in),
        (Duration::from_secs(5), None)
    );
    for odd in [json!("soon"), json!(-1), json!({}), json!(null)] {
        let mut answer = answer.clone();
        answer["expires_in"] = odd.clone();
        let code = DeviceAuthorizationRequest::read(&response(200, &answer.to_string())).unwrap();
        assert_eq!(
            (&*code.user_code, code.expires_in),
            ("WDJB-MJHT", None),
            "{odd}"
        );
    }
}

#[test]
fn invalid_response_names_the_field() {
    let read = |body| {
        RefreshTokenGrant::read(&response(200, body))
            .unwrap_err()
            .to_string()
    };
    assert!(read(r#"{"token_type": "Bearer"}"#).contains("access_token"));
    let wrong = read(r#"{"access_token": ["canary"], "token_type": "Bearer"}"#);
    assert!(
        wrong.contains("access_token") && !wrong.contains("canary"),
        "{wrong}"
    );
    // What is optional does not spoil the rest.
    let body = r#"{"access_token": "a", "token_type": "Bearer", "expires_in": "soon"}"#;
    let tokens = RefreshTokenGrant::read(&response(200, body)).unwrap();
    assert_eq!(
        (tokens.expires_in, &tokens.extra["expires_in"]),
        (None, &"soon".into())
    );
}

#[test]
fn error_response_is_preserved() {
    let body = r#"{"error": "invalid_grant", "error_description": "used before",
        "error_uri": "https://e.example/", "retry_after_ms": 1500, "org.example.hint": [1]}"#;
    let Err(OAuthError::Refused(refusal)) = RefreshTokenGrant::read(&response(400, body)) else {
        panic!("not refused");
    };
    assert_eq!(refusal.status, Some(400));
    assert_eq!(refusal.code, OAuthErrorCode::InvalidGrant);
    assert_eq!(refusal.description.as_deref(), Some("used before"));
    assert_eq!(refusal.uri.as_deref(), Some("https://e.example/"));
    assert_eq!(refusal.retry_after, Some(Duration::from_millis(1500)));
    assert_eq!(refusal.extra["org.example.hint"], json!([1]));
}

#[test]
fn oauth_error_codes_are_known() {
    let read = |error: &str| {
        let body = json!({ "error": error }).to_string();
        DeviceCodeGrant::read(&response(400, &body))
            .unwrap_err()
            .code()
            .unwrap()
            .clone()
    };
    for (text, code) in [
        (
            "authorization_pending",
            OAuthErrorCode::AuthorizationPending,
        ),
        ("slow_down", OAuthErrorCode::SlowDown),
        ("access_denied", OAuthErrorCode::AccessDenied),
        ("expired_token", OAuthErrorCode::ExpiredToken),
        ("invalid_client", OAuthErrorCode::InvalidClient),
        (
            "invalid_client_metadata",
            OAuthErrorCode::InvalidClientMetadata,
        ),
        (
            "temporarily_unavailable",
            OAuthErrorCode::TemporarilyUnavailable,
        ),
        (
            "org.example.mood",
            OAuthErrorCode::Other("org.example.mood".into()),
        ),
    ] {
        assert_eq!(read(text), code);
        assert_eq!(code.as_str(), text);
    }
}

#[test]
fn oauth_rate_limit_has_wait_time() {
    let header: Headers = vec![("Retry-After".into(), "3".into())];
    let body = Body::Json(r#"{"error": "slow_down"}"#.to_owned());
    let answer = Response::new(429, header, body);
    let Err(OAuthError::Refused(refusal)) = DeviceCodeGrant::read(&answer) else {
        panic!("not refused");
    };
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(3)));
}

#[test]
fn other_oauth_failures_are_api_errors() {
    let read = |status, body| RefreshTokenGrant::read(&response(status, body)).unwrap_err();
    let matrix = read(
        404,
        r#"{"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"}"#,
    );
    assert!(
        matches!(&matrix, OAuthError::Other(ApiError::Matrix(error))
            if error.code == ErrorCode::Unrecognized),
        "{matrix:?}"
    );
    assert_eq!(matrix.code(), None);
    for body in ["<html>", "", "[]", r#"{"error": {"code": 1}}"#] {
        let status = OAuthError::Other(ApiError::UnexpectedStatus { status: 502 });
        assert_eq!(read(502, body), status, "{body}");
    }
    let limited = OAuthError::Other(ApiError::RateLimited {
        retry_after: None,
        error: None,
    });
    assert_eq!(read(429, "slow down"), limited);
}

#[test]
fn secrets_of_responses_are_masked() {
    let mut tokens = TokenResponse::new(CANARY).refresh_token(CANARY);
    tokens.extra.insert("id_token".to_owned(), CANARY.into());
    let mut client = ClientRegistration::new("c").client_secret(CANARY);
    client.registration_access_token = Some(CANARY.into());
    let device = DeviceAuthorization::new(CANARY, "u", "https://a.example");
    for shown in [
        format!("{tokens:?}"),
        format!("{client:?}"),
        format!("{device:?}"),
    ] {
        assert!(!shown.contains("canary"), "{shown}");
    }
    assert_eq!(
        AuthorizationCodeGrant::OPERATION.response_secrets[0],
        "/access_token"
    );
}
