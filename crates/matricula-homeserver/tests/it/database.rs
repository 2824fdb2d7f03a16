//! What is kept in a file, and for whom.

use std::{fs, path::Path};

use matricula_homeserver::{
    Config, Database, Error, Homeserver, Limit, Limits, Policy, RegistrationToken,
};
use matricula_job::{SeededEntropy, Timestamp};
use serde_json::json;

use crate::{Home, PASSWORD, REGISTER, VALIDITY, text};

fn open(path: &Path, config: Config) -> Result<Home, Error> {
    let server = Homeserver::new(config)?;
    Ok(Home {
        database: Database::file(path, &server)?,
        server,
        now: Timestamp::from_millis(1_700_000_000_000),
        entropy: SeededEntropy::new(11),
    })
}

#[test]
fn everything_outlives_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let config = Config::default()
        .with_flows([["m.login.registration_token", "m.login.dummy"]])
        .with_registration_token(RegistrationToken::new("once").with_uses(1));
    let mut home = open(&path, config.clone()).unwrap();
    let body = json!({ "username": "alice", "password": PASSWORD });
    let session = text(&home.post(REGISTER, body).more(), "session");
    let auth = json!({ "type": "m.login.registration_token", "session": session, "token": "once" });
    home.post(REGISTER, json!({ "auth": auth })).more();
    drop(home);

    let mut home = open(&path, config.clone()).unwrap();
    let validity = format!("{VALIDITY}?token=once");
    assert_eq!(home.get(&validity).ok()["valid"], false);
    let auth = json!({ "type": "m.login.dummy", "session": session });
    let json = home.post(REGISTER, json!({ "auth": auth })).ok();
    drop(home);

    let mut home = open(&path, config).unwrap();
    assert_eq!(home.get(&validity).ok()["valid"], false);
    home.whoami(&text(&json, "access_token")).ok();
    home.login("alice", json!({})).ok();
}

#[test]
fn a_file_serves_one_server_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let first = open(&path, Config::default()).unwrap();
    let second = open(&path, Config::default());
    assert!(matches!(second, Err(Error::Database(_))));
    drop(first);
    open(&path, Config::default()).unwrap();
}

#[test]
fn a_servers_name_is_fixed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    drop(open(&path, Config::default()).unwrap());
    let other = Config::default().with_server_name("other.localhost");
    assert!(matches!(open(&path, other), Err(Error::ServerName { .. })));
}

#[test]
fn a_newer_database_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    drop(open(&path, Config::default()).unwrap());
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let error = open(&path, Config::default()).err().unwrap();
    assert!(matches!(error, Error::Newer { found: 99, .. }), "{error}");
}

#[test]
fn the_file_tells_no_password_token_or_session() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let mut home = open(&path, Config::default()).unwrap();
    let body = json!({ "username": "alice", "password": PASSWORD, "refresh_token": true });
    let session = text(&home.post(REGISTER, body).more(), "session");
    let auth = json!({ "type": "m.login.dummy", "session": session });
    let json = home.post(REGISTER, json!({ "auth": auth })).ok();
    let secrets = [
        PASSWORD.to_owned(),
        session,
        text(&json, "access_token"),
        text(&json, "refresh_token"),
    ];
    let mut content = Vec::new();
    for entry in fs::read_dir(directory.path()).unwrap() {
        content.extend(fs::read(entry.unwrap().path()).unwrap());
    }
    let holds = |text: &str| content.windows(text.len()).any(|it| it == text.as_bytes());
    assert!(holds("alice"), "the files are where this test looks");
    for secret in secrets {
        assert!(!holds(&secret), "{secret}");
    }
}

#[test]
fn a_devices_first_name_and_the_accepted_policies_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let config = Config::default()
        .with_guests(true)
        .with_flows([["m.login.terms"]])
        .with_policy(
            "rules",
            Policy::new("1.2").with_translation("en", "Rules", "Be kind."),
        );
    let mut home = open(&path, config).unwrap();
    let body = json!({ "username": "alice", "password": PASSWORD, "device_id": "D",
        "initial_device_display_name": "Phone" });
    let session = text(&home.post(REGISTER, body).more(), "session");
    let auth = json!({ "type": "m.login.terms", "session": session });
    home.post(REGISTER, json!({ "auth": auth })).ok();
    home.login(
        "alice",
        json!({ "device_id": "D", "initial_device_display_name": "Other" }),
    )
    .ok();
    home.post(
        &format!("{REGISTER}?kind=guest"),
        json!({ "initial_device_display_name": "Tablet" }),
    )
    .ok();
    drop(home);
    let database = rusqlite::Connection::open(&path).unwrap();
    let all = |sql: &str| -> Vec<Option<String>> {
        let mut statement = database.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let some = |text: &str| Some(text.to_owned());
    let names = all("SELECT display_name FROM devices ORDER BY user");
    assert_eq!(names, [some("Phone"), some("Tablet")]);
    let policies = all("SELECT accepted_policies FROM users ORDER BY id");
    assert_eq!(policies, [some("{\"rules\":\"1.2\"}"), None]);
}

#[test]
fn a_tokens_uses_and_expiry_follow_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let config = |uses| {
        Config::default()
            .with_flows([["m.login.registration_token"]])
            .with_registration_token(RegistrationToken::new("t").with_uses(uses))
    };
    let validity = format!("{VALIDITY}?token=t");
    let mut home = open(&path, config(0)).unwrap();
    assert_eq!(home.get(&validity).ok()["valid"], false);
    drop(home);
    let mut home = open(&path, config(1)).unwrap();
    assert_eq!(home.get(&validity).ok()["valid"], true);
}

#[test]
fn a_configuration_that_cannot_be_is_refused_in_words() {
    let limits = Limits::default().with_login(Limit::new(0.0, 1));
    for (config, word) in [
        (Config::default().with_server_name("no name"), "server name"),
        (
            Config::default().with_server_name("a".repeat(201)),
            "200 bytes",
        ),
        (
            Config::default().with_flows(Vec::<Vec<String>>::new()),
            "no flow",
        ),
        (
            Config::default().with_flows([Vec::<String>::new()]),
            "not a flow",
        ),
        (Config::default().with_flows([["m.login.terms"]]), "policy"),
        (Config::default().with_flows([["a b"]]), "not a flow"),
        (
            Config::default().with_policy("p", Policy::new("1")),
            "some language",
        ),
        (
            Config::default()
                .with_policy("p", Policy::new("1").with_translation("version", "n", "t")),
            "some language",
        ),
        (
            Config::default().with_registration_token(RegistrationToken::new("ä")),
            "registration token",
        ),
        (
            Config::default().with_registration_token(RegistrationToken::new("a".repeat(65))),
            "64",
        ),
        (Config::default().with_limits(limits), "let nothing through"),
        (Config::default().with_exclusive(""), "every username"),
        (
            Config::default().with_access_token_lifetime(std::time::Duration::ZERO),
            "live",
        ),
    ] {
        let error = Homeserver::new(config).err().unwrap().to_string();
        assert!(error.contains(word), "{error}");
    }
}
