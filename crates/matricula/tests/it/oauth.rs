//! A server that makes accounts at its OAuth 2.0 server: registering, renewing, signing out.

use matricula::{
    AccountStore, Error,
    api::{client::whoami::WhoAmI, oauth::ClientMetadata},
    auth::{Answer, AuthError, BrowserError, Prompt, RegisterError, SessionError},
    core::Secret,
    register,
    runner::Runner,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{Request, Server};

const BACK: &str = "http://127.0.0.1:1/";

/// A homeserver that delegates to itself. `token` answers each request for tokens.
pub(crate) fn delegating(token: impl Fn(usize) -> (u16, Value) + Send + 'static) -> Server {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    Server::start(move |request: &Request| {
        let here = |path: &str| format!("http://{}{path}", request.host);
        let unrecognized = (404, json!({ "errcode": "M_UNRECOGNIZED", "error": "no" }));
        match request.path.as_str() {
            "/_matrix/client/versions" => (200, json!({ "versions": ["v1.15"] })),
            "/_matrix/client/v1/auth_metadata" => (
                200,
                json!({
                    "issuer": here("/"), "authorization_endpoint": here("/authorize"),
                    "token_endpoint": here("/token"), "revocation_endpoint": here("/revoke"),
                    "registration_endpoint": here("/clients"), "response_types_supported": ["code"],
                    "grant_types_supported": [], "response_modes_supported": [],
                    "code_challenge_methods_supported": ["S256"],
                    "prompt_values_supported": ["create"],
                }),
            ),
            "/clients" => (201, json!({ "client_id": "c1" })),
            "/token" => token(asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst)),
            "/revoke" => (200, json!({})),
            "/_matrix/client/v3/account/whoami" => (
                200,
                json!({ "user_id": "@new:example.org", "device_id": "D" }),
            ),
            _ => unrecognized,
        }
    })
}

pub(crate) fn tokens(number: usize) -> (u16, Value) {
    let access = format!("access-{number}");
    let refresh = format!("refresh-{number}");
    (
        200,
        json!({ "access_token": access, "refresh_token": refresh, "token_type": "Bearer" }),
    )
}

fn about() -> ClientMetadata {
    ClientMetadata::new("https://app.example/")
}

/// A person who allows it.
fn allows(question: &Prompt) -> Answer {
    let Prompt::OpenPage { url, .. } = question else {
        return Answer::Unavailable;
    };
    let (_, query) = url.expose().split_once('?').unwrap();
    assert!(query.contains("prompt=create"));
    let state = query.split('&').find(|pair| pair.starts_with("state="));
    Answer::Text(Secret::from(format!("{BACK}?code=xyz&{}", state.unwrap())))
}

#[tokio::test]
async fn oauth_account_is_renewed_and_revoked() {
    let server = delegating(tokens);
    let dir = TempDir::new().unwrap();
    let store = AccountStore::new(dir.path());
    let session = register(server.url.as_str())
        .redirect_uri(about(), BACK)
        .store(store.clone())
        .prompts(allows)
        .await
        .unwrap();
    let user = session.account().user_id.to_string();
    assert_eq!(user, "@new:example.org");
    let issuer = format!("{}/", server.url);
    let kept = store.oauth_client(&issuer).unwrap().unwrap();
    assert_eq!(kept.client_id, "c1");
    session.refresh().await.unwrap();
    let stored = store.account(Some(&user)).unwrap().unwrap();
    assert_eq!(stored.access_token, Some("access-1".into()));
    assert_eq!(stored, session.account());
    session.call(WhoAmI::default()).await.unwrap();
    let asked = server.requests();
    assert_eq!(asked.last().unwrap().token.as_deref(), Some("access-1"));
    let (runner, credential) = (session.runner().clone(), session.account().credential());
    session.log_out().await.unwrap();
    let token = runner
        .credentials()
        .token_for(&credential, server.url.as_str());
    assert_eq!(token, None);
    let stored = store.account(Some(&user)).unwrap().unwrap();
    assert_eq!((stored.access_token, stored.oauth), (None, None));
    let paths: Vec<String> = server
        .requests()
        .iter()
        .map(|sent| sent.path.clone())
        .collect();
    let whoami = "/_matrix/client/v3/account/whoami";
    assert_eq!(paths[paths.len() - 3..], ["/token", whoami, "/revoke"]);
    assert!(!paths.iter().any(|path| path.ends_with("/register")));
}

#[tokio::test]
async fn missing_browser_names_the_page() {
    let server = delegating(tokens);
    let error = register(server.url.as_str()).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Auth(AuthError::Register(RegisterError::OAuthNeeded { .. }))
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn unopened_page_stays_in_store() {
    let server = delegating(tokens);
    let dir = TempDir::new().unwrap();
    let mut store = AccountStore::new(dir.path());
    let error = register(server.url.as_str())
        .redirect_uri(about(), BACK)
        .store(store.clone())
        .await
        .unwrap_err();
    let needed = matches!(
        error,
        Error::Auth(AuthError::Browser(BrowserError::BrowserNeeded { .. }))
    );
    assert!(needed, "{error:?}");
    let text = std::fs::read_to_string(store.path()).unwrap();
    let stored: Value = serde_json::from_str(&text).unwrap();
    let waiting = stored["tables"]["oauth_logins"].as_object().unwrap();
    let id = waiting.keys().next().unwrap();
    let mut login = store.oauth_login(id).unwrap().unwrap();
    let runner = Runner::default();
    let driven = matricula::drive(&mut login, &runner, &mut store, &mut allows).await;
    assert_eq!(driven.unwrap().access_token, Some("access-0".into()));
}

#[tokio::test]
async fn refused_renewal_ends_the_session() {
    let server = delegating(|number| match number {
        0 => tokens(0),
        _ => (400, json!({ "error": "invalid_grant" })),
    });
    let session = register(server.url.as_str())
        .redirect_uri(about(), BACK)
        .prompts(allows)
        .await
        .unwrap();
    let error = session.refresh().await.unwrap_err();
    let over = matches!(
        error,
        Error::Auth(AuthError::Session(SessionError::SignedOut { .. }))
    );
    assert!(over, "{error:?}");
    let sent = server.requests().len();
    session.refresh().await.unwrap_err();
    assert_eq!(server.requests().len(), sent);
}
