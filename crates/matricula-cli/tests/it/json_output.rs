//! What each command's JSON looks like.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{command::Home, servers::Site};

/// Texts that are another each time, by what they are.
fn shape(home: &Home, site: Option<&Site>, value: &Value) -> String {
    let mut text = format!("{value:#}");
    if let Some(site) = site {
        text = text.replace(&site.url, "SERVER");
    }
    text.replace(home.matricula().to_str().unwrap(), "HOME")
        .replace(env!("CARGO_BIN_EXE_matricula"), "matricula")
}

#[test]
fn of_a_session() {
    let (site, home) = (Site::embedded("refresh"), Home::new());
    let line = format!(
        "register {} --username alice --device-id LAPTOP --refresh-token",
        site.url
    );
    home.run(&line).exit(0);
    let mut shapes = String::new();
    for line in [
        "whoami",
        "refresh",
        "logout",
        "whoami",
        "refresh",
        "logout",
        "login --device-id LAPTOP",
        "refresh",
        "login @bob:refresh.test --server SERVER --password-file given",
        "whoami --account @bob:refresh.test",
    ] {
        home.file("given", "wordpass");
        let ended = home.run(&format!("{line} --json").replace("SERVER", &site.url));
        let mut json = ended.json();
        if json.get("expires_at").is_some_and(Value::is_number) {
            json["expires_at"] = "TIME".into();
        }
        let code = ended.code().unwrap();
        shapes += &format!(
            "{line}\nexit {code} {}\n\n",
            shape(&home, Some(&site), &json)
        );
    }
    insta::assert_snapshot!(shapes);
}

#[test]
fn of_discover() {
    let mut shapes = String::new();
    for profile in ["open", "token+terms", "closed"] {
        let (site, home) = (Site::embedded(profile), Home::new());
        let mut json = home
            .run(&format!("discover {} --json", site.url))
            .exit(0)
            .json();
        assert!(
            json["versions"]
                .as_array()
                .is_some_and(|versions| !versions.is_empty())
        );
        json["versions"] = "VERSIONS".into();
        if json["registration"]["session"].is_string() {
            json["registration"]["session"] = "SESSION".into();
        }
        shapes += &format!("{profile}\n{}\n\n", shape(&home, Some(&site), &json));
    }
    insta::assert_snapshot!(shapes);
}

#[test]
fn of_the_homeserver() {
    let home = Home::new();
    let running = home.command("homeserver --json").start();
    let start = std::time::Instant::now();
    let address = home.matricula().join("homeserver/address");
    while !address.exists() {
        assert!(start.elapsed().as_secs() < 30);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let url = std::fs::read_to_string(address).unwrap();
    // The second one reports the address of the first.
    let ended = home.run("homeserver --json").exit(1);
    let message = ended.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        message.contains(&format!("is running already, at {url}")),
        "{message}"
    );
    home.run(&format!("register {url}")).exit(0);
    let json = running.kill().json();
    let expected = json!({
        "schema_version": 1,
        "url": url,
        "server_name": "private.localhost",
        "directory": home.matricula().join("homeserver"),
    });
    assert_eq!(json, expected);
}

#[test]
fn of_the_list_of_operations() {
    let json = Home::new().run("api list --json").exit(0).json();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["operations", "schema_version"]);
    let operations = json["operations"].as_array().unwrap();
    assert_eq!(operations.len(), 199);
    let of = |api: &str| {
        operations
            .iter()
            .filter(|found| found["api"] == api)
            .count()
    };
    let counts = ["client", "identity", "appservice", "push"].map(of);
    assert_eq!(counts, [166, 23, 9, 1]);
    let mut ids = BTreeSet::new();
    for operation in operations {
        let object = operation.as_object().unwrap();
        let keys: Vec<&str> = object.keys().map(String::as_str).collect();
        let expected = [
            "api",
            "auth",
            "deprecated",
            "guests",
            "id",
            "method",
            "path",
            "rate_limited",
            "since",
            "uia",
        ];
        assert_eq!(keys, expected, "{operation}");
        let id = (operation["api"].as_str(), operation["id"].as_str());
        assert!(ids.insert(id), "{operation}");
        let path = operation["path"].as_str().unwrap();
        assert!(
            path.starts_with("/_matrix/") || path.starts_with("/.well-known/"),
            "{path}"
        );
        for (key, values) in [
            ("method", &["GET", "POST", "PUT", "DELETE"][..]),
            (
                "auth",
                &[
                    "none",
                    "optional",
                    "required",
                    "appservice",
                    "appservice-optional",
                    "homeserver",
                ],
            ),
        ] {
            assert!(
                values.contains(&operation[key].as_str().unwrap()),
                "{operation}"
            );
        }
        for key in ["deprecated", "guests", "rate_limited", "uia"] {
            assert!(operation[key].is_boolean(), "{operation}");
        }
        let since = &operation["since"];
        assert!(
            since.is_null() || since.as_str().unwrap().starts_with("1."),
            "{operation}"
        );
    }
    let find = |api: &str, id: &str| {
        let found = |found: &&Value| found["api"] == api && found["id"] == id;
        operations.iter().find(found).unwrap()
    };
    let expected = json!({
        "id": "register",
        "api": "client",
        "method": "POST",
        "path": "/_matrix/client/v3/register",
        "auth": "appservice-optional",
        "since": null,
        "deprecated": false,
        "rate_limited": true,
        "uia": true,
        "guests": false,
    });
    assert_eq!(*find("client", "register"), expected);
    let expected = json!({
        "id": "sendTransaction",
        "api": "appservice",
        "method": "PUT",
        "path": "/_matrix/app/v1/transactions/{txnId}",
        "auth": "homeserver",
        "since": null,
        "deprecated": false,
        "rate_limited": false,
        "uia": false,
        "guests": false,
    });
    assert_eq!(*find("appservice", "sendTransaction"), expected);
    assert_eq!(
        find("client", "logout")["path"],
        "/_matrix/client/v3/logout"
    );
    let logout = find("identity", "logout");
    assert_eq!(logout["path"], "/_matrix/identity/v2/account/logout");
    assert_eq!(find("client", "sync")["guests"], true);
    let words = Home::new().run("api list").exit(0).stdout;
    assert_eq!(words.lines().count(), 199);
}
