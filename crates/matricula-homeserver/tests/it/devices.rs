//! Devices: list, rename, delete.

use std::time::Duration;

use matricula_core::Method;
use matricula_homeserver::Request;
use serde_json::{Value, json};

use crate::{TestServer, TestUser, text};

const DEVICES: &str = "/_matrix/client/v3/devices";
const DELETE_MANY: &str = "/_matrix/client/v3/delete_devices";

fn named(device: &str) -> String {
    format!("{DEVICES}/{device}")
}

fn list(home: &mut TestServer, me: &TestUser) -> Vec<Value> {
    let json = home.get_as(&me.token, DEVICES).ok();
    json["devices"].as_array().unwrap().clone()
}

fn ids(home: &mut TestServer, me: &TestUser) -> Vec<String> {
    list(home, me)
        .iter()
        .map(|it| text(it, "device_id"))
        .collect()
}

/// Alice on the devices `A`, `B` and `C`, a second apart.
fn three() -> (TestServer, [TestUser; 3]) {
    let mut home = TestServer::open();
    home.sign_up("bob");
    let first = home.register(json!({ "username": "alice", "password": crate::PASSWORD,
        "device_id": "A", "initial_device_display_name": "Phone" }));
    let first = TestUser::of(&first.ok());
    let [second, third] = ["B", "C"].map(|id| {
        home.wait(Duration::from_secs(1));
        TestUser::of(&home.login("alice", json!({ "device_id": id })).ok())
    });
    (home, [first, second, third])
}

#[test]
fn own_devices_are_listed() {
    let (mut home, [me, ..]) = three();
    assert_eq!(ids(&mut home, &me), ["A", "B", "C"]);
    assert_eq!(list(&mut home, &me)[0]["display_name"], "Phone");
    assert_eq!(list(&mut home, &me)[1].get("display_name"), None);
}

#[test]
fn last_use_is_recorded() {
    let (mut home, [me, other, _]) = three();
    let device = home.get_as(&other.token, &named("A")).ok();
    assert_eq!(device["device_id"], "A");
    assert_eq!(device.get("last_seen_ts"), None);
    let seen = home.now.as_millis();
    home.whoami(&me.token).ok();
    let device = home.get_as(&other.token, &named("A")).ok();
    assert_eq!(device["last_seen_ts"], seen);
    assert_eq!(device["last_seen_ip"], "127.0.0.1");
    // Recorded once a minute, and at once for another address.
    home.wait(Duration::from_secs(59));
    home.whoami(&me.token).ok();
    let device = home.get_as(&other.token, &named("A")).ok();
    assert_eq!(device["last_seen_ts"], seen);
    let mut request = Request::new(Method::Get, crate::WHOAMI);
    request.access_token = Some(me.token.as_str().into());
    request.peer = "192.0.2.1".to_owned();
    home.send(request).ok();
    let device = home.get_as(&other.token, &named("A")).ok();
    assert_eq!(device["last_seen_ip"], "192.0.2.1");
    home.wait(Duration::from_secs(60));
    home.whoami(&me.token).ok();
    let device = home.get_as(&other.token, &named("A")).ok();
    assert_eq!(device["last_seen_ts"], home.now.as_millis());
}

#[test]
fn device_can_be_renamed() {
    let (mut home, [me, ..]) = three();
    let body = json!({ "display_name": "Old phone" });
    home.call_as(&me.token, Method::Put, &named("B"), body).ok();
    let device = home.get_as(&me.token, &named("B")).ok();
    assert_eq!(device["display_name"], "Old phone");
    home.call_as(&me.token, Method::Put, &named("B"), json!({}))
        .ok();
    let device = home.get_as(&me.token, &named("B")).ok();
    assert_eq!(device["display_name"], "Old phone");
    let long = json!({ "display_name": "x".repeat(513) });
    home.call_as(&me.token, Method::Put, &named("B"), long)
        .err(400, "M_INVALID_PARAM");
}

#[test]
fn devices_of_others_are_hidden() {
    let (mut home, [me, ..]) = three();
    let bob = home.sign_in("bob");
    home.get_as(&bob.token, &named("A")).err(404, "M_NOT_FOUND");
    home.call_as(&bob.token, Method::Put, &named("A"), json!({}))
        .err(404, "M_NOT_FOUND");
    home.prove(&bob, Method::Delete, &named("A"), json!({}))
        .ok();
    home.whoami(&me.token).ok();
}

#[test]
fn password_deletes_device_and_tokens() {
    let (mut home, [me, other, third]) = three();
    home.prove(&me, Method::Delete, &named("B"), json!({})).ok();
    home.whoami(&other.token).err(401, "M_UNKNOWN_TOKEN");
    home.whoami(&third.token).ok();
    assert_eq!(ids(&mut home, &me), ["A", "C"]);
    // Repeating the request succeeds.
    home.prove(&me, Method::Delete, &named("B"), json!({})).ok();
}

#[test]
fn session_deletes_only_its_device() {
    let (mut home, [me, _, third]) = three();
    let asked = home.call_as(&me.token, Method::Delete, &named("B"), json!({}));
    let session = text(&asked.more(), "session");
    let body = json!({ "auth": me.auth(&session, crate::PASSWORD) });
    home.call_as(&me.token, Method::Delete, &named("C"), body)
        .err(403, "M_UNKNOWN");
    home.whoami(&third.token).ok();
}

#[test]
fn many_devices_deleted_at_once() {
    let (mut home, [me, second, third]) = three();
    let body = json!({ "devices": ["B", "C", "nowhere"] });
    home.prove(&me, Method::Post, DELETE_MANY, body).ok();
    for other in [second, third] {
        home.whoami(&other.token).err(401, "M_UNKNOWN_TOKEN");
    }
    assert_eq!(ids(&mut home, &me), ["A"]);
    let body = json!({ "devices": vec!["x"; 1_001] });
    home.post_as(&me.token, DELETE_MANY, body)
        .err(400, "M_INVALID_PARAM");
}

#[test]
fn device_can_delete_itself() {
    let (mut home, [me, ..]) = three();
    home.prove(&me, Method::Delete, &named("A"), json!({})).ok();
    home.whoami(&me.token).err(401, "M_UNKNOWN_TOKEN");
}
