//! User-interactive authentication: sessions, stages, order.

use std::time::Duration;

use matricula_homeserver::{Config, Policy};
use serde_json::{Value, json};

use crate::{PASSWORD, REGISTER, TestServer, get, text};

fn terms_then_dummy() -> TestServer {
    let policy = Policy::new("1.2").translation("en", "Rules", "Be kind.");
    let config = Config::default()
        .flows([["m.login.terms", "m.login.dummy"]])
        .policy("rules", policy);
    TestServer::new(config)
}

fn stage(name: &str, session: &str) -> Value {
    json!({ "auth": { "type": name, "session": session } })
}

#[test]
fn first_response_has_flows_and_session() {
    let json = TestServer::open().post(REGISTER, json!({})).more();
    assert_eq!(json["flows"], json!([{ "stages": ["m.login.dummy"] }]));
    assert_eq!(json["params"], json!({}));
    assert_eq!(json.get("completed"), None);
    assert!(!text(&json, "session").is_empty());
}

#[test]
fn dummy_stage_still_needs_auth() {
    let mut home = TestServer::open();
    let body = json!({ "username": "alice", "password": PASSWORD });
    home.post(REGISTER, body.clone()).more();
    home.post(
        REGISTER,
        json!({ "username": "alice", "password": PASSWORD, "auth": {} }),
    )
    .more();
    home.login("alice", json!({})).err(403, "M_FORBIDDEN");
}

#[test]
fn session_remembers_stages_and_body() {
    let mut home = terms_then_dummy();
    let body = json!({ "username": "alice", "password": PASSWORD, "device_id": "FIRST",
        "inhibit_login": false });
    let session = text(&home.post(REGISTER, body).more(), "session");
    let json = home.post(REGISTER, stage("m.login.terms", &session)).more();
    assert_eq!(json["completed"], json!(["m.login.terms"]));
    assert_eq!(json["session"], session);
    let json = home.post(REGISTER, stage("m.login.dummy", &session)).ok();
    assert_eq!(json["user_id"], "@alice:private.localhost");
    assert_eq!(json["device_id"], "FIRST");
    home.login("alice", json!({})).ok();
}

#[test]
fn later_body_only_adds_parameters() {
    let mut home = TestServer::open();
    let session = text(
        &home.post(REGISTER, json!({ "username": "alice" })).more(),
        "session",
    );
    home.post(
        REGISTER,
        json!({ "password": PASSWORD, "auth": { "session": session } }),
    )
    .ok_or_more();
    let body = json!({ "username": "mallory", "password": "another", "device_id": "LATE",
        "auth": { "type": "m.login.dummy", "session": session } });
    let json = home.post(REGISTER, body).ok();
    assert_eq!(json["user_id"], "@alice:private.localhost");
    assert_eq!(json["device_id"], "LATE");
    home.login("alice", json!({})).ok();
}

#[test]
fn stage_out_of_order_fails() {
    let mut home = terms_then_dummy();
    let session = text(
        &home.post(REGISTER, json!({ "password": PASSWORD })).more(),
        "session",
    );
    let json = home
        .post(REGISTER, stage("m.login.dummy", &session))
        .err(401, "M_FORBIDDEN");
    assert_eq!(json["session"], session);
    assert_eq!(json.get("completed"), None);
    home.post(REGISTER, stage("m.login.terms", &session)).more();
    home.post(REGISTER, stage("m.login.dummy", &session)).ok();
}

#[test]
fn any_flow_suffices() {
    let policy = Policy::new("1").translation("en", "Rules", "Be kind.");
    let flows = [
        vec!["m.login.terms", "org.example.riddle"],
        vec!["m.login.terms", "m.login.dummy"],
    ];
    let mut home = TestServer::new(Config::default().flows(flows).policy("p", policy));
    let session = text(
        &home.post(REGISTER, json!({ "password": PASSWORD })).more(),
        "session",
    );
    home.post(REGISTER, stage("m.login.terms", &session)).more();
    home.post(REGISTER, stage("org.example.riddle", &session))
        .err(401, "M_UNAUTHORIZED");
    home.post(REGISTER, stage("m.login.dummy", &session)).ok();
}

#[test]
fn completed_stage_is_not_repeated() {
    let mut home = terms_then_dummy();
    let session = text(
        &home.post(REGISTER, json!({ "password": PASSWORD })).more(),
        "session",
    );
    for _ in 0..3 {
        let json = home.post(REGISTER, stage("m.login.terms", &session)).more();
        assert_eq!(json["completed"], json!(["m.login.terms"]));
    }
}

#[test]
fn malformed_auth_differs_from_failure() {
    let mut home = TestServer::open();
    home.post(REGISTER, stage("m.login.dummy", "no such session"))
        .err(400, "M_UNKNOWN");
    let session = text(&home.post(REGISTER, json!({})).more(), "session");
    home.post(REGISTER, stage("m.login.recaptcha", &session))
        .err(400, "M_INVALID_PARAM");
}

#[test]
fn registration_session_expires() {
    let mut home = TestServer::open();
    let body = json!({ "username": "alice", "password": PASSWORD });
    let session = text(&home.post(REGISTER, body).more(), "session");
    home.wait(Duration::from_secs(24 * 60 * 60 - 1));
    home.post(REGISTER, json!({ "auth": { "session": session } }))
        .more();
    home.wait(Duration::from_secs(1));
    home.post(REGISTER, stage("m.login.dummy", &session))
        .err(400, "M_UNKNOWN");
}

#[test]
fn policies_link_to_documents() {
    let mut home = terms_then_dummy();
    let json = home.post(REGISTER, json!({})).more();
    let policy = &json["params"]["m.login.terms"]["policies"]["rules"];
    assert_eq!(policy["version"], "1.2");
    assert_eq!(policy["en"]["name"], "Rules");
    let url = text(&policy["en"], "url");
    let path = url.strip_prefix("http://private.localhost").unwrap();
    let page = home.send(get(path));
    assert_eq!(page.0.status, 200);
    assert!(page.text().contains("Be kind."));
}

impl crate::Reply {
    /// Any response that is not an error.
    #[track_caller]
    fn ok_or_more(self) {
        let json = self.json();
        assert!([200, 401].contains(&self.0.status), "{json}");
        assert_eq!(json.get("errcode"), None, "{json}");
    }
}
