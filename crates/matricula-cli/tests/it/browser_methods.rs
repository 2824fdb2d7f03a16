//! Every way in that leads through a browser, on the embedded homeserver: its pages are filled in by
//! the test, and it issues the tokens.

use serde_json::json;

use crate::{
    browser::Browser,
    command::{Ended, Home},
    http::who_am_i,
    scripted_browser::{let_in, sign_in, sign_up},
    servers::Site,
};

/// Runs a command line; each page that it opens is filled in with this name.
fn signing_up(home: &Home, line: &str, username: &str) -> Ended {
    Browser::new(home).run(home.command(line), |url| {
        let end = sign_up(url, username);
        assert!(end.body.contains("Your answer has arrived"), "{end:?}");
    })
}

fn signing_in(home: &Home, line: &str, username: &str) -> Ended {
    Browser::new(home).run(home.command(line), |url| {
        assert_eq!(sign_in(url, username).status, 200);
    })
}

/// Who the server says the only account's token belongs to.
fn owner(home: &Home, site: &Site) -> String {
    let account = home.account();
    let token = account["access_token"].as_str().unwrap();
    let (status, answer) = who_am_i(&site.url, token);
    assert_eq!(status, 200, "{answer}");
    answer["user_id"].as_str().unwrap().to_owned()
}

#[test]
fn oauth_account_from_start_to_logout() {
    let (home, site) = (Home::new(), Site::embedded("oauth"));
    let line = format!("register {} --method oauth --json", site.url);
    let json = signing_up(&home, &line, "anna").exit(0).json();
    assert_eq!(json["user_id"], "@anna:oauth.test");
    assert_eq!(json["route"]["stages"], json!(["m.oauth"]));
    assert_eq!(owner(&home, &site), "@anna:oauth.test");
    let before = home.account()["access_token"].clone();
    home.run("refresh").exit(0);
    assert_ne!(home.account()["access_token"], before);
    assert_eq!(owner(&home, &site), "@anna:oauth.test");
    let token = home.account()["access_token"].clone();
    home.run("logout").exit(0);
    assert_eq!(who_am_i(&site.url, token.as_str().unwrap()).0, 401);
    let line = format!(
        "login @anna:oauth.test --server {} --method oauth",
        site.url
    );
    let ended = signing_in(&home, &line, "anna").exit(0);
    assert!(
        ended
            .stdout
            .starts_with("signed in as @anna:oauth.test on device ")
    );
    assert_eq!(owner(&home, &site), "@anna:oauth.test");
}

/// On another device: an OAuth 2.0 server may end all sessions of a device with one of them.
#[test]
fn oauth_login_ends_the_session_that_it_replaces() {
    let (home, site) = (Home::new(), Site::embedded("oauth"));
    let line = format!("register {} --method oauth", site.url);
    signing_up(&home, &line, "anna").exit(0);
    for line in ["login --method oauth", "login anna --method oauth"] {
        let old = home.account();
        let ended = signing_in(&home, line, "anna").exit(0);
        assert!(ended.stderr.contains("is ended"), "{ended}");
        assert_eq!(owner(&home, &site), "@anna:oauth.test");
        let token = old["access_token"].as_str().unwrap();
        assert_eq!(who_am_i(&site.url, token).0, 401);
        let devices = home.run("account devices --json").exit(0).json();
        assert_eq!(devices["devices"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn device_code_signs_in() {
    let (home, site) = (Home::new(), Site::embedded("oauth"));
    let line = format!("register {} --method oauth", site.url);
    signing_up(&home, &line, "anna").exit(0);
    home.run("logout").exit(0);
    let line = format!("login --server {} --method device-code", site.url);
    let mut is_typed_in = false;
    let ended = home.command(&line).run_while(|_| {
        let logins = home.store()["tables"]["oauth_logins"].clone();
        let mut waits = logins.as_object().into_iter().flatten().map(|(_, one)| one);
        let page = waits.find_map(|one| one["phase"]["Waiting"]["url_with_code"].as_str());
        if let (Some(page), false) = (page, is_typed_in) {
            is_typed_in = true;
            let end = let_in(page, "anna");
            assert_eq!(end.status, 200, "{end:?}");
        }
    });
    let ended = ended.exit(0);
    let seen = &ended.stderr;
    assert!(seen.contains("and type in the code "), "{seen}");
    assert!(seen.contains("minutes left"), "{seen}");
    assert_eq!(owner(&home, &site), "@anna:oauth.test");
}

#[test]
fn single_sign_on_registers_and_signs_in() {
    for profile in ["sso", "sso-preferred"] {
        let (home, site) = (Home::new(), Site::embedded(profile));
        let line = format!("register {} --method sso --json", site.url);
        let json = signing_up(&home, &line, "anna").exit(0).json();
        assert_eq!(json["user_id"], format!("@anna:{profile}.test"));
        assert_eq!(json["route"]["stages"], json!(["m.login.sso"]));
        assert_eq!(owner(&home, &site), format!("@anna:{profile}.test"));
        home.run("logout").exit(0);
        let line = format!(
            "login @anna:{profile}.test --server {} --method sso",
            site.url
        );
        signing_in(&home, &line, "anna").exit(0);
        assert_eq!(owner(&home, &site), format!("@anna:{profile}.test"));
    }
}

#[test]
fn method_is_chosen_without_a_person() {
    for (profile, stage, path) in [
        ("oauth", "m.oauth", "/oauth2/authorize?"),
        (
            "sso-preferred",
            "m.login.sso",
            "/_matrix/client/v3/login/sso/redirect?",
        ),
    ] {
        let (home, site) = (Home::new(), Site::embedded(profile));
        let line = format!("register {} --no-input --json", site.url);
        let json = home.run(&line).exit(6).json();
        let error = &json["error"];
        assert_eq!(error["stage"], stage, "{json}");
        let url = error["url"].as_str().unwrap();
        assert!(url.starts_with(&format!("{}{path}", site.url)), "{url}");
        let id = error["resume"].as_str().unwrap();
        // Days later the port is another's.
        let line = format!("register --resume {id}");
        signing_up(&home, &line, "anna").exit(0);
        assert_eq!(owner(&home, &site), format!("@anna:{profile}.test"));
    }
}

#[test]
fn matrix_registration_is_preferred() {
    let (home, site) = (Home::new(), Site::embedded("oauth-beside"));
    let line = format!("register {} --username anna --json", site.url);
    let json = home.run(&line).exit(0).json();
    assert_eq!(json["route"]["stages"], json!(["m.login.dummy"]));
    let (home, line) = (Home::new(), format!("register {} --method oauth", site.url));
    signing_up(&home, &line, "berta").exit(0);
    assert_eq!(owner(&home, &site), "@berta:oauth-beside.test");
}

#[test]
fn missing_method_is_explained() {
    let (home, site) = (Home::new(), Site::embedded("open"));
    let ended = home.run(&format!("register {} --method oauth", site.url));
    assert!(
        ended
            .exit(7)
            .stderr
            .contains("delegates to no OAuth 2.0 server")
    );
    let site = Site::embedded("oauth");
    let ended = home.run(&format!("register {} --method password", site.url));
    assert!(
        ended
            .exit(6)
            .stderr
            .contains("makes accounts in its OAuth 2.0 server")
    );
}
