//! A session of an OAuth 2.0 server, and how it is given back.

use matricula_api::oauth::{
    AccountPage, EndpointUrlError, OAuthEndpoint, OAuthErrorCode, RevokeToken, TokenType,
};
use matricula_core::{
    EffectId, Machine, Response, Secret, Step, StepContext, scheduler::Outcome, secret::exposed,
};
use serde::{Deserialize, Serialize};

use crate::{Account, AuthError, Conversation, Effect, Event, Input};

/// Where an account's tokens are renewed and given back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OAuthSession {
    /// The OAuth 2.0 server.
    pub issuer: String,
    /// What it named this program when it issued the tokens.
    pub client_id: String,
    /// The secret that it gave with the name, if it did.
    #[serde(with = "exposed", default)]
    pub client_secret: Option<Secret>,
    /// Where tokens are renewed.
    pub token_endpoint: String,
    /// Where tokens are given back.
    pub revocation_endpoint: String,
    /// The page on which the person looks after the account.
    #[serde(default)]
    pub account_management_uri: Option<String>,
}

impl OAuthSession {
    /// The address of a page of [account management]; none where the server has no such page.
    ///
    /// [account management]: https://spec.matrix.org/v1.19/client-server-api/#oauth-20-account-management
    pub fn account_page(&self, page: &AccountPage) -> Option<String> {
        page.url(self.account_management_uri.as_deref()?).ok()
    }
}

type Turn = Step<Effect, Event<Account>>;

fn finish(result: Result<Account, AuthError>, turn: &mut Turn) {
    if let Ok(account) = &result {
        account.write_to(&mut turn.writes);
    }
    turn.events.push(Event::Finished(result));
}

fn no_answer(account: &Account, outcome: Outcome) -> Result<Response, AuthError> {
    match outcome {
        Outcome::Responded(response) => Ok(response),
        Outcome::Failed(error) | Outcome::InDoubt(error) => {
            let server = account.server.clone();
            Err(AuthError::Unreachable { server, error })
        }
        _ => Err(AuthError::Cancelled),
    }
}

fn unusable(account: &Account, error: &EndpointUrlError) -> AuthError {
    AuthError::NotMatrix {
        server: account.server.clone(),
        what: error.to_string(),
    }
}

/// Gives an account's tokens back, which ends its session; ends in the [`Account`] without one.
///
/// Specification: <https://spec.matrix.org/v1.19/client-server-api/#token-revocation>.
#[derive(Clone, Debug)]
pub struct OAuthLogout {
    account: Account,
    /// Which of the tokens is on its way.
    sent: Option<TokenType>,
}

impl OAuthLogout {
    /// Ends the session of this account.
    pub fn new(account: Account) -> Self {
        Self {
            account,
            sent: None,
        }
    }

    fn send(&mut self, kind: TokenType, turn: &mut Turn) {
        let token = match kind {
            TokenType::RefreshToken => &self.account.refresh_token,
            _ => &self.account.access_token,
        };
        let (Some(oauth), Some(token)) = (&self.account.oauth, token) else {
            let user_id = self.account.user_id.clone();
            return finish(Err(AuthError::NoOAuthSession { user_id }), turn);
        };
        let request = RevokeToken::new(token.clone())
            .token_type_hint(kind.clone())
            .client_id(oauth.client_id.clone());
        match request.job(&oauth.revocation_endpoint) {
            Ok(job) => {
                let id = effect_of(&kind);
                self.sent = Some(kind);
                turn.effects.push(Effect::Send(id, Box::new(job)));
            }
            Err(error) => finish(Err(unusable(&self.account, &error)), turn),
        }
    }

    fn on_answer(&mut self, kind: &TokenType, response: &Response, turn: &mut Turn) {
        let error = match RevokeToken::read(response) {
            Ok(()) => {
                self.account.end_session();
                return finish(Ok(self.account.clone()), turn);
            }
            Err(error) => error,
        };
        let is_other_kind = error.code() == Some(&OAuthErrorCode::UnsupportedTokenType);
        if is_other_kind && *kind == TokenType::RefreshToken {
            return self.send(TokenType::AccessToken, turn);
        }
        let oauth = self.account.oauth.as_ref();
        let issuer = oauth.map(|oauth| oauth.issuer.clone()).unwrap_or_default();
        let error = AuthError::from_oauth(&self.account.server, issuer, error);
        finish(Err(error), turn);
    }
}

fn effect_of(kind: &TokenType) -> EffectId {
    EffectId(if *kind == TokenType::RefreshToken {
        1
    } else {
        2
    })
}

impl Machine for OAuthLogout {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<Account>;

    fn step(&mut self, _: &mut StepContext<'_>, input: Input) -> Turn {
        let mut turn = Step::default();
        match (input, self.sent.take()) {
            (Input::Start, _) => {
                let kind = match self.account.refresh_token {
                    Some(_) => TokenType::RefreshToken,
                    None => TokenType::AccessToken,
                };
                self.send(kind, &mut turn);
            }
            (Input::Outcome(id, outcome), Some(kind)) if id == effect_of(&kind) => {
                match no_answer(&self.account, outcome) {
                    Ok(response) => self.on_answer(&kind, &response, &mut turn),
                    Err(error) => finish(Err(error), &mut turn),
                }
            }
            (_, sent) => self.sent = sent,
        }
        turn
    }
}

impl Conversation for OAuthLogout {
    type Output = Account;
}
