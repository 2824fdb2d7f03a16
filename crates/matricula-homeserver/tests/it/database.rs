//! The database file.

use std::{fs, path::Path};

use matricula_core::{SeededEntropy, Timestamp};
use matricula_homeserver::{
    ApplicationService, Config, Database, Delegation, Error, Homeserver, Limit, Limits, Mail,
    OAuth, Policy, RegistrationToken, Sso,
};
use serde_json::json;

use crate::{
    PASSWORD, REGISTER, TestServer, VALIDITY,
    browser::{self, BrowserRedirect},
    text,
};

pub(crate) fn open(path: &Path, config: Config) -> Result<TestServer, Error> {
    let server = Homeserver::new(config)?;
    Ok(TestServer {
        database: Database::file(path, &server)?,
        server,
        now: Timestamp::from_millis(1_700_000_000_000),
        entropy: SeededEntropy::new(11),
    })
}

#[test]
fn data_survives_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let config = Config::default()
        .flows([["m.login.registration_token", "m.login.dummy"]])
        .registration_token(RegistrationToken::new("once").uses_allowed(1));
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
fn file_is_locked_exclusively() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let first = open(&path, Config::default()).unwrap();
    let second = open(&path, Config::default());
    assert!(matches!(second, Err(Error::Database(_))));
    drop(first);
    open(&path, Config::default()).unwrap();
}

#[test]
fn server_name_is_fixed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    drop(open(&path, Config::default()).unwrap());
    let other = Config::default().server_name("other.localhost");
    assert!(matches!(open(&path, other), Err(Error::ServerName { .. })));
}

#[test]
fn newer_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    drop(open(&path, Config::default()).unwrap());
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let error = open(&path, Config::default()).err().unwrap();
    assert!(
        matches!(error, Error::NewerFormat { found: 99, .. }),
        "{error}"
    );
}

#[test]
fn first_format_is_migrated() {
    let directory = tempfile::tempdir().unwrap();
    let [old, path] = ["old", "db"].map(|name| directory.path().join(name));
    let mut home = open(&old, Config::default()).unwrap();
    home.register_named("alice").ok();
    drop(home);
    let database = rusqlite::Connection::open(&path).unwrap();
    let first = include_str!("../../src/database/schema/01_accounts.sql");
    database.execute_batch(first).unwrap();
    let old = old.to_str().unwrap();
    database.execute("ATTACH ?1 AS old", [old]).unwrap();
    let columns = "id, localpart, password_hash, is_guest, accepted_policies, created_at";
    let copy = format!(
        "INSERT INTO server SELECT name FROM old.server;
         INSERT INTO users ({columns}) SELECT {columns} FROM old.users;"
    );
    database.execute_batch(&copy).unwrap();
    database.pragma_update(None, "user_version", 1).unwrap();
    drop(database);
    let config = Config::default().oauth(OAuth::beside());
    for _ in 0..2 {
        let mut home = open(&path, config.clone()).unwrap();
        home.login("alice", json!({})).ok();
        crate::oauth::client(&mut home);
    }
}

#[test]
fn file_contains_no_oauth_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let config = Config::default().oauth(OAuth::beside()).sso(Sso::default());
    let mut home = open(&path, config).unwrap();
    home.register_named("alice").ok();
    let client = crate::oauth::client(&mut home);
    let address = crate::oauth::url(&crate::oauth::sign_up_request(&client));
    let consent = browser::sign_in(&mut home, &address, "alice", PASSWORD);
    let open_visit = browser::visit(home.send(browser::link(&address)).text());
    let led = BrowserRedirect::of(&browser::press(&mut home, &address, &consent, "allow", &[]));
    let code = led.parameter("code").unwrap();
    let tokens = crate::oauth::redeem(&mut home, &client, code).ok();
    let scope = tokens["scope"].as_str().unwrap();
    let fields = [("client_id", client.as_str()), ("scope", scope)];
    let begun = home.send(browser::form("/oauth2/device", &fields)).ok();
    let address = "/_matricula/sso?redirectUrl=https://app.example.com/";
    let consent = browser::sign_in(&mut home, address, "alice", PASSWORD);
    let led = BrowserRedirect::of(&browser::press(&mut home, address, &consent, "allow", &[]));
    let secrets = [
        open_visit,
        code.to_owned(),
        text(&tokens, "access_token"),
        text(&tokens, "refresh_token"),
        text(&begun, "device_code"),
        text(&begun, "user_code"),
        text(&begun, "user_code").replace('-', ""),
        led.parameter("loginToken").unwrap().to_owned(),
    ];
    let mut content = Vec::new();
    for entry in fs::read_dir(directory.path()).unwrap() {
        content.extend(fs::read(entry.unwrap().path()).unwrap());
    }
    let holds = |text: &str| content.windows(text.len()).any(|it| it == text.as_bytes());
    assert!(holds(&client), "the files are where this test looks");
    for secret in secrets {
        assert!(!holds(&secret), "{secret}");
    }
}

#[test]
fn file_contains_no_passwords_or_tokens() {
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
fn device_name_and_policies_are_stored() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let config = Config::default()
        .guests(true)
        .flows([["m.login.terms"]])
        .policy(
            "rules",
            Policy::new("1.2").translation("en", "Rules", "Be kind."),
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
fn token_limits_follow_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let config = |uses| {
        Config::default()
            .flows([["m.login.registration_token"]])
            .registration_token(RegistrationToken::new("t").uses_allowed(uses))
    };
    let validity = format!("{VALIDITY}?token=t");
    let mut home = open(&path, config(0)).unwrap();
    assert_eq!(home.get(&validity).ok()["valid"], false);
    drop(home);
    let mut home = open(&path, config(1)).unwrap();
    assert_eq!(home.get(&validity).ok()["valid"], true);
}

#[test]
fn invalid_configurations_are_explained() {
    let limits = Limits::default().login(Limit::new(0.0, 1));
    let delegated = |url: &str| {
        let delegation = Delegation::new(url.parse().unwrap(), "secret");
        Config::default().oauth(OAuth::instead().delegation(delegation))
    };
    for (config, word) in [
        (Config::default().server_name("no name"), "server name"),
        (Config::default().server_name("a".repeat(201)), "200 bytes"),
        (
            Config::default().flows(Vec::<Vec<String>>::new()),
            "no flow",
        ),
        (
            Config::default().flows([Vec::<String>::new()]),
            "not a flow",
        ),
        (Config::default().flows([["m.login.terms"]]), "policy"),
        (Config::default().flows([["a b"]]), "not a flow"),
        (
            Config::default().policy("p", Policy::new("1")),
            "some language",
        ),
        (
            Config::default().policy("p", Policy::new("1").translation("version", "n", "t")),
            "some language",
        ),
        (
            Config::default().registration_token(RegistrationToken::new("ä")),
            "registration token",
        ),
        (
            Config::default().registration_token(RegistrationToken::new("a".repeat(65))),
            "64",
        ),
        (Config::default().limits(limits), "reject every request"),
        (delegated("http://192.0.2.1:8008"), "loopback"),
        (delegated("https://127.0.0.1:8448"), "loopback"),
        (
            Config::default().sso(Sso::default().provider("a b", "A")),
            "identity provider",
        ),
        (
            Config::default().sso(Sso::default().provider("a", "")),
            "identity provider",
        ),
        (Config::default().exclusive_prefix(""), "every username"),
        (
            Config::default().mail(Mail::new("localhost")),
            "SMTP server",
        ),
        (
            Config::default().mail(Mail::new("localhost:25").from("<x@y>")),
            "SMTP server",
        ),
        (
            Config::default().application_service(ApplicationService::new("a", "", "b")),
            "application service",
        ),
        (
            Config::default()
                .application_service(ApplicationService::new("a", "token", "b"))
                .application_service(ApplicationService::new("c", "token", "d")),
            "same id or token",
        ),
        (
            Config::default().access_token_lifetime(std::time::Duration::ZERO),
            "lifetime",
        ),
    ] {
        let error = Homeserver::new(config).err().unwrap().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn foreign_databases_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let [of_other_program, unreleased] = ["other", "old"].map(|name| directory.path().join(name));
    let database = rusqlite::Connection::open(&of_other_program).unwrap();
    database.execute_batch("CREATE TABLE songs (id)").unwrap();
    drop(database);
    drop(open(&unreleased, Config::default()).unwrap());
    let database = rusqlite::Connection::open(&unreleased).unwrap();
    // Before the first release no application id was set.
    database.pragma_update(None, "application_id", 0).unwrap();
    drop(database);
    for path in [of_other_program, unreleased] {
        let before = fs::read(&path).unwrap();
        let error = open(&path, Config::default()).err().unwrap();
        assert!(matches!(error, Error::ForeignDatabase(_)), "{error}");
        assert!(fs::read(&path).unwrap() == before, "it is not changed");
    }
}
