//! The command on homeservers whose answers have other shapes than Synapse's: the shapes of the tests of
//! the conversations.

use serde_json::Value;

use crate::{
    command::Home,
    server::{Request, Server, answer, error, matrix, object},
};

const SHAPES: &str = include_str!("../../../matricula-auth/tests/it/real_world_quirks/shapes.json");

fn start(shape: Value) -> Server {
    Server::start(move |request: &Request| {
        let auth = &request.body["auth"];
        let stage = format!(
            "{} {}",
            auth["type"].as_str().unwrap_or_default(),
            auth["token"].as_str().unwrap_or_default()
        );
        let mut lines = shape["answers"].as_array().unwrap().iter();
        let line = lines.find(|line| {
            let fits = |at: usize, text: &str| line[at] == "*" || line[at] == text;
            fits(0, &request.method)
                && fits(1, &request.path)
                && stage.starts_with(line[2].as_str().unwrap())
        });
        let line = line.unwrap();
        let status = line[3].as_u64().unwrap() as u16;
        match &line[4] {
            Value::String(page) => answer(status, &["content-type: text/html"], page),
            body => object(status, body.clone()),
        }
    })
}

#[test]
fn all_servers_complete_the_cycle() {
    let shapes: Vec<Value> = serde_json::from_str(SHAPES).unwrap();
    for shape in shapes {
        let (server, home) = (start(shape.clone()), Home::new());
        home.file("token", "right");
        home.file("password", "wordpass");
        for line in [
            "discover SERVER",
            "register SERVER --username a --password-file password --token-file token",
            "whoami",
            "logout",
            "login --password-file password",
            "whoami",
        ] {
            let ended = home.run(&line.replace("SERVER", &server.url));
            assert_eq!(ended.code(), Some(0), "{} {line}: {ended}", shape["name"]);
            assert!(!ended.stdout.contains("<html>"), "{ended}");
        }
        // None of them gave a token to renew the session with.
        home.run("refresh").exit(4);
    }
}

#[test]
fn refresh_without_token_is_explained() {
    let server = Server::start(|request| match request.path.as_str() {
        "/_matrix/client/v3/refresh" => answer(404, &[], "<html>404</html>"),
        "/_matrix/client/v3/register" if request.is_stage() => object(
            200,
            serde_json::json!({
                "user_id": "@a:b.test", "access_token": "t", "device_id": "D", "refresh_token": "r",
            }),
        ),
        _ => matrix(request),
    });
    let home = Home::new();
    home.run(&format!("register {} --refresh-token", server.url))
        .exit(0);
    let ended = home.run("refresh");
    assert_ne!(ended.code(), Some(0), "{ended}");
    assert!(
        ended.stderr.contains("404") && !ended.stderr.contains("<html>"),
        "{ended}"
    );
    assert_eq!(home.account()["access_token"], "t", "the session goes on");
}

#[test]
fn closed_server_without_codes_exits_7() {
    let server = Server::start(|request| match request.path.as_str() {
        "/_matrix/client/v3/register" => {
            object(403, serde_json::json!({ "error": "no strangers" }))
        }
        "/_matrix/client/v1/auth_metadata" => error(404, "", ""),
        _ => matrix(request),
    });
    let home = Home::new();
    let ended = home.run(&format!("register {}", server.url)).exit(7);
    assert!(ended.stderr.contains("no strangers"), "{ended}");
    let ended = home.run(&format!("discover {}", server.url)).exit(0);
    assert!(
        ended.stdout.contains("closed to strangers: no strangers"),
        "{ended}"
    );
}
