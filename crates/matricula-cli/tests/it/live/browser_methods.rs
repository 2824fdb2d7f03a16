//! Ways in that lead through a browser, on real servers: single sign-on with an OpenID provider, and
//! a Synapse that leaves its accounts to an OAuth 2.0 server.

use super::addresses::server;
use crate::{
    browser::Browser,
    command::{Home, unique},
    http::who_am_i,
    scripted_browser::{let_in, sign_in, sign_up, through_the_provider},
};

/// Who the server says the only account's token belongs to.
fn owner(home: &Home, base_url: &str) -> String {
    let account = home.account();
    let (status, answer) = who_am_i(base_url, account["access_token"].as_str().unwrap());
    assert_eq!(status, 200, "{answer}");
    answer["user_id"].as_str().unwrap().to_owned()
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn by_single_sign_on() {
    let (server, home, name) = (
        server("appservice+logintoken+sso"),
        Home::new(),
        unique("n"),
    );
    let url = server["base_url"].as_str().unwrap();
    let provider = server["sso"]["issuer"].as_str().unwrap();
    let user_id = format!("@{name}:{}", server["server_name"].as_str().unwrap());
    let browser = Browser::new(&home);
    let come_in = |way_in: &str| {
        let end = through_the_provider(way_in, provider, &name);
        assert!(end.body.contains("Your answer has arrived"), "{end:?}");
    };
    let line = format!("register {url} --method sso --json");
    let made = browser.run(home.command(&line), come_in).exit(0).json();
    assert_eq!(made["user_id"], user_id);
    assert_eq!(owner(&home, url), user_id);
    home.run("logout").exit(0);
    // It waits for a person, and goes on in another process.
    let line = format!("login {user_id} --server {url} --method sso --no-input --json");
    let waits = home.run(&line).exit(6).json();
    assert_eq!(waits["error"]["stage"], "m.login.sso");
    let line = format!(
        "login --resume {}",
        waits["error"]["resume"].as_str().unwrap()
    );
    browser.run(home.command(&line), come_in).exit(0);
    assert_eq!(owner(&home, url), user_id);
}

#[test]
#[ignore = "needs a real Synapse: cargo xtask test"]
fn at_an_oauth_server() {
    let (server, home, name) = (server("oauth"), Home::new(), unique("n"));
    let url = server["base_url"].as_str().unwrap();
    let user_id = format!("@{name}:{}", server["server_name"].as_str().unwrap());
    let browser = Browser::new(&home);
    // The way is found by itself, and waits for a person.
    let waits = home
        .run(&format!("register {url} --no-input --json"))
        .exit(6)
        .json();
    assert_eq!(waits["error"]["stage"], "m.oauth");
    let line = format!(
        "register --resume {}",
        waits["error"]["resume"].as_str().unwrap()
    );
    let sign_up = |way_in: &str| {
        let end = sign_up(way_in, &name);
        assert!(end.body.contains("Your answer has arrived"), "{end:?}");
    };
    browser.run(home.command(&line), sign_up).exit(0);
    assert_eq!(owner(&home, url), user_id);
    home.run("refresh").exit(0);
    assert_eq!(owner(&home, url), user_id);
    home.run("logout").exit(0);
    let line = format!("login {user_id} --server {url} --method oauth");
    let sign_in = |way_in: &str| assert_eq!(sign_in(way_in, &name).status, 200);
    browser.run(home.command(&line), sign_in).exit(0);
    assert_eq!(owner(&home, url), user_id);
    home.run("logout").exit(0);
    // With a code for another device.
    let line = format!("login {user_id} --server {url} --method device-code");
    let mut is_typed_in = false;
    home.command(&line)
        .run_while(|_| {
            let logins = home.store()["tables"]["oauth_logins"].clone();
            let mut waits = logins.as_object().into_iter().flatten().map(|(_, one)| one);
            let page = waits.find_map(|one| one["phase"]["Waiting"]["url_with_code"].as_str());
            if let (Some(page), false) = (page, is_typed_in) {
                is_typed_in = true;
                assert_eq!(let_in(page, &name).status, 200);
            }
        })
        .exit(0);
    assert_eq!(owner(&home, url), user_id);
}
