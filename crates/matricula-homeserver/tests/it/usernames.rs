//! Usernames.

use matricula_homeserver::Config;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{PASSWORD, REGISTER, TestServer, get, text};

fn available(home: &mut TestServer, username: &str) -> crate::Reply {
    let mut request = get("/_matrix/client/v3/register/available");
    request.query = vec![("username".to_owned(), username.to_owned())];
    home.send(request)
}

#[test]
fn usernames_become_lowercase() {
    let mut home = TestServer::open();
    assert_eq!(
        home.register_named("ALice").ok()["user_id"],
        "@alice:private.localhost"
    );
    home.register_named("alicE").err(400, "M_USER_IN_USE");
    available(&mut home, "ALICE").err(400, "M_USER_IN_USE");
}

#[test]
fn all_grammar_characters_are_allowed() {
    let name = "abcdefghijklmnopqrstuvwxyz0123456789._=-/+";
    let id = text(&TestServer::open().register_named(name).ok(), "user_id");
    assert_eq!(id, format!("@{name}:private.localhost"));
}

#[test]
fn invalid_names_are_rejected_early() {
    let mut home = TestServer::open();
    let longest = 255 - "@:private.localhost".len();
    let too_long = "a".repeat(longest + 1);
    let far_too_long = "a".repeat(100_000);
    for name in [
        "",
        "_alice",
        "12345",
        "al ice",
        "älice",
        "İ",
        "a:b",
        "@alice:private.localhost",
        "a\0b",
        "alice@x",
        "a#b",
        &too_long,
        &far_too_long,
    ] {
        let body = json!({ "username": name, "password": PASSWORD });
        home.post(REGISTER, body.clone())
            .err(400, "M_INVALID_USERNAME");
        home.register(body).err(400, "M_INVALID_USERNAME");
        available(&mut home, name).err(400, "M_INVALID_USERNAME");
    }
    home.register_named(&"a".repeat(longest)).ok();
    let mut renaming = TestServer::new(Config::default().rename_users(true));
    renaming
        .register_named(&"a".repeat(longest - 1))
        .err(400, "M_INVALID_USERNAME");
    renaming.register_named(&"a".repeat(longest - 2)).ok();
}

#[test]
fn reserved_name_is_exclusive() {
    let mut home = TestServer::new(Config::default().exclusive_prefix("irc_"));
    for name in ["irc_", "irc_bob", "IRC_bob"] {
        let body = json!({ "username": name, "password": PASSWORD });
        home.post(REGISTER, body).err(400, "M_EXCLUSIVE");
        available(&mut home, name).err(400, "M_EXCLUSIVE");
    }
    home.register_named("irc").ok();
}

#[test]
fn taken_name_is_rejected_early() {
    let mut home = TestServer::open();
    available(&mut home, "alice").ok();
    home.register_named("alice").ok();
    let body = json!({ "username": "alice", "password": PASSWORD });
    home.post(REGISTER, body).err(400, "M_USER_IN_USE");
    available(&mut home, "alice").err(400, "M_USER_IN_USE");
    home.get("/_matrix/client/v3/register/available")
        .err(400, "M_MISSING_PARAM");
}

#[test]
fn name_taken_meanwhile_can_change() {
    let mut home = TestServer::open();
    let body = json!({ "username": "alice", "password": PASSWORD });
    let session = text(&home.post(REGISTER, body.clone()).more(), "session");
    home.register_named("alice").ok();
    let auth = json!({ "type": "m.login.dummy", "session": session });
    let again = |username: Value| json!({ "username": username, "auth": auth });
    home.post(REGISTER, again(json!("alice")))
        .err(400, "M_USER_IN_USE");
    home.post(REGISTER, again(Value::Null))
        .err(400, "M_USER_IN_USE");
    let json = home.post(REGISTER, again(json!("alicia"))).ok();
    assert_eq!(json["user_id"], "@alicia:private.localhost");
    home.login("alicia", json!({})).ok();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any requested username results in a valid user id or an error code.
    #[test]
    fn user_ids_match_the_grammar(username in any::<String>()) {
        let mut home = TestServer::open();
        let reply = home.register_named(&username);
        if reply.0.status == 200 {
            let id = text(&reply.json(), "user_id");
            let localpart = id.strip_prefix('@').unwrap().strip_suffix(":private.localhost").unwrap();
            prop_assert!(!localpart.is_empty() && id.len() <= 255);
            let allowed = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"._=-/+".contains(&it);
            prop_assert!(localpart.bytes().all(allowed));
        } else {
            reply.err(400, "M_INVALID_USERNAME");
        }
    }
}
