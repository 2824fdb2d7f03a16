//! `matricula account` against a server that a test can look into, and that loses answers.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::{
    command::Home,
    secret_scanner::Canary,
    server::{LOGIN, REGISTER, Reply, Request, Server, bytes, error, matrix, object},
};

const PASSWORD: &str = "/_matrix/client/v3/account/password";
const DEACTIVATE: &str = "/_matrix/client/v3/account/deactivate";
const DEVICES: &str = "/_matrix/client/v3/devices";
const DELETE_DEVICES: &str = "/_matrix/client/v3/delete_devices";
const ADDRESSES: &str = "/_matrix/client/v3/account/3pid";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

/// What the server knows of its only account, and how it behaves.
#[derive(Default)]
struct Account {
    password: String,
    is_gone: bool,
    addresses: Vec<String>,
    is_link_followed: bool,
    /// What it asks for, instead of the password.
    stage: Option<&'static str>,
    is_stage_done: bool,
    /// How many of the next requests that change something are done without an answer.
    loses: u32,
    /// Whether it refuses who has said who is there.
    refuses: bool,
}

type Shared = Arc<Mutex<Account>>;

/// A server with an account, and a home in which that account was registered.
fn account() -> (Server, Shared, Home) {
    let account = Shared::default();
    let shared = Arc::clone(&account);
    let server = Server::start(move |request| answer(&mut shared.lock().unwrap(), request));
    let home = Home::new();
    let line = format!("register {} --username a --no-input", server.url);
    home.run(&line).exit(0);
    assert_eq!(home.account()["password"], account.lock().unwrap().password);
    (server, account, home)
}

fn answer(account: &mut Account, request: &Request) -> Reply {
    let field = |name: &str| request.body[name].as_str().unwrap_or_default().to_owned();
    if account.is_gone && request.headers.contains_key("authorization") {
        return error(401, "M_UNKNOWN_TOKEN", "unknown token");
    }
    let changes = [
        PASSWORD,
        DEACTIVATE,
        DELETE_DEVICES,
        "/_matrix/client/v3/account/3pid/add",
    ];
    if changes.contains(&request.path.as_str()) {
        if let Some(asked) = authentication(account, request) {
            return asked;
        }
        if account.refuses {
            return error(403, "M_FORBIDDEN", "not today");
        }
    }
    let done = match request.path.as_str() {
        REGISTER => {
            account.password = field("password");
            return matrix(request);
        }
        LOGIN if request.method == "POST" && field("password") == account.password => {
            let session =
                json!({ "user_id": "@a:b.test", "access_token": "syt_2", "device_id": "D2" });
            return object(200, session);
        }
        LOGIN if request.method == "POST" => return error(403, "M_FORBIDDEN", "wrong"),
        PASSWORD => {
            account.password = field("new_password");
            json!({})
        }
        DEACTIVATE => {
            account.is_gone = true;
            json!({ "id_server_unbind_result": "no-support" })
        }
        DELETE_DEVICES | "/_matrix/client/v3/devices/OLD" => json!({}),
        DEVICES => json!({ "devices": [
            { "device_id": "LAPTOP" }, { "device_id": "OLD", "display_name": "\u{1b}[31mred\u{202e}" },
        ] }),
        ADDRESSES => {
            let listed = account.addresses.iter().map(|address| {
                json!({ "medium": "email", "address": address, "added_at": 1, "validated_at": 1 })
            });
            json!({ "threepids": listed.collect::<Vec<Value>>() })
        }
        "/_matrix/client/v3/account/3pid/email/requestToken" => json!({ "sid": "sid1" }),
        "/_matrix/client/v3/account/3pid/add" if !account.is_link_followed => {
            return error(400, "M_THREEPID_AUTH_FAILED", "not proved yet");
        }
        "/_matrix/client/v3/account/3pid/add" => {
            account.addresses.push("a@example.org".into());
            json!({})
        }
        path if path.starts_with("/_matrix/client/v3/profile/") => match request.method.as_str() {
            "GET" => json!({ "displayname": "Alice\u{1b}[2J" }),
            _ => json!({}),
        },
        _ => return matrix(request),
    };
    if changes.contains(&request.path.as_str()) && account.loses > 0 {
        account.loses -= 1;
        return bytes("");
    }
    object(200, done)
}

/// What is asked for, where it is not there yet.
fn authentication(account: &Account, request: &Request) -> Option<Reply> {
    let auth = &request.body["auth"];
    let asked = |stage: &str| json!({ "session": "the-session", "flows": [{ "stages": [stage] }] });
    match account.stage {
        Some(_) if account.is_stage_done && auth["session"] == "the-session" => None,
        Some(stage) => Some(object(401, asked(stage))),
        None if auth["password"] == account.password.as_str() => None,
        None => {
            let mut asked = asked("m.login.password");
            if !auth.is_null() {
                asked["errcode"] = json!("M_FORBIDDEN");
                asked["error"] = json!("Invalid password");
            }
            Some(object(401, asked))
        }
    }
}

fn requests(server: &Server, path: &str) -> usize {
    let requests = server.requests();
    requests.iter().filter(|one| one.path == path).count()
}

#[test]
fn generated_password_replaces_stored_one() {
    let (server, account, home) = account();
    let old = home.account()["password"].clone();
    let changed = home
        .run("account password --no-input --json")
        .exit(0)
        .json();
    assert_eq!(changed["password_made"], true);
    let new = home.account()["password"].clone();
    assert_ne!(new, old);
    assert_eq!(account.lock().unwrap().password, new);
    let body = server.requests().pop().unwrap().body;
    assert_eq!(body["logout_devices"], true);
    home.run("account password --no-input --keep-devices")
        .exit(0);
    let body = server.requests().pop().unwrap().body;
    assert_eq!(body["logout_devices"], false);
    assert_eq!(home.store()["tables"]["password_changes"], json!({}));
}

#[test]
fn given_password_is_not_stored() {
    let (_server, account, home) = account();
    home.file("new", "new-wordpass-canary\n");
    let line = "account password --no-input --new-password-file new --log trace";
    let ended = home.run(line).exit(0);
    assert_eq!(account.lock().unwrap().password, "new-wordpass-canary");
    let canary = Canary::new("password", "new-wordpass-canary");
    let shown = format!("{}{}{}", ended.stdout, ended.stderr, home.store());
    assert_eq!(canary.seen_in(shown.as_bytes()), None);
    assert_eq!(home.account()["password"], Value::Null);
    // Now only the person knows it.
    let needed = home
        .run("account password --no-input --json")
        .exit(6)
        .json();
    let next = needed["next"].as_str().unwrap();
    assert!(next.ends_with("--password-file FILE"), "{next}");
    home.file("wrong", "wrong-canary");
    let line = "account password --no-input --password-file wrong";
    let ended = home.run(line).exit(4);
    assert!(!ended.stderr.contains("wrong-canary"), "{ended}");
    let line = "account password --no-input --password-stdin";
    home.command(line)
        .stdin("new-wordpass-canary")
        .run()
        .exit(0);
    assert_eq!(home.account()["password"], account.lock().unwrap().password);
}

#[test]
fn lost_password_change_is_settled() {
    let (server, account, home) = account();
    account.lock().unwrap().loses = 1;
    let ended = home.run("account password --no-input").exit(0);
    assert!(
        ended
            .stderr
            .contains("it is not certain what the server did"),
        "{ended}"
    );
    assert_eq!(home.account()["password"], account.lock().unwrap().password);
    assert!(
        requests(&server, PASSWORD) <= 5,
        "{}",
        requests(&server, PASSWORD)
    );
}

#[test]
fn in_doubt_password_change_keeps_both() {
    for is_changed in [true, false] {
        let (_server, account, home) = account();
        let old = home.account()["password"].as_str().unwrap().to_owned();
        // Without end, as far as this command goes.
        account.lock().unwrap().loses = 20;
        let ended = home.run("account password --no-input").exit(1);
        assert!(
            ended.stderr.contains("may have changed the password"),
            "{ended}"
        );
        account.lock().unwrap().loses = 0;
        assert_eq!(home.account()["password"], old);
        let pending = home.store()["tables"]["password_changes"]["@a:b.test"].clone();
        let new = account.lock().unwrap().password.clone();
        assert_eq!(pending["password"], new);
        if !is_changed {
            account.lock().unwrap().password = old;
        }
        home.run("login --no-input").exit(0);
        assert_eq!(home.account()["password"], account.lock().unwrap().password);
        home.run("account password --no-input").exit(0);
        assert_eq!(home.account()["password"], account.lock().unwrap().password);
        assert_eq!(home.store()["tables"]["password_changes"], json!({}));
    }
}

#[test]
fn deactivation_needs_confirmation() {
    let (server, account, home) = account();
    let ended = home.run("account deactivate --no-input").exit(2);
    assert!(ended.stderr.contains("@a:b.test"), "{ended}");
    assert!(
        ended.stderr.contains("cannot be registered again"),
        "{ended}"
    );
    assert_eq!(requests(&server, DEACTIVATE), 0);
    account.lock().unwrap().refuses = true;
    home.run("account deactivate --no-input --yes").exit(7);
    home.run("whoami").exit(0);
    account.lock().unwrap().refuses = false;
    let closed = home.run("account deactivate --no-input --yes --erase --json");
    assert_eq!(closed.exit(0).json()["deactivated"], true);
    assert_eq!(server.requests().pop().unwrap().body["erase"], true);
    assert_eq!(home.store()["tables"]["accounts"], json!({}));
    assert_eq!(home.store()["default"], Value::Null);
    home.run("whoami").exit(4);
}

#[test]
fn lost_deactivation_is_settled() {
    let (server, account, home) = account();
    account.lock().unwrap().loses = 1;
    home.run("account deactivate --no-input --yes").exit(0);
    assert_eq!(requests(&server, WHOAMI), 1);
    assert_eq!(home.store()["tables"]["accounts"], json!({}));
}

#[test]
fn same_command_continues_email_validation() {
    let (server, account, home) = account();
    let line = "account email add a@example.org --no-input --json";
    let waits = home.run(line).exit(6).json();
    assert_eq!(waits["error"]["stage"], "m.login.email.identity");
    assert_eq!(waits["error"]["resume"], "a@example.org");
    let next = waits["next"].as_str().unwrap();
    assert!(next.contains("account email add a@example.org"), "{next}");
    home.run(line).exit(6);
    account.lock().unwrap().is_link_followed = true;
    // Whatever is lost now, the account has the address, and is looked at.
    account.lock().unwrap().loses = 1;
    home.run(line).exit(0);
    let messages = "/_matrix/client/v3/account/3pid/email/requestToken";
    assert_eq!(requests(&server, messages), 1, "one message");
    assert_eq!(home.store()["tables"]["address_additions"], json!({}));
    assert_eq!(account.lock().unwrap().addresses, ["a@example.org"]);
    assert_eq!(
        home.run("account email list").exit(0).stdout,
        "a@example.org\n"
    );
    let none = home.run("account phone list").exit(0);
    assert_eq!(none.stdout, "");
    assert!(none.stderr.contains("has no phone number"), "{none}");
    home.run("account email add nonsense").exit(2);
}

#[test]
fn command_continues_after_unopened_page() {
    let (server, account, home) = account();
    account.lock().unwrap().stage = Some("m.login.sso");
    let line = "account devices delete OLD --no-input --json";
    let waits = home.run(line).exit(6).json();
    let told = &waits["error"];
    assert_eq!(told["session"], "the-session");
    assert_eq!(told["resume"], "the-session");
    assert_eq!(told["stage"], "m.login.sso");
    let page = format!(
        "{}/_matrix/client/v3/auth/m.login.sso/fallback/web?session=the-session",
        server.url
    );
    assert_eq!(told["url"], page);
    let next = waits["next"].as_str().unwrap();
    let rest = "account devices delete OLD --account @a:b.test --resume the-session";
    assert!(next.ends_with(rest), "{next}");
    account.lock().unwrap().is_stage_done = true;
    let line = format!("{rest} --no-input --json");
    assert_eq!(home.run(&line).exit(0).json()["deleted"], json!(["OLD"]));
    let last = server.requests().pop().unwrap();
    assert_eq!(
        last.body,
        json!({ "devices": ["OLD"], "auth": { "session": "the-session" } })
    );
}

#[test]
fn oauth_account_links_to_account_page() {
    let (server, _account, home) = account();
    let mut store = home.store();
    store["tables"]["accounts"]["@a:b.test"]["oauth"] = json!({
        "issuer": "https://id.b.test/", "client_id": "c1",
        "token_endpoint": "https://id.b.test/token",
        "revocation_endpoint": "https://id.b.test/revoke",
        "account_management_uri": "https://id.b.test/account",
    });
    let file = home.matricula().join("accounts.json");
    std::fs::write(file, store.to_string()).unwrap();
    let before = server.requests().len();
    for (line, page) in [
        ("password", ""),
        ("deactivate", "?action=org.matrix.account_deactivate"),
        (
            "devices delete OLD",
            "?action=org.matrix.device_delete&device_id=OLD",
        ),
        ("devices delete OLD NEW", "?action=org.matrix.devices_list"),
    ] {
        let line = format!("account {line} --no-input --json");
        let told = home.run(&line).exit(6).json();
        assert_eq!(
            told["error"]["url"],
            format!("https://id.b.test/account{page}")
        );
    }
    assert_eq!(
        server.requests().len(),
        before,
        "nothing was asked of the server"
    );
}

#[test]
fn dry_run_masks_secrets() {
    let (server, _account, home) = account();
    home.file("new", "new-wordpass-canary");
    let before = server.requests().len();
    for (line, operation) in [
        ("password --new-password-file new", "changePassword"),
        ("password", "changePassword"),
        ("deactivate --erase", "deactivateAccount"),
        ("email add a@example.org", "requestTokenTo3PIDEmail"),
        ("phone add GB:07700900001", "requestTokenTo3PIDMSISDN"),
        ("email remove a@example.org", "delete3pidFromAccount"),
        ("phone remove +447700900001", "delete3pidFromAccount"),
        ("devices rename OLD new", "updateDevice"),
        ("devices delete OLD", "deleteDevices"),
        ("name Alice", "setProfileField"),
        ("avatar --remove", "deleteProfileField"),
    ] {
        let ended = home
            .run(&format!("account {line} --dry-run --json"))
            .exit(0);
        let request = &ended.json()["requests"][0];
        assert_eq!(request["operation"], operation);
        for secret in ["new_password", "client_secret"] {
            let value = &request["body"][secret];
            assert!(value.is_null() || value == "***", "{line}: {value}");
        }
        assert!(!ended.stdout.contains("canary"), "{ended}");
    }
    assert_eq!(server.requests().len(), before);
    assert_eq!(home.store()["tables"].get("password_changes"), None);
}

#[test]
fn profile_and_devices_are_printable() {
    let (_server, _account, home) = account();
    let devices = home.run("account devices").exit(0).stdout;
    assert_eq!(devices, "LAPTOP  (no name), this device\nOLD     [31mred\n");
    assert_eq!(home.run("account name").exit(0).stdout, "Alice[2J\n");
    let shown = home.run("account show --json").exit(0).json();
    assert_eq!(shown["devices"], 2);
    assert_eq!(shown["password_kept"], true);
    home.run("account name --remove").exit(0);
    home.run("account avatar mxc://b.test/abc").exit(0);
    home.run("account avatar https://b.test/abc").exit(2);
    home.run("account devices rename OLD new").exit(0);
}
