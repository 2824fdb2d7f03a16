//! The request that exchanges a refresh token, in either API, and what its answer means.

use std::time::Duration;

use matricula_api::{
    ApiError, Endpoint, ErrorCode,
    client::refresh::Refresh,
    oauth::{OAuthEndpoint, OAuthError, OAuthErrorCode, RefreshTokenGrant},
};
use matricula_core::{Job, Response, Secret, scheduler::Outcome};

use crate::{Account, AuthError};

/// What a server gave for a refresh token.
#[derive(Clone, Debug)]
pub(super) struct TokenPair {
    pub(super) access: Secret,
    pub(super) refresh: Option<Secret>,
    pub(super) lifetime: Option<Duration>,
}

/// Why it gave nothing.
pub(super) enum ExchangeError {
    /// It does not take this token any more.
    Refused { soft_logout: bool, what: String },
    /// It may give it another time, at the earliest after this long.
    Passing(AuthError, Option<Duration>),
    /// Asking again would not help.
    Lasting(AuthError),
}

/// The request that exchanges this refresh token.
pub(super) fn job(account: &Account, refresh_token: Secret) -> Result<Job, AuthError> {
    let Some(oauth) = &account.oauth else {
        return Ok(Refresh::new(refresh_token).job(&account.server));
    };
    let grant = RefreshTokenGrant {
        client_secret: oauth.client_secret.clone(),
        ..RefreshTokenGrant::new(refresh_token, oauth.client_id.clone())
    };
    let job = grant.job(&oauth.token_endpoint);
    job.map_err(|error| AuthError::NotMatrix {
        server: account.server.clone(),
        what: error.to_string(),
    })
}

/// What became of it.
pub(super) fn read(account: &Account, outcome: Outcome) -> Result<TokenPair, ExchangeError> {
    let response = match outcome {
        Outcome::Responded(response) => response,
        Outcome::Failed(error) | Outcome::InDoubt(error) => {
            let server = account.server.clone();
            let is_passing = error.kind.is_transient();
            let error = AuthError::Unreachable { server, error };
            return Err(match is_passing {
                true => ExchangeError::Passing(error, None),
                false => ExchangeError::Lasting(error),
            });
        }
        _ => return Err(ExchangeError::Lasting(AuthError::Cancelled)),
    };
    match &account.oauth {
        None => read_matrix(account, &response),
        Some(oauth) => read_oauth(account, &oauth.issuer, &response),
    }
}

fn read_matrix(account: &Account, response: &Response) -> Result<TokenPair, ExchangeError> {
    match Refresh::read(response) {
        Ok(answer) => Ok(TokenPair {
            access: answer.access_token,
            refresh: answer.refresh_token,
            lifetime: answer.expires_in_ms,
        }),
        Err(ApiError::Matrix(error)) if error.code == ErrorCode::UserLocked => {
            Err(ExchangeError::Lasting(AuthError::UserLocked {
                server: account.server.clone(),
                user_id: account.user_id.clone(),
                message: error.message,
            }))
        }
        Err(ApiError::Matrix(error)) if is_meant(error.status, &error.code) => {
            Err(ExchangeError::Refused {
                soft_logout: error.extra.get("soft_logout") == Some(&true.into()),
                what: error.to_string(),
            })
        }
        Err(error) => Err(other(account, response, error)),
    }
}

/// Whether a refusal is about the token. What else a 4xx may say, such as that there is no such path,
/// is none.
fn is_meant(status: u16, code: &ErrorCode) -> bool {
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
    let error = match RefreshTokenGrant::read(response) {
        Ok(answer) => {
            return Ok(TokenPair {
                access: answer.access_token,
                refresh: answer.refresh_token,
                lifetime: answer.expires_in,
            });
        }
        Err(OAuthError::Refused(refusal)) => refusal,
        Err(OAuthError::Other(error)) => return Err(other(account, response, error)),
        Err(error) => {
            let issuer = issuer.to_owned();
            let error = AuthError::from_oauth(&account.server, issuer, error);
            return Err(ExchangeError::Lasting(error));
        }
    };
    let codes = [
        Code::InvalidGrant,
        Code::InvalidClient,
        Code::UnauthorizedClient,
    ];
    if (400..500).contains(&response.status_code()) && codes.contains(&error.code) {
        return Err(ExchangeError::Refused {
            soft_logout: false,
            what: error.to_string(),
        });
    }
    let wait = error.retry_after;
    let is_passing = is_passing(response.status_code());
    let error = AuthError::OAuthRefused {
        issuer: issuer.to_owned(),
        refusal: Box::new(error),
    };
    Err(match is_passing {
        true => ExchangeError::Passing(error, wait),
        false => ExchangeError::Lasting(error),
    })
}

fn other(account: &Account, response: &Response, error: ApiError) -> ExchangeError {
    // A success that was cut short was one all the same: the old token still gets another pair.
    let is_passing = response.success() || is_passing(response.status_code());
    let error = AuthError::from_api(&account.server, error);
    match is_passing {
        true => ExchangeError::Passing(error, response.retry_after()),
        false => ExchangeError::Lasting(error),
    }
}

/// Whether a status stands for trouble that passes, and is no verdict on the token.
fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 425 | 429) || status >= 500
}
