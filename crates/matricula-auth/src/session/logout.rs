//! The session of an OAuth 2.0 server, and its end.

use matricula_api::oauth::{
    AccountAction, AccountPage, OAuthEndpoint, OAuthErrorCode, RevokeToken, TokenType,
};
use matricula_core::{
    Machine, Response, Secret, Step, StepContext, scheduler::Outcome, secret::exposed,
};
use serde::{Deserialize, Serialize};

use crate::{
    Account, Conversation, Effect, Event, Input, ServerError, SessionError, account::tables,
    conversation::ConversationState, error::oauth_error,
};

/// Where an account's tokens are renewed and revoked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OAuthSession {
    /// The OAuth 2.0 server.
    pub issuer: String,
    /// The client id that the tokens were issued to.
    pub client_id: String,
    /// The client secret, if there is one.
    #[serde(with = "exposed", default)]
    pub client_secret: Option<Secret>,
    /// Where tokens are renewed.
    pub token_endpoint: String,
    /// Where tokens are revoked.
    pub revocation_endpoint: String,
    /// The page on which the person manages the account.
    #[serde(default)]
    pub account_management_uri: Option<String>,
    /// The actions that the page supports; `None` if the session is older than this field.
    #[serde(default)]
    pub account_actions: Option<Vec<String>>,
}

impl OAuthSession {
    /// The address of a page of [account management]; `None` if the server has no such page. If the server
    /// does not list the action, it is the address of the first page.
    ///
    /// [account management]: https://spec.matrix.org/v1.19/client-server-api/#oauth-20-account-management
    pub fn account_page(&self, page: &AccountPage) -> Option<String> {
        account_page(
            self.account_management_uri.as_deref(),
            self.account_actions.as_deref(),
            page,
        )
    }
}

/// The address of a page of account management below `uri`, with the action if the server lists it, or
/// if its list is not known.
pub(crate) fn account_page(
    uri: Option<&str>,
    listed: Option<&[String]>,
    page: &AccountPage,
) -> Option<String> {
    let Some(listed) = listed else {
        return page.url(uri?).ok();
    };
    let wanted = page.action.as_ref().map_or("", AccountAction::as_str);
    // The names of the proposal, which servers had before they were in the specification.
    let earlier = match &page.action {
        Some(AccountAction::DevicesList) => "org.matrix.sessions_list",
        Some(AccountAction::DeviceView) => "org.matrix.session_view",
        Some(AccountAction::DeviceDelete) => "org.matrix.session_end",
        _ => wanted,
    };
    let mut names = [wanted, earlier].into_iter();
    let page = match names.find(|name| listed.iter().any(|one| one == name)) {
        Some(name) => page.clone().action(name.into()),
        None => AccountPage {
            login_hint: page.login_hint.clone(),
            ..AccountPage::default()
        },
    };
    page.url(uri?).ok()
}

/// Revokes an account's tokens, which ends its session; ends in the [`Account`] without a session.
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#token-revocation>.
#[derive(Clone, Debug)]
pub struct OAuthLogout {
    account: Account,
    /// The kind of the token that was sent.
    sent: TokenType,
    conversation: ConversationState<Account, SessionError>,
}

impl OAuthLogout {
    /// Ends the session of this account.
    pub fn new(account: Account) -> Self {
        let sent = match account.refresh_token {
            Some(_) => TokenType::RefreshToken,
            None => TokenType::AccessToken,
        };
        Self {
            account,
            sent,
            conversation: ConversationState::default(),
        }
    }

    fn send(&mut self) {
        let token = match self.sent {
            TokenType::RefreshToken => &self.account.refresh_token,
            _ => &self.account.access_token,
        };
        let (Some(oauth), Some(token)) = (&self.account.oauth, token) else {
            let user_id = self.account.user_id.clone();
            return self
                .conversation
                .fail(SessionError::NoOAuthSession { user_id });
        };
        let request = RevokeToken::new(token.clone())
            .token_type_hint(self.sent.clone())
            .client_id(oauth.client_id.clone());
        match request.job(&oauth.revocation_endpoint) {
            Ok(job) => {
                self.conversation.send(job);
            }
            Err(error) => {
                let server = &self.account.server;
                self.conversation
                    .fail(ServerError::not_matrix(server, error));
            }
        }
    }

    fn on_outcome(&mut self, outcome: Outcome) {
        let error = match ServerError::response(&self.account.server, outcome) {
            Ok(response) => return self.on_response(&response),
            Err(error) => error,
        };
        self.conversation.fail(match (error, &self.account.oauth) {
            (ServerError::Unreachable { server, error }, Some(oauth)) => {
                ServerError::oauth_unreachable(&server, &oauth.issuer, error)
            }
            (error, _) => error,
        });
    }

    fn on_response(&mut self, response: &Response) {
        let error = match RevokeToken::read(response) {
            Ok(()) => {
                self.account.end_session();
                return self.conversation.finish_account(Ok(self.account.clone()));
            }
            Err(error) => error,
        };
        let is_unsupported = error.code() == Some(&OAuthErrorCode::UnsupportedTokenType);
        if is_unsupported && self.sent == TokenType::RefreshToken {
            self.sent = TokenType::AccessToken;
            return self.send();
        }
        let oauth = self.account.oauth.as_ref();
        let issuer = oauth.map(|oauth| oauth.issuer.clone()).unwrap_or_default();
        let is_public = oauth.is_some_and(|oauth| oauth.client_secret.is_none());
        if is_public && error.code() == Some(&OAuthErrorCode::InvalidClient) {
            // A server that has forgotten the client has no tokens of it either. The next login must not use
            // it.
            self.conversation
                .writes()
                .remove(tables::OAUTH_CLIENTS, issuer);
            self.account.end_session();
            return self.conversation.finish_account(Ok(self.account.clone()));
        }
        self.conversation.fail(oauth_error::<SessionError>(
            &self.account.server,
            issuer,
            error,
        ));
    }
}

impl Machine for OAuthLogout {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<Account, SessionError>;

    fn step(
        &mut self,
        _: &mut StepContext<'_>,
        input: Input,
    ) -> Step<Effect, Event<Account, SessionError>> {
        match self.conversation.accept(input) {
            Some(Input::Start) => self.send(),
            Some(Input::Outcome(_, outcome)) => self.on_outcome(outcome),
            _ => {}
        }
        self.conversation.take_step()
    }
}

impl Conversation for OAuthLogout {
    type Output = Account;
    type Error = SessionError;
}
