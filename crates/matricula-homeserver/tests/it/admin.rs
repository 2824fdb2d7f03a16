//! Administrators: shared secret, users, registration tokens.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use matricula_core::Method;
use matricula_homeserver::{Config, Registration};
use serde_json::{Value, json};
use sha1::Sha1;

use crate::{PASSWORD, REGISTER, Reply, TestServer, TestUser, VALIDITY, text};

const SECRET: &str = "shared secret";
const BY_SECRET: &str = "/_synapse/admin/v1/register";
const TOKENS: &str = "/_synapse/admin/v1/registration_tokens";

fn closed() -> TestServer {
    let config = Config::default()
        .registration(Registration::Closed)
        .registration_shared_secret(SECRET);
    TestServer::new(config)
}

fn mac(secret: &str, texts: [&str; 4]) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(texts.join("\0").as_bytes());
    let bytes = mac.finalize().into_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn nonce(home: &mut TestServer) -> String {
    text(&home.get(BY_SECRET).ok(), "nonce")
}

fn by_secret(home: &mut TestServer, nonce: &str, username: &str, admin: bool) -> Reply {
    let word = if admin { "admin" } else { "notadmin" };
    let mac = mac(SECRET, [nonce, username, PASSWORD, word]);
    let body = json!({ "nonce": nonce, "username": username, "password": PASSWORD,
        "admin": admin, "mac": mac });
    home.post(BY_SECRET, body)
}

/// A server with closed registration, and its administrator.
fn root(home: &mut TestServer) -> TestUser {
    let nonce = nonce(home);
    TestUser::of(&by_secret(home, &nonce, "root", true).ok())
}

fn user(localpart: &str) -> String {
    format!("/_synapse/admin/v2/users/@{localpart}:private.localhost")
}

fn put(home: &mut TestServer, me: &TestUser, path: &str, body: Value) -> Reply {
    home.call_as(&me.token, Method::Put, path, body)
}

#[test]
fn shared_secret_registers_where_closed() {
    let mut home = closed();
    let nonce = nonce(&mut home);
    let me = TestUser::of(&by_secret(&mut home, &nonce, "alice", false).ok());
    assert_eq!(me.user_id, "@alice:private.localhost");
    home.whoami(&me.token).ok();
    home.login("alice", json!({})).ok();
    home.get_as(&me.token, TOKENS).err(403, "M_FORBIDDEN");
}

#[test]
fn nonce_works_once_for_a_minute() {
    let mut home = closed();
    let once = nonce(&mut home);
    by_secret(&mut home, &once, "alice", false).ok();
    by_secret(&mut home, &once, "bob", false).err(400, "M_UNKNOWN");
    let late = nonce(&mut home);
    home.wait(Duration::from_secs(60));
    by_secret(&mut home, &late, "bob", false).err(400, "M_UNKNOWN");
    by_secret(&mut home, "guess", "bob", false).err(400, "M_UNKNOWN");
    // A wrong mac uses the nonce up, too.
    let nonce = nonce(&mut home);
    let body = json!({ "nonce": nonce, "username": "bob", "password": PASSWORD, "mac": "00" });
    home.post(BY_SECRET, body).err(403, "M_UNKNOWN");
    by_secret(&mut home, &nonce, "bob", false).err(400, "M_UNKNOWN");
}

#[test]
fn mac_covers_all_fields() {
    let mut home = closed();
    for (secret, texts) in [
        ("guess", ["", "alice", PASSWORD, "notadmin"]),
        (SECRET, ["", "bob", PASSWORD, "notadmin"]),
        (SECRET, ["", "alice", "another", "notadmin"]),
        (SECRET, ["", "alice", PASSWORD, "admin"]),
    ] {
        let nonce = nonce(&mut home);
        let mac = mac(secret, [&nonce, texts[1], texts[2], texts[3]]);
        let body = json!({ "nonce": nonce, "username": "alice", "password": PASSWORD, "mac": mac });
        home.post(BY_SECRET, body).err(403, "M_UNKNOWN");
    }
    for mac in ["", "0", "zz", "+0", "ä"] {
        let body = json!({ "nonce": nonce(&mut home), "username": "alice", "password": PASSWORD,
            "mac": mac });
        home.post(BY_SECRET, body).err(403, "M_UNKNOWN");
    }
    let nonce = nonce(&mut home);
    by_secret(&mut home, &nonce, "a\0b", false).err(400, "M_INVALID_PARAM");
}

#[test]
fn no_shared_secret_no_registration() {
    let mut home = TestServer::open();
    home.get(BY_SECRET).err(400, "M_UNKNOWN");
    home.post(BY_SECRET, json!({})).err(400, "M_UNKNOWN");
}

#[test]
fn shared_secret_obeys_registration_rules() {
    let mut home = closed();
    root(&mut home);
    let nonces = [nonce(&mut home), nonce(&mut home)];
    by_secret(&mut home, &nonces[0], "root", false).err(400, "M_USER_IN_USE");
    by_secret(&mut home, &nonces[1], "no name", false).err(400, "M_INVALID_USERNAME");
    home.post(BY_SECRET, json!({})).err(400, "M_BAD_JSON");
}

#[test]
fn admin_creates_user() {
    let mut home = closed();
    let root = root(&mut home);
    home.get_as(&root.token, &user("alice"))
        .err(404, "M_NOT_FOUND");
    let body = json!({ "password": PASSWORD, "displayname": "Alice" });
    let reply = put(&mut home, &root, &user("alice"), body);
    assert_eq!(reply.0.status, 201);
    let json = home.get_as(&root.token, &user("alice")).ok();
    let wanted = json!({ "name": "@alice:private.localhost", "displayname": "Alice",
        "avatar_url": null, "admin": false, "deactivated": false, "locked": false,
        "suspended": false, "is_guest": false, "creation_ts": home.now.as_millis() / 1_000 });
    assert_eq!(json, wanted);
    assert_eq!(reply.json(), wanted);
    home.login("alice", json!({})).ok();
}

#[test]
fn users_are_listed_by_pages() {
    const USERS: &str = "/_synapse/admin/v2/users";
    let mut home = closed();
    let root = root(&mut home);
    for (name, shown) in [("bob", "Bobby"), ("alice", "Alice B"), ("carl", "Carl")] {
        let body = json!({ "password": PASSWORD, "displayname": shown });
        put(&mut home, &root, &user(name), body);
    }
    put(
        &mut home,
        &root,
        &user("carl"),
        json!({ "deactivated": true }),
    )
    .ok();
    let mut listed = |query: &str| {
        let list = home.get_as(&root.token, &format!("{USERS}{query}")).ok();
        let users = list["users"].as_array().unwrap().iter();
        let names: Vec<String> = users.map(|user| text(user, "name")).collect();
        let names: Vec<&str> = names
            .iter()
            .map(|name| &name[1..name.find(':').unwrap()])
            .collect();
        (
            names.join(" "),
            list["total"].clone(),
            list["next_token"].clone(),
        )
    };
    let page = |names: &str, total: u64, next: Value| (names.to_owned(), json!(total), next);
    assert_eq!(listed(""), page("alice bob root", 3, Value::Null));
    assert_eq!(listed("?limit=2"), page("alice bob", 3, json!("2")));
    assert_eq!(listed("?limit=2&from=2"), page("root", 3, Value::Null));
    assert_eq!(listed("?from=9"), page("", 3, Value::Null));
    assert_eq!(listed("?name=BOB"), page("bob", 1, Value::Null));
    assert_eq!(listed("?name=bobby"), page("bob", 1, Value::Null));
    assert_eq!(
        listed("?deactivated=true&name=carl"),
        page("carl", 1, Value::Null)
    );
    let shown = home.get_as(&root.token, &format!("{USERS}?name=bob")).ok();
    assert_eq!(
        shown["users"][0]["creation_ts"],
        home.now.as_millis() / 1_000 * 1_000
    );
    for query in ["?from=x", "?limit=-1"] {
        home.get_as(&root.token, &format!("{USERS}{query}"))
            .err(400, "M_INVALID_PARAM");
    }
    let bob = TestUser::of(&home.login("bob", json!({})).ok());
    home.get_as(&bob.token, USERS).err(403, "M_FORBIDDEN");
}

#[test]
fn admin_changes_user() {
    let mut home = closed();
    let root = root(&mut home);
    put(
        &mut home,
        &root,
        &user("alice"),
        json!({ "password": PASSWORD }),
    );
    let me = home.sign_in("alice");
    // Missing fields stay unchanged.
    put(&mut home, &root, &user("alice"), json!({})).ok();
    home.whoami(&me.token).ok();
    put(&mut home, &root, &user("alice"), json!({ "locked": true })).ok();
    home.whoami(&me.token).err(401, "M_USER_LOCKED");
    put(
        &mut home,
        &root,
        &user("alice"),
        json!({ "locked": false, "admin": true }),
    )
    .ok();
    home.get_as(&me.token, TOKENS).ok();
    let body = json!({ "password": "another", "logout_devices": false });
    put(&mut home, &root, &user("alice"), body).ok();
    home.whoami(&me.token).ok();
    home.login("alice", json!({})).err(403, "M_FORBIDDEN");
    put(
        &mut home,
        &root,
        &user("alice"),
        json!({ "password": PASSWORD }),
    )
    .ok();
    home.whoami(&me.token).err(401, "M_UNKNOWN_TOKEN");
}

#[test]
fn admin_deactivates_and_reactivates_account() {
    let mut home = closed();
    let root = root(&mut home);
    put(
        &mut home,
        &root,
        &user("alice"),
        json!({ "password": PASSWORD }),
    );
    let me = home.sign_in("alice");
    let json = put(
        &mut home,
        &root,
        &user("alice"),
        json!({ "deactivated": true }),
    )
    .ok();
    assert_eq!(json["deactivated"], true);
    home.whoami(&me.token).err(401, "M_UNKNOWN_TOKEN");
    home.login("alice", json!({}))
        .err(403, "M_USER_DEACTIVATED");
    put(
        &mut home,
        &root,
        &user("alice"),
        json!({ "deactivated": false }),
    )
    .err(400, "M_MISSING_PARAM");
    let body = json!({ "deactivated": false, "password": PASSWORD });
    put(&mut home, &root, &user("alice"), body).ok();
    home.login("alice", json!({})).ok();
}

#[test]
fn admins_cannot_lock_themselves_out() {
    let mut home = closed();
    let root = root(&mut home);
    for body in [
        json!({ "admin": false }),
        json!({ "locked": true }),
        json!({ "deactivated": true }),
    ] {
        put(&mut home, &root, &user("root"), body).err(400, "M_UNKNOWN");
    }
    home.get_as(&root.token, TOKENS).ok();
}

#[test]
fn other_users_are_not_admins() {
    let mut home = TestServer::new(Config::default().admin("root"));
    let (root, me) = (home.sign_up("root"), home.sign_up("alice"));
    home.get_as(&root.token, TOKENS).ok();
    for (method, path) in [
        (Method::Get, user("alice")),
        (Method::Put, user("alice")),
        (Method::Get, TOKENS.to_owned()),
        (Method::Post, format!("{TOKENS}/new")),
        (Method::Get, format!("{TOKENS}/x")),
        (Method::Put, format!("{TOKENS}/x")),
        (Method::Delete, format!("{TOKENS}/x")),
    ] {
        home.call_as(&me.token, method, &path, json!({}))
            .err(403, "M_FORBIDDEN");
        home.call_as("guess", method, &path, json!({}))
            .err(401, "M_UNKNOWN_TOKEN");
    }
    home.post_as(&root.token, TOKENS, json!({}))
        .err(405, "M_UNRECOGNIZED");
    home.get_as(&root.token, "/_synapse/admin/v1/rooms")
        .err(404, "M_UNRECOGNIZED");
}

#[test]
fn invalid_user_changes_are_rejected() {
    let mut home = closed();
    let root = root(&mut home);
    for (path, body, code) in [
        (user("no name"), json!({}), "M_INVALID_USERNAME"),
        (
            "/_synapse/admin/v2/users/alice".to_owned(),
            json!({}),
            "M_INVALID_PARAM",
        ),
        (
            user("alice"),
            json!({ "password": "" }),
            "M_PASSWORD_TOO_SHORT",
        ),
        (
            user("alice"),
            json!({ "displayname": "x".repeat(257) }),
            "M_INVALID_PARAM",
        ),
        (user("alice"), json!({ "admin": "yes" }), "M_BAD_JSON"),
    ] {
        put(&mut home, &root, &path, body).err(400, code);
    }
    home.get_as(&root.token, &user("alice"))
        .err(404, "M_NOT_FOUND");
}

/// A server that requires a registration token, and its administrator.
fn asking() -> (TestServer, TestUser) {
    let config = Config::default()
        .flows([["m.login.registration_token"]])
        .registration_shared_secret(SECRET);
    let mut home = TestServer::new(config);
    let root = root(&mut home);
    (home, root)
}

fn is_valid(home: &mut TestServer, token: &str) -> bool {
    let json = home.get(&format!("{VALIDITY}?token={token}")).ok();
    json["valid"].as_bool().unwrap()
}

#[test]
fn created_token_registers_until_used_up() {
    let (mut home, root) = asking();
    let body = json!({ "token": "sesame", "uses_allowed": 1 });
    let made = home.post_as(&root.token, &format!("{TOKENS}/new"), body.clone());
    let shown = json!({ "token": "sesame", "uses_allowed": 1, "pending": 0, "completed": 0,
        "expiry_time": null });
    assert_eq!(made.ok(), shown);
    home.post_as(&root.token, &format!("{TOKENS}/new"), body)
        .err(400, "M_INVALID_PARAM");
    let auth = json!({ "type": "m.login.registration_token", "token": "sesame" });
    let asked = home.post(
        REGISTER,
        json!({ "username": "alice", "password": PASSWORD }),
    );
    let session = text(&asked.more(), "session");
    let mut auth = auth;
    auth["session"] = json!(session);
    home.post(REGISTER, json!({ "auth": auth })).ok();
    let json = home.get_as(&root.token, &format!("{TOKENS}/sesame")).ok();
    assert_eq!(json["completed"], 1);
    assert!(!is_valid(&mut home, "sesame"));
}

#[test]
fn tokens_are_listed_changed_deleted() {
    let (mut home, root) = asking();
    for body in [
        json!({ "token": "a" }),
        json!({ "token": "b", "uses_allowed": 0 }),
        json!({ "length": 40 }),
        json!({}),
    ] {
        home.post_as(&root.token, &format!("{TOKENS}/new"), body)
            .ok();
    }
    let mut list = |query: &str| {
        let json = home.get_as(&root.token, &format!("{TOKENS}{query}")).ok();
        let all = json["registration_tokens"].as_array().unwrap();
        all.iter().map(|it| text(it, "token")).collect::<Vec<_>>()
    };
    let all = list("");
    assert!(["a", "b"].iter().all(|it| all.iter().any(|one| one == it)));
    let mut lengths: Vec<_> = all.iter().map(String::len).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [1, 1, 16, 40]);
    assert_eq!(list("?valid=false"), ["b"]);
    assert_eq!(list("?valid=true").len(), 3);
    let path = |token: &str| format!("{TOKENS}/{token}");
    put(
        &mut home,
        &root,
        &path("b"),
        json!({ "uses_allowed": null }),
    )
    .ok();
    assert!(is_valid(&mut home, "b"));
    let soon = home.now.plus(Duration::from_secs(1)).as_millis();
    let json = put(&mut home, &root, &path("b"), json!({ "expiry_time": soon })).ok();
    assert_eq!(
        (&json["uses_allowed"], &json["expiry_time"]),
        (&Value::Null, &json!(soon))
    );
    home.wait(Duration::from_secs(1));
    assert!(!is_valid(&mut home, "b"));
    home.call_as(&root.token, Method::Delete, &path("a"), Value::Null)
        .ok();
    assert!(!is_valid(&mut home, "a"));
    for (method, body) in [
        (Method::Delete, Value::Null),
        (Method::Get, Value::Null),
        (Method::Put, json!({})),
    ] {
        home.call_as(&root.token, method, &path("a"), body)
            .err(404, "M_NOT_FOUND");
    }
}

#[test]
fn invalid_tokens_are_not_created() {
    let (mut home, root) = asking();
    let past = home.now.as_millis() - 1;
    for body in [
        json!({ "token": "no spaces" }),
        json!({ "token": "" }),
        json!({ "token": "x".repeat(65) }),
        json!({ "length": 0 }),
        json!({ "length": 65 }),
        json!({ "expiry_time": past }),
    ] {
        home.post_as(&root.token, &format!("{TOKENS}/new"), body)
            .err(400, "M_INVALID_PARAM");
    }
    for body in [
        json!({ "uses_allowed": -1 }),
        json!({ "uses_allowed": 1.5 }),
        json!([]),
    ] {
        home.post_as(&root.token, &format!("{TOKENS}/new"), body)
            .err(400, "M_BAD_JSON");
    }
    home.get_as(&root.token, &format!("{TOKENS}?valid=maybe"))
        .err(400, "M_INVALID_PARAM");
}

#[test]
fn password_policy_is_published() {
    use matricula_homeserver::{PasswordCodes, PasswordPolicy};

    let path = "/_matrix/client/r0/password_policy";
    assert_eq!(TestServer::open().get(path).ok(), json!({}));
    let policy = PasswordPolicy::strict(PasswordCodes::Named);
    let mut home = TestServer::new(Config::default().password_policy(policy));
    let wanted = json!({ "m.minimum_length": 8, "m.require_digit": true,
        "m.require_symbol": true, "m.require_uppercase": true, "m.require_lowercase": true });
    assert_eq!(home.get(path).ok(), wanted);
}
