//! Logging in with the builder, and opening an account that is stored.

use matricula::{
    AccountStore, Answer, AuthError, Error, Prompt, RegistrationOptions, ServerInfo, Session,
    SessionStore, Store, StoreError,
    api::client::whoami::WhoAmI,
    auth::{LoginError, UiaError, tables},
    core::WriteBatch,
    login, register, resume,
};
use matricula_homeserver::{Config, RegistrationToken, Server as Homeserver, ServerOptions};
use serde_json::json;
use tempfile::TempDir;

use crate::server::Server;

const PASSWORD: &str = "correct horse battery staple";

async fn homeserver() -> Homeserver {
    let options = ServerOptions::new(Config::default());
    Homeserver::start(options).await.unwrap()
}

async fn alice(homeserver: &Homeserver) -> Session {
    let url = homeserver.url().as_str();
    let alice = register(url).username("alice").password(PASSWORD);
    alice.await.unwrap()
}

#[tokio::test]
async fn password_login_makes_a_device() {
    let homeserver = homeserver().await;
    let first = alice(&homeserver).await.account();
    let second = login(homeserver.url().as_str())
        .username("alice")
        .password(PASSWORD)
        .device_id("LAPTOP")
        .await
        .unwrap();
    let account = second.account();
    assert_eq!(account.user_id, first.user_id);
    assert_eq!(account.device_id.as_deref(), Some("LAPTOP"));
    assert_eq!(account.password, None);
    assert_eq!(second.devices().await.unwrap().len(), 2);
}

#[tokio::test]
async fn missing_password_is_asked_for() {
    let homeserver = homeserver().await;
    alice(&homeserver).await;
    let url = homeserver.url().as_str();
    let mut asked = Vec::new();
    let session = login(url)
        .username("alice")
        .prompts(|prompt: &Prompt| {
            asked.push(prompt.clone());
            Answer::Text(PASSWORD.into())
        })
        .await;
    session.unwrap();
    assert!(
        matches!(&asked[..], [Prompt::CurrentPassword { user_id, why: None }] if user_id.localpart() == "alice"),
        "{asked:?}"
    );
    let error = login(url).username("alice").await.unwrap_err();
    let Error::Auth(AuthError::Uia(UiaError::PasswordNeeded { user_id, .. })) = error else {
        panic!("{error:?}");
    };
    assert_eq!(user_id.localpart(), "alice");
    let error = login(url).password(PASSWORD).await.unwrap_err();
    assert!(matches!(error, Error::NoUser), "{error:?}");
}

#[tokio::test]
async fn stored_account_logs_in_again() {
    let (homeserver, dir) = (homeserver().await, TempDir::new().unwrap());
    let (url, store) = (homeserver.url().as_str(), AccountStore::new(dir.path()));
    let session = register(url).username("bot").store(store.clone());
    let account = session.await.unwrap().log_out().await.unwrap();
    let generated = account.password.clone();
    assert!(generated.is_some());
    let session = login(url).account(account).store(store.clone());
    let session = session.await.unwrap();
    assert_eq!(session.account().password, generated);
    let stored = store.account(None).unwrap().unwrap();
    assert_eq!(stored.access_token, session.account().access_token);
}

#[tokio::test]
async fn wrong_password_is_an_error() {
    let homeserver = homeserver().await;
    alice(&homeserver).await;
    let error = login(homeserver.url().as_str())
        .username("alice")
        .password("wrong")
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Auth(AuthError::Login(LoginError::WrongPassword { .. }))
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn open_or_register_registers_once() {
    let (homeserver, dir) = (homeserver().await, TempDir::new().unwrap());
    let (url, store) = (homeserver.url().as_str(), AccountStore::new(dir.path()));
    let open = |name: &str| {
        let builder = register(url).username(name).store(store.clone());
        builder.open_or_register()
    };
    let first = open("bot").await.unwrap();
    let again = open("bot").await.unwrap();
    assert_eq!(again.account().device_id, first.account().device_id);
    assert_eq!(again.account().access_token, first.account().access_token);
    let other = open("other").await.unwrap();
    assert_ne!(other.account().user_id, first.account().user_id);
    assert_eq!(store.accounts().unwrap().len(), 2);
    // Signed out, it logs in again with the generated password.
    first.log_out().await.unwrap();
    let signed_in = open("bot").await.unwrap();
    assert_eq!(signed_in.account().user_id, first.account().user_id);
    assert!(signed_in.account().access_token.is_some());
    assert_eq!(store.accounts().unwrap().len(), 2);
}

/// Fails when an account is to be stored: as if the program ended before that.
struct CrashBeforeAccount(AccountStore);

impl Store for CrashBeforeAccount {
    fn commit(&mut self, batch: &WriteBatch) -> Result<(), StoreError> {
        let mut tables = batch.writes().iter().map(|write| &write.table);
        if tables.any(|table| table == tables::ACCOUNTS) {
            return Err(StoreError::new("the program ends here"));
        }
        self.0.commit(batch)
    }

    fn get(&mut self, table: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(table, key)
    }

    fn entries(&mut self) -> Result<Vec<(String, String, Vec<u8>)>, StoreError> {
        self.0.entries()
    }
}

impl SessionStore for CrashBeforeAccount {}

#[tokio::test]
async fn open_or_register_resumes_after_a_crash() {
    let (homeserver, dir) = (homeserver().await, TempDir::new().unwrap());
    let (url, store) = (homeserver.url().as_str(), AccountStore::new(dir.path()));
    let crashed = register(url)
        .username("bot")
        .store(CrashBeforeAccount(store.clone()))
        .open_or_register()
        .await;
    assert!(matches!(crashed, Err(Error::Store(_))), "{crashed:?}");
    assert_eq!(store.registrations().unwrap().len(), 1);
    // The server has the account: registering it again would fail.
    let taken = register(url).username("bot").await;
    assert!(matches!(taken, Err(Error::Auth(_))), "{taken:?}");
    let other = register(url)
        .username("other")
        .store(store.clone())
        .open_or_register();
    let other = other.await.unwrap();
    assert_eq!(other.account().user_id.localpart(), "other");
    let bot = register(url)
        .username("bot")
        .store(store.clone())
        .open_or_register();
    let bot = bot.await.unwrap();
    assert_eq!(bot.account().user_id.localpart(), "bot");
    assert!(bot.account().password.is_some());
    bot.call(WhoAmI::default()).await.unwrap();
    assert_eq!(store.registrations().unwrap().len(), 0);
}

#[tokio::test]
async fn other_servers_account_is_not_opened() {
    let (one, two, dir) = (
        homeserver().await,
        homeserver().await,
        TempDir::new().unwrap(),
    );
    let store = AccountStore::new(dir.path());
    let open = async |server: &Homeserver, name| {
        let builder = register(server.url().as_str()).username(name);
        builder.store(store.clone()).open_or_register().await
    };
    let here = open(&one, "bot").await.unwrap();
    let error = open(&two, "bot").await.unwrap_err();
    // Both servers call themselves the same: the account of the first keeps its place.
    assert!(matches!(error, Error::Store(_)), "{error:?}");
    let stored = store.account(None).unwrap().unwrap();
    assert_eq!(stored.access_token, here.account().access_token);
}

#[tokio::test]
async fn login_token_is_sent_once() {
    let answer = json!({
        "user_id": "@alice:example.org", "device_id": "LAPTOP", "access_token": "syt_new"
    });
    let server = Server::start(move |_| (200, answer.clone()));
    let (dir, info) = (TempDir::new().unwrap(), ServerInfo::of(server.url.clone()));
    let store = AccountStore::new(dir.path());
    let session = login(server.url.as_str())
        .server_info(info)
        .token("login-token")
        .device_id("LAPTOP")
        .store(store.clone())
        .await
        .unwrap();
    let [request] = &server.requests()[..] else {
        panic!("{:?}", server.requests());
    };
    assert_eq!(request.path, "/_matrix/client/v3/login");
    let body = json!({ "type": "m.login.token", "token": "login-token", "device_id": "LAPTOP" });
    assert_eq!(request.body, body);
    assert_eq!(store.account(None).unwrap(), Some(session.account()));
}

#[tokio::test]
async fn stored_registration_is_resumed() {
    let config = Config::default()
        .flows([["m.login.registration_token"]])
        .registration_token(RegistrationToken::new("letmein"));
    let homeserver = Homeserver::start(ServerOptions::new(config)).await.unwrap();
    let (dir, url) = (TempDir::new().unwrap(), homeserver.url().as_str());
    let store = AccountStore::new(dir.path());
    let registration = register(url).username("alice").store(store.clone());
    let mut flow = registration.start().await.unwrap();
    let error = flow.run().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Auth(AuthError::Uia(UiaError::TokenNeeded { .. }))
        ),
        "{error:?}"
    );
    let id = flow.pending().unwrap().id();
    let pending = store.pending(id).unwrap().unwrap();
    let answers = RegistrationOptions {
        token: Some("letmein".into()),
        ..RegistrationOptions::default()
    };
    let session = resume(pending).answers(answers).store(store.clone());
    let session = session.await.unwrap();
    assert_eq!(session.account().user_id.localpart(), "alice");
    assert_eq!(store.accounts().unwrap(), [session.account()]);
}
