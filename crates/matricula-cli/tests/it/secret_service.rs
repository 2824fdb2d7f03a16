//! Secrets are sealed with a key in the system's keyring, where one answers.
//!
//! The keyring is GNOME's, on a session bus of its own, in a home of its own.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    command::{Ended, Home, Line},
    server::{Server, matrix},
};

const ADDRESS: &str = "DBUS_SESSION_BUS_ADDRESS";

/// A session bus with GNOME's keyring on it; both end when it is dropped.
struct Session {
    dir: TempDir,
    bus: Child,
    daemon: Option<Child>,
    address: String,
}

impl Session {
    fn start() -> Self {
        let dir = TempDir::new().unwrap();
        // Its own, on which nothing is started unasked.
        let config = dir.path().join("bus.conf");
        let socket = dir.path().join("bus");
        let text = format!(
            "<busconfig><type>session</type><listen>unix:path={}</listen><policy context=\"default\">\
             <allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/>\
             <allow own=\"*\"/></policy></busconfig>",
            socket.display()
        );
        fs::write(&config, text).unwrap();
        let mut bus = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", config.display()))
            .args(["--nofork", "--print-address=1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = String::new();
        let out = bus.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut address).unwrap();
        let mut session = Self {
            dir,
            bus,
            daemon: None,
            address: address.trim().to_owned(),
        };
        session.unlock("keyring-wordpass");
        session
    }

    /// Starts the keyring, unlocked with this password.
    fn unlock(&mut self, password: &str) {
        self.daemon(&["--unlock"], password);
    }

    fn daemon(&mut self, options: &[&str], stdin: &str) {
        self.stop_daemon();
        let mut daemon = Command::new("gnome-keyring-daemon")
            .args(["--foreground", "--components=secrets"])
            .args(options)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", self.dir.path())
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .env("XDG_DATA_HOME", self.dir.path().join("data"))
            .env(ADDRESS, &self.address)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = daemon.stdin.take().unwrap();
        input.write_all(stdin.as_bytes()).unwrap();
        drop(input);
        self.daemon = Some(daemon);
        self.wait_for_keyring();
    }

    /// Waits until the keyring answers on the bus.
    fn wait_for_keyring(&self) {
        let start = Instant::now();
        loop {
            let asked = Command::new("dbus-send")
                .env(ADDRESS, &self.address)
                .args([
                    "--session",
                    "--print-reply",
                    "--dest=org.freedesktop.secrets",
                ])
                .args(["/org/freedesktop/secrets", "org.freedesktop.DBus.Peer.Ping"])
                .output()
                .unwrap();
            if asked.status.success() {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "{asked:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn stop_daemon(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        }
    }

    fn command(&self, home: &Home, line: &str) -> Line {
        home.command(line).env(ADDRESS, &self.address)
    }

    fn run(&self, home: &Home, line: &str) -> Ended {
        self.command(home, line).run()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop_daemon();
        let _ = self.bus.kill();
        let _ = self.bus.wait();
    }
}

fn file(home: &Home) -> String {
    fs::read_to_string(home.matricula().join("accounts.json")).unwrap()
}

#[track_caller]
fn assert_sealed(home: &Home) {
    let text = file(home);
    for word in [
        "syt_token",
        "@a:b.test",
        "LAPTOP",
        "access_token",
        "password",
    ] {
        assert!(!text.contains(word), "{word} in {text}");
    }
    assert_eq!(home.store()["schema_version"], 2);
}

fn is_sealed(ended: &Ended) -> Value {
    ended.json()["sealed"].clone()
}

#[test]
#[ignore = "needs GNOME's keyring: cargo xtask test"]
fn encrypted_account_from_start_to_end() {
    let session = Session::start();
    let (home, server) = (Home::new(), Server::start(matrix));
    let registered = session
        .run(&home, &format!("register {}", server.url))
        .exit(0);
    assert!(
        !registered.stderr.contains("only you can read"),
        "{registered}"
    );
    assert_sealed(&home);
    session.run(&home, "whoami").exit(0);
    let accounts = session.run(&home, "accounts --json").exit(0).json();
    assert_eq!(accounts["accounts"][0]["user_id"], "@a:b.test");
    assert_eq!(
        is_sealed(&session.run(&home, "keyring status --json").exit(0)),
        true
    );
    session.run(&home, "logout").exit(0);
    assert_sealed(&home);
}

#[test]
#[ignore = "needs GNOME's keyring: cargo xtask test"]
fn encrypted_store_needs_its_keyring() {
    let mut session = Session::start();
    let (home, server) = (Home::new(), Server::start(matrix));
    session
        .run(&home, &format!("register {}", server.url))
        .exit(0);
    let before = file(&home);

    let no_bus = home.run("whoami").exit(1);
    assert!(
        no_bus
            .stderr
            .contains("DBUS_SESSION_BUS_ADDRESS is not set"),
        "{no_bus}"
    );
    let off = session.run(&home, "whoami --keyring off").exit(1);
    assert!(
        off.stderr.contains("switched off by --keyring off"),
        "{off}"
    );
    let off = session
        .command(&home, "logout --all")
        .env("MATRICULA_KEYRING", "off");
    off.run().exit(1);
    session.stop_daemon();
    let gone = session.run(&home, "whoami").exit(1);
    assert!(gone.stderr.contains("no Secret Service runs"), "{gone}");
    // Without its password the keyring is locked.
    session.daemon(&[], "");
    let locked = session.run(&home, "whoami").exit(1);
    assert!(
        locked.stderr.contains("the keyring is locked; unlock it"),
        "{locked}"
    );
    assert_eq!(file(&home), before);

    session.unlock("keyring-wordpass");
    session.run(&home, "whoami").exit(0);

    session.stop_daemon();
    fs::remove_dir_all(session.dir.path().join("data")).unwrap();
    session.unlock("keyring-wordpass");
    let lost = session.run(&home, "whoami").exit(1);
    assert!(lost.stderr.contains("does not have the key"), "{lost}");
    assert_eq!(file(&home), before);
}

#[test]
#[ignore = "needs GNOME's keyring: cargo xtask test"]
fn encryption_on_and_off_keeps_content() {
    let session = Session::start();
    let (home, server) = (Home::new(), Server::start(matrix));
    home.run(&format!("register {}", server.url)).exit(0);
    let plain = file(&home);
    assert_eq!(
        is_sealed(&session.run(&home, "whoami --json").exit(0)),
        Value::Null
    );
    assert_eq!(file(&home), plain, "it stays as it is unless told");
    assert_eq!(
        is_sealed(&session.run(&home, "keyring on --json").exit(0)),
        true
    );
    assert_sealed(&home);
    session.run(&home, "whoami").exit(0);
    assert_eq!(
        is_sealed(&session.run(&home, "keyring off --json").exit(0)),
        false
    );
    assert_eq!(file(&home), plain);
    home.run("whoami").exit(0);
    let refused = home.run("keyring on").exit(1);
    assert!(
        refused.stderr.contains("no keyring is available"),
        "{refused}"
    );
    assert_eq!(file(&home), plain);
}

/// `kill -9` at another moment each time, while a store moves in and out.
#[test]
#[ignore = "needs GNOME's keyring: cargo xtask test"]
fn killed_encryption_leaves_readable_store() {
    let session = Session::start();
    let (home, server) = (Home::new(), Server::start(matrix));
    session
        .run(&home, &format!("register {}", server.url))
        .exit(0);
    for round in 0..30 {
        let line = if round % 2 == 0 {
            "keyring off"
        } else {
            "keyring on"
        };
        let running = session.command(&home, line).start();
        thread::sleep(Duration::from_millis(round));
        running.kill();
        let accounts = session.run(&home, "accounts --json").exit(0).json();
        assert_eq!(accounts["accounts"][0]["signed_in"], true, "round {round}");
    }
    session.run(&home, "whoami").exit(0);
}
