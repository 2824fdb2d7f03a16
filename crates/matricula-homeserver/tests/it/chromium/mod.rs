//! The pages in a real browser.

mod accessibility;
mod journeys;

#[path = "../../support/webdriver.rs"]
mod webdriver;

use std::{env, fs, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use matricula_api::oauth::{
    AuthorizationRequest, CodeChallenge, DeviceAuthorization, DeviceAuthorizationRequest,
    OAuthEndpoint, Scope,
};
use matricula_core::{Body, Response};
use matricula_homeserver::{Config, OAuth, Policy, RegistrationToken, Server, ServerOptions, Sso};
use serde_json::{Value, json};

use crate::{
    REGISTER,
    http_client::{Answer, post, send},
    text,
};
use webdriver::Browser;

/// The example of RFC 7636.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const FORM: &str = "application/x-www-form-urlencoded";

/// A server with all pages enabled.
async fn server() -> Server {
    let terms = "Be kind.\n\nWe keep your account until you ask us not to.";
    let config = Config::default()
        .oauth(OAuth::beside())
        .sso(Sso::default().provider("house", "The House"))
        .flows([[
            "m.login.registration_token",
            "m.login.terms",
            "org.example.riddle",
        ]])
        .registration_token(RegistrationToken::new("sesame"))
        .policy(
            "terms",
            Policy::new("1.0").translation("en", "House rules", terms),
        );
    Server::start(ServerOptions::new(config)).await.unwrap()
}

fn client(server: &Server) -> String {
    let metadata = json!({
        "client_uri": "https://example.com/",
        "client_name": "Example Messenger",
        "tos_uri": "https://example.com/terms",
        "redirect_uris": ["http://127.0.0.1/back"],
        "response_types": ["code"],
        "grant_types": ["authorization_code", "refresh_token",
            "urn:ietf:params:oauth:grant-type:device_code"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
    });
    let registered = post(server.url(), "/oauth2/registration", &metadata).unwrap();
    text(&registered.json(), "client_id")
}

/// The URL of the page that authorizes a client on this port.
fn authorization(client: &str, port: u16) -> AuthorizationRequest {
    let scope = Scope::client("ABCDEFGHIJ").unwrap();
    let challenge = CodeChallenge::new(CHALLENGE).unwrap();
    let redirect_uri = format!("http://127.0.0.1:{port}/back");
    AuthorizationRequest::new(client, redirect_uri, scope, "the-state", challenge)
}

fn authorization_url(server: &Server, request: &AuthorizationRequest) -> String {
    let endpoint = format!("{}/oauth2/authorize", server.url());
    request.url(&endpoint).unwrap()
}

fn form(server: &Server, path: &str, fields: &[(&str, &str)]) -> Answer {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let headers = [("Content-Type", FORM)];
    send(server.url(), "POST", path, &headers, body.as_bytes()).unwrap()
}

fn device(server: &Server, client: &str) -> DeviceAuthorization {
    let scope = Scope::client("KLMNOPQRST").unwrap();
    let fields = [("client_id", client), ("scope", scope.as_str())];
    let answer = form(server, "/oauth2/device", &fields);
    let body = Body::Bytes(answer.json().to_string().into_bytes());
    DeviceAuthorizationRequest::read_success(&Response::new(200, vec![], body)).unwrap()
}

/// The fallback page of a stage, after the earlier stages.
fn stage_url(server: &Server, stage: &str, passed: &[(&str, &str)]) -> String {
    let body = json!({ "username": "dora", "password": "p" });
    let asked = post(server.url(), REGISTER, &body).unwrap().json();
    let session = text(&asked, "session");
    let url =
        |stage: &str| format!("/_matrix/client/v3/auth/{stage}/fallback/web?session={session}");
    for (stage, fields) in passed {
        let headers = [("Content-Type", FORM)];
        let path = url(stage);
        let done = send(server.url(), "POST", &path, &headers, fields.as_bytes());
        assert_eq!(done.unwrap().status, 200);
    }
    format!("{}{}", server.url(), url(stage))
}

fn sign_up(browser: &Browser, username: &str) {
    browser.fill("Username", username);
    browser.fill("Password", "p");
    browser.fill("Registration token", "sesame");
    let accept = browser.named("checkbox", "I accept House rules (version 1.0)");
    browser.click(&accept);
    browser.press("Create an account");
}

/// Saves a screenshot in the directory that `MATRICULA_PICTURES` names.
fn keep_picture(browser: &Browser, name: &str) {
    if let Some(directory) = env::var_os("MATRICULA_PICTURES") {
        let picture = STANDARD.decode(browser.picture()).unwrap();
        let file = PathBuf::from(directory).join(format!("{name}.png"));
        fs::write(file, picture).unwrap();
    }
}

fn redeem(server: &Server, client: &str, redirect_uri: &str, code: &str) -> Value {
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri),
        ("client_id", client),
        ("code_verifier", VERIFIER),
    ];
    let answer = form(server, "/oauth2/token", &fields);
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()
}
