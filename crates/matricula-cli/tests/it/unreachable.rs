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
