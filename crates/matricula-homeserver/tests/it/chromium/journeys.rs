//! Complete journeys through the pages, without scripts.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::mpsc,
    thread,
    time::Duration,
};

use matricula_api::oauth::{AuthorizationPrompt, read_callback};
use serde_json::{Value, json};

use super::{
    authorization, authorization_url, client, device, form, keep_picture, redeem, server, sign_up,
    stage_url, webdriver::Browser,
};
use crate::{
    LOGIN, REGISTER, WHOAMI,
    http_client::{post, send},
    text,
};

/// A client that waits on loopback for the redirect: its port, and the URL that the
/// browser requested.
fn waiting_client() -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (led, receiver) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            let path = line.split(' ').nth(1).unwrap_or_default();
            let page = "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<h1>Back</h1>";
            let _ = stream.write_all(page.as_bytes());
            if path.starts_with("/back") {
                let _ = led.send(format!("http://127.0.0.1:{port}{path}"));
                return;
            }
        }
    });
    (port, receiver)
}

fn whoami(server: &matricula_homeserver::Server, tokens: &Value) -> Value {
    let bearer = format!("Bearer {}", text(tokens, "access_token"));
    let headers = [("Authorization", bearer.as_str())];
    let answer = send(server.url(), "GET", WHOAMI, &headers, b"").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: cargo xtask test"]
async fn sign_up_and_allow_client() {
    let server = server().await;
    let client = client(&server);
    let (port, led) = waiting_client();
    let request = authorization(&client, port).prompt(AuthorizationPrompt::Create);
    let browser = Browser::start();
    browser.open(&authorization_url(&server, &request));
    assert_eq!(browser.title(), "Create an account");
    sign_up(&browser, "anna");
    browser.named("heading", "Allow this client?");
    keep_picture(&browser, "consent");
    browser.press("Allow");
    let address = led.recv_timeout(Duration::from_secs(30)).unwrap();
    let code = read_callback(&address, &request.state).unwrap();
    let tokens = redeem(&server, &client, &request.redirect_uri, code.expose());
    assert_eq!(
        whoami(&server, &tokens)["user_id"],
        "@anna:private.localhost"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: cargo xtask test"]
async fn correct_errors_then_cancel() {
    let server = server().await;
    let client = client(&server);
    let (port, led) = waiting_client();
    let request = authorization(&client, port);
    let browser = Browser::start();
    browser.open(&authorization_url(&server, &request));
    browser.press("Create an account");
    browser.fill("Username", "bert");
    browser.fill("Password", "p");
    browser.fill("Registration token", "barley");
    let accept = browser.named("checkbox", "I accept House rules (version 1.0)");
    browser.click(&accept);
    browser.press("Create an account");
    // The invalid field has the focus, and its error is its description.
    let field = browser.focused();
    assert_eq!(browser.label(&field), "Registration token");
    let described = browser.attribute(&field, "aria-describedby").unwrap();
    let error = described.split(' ').next_back().unwrap();
    let error = browser.text(&browser.find(&format!("#{error}")));
    assert!(error.contains("wrong, used up or expired"), "{error}");
    keep_picture(&browser, "sign-up-wrong");
    sign_up(&browser, "bert");
    browser.press("Cancel");
    let address = led.recv_timeout(Duration::from_secs(30)).unwrap();
    let refusal = read_callback(&address, &request.state).unwrap_err();
    assert!(
        refusal.to_string().starts_with("access_denied"),
        "{refusal}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: cargo xtask test"]
async fn device_code_by_keyboard() {
    let server = server().await;
    let client = client(&server);
    let (port, _led) = waiting_client();
    let browser = Browser::start();
    let request = authorization(&client, port).prompt(AuthorizationPrompt::Create);
    browser.open(&authorization_url(&server, &request));
    sign_up(&browser, "carl");

    let begun = device(&server, &client);
    browser.open(&begun.verification_uri);
    browser.fill("The code that your device shows", &begun.user_code);
    browser.enter();
    browser.named("heading", "Sign in");
    browser.fill("Username", "carl");
    browser.fill("Password", "p");
    browser.enter();
    browser.named("heading", "Allow this device?");
    keep_picture(&browser, "device-consent");
    while browser.label(&browser.focused()) != "Allow" {
        browser.key('\u{e004}');
    }
    browser.enter();
    browser.named("heading", "Done");
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", begun.device_code.expose()),
        ("client_id", &client),
    ];
    let tokens = form(&server, "/oauth2/token", &fields);
    assert_eq!(whoami(&server, &tokens.json())["device_id"], "KLMNOPQRST");

    browser.open(&format!("{}/account", server.url()));
    browser.fill("Username", "carl");
    browser.fill("Password", "p");
    browser.press("Sign in");
    keep_picture(&browser, "account");
    browser.press("Sign out Example Messenger KLMNOPQRST");
    browser.named("status", "");
    browser.press("Leave this page");
    browser.named("heading", "Signed out");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: cargo xtask test"]
async fn register_by_single_sign_on() {
    let server = server().await;
    let (port, led) = waiting_client();
    let back = format!("http%3A%2F%2F127.0.0.1%3A{port}%2Fback");
    let path = "/_matrix/client/v3/login/sso/redirect/house";
    let browser = Browser::start();
    browser.open(&format!(
        "{}{path}?redirectUrl={back}&action=register",
        server.url()
    ));
    sign_up(&browser, "dana");
    browser.named("heading", "Continue to your client?");
    keep_picture(&browser, "sso");
    browser.press("Continue");
    let address = led.recv_timeout(Duration::from_secs(30)).unwrap();
    let (_, token) = address.split_once("?loginToken=").unwrap();
    let body = json!({ "type": "m.login.token", "token": token });
    let session = post(server.url(), LOGIN, &body).unwrap().json();
    assert_eq!(session["user_id"], "@dana:private.localhost");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: cargo xtask test"]
async fn complete_registration_stages() {
    let server = server().await;
    let browser = Browser::start();
    let first = stage_url(&server, "m.login.registration_token", &[]);
    browser.open(&first);
    browser.fill("Registration token", "sesame");
    keep_picture(&browser, "stage-token");
    browser.press("Continue");
    browser.named("heading", "Done");
    browser.open(&first.replace("m.login.registration_token", "m.login.terms"));
    keep_picture(&browser, "stage-terms");
    let accept = browser.named("checkbox", "I accept House rules (version 1.0)");
    browser.click(&accept);
    browser.press("Accept");
    browser.named("heading", "Done");
    browser.open(&first.replace("m.login.registration_token", "org.example.riddle"));
    keep_picture(&browser, "stage-other");
    browser.press("Continue");
    browser.named("heading", "Done");
    let (_, session) = first.split_once("session=").unwrap();
    let body = json!({ "auth": { "session": session } });
    let made = post(server.url(), REGISTER, &body).unwrap().json();
    assert_eq!(made["user_id"], "@dora:private.localhost");
}
