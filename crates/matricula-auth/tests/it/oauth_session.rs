//! Giving back what an OAuth 2.0 server issued.

use matricula_api::oauth::{AccountAction, AccountPage};
use matricula_auth::{Account, AuthError, OAuthLogout, OAuthRefusal, ServerError, SessionError};
use serde_json::json;

use crate::{
    oauth::{form, owner, redeeming, refusal, tokens},
    talk::Talk,
};

fn account() -> Account {
    let mut talk = redeeming();
    talk.answer(200, &tokens()).answer(200, &owner());
    talk.ok().clone()
}

fn stored<C: matricula_auth::Conversation>(talk: &Talk<C>) -> Account {
    let change = talk.commits.last().unwrap().writes().last().unwrap();
    serde_json::from_slice(change.value.as_deref().unwrap()).unwrap()
}

#[test]
fn an_account_without_the_part_of_oauth_is_still_read() {
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
fn an_account_of_another_kind_is_not_given_back_here() {
    let mut other = account();
    other.oauth = None;
    let talk = Talk::start(OAuthLogout::new(other));
    assert!(matches!(
        talk.error(),
        AuthError::Session(SessionError::NoOAuthSession { .. })
    ));
}

#[test]
fn signing_out_gives_the_refresh_token_back() {
    let mut talk = Talk::start(OAuthLogout::new(account()));
    assert_eq!(talk.requests, ["POST /revoke"]);
    assert_eq!(form(talk.job(), "token").as_deref(), Some("ref"));
    assert_eq!(
        form(talk.job(), "token_type_hint").as_deref(),
        Some("refresh_token")
    );
    talk.answer_text(200, "");
    assert_eq!(talk.ok().access_token, None);
    assert_eq!(stored(&talk), *talk.ok());
}

#[test]
fn a_server_that_takes_no_refresh_tokens_back_is_given_the_access_token() {
    let mut talk = Talk::start(OAuthLogout::new(account()));
    talk.answer(400, &refusal("unsupported_token_type"));
    assert_eq!(form(talk.job(), "token").as_deref(), Some("acc"));
    talk.answer(400, &refusal("unsupported_token_type"));
    assert!(matches!(
        talk.error(),
        AuthError::OAuthRefused(OAuthRefusal { .. })
    ));
    assert!(talk.commits.is_empty(), "the session goes on");
}

#[test]
fn a_refusal_to_take_a_token_back_is_told() {
    let mut talk = Talk::start(OAuthLogout::new(account()));
    talk.answer(400, &refusal("invalid_request"));
    assert!(matches!(
        talk.error(),
        AuthError::OAuthRefused(OAuthRefusal { .. })
    ));
}

#[test]
fn signing_out_without_an_answer_keeps_the_session() {
    let mut talk = Talk::start(OAuthLogout::new(account()));
    talk.lose();
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::Unreachable { .. })
    ));
    assert!(talk.commits.is_empty());
}

#[test]
fn the_page_for_looking_after_the_account_is_named() {
    let oauth = account().oauth.unwrap();
    let page = AccountPage::default().action(AccountAction::Profile);
    assert_eq!(
        oauth.account_page(&page).as_deref(),
        Some("https://account.example.org/account?action=org.matrix.profile")
    );
}
