//! Several accounts: which there are, which is meant, leaving them, and handing a token on.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use serde_json::{Value, json};

use crate::{
    command::Home,
    http::who_am_i,
    server::{LOGOUT, Server, error, matrix},
    servers::Site,
};

/// A home with `@zoe` and `@alice`, made in this order.
fn two(site: &Site) -> Home {
    let home = Home::new();
    for name in ["zoe", "alice"] {
        let line = format!("register {} --username {name}", site.url);
        home.run(&line).exit(0);
    }
    home
}

fn who(home: &Home) -> String {
    let me = home.run("whoami --json").exit(0).json();
    me["user_id"].as_str().unwrap().to_owned()
}

#[test]
fn are_listed_with_the_default_marked() {
    let site = Site::embedded("open");
    let home = two(&site);
    home.run("logout --account @zoe:open.test").exit(0);
    let listed = home.run("accounts").exit(0);
    let expected = format!(
        "* @alice:open.test  {url}  signed in\n  @zoe:open.test    {url}  not signed in\n",
        url = site.url
    );
    assert_eq!(listed.stdout, expected);
    let listed = home.run("accounts --json").exit(0).json();
    let [alice, zoe] = &listed["accounts"].as_array().unwrap()[..] else {
        panic!("{listed}");
    };
    assert_eq!(
        (&alice["default"], &alice["signed_in"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(
        (&zoe["default"], &zoe["signed_in"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(alice["server"], site.url);
    assert_eq!(alice["expires_at"], Value::Null);
    assert!(!listed.to_string().contains("syt_"), "{listed}");
}

#[test]
fn empty_store_lists_nothing() {
    let home = Home::new();
    assert_eq!(home.run("accounts").exit(0).stdout, "");
    let listed = home.run("accounts --json").exit(0).json();
    assert_eq!(listed["accounts"], json!([]));
    home.run("switch @a:b.test").exit(4);
    home.run("logout --all").exit(0);
    assert!(!home.matricula().exists(), "looking makes nothing");
}

#[test]
fn the_default_is_switched() {
    let site = Site::embedded("open");
    let home = two(&site);
    assert_eq!(who(&home), "@alice:open.test");
    home.run("switch @zoe:open.test").exit(0);
    assert_eq!(who(&home), "@zoe:open.test");
    home.run("switch @nobody:open.test").exit(4);
    assert_eq!(who(&home), "@zoe:open.test");
}

#[test]
fn all_are_signed_out() {
    let site = Site::embedded("open");
    let home = two(&site);
    let accounts = home.store()["tables"]["accounts"].clone();
    let ended = home.run("logout --all --json").exit(0).json();
    assert_eq!(
        ended["signed_out"],
        json!(["@alice:open.test", "@zoe:open.test"])
    );
    for account in accounts.as_object().unwrap().values() {
        let token = account["access_token"].as_str().unwrap();
        assert_eq!(who_am_i(&site.url, token).0, 401);
    }
    home.run("whoami").exit(4);
    home.run("logout --all").exit(0);
}

/// One server fails to log out, the other does not.
#[test]
fn logout_of_all_survives_one_error() {
    let stubborn = Server::start(|request| match request.path.as_str() {
        LOGOUT => error(500, "M_UNKNOWN", "not today"),
        _ => matrix(request),
    });
    let site = Site::embedded("open");
    let home = Home::new();
    home.run(&format!("register {}", stubborn.url)).exit(0);
    home.run(&format!("register {} --username zoe", site.url))
        .exit(0);
    let ended = home.run("logout --all --json --timeout 1").exit(3);
    let object = ended.json();
    assert_eq!(object["error"]["signed_out"], json!(["@zoe:open.test"]));
    assert_eq!(
        object["error"]["still_signed_in"][0]["user_id"],
        "@a:b.test"
    );
    assert!(
        ended.stderr.contains("@a:b.test is still signed in"),
        "{ended}"
    );
    let listed = home.run("accounts --json").exit(0).json();
    assert_eq!(listed["accounts"][0]["signed_in"], true);
    assert_eq!(listed["accounts"][1]["signed_in"], false);
}

#[test]
fn forget_needs_with_secrets() {
    let site = Site::embedded("open");
    let home = two(&site);
    let refused = home.run("accounts forget @zoe:open.test").exit(1);
    assert!(
        refused.stderr.contains("is signed in: sign out first"),
        "{refused}"
    );
    home.run("logout --account @zoe:open.test").exit(0);
    let refused = home.run("accounts forget @zoe:open.test").exit(1);
    assert!(refused.stderr.contains("known nowhere else"), "{refused}");
    home.run("accounts forget @zoe:open.test --with-secrets")
        .exit(0);
    let listed = home.run("accounts --json").exit(0).json();
    assert_eq!(listed["accounts"].as_array().unwrap().len(), 1);
    home.run("accounts forget @zoe:open.test").exit(4);
}

#[test]
fn token_is_written_only_to_a_file() {
    let site = Site::embedded("open");
    let home = two(&site);
    let file = home.root().join("bot.json");
    let line = format!("account token --to-file {}", file.display());
    let ended = home.run(&line).exit(0);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    let handed: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let kept = home.store()["tables"]["accounts"]["@alice:open.test"].clone();
    assert_eq!(handed["access_token"], kept["access_token"]);
    assert_eq!(handed["user_id"], "@alice:open.test");
    assert_eq!(handed["server"], site.url);
    assert_eq!(handed["device_id"], kept["device_id"]);
    let token = handed["access_token"].as_str().unwrap();
    assert_eq!(who_am_i(&site.url, token).0, 200);
    assert!(!format!("{ended}").contains(token), "{ended}");

    // What is there stays, unless that is wished.
    let refused = home
        .run(&format!("{line} --account @zoe:open.test"))
        .exit(2);
    assert!(refused.stderr.contains("--overwrite"), "{refused}");
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{handed:#}\n"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    home.run(&format!("{line} --account @zoe:open.test --overwrite"))
        .exit(0);
    let handed: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(handed["user_id"], "@zoe:open.test");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    let refused = home.run("account token --to-file /dev/stdout").exit(2);
    assert_eq!(refused.stdout, "");
    home.run("account token").exit(2);
    home.run("account token --to-file /nowhere/x").exit(1);
}

#[test]
fn renewable_token_is_not_exported() {
    let (site, home) = (Site::embedded("refresh"), Home::new());
    home.run(&format!("register {} --refresh-token", site.url))
        .exit(0);
    let file = home.root().join("bot.json");
    let refused = home
        .run(&format!("account token --to-file {}", file.display()))
        .exit(1);
    assert!(refused.stderr.contains("a session of its own"), "{refused}");
    assert!(!file.exists());
    home.run("logout").exit(0);
    home.run(&format!("account token --to-file {}", file.display()))
        .exit(4);
}

/// A store that cannot be written is read all the same, where that is all that is needed.
#[test]
fn read_only_directory_is_read() {
    let server = Server::start(matrix);
    let home = Home::new();
    home.run(&format!("register {}", server.url)).exit(0);
    let dir = home.matricula();
    let read_only = |mode| fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
    read_only(0o500);
    // Rights do not bind everybody.
    let is_root = fs::write(dir.join("probe"), "").is_ok();
    home.run("whoami").exit(0);
    home.run("accounts").exit(0);
    home.run("api call getTokenOwner").exit(0);
    if !is_root {
        let refused = home.run("switch @a:b.test").exit(1);
        assert!(refused.stderr.contains("could not"), "{refused}");
    }
    read_only(0o700);
}
