//! Locked and suspended accounts.

use matricula_core::Method;
use matricula_homeserver::Config;
use serde_json::{Value, json};

use crate::{LOGOUT, TestServer, TestUser};

fn home() -> (TestServer, TestUser, TestUser) {
    let mut home = TestServer::new(Config::default().admin("root"));
    let (root, alice) = (home.sign_up("root"), home.sign_up("alice"));
    (home, root, alice)
}

fn lock(user: &TestUser) -> String {
    format!("/_matrix/client/v1/admin/lock/{}", user.user_id)
}

fn suspend(user: &TestUser) -> String {
    format!("/_matrix/client/v1/admin/suspend/{}", user.user_id)
}

fn set(home: &mut TestServer, root: &TestUser, path: &str, body: Value) -> crate::Reply {
    home.call_as(&root.token, Method::Put, path, body)
}

#[test]
fn locked_account_waits_for_unlock() {
    let (mut home, root, alice) = home();
    set(&mut home, &root, &lock(&alice), json!({ "locked": true })).ok();
    let json = home.whoami(&alice.token).err(401, "M_USER_LOCKED");
    assert_eq!(json["soft_logout"], true);
    assert_eq!(home.get_as(&root.token, &lock(&alice)).ok()["locked"], true);
    set(&mut home, &root, &lock(&alice), json!({ "locked": false })).ok();
    home.whoami(&alice.token).ok();
}

#[test]
fn locked_user_can_log_out() {
    let (mut home, root, alice) = home();
    set(&mut home, &root, &lock(&alice), json!({ "locked": true })).ok();
    home.post_as(&alice.token, LOGOUT, json!({})).ok();
    home.whoami(&alice.token).err(401, "M_UNKNOWN_TOKEN");
}

#[test]
fn suspended_account_is_read_only() {
    let (mut home, root, alice) = home();
    set(
        &mut home,
        &root,
        &suspend(&alice),
        json!({ "suspended": true }),
    )
    .ok();
    let json = home.get_as(&root.token, &suspend(&alice)).ok();
    assert_eq!(json["suspended"], true);
    home.whoami(&alice.token).ok();
    let path = format!("/_matrix/client/v3/profile/{}/displayname", alice.user_id);
    let body = json!({ "displayname": "Alice" });
    home.call_as(&alice.token, Method::Put, &path, body)
        .err(403, "M_USER_SUSPENDED");
}

#[test]
fn only_admins_moderate_others() {
    let (mut home, root, alice) = home();
    for path in [lock(&root), lock(&alice), suspend(&root)] {
        let body = json!({ "locked": true, "suspended": true });
        set(&mut home, &alice, &path, body).err(403, "M_FORBIDDEN");
        home.get_as(&alice.token, &path).err(403, "M_FORBIDDEN");
        home.get(&path).err(401, "M_MISSING_TOKEN");
    }
    set(&mut home, &root, &lock(&root), json!({ "locked": true })).err(403, "M_FORBIDDEN");
    let nobody = "/_matrix/client/v1/admin/lock/@nobody:private.localhost";
    set(&mut home, &root, nobody, json!({ "locked": true })).err(404, "M_NOT_FOUND");
    let elsewhere = "/_matrix/client/v1/admin/lock/@alice:elsewhere.example";
    set(&mut home, &root, elsewhere, json!({ "locked": true })).err(400, "M_INVALID_PARAM");
}

#[test]
fn moderation_capability_is_announced() {
    let (mut home, root, alice) = home();
    let mut told = |me: &TestUser| {
        let json = home
            .get_as(&me.token, "/_matrix/client/v3/capabilities")
            .ok();
        json["capabilities"]["m.account_moderation"].clone()
    };
    assert_eq!(told(&root), json!({ "lock": true, "suspend": true }));
    assert_eq!(told(&alice), Value::Null);
}
