//! What is done with an account after it was made, on real Synapse servers.

use matricula::{
    AccountStore, Error, NoStore, Session, Store,
    api::{
        ApiError, ErrorCode,
        client::{definitions::Medium, whoami::WhoAmI},
    },
    auth::{
        AddThreepid, Answer, AuthError, Deactivation, Discovery, Login, LoginError, PasswordChange,
        Prompt, ServerAddress, ServerError, ServerInfo, Threepid, ThreepidError,
    },
    core::{Secret, WriteBatch},
    drive, register,
    runner::Runner,
};
use tempfile::TempDir;

use crate::{
    live::{Synapse, unique},
    live_addresses::{follow_link, person, with_phone},
};

fn nobody(_: &Prompt) -> Answer {
    Answer::Unavailable
}

/// An account with a generated password, in a store.
async fn account(profile: &str) -> (Session, AccountStore, TempDir) {
    let dir = TempDir::new().unwrap();
    let store = AccountStore::new(dir.path());
    let server = Synapse::of(profile);
    let session = register(server.url())
        .username(unique())
        .store(store.clone())
        .await
        .unwrap();
    (session, store, dir)
}

async fn sign_in(session: &Session, password: Secret) -> Result<Session, Error> {
    let account = session.account();
    let address = ServerAddress::Url(account.server.clone());
    let runner = Runner::default();
    let mut discovery = Discovery::new(address);
    let facts: ServerInfo = drive(&mut discovery, &runner, &mut NoStore, &mut nobody).await?;
    let mut login = Login::new(&facts, account.user_id.as_str(), password);
    let account = drive(&mut login, &runner, &mut NoStore, &mut nobody).await?;
    Ok(Session::new(account, runner))
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn store_has_the_generated_password() {
    let (session, mut store, _dir) = account("open").await;
    let first = session.account().password.clone().unwrap();
    let mut change = PasswordChange::generated(&session.account());
    let made = session.run(&mut change, &mut store, &mut nobody).await;
    let made = made.unwrap().unwrap();
    let kept = || store.account(None).unwrap().unwrap().password;
    assert_eq!(kept(), Some(made.clone()));
    assert!(matches!(
        sign_in(&session, first).await,
        Err(Error::Auth(AuthError::Login(
            LoginError::WrongPassword { .. }
        )))
    ));
    let other = sign_in(&session, made.clone()).await.unwrap();

    // The other device is signed out with the next change, this one is not.
    let mut asked = 0;
    let mut person = |question: &Prompt| {
        asked += 1;
        match (asked, question) {
            (1, Prompt::CurrentPassword { .. }) => Answer::Text("wrong".into()),
            (2, Prompt::CurrentPassword { why: Some(_), .. }) => Answer::Text(made.clone()),
            other => panic!("{other:?}"),
        }
    };
    let mut bare = session.account();
    bare.password = None;
    let mut change = PasswordChange::new(&bare, "Given-1-by-a-person".into());
    let mut keeper = store.clone();
    let kept_by_us = session.run(&mut change, &mut keeper, &mut person).await;
    assert_eq!(kept_by_us.unwrap(), None);
    assert_eq!(store.account(None).unwrap().unwrap().password, None);
    session.call(WhoAmI::default()).await.unwrap();
    other.call(WhoAmI::default()).await.unwrap_err();
    sign_in(&session, "Given-1-by-a-person".into())
        .await
        .unwrap();
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn devices_are_renamed_and_removed() {
    let (session, _store, _dir) = account("open").await;
    let password = session.account().password.unwrap();
    let mut others = Vec::new();
    for _ in 0..3 {
        let other = sign_in(&session, password.clone()).await.unwrap();
        others.push(other.account().device_id.unwrap());
    }
    session
        .rename_device(&others[0], "old phone")
        .await
        .unwrap();
    let devices = session.devices().await.unwrap();
    let named = devices
        .iter()
        .find(|device| device.device_id == others[0])
        .unwrap();
    assert_eq!(named.display_name.as_deref(), Some("old phone"));
    let last = others.pop().unwrap();
    for ids in [vec![last.clone()], others, vec![last]] {
        session.delete_devices(ids, &mut nobody).await.unwrap();
    }
    assert_eq!(session.devices().await.unwrap().len(), 1);
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn deactivation_removes_the_account() {
    let (session, mut store, _dir) = account("open").await;
    let password = session.account().password.unwrap();
    let mut deactivation = Deactivation::new(&session.account()).erase(true);
    session
        .run(&mut deactivation, &mut store, &mut nobody)
        .await
        .unwrap();
    assert_eq!(store.accounts().unwrap(), []);
    sign_in(&session, password).await.unwrap_err();
    // A change that was on its way does not bring it back.
    store.commit(&WriteBatch::default()).unwrap();
    assert_eq!(store.accounts().unwrap(), []);
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn email_is_added_and_removed() {
    let (session, mut store, _dir) = account("email-optional").await;
    let server = Synapse::of("email-optional");
    let address = format!("{}@example.org", unique());
    let email = Threepid::Email(address.clone());
    // No person is there; then another process continues.
    let mut first = AddThreepid::new(&session.account(), email.clone());
    let left = session.run(&mut first, &mut store, &mut nobody).await;
    assert!(matches!(
        left,
        Err(Error::Auth(AuthError::Threepid(
            ThreepidError::AddressNotValidated { .. }
        )))
    ));
    follow_link(&server, &address);
    let pending = store.pending_address(&session.account().user_id, &email);
    let mut second =
        AddThreepid::new(&session.account(), email.clone()).resume(pending.unwrap().unwrap());
    session
        .run(&mut second, &mut store, &mut nobody)
        .await
        .unwrap();
    let listed = session.addresses().await.unwrap();
    assert_eq!(listed[0].address, address);
    session
        .remove_address(Medium::Email, &address)
        .await
        .unwrap();
    assert_eq!(session.addresses().await.unwrap(), []);
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn phone_number_is_added_by_code() {
    let server = Synapse::of("msisdn");
    let session = register(server.url())
        .options(with_phone())
        .prompts(person(&server))
        .await
        .unwrap();
    let phone = Threepid::Phone(with_phone().phone.unwrap());
    let mut addition = AddThreepid::new(&session.account(), phone);
    let mut asks = person(&server);
    session
        .run(&mut addition, &mut NoStore, &mut asks)
        .await
        .unwrap();
    assert_eq!(session.addresses().await.unwrap().len(), 2);
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn profile_is_set_and_removed() {
    let (session, _store, _dir) = account("open").await;
    session.set_display_name(Some("Alice")).await.unwrap();
    let picture = "mxc://example.org/abc".parse().unwrap();
    session.set_avatar(Some(&picture)).await.unwrap();
    let profile = session.profile().await.unwrap();
    assert_eq!(profile.displayname.as_deref(), Some("Alice"));
    assert_eq!(profile.avatar_url.as_deref(), Some(picture.as_str()));
    session.set_display_name(None).await.unwrap();
    session.set_avatar(None).await.unwrap();
    let profile = session.profile().await.unwrap();
    assert_ne!(profile.displayname.as_deref(), Some("Alice"));
    assert_eq!(profile.avatar_url.filter(|url| !url.is_empty()), None);
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn ended_session_is_not_deactivation() {
    let (session, mut store, _dir) = account("open").await;
    let mut deactivation = Deactivation::new(&session.account());
    let password = session.account().password.unwrap();
    let other = sign_in(&session, password).await.unwrap();
    let this = session.account().device_id.unwrap();
    let mut asks = |_: &Prompt| Answer::Text(session.account().password.unwrap());
    other.delete_devices(vec![this], &mut asks).await.unwrap();
    let failed = session
        .run(&mut deactivation, &mut store, &mut nobody)
        .await
        .unwrap_err();
    let error = match failed {
        Error::Auth(AuthError::Server(ServerError::Refused { error, .. })) => *error,
        Error::Api(ApiError::Matrix(error)) => error,
        other => panic!("{other}"),
    };
    assert_eq!(error.code, ErrorCode::UnknownToken);
    assert_eq!(store.accounts().unwrap().len(), 1);
}
