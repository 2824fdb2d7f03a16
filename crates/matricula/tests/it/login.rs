//! Logging in with the builder, and opening an account that is stored.

use matricula::{
    Account, AccountStore, Answer, AuthError, AuthMethod, Error, Prompt, RegistrationOptions,
    ServerInfo, Session, SessionStore, Store, StoreError,
    api::client::whoami::WhoAmI,
    auth::{LoginError, OAuthLoginError, RegisterError, UiaError, tables},
    core::WriteBatch,
    login, register, resume, upgrade,
};
use matricula_homeserver::{
    ApplicationService, Config, RegistrationToken, Server as Homeserver, ServerOptions,
};
use serde_json::json;
use tempfile::TempDir;

use crate::server::Server;

const PASSWORD: &str = "correct horse battery staple";

async fn homeserver() -> Homeserver {
    homeserver_with(Config::default()).await
}

async fn homeserver_with(config: Config) -> Homeserver {
    Homeserver::start(ServerOptions::new(config)).await.unwrap()
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
        matches!(&asked[..], [Prompt::LoginPassword { user, server, why: None }]
            if user == "alice" && server.as_str() == url),
        "{asked:?}"
    );
    let error = login(url).username("alice").await.unwrap_err();
    let Error::Auth(AuthError::Login(LoginError::PasswordNeeded { user, .. })) = error else {
        panic!("{error:?}");
    };
    assert_eq!(user, "alice");
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
async fn guest_does_not_resume_a_user() {
    let homeserver = homeserver_with(Config::default().guests(true)).await;
    let (url, dir) = (homeserver.url().as_str(), TempDir::new().unwrap());
    let store = AccountStore::new(dir.path());
    let crash = CrashBeforeAccount(store.clone());
    register(url).store(crash).await.unwrap_err();
    let guest = register(url).guest().store(store.clone());
    let guest = guest.open_or_register().await.unwrap();
    assert!(guest.account().is_guest);
    assert_eq!(store.registrations().unwrap().len(), 1);
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

#[tokio::test]
async fn stored_password_is_for_its_user() {
    let homeserver = homeserver().await;
    let url = homeserver.url().as_str();
    let bob = register(url).username("bob").await.unwrap().account();
    let bob_id = bob.user_id.to_string();
    let mut asked = Vec::new();
    let answer = login(url)
        .username("alice")
        .account(bob.clone())
        .prompts(|prompt: &Prompt| {
            asked.push(prompt.clone());
            Answer::Unavailable
        })
        .await;
    assert!(
        matches!(
            &answer,
            Err(Error::Auth(AuthError::Login(
                LoginError::PasswordNeeded { .. }
            )))
        ),
        "{answer:?}"
    );
    assert!(
        matches!(&asked[..], [Prompt::LoginPassword { user, .. }] if user == "alice"),
        "{asked:?}"
    );
    let shouted = bob_id.replace("bob", "BOB");
    for name in ["bob", &bob_id, "Bob", "@bob", " bob ", &shouted] {
        let session = login(url)
            .username(name)
            .account(bob.clone())
            .await
            .unwrap();
        assert_eq!(session.account().user_id, bob.user_id);
        assert_eq!(session.account().password, bob.password);
    }
}

/// Nothing else than a password says that another one is good: the generated one is known nowhere else.
#[tokio::test]
async fn login_without_a_password_keeps_the_stored_one() {
    let mut answer = json!({
        "user_id": "@alice:example.org", "device_id": "LAPTOP", "access_token": "syt_new"
    });
    for (user_id, is_kept) in [("@alice:example.org", true), ("@bob:example.org", false)] {
        answer["user_id"] = json!(user_id);
        let answer = answer.clone();
        let server = Server::start(move |_| (200, answer.clone()));
        let dir = TempDir::new().unwrap();
        let mut store = AccountStore::new(dir.path());
        let alice = "@alice:example.org".parse().unwrap();
        let mut alice = Account::without_session(alice, server.url.clone(), json!(null));
        alice.password = Some("generated".into());
        let mut writes = WriteBatch::default();
        alice.write_to(&mut writes);
        store.commit(&writes).unwrap();
        let session = login(server.url.as_str())
            .server_info(ServerInfo::of(server.url.clone()))
            .token("login-token")
            .store(store.clone())
            .await
            .unwrap();
        let password = session.account().password;
        assert_eq!(password.is_some(), is_kept, "{user_id}");
        let stored = store.account(Some(user_id)).unwrap().unwrap();
        assert_eq!(stored, session.account());
        let alice = store.account(Some("@alice:example.org")).unwrap().unwrap();
        assert_eq!(alice.password, Some("generated".into()));
    }
}

#[tokio::test]
async fn password_prompt_names_the_stored_user() {
    let homeserver = homeserver().await;
    let account = alice(&homeserver).await.account();
    let user_id = account.user_id.clone();
    let error = login(homeserver.url().as_str())
        .username("alice")
        .account(account)
        .await
        .unwrap_err();
    let Error::Auth(AuthError::Uia(UiaError::PasswordNeeded { user_id: asked, .. })) = error else {
        panic!("{error:?}");
    };
    assert_eq!(asked, user_id);
}

#[tokio::test]
async fn open_or_register_upgrades_guests() {
    let homeserver = homeserver_with(Config::default().guests(true)).await;
    let (dir, url) = (TempDir::new().unwrap(), homeserver.url().as_str());
    let store = AccountStore::new(dir.path());
    let guest = register(url).guest().store(store.clone());
    let guest = guest.open_or_register().await.unwrap().account();
    assert!(guest.is_guest);
    for _ in 0..2 {
        let user = upgrade(&guest).unwrap().store(store.clone());
        let user = user.open_or_register().await.unwrap().account();
        assert_eq!(user.user_id, guest.user_id);
        assert!(!user.is_guest);
        assert_eq!(store.accounts().unwrap(), [user]);
    }
}

#[tokio::test]
async fn open_or_register_separates_guests_and_users() {
    let homeserver = homeserver_with(Config::default().guests(true)).await;
    let (dir, url) = (TempDir::new().unwrap(), homeserver.url().as_str());
    let store = AccountStore::new(dir.path());
    let open = async |is_guest: bool| {
        let mut builder = register(url).store(store.clone());
        if is_guest {
            builder = builder.guest();
        }
        builder.open_or_register().await.unwrap().account()
    };
    let (user, guest) = (open(false).await, open(true).await);
    assert!(!user.is_guest && guest.is_guest);
    assert_eq!(open(true).await, guest);
    assert_eq!(open(false).await, user);
    assert_eq!(store.accounts().unwrap().len(), 2);
}

#[tokio::test]
async fn open_or_register_opens_service_users() {
    for manages_devices in [false, true] {
        let service = ApplicationService::new("irc", "service-token", "irc")
            .user_prefix("irc_")
            .manages_devices(manages_devices);
        let homeserver = homeserver_with(Config::default().application_service(service)).await;
        let (dir, url) = (TempDir::new().unwrap(), homeserver.url().as_str());
        let store = AccountStore::new(dir.path());
        let open = async || {
            let user = register(url).as_service("service-token", "irc_alice");
            user.store(store.clone()).open_or_register().await.unwrap()
        };
        let first = open().await;
        assert_eq!(first.account().access_token.is_none(), manages_devices);
        assert_eq!(open().await.account(), first.account());
        if !manages_devices {
            first.log_out().await.unwrap();
            let again = open().await;
            assert_eq!(again.account().user_id, first.account().user_id);
            again.call(WhoAmI::default()).await.unwrap();
        }
        assert_eq!(store.accounts().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn open_or_register_ignores_letter_case() {
    let (homeserver, dir) = (homeserver().await, TempDir::new().unwrap());
    let (url, store) = (homeserver.url().as_str(), AccountStore::new(dir.path()));
    let open = async || {
        let bot = register(url).username("Bot").store(store.clone());
        bot.open_or_register().await.unwrap().account()
    };
    let first = open().await;
    assert_eq!(first.user_id.localpart(), "bot");
    assert_eq!(open().await, first);
}

#[tokio::test]
async fn open_or_register_logs_in_with_its_options() {
    let (homeserver, dir) = (homeserver().await, TempDir::new().unwrap());
    let (url, store) = (homeserver.url().as_str(), AccountStore::new(dir.path()));
    let open = async || {
        let mut options = RegistrationOptions {
            username: Some("bot".into()),
            ..RegistrationOptions::default()
        };
        options.device.device_id = Some("BOT".into());
        options.device.refresh_token = true;
        let bot = register(url).options(options).store(store.clone());
        bot.open_or_register().await.unwrap()
    };
    open().await.log_out().await.unwrap();
    let account = open().await.account();
    assert_eq!(account.device_id.as_deref(), Some("BOT"));
    assert!(account.refresh_token.is_some());
}

#[tokio::test]
async fn named_method_is_not_replaced_at_sign_up() {
    let homeserver = homeserver().await;
    let url = homeserver.url().as_str();
    let error = register(url).method(AuthMethod::Sso).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Auth(AuthError::Register(RegisterError::SsoNeeded { .. }))
        ),
        "{error:?}"
    );
    for method in [AuthMethod::OAuth, AuthMethod::DeviceCode] {
        let error = register(url).method(method).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Auth(AuthError::OAuth(OAuthLoginError::NoOAuth { .. }))
            ),
            "{error:?}"
        );
    }
    register(url).method(AuthMethod::Password).await.unwrap();
}

#[tokio::test]
async fn named_method_is_not_replaced_at_login() {
    let homeserver = homeserver().await;
    alice(&homeserver).await;
    let login = || login(homeserver.url().as_str()).username("alice");
    let by_code = login().method(AuthMethod::DeviceCode).password(PASSWORD);
    let by_sso = login().method(AuthMethod::Sso).password(PASSWORD);
    let by_token = login().token("login-token").method(AuthMethod::Password);
    let by_service = login()
        .as_service("service-token", "alice")
        .method(AuthMethod::Password);
    for (builder, named) in [
        (by_code, AuthMethod::DeviceCode),
        (by_sso, AuthMethod::Sso),
        (by_token, AuthMethod::Password),
        (by_service, AuthMethod::Password),
    ] {
        let error = builder.await.unwrap_err();
        assert!(
            matches!(error, Error::MethodUnavailable { method, .. } if method == named),
            "{error:?}"
        );
    }
    let by_password = login().method(AuthMethod::Password).password(PASSWORD);
    by_password.await.unwrap();
}

#[tokio::test]
async fn user_is_named_as_people_type_it() {
    let (homeserver, dir) = (homeserver().await, TempDir::new().unwrap());
    let (url, store) = (homeserver.url().as_str(), AccountStore::new(dir.path()));
    let open = |name: &str| {
        let builder = register(url).username(name).store(store.clone());
        builder.open_or_register()
    };
    let first = open("@bot").await.unwrap().account();
    assert_eq!(first.user_id.localpart(), "bot");
    let server_name = first.user_id.server_name();
    for typed in [
        "bot",
        " bot ",
        "@bot",
        &format!("@bot:{server_name}"),
        &format!("@BOT:{}", server_name.to_uppercase()),
    ] {
        let again = open(typed).await.unwrap().account();
        assert_eq!(again.access_token, first.access_token, "{typed}");
    }
    assert_eq!(store.accounts().unwrap().len(), 1);
    // A name of another server is not this account, and the server has the name already.
    let error = open("@bot:elsewhere.example").await.unwrap_err();
    assert!(matches!(error, Error::Auth(_)), "{error:?}");

    let named = register(url).username(format!("@alice:{server_name}"));
    let named = named.await.unwrap().account();
    assert_eq!(named.user_id.localpart(), "alice");
}

#[tokio::test]
async fn unfinished_registration_is_named_like_that() {
    let (homeserver, dir) = (homeserver().await, TempDir::new().unwrap());
    let (url, store) = (homeserver.url().as_str(), AccountStore::new(dir.path()));
    let crashed = register(url)
        .username("@bot:example.org")
        .store(CrashBeforeAccount(store.clone()));
    crashed.open_or_register().await.unwrap_err();
    let bot = register(url)
        .username("@bot:example.org")
        .store(store.clone());
    let bot = bot.open_or_register().await.unwrap();
    assert_eq!(bot.account().user_id.localpart(), "bot");
    assert_eq!(store.registrations().unwrap().len(), 0);
}
