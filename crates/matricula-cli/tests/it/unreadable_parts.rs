//! A part that fits no JSON value of a program, such as a number that is out of range, hides nothing else.

use serde_json::json;

use crate::{
    command::Home,
    server::{LOGIN, REGISTER, Reply, Request, Server, VERSIONS, WHOAMI, answer, matrix},
};

/// A number that is out of range, and half of a surrogate pair.
const ODD: &str = r#""org.x":1e400,"org.y":["\ud83d",{"z":-1e999}]"#;

/// A server that puts them into every answer.
fn odd(request: &Request) -> Reply {
    let path = request.path.as_str();
    let json = |status: u16, fields: &str| {
        let body = format!("{{{fields},{ODD}}}");
        answer(status, &["content-type: application/json"], body)
    };
    match (request.method.as_str(), path) {
        ("GET", VERSIONS) => json(
            200,
            &format!(r#""versions":["v1.15"],"unstable_features":{{"a":true,{ODD}}}"#),
        ),
        ("GET", LOGIN) => json(
            200,
            &format!(r#""flows":[{{{ODD}}},{{"type":"m.login.password",{ODD}}}]"#),
        ),
        ("POST", LOGIN) => json(
            200,
            r#""user_id":"@a:b.test","access_token":"t","device_id":"D""#,
        ),
        ("POST", REGISTER) if request.is_stage() => json(
            200,
            r#""user_id":"@a:b.test","access_token":"t","device_id":"D""#,
        ),
        ("POST", REGISTER) => json(
            401,
            &format!(
                r#""session":"s","flows":[{{"stages":["m.login.dummy"],{ODD}}}],"params":{{{ODD}}}"#
            ),
        ),
        ("GET", WHOAMI) => json(200, r#""user_id":"@a:b.test","device_id":"D""#),
        ("GET", _) if path.ends_with("/v3/devices") => json(
            200,
            &format!(r#""devices":[{{"device_id":"D","display_name":"Phone",{ODD}}}]"#),
        ),
        ("GET", _) if path.ends_with("/account/3pid") => json(
            200,
            &format!(r#""threepids":[{{"medium":"email","address":"ann@x.org",{ODD}}}]"#),
        ),
        ("GET", _) if path.contains("/profile/") => json(200, r#""displayname":"Ann""#),
        ("GET", _) if path.ends_with("/password_policy") => json(200, r#""m.minimum_length":8"#),
        ("POST", _) if path.ends_with("/deactivate") => json(
            401,
            &format!(r#""session":"s","flows":[{{"stages":["m.login.sso"]}}],"params":{{{ODD}}}"#),
        ),
        _ => matrix(request),
    }
}

#[test]
fn unreadable_part_hides_nothing_else() {
    let server = Server::start(odd);
    let url = &server.url;
    for (line, code, words) in [
        ("whoami", 0, "@a:b.test"),
        ("account devices", 0, "Phone"),
        ("account email list", 0, "ann@x.org"),
        ("account show", 0, "Ann"),
        ("account name", 0, "Ann"),
        ("api call getDevices", 0, "Phone"),
        ("api call getTokenOwner", 0, "@a:b.test"),
        ("api call deactivateAccount", 6, "m.login.sso"),
        ("discover URL", 0, "m.login.password"),
        // The tokens of this server end never.
        ("discover URL --try", 1, "m.login.dummy"),
        (
            "login a --server URL --password-file password",
            0,
            "@a:b.test",
        ),
        ("logout", 0, "signed out"),
    ] {
        for option in ["", "--json"] {
            let home = Home::new();
            home.file("password", "a-Password-1");
            // What the server offered is stored meanwhile.
            home.run(&format!("register {url} --username a")).exit(0);
            let line = line.replace("URL", url);
            let ended = home.run(&format!("{line} {option}")).exit(code);
            let shown = format!("{}{}", ended.stdout, ended.stderr);
            let is_logout = option == "--json" && line == "logout";
            assert!(shown.contains(words) || is_logout, "{line}: {ended}");
        }
    }
}

/// It can be resumed: the stored state is whole.
#[test]
fn unreadable_part_of_an_offer_is_stored() {
    let server = Server::start(|request| match request.path.as_str() {
        REGISTER => answer(
            401,
            &[],
            format!(
                r#"{{"session":"s","flows":[{{"stages":["m.login.registration_token"],{ODD}}}],{ODD}}}"#
            ),
        ),
        _ => matrix(request),
    });
    let home = Home::new();
    let line = format!("register {} --username a --json", server.url);
    let waits = home.run(&line).exit(6).json();
    assert_eq!(waits["error"]["session"], json!("s"));
    let line = format!("register --resume {} --json", home.registration());
    home.run(&line).exit(6);
}
