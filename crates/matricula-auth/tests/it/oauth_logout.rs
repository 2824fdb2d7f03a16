//! Revocation of tokens at an OAuth 2.0 server.

use matricula_api::oauth::{AccountAction, AccountPage};
use matricula_auth::{
    Account, AuthError, OAuthLogout, OAuthRefusal, ServerError, SessionError, tables,
};
use serde_json::json;

use crate::{
    oauth_helpers::{form_field, oauth_error, requesting_tokens, tokens, whoami},
    scripted_server::ScriptedServer,
};

fn account() -> Account {
    let mut server = requesting_tokens();
    server.respond(200, &tokens()).respond(200, &whoami());
    server.ok().clone()
}

fn stored<C: matricula_auth::Conversation>(server: &ScriptedServer<C>) -> Account {
    let change = server.commits.last().unwrap().writes().last().unwrap();
    serde_json::from_slice(change.value.as_deref().unwrap()).unwrap()
}

#[test]
fn account_without_oauth_field_is_read() {
    let old = json!({
        "user_id": "@a:e.org", "server": "https://e.org", "device_id": "D", "access_token": "t",
        "refresh_token": null, "expires_at": null, "password": null, "is_guest": false, "data": null,
    });
    let account: Account = serde_json::from_value(old).unwrap();
    assert_eq!(account.oauth, None);
    let json = serde_json::to_vec(&self::account()).unwrap();
    assert_eq!(
        serde_json::from_slice::<Account>(&json).unwrap(),
        self::account()
    );
}

#[test]
fn account_without_oauth_session_is_refused() {
    let mut other = account();
    other.oauth = None;
    let server = ScriptedServer::start(OAuthLogout::new(other));
    assert!(matches!(
        server.error(),
        AuthError::Session(SessionError::NoOAuthSession { .. })
    ));
}

#[test]
fn logout_revokes_the_refresh_token() {
    let mut server = ScriptedServer::start(OAuthLogout::new(account()));
    assert_eq!(server.requests, ["POST /revoke"]);
    assert_eq!(form_field(server.job(), "token").as_deref(), Some("ref"));
    assert_eq!(
        form_field(server.job(), "token_type_hint").as_deref(),
        Some("refresh_token")
    );
    server.respond_text(200, "");
    assert_eq!(server.ok().access_token, None);
    assert_eq!(stored(&server), *server.ok());
}

#[test]
fn access_token_is_revoked_as_fallback() {
    let mut server = ScriptedServer::start(OAuthLogout::new(account()));
    server.respond(400, &oauth_error("unsupported_token_type"));
    assert_eq!(form_field(server.job(), "token").as_deref(), Some("acc"));
    server.respond(400, &oauth_error("unsupported_token_type"));
    assert!(matches!(
        server.error(),
        AuthError::OAuthRefused(OAuthRefusal { .. })
    ));
    assert!(server.commits.is_empty(), "the session goes on");
}

#[test]
fn revocation_refusal_is_reported() {
    let mut server = ScriptedServer::start(OAuthLogout::new(account()));
    server.respond(400, &oauth_error("invalid_request"));
    assert!(matches!(
        server.error(),
        AuthError::OAuthRefused(OAuthRefusal { .. })
    ));
}

#[test]
fn logout_without_response_keeps_session() {
    let mut server = ScriptedServer::start(OAuthLogout::new(account()));
    server.lose();
    assert!(matches!(
        server.error(),
        AuthError::Server(ServerError::Unreachable { .. })
    ));
    assert!(server.commits.is_empty());
}

#[test]
fn logout_succeeds_without_body() {
    let mut server = ScriptedServer::start(OAuthLogout::new(account()));
    server.respond_text(200, "");
    assert_eq!(server.ok().access_token, None);
}

#[test]
fn forgotten_client_has_no_session() {
    let unknown = json!({ "error": "invalid_client" });
    let mut server = ScriptedServer::start(OAuthLogout::new(account()));
    server.respond(401, &unknown);
    assert_eq!(server.ok().access_token, None);
    let writes = server.commits.last().unwrap().writes();
    let removed = writes.iter().filter(|write| write.value.is_none());
    let tables: Vec<&str> = removed.map(|write| &*write.table).collect();
    assert_eq!(tables, [tables::OAUTH_CLIENTS]);
    // Or it must authenticate, which this request does not: its tokens stay valid.
    let mut confidential = account();
    if let Some(oauth) = &mut confidential.oauth {
        oauth.client_secret = Some("shh".into());
    }
    let mut server = ScriptedServer::start(OAuthLogout::new(confidential));
    server.respond(401, &unknown);
    server.error();
    assert!(server.commits.is_empty());
}

#[test]
fn account_page_is_named() {
    let oauth = account().oauth.unwrap();
    let page = AccountPage::default().action(AccountAction::Profile);
    assert_eq!(
        oauth.account_page(&page).as_deref(),
        Some("https://account.example.org/account?action=org.matrix.profile")
    );
}
