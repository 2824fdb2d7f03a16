//! `api call` and `api show`: any operation, its arguments by name.

use serde_json::{Value, json};

use crate::{
    command::{Ended, Home},
    server::{Reply, Request, Server, listen, matrix, object},
};

/// A home with an account on this server.
pub(crate) fn home_on(server: &Server) -> Home {
    let home = Home::new();
    home.run(&format!("register {}", server.url)).exit(0);
    home
}

/// Calls an operation with the account of a server that answers `path` in its own way.
pub(crate) fn call(
    path: &'static str,
    reply: fn(&Request) -> Reply,
    line: &str,
) -> (Server, Ended) {
    let server = Server::start(move |request| match request.path == path {
        true => reply(request),
        false => matrix(request),
    });
    let ended = home_on(&server).run(&format!("api call {line}"));
    (server, ended)
}

/// The last request that a server got.
pub(crate) fn last(server: &Server) -> Request {
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
fn missing_token_is_requested() {
    let home = Home::new();
    let ended = home.run("api call getTokenOwner").exit(4);
    assert!(
        ended
            .stderr
            .contains("no account is stored here yet\nnext: "),
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
fn named_fields_go_into_the_body() {
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
fn json_value_means_a_body_field() {
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
fn free_names_go_into_the_query() {
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
fn dry_run_only_prints_the_request() {
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
                "POST {server}/_matrix/media/v3/upload?filename=a.png (the file picture)\n\
                 Authorization: Bearer ***\nContent-Type: image/png\n"
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
fn help_examples_name_real_operations() {
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
