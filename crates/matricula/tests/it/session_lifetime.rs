//! Staying signed in: many calls at once, many processes at once, over tokens that expire.

use std::{
    env,
    process::{Child, Command, Stdio},
    time::Duration,
};

use matricula::{
    AccountStore, Error, Session, SessionStore, Store,
    api::client::whoami::WhoAmI,
    auth::{Account, AuthError, RegistrationOptions, SessionError},
    core::{ServerUrl, WriteBatch},
    register,
    runner::Runner,
};
use matricula_homeserver::{Config, Server as Homeserver, ServerOptions};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::server::{Request, Server};

const USER: &str = "MATRICULA_TEST_STAYING";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";
/// How long tokens of the homeserver live here: long enough for a slow machine to use one.
const LIFETIME: Duration = Duration::from_secs(2);
const REFRESH: &str = "/_matrix/client/v3/refresh";

fn account(server: &ServerUrl) -> Account {
    serde_json::from_value(json!({
        "user_id": "@alice:example.org", "server": server, "device_id": "LAPTOP",
        "access_token": "old", "refresh_token": "renew-1", "expires_at": null,
    }))
    .unwrap()
}

/// A store with this account in it.
fn store(account: &Account) -> (TempDir, AccountStore) {
    let dir = TempDir::new().unwrap();
    let mut store = AccountStore::new(dir.path());
    let mut patch = WriteBatch::default();
    account.write_to(&mut patch);
    store.commit(&patch).unwrap();
    (dir, store)
}

/// Takes the new token alone, once it was renewed.
fn rotating() -> Server {
    Server::start(|request| match (&*request.path, request.token.as_deref()) {
        (WHOAMI, Some("new")) => (200, json!({ "user_id": "@alice:example.org" })),
        (WHOAMI, _) => (
            401,
            json!({ "errcode": "M_UNKNOWN_TOKEN", "error": "expired", "soft_logout": true }),
        ),
        (REFRESH, None) if request.body["refresh_token"] == "renew-1" => (
            200,
            json!({ "access_token": "new", "refresh_token": "renew-2" }),
        ),
        other => panic!("{other:?}"),
    })
}

fn count(requests: &[Request], path: &str) -> usize {
    requests.iter().filter(|one| one.path == path).count()
}

#[test]
fn session_is_shared_among_threads() {
    fn is_shared<T: Clone + Send + Sync + 'static>() {}
    is_shared::<Session>();
}

#[tokio::test]
async fn concurrent_calls_renew_once() {
    let server = rotating();
    let (_dir, store) = store(&account(&server.url));
    let mut calls = JoinSet::new();
    for _ in 0..3 {
        // As three processes would open it.
        let session = Session::from_store(store.clone(), None).unwrap();
        for _ in 0..8 {
            let session = session.clone();
            calls.spawn(async move { session.call(WhoAmI::default()).await });
        }
    }
    let answers = calls.join_all().await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(count(&server.requests(), REFRESH), 1);
    let kept = store.account(None).unwrap().unwrap();
    assert_eq!(kept.refresh_token, Some("renew-2".into()));
}

#[tokio::test]
async fn renewal_waits_for_the_lock() {
    let server = rotating();
    let (_dir, mut store) = store(&account(&server.url));
    let session = Session::from_store(store.clone(), None).unwrap();
    let turn = store.try_lock(&session.account().user_id).unwrap();
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.refresh().await }
    });
    // On one thread: were it blocked, this would never come back.
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!waiting.is_finished());
    // The other process has renewed it.
    let mut renewed = account(&server.url);
    renewed.access_token = Some("new".into());
    let mut patch = WriteBatch::default();
    renewed.write_to(&mut patch);
    store.clone().commit(&patch).unwrap();
    drop(turn);
    waiting.await.unwrap().unwrap();
    assert_eq!(session.account().access_token, Some("new".into()));
    assert_eq!(server.requests().len(), 0, "there was nothing to ask for");
}

#[tokio::test]
async fn renewal_survives_a_dropped_call() {
    let server = rotating();
    let (_dir, mut store) = store(&account(&server.url));
    let session = Session::from_store(store.clone(), None).unwrap();
    let turn = store.try_lock(&session.account().user_id).unwrap();
    let call = session.call(WhoAmI::default());
    let given_up = tokio::time::timeout(Duration::from_millis(200), call).await;
    assert!(given_up.is_err());
    drop(turn);
    let new = Some("new".into());
    while session.account().access_token != new {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(store.account(None).unwrap().unwrap().access_token, new);
}

#[tokio::test]
async fn soft_logout_keeps_the_device() {
    let server = Server::start(|_| {
        (
            401,
            json!({ "errcode": "M_UNKNOWN_TOKEN", "error": "gone", "soft_logout": true }),
        )
    });
    let mut account = account(&server.url);
    account.refresh_token = None;
    let (_dir, store) = store(&account);
    let session = Session::from_store(store.clone(), None).unwrap();
    let error = session.call(WhoAmI::default()).await.unwrap_err();
    let Error::Auth(AuthError::Session(SessionError::SoftLogout { device_id, .. })) = error else {
        panic!("{error:?}")
    };
    assert_eq!(device_id.as_deref(), Some("LAPTOP"));
    let kept = store.account(None).unwrap().unwrap();
    assert_eq!(kept.device_id.as_deref(), Some("LAPTOP"));
    assert_eq!(kept.access_token, None);
    let error = session.call(WhoAmI::default()).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Auth(AuthError::Session(SessionError::NotSignedIn { .. }))
        ),
        "{error:?}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn missing_account_names_the_file() {
    let dir = TempDir::new().unwrap();
    let store = AccountStore::new(dir.path());
    let error = Session::from_store(store.clone(), Some("@bot:example.org")).unwrap_err();
    let path = store.path().display().to_string();
    assert_eq!(
        error.to_string(),
        format!("no account @bot:example.org is stored in {path}; register or log in first")
    );
}

/// An account on a homeserver whose tokens live this long.
async fn short_lived(lifetime: Duration, store: &AccountStore) -> (Homeserver, String) {
    let config = Config::default().access_token_lifetime(lifetime);
    let homeserver = Homeserver::start(ServerOptions::new(config)).await.unwrap();
    let wishes = RegistrationOptions {
        device: matricula::auth::DeviceOptions::new().refresh_token(true),
        ..RegistrationOptions::default()
    };
    let session = register(homeserver.url().as_str())
        .options(wishes)
        .store(store.clone())
        .await
        .unwrap();
    let user_id = session.account().user_id.to_string();
    (homeserver, user_id)
}

/// Calls until that many tokens have been seen, again and again from several clones.
async fn call_over_tokens(session: Session, tokens: usize) {
    let mut seen = vec![session.account().access_token];
    while seen.len() < tokens {
        let calls: JoinSet<_> = (0..4)
            .map(|_| {
                let session = session.clone();
                async move { session.call(WhoAmI::default()).await }
            })
            .collect();
        for answer in calls.join_all().await {
            answer.unwrap();
        }
        let token = session.account().access_token;
        if !seen.contains(&token) {
            seen.push(token);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_share_renewed_tokens() {
    let dir = TempDir::new().unwrap();
    let store = AccountStore::new(dir.path());
    let (_homeserver, user_id) = short_lived(LIFETIME, &store).await;
    let mut sessions = JoinSet::new();
    for _ in 0..3 {
        let session = Session::from_store(store.clone(), Some(&user_id)).unwrap();
        sessions.spawn(call_over_tokens(session, 3));
    }
    sessions.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_opens_the_account() {
    if let Ok(user_id) = env::var(USER) {
        return call_over_tokens(Session::from_account(&user_id).unwrap(), 2).await;
    }
    let dir = TempDir::new().unwrap();
    let store = AccountStore::new(dir.path());
    let (_homeserver, user_id) = short_lived(LIFETIME, &store).await;
    let before = store.account(None).unwrap();
    let mut child = spawn(&dir, &user_id);
    let ended = tokio::task::block_in_place(|| child.wait()).unwrap();
    assert!(ended.success());
    assert_ne!(store.account(None).unwrap(), before);
}

fn spawn(dir: &TempDir, user_id: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([
            "session_lifetime::another_process_opens_the_account",
            "--exact",
        ])
        .env("MATRICULA_HOME", dir.path())
        .env(USER, user_id)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_process_frees_its_lock() {
    let dir = TempDir::new().unwrap();
    let store = AccountStore::new(dir.path());
    let (_homeserver, user_id) = short_lived(LIFETIME, &store).await;
    let mut killed = spawn(&dir, &user_id);
    let mut children = [(); 2].map(|()| spawn(&dir, &user_id));
    tokio::time::sleep(Duration::from_millis(700)).await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    for child in &mut children {
        let ended = tokio::task::block_in_place(|| child.wait()).unwrap();
        assert!(ended.success());
    }
    let kept = store.account(Some(&user_id)).unwrap().unwrap();
    let session = Session::new(kept, Runner::default()).store(store);
    session.call(WhoAmI::default()).await.unwrap();
}
