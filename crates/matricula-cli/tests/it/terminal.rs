//! Off a terminal nothing is asked, nothing is coloured, and standard output is for data alone.

use crate::{
    command::Home,
    server::{Server, asks, matrix},
};

#[test]
fn messages_go_to_stderr() {
    let server = Server::start(matrix);
    for (name, value) in [
        ("NO_COLOR", "1"),
        ("NO_COLOR", ""),
        ("TERM", "xterm-256color"),
    ] {
        let home = Home::new();
        let line = home.command(&format!("register {}", server.url));
        let ended = line.env(name, value).run().exit(0);
        assert_eq!(ended.stdout, "registered @a:b.test on device LAPTOP\n");
        let store = home.matricula().join("accounts.json");
        let expected = format!(
            "secrets are stored in {0}, a file that only you can read: no keyring is available (this is no \
             desktop session: DBUS_SESSION_BUS_ADDRESS is not set)\n\
             route: m.login.dummy (the only way that the server offers: nothing more)\n\
             a password was generated and stored with the account in {0}; to see it: {1} account \
             password --show\n\
             next: {1} whoami\n",
            store.display(),
            env!("CARGO_BIN_EXE_matricula"),
        );
        assert_eq!(ended.stderr, expected);
    }
}

#[test]
fn forced_colours_stay_out_of_data() {
    let server = Server::start(matrix);
    let home = Home::new();
    for line in [
        format!("register {}", server.url),
        "whoami".into(),
        "api list".into(),
    ] {
        let ended = home.command(&line).env("CLICOLOR_FORCE", "1").run().exit(0);
        assert!(
            !ended.stdout.contains('\u{1b}') && !ended.stderr.contains('\u{1b}'),
            "{ended}"
        );
    }
}

#[test]
fn unanswered_prompt_names_next_command() {
    let server = Server::start(|request| match request.path.ends_with("/register") {
        true => asks(&["m.login.registration_token"]),
        false => matrix(request),
    });
    for options in ["", "--no-input"] {
        let home = Home::new();
        // Whatever stands on standard input is no answer to a question.
        let line = home.command(&format!("register {} {options}", server.url));
        let ended = line.stdin("letmein\nletmein\n").run().exit(6);
        assert_eq!(ended.stdout, "");
        let next = format!(
            "next: {} register --resume {} --token-file FILE\n",
            env!("CARGO_BIN_EXE_matricula"),
            home.registration()
        );
        assert!(ended.stderr.ends_with(&next), "{ended}");
    }
}

#[test]
fn next_command_names_the_home() {
    let server = Server::start(matrix);
    let home = Home::new();
    let elsewhere = home.root().join("else where");
    let line = home.command(&format!("register {} --home", server.url));
    let line = line.word(elsewhere.to_str().unwrap());
    let ended = line.without_env("MATRICULA_HOME").run().exit(0);
    let next = format!(
        "next: {} whoami --home '{}'\n",
        env!("CARGO_BIN_EXE_matricula"),
        elsewhere.display()
    );
    assert!(ended.stderr.ends_with(&next), "{ended}");
    assert!(elsewhere.join("accounts.json").exists());
}

#[test]
fn xdg_directories_are_the_default() {
    let server = Server::start(matrix);
    let home = Home::new();
    let line = home.command(&format!("register {}", server.url));
    line.without_env("MATRICULA_HOME").run().exit(0);
    assert!(
        home.root()
            .join(".local/share/matricula/accounts.json")
            .exists()
    );
    let (data, state) = (home.root().join("data"), home.root().join("state"));
    let line = home.command("register").without_env("MATRICULA_HOME");
    let line = line.env("XDG_DATA_HOME", data.to_str().unwrap());
    line.env("XDG_STATE_HOME", state.to_str().unwrap())
        .run()
        .exit(0);
    assert!(data.join("matricula/accounts.json").exists());
    assert!(state.join("matricula/homeserver/homeserver.db").exists());
}
