//! Output of `api call`: typed, masked, written to files, or an error that says what to do.

use std::fs;

use serde_json::{Value, json};

use crate::{
    api_call::{call, home_on, last},
    command::Home,
    server::{Reply, Request, Server, WHOAMI, answer, error, matrix, object},
};

#[test]
fn response_secrets_are_masked_by_default() {
    let server = Server::start(|request| match request.path.as_str() {
        "/_matrix/client/v3/login" => object(
            200,
            json!({ "user_id": "@a:b.test", "access_token": "token-canary", "device_id": "D" }),
        ),
        _ => matrix(request),
    });
    let home = Home::new();
    let line = format!(
        "api call login type=m.login.password password=@- --log trace --server {}",
        server.url
    );
    for options in ["", "--json"] {
        let masked = home
            .command(&format!("{line} {options}"))
            .stdin("wordpass-canary\n")
            .run();
        let shown = format!("{}{}", masked.stdout, masked.stderr);
        assert!(!shown.contains("canary"), "{masked}");
        assert!(masked.stdout.contains("***"), "{masked}");
        assert!(
            masked.stderr.contains("--show-secrets prints them"),
            "{masked}"
        );
        let line = home.command(&format!("{line} {options} --show-secrets"));
        let clear = line.stdin("wordpass-canary\n").run().exit(0);
        assert!(clear.stdout.contains("token-canary"), "{clear}");
        assert!(!clear.stderr.contains("canary"), "{clear}");
        assert!(!clear.stdout.contains("wordpass"), "{clear}");
    }
    assert_eq!(last(&server).body["password"], "wordpass-canary");
}

#[test]
fn token_goes_only_to_its_server() {
    let reply: fn(&Request) -> Reply = |_| object(200, json!({ "user_id": "@a:b.test" }));
    let elsewhere = Server::start(reply);
    let url = elsewhere.url.clone();
    let here = Server::start(move |request| match request.path.as_str() {
        WHOAMI => answer(307, &[&format!("location: {url}{WHOAMI}")], ""),
        _ => matrix(request),
    });
    let home = home_on(&here);
    home.file("token", "given-token");
    // Neither an account's token nor a given one follows a redirection.
    for line in [
        "api call getTokenOwner".to_owned(),
        format!(
            "api call getTokenOwner --server {} --token-file token",
            here.url
        ),
    ] {
        let ended = home.run(&line).exit(1);
        assert!(ended.stderr.contains("redirects to"), "{ended}");
    }
    assert_eq!(last(&here).headers["authorization"], "Bearer given-token");
    assert!(elsewhere.requests().is_empty());
    // An account's token is not for a server that is named.
    home.run(&format!(
        "api call getTokenOwner --server {}",
        elsewhere.url
    ))
    .exit(4);
    assert!(elsewhere.requests().is_empty());
    let line = format!(
        "api call getCapabilities --server {} --token-stdin",
        elsewhere.url
    );
    home.command(&line).stdin("given-token").run();
    assert_eq!(
        last(&elsewhere).headers["authorization"],
        "Bearer given-token"
    );
    // An operation that takes no token is handed one only where its account is named.
    home.run("api call getLoginFlows").exit(0);
    assert!(!last(&here).headers.contains_key("authorization"));
    home.run("api call getLoginFlows --account @a:b.test")
        .exit(0);
    assert_eq!(last(&here).headers["authorization"], "Bearer syt_token");
}

#[test]
fn unsupported_operation_is_explained() {
    let unknown: fn(&Request) -> Reply = |_| error(404, "M_UNRECOGNIZED", "Unrecognized request");
    let page: fn(&Request) -> Reply = |_| answer(404, &[], "<html>");
    for (reply, verb, why) in [
        (unknown, "does not", "M_UNRECOGNIZED: Unrecognized request"),
        (
            page,
            "seems not to",
            "the server answered with status 404 and no Matrix error",
        ),
    ] {
        let (server, ended) = call(
            "/_matrix/client/v3/joined_rooms",
            reply,
            "getJoinedRooms --json",
        );
        let json = ended.exit(1).json();
        let message = format!(
            "{} {verb} serve client/getJoinedRooms (GET /_matrix/client/v3/joined_rooms): {why}",
            server.url
        );
        assert_eq!(json["error"]["message"], message);
    }
    let server = Server::start(page);
    let ended = Home::new().run(&format!("api call getVersions --server {}", server.url));
    let hint = "of the same name there is also identity/getVersions";
    assert!(ended.exit(1).stderr.contains(hint));
}

#[test]
fn errors_say_what_to_do() {
    type Row = (fn(&Request) -> Reply, i32, &'static str);
    let rows: [Row; 8] = [
        (
            |_| error(401, "M_MISSING_TOKEN", ""),
            4,
            "next: MATRICULA api call getTokenOwner --account @a:b.test",
        ),
        (
            |_| error(403, "M_FORBIDDEN", "not you"),
            7,
            "refused getTokenOwner: M_FORBIDDEN: not you",
        ),
        (
            |_| error(400, "M_INVALID_PARAM", "bad"),
            1,
            "next: MATRICULA api show getTokenOwner",
        ),
        (
            |_| error(401, "M_UNKNOWN_TOKEN", ""),
            4,
            "next: MATRICULA login @a:b.test",
        ),
        (
            |_| object(200, json!({ "user_id": 1 })),
            1,
            "expected a user id, found integer, at /user_id",
        ),
        (|_| object(200, json!({})), 1, "missing field `user_id`"),
        (
            |_| answer(502, &[], "<html>"),
            3,
            "status 502 and no Matrix error",
        ),
        (
            |_| error(500, "M_UNKNOWN", "Internal server error"),
            3,
            "failed at getTokenOwner: M_UNKNOWN: Internal server error",
        ),
    ];
    for (reply, exit, what) in rows {
        let (_, ended) = call(WHOAMI, reply, "getTokenOwner");
        let ended = ended.exit(exit);
        let what = what.replace("MATRICULA", env!("CARGO_BIN_EXE_matricula"));
        assert!(ended.stderr.contains(&what), "{what}\n{ended}");
        assert_eq!(ended.stdout, "");
    }
}

/// Some editors write a byte order mark before the text.
#[test]
fn mark_before_a_body_is_skipped() {
    let server = Server::start(|request| match request.path.as_str() {
        "/_matrix/client/v3/createRoom" => object(200, json!({ "room_id": "!r:b.test" })),
        _ => matrix(request),
    });
    let home = home_on(&server);
    home.file("body.json", "\u{feff}{ \"name\": \"kitchen\" }");
    home.run("api call createRoom --json-body @body.json")
        .exit(0);
    assert_eq!(last(&server).body, json!({ "name": "kitchen" }));
}

#[test]
fn required_authentication_is_explained() {
    let reply: fn(&Request) -> Reply = |_| {
        object(
            401,
            json!({
                "session": "the-session",
                "flows": [{ "stages": ["m.login.password", "m.login.terms"] }, { "stages": ["m.login.sso"] }],
                "completed": ["m.login.password"],
                "params": { "m.login.terms": {} },
                "errcode": "M_FORBIDDEN",
                "error": "Invalid password",
            }),
        )
    };
    let path = "/_matrix/client/v3/account/deactivate";
    let (_, ended) = call(path, reply, "deactivateAccount");
    let message = "deactivateAccount wants you to authenticate: m.login.password and m.login.terms, \
                   or m.login.sso; done: m.login.password; the last attempt failed: Invalid password; \
                   the session is the-session; ";
    assert!(ended.exit(6).stderr.contains(message));
    let (_, ended) = call(path, reply, "deactivateAccount --json");
    let found = &ended.exit(6).json()["error"];
    assert_eq!(found["kind"], "person_needed");
    assert_eq!(found["session"], "the-session");
    let flows = json!([["m.login.password", "m.login.terms"], ["m.login.sso"]]);
    assert_eq!(found["flows"], flows);
    assert_eq!(found["completed"], json!(["m.login.password"]));
}

#[test]
fn control_characters_in_responses_are_removed() {
    const TRICKS: &str = "a\u{1b}[31m\u{9b}\u{202e}\u{7}\u{2028}b";
    let good: fn(&Request) -> Reply = |_| {
        object(
            200,
            json!({ "user_id": "@a:b.test", "device_id": TRICKS, TRICKS: 1 }),
        )
    };
    let bad: fn(&Request) -> Reply = |_| error(400, TRICKS, TRICKS);
    let asks: fn(&Request) -> Reply = |_| {
        object(
            401,
            json!({ "session": TRICKS, "flows": [{ "stages": [TRICKS] }], "error": TRICKS }),
        )
    };
    for (reply, exit) in [(good, 0), (bad, 1), (asks, 6)] {
        for options in ["", "--json"] {
            let (_, ended) = call(WHOAMI, reply, &format!("getTokenOwner {options}"));
            let ended = ended.exit(exit);
            let shown = format!("{}{}", ended.stdout, ended.stderr);
            let trick = shown
                .chars()
                .find(|c| *c != '\n' && TRICKS.contains(*c) && !c.is_ascii_graphic());
            assert_eq!(trick, None, "{shown:?}");
            if exit == 0 {
                // Made harmless, and still what the server said.
                let json: Value = serde_json::from_str(&ended.stdout).unwrap();
                let answer = json.get("response").unwrap_or(&json);
                assert_eq!(
                    (&answer["device_id"], &answer[TRICKS]),
                    (&json!(TRICKS), &json!(1))
                );
            }
        }
    }
}

#[test]
fn files_keep_their_bytes() {
    let server = Server::start(|request| match request.path.as_str() {
        "/_matrix/media/v3/upload" => object(200, json!({ "content_uri": "mxc://b.test/a" })),
        "/_matrix/client/v1/media/download/b.test/a" => answer(
            200,
            &["content-type: application/json"],
            "{ \"as\":  \"it is\" }",
        ),
        path if path.ends_with("/bytes") => answer(200, &["content-type: image/png"], [0, 255, 27]),
        _ => matrix(request),
    });
    let home = home_on(&server);
    home.file("picture", "{\"pixels\":1}");
    home.run("api call uploadContent Content-Type=image/png --body-file picture")
        .exit(0);
    let sent = last(&server);
    assert_eq!(sent.headers["content-type"], "image/png");
    assert_eq!(sent.body, json!({ "pixels": 1 }));
    let line = "api call getContentAuthed serverName=b.test mediaId=a";
    assert_eq!(home.run(line).exit(0).stdout, "{ \"as\":  \"it is\" }");
    let file = home.root().join("tmp/file");
    let line = "api call getContentAuthed serverName=b.test mediaId=bytes --json";
    let json = home
        .run(&format!("{line} --output {}", file.display()))
        .exit(0)
        .json();
    let expected = json!({
        "schema_version": 1,
        "operation": "client/getContentAuthed",
        "status": 200,
        "output": file,
        "content_type": "image/png",
        "content_disposition": null,
    });
    assert_eq!(json, expected);
    assert_eq!(fs::read(&file).unwrap(), [0, 255, 27]);
    // A refusal leaves what was there.
    let line = "api call getContentAuthed serverName=b.test mediaId=gone --overwrite";
    home.run(&format!("{line} --output {}", file.display()))
        .exit(1);
    assert_eq!(fs::read(&file).unwrap(), [0, 255, 27]);
}

/// A number out of range, and half of a surrogate pair.
#[test]
fn unreadable_part_hides_no_other() {
    let reply: fn(&Request) -> Reply = |_| {
        let body = r#"{"user_id":"@a:b.test","device_id":"D","org.x":1e400,"org.y":["a\ud83d"]}"#;
        answer(200, &["content-type: application/json"], body)
    };
    for option in ["", "--show-secrets", "--json"] {
        let (_, ended) = call(WHOAMI, reply, &format!("getTokenOwner {option}"));
        let ended = ended.exit(0);
        let shown: Value = serde_json::from_str(&ended.stdout).unwrap();
        let shown = shown.get("response").unwrap_or(&shown);
        assert_eq!(
            (&shown["user_id"], &shown["device_id"]),
            (&json!("@a:b.test"), &json!("D")),
            "{ended}"
        );
        assert!(ended.stderr.contains("null stands there"), "{ended}");
    }
}
