//! A signed-in account: calls, renewed tokens, signing out.

use matricula::{
    AccountStore, Error, Session, Store,
    api::client::whoami::WhoAmI,
    auth::{Account, AuthError, SessionError},
    core::{ServerUrl, WriteBatch},
    runner::{Runner, SystemClock},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    drive::Full,
    server::{Request, Server},
};

fn account(server: &ServerUrl) -> Account {
    serde_json::from_value(json!({
        "user_id": "@alice:example.org",
        "server": server,
        "device_id": "LAPTOP",
        "access_token": "old",
        "refresh_token": "renew-1",
        "expires_at": null,
    }))
    .unwrap()
}

fn session_at(server: &Server) -> Session {
    Session::new(account(&server.url), Runner::default())
}

/// Renews with this answer; knows everybody.
fn renewing(answer: Value) -> Server {
    Server::start(move |request| match request.path.as_str() {
        "/_matrix/client/v3/refresh" => (200, answer.clone()),
        "/_matrix/client/v3/account/whoami" => (200, json!({ "user_id": "@alice:example.org" })),
        path => panic!("{path}"),
    })
}

fn summary(request: &Request) -> (&str, Option<&str>, &Value) {
    (
        &request.path,
        request.token.as_deref(),
        &request.body["refresh_token"],
    )
}

#[tokio::test]
async fn renewed_tokens_are_stored_first() {
    let server = renewing(json!({
        "access_token": "new", "refresh_token": "renew-2", "expires_in_ms": 60_000
    }));
    let dir = TempDir::new().unwrap();
    let store = AccountStore::new(dir.path());
    let session = session_at(&server).store(store.clone());
    let before = SystemClock::now();
    session.refresh().await.unwrap();
    let stored = store.account(Some("@alice:example.org")).unwrap().unwrap();
    assert_eq!(stored, session.account());
    assert_eq!(stored.access_token, Some("new".into()));
    assert_eq!(stored.refresh_token, Some("renew-2".into()));
    let life = stored.expires_at.unwrap().since(before).as_secs();
    assert!((60..120).contains(&life), "{life}");
    session.call(WhoAmI::default()).await.unwrap();
    let requests = server.requests();
    let expected = [
        ("/_matrix/client/v3/refresh", None, &json!("renew-1")),
        (
            "/_matrix/client/v3/account/whoami",
            Some("new"),
            &Value::Null,
        ),
    ];
    assert_eq!(requests.iter().map(summary).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn unstored_tokens_are_not_used() {
    let server = renewing(json!({ "access_token": "new", "refresh_token": "renew-2" }));
    let session = session_at(&server).store(Full);
    let error = session.refresh().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Auth(AuthError::Session(SessionError::NotStored { .. }))
        ),
        "{error:?}"
    );
    session.call(WhoAmI::default()).await.unwrap();
    // The server keeps the old pair alive until the new one is used, so nothing is lost.
    assert_eq!(server.requests()[1].token.as_deref(), Some("old"));
}

#[tokio::test]
async fn unreplaced_refresh_token_stays() {
    let server = renewing(json!({ "access_token": "new" }));
    let session = session_at(&server);
    session.refresh().await.unwrap();
    assert_eq!(session.account().refresh_token, Some("renew-1".into()));
    assert_eq!(session.account().access_token, Some("new".into()));
    assert_eq!(session.account().expires_at, None);
}

#[tokio::test]
async fn server_error_keeps_the_session() {
    let server = Server::start(|_| (500, json!({ "errcode": "M_UNKNOWN", "error": "oh" })));
    let dir = TempDir::new().unwrap();
    let mut store = AccountStore::new(dir.path());
    let mut patch = WriteBatch::default();
    account(&server.url).write_to(&mut patch);
    store.commit(&patch).unwrap();
    let session = session_at(&server).store(store.clone());
    session.refresh().await.unwrap_err();
    assert_eq!(session.account(), account(&server.url));
    session.log_out().await.unwrap_err();
    assert_eq!(store.accounts().unwrap(), [account(&server.url)]);
}

#[tokio::test]
async fn without_a_session_nothing_is_sent() {
    let server = Server::start(|request| panic!("{request:?}"));
    let mut account = account(&server.url);
    account.end_session();
    let session = Session::new(account, Runner::default());
    let error = session.call(WhoAmI::default()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "@alice:example.org is not signed in; sign in first"
    );
    let error = session.refresh().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "@alice:example.org is not signed in; sign in first"
    );
    let error = session.log_out().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Auth(AuthError::Session(SessionError::NotSignedIn { .. }))
        ),
        "{error:?}"
    );
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn logout_keeps_account_without_tokens() {
    for answer in [
        (200, json!({})),
        (
            401,
            json!({ "errcode": "M_UNKNOWN_TOKEN", "error": "gone" }),
        ),
    ] {
        let server = Server::start(move |_| answer.clone());
        let dir = TempDir::new().unwrap();
        let store = AccountStore::new(dir.path());
        let session = session_at(&server).store(store.clone());
        let runner = session.runner().clone();
        let credential = session.account().credential();
        let account = session.log_out().await.unwrap();
        assert_eq!(store.accounts().unwrap(), std::slice::from_ref(&account));
        let tokens = [&account.access_token, &account.refresh_token];
        assert_eq!(tokens, [&None, &None]);
        assert_eq!((account.device_id, account.expires_at), (None, None));
        assert_eq!(
            runner
                .credentials()
                .token_for(&credential, server.url.as_str()),
            None
        );
        let request = &server.requests()[0];
        assert_eq!(
            (request.path.as_str(), request.token.as_deref()),
            ("/_matrix/client/v3/logout", Some("old"))
        );
    }
}
