//! `matricula admin`: accounts, users and registration tokens, for server administrators.
//!
//! The `pub(crate)` functions also run on real Synapse servers, from `live::methods`.

use serde_json::{Value, json};

use crate::{
    command::{Home, unique},
    http::call,
    server::{self, LOGIN, Reply, Request, Server},
    servers::Site,
};

const SECRET: &str = "/_synapse/admin/v1/register";
const USERS: &str = "/_synapse/admin/v2/users/";
const TOKENS: &str = "/_synapse/admin/v1/registration_tokens";

/// Registers an administrator of the site with its shared secret.
pub(crate) fn administrator(site: &Site, home: &Home) -> String {
    home.file("secret", site.told("/shared_secret"));
    let (name, url) = (unique("boss"), &site.url);
    let line =
        format!("admin register {url} --username {name} --admin --shared-secret-file secret");
    let registered = home.run(&format!("{line} --json")).exit(0).json();
    assert_eq!(registered["user_id"], format!("@{name}:{}", site.name));
    assert_eq!(registered["admin"], true);
    assert_eq!(registered["password_made"], true);
    name
}

pub(crate) fn register_with_shared_secret(sites: fn(&str) -> Site) {
    let (site, home) = (sites("closed"), Home::new());
    let url = &site.url;
    home.run(&format!("register {url} --username stranger"))
        .exit(7);
    let name = administrator(&site, &home);
    let me = home.run("whoami --json").exit(0).json();
    assert_eq!(me["user_id"], format!("@{name}:{}", site.name));
    let shown = home
        .run(&format!("admin user show @{name}:{} --json", site.name))
        .exit(0)
        .json();
    assert_eq!(shown["admin"], true);
    // The generated password is stored, and logs in again.
    home.run("logout").exit(0);
    home.run("login").exit(0);
    // An ordinary user with a given password; the default account stays.
    home.file("password", "a-Good-1-for-all");
    let plain = unique("plain");
    let line = format!("admin register {url} --shared-secret-file secret --username");
    home.run(&format!("{line} {plain} --password-file password"))
        .exit(0);
    let me = home.run("whoami --json").exit(0).json();
    assert_eq!(me["user_id"], format!("@{name}:{}", site.name));
    let user_id = format!("@{plain}:{}", site.name);
    let ended = home
        .run(&format!("admin token list --account {user_id}"))
        .exit(7);
    assert!(
        ended.stderr.contains("is not an administrator of"),
        "{ended}"
    );
    let ended = home.run(&format!("{line} {plain}")).exit(7);
    assert!(ended.stderr.contains("is taken"), "{ended}");
    home.file("secret", "another");
    let ended = home.run(&format!("{line} {}", unique("n"))).exit(7);
    assert!(
        ended.stderr.contains("has another shared secret"),
        "{ended}"
    );
}

pub(crate) fn create_users(sites: fn(&str) -> Site) {
    let (site, home) = (sites("closed"), Home::new());
    administrator(&site, &home);
    let user_id = format!("@{}:{}", unique("bob"), site.name);
    home.file("password", "a-Good-1-for-all");
    let line = format!("admin user create {user_id} --json");
    let created = home
        .run(&format!(
            "{line} --password-file password --display-name Bob"
        ))
        .exit(0)
        .json();
    assert_eq!(
        (&created["created"], &created["signed_in"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(sign_in(&site, &user_id), 200);
    home.file("other", "another-Good-1");
    let again = home
        .run(&format!(
            "{line} --password-file other --display-name Robert --admin"
        ))
        .exit(0)
        .json();
    assert_eq!(again["created"], false);
    assert_eq!(
        (&again["display_name"], &again["admin"]),
        (&json!("Bob"), &json!(false))
    );
    assert_eq!(sign_in(&site, &user_id), 200, "the password is unchanged");
    let localpart = user_id[1..].split(':').next().unwrap();
    let listed = home.run(&format!("admin user list {localpart}")).exit(0);
    assert_eq!(listed.stdout, format!("{user_id}  Bob\n"));
    let listed = home.run("admin user list --json").exit(0).json();
    let listed = listed["users"].as_array().unwrap();
    let bob = listed
        .iter()
        .find(|one| one["user_id"] == *user_id)
        .unwrap();
    assert_eq!(bob["admin"], false);
    assert!(listed.iter().any(|one| one["admin"] == true));
    let line = format!("admin user list {}", unique("unknown"));
    let none = home.run(&line).exit(0);
    assert_eq!(none.stdout, "");
    assert!(none.stderr.contains("there are no such users"), "{none}");
    let unknown = format!("admin user show @{}:{}", unique("unknown"), site.name);
    home.run(&unknown).exit(1);
    // A generated password is stored, and logs in.
    let user_id = format!("@{}:{}", unique("eve"), site.name);
    let created = home
        .run(&format!("admin user create {user_id} --json"))
        .exit(0)
        .json();
    assert_eq!(created["password_made"], true);
    home.run(&format!("login {user_id}")).exit(0);
}

fn sign_in(site: &Site, user_id: &str) -> u16 {
    let body = json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.user", "user": user_id },
        "password": "a-Good-1-for-all",
    });
    call(&site.url, "POST", LOGIN, None, Some(&body)).0
}

pub(crate) fn create_and_revoke_tokens(sites: fn(&str) -> Site) {
    let (site, home) = (sites("token"), Home::new());
    administrator(&site, &home);
    let created = home
        .run("admin token create --uses 1 --expires-in 1h --length 12")
        .exit(0);
    let token = created.stdout.trim_end().to_owned();
    assert_eq!(token.len(), 12, "only the token is printed: {created}");
    let find = || {
        let list = home.run("admin token list --json").exit(0).json();
        let tokens = list["tokens"].as_array().unwrap().clone();
        tokens.into_iter().find(|one| one["token"] == token)
    };
    let found = find().unwrap();
    assert_eq!(
        (&found["uses_allowed"], &found["completed"]),
        (&json!(1), &json!(0))
    );
    assert!(found["expires_at"].is_u64());
    let other = Home::new();
    other.file("token", &token);
    let line = format!("register {} --token-file token", site.url);
    other.run(&line).exit(0);
    other.run(&line).exit(7);
    assert_eq!(find().unwrap()["completed"], 1);
    let listed = home.run("admin token list").exit(0);
    let row = listed.stdout.lines().find(|line| line.starts_with(&token));
    let words = "  1 of 1 account registered, expires in ";
    assert!(row.is_some_and(|row| row.contains(words)), "{listed}");
    let valid = home.run("admin token list --valid").exit(0);
    assert!(!valid.stdout.contains(&token), "{valid}");
    let revoked = home.command("admin token revoke --token-stdin --log trace");
    let revoked = revoked.stdin(&token).run().exit(0);
    assert!(
        revoked.stderr.contains("registration_tokens/***"),
        "{revoked}"
    );
    assert!(
        !revoked.stderr.contains(&token),
        "the token is masked: {revoked}"
    );
    assert_eq!(find(), None);
    home.command("admin token revoke --token-stdin")
        .stdin(&token)
        .run()
        .exit(1);
    // A token that the administrator chooses.
    let chosen = unique("chosen");
    home.file("chosen", &chosen);
    let created = home
        .run("admin token create --token-file chosen --json")
        .exit(0)
        .json();
    assert_eq!(created["token"], chosen);
    assert_eq!(created["uses_allowed"], Value::Null);
}

#[test]
fn shared_secret_registers_on_closed_server() {
    register_with_shared_secret(Site::embedded);
}

#[test]
fn embedded_server_creates_users() {
    create_users(Site::embedded);
}

#[test]
fn embedded_server_creates_and_revokes_tokens() {
    create_and_revoke_tokens(Site::embedded);
}

/// A server with a shared secret and an administrator; `answer` handles all other admin requests and
/// logins.
fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> (Server, Home) {
    let server =
        Server::start(
            move |request| match (request.method.as_str(), request.path.as_str()) {
                ("GET", SECRET) => server::object(200, json!({ "nonce": "n0nce" })),
                ("POST", SECRET) if request.body["username"] == "a" => {
                    server::registered("@a:b.test")
                }
                (_, path)
                    if path.starts_with("/_synapse/")
                        || path == LOGIN && request.method == "POST" =>
                {
                    answer(request)
                }
                _ => server::matrix(request),
            },
        );
    let home = Home::new();
    home.file("secret", "secret-canary\n");
    let line = format!(
        "admin register {} --username a --shared-secret-file secret",
        server.url
    );
    home.run(&line).exit(0);
    (server, home)
}

#[test]
fn request_is_signed_without_the_secret() {
    let (server, home) = start(|_| panic!("unexpected request"));
    let sent = server.requests();
    assert!(
        sent.iter()
            .all(|request| !request.body.to_string().contains("canary"))
    );
    let request = sent
        .iter()
        .find(|request| request.method == "POST")
        .unwrap();
    assert_eq!(request.body["nonce"], "n0nce");
    assert_eq!(request.body["mac"].as_str().unwrap().len(), 40);
    assert_eq!(request.body["password"], home.account()["password"]);
    assert!(!home.store().to_string().contains("canary"));
    assert_eq!(home.store()["tables"]["pending_users"], json!({}));
}

#[test]
fn dry_run_prints_requests_without_sending() {
    let (server, home) = start(|_| panic!("unexpected request"));
    let before = server.requests().len();
    home.file("password", "password-canary");
    let line = format!(
        "admin register {} --username b --admin --shared-secret-file secret --password-file password --dry-run --json",
        server.url
    );
    let ended = home.run(&line).exit(0);
    assert!(!ended.stdout.contains("canary"), "{ended}");
    let requests = ended.json()["requests"].clone();
    let requests = requests.as_array().unwrap();
    let [.., nonce, register] = &requests[..] else {
        panic!("{requests:?}")
    };
    assert_eq!(nonce["operation"], "synapseGetNonce");
    assert_eq!(register["body"]["password"], "***");
    assert_eq!(register["body"]["mac"], "***");
    assert_eq!(register["body"]["admin"], true);
    assert_eq!(server.requests().len(), before);
}

#[test]
fn server_without_shared_secret_is_reported() {
    let server = Server::start(server::matrix);
    let home = Home::new();
    home.file("secret", "s");
    let line = format!(
        "admin register {} --username a --shared-secret-file secret",
        server.url
    );
    let ended = home.run(&line).exit(7);
    assert!(
        ended
            .stderr
            .contains("has no registration by shared secret"),
        "{ended}"
    );
}

/// The response to the registration is lost, and the login that should find out fails too.
#[test]
fn registration_in_doubt_is_resumed() {
    let (server, home) = start(
        |request| match (request.method.as_str(), request.path.as_str()) {
            ("POST", SECRET) => server::bytes(""),
            _ => server::error(500, "M_UNKNOWN", "words"),
        },
    );
    let line = format!(
        "admin register {} --username b --shared-secret-file secret",
        server.url
    );
    let ended = home.run(&line).exit(1);
    assert!(
        ended.stderr.contains("may have made the account"),
        "{ended}"
    );
    let pending = home.store()["tables"]["pending_users"][format!("{} b", server.url)].clone();
    assert_eq!(pending["generated"], true);
    home.run(&line).exit(1);
    let logins = server.requests();
    let logins: Vec<_> = logins
        .iter()
        .filter(|one| one.path == LOGIN && one.method == "POST")
        .collect();
    assert!(logins.len() >= 2);
    assert!(
        logins
            .iter()
            .all(|login| login.body["password"] == pending["password"])
    );
}

#[test]
fn server_text_is_sanitised_for_terminal() {
    let (_server, home) = start(|request| {
        assert_eq!(request.path, format!("{USERS}%40bob%3Ab.test"));
        assert_eq!(request.headers["authorization"], "Bearer syt_token");
        let name = "Bob\u{1b}[31m\nnext: evil";
        server::object(
            200,
            json!({ "name": "@bob:b.test", "displayname": name, "admin": true, "locked": true }),
        )
    });
    let ended = home.run("admin user show @bob:b.test").exit(0);
    assert_eq!(
        ended.stdout,
        "@bob:b.test (Bob[31m next: evil), an administrator, locked\n"
    );
}

#[test]
fn empty_token_list_is_reported() {
    let (_server, home) = start(|_| server::object(200, json!({ "registration_tokens": [] })));
    let ended = home.run("admin token list").exit(0);
    assert_eq!(
        (
            ended.stdout.as_str(),
            ended.stderr.contains("there are no tokens")
        ),
        ("", true)
    );
    let json = home.run("admin token list --json").exit(0).json();
    assert_eq!(json, json!({ "schema_version": 1, "tokens": [] }));
}

#[test]
fn refusals_explain_what_to_do() {
    for (status, code, exit, words) in [
        (403, "M_FORBIDDEN", 7, "is not an administrator of"),
        (
            404,
            "M_UNRECOGNIZED",
            7,
            "does not have Synapse's admin API",
        ),
        (401, "M_UNKNOWN_TOKEN", 4, "sign in again"),
        (500, "M_UNKNOWN", 3, "words"),
    ] {
        for line in [
            "admin token list",
            "admin token create",
            "admin token revoke --token-file token",
            "admin user show @b:b.test",
            "admin user create @b:b.test",
        ] {
            let (_server, home) = start(move |_| server::error(status, code, "words"));
            home.file("token", "t");
            let ended = home.run(line).exit(exit);
            assert!(ended.stderr.contains(words), "{line}: {ended}");
        }
    }
}

#[test]
fn invalid_arguments_are_rejected_before_sending() {
    let (server, home) = start(|_| panic!("unexpected request"));
    let before = server.requests().len();
    for line in [
        "admin user create bob",
        "admin user show bob",
        "admin token create --expires-in 7",
        "admin token create --length 65",
        "admin token revoke",
        "admin register b.test --username a",
        "admin register b.test --shared-secret-file secret",
    ] {
        home.run(line).exit(2);
    }
    assert_eq!(server.requests().len(), before);
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.path != TOKENS)
    );
}
