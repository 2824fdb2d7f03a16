//! The token endpoint and token revocation.

use std::time::Duration;

use matricula_core::{Api, Job, Method, Operation, Response, RetrySafety, Secret};

use super::{
    CodeVerifier, EndpointUrlError, OAuthEndpoint, OAuthError, Scope, endpoint_url::form_job,
};
use crate::{
    codec::{self, text_enum},
    object::object,
};

const TOKENS: &[&str] = &["/access_token", "/refresh_token", "/id_token"];

/// Exchanges the code of the callback for tokens: the [authorization code grant].
///
/// [authorization code grant]: https://spec.matrix.org/v1.19/client-server-api/#authorization-code-grant
#[derive(Clone, Debug, PartialEq)]
pub struct AuthorizationCodeGrant {
    /// The code that [`read_callback`](super::read_callback) returned.
    pub code: Secret,
    /// As in the [`AuthorizationRequest`](super::AuthorizationRequest).
    pub redirect_uri: String,
    /// The client id that the server assigned.
    pub client_id: String,
    /// The verifier of the request's code challenge.
    pub code_verifier: CodeVerifier,
    /// The client secret, if the server assigned one.
    pub client_secret: Option<Secret>,
}

impl AuthorizationCodeGrant {
    /// Creates a value from the required fields.
    pub fn new(
        code: impl Into<Secret>,
        redirect_uri: impl Into<String>,
        client_id: impl Into<String>,
        code_verifier: CodeVerifier,
    ) -> Self {
        Self {
            code: code.into(),
            redirect_uri: redirect_uri.into(),
            client_id: client_id.into(),
            code_verifier,
            client_secret: None,
        }
    }

    /// Sets `client_secret`.
    #[must_use]
    pub fn client_secret(mut self, client_secret: impl Into<Secret>) -> Self {
        self.client_secret = Some(client_secret.into());
        self
    }
}

impl OAuthEndpoint for AuthorizationCodeGrant {
    const OPERATION: Operation = Operation::new(
        Api::Client,
        "oauthAuthorizationCodeGrant",
        Method::Post,
        "{token_endpoint}",
    )
    .with_secrets(&["/code", "/code_verifier", "/client_secret"], TOKENS)
    .with_since("1.15");

    type Response = TokenResponse;

    #[inline]
    fn job(&self, address: &str) -> Result<Job, EndpointUrlError> {
        let fields = [
            ("grant_type", Some("authorization_code")),
            ("code", Some(self.code.expose())),
            ("redirect_uri", Some(self.redirect_uri.as_str())),
            ("client_id", Some(self.client_id.as_str())),
            ("code_verifier", Some(self.code_verifier.expose())),
            (
                "client_secret",
                self.client_secret.as_ref().map(Secret::expose),
            ),
        ];
        form_job(address, &Self::OPERATION, fields)
    }

    #[inline]
    fn read_success(response: &Response) -> Result<TokenResponse, OAuthError> {
        Ok(codec::read(response)?)
    }
}

/// Renews an access token: the [refresh token grant].
///
/// After a 5xx status or without a response, the old refresh token stays valid. A 4xx status means
/// that the session has ended.
///
/// [refresh token grant]: https://spec.matrix.org/v1.19/client-server-api/#refresh-token-grant
#[derive(Clone, Debug, PartialEq)]
pub struct RefreshTokenGrant {
    /// The latest refresh token.
    pub refresh_token: Secret,
    /// The client id that the server assigned.
    pub client_id: String,
    /// The client secret, if the server assigned one.
    pub client_secret: Option<Secret>,
}

impl RefreshTokenGrant {
    /// Creates a value from the required fields.
    pub fn new(refresh_token: impl Into<Secret>, client_id: impl Into<String>) -> Self {
        Self {
            refresh_token: refresh_token.into(),
            client_id: client_id.into(),
            client_secret: None,
        }
    }

    /// Sets `client_secret`.
    #[must_use]
    pub fn client_secret(mut self, client_secret: impl Into<Secret>) -> Self {
        self.client_secret = Some(client_secret.into());
        self
    }
}

impl OAuthEndpoint for RefreshTokenGrant {
    // Servers must accept the same token twice, because a response may be lost.
    const OPERATION: Operation = Operation::new(
        Api::Client,
        "oauthRefreshTokenGrant",
        Method::Post,
        "{token_endpoint}",
    )
    .with_secrets(&["/refresh_token", "/client_secret"], TOKENS)
    .with_retry_safety(RetrySafety::Idempotent)
    .with_since("1.15");

    type Response = TokenResponse;

    #[inline]
    fn job(&self, address: &str) -> Result<Job, EndpointUrlError> {
        let fields = [
            ("grant_type", Some("refresh_token")),
            ("refresh_token", Some(self.refresh_token.expose())),
            ("client_id", Some(self.client_id.as_str())),
            (
                "client_secret",
                self.client_secret.as_ref().map(Secret::expose),
            ),
        ];
        form_job(address, &Self::OPERATION, fields)
    }

    #[inline]
    fn read_success(response: &Response) -> Result<TokenResponse, OAuthError> {
        Ok(codec::read(response)?)
    }
}

/// Polls for the user's decision on the other device: the [device authorization grant].
///
/// [`AuthorizationPending`](super::OAuthErrorCode::AuthorizationPending) and
/// [`SlowDown`](super::OAuthErrorCode::SlowDown) mean that the client must poll again.
///
/// [device authorization grant]: https://spec.matrix.org/v1.19/client-server-api/#device-authorisation-grant
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceCodeGrant {
    /// The code of the [`DeviceAuthorization`](super::DeviceAuthorization).
    pub device_code: Secret,
    /// The client id that the server assigned.
    pub client_id: String,
    /// The client secret, if the server assigned one.
    pub client_secret: Option<Secret>,
}

impl DeviceCodeGrant {
    /// Creates a value from the required fields.
    pub fn new(device_code: impl Into<Secret>, client_id: impl Into<String>) -> Self {
        Self {
            device_code: device_code.into(),
            client_id: client_id.into(),
            client_secret: None,
        }
    }

    /// Sets `client_secret`.
    #[must_use]
    pub fn client_secret(mut self, client_secret: impl Into<Secret>) -> Self {
        self.client_secret = Some(client_secret.into());
        self
    }
}

impl OAuthEndpoint for DeviceCodeGrant {
    const OPERATION: Operation = Operation::new(
        Api::Client,
        "oauthDeviceCodeGrant",
        Method::Post,
        "{token_endpoint}",
    )
    .with_secrets(&["/device_code", "/client_secret"], TOKENS)
    .with_since("1.18");

    type Response = TokenResponse;

    #[inline]
    fn job(&self, address: &str) -> Result<Job, EndpointUrlError> {
        let fields = [
            ("grant_type", Some(super::GrantType::DeviceCode.as_str())),
            ("device_code", Some(self.device_code.expose())),
            ("client_id", Some(self.client_id.as_str())),
            (
                "client_secret",
                self.client_secret.as_ref().map(Secret::expose),
            ),
        ];
        form_job(address, &Self::OPERATION, fields)
    }

    #[inline]
    fn read_success(response: &Response) -> Result<TokenResponse, OAuthError> {
        Ok(codec::read(response)?)
    }
}

object! {
    /// The tokens. `whoami` returns the account.
    pub struct TokenResponse {
        required {
            /// The access token for requests to the homeserver.
            access_token: Secret = "access_token" as secret,
        }
        optional {
            /// `Bearer`, in any case. Clients cannot use other types. The RFC requires it; an answer without it
            /// has tokens all the same.
            token_type: String = "token_type" as text,
            /// How long the access token is valid.
            expires_in: Duration = "expires_in" as seconds,
            /// The new refresh token. If absent, the old one stays valid.
            refresh_token: Secret = "refresh_token" as secret,
            /// The granted scope, if it differs from the requested one.
            scope: Scope = "scope" as text,
        }
    }
}

/// [Revokes a token], which ends the session: this is how to log out.
///
/// [Revokes a token]: https://spec.matrix.org/v1.19/client-server-api/#token-revocation
#[derive(Clone, Debug, PartialEq)]
pub struct RevokeToken {
    /// The access token or the refresh token.
    pub token: Secret,
    /// Which of the two it is.
    pub token_type_hint: Option<TokenType>,
    /// The client id that the server assigned.
    pub client_id: Option<String>,
}

impl RevokeToken {
    /// Creates a value from the required fields.
    pub fn new(token: impl Into<Secret>) -> Self {
        Self {
            token: token.into(),
            token_type_hint: None,
            client_id: None,
        }
    }

    /// Sets `token_type_hint`.
    #[must_use]
    pub fn token_type_hint(mut self, token_type_hint: TokenType) -> Self {
        self.token_type_hint = Some(token_type_hint);
        self
    }

    /// Sets `client_id`.
    #[must_use]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }
}

impl OAuthEndpoint for RevokeToken {
    // Revoking a revoked token is a success.
    const OPERATION: Operation = Operation::new(
        Api::Client,
        "oauthRevokeToken",
        Method::Post,
        "{revocation_endpoint}",
    )
    .with_secrets(&["/token"], &[])
    .with_retry_safety(RetrySafety::Idempotent)
    .with_since("1.15");

    type Response = ();

    #[inline]
    fn job(&self, address: &str) -> Result<Job, EndpointUrlError> {
        let fields = [
            ("token", Some(self.token.expose())),
            (
                "token_type_hint",
                self.token_type_hint.as_ref().map(TokenType::as_str),
            ),
            ("client_id", self.client_id.as_deref()),
        ];
        form_job(address, &Self::OPERATION, fields)
    }

    #[inline]
    fn read_success(_: &Response) -> Result<(), OAuthError> {
        Ok(())
    }
}

text_enum! {
    /// The two kinds of token.
    pub enum TokenType {
        /// The access token.
        AccessToken = "access_token",
        /// The refresh token.
        RefreshToken = "refresh_token",
    }
}
