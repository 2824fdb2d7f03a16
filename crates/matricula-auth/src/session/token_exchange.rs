//! The request that exchanges a refresh token, in either API, and the meaning of its response.

use std::time::Duration;

use matricula_api::{
    ApiError, Endpoint, ErrorCode,
    client::refresh::Refresh,
    oauth::{OAuthEndpoint, OAuthError, OAuthErrorCode, RefreshTokenGrant},
};
use matricula_core::{Job, Response, Secret, scheduler::Outcome};

use crate::{Account, OAuthRefusal, ServerError, SessionError, error::oauth_error};

/// New tokens.
#[derive(Clone, Debug)]
pub(super) struct TokenPair {
    pub(super) access: Secret,
    pub(super) refresh: Option<Secret>,
    pub(super) lifetime: Option<Duration>,
}

impl TokenPair {
    /// The pair, unless its access token is an empty one.
    fn checked(self, response: &Response) -> Result<Self, ApiError> {
        match self.access.expose().trim().is_empty() {
            true => Err(ApiError::Malformed {
                status: response.status_code(),
                message: "its access token is empty".to_owned(),
            }),
            false => Ok(self),
        }
    }
}

/// Why there are no new tokens.
pub(super) enum ExchangeError {
    /// The server does not accept this refresh token any more.
    Refused {
        soft_logout: bool,
        /// Whether the OAuth 2.0 server does not know the client any more.
        is_client_unknown: bool,
        what: String,
    },
    /// The error may pass; not before this time, if one is given.
    Transient(SessionError, Option<Duration>),
    /// Another request would fail the same way.
    Permanent(SessionError),
}

impl ExchangeError {
    fn new(error: impl Into<SessionError>, is_transient: bool, wait: Option<Duration>) -> Self {
        if is_transient {
            Self::Transient(error.into(), wait)
        } else {
            Self::Permanent(error.into())
        }
    }
}

/// The request that exchanges this refresh token.
pub(super) fn job(account: &Account, refresh_token: Secret) -> Result<Job, ServerError> {
    let Some(oauth) = &account.oauth else {
        return Ok(Refresh::new(refresh_token).job(&account.server));
    };
    let grant = RefreshTokenGrant {
        client_secret: oauth.client_secret.clone(),
        ..RefreshTokenGrant::new(refresh_token, oauth.client_id.clone())
    };
    let job = grant.job(&oauth.token_endpoint);
    job.map_err(|error| ServerError::not_matrix(&account.server, error))
}

/// Reads its outcome.
pub(super) fn read(account: &Account, outcome: Outcome) -> Result<TokenPair, ExchangeError> {
    let response = ServerError::response(&account.server, outcome).map_err(|error| {
        let ServerError::Unreachable { server, error } = error else {
            return ExchangeError::new(error, false, None);
        };
        let is_transient = error.kind.is_transient();
        let error = match &account.oauth {
            Some(oauth) => ServerError::oauth_unreachable(&server, &oauth.issuer, error),
            None => ServerError::unreachable(&server, error),
        };
        ExchangeError::new(error, is_transient, None)
    })?;
    match &account.oauth {
        None => read_matrix(account, &response),
        Some(oauth) => read_oauth(account, &oauth.issuer, &response),
    }
}

fn read_matrix(account: &Account, response: &Response) -> Result<TokenPair, ExchangeError> {
    match Refresh::read(response) {
        Ok(tokens) => TokenPair {
            access: tokens.access_token,
            refresh: tokens.refresh_token,
            lifetime: tokens.expires_in_ms,
        }
        .checked(response)
        .map_err(|error| other(account, response, error)),
        Err(ApiError::Matrix(error)) if error.code == ErrorCode::UserLocked => {
            Err(ExchangeError::Permanent(SessionError::UserLocked {
                server: account.server.clone(),
                user_id: account.user_id.clone(),
                message: error.message,
            }))
        }
        Err(ApiError::Matrix(error)) if is_about_the_token(error.status, &error.code) => {
            Err(ExchangeError::Refused {
                soft_logout: error.extra.get("soft_logout") == Some(&true.into()),
                is_client_unknown: false,
                what: error.to_string(),
            })
        }
        Err(error) => Err(other(account, response, error)),
    }
}

/// Whether a refusal is about the token. Other 4xx errors, such as that there is no such path, are not.
fn is_about_the_token(status: u16, code: &ErrorCode) -> bool {
    use ErrorCode as Code;
    let codes = [Code::UnknownToken, Code::Forbidden, Code::UserDeactivated];
    matches!(status, 400 | 401 | 403) && codes.contains(code)
}

fn read_oauth(
    account: &Account,
    issuer: &str,
    response: &Response,
) -> Result<TokenPair, ExchangeError> {
    use OAuthErrorCode as Code;
    let issuer = issuer.to_owned();
    let refusal = match RefreshTokenGrant::read(response) {
        Ok(tokens) => {
            return TokenPair {
                access: tokens.access_token,
                refresh: tokens.refresh_token,
                lifetime: tokens.expires_in,
            }
            .checked(response)
            .map_err(|error| other(account, response, error));
        }
        Err(OAuthError::Refused(refusal)) => refusal,
        Err(OAuthError::Other(error)) => return Err(other(account, response, error)),
        Err(error) => {
            let error = oauth_error(&account.server, issuer, error);
            return Err(ExchangeError::Permanent(error));
        }
    };
    let codes = [
        Code::InvalidGrant,
        Code::InvalidClient,
        Code::UnauthorizedClient,
    ];
    if (400..500).contains(&response.status_code()) && codes.contains(&refusal.code) {
        return Err(ExchangeError::Refused {
            soft_logout: false,
            is_client_unknown: refusal.code == Code::InvalidClient,
            what: refusal.to_string(),
        });
    }
    let (wait, is_transient) = (refusal.retry_after, is_transient(response.status_code()));
    let error = OAuthRefusal::new(issuer, refusal);
    Err(ExchangeError::new(error, is_transient, wait))
}

fn other(account: &Account, response: &Response, error: ApiError) -> ExchangeError {
    // After a success that was cut short, the old token still gets another pair.
    let is_transient = response.success() || is_transient(response.status_code());
    let error = match &account.oauth {
        Some(oauth) => oauth_error(&account.server, oauth.issuer.clone(), error.into()),
        None => SessionError::from(ServerError::from_api(&account.server, error)),
    };
    ExchangeError::new(error, is_transient, response.retry_after())
}

/// Whether a status stands for a failure that may pass, and says nothing about the token.
fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 425 | 429) || status >= 500
}
