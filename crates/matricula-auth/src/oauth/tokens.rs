//! The end: tokens are kept, and the homeserver tells whose they are.

use matricula_api::{ApiError, Endpoint, ErrorCode, client::whoami::WhoAmI, oauth::TokenResponse};
use matricula_core::{Secret, StepContext, Timestamp, scheduler::Outcome, secret::exposed};
use serde::{Deserialize, Serialize};

use super::{
    login::{OAuthLogin, Phase, Turn},
    session::OAuthSession,
};
use crate::{
    Account, AuthError,
    account::{expiry, renewal},
};

/// What the OAuth 2.0 server gave, before it is known whose it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Tokens {
    #[serde(with = "exposed")]
    access_token: Secret,
    #[serde(with = "exposed", default)]
    refresh_token: Option<Secret>,
    expires_at: Option<Timestamp>,
    #[serde(default)]
    renew_at: Option<Timestamp>,
}

impl OAuthLogin {
    /// Keeps the tokens, and asks whose they are.
    pub(super) fn take(&mut self, now: Timestamp, answer: TokenResponse, turn: &mut Turn) {
        if !answer.token_type.eq_ignore_ascii_case("bearer") {
            let server = self.server().clone();
            let kind = &answer.token_type;
            let what = format!("its OAuth 2.0 server gives tokens of the type {kind:?}");
            return self.end(Err(AuthError::NotMatrix { server, what }), turn);
        }
        let tokens = Tokens {
            access_token: answer.access_token,
            refresh_token: answer.refresh_token,
            expires_at: expiry(now, answer.expires_in),
            renew_at: renewal(now, answer.expires_in),
        };
        self.ask_who(tokens, turn);
    }

    pub(super) fn ask_who(&mut self, tokens: Tokens, turn: &mut Turn) {
        let job = WhoAmI::default()
            .job(self.server())
            .with_token(tokens.access_token.clone());
        self.phase = Phase::WhoAmI(tokens);
        self.send(job, turn);
    }

    pub(super) fn on_who(
        &mut self,
        cx: &mut StepContext<'_>,
        tokens: Tokens,
        outcome: Outcome,
        turn: &mut Turn,
    ) {
        let phase = Phase::WhoAmI(tokens.clone());
        let response = match outcome {
            Outcome::Responded(response) => response,
            Outcome::Failed(error) | Outcome::InDoubt(error) => {
                let error = self.unreachable(error);
                return self.pause(phase, error, turn);
            }
            _ => return self.pause(phase, AuthError::Cancelled, turn),
        };
        match WhoAmI::read(&response) {
            Ok(owner) => {
                let (server, data) = self.account_data();
                let oauth = self.session();
                let account = Account {
                    user_id: owner.user_id,
                    server,
                    device_id: owner.device_id.or_else(|| self.device_id.clone()),
                    access_token: Some(tokens.access_token),
                    refresh_token: tokens.refresh_token,
                    expires_at: tokens.expires_at,
                    renew_at: tokens.renew_at,
                    previous_refresh_token: None,
                    password: None,
                    is_guest: owner.is_guest.unwrap_or_default(),
                    oauth,
                    data,
                };
                self.end(Ok(account), turn);
            }
            Err(ApiError::Matrix(error)) if error.code == ErrorCode::UnknownToken => {
                let why = "the tokens are not good any more".to_owned();
                self.begin_again(cx, why, turn);
            }
            // The tokens are kept: nobody else could give them back.
            Err(error) => {
                let error = AuthError::from_api(self.server(), error);
                self.pause(phase, error, turn);
            }
        }
    }

    fn session(&self) -> Option<OAuthSession> {
        let (provider, client) = (self.provider.as_ref()?, self.client.as_ref()?);
        Some(OAuthSession {
            issuer: provider.issuer.clone(),
            client_id: client.client_id.clone(),
            client_secret: client.client_secret.clone(),
            token_endpoint: provider.token_endpoint.clone(),
            revocation_endpoint: provider.revocation_endpoint.clone(),
            account_management_uri: provider.account_management_uri.clone(),
        })
    }
}
