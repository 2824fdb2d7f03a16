//! Rate limits.

use std::time::Duration;

use matricula_homeserver::{Config, Limit, Limits, RegistrationToken};
use serde_json::json;

use crate::{LOGIN, PASSWORD, REGISTER, Reply, TestServer, VALIDITY, get, post, text};

fn home(limits: Limits) -> TestServer {
    TestServer::new(Config::default().limits(limits).guests(true))
}

/// The retry time of an error, in the body and the header.
#[track_caller]
fn wait_of(reply: Reply) -> (u64, u64) {
    let header = reply.header("Retry-After").map(|it| it.parse().unwrap());
    let json = reply.err(429, "M_LIMIT_EXCEEDED");
    (json["retry_after_ms"].as_u64().unwrap(), header.unwrap())
}

#[test]
fn registration_limit_has_retry_time() {
    let mut home = home(Limits::default().registration(Limit::new(0.4, 2)));
    home.register_named("a").ok();
    home.register_named("b").ok();
    // The first request is rejected, too, before any stage.
    assert_eq!(wait_of(home.post(REGISTER, json!({}))), (2_500, 3));
    home.wait(Duration::from_millis(2_499));
    assert_eq!(wait_of(home.register_named("c")), (1, 1));
    home.wait(Duration::from_millis(1));
    home.register_named("c").ok();
    wait_of(home.register_named("d"));
    home.wait(Duration::from_secs(3600));
    home.register_named("d").ok();
    home.register_named("e").ok();
    wait_of(home.register_named("f"));
}

#[test]
fn failures_do_not_count_as_registrations() {
    let mut home = home(Limits::default().registration(Limit::new(0.1, 1)));
    for _ in 0..10 {
        home.post(REGISTER, json!({})).more();
        home.register(json!({ "username": "_", "password": PASSWORD }))
            .err(400, "M_INVALID_USERNAME");
    }
    home.register_named("alice").ok();
}

#[test]
fn guests_count_as_registrations() {
    let mut home = home(Limits::default().registration(Limit::new(0.1, 1)));
    home.post(&format!("{REGISTER}?kind=guest"), json!({})).ok();
    wait_of(home.post(&format!("{REGISTER}?kind=guest"), json!({})));
}

#[test]
fn limits_are_per_address() {
    let mut home = home(Limits::default().registration(Limit::new(0.1, 1)));
    let from = |peer: &str, name: &str| {
        let auth = json!({ "type": "m.login.dummy" });
        let body = json!({ "username": name, "password": PASSWORD, "auth": auth });
        let mut request = post(REGISTER, body);
        request.peer = peer.to_owned();
        request
    };
    home.send(from("192.0.2.1", "a")).ok();
    wait_of(home.send(from("192.0.2.1", "b")));
    home.send(from("192.0.2.2", "b")).ok();
}

#[test]
fn login_is_rate_limited() {
    let mut home = home(Limits::default().login(Limit::new(1.0, 2)));
    home.register_named("alice").ok();
    home.login("alice", json!({})).ok();
    home.login("bob", json!({})).err(403, "M_FORBIDDEN");
    assert_eq!(wait_of(home.login("alice", json!({}))), (1_000, 1));
    home.get(LOGIN).ok();
    home.wait(Duration::from_secs(1));
    home.login("alice", json!({})).ok();
}

#[test]
fn token_guessing_is_rate_limited() {
    let config = Config::default()
        .flows([["m.login.registration_token"]])
        .registration_token(RegistrationToken::new("sesame"))
        .limits(Limits::default().token_validity(Limit::new(1.0, 2)));
    let mut home = TestServer::new(config);
    let session = text(
        &home.post(REGISTER, json!({ "password": PASSWORD })).more(),
        "session",
    );
    let guess = |token: &str| {
        let auth =
            json!({ "type": "m.login.registration_token", "session": session, "token": token });
        post(REGISTER, json!({ "auth": auth }))
    };
    home.get(&format!("{VALIDITY}?token=a")).ok();
    home.send(guess("b")).err(401, "M_UNAUTHORIZED");
    wait_of(home.send(guess("sesame")));
    wait_of(home.send(get(&format!("{VALIDITY}?token=c"))));
    home.wait(Duration::from_secs(1));
    home.send(guess("sesame")).ok();
}

#[test]
fn clock_set_back_does_not_lock_out() {
    let mut home = home(Limits::default().registration(Limit::new(1.0, 3)));
    for name in ["a", "b", "c"] {
        home.register_named(name).ok();
    }
    home.now = matricula_core::Timestamp::from_millis(1_000);
    let (wait, _) = wait_of(home.register_named("d"));
    assert!(wait <= 1_000, "{wait} ms");
    home.wait(Duration::from_secs(1));
    home.register_named("d").ok();
}

#[test]
fn no_limits_by_default() {
    let mut home = TestServer::open();
    for number in 0..100 {
        home.register_named(&format!("user{number}")).ok();
    }
}
