//! The OAuth 2.0 authorization server.

mod authorize;
mod clients;
mod code;
mod device;
mod malformed_requests;
mod metadata;
mod tokens;

use matricula_api::oauth::{AuthorizationPrompt, AuthorizationRequest, CodeChallenge, Scope};
use matricula_homeserver::{Config, OAuth};
use serde_json::{Value, json};

use crate::{
    PASSWORD, Reply, TestServer,
    browser::{BrowserRedirect, form, press, sign_in},
    post, text,
};

const TOKEN: &str = "/oauth2/token";
pub(crate) const REDIRECT: &str = "http://127.0.0.1:4567/callback";
pub(crate) const DEVICE_ID: &str = "ABCDEFGHIJ";
/// The example of RFC 7636.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A server with OAuth 2.0 in addition to `/login`, and an account of alice.
fn home() -> TestServer {
    let mut home = TestServer::new(Config::default().oauth(OAuth::beside()));
    home.register_named("alice").ok();
    home
}

pub(crate) fn metadata() -> Value {
    json!({
        "client_uri": "https://example.com/",
        "client_name": "Example <Client>",
        "redirect_uris": ["http://127.0.0.1/callback", "https://app.example.com/back"],
        "response_types": ["code"],
        "grant_types": ["authorization_code", "refresh_token",
            "urn:ietf:params:oauth:grant-type:device_code"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
    })
}

fn register_client(home: &mut TestServer, metadata: Value) -> Reply {
    home.send(post("/oauth2/registration", metadata))
}

#[track_caller]
pub(crate) fn client(home: &mut TestServer) -> String {
    let reply = register_client(home, metadata());
    assert_eq!(reply.0.status, 201, "{}", reply.text());
    text(&reply.json(), "client_id")
}

fn request(client: &str) -> AuthorizationRequest {
    let scope = Scope::client(DEVICE_ID).unwrap();
    let challenge = CodeChallenge::new(CHALLENGE).unwrap();
    AuthorizationRequest::new(client, REDIRECT, scope, "the state", challenge)
}

pub(crate) fn url(request: &AuthorizationRequest) -> String {
    request.url("https://h/oauth2/authorize").unwrap()
}

/// The redirect after alice has signed in and allowed the request.
#[track_caller]
fn allow(home: &mut TestServer, request: &AuthorizationRequest) -> BrowserRedirect {
    let address = url(request);
    let consent = sign_in(home, &address, "alice", PASSWORD);
    BrowserRedirect::of(&press(home, &address, &consent, "allow", &[]))
}

/// An authorization code of this client for alice's device.
#[track_caller]
fn code(home: &mut TestServer, client: &str) -> String {
    let led = allow(home, &request(client));
    led.parameter("code").unwrap().to_owned()
}

pub(crate) fn redeem(home: &mut TestServer, client: &str, code: &str) -> Reply {
    redeem_with(home, client, code, REDIRECT, VERIFIER)
}

fn redeem_with(
    home: &mut TestServer,
    client: &str,
    code: &str,
    redirect_uri: &str,
    verifier: &str,
) -> Reply {
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri),
        ("client_id", client),
        ("code_verifier", verifier),
    ];
    home.send(form(TOKEN, &fields))
}

fn refresh(home: &mut TestServer, client: &str, pair: &Value) -> Reply {
    let token = text(pair, "refresh_token");
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token.as_str()),
        ("client_id", client),
    ];
    home.send(form(TOKEN, &fields))
}

/// The client, and the tokens of alice's device.
#[track_caller]
fn session(home: &mut TestServer) -> (String, Value) {
    let client = client(home);
    let code = code(home, &client);
    let pair = redeem(home, &client, &code).ok();
    (client, pair)
}

/// An error response of OAuth 2.0.
#[track_caller]
fn refused(reply: &Reply, status: u16, error: &str) {
    let json = reply.json();
    assert_eq!(
        (reply.0.status, &json["error"]),
        (status, &json!(error)),
        "{json}"
    );
    assert!(json["error_description"].is_string(), "{json}");
}

pub(crate) fn sign_up_request(client: &str) -> AuthorizationRequest {
    request(client).prompt(AuthorizationPrompt::Create)
}
