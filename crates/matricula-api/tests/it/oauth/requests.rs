//! Requests to an authorization server, and URLs for the browser.

use std::fmt::Debug;

use matricula_api::{
    client::oauth_server_metadata::GetAuthMetadataResponse,
    oauth::{
        AccountAction, AccountPage, ApplicationType, AuthorizationCodeGrant, AuthorizationPrompt,
        AuthorizationRequest, ClientMetadata, CodeChallenge, CodeVerifier,
        DeviceAuthorizationRequest, DeviceCodeGrant, EndpointUrlError, OAuthEndpoint,
        RefreshTokenGrant, RegisterClient, ResponseMode, RevokeToken, Scope, TokenType,
    },
    unspecified,
};
use matricula_core::{Body, Method, RetrySafety};
use serde_json::{Value, json};

use super::{CANARY, round_trip};
use crate::response;

/// The example of the RFC.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const TOKEN_ENDPOINT: &str = "https://account.example.org/oauth2/token";

fn verifier(text: &str) -> CodeVerifier {
    CodeVerifier::new(text).unwrap()
}

fn scope() -> Scope {
    Scope::client("AAABBBCCCDDD").unwrap()
}

fn authorization() -> AuthorizationRequest {
    let challenge = CodeChallenge::new(CHALLENGE).unwrap();
    let redirect = "https://app.example.com/oauth2-callback";
    AuthorizationRequest::new("s6BhdRkqt3", redirect, scope(), "ewubooN9weez", challenge)
}

/// The request: method, URL and body.
fn sent(request: &impl OAuthEndpoint, address: &str) -> (Method, String, String) {
    let job = request.job(address).unwrap();
    let body = String::from_utf8(job.request_body().as_bytes().to_vec()).unwrap();
    let is_form = matches!(job.request_body(), Body::Form(_));
    assert_ne!(is_form, body.starts_with('{'), "{body}");
    (job.request_method(), job.url().to_owned(), body)
}

fn to_token_endpoint(request: &impl OAuthEndpoint) -> String {
    let (method, url, body) = sent(request, TOKEN_ENDPOINT);
    assert_eq!((method, url.as_str()), (Method::Post, TOKEN_ENDPOINT));
    body
}

#[test]
fn authorization_url_has_all_parameters() {
    assert_eq!(
        authorization()
            .url("https://account.example.com/oauth2/auth")
            .unwrap(),
        "https://account.example.com/oauth2/auth?response_type=code&client_id=s6BhdRkqt3\
         &redirect_uri=https%3A%2F%2Fapp.example.com%2Foauth2-callback\
         &scope=urn%3Amatrix%3Aclient%3Aapi%3A*+urn%3Amatrix%3Aclient%3Adevice%3AAAABBBCCCDDD\
         &state=ewubooN9weez&response_mode=fragment\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
    );
    let request = authorization()
        .response_mode(ResponseMode::Query)
        .prompt(AuthorizationPrompt::Create)
        .login_hint(&"@example-user:example.com".parse().unwrap());
    let url = request
        .url("https://account.example.com/auth/?tenant=a%20b")
        .unwrap();
    assert!(url.starts_with("https://account.example.com/auth/?tenant=a%20b&response_type=code&"));
    assert!(url.ends_with(
        "&response_mode=query&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM\
         &code_challenge_method=S256&prompt=create&login_hint=mxid%3A%40example-user%3Aexample.com"
    ));
}

#[test]
fn https_callback_uses_the_fragment() {
    let mode = |redirect: &str| {
        let challenge = CodeChallenge::new(CHALLENGE).unwrap();
        AuthorizationRequest::new("c", redirect, scope(), "s", challenge).response_mode
    };
    assert_eq!(
        mode("https://app.example.com/callback"),
        ResponseMode::Fragment
    );
    assert_eq!(mode("http://127.0.0.1/callback"), ResponseMode::Query);
    assert_eq!(mode("com.example.app:/callback"), ResponseMode::Query);
}

#[test]
fn grants_are_sent_as_forms() {
    let grant = AuthorizationCodeGrant::new(
        "iuB7 Eiz",
        "https://app.example.com/oauth2-callback",
        "s6BhdRkqt3",
        verifier(VERIFIER),
    );
    assert_eq!(
        to_token_endpoint(&grant),
        "grant_type=authorization_code&code=iuB7+Eiz\
         &redirect_uri=https%3A%2F%2Fapp.example.com%2Foauth2-callback&client_id=s6BhdRkqt3\
         &code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
    assert!(to_token_endpoint(&grant.client_secret("x&y")).ends_with("&client_secret=x%26y"));
    assert_eq!(
        to_token_endpoint(&RefreshTokenGrant::new("tGz3", "s6BhdRkqt3")),
        "grant_type=refresh_token&refresh_token=tGz3&client_id=s6BhdRkqt3"
    );
    assert_eq!(
        to_token_endpoint(&DeviceCodeGrant::new("GmRh", "s6BhdRkqt3")),
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=GmRh\
         &client_id=s6BhdRkqt3"
    );
}

#[test]
fn device_authorization_is_sent_as_form() {
    let request = DeviceAuthorizationRequest::new("s6BhdRkqt3", scope());
    let expected = "client_id=s6BhdRkqt3&scope=urn%3Amatrix%3Aclient%3Aapi%3A*\
                    +urn%3Amatrix%3Aclient%3Adevice%3AAAABBBCCCDDD";
    let (method, url, body) = sent(&request, "https://account.example.org/oauth2/device");
    assert_eq!((method, body.as_str()), (Method::Post, expected));
    assert_eq!(url, "https://account.example.org/oauth2/device");
}

#[test]
fn revocation_is_sent_as_form() {
    let address = "https://auth.example.com/oauth2/revoke";
    let (_, _, body) = sent(&RevokeToken::new("mat_oore"), address);
    assert_eq!(body, "token=mat_oore");
    let request = RevokeToken::new("mat_oore")
        .token_type_hint(TokenType::AccessToken)
        .client_id("s6BhdRkqt3");
    let (_, _, body) = sent(&request, address);
    assert_eq!(
        body,
        "token=mat_oore&token_type_hint=access_token&client_id=s6BhdRkqt3"
    );
    for body in ["", "{}", "<html>"] {
        assert_eq!(RevokeToken::read(&response(200, body)), Ok(()));
    }
}

#[test]
fn client_registration_is_sent_as_json() {
    let mut metadata = ClientMetadata::browser(
        "https://example.com/",
        ApplicationType::Web,
        "https://app.example.com/callback",
    )
    .client_name("My App");
    metadata
        .extra
        .insert("client_name#fr".to_owned(), "Mon application".into());
    let request = RegisterClient::new(metadata.clone());
    let (method, _, body) = sent(&request, "https://account.example.org/register");
    let expected = json!({
        "client_uri": "https://example.com/",
        "client_name": "My App",
        "client_name#fr": "Mon application",
        "redirect_uris": ["https://app.example.com/callback"],
        "response_types": ["code"],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
        "application_type": "web",
    });
    assert_eq!(method, Method::Post);
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
    assert_eq!(round_trip::<ClientMetadata>(&expected), metadata);
    assert_eq!(
        serde_json::to_value(ClientMetadata::device("https://example.com/")).unwrap(),
        json!({
            "client_uri": "https://example.com/",
            "grant_types": ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
            "application_type": "native",
        })
    );
}

#[test]
fn invalid_endpoint_url_is_rejected() {
    let refuse = |address: &str| RefreshTokenGrant::new("r", "c").job(address).unwrap_err();
    for (address, part) in [
        ("", "\"\""),
        ("account.example.org/token", "account.example.org/token"),
        (
            "ftp://account.example.org/token",
            "ftp://account.example.org/token",
        ),
        ("javascript:alert(1)", "javascript:alert(1)"),
        ("https://u:hush@account.example.org/", "account.example.org"),
        (
            "http://account.example.org/token",
            "http://account.example.org/token is not encrypted",
        ),
        (
            "https://account.example.org/token#there",
            "https://account.example.org/token has a fragment",
        ),
    ] {
        let error = refuse(address).to_string();
        assert!(error.contains(part) && !error.contains("hush"), "{error}");
    }
    assert!(matches!(refuse(""), EndpointUrlError::Malformed(_)));
    assert!(authorization().url("javascript:alert(1)").is_err());
    assert!(AccountPage::default().url("javascript:alert(1)").is_err());
}

#[test]
fn endpoint_url_is_used_unchanged() {
    for (address, url, query) in [
        (
            "https://a.example/token/",
            "https://a.example/token/",
            vec![],
        ),
        ("https://a.example", "https://a.example", vec![]),
        (
            "https://A.example:443/T%20x",
            "https://a.example/T%20x",
            vec![],
        ),
        ("http://127.0.0.1:8080/t", "http://127.0.0.1:8080/t", vec![]),
        (
            "https://a.example/t?x=a%20b&y",
            "https://a.example/t",
            vec![("x", "a b"), ("y", "")],
        ),
    ] {
        let job = RefreshTokenGrant::new("r", "c").job(address).unwrap();
        assert_eq!(job.url(), url);
        let pairs: Vec<(&str, &str)> = job.masked_query();
        assert_eq!(pairs, query);
    }
}

#[test]
fn account_page_has_its_parameters() {
    let address = "https://account.example.com/myaccount";
    assert_eq!(AccountPage::default().url(address).unwrap(), address);
    let page = AccountPage::default()
        .action(AccountAction::DeviceDelete)
        .device_id("ABCDEFGH")
        .login_hint(&"@example-user:example.com".parse().unwrap());
    assert_eq!(
        page.url(address).unwrap(),
        "https://account.example.com/myaccount?action=org.matrix.device_delete&device_id=ABCDEFGH\
         &login_hint=mxid%3A%40example-user%3Aexample.com"
    );
    let earlier = AccountPage::default().action(AccountAction::from("org.matrix.sessions_list"));
    assert!(
        earlier
            .url(address)
            .unwrap()
            .ends_with("?action=org.matrix.sessions_list")
    );
}

#[test]
fn scope_contains_device_and_api() {
    let unstable = Scope::unstable_client("AAABBBCCCDDD").unwrap();
    assert_eq!(
        unstable.as_str(),
        "urn:matrix:org.matrix.msc2967.client:api:* \
         urn:matrix:org.matrix.msc2967.client:device:AAABBBCCCDDD"
    );
    assert!(unstable.allows_api());
    assert_eq!(unstable.device_id(), Some("AAABBBCCCDDD"));
    for wrong in ["", "a b", "a\"b", "a\\b", "é", "a\n"] {
        let error = Scope::client(wrong).unwrap_err().to_string();
        assert!(error.contains(&format!("{wrong:?}")), "{error}");
    }
    for (length, is_valid) in [(9, false), (10, true), (255, true), (256, false)] {
        assert_eq!(Scope::client(&"A".repeat(length)).is_ok(), is_valid);
    }
    let other = Scope::from("openid".to_owned());
    assert!(!other.allows_api() && other.device_id().is_none());
}

#[test]
fn pkce_values_are_checked_and_masked() {
    let long = "a".repeat(129);
    for wrong in [
        "",
        &VERIFIER[1..],
        &long,
        "canary canary canary canary canary canary",
    ] {
        let error = CodeVerifier::new(wrong).unwrap_err().to_string();
        assert!(!error.contains("canary"), "{error}");
    }
    assert!(CodeVerifier::new(&long[1..]).is_ok());
    for wrong in [
        "",
        VERIFIER.trim_end_matches('k'),
        &format!("{CHALLENGE}="),
        &long[..43].replace('a', "+"),
    ] {
        assert!(CodeChallenge::new(wrong).is_err(), "{wrong}");
    }
}

/// Neither `Debug` nor the masked body of a request shows its secret, and it is not stored.
fn assert_masked(request: &(impl OAuthEndpoint + Debug)) {
    let job = request.job(TOKEN_ENDPOINT).unwrap();
    assert!(
        job.request_body()
            .as_bytes()
            .windows(6)
            .any(|part| part == b"canary")
    );
    for shown in [
        format!("{request:?}"),
        format!("{job:?}"),
        job.masked_body(),
    ] {
        assert!(!shown.contains("canary"), "{shown}");
    }
    assert!(job.masked_body().contains("=***"));
    assert!(job.holds_secret());
    assert!(serde_json::to_string(&job).is_err());
}

#[test]
fn secrets_of_requests_are_masked() {
    assert_masked(
        &AuthorizationCodeGrant::new(CANARY, "https://a.example/", "c", verifier(CANARY))
            .client_secret(CANARY),
    );
    assert_masked(&RefreshTokenGrant::new(CANARY, "c").client_secret(CANARY));
    assert_masked(&DeviceCodeGrant::new(CANARY, "c").client_secret(CANARY));
    assert_masked(&RevokeToken::new(CANARY));
    let authorization = AuthorizationRequest {
        state: CANARY.into(),
        ..authorization()
    };
    assert!(!format!("{authorization:?}").contains("canary"));
}

#[test]
fn idempotent_requests_are_marked() {
    let retry = |id: &str| {
        let all = unspecified::OPERATIONS
            .iter()
            .flat_map(|(_, operations)| *operations);
        all.filter(|found| found.id == id)
            .map(|found| found.retry_safety)
            .collect::<Vec<_>>()
    };
    for id in [
        "oauthRefreshTokenGrant",
        "oauthRevokeToken",
        "oauthRegisterClient",
    ] {
        assert_eq!(retry(id), [RetrySafety::Idempotent], "{id}");
    }
    for id in ["oauthAuthorizationCodeGrant", "oauthDeviceCodeGrant"] {
        assert_eq!(retry(id), [RetrySafety::OnlyIfNotProcessed], "{id}");
    }
}

#[test]
fn unspecified_operations_are_listed_once() {
    let mut ids: Vec<&str> = unspecified::OPERATIONS
        .iter()
        .flat_map(|(_, operations)| operations.iter().map(|operation| operation.id))
        .collect();
    assert_eq!(ids.len(), 21);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 21);
    let generated = matricula_api::client::OPERATIONS;
    assert!(
        generated
            .iter()
            .all(|operation| !ids.contains(&operation.id))
    );
}

#[test]
fn endpoint_urls_come_from_metadata() {
    let metadata = json!({
        "issuer": "https://a.example/", "response_types_supported": [], "grant_types_supported": [],
        "response_modes_supported": [], "code_challenge_methods_supported": [],
        "authorization_endpoint": "x", "token_endpoint": "x", "revocation_endpoint": "x",
        "registration_endpoint": "x", "device_authorization_endpoint": "x",
        "account_management_uri": "x",
    });
    let read: GetAuthMetadataResponse = serde_json::from_value(metadata.clone()).unwrap();
    assert!(read.extra.is_empty());
    for operation in matricula_api::oauth::OPERATIONS {
        let key = operation.path.trim_matches(['{', '}']);
        assert_eq!(metadata[key], "x", "{key}");
    }
}
