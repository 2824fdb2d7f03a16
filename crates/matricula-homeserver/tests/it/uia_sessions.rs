//! What a session of user-interactive authentication authorizes, what it repeats, and how many there are.

use std::time::Duration;

use matricula_core::{Method, Secret};
use matricula_homeserver::{Config, Database, Policy};
use serde_json::{Value, json};

use crate::{LOGOUT, PASSWORD, REGISTER, Reply, TestServer, TestUser, get, post, text};

const PASSWORD_PATH: &str = "/_matrix/client/v3/account/password";
const DELETE_DEVICES: &str = "/_matrix/client/v3/delete_devices";
const DEACTIVATE: &str = "/_matrix/client/v3/account/deactivate";

fn stage(session: &str) -> Value {
    json!({ "auth": { "type": "m.login.dummy", "session": session } })
}

/// Registers in two requests. Returns the session and the first response.
fn register_in_session(home: &mut TestServer, mut body: Value) -> (String, Value) {
    body["username"] = json!("alice");
    body["password"] = json!(PASSWORD);
    let session = text(&home.post(REGISTER, body).more(), "session");
    let done = home.post(REGISTER, stage(&session)).ok();
    (session, done)
}

fn device_ids(home: &mut TestServer, token: &str) -> Vec<String> {
    let devices = home.get_as(token, "/_matrix/client/v3/devices").ok();
    let devices = devices["devices"].as_array().unwrap();
    devices.iter().map(|it| text(it, "device_id")).collect()
}

/// A user with three more devices, A, B and C.
fn with_devices(home: &mut TestServer) -> TestUser {
    let alice = home.sign_up("alice");
    for id in ["A", "B", "C"] {
        home.login("alice", json!({ "device_id": id })).ok();
    }
    alice
}

/// Begins to delete devices. Returns the session.
fn ask_to_delete(home: &mut TestServer, alice: &TestUser, devices: &[&str]) -> String {
    let body = json!({ "devices": devices });
    text(
        &home.post_as(&alice.token, DELETE_DEVICES, body).more(),
        "session",
    )
}

fn delete(home: &mut TestServer, alice: &TestUser, devices: &[&str], auth: &Value) -> Reply {
    let body = json!({ "devices": devices, "auth": auth });
    home.post_as(&alice.token, DELETE_DEVICES, body)
}

#[test]
fn session_authorizes_only_its_body() {
    let mut home = TestServer::open();
    let alice = with_devices(&mut home);
    let session = ask_to_delete(&mut home, &alice, &["A"]);
    let auth = alice.auth(&session, PASSWORD);
    delete(&mut home, &alice, &["B"], &auth).err(403, "M_UNKNOWN");
    delete(&mut home, &alice, &["A"], &auth).ok();
    delete(&mut home, &alice, &["B"], &auth).err(403, "M_UNKNOWN");
    let alone = json!({ "session": session });
    delete(&mut home, &alice, &["A", "B"], &alone).err(403, "M_UNKNOWN");
    assert_eq!(device_ids(&mut home, &alice.token).len(), 3);
}

#[test]
fn session_authorizes_only_its_operation() {
    let mut home = TestServer::open();
    let alice = with_devices(&mut home);
    let session = ask_to_delete(&mut home, &alice, &["A"]);
    let auth = alice.auth(&session, PASSWORD);
    delete(&mut home, &alice, &["A"], &auth).ok();
    for body in [
        json!({ "auth": auth }),
        json!({ "devices": ["A"], "auth": auth }),
    ] {
        home.post_as(&alice.token, DEACTIVATE, body)
            .err(403, "M_UNKNOWN");
    }
    let path = "/_matrix/client/v3/devices/B";
    home.call_as(&alice.token, Method::Delete, path, json!({ "auth": auth }))
        .err(403, "M_UNKNOWN");
    assert_eq!(device_ids(&mut home, &alice.token).len(), 3);
}

#[test]
fn session_authorizes_only_its_device() {
    let mut home = TestServer::open();
    let alice = with_devices(&mut home);
    let session = ask_to_delete(&mut home, &alice, &["A"]);
    let other = home.sign_in("alice");
    let auth = alice.auth(&session, PASSWORD);
    delete(&mut home, &other, &["A"], &auth).err(403, "M_UNKNOWN");
    let bob = home.sign_up("bob");
    delete(&mut home, &bob, &["A"], &auth).err(400, "M_UNKNOWN");
    delete(&mut home, &alice, &["A"], &auth).ok();
}

#[test]
fn equal_json_is_the_same_body() {
    let mut home = TestServer::open();
    let alice = with_devices(&mut home);
    let mut request = post(DELETE_DEVICES, Value::Null);
    request.access_token = Some(Secret::from(alice.token.as_str()));
    request.body = br#"{ "x": 1, "devices" : ["A"] }"#.to_vec();
    let session = text(&home.send(request.clone()).more(), "session");
    let auth = alice.auth(&session, PASSWORD);
    request.body = format!(r#"{{"devices":["A"],"auth":{auth},"x":1}}"#).into_bytes();
    home.send(request).ok();
}

#[test]
fn only_auth_means_first_body() {
    let mut home = TestServer::open();
    let alice = with_devices(&mut home);
    let session = ask_to_delete(&mut home, &alice, &["A", "C"]);
    let auth = alice.auth(&session, PASSWORD);
    home.post_as(&alice.token, DELETE_DEVICES, json!({ "auth": auth }))
        .ok();
    let left = device_ids(&mut home, &alice.token);
    assert!(
        left.contains(&"B".to_owned()) && left.len() == 2,
        "{left:?}"
    );

    let body = json!({ "new_password": "another one", "logout_devices": true });
    let session = text(
        &home.post_as(&alice.token, PASSWORD_PATH, body).more(),
        "session",
    );
    let auth = alice.auth(&session, PASSWORD);
    home.post_as(&alice.token, PASSWORD_PATH, json!({ "auth": auth }))
        .ok();
    assert_eq!(device_ids(&mut home, &alice.token).len(), 1);
    home.login("alice", json!({})).err(403, "M_FORBIDDEN");
}

#[test]
fn large_first_body_is_sent_again() {
    let mut home = TestServer::open();
    let alice = with_devices(&mut home);
    let long = "x".repeat(20_000);
    let devices = ["A", long.as_str()];
    let session = ask_to_delete(&mut home, &alice, &devices);
    let auth = alice.auth(&session, PASSWORD);
    home.post_as(&alice.token, DELETE_DEVICES, json!({ "auth": auth }))
        .err(400, "M_MISSING_PARAM");
    delete(&mut home, &alice, &devices, &auth).ok();
}

#[test]
fn finished_session_repeats_its_result() {
    let mut home = TestServer::open();
    let alice = with_devices(&mut home);
    let session = ask_to_delete(&mut home, &alice, &["A"]);
    let auth = alice.auth(&session, PASSWORD);
    delete(&mut home, &alice, &["A"], &auth).ok();
    home.login("alice", json!({ "device_id": "A" })).ok();
    home.wait(Duration::from_secs(10 * 60) - Duration::from_millis(1));
    for auth in [&auth, &json!({ "session": session })] {
        assert_eq!(delete(&mut home, &alice, &["A"], auth).ok(), json!({}));
        let only_auth = home.post_as(&alice.token, DELETE_DEVICES, json!({ "auth": auth }));
        assert_eq!(only_auth.ok(), json!({}));
    }
    // It was repeated, and not done again.
    assert!(device_ids(&mut home, &alice.token).contains(&"A".to_owned()));
    home.wait(Duration::from_millis(1));
    delete(&mut home, &alice, &["A"], &auth).err(400, "M_UNKNOWN");
}

#[test]
fn changed_password_is_answered_again() {
    let mut home = TestServer::open();
    let alice = with_devices(&mut home);
    let pending = ask_to_delete(&mut home, &alice, &["A"]);
    let mut body = json!({ "new_password": "another one", "logout_devices": false });
    let asked = home.post_as(&alice.token, PASSWORD_PATH, body.clone());
    let session = text(&asked.more(), "session");
    body["auth"] = alice.auth(&session, PASSWORD);
    home.post_as(&alice.token, PASSWORD_PATH, body.clone()).ok();
    home.post_as(&alice.token, PASSWORD_PATH, body.clone()).ok();
    // What began before the change has ended.
    let auth = alice.auth(&pending, "another one");
    delete(&mut home, &alice, &["A"], &auth).err(400, "M_UNKNOWN");
    body["new_password"] = json!("a third one");
    home.post_as(&alice.token, PASSWORD_PATH, body)
        .err(403, "M_UNKNOWN");
}

#[test]
fn failed_operation_can_be_repeated() {
    let mut home = TestServer::open();
    let alice = home.sign_up("alice");
    let path = "/_matrix/client/v3/account/3pid/add";
    let mut body = json!({ "sid": "unknown", "client_secret": "secret" });
    let asked = home.post_as(&alice.token, path, body.clone()).more();
    body["auth"] = alice.auth(&text(&asked, "session"), PASSWORD);
    for _ in 0..2 {
        home.post_as(&alice.token, path, body.clone())
            .err(400, "M_THREEPID_AUTH_FAILED");
        body["auth"] = json!({ "session": asked["session"] });
    }
}

#[test]
fn finished_registration_repeats_its_result() {
    let mut home = TestServer::open();
    let (session, first) = register_in_session(&mut home, json!({}));
    for retry in [
        stage(&session),
        json!({ "auth": { "session": session } }),
        json!({ "username": "mallory", "auth": { "session": session } }),
    ] {
        let is_other = retry.get("username").is_some();
        let retry = home.post(REGISTER, retry);
        if is_other {
            retry.err(403, "M_UNKNOWN");
        } else {
            assert_eq!(retry.ok(), first);
        }
    }
    // No other account was created: the next number is the second.
    let next = home.register(json!({ "password": PASSWORD })).ok();
    assert_eq!(next["user_id"], "@2:private.localhost");
    home.whoami(&text(&first, "access_token")).ok();
    home.wait(Duration::from_secs(10 * 60));
    home.post(REGISTER, stage(&session)).err(400, "M_UNKNOWN");
}

#[test]
fn whole_last_body_is_repeated() {
    let mut home = TestServer::open();
    let mut body = json!({ "username": "alice", "password": PASSWORD });
    let session = text(&home.post(REGISTER, body.clone()).more(), "session");
    body["auth"] = stage(&session)["auth"].clone();
    let first = home.post(REGISTER, body.clone()).ok();
    assert_eq!(home.post(REGISTER, body).ok(), first);
}

#[test]
fn repeated_registration_without_login() {
    let mut home = TestServer::open();
    let (session, first) = register_in_session(&mut home, json!({ "inhibit_login": true }));
    assert_eq!(home.post(REGISTER, stage(&session)).ok(), first);
}

#[test]
fn finished_registration_is_no_way_back() {
    type End = fn(&mut TestServer, &TestUser);
    let ends: [(&str, End); 4] = [
        ("logout", |home, alice| {
            home.post_as(&alice.token, LOGOUT, json!({})).ok();
        }),
        ("logout everywhere", |home, alice| {
            let path = format!("{LOGOUT}/all");
            home.post_as(&alice.token, &path, json!({})).ok();
        }),
        ("a new password", |home, alice| {
            let body = json!({ "new_password": "another", "logout_devices": false });
            home.prove(alice, Method::Post, PASSWORD_PATH, body).ok();
        }),
        ("deactivation", |home, alice| {
            home.prove(alice, Method::Post, DEACTIVATE, json!({})).ok();
        }),
    ];
    for (what, end) in ends {
        let mut home = TestServer::open();
        let (session, first) = register_in_session(&mut home, json!({}));
        end(&mut home, &TestUser::of(&first));
        let again = home.post(REGISTER, stage(&session));
        assert_eq!(again.0.status, 400, "{what}: {}", again.text());
        let alone = json!({ "auth": { "session": session } });
        home.post(REGISTER, alone).err(400, "M_UNKNOWN");
    }
}

#[test]
fn sessions_store_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let mut home = TestServer::open();
    home.database = Database::file(&path, &home.server).unwrap();
    let (_, first) = register_in_session(&mut home, json!({}));
    let alice = TestUser::of(&first);
    let body = json!({ "new_password": "correct battery" });
    home.post_as(&alice.token, PASSWORD_PATH, body).more();
    drop(home);
    let mut stored = Vec::new();
    for entry in directory.path().read_dir().unwrap() {
        stored.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    for secret in [alice.token.as_str(), "correct battery", PASSWORD] {
        let is_stored = stored
            .windows(secret.len())
            .any(|it| it == secret.as_bytes());
        assert!(!is_stored, "{secret}");
    }
    assert!(stored.windows(5).any(|it| it == b"alice"));
}

/// Begins a registration at this address.
fn begin(home: &mut TestServer, peer: &str) -> Reply {
    let mut request = post(
        REGISTER,
        json!({ "username": "alice", "password": PASSWORD }),
    );
    request.peer = peer.to_owned();
    home.send(request)
}

/// Begins another there, which needs no hash of a password.
fn flood(home: &mut TestServer, peer: &str) -> Reply {
    let mut request = post(REGISTER, json!({}));
    request.peer = peer.to_owned();
    home.send(request)
}

#[test]
fn many_sessions_end_no_other_session() {
    let mut home = TestServer::open();
    let mine = text(&begin(&mut home, "192.0.2.1").more(), "session");
    for _ in 0..500 {
        flood(&mut home, "192.0.2.2").more();
    }
    for _ in 0..4_600 {
        let refused = flood(&mut home, "192.0.2.2").err(429, "M_LIMIT_EXCEEDED");
        assert!(refused["retry_after_ms"].as_u64().unwrap() <= 15 * 60 * 1_000);
    }
    home.post(REGISTER, stage(&mine)).ok();
}

#[test]
fn old_session_makes_room_at_its_address() {
    let mut home = TestServer::open();
    let first = text(&begin(&mut home, "192.0.2.2").more(), "session");
    home.wait(Duration::from_secs(1));
    let second = text(&begin(&mut home, "192.0.2.2").more(), "session");
    for _ in 2..500 {
        flood(&mut home, "192.0.2.2").more();
    }
    home.wait(Duration::from_secs(15 * 60 - 2));
    let refused = flood(&mut home, "192.0.2.2").err(429, "M_LIMIT_EXCEEDED");
    assert_eq!(refused["retry_after_ms"], 1_000);
    home.wait(Duration::from_secs(1));
    flood(&mut home, "192.0.2.2").more();
    flood(&mut home, "192.0.2.2").err(429, "M_LIMIT_EXCEEDED");
    home.post(REGISTER, stage(&first)).err(400, "M_UNKNOWN");
    home.post(REGISTER, stage(&second)).ok();
}

#[test]
fn largest_address_is_evicted_first() {
    let mut home = TestServer::open();
    let mine = text(&begin(&mut home, "192.0.2.1").more(), "session");
    home.wait(Duration::from_millis(1));
    let theirs = text(&begin(&mut home, "198.51.100.0").more(), "session");
    for attacker in 0..11 {
        for _ in 0..480 {
            flood(&mut home, &format!("198.51.100.{attacker}")).more();
        }
    }
    home.post(REGISTER, stage(&theirs)).err(400, "M_UNKNOWN");
    home.post(REGISTER, stage(&mine)).ok();
}

#[test]
fn progress_of_address_is_evicted_last() {
    let policy = Policy::new("1").translation("en", "Rules", "Be kind.");
    let config = Config::default()
        .flows([["m.login.terms", "m.login.dummy"]])
        .policy("rules", policy);
    let mut home = TestServer::new(config);
    let begun = text(&begin(&mut home, "192.0.2.1").more(), "session");
    let terms = json!({ "auth": { "type": "m.login.terms", "session": begun } });
    home.post(REGISTER, terms).more();
    home.wait(Duration::from_millis(1));
    let idle = text(&begin(&mut home, "192.0.2.1").more(), "session");
    for _ in 2..500 {
        flood(&mut home, "192.0.2.1").more();
    }
    home.wait(Duration::from_secs(15 * 60));
    flood(&mut home, "192.0.2.1").more();
    home.post(REGISTER, stage(&idle)).err(400, "M_UNKNOWN");
    home.post(REGISTER, stage(&begun)).ok();
}

#[test]
fn finished_sessions_end_no_pending_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let mut home = TestServer::open();
    home.database = Database::file(&path, &home.server).unwrap();
    let mine = text(&begin(&mut home, "192.0.2.1").more(), "session");
    home.database = Database::memory(&home.server).unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    let sql = "WITH RECURSIVE numbers (n) AS
             (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 6000)
         INSERT INTO uia_sessions (digest, params, completed, expires_at, result)
         SELECT CAST(n AS BLOB), '{}', '[]', ?1, x'00' FROM numbers";
    let expires_at = i64::try_from(home.now.as_millis()).unwrap() + 1_000;
    connection.execute(sql, [expires_at]).unwrap();
    drop(connection);
    home.database = Database::file(&path, &home.server).unwrap();
    flood(&mut home, "192.0.2.1").more();
    home.post(REGISTER, stage(&mine)).ok();
    drop(home);
    let connection = rusqlite::Connection::open(&path).unwrap();
    let sql = "SELECT count(*) FROM uia_sessions WHERE result IS NOT NULL";
    let finished: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(finished, 2_000);
}

#[test]
fn finished_session_has_fallback_page() {
    let mut home = TestServer::new(Config::default().flows([["org.example.riddle"]]));
    let body = json!({ "username": "alice", "password": PASSWORD });
    let session = text(&home.post(REGISTER, body).more(), "session");
    let path = "/_matrix/client/v3/auth/org.example.riddle/fallback/web";
    let mut form = get(&format!("{path}?session={session}"));
    form.method = Method::Post;
    assert_eq!(home.send(form.clone()).0.status, 200);
    home.post(REGISTER, json!({ "auth": { "session": session } }))
        .ok();
    assert!(home.send(form).text().contains("onAuthDone"));
}

#[test]
fn others_end_no_one_time_token() {
    let config = Config::default().registration_shared_secret("secret");
    let mut home = TestServer::new(config);
    let path = "/_synapse/admin/v1/register";
    let mut nonce = |peer: &str| {
        let mut request = get(path);
        request.peer = peer.to_owned();
        text(&home.send(request).ok(), "nonce")
    };
    let mine = nonce("192.0.2.1");
    let theirs = nonce("192.0.2.2");
    for _ in 0..1_100 {
        nonce("192.0.2.2");
    }
    for (nonce, code) in [(mine, 403), (theirs, 400)] {
        let body = json!({ "nonce": nonce, "username": "alice", "password": "x", "mac": "00" });
        let reply = home.post(path, body);
        assert_eq!(reply.0.status, code, "{}", reply.text());
    }
}
