//! A home that other users of the machine can change is refused, before anything is made or sent.
#![cfg(unix)]

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use crate::{
    command::Home,
    server::{Server, matrix},
};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn nothing_is_made_in_a_shared_home() {
    let server = Server::start(matrix);
    for (dir, mode) in [
        ("shared", 0o777),
        ("shared", 0o775),
        ("shared", 0o757),
        ("shared", 0o1777),
        ("shared/new", 0o777),
        ("shared/new/er", 0o777),
    ] {
        let home = Home::new();
        let shared = home.files().join("shared");
        fs::create_dir(&shared).unwrap();
        set_mode(&shared, mode);
        for line in [
            "register --no-input".to_owned(),
            format!("register {}", server.url),
            format!("register {} --json", server.url),
        ] {
            let ended = home.run(&format!("{line} --home {dir}")).exit(1);
            assert!(
                ended
                    .stderr
                    .contains("shared can be written by other users"),
                "{mode:o} {ended}"
            );
            let left = fs::read_dir(&shared).unwrap().count();
            assert_eq!(left, 0, "{mode:o} {ended}");
        }
    }
    let requests = server.requests();
    assert!(
        requests.iter().all(|request| request.method == "GET"),
        "{requests:#?}"
    );
}

#[test]
fn stored_account_is_not_used_there() {
    let server = Server::start(matrix);
    let home = Home::new();
    home.run(&format!("register {}", server.url)).exit(0);
    let store = home.matricula();
    for (path, mode, safe) in [
        (store.clone(), 0o777, 0o700),
        (store.join("accounts.json"), 0o666, 0o600),
        (home.root(), 0o777, 0o755),
    ] {
        set_mode(&path, mode);
        for line in ["whoami", "accounts", "logout", "account show --json"] {
            let ended = home.run(line).exit(1);
            assert!(ended.stderr.contains("chmod "), "{ended}");
        }
        set_mode(&path, safe);
        home.run("whoami").exit(0);
    }
}

/// A link leads to where others can put another file.
#[test]
fn linked_account_file_is_checked_where_it_is() {
    let server = Server::start(matrix);
    let home = Home::new();
    home.run(&format!("register {}", server.url)).exit(0);
    let shared = home.files().join("shared");
    fs::create_dir(&shared).unwrap();
    let (here, there) = (
        home.matricula().join("accounts.json"),
        shared.join("a.json"),
    );
    fs::rename(&here, &there).unwrap();
    std::os::unix::fs::symlink(&there, &here).unwrap();
    home.run("whoami").exit(0);
    for (path, mode, safe) in [(&shared, 0o777, 0o700), (&there, 0o622, 0o600)] {
        set_mode(path, mode);
        let ended = home.run("whoami").exit(1);
        assert!(ended.stderr.contains("no place for secrets"), "{ended}");
        set_mode(path, safe);
        home.run("whoami").exit(0);
    }
}
