//! What the account store keeps of changes of an account that are not over.

use matricula::{
    AccountStore, Store,
    auth::{Threepid, tables},
    core::WriteBatch,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::store::{account, put};

const ALICE: &str = "@alice:example.org";

fn store() -> (TempDir, AccountStore) {
    let dir = TempDir::new().unwrap();
    let mut store = AccountStore::new(dir.path());
    put(&mut store, ALICE).unwrap();
    put(&mut store, "@bob:example.org").unwrap();
    (dir, store)
}

fn change(store: &mut AccountStore, password: &Value, is_set: bool) {
    let json = json!({ "password": password, "is_set": is_set });
    let mut patch = WriteBatch::default();
    patch.put(
        tables::PASSWORD_CHANGES,
        ALICE,
        json.to_string().into_bytes(),
    );
    store.commit(&patch).unwrap();
}

fn password(store: &AccountStore, user_id: &str) -> Option<String> {
    let account = store.account(Some(user_id)).unwrap().unwrap();
    account
        .password
        .map(|password| password.expose().to_owned())
}

#[test]
fn certain_password_replaces_old_one() {
    let (_dir, mut store) = store();
    let user_id = account(ALICE).user_id;
    change(&mut store, &json!("new-canary"), false);
    let pending = store.pending_password(&user_id).unwrap().unwrap();
    assert_eq!(pending.password, Some("new-canary".into()));
    assert_eq!(password(&store, ALICE).as_deref(), Some("wordpass-canary"));

    // Meanwhile another process renews the token: nothing of that is undone.
    let mut renewed = account(ALICE);
    renewed.access_token = Some("syt_renewed".into());
    let mut patch = WriteBatch::default();
    renewed.write_to(&mut patch);
    store.commit(&patch).unwrap();

    change(&mut store, &json!("new-canary"), true);
    assert_eq!(password(&store, ALICE).as_deref(), Some("new-canary"));
    assert_eq!(store.pending_password(&user_id).unwrap(), None);
    let kept = store.account(Some(ALICE)).unwrap().unwrap();
    assert_eq!(kept.access_token, renewed.access_token);
    let bob = password(&store, "@bob:example.org");
    assert_eq!(bob.as_deref(), Some("wordpass-canary"));
}

#[test]
fn given_password_removes_stored_one() {
    let (_dir, mut store) = store();
    change(&mut store, &json!(null), true);
    assert_eq!(password(&store, ALICE), None);
    let file = std::fs::read_to_string(store.path()).unwrap();
    assert_eq!(
        file.matches("wordpass-canary").count(),
        1,
        "of the other account"
    );
}

#[test]
fn unknown_account_change_leaves_nothing() {
    let dir = TempDir::new().unwrap();
    let mut store = AccountStore::new(dir.path());
    change(&mut store, &json!("new-canary"), true);
    let file = std::fs::read_to_string(store.path()).unwrap();
    assert!(!file.contains("canary"), "{file}");
}

#[test]
fn removed_account_is_not_default() {
    let (_dir, mut store) = store();
    store.set_default(ALICE).unwrap();
    let mut patch = WriteBatch::default();
    patch.remove(tables::ACCOUNTS, ALICE);
    store.commit(&patch).unwrap();
    let left = store.account(None).unwrap().unwrap();
    assert_eq!(left.user_id.as_str(), "@bob:example.org");
}

#[test]
fn pending_address_is_found_by_key() {
    let (_dir, mut store) = store();
    let user_id = account(ALICE).user_id;
    let address = |text: &str| Threepid::Email(text.into());
    let json = json!({
        "user_id": ALICE, "address": { "Email": "a@example.org" },
        "validation": {
            "stage": "m.login.email.identity", "address": "a@example.org",
            "client_secret": "s", "attempt": 1, "sid": null, "submit_url": null,
        },
    });
    let mut patch = WriteBatch::default();
    let key = "@alice:example.org a@example.org";
    patch.put(
        tables::THREEPID_ADDITIONS,
        key,
        json.to_string().into_bytes(),
    );
    store.commit(&patch).unwrap();
    let found = |text: &str| store.pending_address(&user_id, &address(text)).unwrap();
    assert!(found("a@example.org").is_some());
    assert!(found("b@example.org").is_none());
}
