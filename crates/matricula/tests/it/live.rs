//! Registering with the library on real Synapse servers, one profile per way of registering.

use std::{
    env, fs,
    future::ready,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use matricula::{
    AccountStore, AnswerFuture, Error, PromptHandler, Session,
    api::{ErrorCode, client::whoami::WhoAmI},
    auth::{Answer, AuthError, Prompt, RegisterError, RegistrationOptions, SessionError, UiaError},
    core::{Timestamp, scheduler::WaitReason},
    register,
    runner::SystemClock,
};
use serde_json::Value;
use tempfile::TempDir;

const PASSWORD: &str = "a-Good-1-for-all";

/// The server of a profile, from the file that `MATRICULA_SYNAPSE` names.
pub(crate) struct Synapse(Value);

impl Synapse {
    pub(crate) fn of(profile: &str) -> Self {
        let file = env::var("MATRICULA_SYNAPSE")
            .expect("MATRICULA_SYNAPSE names the file of the servers; cargo xtask test sets it");
        let servers: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        Self(servers[profile].clone())
    }

    pub(crate) fn url(&self) -> &str {
        self.0["base_url"].as_str().unwrap()
    }

    /// What is known of it, by a JSON pointer.
    pub(crate) fn told(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap()
    }

    fn token(&self, kind: &str) -> &str {
        self.0["registration_tokens"][kind].as_str().unwrap()
    }

    fn user_id(&self, name: &str) -> String {
        format!("@{name}:{}", self.0["server_name"].as_str().unwrap())
    }
}

pub(crate) fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!(
        "l{:x}-{:x}-{count}",
        SystemClock::now().as_millis(),
        std::process::id()
    )
}

/// Checks with the server that the session's token works, and whose it is.
async fn assert_signed_in(session: &Session, user_id: &str) {
    assert_eq!(session.account().user_id.as_str(), user_id);
    let me = session.call(WhoAmI::default()).await.unwrap();
    assert_eq!(me.user_id.as_str(), user_id);
    assert_eq!(me.device_id, session.account().device_id);
}

fn refusal(result: Result<Session, Error>) -> AuthError {
    match result {
        Err(Error::Auth(error)) => error,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn open() {
    let (server, name) = (Synapse::of("open"), unique());
    let session = register(server.url())
        .username(&name)
        .password(PASSWORD)
        .await
        .unwrap();
    assert_signed_in(&session, &server.user_id(&name)).await;
    assert_eq!(
        session.account().password,
        None,
        "what a person knows is not kept"
    );
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn open_with_no_wishes_at_all() {
    let server = Synapse::of("open");
    let session = register(server.url()).await.unwrap();
    let user_id = session.account().user_id.to_string();
    assert_signed_in(&session, &user_id).await;
    assert!(session.account().password.is_some());
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn a_taken_name() {
    let taken = register(Synapse::of("open").url()).username("admin").await;
    let error = refusal(taken);
    assert!(
        matches!(&error, AuthError::Register(RegisterError::NameTaken { username, .. }) if username == "admin"),
        "{error:?}"
    );
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn another_name_after_a_taken_one() {
    let (server, name) = (Synapse::of("open"), unique());
    let another = name.clone();
    let person = move |question: &Prompt| match question {
        Prompt::Username { why: Some(_) } => Answer::Text(another.clone().into()),
        other => panic!("{other:?}"),
    };
    let session = register(server.url())
        .username("admin")
        .prompts(person)
        .await
        .unwrap();
    assert_signed_in(&session, &server.user_id(&name)).await;
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn an_invalid_name() {
    let invalid = register(Synapse::of("open").url()).username("na?me").await;
    let error = refusal(invalid);
    assert!(
        matches!(
            error,
            AuthError::Register(RegisterError::NameInvalid { .. })
        ),
        "{error:?}"
    );
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn token() {
    let (server, name) = (Synapse::of("token"), unique());
    let token = server.token("unlimited");
    let session = register(server.url())
        .username(&name)
        .token(token)
        .await
        .unwrap();
    assert_signed_in(&session, &server.user_id(&name)).await;
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn tokens_that_do_not_count() {
    let server = Synapse::of("token");
    for token in [
        "no-such-token",
        server.token("spent"),
        server.token("expired"),
    ] {
        let error = refusal(register(server.url()).token(token).await);
        assert!(
            matches!(error, AuthError::Uia(UiaError::TokenWrong { .. })),
            "{token}: {error:?}"
        );
    }
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn no_token() {
    let error = refusal(register(Synapse::of("token").url()).await);
    assert!(
        matches!(error, AuthError::Uia(UiaError::TokenNeeded { .. })),
        "{error:?}"
    );
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn terms() {
    let (server, name) = (Synapse::of("terms"), unique());
    let session = register(server.url())
        .username(&name)
        .accept_terms()
        .await
        .unwrap();
    assert_signed_in(&session, &server.user_id(&name)).await;
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn terms_are_accepted_by_prompt() {
    let server = Synapse::of("terms");
    let mut read = Vec::new();
    let person = |question: &Prompt| match question {
        Prompt::AcceptTerms { policies } => {
            read.extend(policies.iter().map(|policy| policy.name.clone()));
            Answer::No
        }
        other => panic!("{other:?}"),
    };
    let error = refusal(register(server.url()).prompts(person).await);
    assert!(
        matches!(error, AuthError::Uia(UiaError::TermsNotAccepted { .. })),
        "{error:?}"
    );
    assert_eq!(read, ["Terms of this test server"]);
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn token_and_terms() {
    let (server, name) = (Synapse::of("token+terms"), unique());
    let session = register(server.url())
        .username(&name)
        .token(server.token("unlimited"))
        .accept_terms()
        .await
        .unwrap();
    assert_signed_in(&session, &server.user_id(&name)).await;
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn guests() {
    let session = register(Synapse::of("guests").url()).guest().await.unwrap();
    let me = session.call(WhoAmI::default()).await.unwrap();
    assert_eq!(
        (&me.user_id, me.is_guest),
        (&session.account().user_id, Some(true))
    );
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn no_guests() {
    let error = refusal(register(Synapse::of("open").url()).guest().await);
    assert!(
        matches!(
            error,
            AuthError::Register(RegisterError::GuestsNotAllowed { .. })
        ),
        "{error:?}"
    );
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn refresh() {
    let (server, dir) = (Synapse::of("refresh"), TempDir::new().unwrap());
    let store = AccountStore::new(dir.path());
    let wishes = RegistrationOptions {
        device: matricula::auth::DeviceOptions::new().refresh_token(true),
        ..RegistrationOptions::default()
    };
    let session = register(server.url())
        .options(wishes)
        .store(store.clone())
        .await
        .unwrap();
    let old = session.account();
    session.refresh().await.unwrap();
    let new = session.account();
    assert!(old.access_token != new.access_token && old.refresh_token != new.refresh_token);
    assert_eq!(store.accounts().unwrap(), [new]);
    assert_signed_in(&session, old.user_id.as_str()).await;
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn shortlived() {
    let before = SystemClock::now();
    let session = register(Synapse::of("shortlived").url()).await.unwrap();
    let until = session.account().expires_at.unwrap();
    let life = until.since(before);
    assert!(
        life <= until.since(SystemClock::now()) + Duration::from_secs(30)
            && life >= Duration::from_secs(5),
        "{life:?}"
    );
    let error = session.refresh().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Auth(AuthError::Session(SessionError::NoRefreshToken { .. }))
        ),
        "{error:?}"
    );
}

/// Hears when a request waits.
#[derive(Default)]
struct Patient(Vec<WaitReason>);

impl PromptHandler for &mut Patient {
    fn answer(&mut self, _: &Prompt) -> AnswerFuture {
        Box::pin(ready(Answer::Unavailable))
    }

    fn waiting(&mut self, _: Timestamp, why: &WaitReason) {
        self.0.push(why.clone());
    }
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn ratelimited() {
    let server = Synapse::of("ratelimited");
    let mut patient = Patient::default();
    // More than the server takes at once.
    for _ in 0..4 {
        let session = register(server.url()).prompts(&mut patient).await.unwrap();
        session.call(WhoAmI::default()).await.unwrap();
    }
    assert!(
        patient.0.contains(&WaitReason::RateLimited),
        "{:?}",
        patient.0
    );
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn closed() {
    let error = refusal(register(Synapse::of("closed").url()).await);
    assert!(
        matches!(error, AuthError::Register(RegisterError::Closed { .. })),
        "{error:?}"
    );
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn policy() {
    let server = Synapse::of("policy");
    register(server.url()).await.unwrap();
    let error = refusal(register(server.url()).password("Aa1-").await);
    let AuthError::Register(RegisterError::WeakPassword { code, .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(code, ErrorCode::from("M_PASSWORD_TOO_SHORT"));
}
