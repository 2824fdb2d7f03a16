//! How an authorization server refuses.

use std::{fmt, time::Duration};

use matricula_core::Response;
use serde_json::Value;

use crate::{ApiError, Extra, codec::text_enum, error};

/// The failure of a request to an authorization server.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OAuthError {
    /// The server refused, in the form of [OAuth 2.0].
    ///
    /// [OAuth 2.0]: https://datatracker.ietf.org/doc/html/rfc6749#section-5.2
    #[error("{0}")]
    Refused(OAuthErrorResponse),
    /// Any other failure: an invalid response, a proxy, an error in Matrix's form.
    #[error(transparent)]
    Other(#[from] ApiError),
}

impl OAuthError {
    /// The code, if the server refused in the form of OAuth 2.0.
    pub fn code(&self) -> Option<&OAuthErrorCode> {
        match self {
            Self::Refused(refusal) => Some(&refusal.code),
            Self::Other(_) => None,
        }
    }
}

/// An error response of an authorization server.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OAuthErrorResponse {
    /// The HTTP status; `None` for an error in a callback URL.
    pub status: Option<u16>,
    /// The error code.
    pub code: OAuthErrorCode,
    /// The description, for developers.
    pub description: Option<String>,
    /// A page with further information. Chosen by the server: check the scheme before opening it.
    pub uri: Option<String>,
    /// How long to wait, if the server says so.
    pub retry_after: Option<Duration>,
    /// All other fields.
    pub extra: Extra,
}

impl fmt::Display for OAuthErrorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        match &self.description {
            Some(description) => write!(f, ": {description}"),
            None => Ok(()),
        }
    }
}

impl OAuthErrorResponse {
    /// The refusal among these fields, if `error` is there.
    pub(super) fn from_fields(mut fields: Extra) -> Option<Self> {
        let mut text = |name: &str| match fields.get(name) {
            Some(Value::String(_)) => match fields.remove(name) {
                Some(Value::String(text)) => Some(text),
                _ => None,
            },
            // Stored in `extra`, because it is not a string.
            _ => None,
        };
        let code = OAuthErrorCode::from(text("error")?.as_str());
        let (description, uri) = (text("error_description"), text("error_uri"));
        Some(Self {
            status: None,
            code,
            description,
            uri,
            retry_after: None,
            extra: fields,
        })
    }
}

/// The failure that `response` reports; `None` for a success.
pub(super) fn read(response: &Response) -> Option<OAuthError> {
    // Standard errors of Matrix also have a field `error`, which is not a code.
    let fields = match response.json_body() {
        _ if response.success() => None,
        Some(Value::Object(fields)) if !fields.contains_key("errcode") => Some(fields),
        _ => None,
    };
    let refusal = fields.and_then(|fields| OAuthErrorResponse::from_fields(fields.into()));
    match refusal {
        Some(refusal) => Some(OAuthError::Refused(OAuthErrorResponse {
            status: Some(response.status_code()),
            retry_after: response.retry_after(),
            ..refusal
        })),
        None => error::read(response).map(OAuthError::Other),
    }
}

text_enum! {
    /// The kind of a [`OAuthErrorResponse`].
    pub enum OAuthErrorCode {
        /// The person or the server denied it.
        AccessDenied = "access_denied",
        /// Ask again: the person has not decided yet.
        AuthorizationPending = "authorization_pending",
        /// The device code is too old: begin again.
        ExpiredToken = "expired_token",
        /// The client is unknown, or must authenticate.
        InvalidClient = "invalid_client",
        /// The client's description of itself is not acceptable.
        InvalidClientMetadata = "invalid_client_metadata",
        /// The code, verifier or refresh token is not valid, or no longer.
        InvalidGrant = "invalid_grant",
        /// An address to come back to is not acceptable.
        InvalidRedirectUri = "invalid_redirect_uri",
        /// Something in the request is missing or wrong.
        InvalidRequest = "invalid_request",
        /// The scope is unknown or not allowed.
        InvalidScope = "invalid_scope",
        /// The vouching for the client's software is not valid.
        InvalidSoftwareStatement = "invalid_software_statement",
        /// The server failed.
        ServerError = "server_error",
        /// Ask again, and from now on five seconds slower.
        SlowDown = "slow_down",
        /// The server has too much to do, or is being worked on.
        TemporarilyUnavailable = "temporarily_unavailable",
        /// The server does not accept the client's software.
        UnapprovedSoftwareStatement = "unapproved_software_statement",
        /// The client may not do this.
        UnauthorizedClient = "unauthorized_client",
        /// The server has no such grant.
        UnsupportedGrantType = "unsupported_grant_type",
        /// The server does not support this grant or response type.
        UnsupportedResponseType = "unsupported_response_type",
        /// The server does not revoke tokens of this kind.
        UnsupportedTokenType = "unsupported_token_type",
    }
}
