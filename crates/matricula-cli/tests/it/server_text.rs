//! Text of a server in any field of any command begins no line of its own, and controls no terminal.

use serde_json::json;

use crate::{
    command::{Ended, Home},
    hostile::assert_harmless,
    server::{
        LOGIN, REGISTER, Reply, Request, Server, VERSIONS, WHOAMI, answer, error, matrix, object,
    },
};

/// All that may begin a line, and after each what a line would begin with.
const TRICK: &str = "X\nINJECTED\r\nINJECTED\rINJECTED\u{b}INJECTED\u{c}INJECTED\u{85}INJECTED\u{2028}INJECTED\
     \u{2029}INJECTED\u{1b}[2K\u{1b}[1GINJECTED\u{202e}\u{8}\u{7f}Y\n\n";

/// A server that has the trick wherever a text can be.
fn tricky(request: &Request) -> Reply {
    let path = request.path.as_str();
    match (request.method.as_str(), path) {
        ("GET", VERSIONS) => object(
            200,
            json!({ "versions": ["v1.15", TRICK], "unstable_features": { TRICK: true } }),
        ),
        ("GET", LOGIN) => object(
            200,
            json!({ "flows": [
                { "type": "m.login.password" },
                { "type": TRICK },
                { "type": "m.login.sso", "identity_providers": [{ "id": TRICK, "name": TRICK, "brand": TRICK }] },
            ] }),
        ),
        ("POST", REGISTER) if request.is_stage() => object(
            200,
            json!({ "user_id": "@a:b.test", "access_token": "syt_token", "device_id": TRICK }),
        ),
        ("POST", REGISTER) => matrix(request),
        ("GET", WHOAMI) => object(200, json!({ "user_id": "@a:b.test", "device_id": TRICK })),
        ("GET", _) if path.contains("/profile/") => object(
            200,
            json!({ "displayname": TRICK, "avatar_url": format!("mxc://b.test/{TRICK}"), TRICK: TRICK }),
        ),
        ("GET", _) if path.ends_with("/v3/devices") => object(
            200,
            json!({ "devices": [{ "device_id": TRICK, "display_name": TRICK, "last_seen_ip": TRICK }] }),
        ),
        ("GET", _) if path.ends_with("/account/3pid") => object(
            200,
            json!({ "threepids": [
                { "medium": "email", "address": TRICK, "added_at": 1, "validated_at": 1 },
                { "medium": "msisdn", "address": TRICK, "added_at": 1, "validated_at": 1 },
                { "medium": TRICK, "address": TRICK, "added_at": 1, "validated_at": 1 },
            ] }),
        ),
        ("GET", _) if path.contains("/admin/v2/users/") => object(
            200,
            json!({ "name": "@bob:b.test", "displayname": TRICK, "user_type": TRICK }),
        ),
        (_, _) if path.contains("/admin/v1/registration_tokens") => object(
            200,
            json!({
                "token": TRICK,
                "registration_tokens": [{ "token": TRICK, "uses_allowed": null, "pending": 0, "completed": 0 }],
            }),
        ),
        ("GET", _) if path.contains("/media/download/b.test/named") => {
            let name = TRICK.bytes().map(|byte| format!("%{byte:02x}"));
            let name: String = name.collect();
            let disposition = format!("content-disposition: inline; filename*=UTF-8''{name}");
            answer(200, &[&disposition], "meow")
        }
        ("POST", _) if path.ends_with("/upload") => object(
            200,
            json!({ "content_uri": format!("mxc://b.test/{TRICK}") }),
        ),
        _ => error(400, TRICK, TRICK),
    }
}

#[track_caller]
fn assert_no_line_of_its_own(line: &str, ended: &Ended) {
    assert_harmless(ended);
    for text in [&ended.stdout, &ended.stderr] {
        let begun = text
            .lines()
            .find(|line| line.trim_start().starts_with("INJECTED"));
        assert_eq!(begun, None, "{line}: {ended}");
        assert!(!text.contains("\n\n"), "{line}: {ended}");
    }
}

#[test]
fn no_field_begins_a_line() {
    let server = Server::start(tricky);
    let url = &server.url;
    let commands = [
        // The command, and whether the trick is in what it prints without --json.
        (format!("discover {url}"), true),
        (format!("discover {url} --try"), true),
        ("whoami".to_owned(), true),
        ("accounts".to_owned(), false),
        ("account show".to_owned(), true),
        ("account name".to_owned(), true),
        ("account name New".to_owned(), true),
        ("account avatar".to_owned(), true),
        ("account avatar mxc://b.test/x".to_owned(), true),
        ("account devices".to_owned(), true),
        ("account devices rename LAPTOP New".to_owned(), true),
        // The device has another ID.
        ("account devices delete LAPTOP".to_owned(), false),
        ("account email list".to_owned(), true),
        ("account phone list".to_owned(), true),
        ("account email remove ann@x.org".to_owned(), true),
        ("account email add ann@x.org".to_owned(), true),
        ("account password".to_owned(), true),
        ("account deactivate --yes".to_owned(), true),
        ("admin user show @bob:b.test".to_owned(), true),
        ("admin user create @new:b.test".to_owned(), false),
        ("admin token list".to_owned(), true),
        ("admin token create".to_owned(), true),
        ("media get mxc://b.test/AbC".to_owned(), true),
        ("media get mxc://b.test/named".to_owned(), true),
        // Its address is refused without being repeated.
        ("media put cat.png".to_owned(), false),
        ("api call getUserProfile userId=@a:b.test".to_owned(), true),
        ("api call getDevices".to_owned(), true),
        ("api call getCapabilities".to_owned(), true),
        ("refresh".to_owned(), false),
        (
            format!("login @other:b.test --server {url} --password-file password"),
            true,
        ),
        (format!("register {url}"), true),
        ("logout".to_owned(), true),
    ];
    for (line, is_shown) in commands {
        for option in ["", "--log trace", "--json"] {
            let home = Home::new();
            home.file("cat.png", "meow");
            home.file("password", "a-Password-1");
            home.run(&format!("register {url}")).exit(0);
            let ended = home.run(&format!("{line} {option}"));
            assert_no_line_of_its_own(&line, &ended);
            if option.is_empty() {
                let shown = format!("{}{}", ended.stdout, ended.stderr);
                assert_eq!(shown.contains("INJECTED"), is_shown, "{line}: {ended}");
            }
            if option == "--json" && !ended.stdout.is_empty() {
                ended.json();
            }
            let names = std::fs::read_dir(home.files()).unwrap();
            for name in names {
                let name = name.unwrap().file_name().into_string().unwrap();
                assert!(!name.contains(char::is_control), "{name:?}");
            }
        }
    }
}

/// What was said comes out of JSON as it was.
#[test]
fn json_has_the_text_as_it_was() {
    let server = Server::start(tricky);
    let home = Home::new();
    let registered = home.run(&format!("register {} --json", server.url)).exit(0);
    assert_eq!(registered.json()["device_id"], TRICK);
    assert_eq!(home.run("whoami --json").exit(0).json()["device_id"], TRICK);
    let shown = home.run("account show --json").exit(0).json();
    assert_eq!(shown["display_name"], TRICK);
}
