//! Authorization codes.

use std::time::Duration;

use super::{
    CHALLENGE, REDIRECT, VERIFIER, allow, client, code, home, redeem, redeem_with, refresh,
    refused, register_client, request,
};
use crate::text;

#[test]
fn code_returns_uncacheable_tokens() {
    let mut home = home();
    let client = client(&mut home);
    let code = code(&mut home, &client);
    let reply = redeem(&mut home, &client, &code);
    assert_eq!(reply.header("Cache-Control"), Some("no-store"));
    let tokens = reply.ok();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 300);
    assert_eq!(tokens["scope"], request(&client).scope.as_str());
    assert!(tokens["refresh_token"].is_string());
    home.wait(Duration::from_secs(300));
    home.whoami(&text(&tokens, "access_token"))
        .err(401, "M_UNKNOWN_TOKEN");
}

#[test]
fn code_is_bound_to_its_request() {
    let mut home = home();
    let client = client(&mut home);
    let mut metadata = super::metadata();
    metadata["client_name"] = "Another".into();
    let other = text(&register_client(&mut home, metadata).json(), "client_id");
    let code = code(&mut home, &client);
    let wrong = "x".repeat(43);
    for (client, redirect_uri, verifier) in [
        (other.as_str(), REDIRECT, VERIFIER),
        (&client, "http://127.0.0.1:4568/callback", VERIFIER),
        (&client, "", VERIFIER),
        (&client, REDIRECT, wrong.as_str()),
        (&client, REDIRECT, CHALLENGE),
        (&client, REDIRECT, ""),
    ] {
        let reply = redeem_with(&mut home, client, &code, redirect_uri, verifier);
        refused(&reply, 400, "invalid_grant");
    }
    refused(
        &redeem(&mut home, &client, "invented"),
        400,
        "invalid_grant",
    );
    // The failed attempts have not used the code up.
    redeem(&mut home, &client, &code).ok();
}

#[test]
fn reused_code_ends_its_session() {
    let mut home = home();
    let client = client(&mut home);
    let code = code(&mut home, &client);
    let tokens = redeem(&mut home, &client, &code).ok();
    home.whoami(&text(&tokens, "access_token")).ok();
    refused(&redeem(&mut home, &client, &code), 400, "invalid_grant");
    home.whoami(&text(&tokens, "access_token"))
        .err(401, "M_UNKNOWN_TOKEN");
    refused(&refresh(&mut home, &client, &tokens), 400, "invalid_grant");
}

#[test]
fn reused_code_spares_later_session() {
    let mut home = home();
    let client = client(&mut home);
    let first = code(&mut home, &client);
    redeem(&mut home, &client, &first).ok();
    let second = code(&mut home, &client);
    let tokens = redeem(&mut home, &client, &second).ok();
    refused(&redeem(&mut home, &client, &first), 400, "invalid_grant");
    home.whoami(&text(&tokens, "access_token")).ok();
}

#[test]
fn code_expires_in_a_minute() {
    let mut home = home();
    let client = client(&mut home);
    let early = code(&mut home, &client);
    home.wait(Duration::from_millis(59_999));
    redeem(&mut home, &client, &early).ok();
    let late = code(&mut home, &client);
    home.wait(Duration::from_secs(60));
    refused(&redeem(&mut home, &client, &late), 400, "invalid_grant");
}

#[test]
fn unknown_client_gets_invalid_client() {
    let mut home = home();
    let client = client(&mut home);
    let code = allow(&mut home, &request(&client));
    let code = code.parameter("code").unwrap();
    refused(&redeem(&mut home, "invented", code), 401, "invalid_client");
}
