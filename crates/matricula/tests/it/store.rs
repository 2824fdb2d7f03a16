//! What the account store keeps, how, and what it does about a file that it cannot use.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
};

use matricula::{
    AccountStore, AccountStoreError, SessionStore, Store, StoreError, auth::Account,
    core::WriteBatch,
};
use serde_json::json;
use tempfile::TempDir;

/// A stored account, with a token that can be searched for.
pub(crate) fn account(user_id: &str) -> Account {
    serde_json::from_value(json!({
        "user_id": user_id,
        "server": "https://matrix.example.org",
        "device_id": "LAPTOP",
        "access_token": "syt_canary",
        "refresh_token": "syr_canary",
        "expires_at": null,
        "password": "wordpass-canary",
    }))
    .unwrap()
}

pub(crate) fn put(store: &mut AccountStore, user_id: &str) -> Result<(), StoreError> {
    let mut patch = WriteBatch::default();
    account(user_id).write_to(&mut patch);
    store.commit(&patch)
}

fn store() -> (TempDir, AccountStore) {
    let dir = TempDir::new().unwrap();
    let store = AccountStore::new(dir.path().join("matricula"));
    (dir, store)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn unwritten_store_is_empty() {
    let (dir, store) = store();
    assert_eq!(store.accounts().unwrap(), []);
    assert_eq!(store.account(None).unwrap(), None);
    assert_eq!(store.account(Some("@alice:example.org")).unwrap(), None);
    assert_eq!(store.registrations().unwrap(), []);
    assert_eq!(store.registration("abc").unwrap(), None);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn another_store_reads_the_accounts() {
    let (_dir, mut store) = store();
    put(&mut store, "@bob:example.org").unwrap();
    put(&mut store, "@alice:example.org").unwrap();
    let other = AccountStore::new(store.path().parent().unwrap());
    let (alice, bob) = (account("@alice:example.org"), account("@bob:example.org"));
    assert_eq!(other.accounts().unwrap(), [alice.clone(), bob.clone()]);
    assert_eq!(
        other.account(Some("@alice:example.org")).unwrap(),
        Some(alice)
    );
    assert_eq!(other.account(Some("@carol:example.org")).unwrap(), None);
    // The first one that was stored.
    assert_eq!(other.account(None).unwrap(), Some(bob));
}

#[test]
fn default_account_until_removed() {
    let (_dir, mut store) = store();
    put(&mut store, "@alice:example.org").unwrap();
    put(&mut store, "@bob:example.org").unwrap();
    let default = || {
        store
            .account(None)
            .unwrap()
            .map(|account| account.user_id.to_string())
    };
    store.set_default("@bob:example.org").unwrap();
    assert_eq!(default().as_deref(), Some("@bob:example.org"));
    store.forget("@bob:example.org").unwrap();
    assert_eq!(default().as_deref(), Some("@alice:example.org"));
    store.forget("@alice:example.org").unwrap();
    assert_eq!(default(), None);
    let text = fs::read_to_string(store.path()).unwrap();
    assert!(!text.contains("canary"), "{text}");
}

#[test]
fn only_the_owner_can_read_it() {
    let (dir, mut store) = store();
    put(&mut store, "@alice:example.org").unwrap();
    assert_eq!(mode(&dir.path().join("matricula")), 0o700);
    for entry in fs::read_dir(dir.path().join("matricula")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn leftover_file_is_replaced() {
    let (dir, mut store) = store();
    put(&mut store, "@alice:example.org").unwrap();
    let beside = dir.path().join("matricula/accounts.json.new");
    fs::write(&beside, r#"{"schema_version": 1, "tab"#).unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(store.accounts().unwrap().len(), 1);
    put(&mut store, "@bob:example.org").unwrap();
    assert_eq!(store.accounts().unwrap().len(), 2);
    assert_eq!(mode(&store.path()), 0o600);
    assert!(!beside.exists());
}

#[test]
fn planted_symlink_is_not_followed() {
    let (dir, mut store) = store();
    put(&mut store, "@alice:example.org").unwrap();
    let elsewhere = dir.path().join("elsewhere");
    fs::write(&elsewhere, "mine").unwrap();
    symlink(&elsewhere, dir.path().join("matricula/accounts.json.new")).unwrap();
    put(&mut store, "@bob:example.org").unwrap();
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "mine");
    assert_eq!(store.accounts().unwrap().len(), 2);
}

/// Changes the modes of directories below one that is safe: each pair is a path and its mode. Then
/// the store in `a/b/store` is written, or another one read.
fn with_modes(modes: &[(&str, u32)]) -> (TempDir, Result<(), StoreError>) {
    let dir = TempDir::new().unwrap();
    let store_dir = dir.path().join("a/b/store");
    put(&mut AccountStore::new(&store_dir), "@alice:example.org").unwrap();
    for (path, mode) in modes {
        fs::set_permissions(dir.path().join(path), fs::Permissions::from_mode(*mode)).unwrap();
    }
    let mut store = AccountStore::new(&store_dir);
    let read = store.accounts().map(drop).map_err(StoreError::from);
    let written = put(&mut store, "@bob:example.org");
    assert_eq!(read.is_ok(), written.is_ok(), "{read:?} {written:?}");
    (dir, read)
}

#[test]
fn directories_that_others_can_change_are_refused() {
    for (path, mode) in [
        ("a/b/store", 0o777),
        ("a/b/store", 0o722),
        ("a/b/store", 0o702),
        ("a/b/store", 0o770),
        ("a/b/store", 0o720),
        // Others could create files there.
        ("a/b/store", 0o1777),
        ("a/b", 0o777),
        ("a", 0o757),
        ("a/b/store/accounts.json", 0o666),
        ("a/b/store/accounts.json", 0o620),
    ] {
        let (dir, result) = with_modes(&[(path, mode)]);
        let error = result.unwrap_err().to_string();
        let wrong = dir.path().canonicalize().unwrap().join(path);
        assert!(
            error.contains(&format!(
                "{} can be written by other users",
                wrong.display()
            )),
            "{path} {mode:o}: {error}"
        );
        let help = match mode & 0o1000 {
            0 => "chmod ",
            _ => "make a directory in it",
        };
        assert!(error.contains(help), "{error}");
    }
}

#[test]
fn directories_of_one_user_are_accepted() {
    for modes in [
        &[][..],
        &[("a/b/store", 0o755), ("a/b/store/accounts.json", 0o644)],
        // Nothing of another user can be removed or renamed there.
        &[("a/b", 0o1777), ("a", 0o1777)],
        &[("a", 0o711), ("a/b", 0o700)],
    ] {
        let (_dir, result) = with_modes(modes);
        result.unwrap();
    }
}

#[test]
fn missing_directory_is_checked_above() {
    for (mode, is_safe) in [(0o755, true), (0o777, false), (0o1777, true)] {
        let dir = TempDir::new().unwrap();
        let shared = dir.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(mode)).unwrap();
        let mut store = AccountStore::new(shared.join("new/store"));
        // What is not there can be read.
        assert_eq!(store.accounts().unwrap(), []);
        let written = put(&mut store, "@alice:example.org");
        assert_eq!(written.is_ok(), is_safe, "{mode:o}: {written:?}");
        assert_eq!(shared.join("new").exists(), is_safe, "{mode:o}");
    }
}

#[test]
fn link_to_the_directory_is_followed_first() {
    let dir = TempDir::new().unwrap();
    let shared = dir.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    let link = dir.path().join("link");
    symlink(&shared, &link).unwrap();
    let error = put(&mut AccountStore::new(&link), "@alice:example.org").unwrap_err();
    assert!(
        error.to_string().contains("shared can be written"),
        "{error}"
    );
}

/// Every way to read and to write, with the error of each.
fn every_use(store: &mut AccountStore) -> Vec<StoreError> {
    let reading = [
        store.accounts().map(drop),
        store.account(None).map(drop),
        store.account(Some("@alice:example.org")).map(drop),
        store.registrations().map(drop),
        store.registration("abc").map(drop),
    ];
    let writing = [
        store.set_default("@alice:example.org"),
        store.forget("@alice:example.org"),
    ];
    let uses = reading.into_iter().chain(writing);
    uses.map(|used| used.map_err(StoreError::from))
        .chain([put(store, "@alice:example.org")])
        .map(|used| used.expect_err("it cannot be used"))
        .collect()
}

#[test]
fn foreign_file_is_refused_unchanged() {
    for (content, what) in [
        ("", "line 1, column 0"),
        (
            r#"{"schema_version": 1, "token": syt_canary"#,
            "line 1, column 32",
        ),
        (r#"["syt_canary"]"#, "line 1, column 13"),
        (r#"{"token": "syt_canary"}"#, "line 1, column 23"),
        (
            r#"{"schema_version": 1, "tables": {"accounts": "syt_canary"}}"#,
            "line 1, column 57",
        ),
        ("\u{0}\u{0}\u{0}\u{0}", "line 1, column 1"),
        (
            r#"{"schema_version": 3, "tables": {}, "syt_canary": 1}"#,
            "has format 3, ",
        ),
        (
            r#"{"schema_version": 3, "tables": "syt_canary"}"#,
            "has format 3, ",
        ),
        (r#"{"schema_version": 0}"#, "has format 0, "),
    ] {
        let (dir, mut store) = store();
        fs::create_dir(dir.path().join("matricula")).unwrap();
        fs::write(store.path(), content).unwrap();
        for error in every_use(&mut store) {
            let path = store.path().display().to_string();
            let message = match what.strip_prefix("has format ") {
                Some(format) => format!(
                    "{path} has format {format}and this program reads formats 1 and 2; it was not \
                     changed: use the version of the program that wrote it, or move it away to start \
                     with a new store"
                ),
                None => format!(
                    "{path} cannot be read ({what}); it was not changed: move it away to start with a \
                     new store"
                ),
            };
            assert_eq!(error.to_string(), message, "{content}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
        assert_eq!(fs::read_to_string(store.path()).unwrap(), content);
    }
}

#[test]
fn malformed_entry_is_refused_unrepeated() {
    let (dir, store) = store();
    fs::create_dir(dir.path().join("matricula")).unwrap();
    let tables = json!({
        "accounts": { "@alice:example.org": { "user_id": "syt_canary" } },
        "registrations": { "abc": { "id": "syt_canary" } },
    });
    let content = json!({ "schema_version": 1, "tables": tables }).to_string();
    fs::write(store.path(), &content).unwrap();
    for error in [
        store.accounts().map(drop).unwrap_err(),
        store.account(None).map(drop).unwrap_err(),
        store.registration("abc").map(drop).unwrap_err(),
    ] {
        let text = format!("{error} {error:?}");
        assert!(text.contains("an entry in it is not well-formed"), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }
    assert_eq!(fs::read_to_string(store.path()).unwrap(), content);
}

#[test]
fn batches_are_written_atomically() {
    let (_dir, mut store) = store();
    put(&mut store, "@alice:example.org").unwrap();
    let before = fs::read(store.path()).unwrap();
    let mut patch = WriteBatch::default();
    account("@bob:example.org").write_to(&mut patch);
    patch.put("accounts", "@carol:example.org", "no JSON: syt_canary");
    let error = store.commit(&patch).unwrap_err();
    assert!(
        !format!("{error} {error:?}").contains("canary"),
        "{error:?}"
    );
    assert_eq!(fs::read(store.path()).unwrap(), before);
}

#[test]
fn uncreatable_directory_is_named() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let path = dir.path().join("file/matricula");
    let error = put(&mut AccountStore::new(&path), "@alice:example.org").unwrap_err();
    let message = format!(
        "could not make {}: Not a directory (os error 20); check the permissions and the free space, \
         or name another directory",
        path.display()
    );
    assert_eq!(error.to_string(), message);
}

#[test]
fn failed_write_changes_nothing() {
    let (dir, mut store) = store();
    put(&mut store, "@alice:example.org").unwrap();
    let before = fs::read(store.path()).unwrap();
    // Where the new file would stand something stands that cannot be removed.
    fs::create_dir_all(dir.path().join("matricula/accounts.json.new/x")).unwrap();
    let error = put(&mut store, "@bob:example.org").unwrap_err();
    let message = format!("could not write {}: ", store.path().display());
    assert!(error.to_string().starts_with(&message), "{error}");
    assert_eq!(fs::read(store.path()).unwrap(), before);
}

#[test]
fn other_server_cannot_replace_account() {
    let (_dir, mut store) = store();
    put(&mut store, "@alice:example.org").unwrap();
    let before = fs::read(store.path()).unwrap();
    let mut other = account("@alice:example.org");
    other.server = "https://evil.example".parse().unwrap();
    let mut patch = WriteBatch::default();
    other.write_to(&mut patch);
    let error = store.commit(&patch).unwrap_err();
    assert!(
        matches!(
            error.source_as(),
            Some(AccountStoreError::OtherServer { .. })
        ),
        "{error}"
    );
    assert!(
        error.to_string().contains("https://matrix.example.org"),
        "{error}"
    );
    assert_eq!(
        fs::read(store.path()).unwrap(),
        before,
        "nothing was changed"
    );

    // With neither session nor password there is nothing to lose.
    let mut ended = account("@alice:example.org");
    ended.end_session();
    ended.password = None;
    let mut patch_ended = WriteBatch::default();
    ended.write_to(&mut patch_ended);
    store.commit(&patch_ended).unwrap();
    store.commit(&patch).unwrap();
    assert_eq!(store.account(None).unwrap(), Some(other));
}

#[test]
fn first_account_stays_the_default() {
    let (_dir, mut store) = store();
    assert_eq!(store.default_account().unwrap(), None);
    // Whatever is stored next, also where its user ID is in front of the others.
    for user_id in ["@m:example.org", "@z:example.org", "@a:example.org"] {
        put(&mut store, user_id).unwrap();
        let default = store.default_account().unwrap();
        assert_eq!(default.as_deref(), Some("@m:example.org"));
        assert_eq!(
            store.account(None).unwrap(),
            Some(account("@m:example.org"))
        );
    }
    store.set_default("@z:example.org").unwrap();
    put(&mut store, "@b:example.org").unwrap();
    let default = |store: &AccountStore| store.default_account().unwrap().unwrap();
    assert_eq!(default(&store), "@z:example.org");
    // Without it, it is another one, and stays that one.
    store.forget("@z:example.org").unwrap();
    assert_eq!(default(&store), "@a:example.org");
    let mut removal = WriteBatch::default();
    removal.remove("accounts", "@a:example.org");
    store.commit(&removal).unwrap();
    assert_eq!(default(&store), "@b:example.org");
    put(&mut store, "@a:example.org").unwrap();
    assert_eq!(default(&store), "@b:example.org");
    // If the default account is not stored, another account is the default.
    store.set_default("@nobody:example.org").unwrap();
    assert_eq!(default(&store), "@a:example.org");
}

#[test]
fn localpart_finds_accounts() {
    let (_dir, mut store) = store();
    for user_id in [
        "@bob:a.test",
        "@bob:b.test",
        "@zoe:a.test",
        "@Eve:a.test",
        "@eve:a.test",
        "@ann:xn--mnchen-3ya.test:8448",
    ] {
        put(&mut store, user_id).unwrap();
    }
    for (name, expected) in [
        ("zoe", &["@zoe:a.test"][..]),
        ("@zoe", &["@zoe:a.test"]),
        ("ZOE", &["@zoe:a.test"]),
        ("@zoe:a.test", &["@zoe:a.test"]),
        ("bob", &["@bob:a.test", "@bob:b.test"]),
        ("@bob:b.test", &["@bob:b.test"]),
        // As people type it.
        (" zoe ", &["@zoe:a.test"]),
        ("zoe:a.test", &["@zoe:a.test"]),
        ("Zoe:A.test", &["@zoe:a.test"]),
        ("@ann:münchen.test:8448", &["@ann:xn--mnchen-3ya.test:8448"]),
        (
            "ann:xn--mnchen-3ya.test:8448",
            &["@ann:xn--mnchen-3ya.test:8448"],
        ),
        ("eve:a.test", &["@eve:a.test"]),
        ("@Eve:a.test", &["@Eve:a.test"]),
        ("EVE:a.test", &["@Eve:a.test", "@eve:a.test"]),
        ("eve", &["@Eve:a.test", "@eve:a.test"]),
        ("@zoe:b.test", &[]),
        ("@zoe:a.test:443", &[]),
        ("zoe:", &[]),
        ("zo", &[]),
        ("", &[]),
        ("@", &[]),
        (" ", &[]),
        (":a.test", &[]),
    ] {
        let found = store.accounts_named(name).unwrap();
        let found: Vec<&str> = found.iter().map(|one| one.user_id.as_str()).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn private_homeserver_may_change_address() {
    let (_dir, mut store) = store();
    for port in [1, 2] {
        let mut private = account("@alice:private.localhost");
        private.server = format!("http://127.0.0.1:{port}").parse().unwrap();
        private.data = json!({ "homeserver": "/somewhere" });
        let mut patch = WriteBatch::default();
        private.write_to(&mut patch);
        store.commit(&patch).unwrap();
    }
}

#[test]
fn unreadable_registration_hides_no_other() {
    let (_dir, mut store) = store();
    let mut patch = WriteBatch::default();
    patch.put("registrations", "new", r#"{"from": "a later version"}"#);
    store.commit(&patch).unwrap();
    assert_eq!(store.registrations().unwrap(), []);
    assert!(store.registration("new").is_err());
}

#[test]
fn lock_is_per_account() {
    let (_dir, mut store) = store();
    let user = |text: &str| text.parse().unwrap();
    let (alice, bob) = (user("@alice:example.org"), user("@bob:example.org"));
    let turn = store.try_lock(&alice).unwrap();
    assert!(turn.is_some());
    assert!(store.try_lock(&alice).unwrap().is_none());
    drop(store.try_lock(&bob).unwrap().unwrap());
    drop(turn);
    drop(store.try_lock(&alice).unwrap().unwrap());
}
