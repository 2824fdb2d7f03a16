//! The loop between a conversation, a server, a person and a store: what is stored before what is
//! sent, and that nothing is sent which could not be stored.

use std::{
    io::ErrorKind,
    net::TcpListener,
    sync::{Arc, Mutex},
};

use matricula::{
    AccountStore, AccountStoreError, AnswerFuture, Error, PromptHandler, SessionStore, Store,
    StoreError,
    api::client::whoami::WhoAmI,
    auth::{
        Answer, AuthError, Prompt, RegisterError, Registration, RegistrationOptions, ServerInfo,
        UiaError,
    },
    core::WriteBatch,
    drive, register,
    runner::Runner,
};
use matricula_homeserver::{Config, RegistrationToken, Server as Homeserver, ServerOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::Server;

/// A disk that is full.
pub(crate) struct Full;

impl Store for Full {
    fn commit(&mut self, _: &WriteBatch) -> Result<(), StoreError> {
        Err(StoreError::from_source(AccountStoreError::Io {
            path: "/full".into(),
            what: "write",
            error: ErrorKind::StorageFull.into(),
        }))
    }

    fn get(&mut self, _: &str, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    fn entries(&mut self) -> Result<Vec<(String, String, Vec<u8>)>, StoreError> {
        Ok(Vec::new())
    }
}

impl SessionStore for Full {}

fn nobody(_: &Prompt) -> Answer {
    Answer::Unavailable
}

fn registration(server: &str, wishes: RegistrationOptions) -> Registration {
    Registration::new(&ServerInfo::of(server.parse().unwrap()), wishes)
}

#[tokio::test]
async fn unstored_request_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut registration = registration(&url, RegistrationOptions::default());
    let driven = drive(
        &mut registration,
        &Runner::default(),
        &mut Full,
        &mut nobody,
    )
    .await;
    let error = driven.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error:?}");
    // A connection is there for the taking as soon as its other side believes it open.
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn secrets_are_stored_before_sending() {
    let dir = TempDir::new().unwrap();
    let store = AccountStore::new(dir.path());
    let (reader, seen) = (store.clone(), Arc::new(Mutex::new(Vec::new())));
    let record = Arc::clone(&seen);
    let server = Server::start(move |request| {
        let stored = std::fs::read_to_string(reader.path()).unwrap();
        record.lock().unwrap().push(stored);
        match request.body.get("auth") {
            None => (
                401,
                json!({ "session": "s", "flows": [{ "stages": ["m.login.dummy"] }] }),
            ),
            Some(_) => (
                200,
                json!({ "user_id": "@a:b", "access_token": "t", "device_id": request.body["device_id"] }),
            ),
        }
    });
    let mut registration = registration(server.url.as_str(), RegistrationOptions::default());
    let account = drive(
        &mut registration,
        &Runner::default(),
        &mut store.clone(),
        &mut nobody,
    )
    .await
    .unwrap();
    let (requests, seen) = (server.requests(), seen.lock().unwrap().clone());
    assert_eq!(requests.len(), 2);
    for (request, stored) in requests.iter().zip(&seen) {
        let stored: Value = serde_json::from_str(stored).unwrap();
        let stored = &stored["tables"]["registrations"][registration.id()]["options"];
        assert_eq!(stored["password"], request.body["password"]);
        assert_eq!(stored["device_id"], request.body["device_id"]);
    }
    assert_eq!(
        requests[1].body["auth"],
        json!({ "type": "m.login.dummy", "session": "s" })
    );
    // Done: the account took the registration's place in one write.
    assert_eq!(store.registrations().unwrap(), []);
    assert_eq!(store.accounts().unwrap(), [account]);
}

#[tokio::test]
async fn waiting_registration_resumes_from_store() {
    let config = Config::default()
        .flows([["m.login.registration_token"]])
        .registration_token(RegistrationToken::new("letmein"));
    let homeserver = Homeserver::start(ServerOptions::new(config)).await.unwrap();
    let (dir, url) = (TempDir::new().unwrap(), homeserver.url().as_str());
    let mut store = AccountStore::new(dir.path());
    let waits = register(url)
        .username("alice")
        .store(store.clone())
        .await
        .unwrap_err();
    assert!(
        matches!(
            waits,
            Error::Auth(AuthError::Uia(UiaError::TokenNeeded { .. }))
        ),
        "{waits:?}"
    );
    let [stored] = &store.registrations().unwrap()[..] else {
        panic!("not one registration waits");
    };
    let stored = store.registration(stored.id()).unwrap().unwrap();
    let answers = RegistrationOptions {
        token: Some("letmein".into()),
        ..RegistrationOptions::default()
    };
    let account = drive(
        &mut stored.answers(answers),
        &Runner::default(),
        &mut store,
        &mut nobody,
    )
    .await
    .unwrap();
    assert_eq!(account.user_id.localpart(), "alice");
    assert!(account.password.is_some());
    assert_eq!(store.registrations().unwrap(), []);
}

#[tokio::test]
async fn repeated_prompt_says_why() {
    let config = Config::default()
        .flows([["m.login.registration_token"]])
        .registration_token(RegistrationToken::new("letmein"));
    let homeserver = Homeserver::start(ServerOptions::new(config)).await.unwrap();
    let mut asked = Vec::new();
    let person = |question: &Prompt| {
        let Prompt::RegistrationToken { why } = question else {
            panic!("{question:?}");
        };
        asked.push(why.is_some());
        Answer::Text(if why.is_some() { "letmein" } else { "typo" }.into())
    };
    register(homeserver.url().as_str())
        .prompts(person)
        .await
        .unwrap();
    assert_eq!(asked, [false, true]);
}

#[tokio::test]
async fn server_chooses_the_user_id() {
    let config = Config::default().rename_users(true);
    let homeserver = Homeserver::start(ServerOptions::new(config)).await.unwrap();
    let session = register(homeserver.url().as_str())
        .username("alice")
        .password("wordpass")
        .await
        .unwrap();
    let user_id = &session.account().user_id;
    assert_eq!(user_id.localpart(), "alice-1");
    let me = session.call(WhoAmI::default()).await.unwrap();
    assert_eq!(&me.user_id, user_id);
}

/// Ten registrations of one name at once: one succeeds, the others fail with "name taken".
#[tokio::test]
async fn concurrent_registrations_get_one_name() {
    let homeserver = Homeserver::start(ServerOptions::new(Config::default()))
        .await
        .unwrap();
    let mut attempts = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let url = homeserver.url().to_string();
        attempts.spawn(async move {
            let attempt = register(&url).username("alice").await;
            attempt.map(|session| session.account().clone())
        });
    }
    let results = attempts.join_all().await;
    let won = results.iter().filter(|result| result.is_ok()).count();
    let refused = results.iter().filter(|result| {
        matches!(
            result,
            Err(Error::Auth(AuthError::Register(
                RegisterError::NameTaken { .. }
            )))
        )
    });
    assert_eq!((won, refused.count()), (1, 9));
}

/// Answers a prompt once another task of the same thread has sent the answer.
struct Remote(tokio::sync::mpsc::UnboundedSender<tokio::sync::oneshot::Sender<Answer>>);

impl PromptHandler for Remote {
    fn answer(&mut self, _: &Prompt) -> AnswerFuture {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.0.send(reply).unwrap();
        Box::pin(async move { answer.await.unwrap() })
    }
}

#[tokio::test(flavor = "current_thread")]
async fn prompts_do_not_block_the_thread() {
    let config = Config::default()
        .flows([["m.login.registration_token"]])
        .registration_token(RegistrationToken::new("invited"));
    let homeserver = Homeserver::start(ServerOptions::new(config)).await.unwrap();
    let (prompts, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let window = tokio::spawn(async move {
        let reply: tokio::sync::oneshot::Sender<Answer> = asked.recv().await.unwrap();
        reply.send(Answer::Text("invited".into())).unwrap();
    });
    let url = homeserver.url().as_str();
    register(url).prompts(Remote(prompts)).await.unwrap();
    window.await.unwrap();
}
