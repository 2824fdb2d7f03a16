//! Hosts that do not answer: exit code 3, within the time that was given.

use std::time::Duration;

use crate::{
    command::{Ended, Home},
    server::{Server, listen, matrix, nobody},
};

#[track_caller]
fn unreachable(ended: Ended, reason: &str) {
    let ended = ended.exit(3);
    let json = ended.json();
    assert_eq!(json["exit_code"], 3);
    assert_eq!(json["error"]["kind"], "network");
    let message = json["error"]["message"].as_str().unwrap();
    assert!(message.contains(reason), "{message}");
    assert!(
        message.ends_with("; check the address and the network, and try again"),
        "{message}"
    );
    // Four attempts with waits of at most 0.5, 1 and 2 seconds.
    assert!(ended.took < Duration::from_secs(10), "{:?}", ended.took);
}

#[test]
fn a_port_that_refuses() {
    let server = nobody();
    let ended = Home::new().run(&format!("register {server} --json"));
    assert!(ended.stderr.contains("Connection refused"), "{ended}");
    assert!(ended.stderr.contains(": trying again in "), "{ended}");
    unreachable(
        ended,
        &format!("{server} cannot be reached (no connection: "),
    );
}

#[test]
fn a_host_that_never_answers() {
    let (_listener, server) = listen();
    let ended = Home::new().run(&format!("discover {server} --json --timeout 0.5"));
    unreachable(ended, "timeout: ");
}

#[test]
fn server_is_gone_when_needed() {
    let home = Home::new();
    let server = Server::start(matrix);
    home.run(&format!("register {}", server.url)).exit(0);
    let text = std::fs::read_to_string(home.matricula().join("accounts.json")).unwrap();
    let text = text.replace(&server.url, &nobody());
    std::fs::write(home.matricula().join("accounts.json"), text).unwrap();
    let ended = home.run("whoami --json").exit(3);
    let message = ended.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        message.ends_with("; check the network, and try again"),
        "{message}"
    );
}

/// The server is not blamed for its proxy.
#[test]
fn dead_proxy_is_named() {
    let proxy = nobody();
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let home = Home::new();
        let line = home.command("register matrix.test --json");
        let ended = line.env(variable, &proxy).run().exit(3);
        let message = ended.json()["error"]["message"].clone();
        let message = message.as_str().unwrap();
        let start = format!("no connection: the proxy {proxy} of {variable}: ");
        assert!(message.starts_with(&start), "{message}");
        assert!(
            message.ends_with("; check the proxy and the network, and try again"),
            "{message}"
        );
        assert!(!message.contains("matrix.test"), "{message}");
    }
}

#[test]
fn unusable_proxy_is_named() {
    for address in [
        "http://[bad",
        "http://",
        "ftp://h:1",
        "socks5://127.0.0.1:1",
    ] {
        let home = Home::new();
        let line = home.command("register matrix.test --json");
        let ended = line.env("ALL_PROXY", address).run().exit(1);
        let message = ended.json()["error"]["message"].clone();
        let message = message.as_str().unwrap();
        assert!(
            message
                .starts_with("nothing was sent to https://matrix.test: the proxy in ALL_PROXY is "),
            "{message}"
        );
    }
}
