//! `register --upgrade-guest`: a guest becomes a user, under the same user id.
//!
//! The journey is run on the embedded homeserver here, and on a real Synapse in `live::methods`.

use serde_json::json;

use crate::{
    command::Home,
    http::{call, who_am_i},
    server::{self, Server},
    servers::Site,
};

pub(crate) fn a_guest_becomes_a_user(sites: fn(&str) -> Site) {
    let (site, home) = (sites("guests"), Home::new());
    home.run(&format!("register {} --guest", site.url)).exit(0);
    let guest = home.account();
    let old = guest["access_token"].as_str().unwrap();
    assert_eq!(who_am_i(&site.url, old).0, 200);
    home.file("password", "a-Good-1-for-all");
    let upgraded = home
        .run("register --upgrade-guest --password-file password --json")
        .exit(0)
        .json();
    assert_eq!(upgraded["user_id"], guest["user_id"]);
    assert_eq!(upgraded["guest"], false);
    let user = home.account();
    assert_ne!(user["device_id"], guest["device_id"], "a device of its own");
    assert_eq!(user["server"], guest["server"]);
    let me = home.run("whoami --json").exit(0).json();
    assert_eq!(me["user_id"], guest["user_id"]);
    assert_eq!(me["guest"], false);
    assert_eq!(who_am_i(&site.url, old).0, 401, "the guest's token is dead");
    let login = json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.user", "user": guest["user_id"] },
        "password": "a-Good-1-for-all",
    });
    let path = "/_matrix/client/v3/login";
    let (status, answer) = call(&site.url, "POST", path, None, Some(&login));
    assert_eq!(status, 200, "{answer}");
    // There is no guest any more who could become one.
    let again = home.run("register --upgrade-guest").exit(7);
    assert!(again.stderr.contains("is not a guest"), "{again}");
}

#[test]
fn on_the_embedded_homeserver() {
    a_guest_becomes_a_user(Site::embedded);
}

#[test]
fn on_the_private_homeserver() {
    let home = Home::new();
    home.run("register --guest").exit(0);
    home.run("register --upgrade-guest").exit(0);
    let me = home.run("whoami --json").exit(0).json();
    assert_eq!(me["guest"], false);
}

/// A server with a guest on it, that answers the upgrade so.
fn refusing(status: u16, code: &'static str) -> (Server, Home) {
    let server = Server::start(move |request| match request.query.as_str() {
        "kind=guest" => server::registered("@17:b.test"),
        _ if request.path == server::REGISTER => server::error(status, code, "words"),
        _ => server::matrix(request),
    });
    let home = Home::new();
    home.run(&format!("register {} --guest", server.url))
        .exit(0);
    (server, home)
}

#[test]
fn refused_upgrade_keeps_the_guest() {
    for (status, code) in [
        (401, "M_UNKNOWN_TOKEN"),
        (403, "M_FORBIDDEN"),
        (400, "M_USER_IN_USE"),
    ] {
        let (_server, home) = refusing(status, code);
        let guest = home.account();
        let ended = home.run("register --upgrade-guest").exit(7);
        assert!(ended.stderr.contains("does not turn the guest"), "{ended}");
        assert_eq!(home.account(), guest, "{code}");
        assert_eq!(home.store()["tables"]["registrations"], json!({}), "{code}");
    }
}

#[test]
fn dry_run_hides_the_token() {
    let (server, home) = refusing(500, "M_UNKNOWN");
    let before = server.requests().len();
    let dry = home
        .run("register --upgrade-guest --dry-run --json")
        .exit(0);
    assert!(!dry.stdout.contains("syt_token"), "{dry}");
    let requests = dry.json()["requests"].clone();
    let last = requests.as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["operation"], "register");
    assert_eq!(last["body"]["username"], "17");
    assert_eq!(last["body"]["guest_access_token"], "***");
    assert_eq!(server.requests().len(), before, "nothing was sent");
}
