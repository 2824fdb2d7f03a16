//! `api call` and `api show`: any operation, its arguments by name.

use std::fs;

use serde_json::{Value, json};

use crate::{
    command::{Ended, Home},
    server::{Reply, Request, Server, WHOAMI, answer, error, listen, matrix, object},
};

/// A home with an account on this server.
fn home_on(server: &Server) -> Home {
    let home = Home::new();
    home.run(&format!("register {}", server.url)).exit(0);
    home
}

/// Calls an operation with the account of a server that answers `path` in its own way.
fn call(path: &'static str, reply: fn(&Request) -> Reply, line: &str) -> (Server, Ended) {
    let server = Server::start(move |request| match request.path == path {
        true => reply(request),
        false => matrix(request),
    });
    let ended = home_on(&server).run(&format!("api call {line}"));
    (server, ended)
}

/// The last request that a server got.
fn last(server: &Server) -> Request {
    server.requests().pop().unwrap()
}

#[test]
fn wrong_arguments_are_refused_by_name() {
    let (listener, server) = listen();
    let home = Home::new();
    home.file("token", "a-token");
    home.file("text", "no JSON");
    home.file("password", "wordpass");
    home.file("file", "a file");
    let rows = [
        (
            "sendMesage",
            "no operation \"sendMesage\"; did you mean sendMessage?",
        ),
        ("zzz", "no operation \"zzz\"; `matricula api list` shows"),
        (
            "sendMessage",
            "missing: roomId=TEXT, eventType=TEXT, txnId=TEXT, --json-body JSON",
        ),
        (
            "sendMessage room_id=!a:b",
            "sendMessage takes no \"room_id\"; did you mean roomId?",
        ),
        (
            "sendMessage msgtype=m.text",
            "what belongs into the body is given with --json-body",
        ),
        (
            "sendMessage body=hi",
            "the body is given with --json-body JSON",
        ),
        ("createRoom name=a name=b", "name is given twice"),
        (
            "createRoom wordpass",
            "argument 1 is not of the form NAME=VALUE",
        ),
        (
            "createRoom is_direct=yes",
            "is_direct is not valid: expected true or false",
        ),
        (
            "createRoom name:=1",
            "expected a string, found integer, at /name",
        ),
        (
            "createRoom initial_state:=[{\"content\":{}}]",
            "`initial_state/0/type` is missing",
        ),
        ("createRoom initial_state:=[", "initial_state is not JSON"),
        (
            "createRoom name=a --json-body {\"name\":\"b\"}",
            "name is given by name and in --json-body",
        ),
        ("createRoom name=a --json-body []", "the body is no object"),
        ("createRoom --json-body {", "the body is not JSON"),
        ("createRoom --json-body @text", "the body is not JSON"),
        (
            "createRoom --json-body @missing",
            "the body from @missing: ",
        ),
        (
            "createRoom --body-file file",
            "createRoom takes no --body-file",
        ),
        (
            "getPresence userId=@a:b --json-body {}",
            "getPresence takes no --json-body",
        ),
        (
            "getPresence userId=nobody",
            "the part of the path `userId` is not valid",
        ),
        (
            "getPresence userId:=1",
            "userId is no field of the body: write userId=VALUE",
        ),
        (
            "sync timeout=soon",
            "the query parameter `timeout` is not valid: expected a whole number",
        ),
        ("uploadContent", "missing: --body-file FILE"),
        (
            "uploadContent --json-body {}",
            "uploadContent takes no --json-body",
        ),
        ("uploadContent --body-file missing", "missing: "),
        (
            "login type=a password=wordpass",
            "give password=@FILE, or password=@-",
        ),
        (
            "login type=a --json-body {\"password\":\"wordpass\"}",
            "/password of the body is a secret",
        ),
        (
            "deactivateAccount auth:={\"password\":\"wordpass\"}",
            "/auth/password of the body is a secret",
        ),
        (
            "login type=a password=@missing",
            "the password in missing: ",
        ),
        (
            "login type=a password=@- token=@-",
            "standard input can be one thing only",
        ),
        (
            "login type=a password=@- --json-body -",
            "standard input can be one thing only",
        ),
        (
            "getPresence userId=@a:b --output file",
            "getPresence downloads no file",
        ),
        (
            "getContentAuthed serverName=b.test mediaId=a --json --token-file token",
            "with --output FILE",
        ),
        ("getTokenOwner --account @a:b.test", "cannot be used with"),
    ];
    for (line, what) in rows {
        let typed = format!("api call {line} --server {server}");
        let ended = home.run(&typed);
        assert_eq!(ended.code(), Some(2), "{line}\n{ended}");
        assert!(ended.stderr.contains(what), "{line}\n{ended}");
        assert!(!ended.stderr.contains("wordpass"), "{line}\n{ended}");
    }
    for (line, what) in [
        (
            "identity/getVersions",
            "it is called on an identity server: name it with --server URL",
        ),
        (
            "notify notification:={\"devices\":[]}",
            "on a push gateway: name it with --server URL",
        ),
        (
            "getTokenOwner --token-file token",
            "required arguments were not provided",
        ),
        (
            "pingAppservice appserviceId=a",
            "by an application service, not by an account: name the homeserver with --server URL",
        ),
    ] {
        let ended = home.run(&format!("api call {line}")).exit(2);
        assert!(ended.stderr.contains(what), "{line}\n{ended}");
    }
    // A connection is there for the taking as soon as its other side believes it open.
    listener.set_nonblocking(true).unwrap();
    listener.accept().expect_err("somebody connected");
    assert!(!home.matricula().exists(), "something was written");
}

#[test]
fn a_token_that_is_needed_is_asked_for() {
    let home = Home::new();
    let ended = home.run("api call getTokenOwner").exit(4);
    assert!(
        ended.stderr.contains("no account is kept here yet\nnext: "),
        "{ended}"
    );
    let (_listener, server) = listen();
    let ended = home
        .run(&format!("api call getTokenOwner --json --server {server}"))
        .exit(4);
    let json = ended.json();
    assert_eq!(
        json["error"]["message"],
        "getTokenOwner takes an access token"
    );
    let next = json["next"].as_str().unwrap();
    let expected = format!("api call getTokenOwner --server {server} --token-file FILE");
    assert!(next.ends_with(&expected), "{next}");
}

#[test]
fn arguments_go_where_they_belong() {
    let server = Server::start(|request| match request.path.contains("/rooms/") {
        true => object(200, json!({ "event_id": "$e" })),
        false => matrix(request),
    });
    let home = home_on(&server);
    home.file("body", r#"{ "msgtype": "m.text", "body": "hi" }"#);
    for body in ["{\"msgtype\":\"m.text\",\"body\":\"hi\"}", "@body", "-"] {
        let line =
            "api call sendMessage --json eventType=m.room.message txnId=a/b roomId=!r:b.test";
        let line = home.command(&format!("{line} ts=7 --json-body {body}"));
        let ended = line
            .stdin(r#"{"msgtype":"m.text","body":"hi"}"#)
            .run()
            .exit(0);
        let expected = json!({
            "schema_version": 1,
            "operation": "client/sendMessage",
            "status": 200,
            "response": { "event_id": "$e" },
        });
        assert_eq!(ended.json(), expected);
        let sent = last(&server);
        let path = "/_matrix/client/v3/rooms/%21r%3Ab.test/send/m.room.message/a%2Fb";
        assert_eq!((sent.method.as_str(), sent.path.as_str()), ("PUT", path));
        assert_eq!(sent.query, "ts=7");
        assert_eq!(sent.body, json!({ "msgtype": "m.text", "body": "hi" }));
        assert_eq!(sent.headers["authorization"], "Bearer syt_token");
    }
}

#[test]
fn fields_given_by_name_are_put_into_the_body() {
    let reply: fn(&Request) -> Reply = |_| object(200, json!({ "room_id": "!r:b.test" }));
    let (server, ended) = call(
        "/_matrix/client/v3/createRoom",
        reply,
        "createRoom name=4 is_direct=true invite=@b:b.test invite=@c:b.test topic:=\"5\" \
         creation_content:={\"m.federate\":false} --json-body {\"org.example.more\":[1]}",
    );
    assert_eq!(ended.exit(0).stdout, "{\n  \"room_id\": \"!r:b.test\"\n}\n");
    let expected = json!({
        "name": "4",
        "is_direct": true,
        "invite": ["@b:b.test", "@c:b.test"],
        "topic": "5",
        "creation_content": { "m.federate": false },
        "org.example.more": [1],
    });
    assert_eq!(last(&server).body, expected);
}

#[test]
fn json_tells_a_field_of_the_body_from_a_part_of_the_path() {
    let (server, ended) = call(
        "/_matrix/client/v3/room_keys/version/1",
        |_| object(200, json!({})),
        "putRoomKeysVersion version=1 version:=\"2\" algorithm=a auth_data:={}",
    );
    assert_eq!(ended.exit(0).stdout, "{}\n");
    let expected = json!({ "version": "2", "algorithm": "a", "auth_data": {} });
    assert_eq!(last(&server).body, expected);
}

#[test]
fn pairs_with_free_names_go_into_the_query() {
    let reply: fn(&Request) -> Reply = |_| object(200, json!([]));
    let (server, ended) = call(
        "/_matrix/client/v3/thirdparty/user/irc",
        reply,
        "queryUserByProtocol protocol=irc channel=#a nick=b",
    );
    assert_eq!(ended.exit(0).stdout, "[]\n");
    assert_eq!(last(&server).query, "channel=%23a&nick=b");
}

#[test]
fn dry_run_prints_the_request_and_sends_nothing() {
    let (listener, server) = listen();
    let home = Home::new();
    home.file("secret", "wordpass-canary");
    home.file("picture", "pixels");
    let login = format!("api call login --server {server} --dry-run type=m.login.password");
    let login = format!("{login} password=@secret device_id=LAPTOP");
    let json = home.run(&format!("{login} --json")).exit(0).json();
    let expected = json!({
        "schema_version": 1,
        "operation": "login",
        "method": "POST",
        "url": format!("{server}/_matrix/client/v3/login"),
        "query": [],
        "headers": [],
        "body": { "type": "m.login.password", "password": "***", "device_id": "LAPTOP" },
    });
    assert_eq!(json, expected);
    let token = "api call registrationTokenValidity --dry-run token=@secret --server";
    let upload = "api call uploadContent --dry-run Content-Type=image/png filename=a.png \
                  --body-file picture --token-file secret --server";
    for (line, expected) in [
        (
            login,
            format!(
                "POST {server}/_matrix/client/v3/login \
                 {{\"device_id\":\"LAPTOP\",\"password\":\"***\",\"type\":\"m.login.password\"}}\n"
            ),
        ),
        (
            format!("{token} {server}"),
            format!(
                "GET {server}/_matrix/client/v1/register/m.login.registration_token/validity?token=***\n"
            ),
        ),
        (
            format!("{upload} {server}"),
            format!(
                "POST {server}/_matrix/media/v3/upload?filename=a.png File(\"picture\")\n\
                 Authorization: Bearer ***\nContent-Type: image/png\nthe body is picture\n"
            ),
        ),
    ] {
        let ended = home.run(&line).exit(0);
        assert_eq!(ended.stdout, expected);
        assert_eq!(ended.stderr, "nothing was sent\n");
    }
    listener.set_nonblocking(true).unwrap();
    listener.accept().expect_err("somebody connected");
    assert!(!home.matricula().exists(), "something was written");
}

#[test]
fn secrets_of_an_answer_are_masked_until_asked_for() {
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
fn a_token_goes_to_its_own_server_alone() {
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
fn what_a_server_does_not_serve_is_said() {
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
    let rows: [Row; 7] = [
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
            1,
            "status 502 and no Matrix error",
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

#[test]
fn authentication_that_is_asked_for_is_told() {
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
fn tricks_in_answers_and_errors_are_harmless() {
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
fn files_are_uploaded_and_downloaded_as_they_are() {
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
    let line = "api call getContentAuthed serverName=b.test mediaId=gone";
    home.run(&format!("{line} --output {}", file.display()))
        .exit(1);
    assert_eq!(fs::read(&file).unwrap(), [0, 255, 27]);
}

#[test]
fn what_an_operation_takes_is_shown() {
    let home = Home::new();
    let shown = home.run("api show setTyping").exit(0);
    let expected = "client/setTyping: PUT /_matrix/client/v3/rooms/{roomId}/typing/{userId}\n\
                    token: required, rate-limited\n\
                    \x20 roomId=TEXT                              path       needed\n\
                    \x20 userId=TEXT                              path       needed\n\
                    \x20 typing=true|false                        body       needed\n\
                    \x20 timeout=NUMBER                           body\n";
    assert_eq!(shown.stdout, expected);
    let next = "api call setTyping roomId=TEXT userId=TEXT typing=true|false\n";
    assert!(shown.stderr.ends_with(next), "{shown}");
    let json = home.run("api show login --json").exit(0).json();
    let password = json!({
        "name": "password",
        "place": "body",
        "shape": "text",
        "whole_body": false,
        "required": false,
        "secret": true,
    });
    assert!(
        json["parameters"].as_array().unwrap().contains(&password),
        "{json}"
    );
    assert_eq!(json["path"], "/_matrix/client/v3/login");
    home.run("api show nothing").exit(2);
}

#[test]
fn the_list_can_be_narrowed() {
    let json = Home::new().run("api list CREATEROOM --json").exit(0).json();
    let ids: Vec<&Value> = json["operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["id"])
        .collect();
    assert_eq!(ids, ["createRoom"]);
}

#[test]
fn the_examples_name_operations_that_there_are() {
    let home = Home::new();
    let help = home.run("api call --help").exit(0).stdout;
    let calls = help
        .lines()
        .filter_map(|line| line.split_once("matricula api call "));
    let ids: Vec<&str> = calls
        .filter_map(|(_, call)| call.split(' ').next())
        .collect();
    assert_eq!(ids.len(), 7, "{ids:?}");
    for id in ids.iter().filter(|id| !id.starts_with('[')) {
        home.run(&format!("api show {id}")).exit(0);
    }
}
