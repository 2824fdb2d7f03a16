//! OAuth 2.0 is spoken as its standards say, and nothing of it is lost or shown.

use std::{fmt::Debug, time::Duration};

use matricula_api::{
    ApiError, ErrorCode, by_hand,
    client::oauth_server_metadata::GetAuthMetadataResponse,
    oauth::{
        AccountAction, AccountPage, AddressError, ApplicationType, AuthorizationCodeGrant,
        AuthorizationRequest, CallbackError, ClientMetadata, ClientRegistration, CodeChallenge,
        CodeVerifier, DeviceAuthorization, DeviceAuthorizationRequest, DeviceCodeGrant, GrantType,
        OAuthEndpoint, OAuthError, OAuthErrorCode, Prompt, RefreshTokenGrant, RegisterClient,
        ResponseMode, RevokeToken, Scope, TokenResponse, TokenType, read_callback,
    },
};
use matricula_job::{Body, Header, Method, Response, Retry, Secret};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::response;

/// As the RFC that defines them gives them, one made of the other.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const TOKEN_ENDPOINT: &str = "https://account.example.org/oauth2/token";
const CANARY: &str = "canary-7c1e-canary-7c1e-canary-7c1e-canary-7c1e";

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

/// What is sent: method, address and body.
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
fn the_authorization_page_is_told_everything_in_the_query() {
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
        .prompt(Prompt::Create)
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
fn a_way_back_by_https_has_the_answer_where_no_server_sees_it() {
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
fn the_way_back_brings_a_code_wherever_it_stands() {
    let state = Secret::from("ewu+bo");
    for url in [
        "https://app.example.com/callback#state=ewu%2Bbo&code=iuB7+Eiz",
        "com.example.app:/callback?code=iuB7+Eiz&state=ewu%2Bbo",
        "http://127.0.0.1:8080/callback?code=iuB7%20Eiz&state=ewu%2Bbo#",
    ] {
        assert_eq!(read_callback(url, &state), Ok("iuB7 Eiz".into()), "{url}");
    }
}

#[test]
fn the_way_back_brings_the_servers_reasons() {
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
fn a_way_back_that_nobody_asked_for_is_refused() {
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
fn each_grant_is_a_form() {
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
fn a_device_without_a_browser_asks_for_its_code_with_a_form() {
    let request = DeviceAuthorizationRequest::new("s6BhdRkqt3", scope());
    let expected = "client_id=s6BhdRkqt3&scope=urn%3Amatrix%3Aclient%3Aapi%3A*\
                    +urn%3Amatrix%3Aclient%3Adevice%3AAAABBBCCCDDD";
    let (method, url, body) = sent(&request, "https://account.example.org/oauth2/device");
    assert_eq!((method, body.as_str()), (Method::Post, expected));
    assert_eq!(url, "https://account.example.org/oauth2/device");
}

#[test]
fn a_token_is_given_back_with_a_form() {
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
fn a_client_introduces_itself_in_json() {
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

/// The type reads all of it, and writes all of it again.
fn round_trip<T: DeserializeOwned + Serialize>(json: &Value) -> T {
    let value: T = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(&serde_json::to_value(&value).unwrap(), json);
    value
}

#[test]
fn what_became_of_the_introduction_is_kept_whole() {
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
        Some(vec![
            GrantType::AuthorizationCode,
            GrantType::from("org.example.grant")
        ])
    );
    assert_eq!(read.extra["client_uri"], "https://example.com/");
    // The least that servers answer.
    let least = RegisterClient::read(&response(201, r#"{"client_id": "c"}"#)).unwrap();
    assert_eq!(least, ClientRegistration::new("c"));
}

#[test]
fn tokens_are_read_and_kept_whole() {
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
    assert_eq!(tokens.expires_in, Some(Duration::from_secs(299)));
    let scope = tokens.scope.unwrap();
    assert!(scope.allows_api() && scope.contains("openid") && !scope.contains("open"));
    assert_eq!(scope.device_id(), Some("AAABBBCCCDDD"));

    let least = r#"{"access_token": "a", "token_type": "bearer", "expires_in": null}"#;
    let tokens = RefreshTokenGrant::read(&response(200, least)).unwrap();
    assert_eq!(tokens, TokenResponse::new("a", "bearer"));
}

#[test]
fn a_device_code_is_read_and_kept_whole() {
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
    assert_eq!(
        (code.wait(), code.expires_in),
        (Duration::from_secs(7), Duration::from_secs(1800))
    );
    let least = DeviceAuthorization::new("d", "u", "https://a.example", Duration::from_secs(60));
    assert_eq!(least.wait(), Duration::from_secs(5));
}

#[test]
fn a_wrong_answer_names_the_field() {
    let read = |body| {
        RefreshTokenGrant::read(&response(200, body))
            .unwrap_err()
            .to_string()
    };
    assert!(read(r#"{"token_type": "Bearer"}"#).contains("access_token"));
    let wrong =
        read(r#"{"access_token": "canary", "token_type": "Bearer", "expires_in": "canary"}"#);
    assert!(
        wrong.contains("expires_in") && !wrong.contains("canary"),
        "{wrong}"
    );
}

#[test]
fn a_refusal_is_kept_in_all_its_words() {
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
fn every_code_of_the_standards_is_known_and_any_other_kept() {
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
fn a_limit_in_the_words_of_oauth_says_how_long() {
    let header: Header = vec![("Retry-After".into(), "3".into())];
    let body = Body::Json(r#"{"error": "slow_down"}"#.to_owned());
    let answer = Response::new(429, header, body);
    let Err(OAuthError::Refused(refusal)) = DeviceCodeGrant::read(&answer) else {
        panic!("not refused");
    };
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(3)));
}

#[test]
fn other_failures_are_what_they_are_elsewhere() {
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
    let limited = OAuthError::Other(ApiError::RateLimited { retry_after: None });
    assert_eq!(read(429, "slow down"), limited);
}

#[test]
fn a_bad_address_is_refused_by_name() {
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
    assert!(matches!(refuse(""), AddressError::Malformed(_)));
    assert!(authorization().url("javascript:alert(1)").is_err());
    assert!(AccountPage::default().url("javascript:alert(1)").is_err());
}

#[test]
fn an_address_stays_as_it_is() {
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
fn the_account_page_is_told_what_the_person_wants() {
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
fn a_scope_names_one_device_and_the_api() {
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
    let other = Scope::from("openid".to_owned());
    assert!(!other.allows_api() && other.device_id().is_none());
}

#[test]
fn verifier_and_challenge_are_checked_and_not_repeated() {
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
fn the_secrets_of_requests_are_masked_everywhere() {
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
fn the_secrets_of_answers_are_masked() {
    let mut tokens = TokenResponse::new(CANARY, "Bearer").refresh_token(CANARY);
    tokens.extra.insert("id_token".to_owned(), CANARY.into());
    let mut client = ClientRegistration::new("c").client_secret(CANARY);
    client.registration_access_token = Some(CANARY.into());
    let device = DeviceAuthorization::new(CANARY, "u", "https://a.example", Duration::ZERO);
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

#[test]
fn what_may_be_sent_twice_is_marked_so() {
    let retry = |id: &str| {
        let all = by_hand::OPERATIONS
            .iter()
            .flat_map(|(_, operations)| *operations);
        all.filter(|found| found.id == id)
            .map(|found| found.retry)
            .collect::<Vec<_>>()
    };
    for id in [
        "oauthRefreshTokenGrant",
        "oauthRevokeToken",
        "oauthRegisterClient",
    ] {
        assert_eq!(retry(id), [Retry::Idempotent], "{id}");
    }
    for id in ["oauthAuthorizationCodeGrant", "oauthDeviceCodeGrant"] {
        assert_eq!(retry(id), [Retry::NotProcessed], "{id}");
    }
}

#[test]
fn what_is_by_hand_is_listed_once_and_is_no_generated_operation() {
    let mut ids: Vec<&str> = by_hand::OPERATIONS
        .iter()
        .flat_map(|(_, operations)| operations.iter().map(|operation| operation.id))
        .collect();
    assert_eq!(ids.len(), 11);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 11);
    let generated = matricula_api::client::OPERATIONS;
    assert!(
        generated
            .iter()
            .all(|operation| !ids.contains(&operation.id))
    );
}

#[test]
fn every_address_comes_from_the_metadata() {
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
