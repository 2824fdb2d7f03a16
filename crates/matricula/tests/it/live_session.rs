//! Staying signed in on a real Synapse: expiring tokens, lost answers, soft logout, locked and suspended
//! accounts.

use std::time::Duration;

use matricula::{
    AccountStore, Error, NoStore, Session,
    api::{
        Endpoint,
        client::{create_room::CreateRoom, refresh::Refresh, whoami::WhoAmI},
    },
    auth::{Answer, AuthError, Login, Prompt, RegistrationOptions, ServerInfo, SessionError},
    core::{Body, Job, Method, Secret},
    drive, register,
    runner::Runner,
    send,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::live::{Synapse, unique};

/// Longer than tokens live that are not to live long.
const TOKEN_LIFE: Duration = Duration::from_millis(5_200);

fn nobody(_: &Prompt) -> Answer {
    Answer::Unavailable
}

/// A session with a refresh token, and its store.
async fn refreshable(server: &Synapse) -> (TempDir, AccountStore, Session) {
    let dir = TempDir::new().unwrap();
    let store = AccountStore::new(dir.path());
    let wishes = RegistrationOptions {
        device: matricula::auth::DeviceOptions::new().refresh_token(true),
        ..RegistrationOptions::default()
    };
    let session = register(server.url()).options(wishes).store(store.clone());
    let session = session.await.unwrap();
    (dir, store, session)
}

async fn as_admin(server: &Synapse, path: String, body: Value) {
    let token = Secret::from(server.told("/admin/access_token"));
    let job = Job::new(&server.url().parse().unwrap(), &path, Method::Put, "admin")
        .with_token(token)
        .with_body(Body::Json(body.to_string()));
    let answer = send(&Runner::default(), job).await.unwrap();
    assert!(answer.success(), "{:?}", answer.json_body());
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn shared_sessions_survive_token_expiry() {
    let server = Synapse::of("refresh");
    let (_dir, store, session) = refreshable(&server).await;
    let other = Session::from_store(store.clone(), None).unwrap();
    let first = session.account();
    for _ in 0..2 {
        tokio::time::sleep(TOKEN_LIFE).await;
        for session in [&session, &other, &other, &session] {
            let me = session.call(WhoAmI::default()).await.unwrap();
            assert_eq!(me.device_id, first.device_id);
        }
        assert_eq!(store.account(None).unwrap(), Some(session.account()));
    }
    assert_ne!(session.account().access_token, first.access_token);
    assert_eq!(session.account().access_token, other.account().access_token);
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn lost_responses_are_requested_again() {
    let server = Synapse::of("refresh");
    let (_dir, store, session) = refreshable(&server).await;
    let account = session.account();
    let lost = || Refresh::new(account.refresh_token.clone().unwrap()).job(&account.server);
    send(session.runner(), lost()).await.unwrap();
    session.refresh().await.unwrap();
    session.call(WhoAmI::default()).await.unwrap();
    // One that arrives late replaces a pair that is stored and was not used yet.
    session.refresh().await.unwrap();
    let before = session.account();
    let late = before.previous_refresh_token.clone().unwrap();
    let late = Refresh::new(late).job(&before.server);
    send(session.runner(), late).await.unwrap();
    session.call(WhoAmI::default()).await.unwrap();
    assert_ne!(session.account().access_token, before.access_token);
    assert_eq!(store.account(None).unwrap(), Some(session.account()));
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn soft_logout_continues_the_device() {
    let server = Synapse::of("shortlived");
    let session = register(server.url()).username(unique()).await.unwrap();
    let before = session.account();
    tokio::time::sleep(TOKEN_LIFE).await;
    let error = session.call(WhoAmI::default()).await.unwrap_err();
    let Error::Auth(AuthError::Session(SessionError::SoftLogout { device_id, .. })) = error else {
        panic!("{error:?}")
    };
    assert_eq!(device_id, before.device_id);
    let facts = ServerInfo::of(before.server.clone());
    let password = before.password.clone().unwrap();
    let mut login = Login::new(&facts, before.user_id.to_string(), password)
        .device(matricula::auth::DeviceOptions::new().device_id(device_id.unwrap()));
    let account = drive(&mut login, session.runner(), &mut NoStore, &mut nobody).await;
    let session = Session::new(account.unwrap(), Runner::default());
    let me = session.call(WhoAmI::default()).await.unwrap();
    assert_eq!(me.device_id, before.device_id);
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn a_locked_account_keeps_its_session() {
    let server = Synapse::of("open");
    let session = register(server.url()).username(unique()).await.unwrap();
    let before = session.account();
    let user = format!("/_synapse/admin/v2/users/{}", before.user_id);
    as_admin(&server, user.clone(), json!({ "locked": true })).await;
    for _ in 0..2 {
        let error = session.call(WhoAmI::default()).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Auth(AuthError::Session(SessionError::UserLocked { .. }))
            ),
            "{error:?}"
        );
    }
    assert_eq!(session.account(), before);
    as_admin(&server, user, json!({ "locked": false })).await;
    // What a restarted program would do.
    let session = Session::new(before, Runner::default());
    session.call(WhoAmI::default()).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn suspended_account_can_only_read() {
    let server = Synapse::of("open");
    let session = register(server.url()).username(unique()).await.unwrap();
    let user_id = session.account().user_id;
    let path = format!("/_synapse/admin/v1/suspend/{user_id}");
    as_admin(&server, path, json!({ "suspend": true })).await;
    session.call(WhoAmI::default()).await.unwrap();
    let error = session.call(CreateRoom::default()).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Auth(AuthError::Session(SessionError::UserSuspended { .. }))
        ),
        "{error:?}"
    );
}
