//! Registration tokens: uses, expiry, concurrency.

use std::time::Duration;

use matricula_core::Timestamp;
use matricula_homeserver::{Config, RegistrationToken};
use serde_json::{Value, json};

use crate::{PASSWORD, REGISTER, TestServer, VALIDITY, text};

const STAGE: &str = "m.login.registration_token";

fn home(token: RegistrationToken) -> TestServer {
    TestServer::new(
        Config::default()
            .flows([[STAGE, "m.login.dummy"]])
            .registration_token(token),
    )
}

fn session(home: &mut TestServer) -> String {
    text(
        &home.post(REGISTER, json!({ "password": PASSWORD })).more(),
        "session",
    )
}

fn with_token(session: &str, token: Value) -> Value {
    json!({ "auth": { "type": STAGE, "session": session, "token": token } })
}

fn dummy(session: &str) -> Value {
    json!({ "auth": { "type": "m.login.dummy", "session": session } })
}

fn is_valid(home: &mut TestServer, token: &str) -> bool {
    let json = home.get(&format!("{VALIDITY}?token={token}")).ok();
    json["valid"].as_bool().unwrap()
}

#[test]
fn right_token_registers() {
    let mut home = home(RegistrationToken::new("sesame"));
    let session = session(&mut home);
    let json = home
        .post(REGISTER, with_token(&session, json!("sesame")))
        .more();
    assert_eq!(json["completed"], json!([STAGE]));
    home.post(REGISTER, dummy(&session)).ok();
}

#[test]
fn wrong_token_can_be_retried() {
    let mut home = home(RegistrationToken::new("sesame"));
    let session = session(&mut home);
    let json = home
        .post(REGISTER, with_token(&session, json!("barley")))
        .err(401, "M_UNAUTHORIZED");
    assert_eq!(json["session"], session);
    assert!(json["flows"].is_array());
    home.post(REGISTER, with_token(&session, Value::Null))
        .err(401, "M_MISSING_PARAM");
    home.post(REGISTER, with_token(&session, json!(7)))
        .err(400, "M_BAD_JSON");
    home.post(REGISTER, with_token(&session, json!("sesame")))
        .more();
}

#[test]
fn validity_endpoint_checks_tokens() {
    let mut home = home(RegistrationToken::new("sesame"));
    assert!(is_valid(&mut home, "sesame"));
    assert!(!is_valid(&mut home, "barley"));
    home.get(VALIDITY).err(400, "M_MISSING_PARAM");
}

#[test]
fn no_token_valid_without_stage() {
    let config = Config::default().registration_token(RegistrationToken::new("sesame"));
    assert!(!is_valid(&mut TestServer::new(config), "sesame"));
}

#[test]
fn token_uses_are_counted() {
    let mut home = home(RegistrationToken::new("twice").uses_allowed(2));
    for _ in 0..2 {
        assert!(is_valid(&mut home, "twice"));
        let session = session(&mut home);
        home.post(REGISTER, with_token(&session, json!("twice")))
            .more();
        home.post(REGISTER, dummy(&session)).ok();
        // Repeating a finished session does not count as a use.
        home.post(REGISTER, dummy(&session)).ok();
    }
    assert!(!is_valid(&mut home, "twice"));
    let session = session(&mut home);
    home.post(REGISTER, with_token(&session, json!("twice")))
        .err(401, "M_UNAUTHORIZED");
}

#[test]
fn token_without_uses_is_invalid() {
    let mut home = home(RegistrationToken::new("never").uses_allowed(0));
    assert!(!is_valid(&mut home, "never"));
}

#[test]
fn token_expires() {
    let at = Timestamp::from_millis(1_700_000_000_000).plus(Duration::from_secs(60));
    let mut home = home(RegistrationToken::new("soon").expires_at(at));
    home.wait(Duration::from_millis(59_999));
    assert!(is_valid(&mut home, "soon"));
    let early = session(&mut home);
    home.post(REGISTER, with_token(&early, json!("soon")))
        .more();
    home.wait(Duration::from_millis(1));
    assert!(!is_valid(&mut home, "soon"));
    let late = session(&mut home);
    home.post(REGISTER, with_token(&late, json!("soon")))
        .err(401, "M_UNAUTHORIZED");
    // A session that has used the token may finish.
    home.post(REGISTER, dummy(&early)).ok();
}

#[test]
fn concurrent_uses_are_counted() {
    let mut home = home(RegistrationToken::new("twice").uses_allowed(2));
    let sessions: Vec<_> = (0..5).map(|_| session(&mut home)).collect();
    let accepted: Vec<_> = sessions
        .iter()
        .filter(|it| {
            let json = home.post(REGISTER, with_token(it, json!("twice"))).json();
            json.get("errcode").is_none()
        })
        .collect();
    assert_eq!(accepted.len(), 2);
    assert!(!is_valid(&mut home, "twice"));
    for session in &accepted {
        home.post(REGISTER, dummy(session)).ok();
    }
    assert!(!is_valid(&mut home, "twice"));
}

#[test]
fn abandoned_use_is_returned() {
    let mut home = home(RegistrationToken::new("once").uses_allowed(1));
    let abandoned = session(&mut home);
    home.post(REGISTER, with_token(&abandoned, json!("once")))
        .more();
    assert!(!is_valid(&mut home, "once"));
    home.wait(Duration::from_secs(24 * 60 * 60));
    assert!(is_valid(&mut home, "once"));
}
