//! Tokens: what they are got with, renewed with and given back with.

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

/// Redeems the code that the browser came back with: the [authorization code grant].
///
/// [authorization code grant]: https://spec.matrix.org/v1.19/client-server-api/#authorization-code-grant
#[derive(Clone, Debug, PartialEq)]
pub struct AuthorizationCodeGrant {
    /// What [`read_callback`](super::read_callback) found.
    pub code: Secret,
    /// As in the [`AuthorizationRequest`](super::AuthorizationRequest).
    pub redirect_uri: String,
    /// What the server named the client.
    pub client_id: String,
    /// What the request's challenge was made of.
    pub code_verifier: CodeVerifier,
    /// The client's secret, if the server gave it one.
    pub client_secret: Option<Secret>,
}

impl AuthorizationCodeGrant {
    /// With what must be there.
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

    fn read_success(response: &Response) -> Result<TokenResponse, OAuthError> {
        Ok(codec::read(response)?)
    }
}

/// Renews an access token: the [refresh token grant].
///
/// Where it fails with a 5xx status or without any answer, the old refresh token goes on; a 4xx
/// status means that the session is over.
///
/// [refresh token grant]: https://spec.matrix.org/v1.19/client-server-api/#refresh-token-grant
#[derive(Clone, Debug, PartialEq)]
pub struct RefreshTokenGrant {
    /// The refresh token that came last.
    pub refresh_token: Secret,
    /// What the server named the client.
    pub client_id: String,
    /// The client's secret, if the server gave it one.
    pub client_secret: Option<Secret>,
}

impl RefreshTokenGrant {
    /// With what must be there.
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
    // Servers must bear the same token twice: an answer may have been lost.
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

    fn read_success(response: &Response) -> Result<TokenResponse, OAuthError> {
        Ok(codec::read(response)?)
    }
}

/// Asks whether the person has decided on another device: the [device authorization grant].
///
/// [`AuthorizationPending`](super::OAuthErrorCode::AuthorizationPending) and
/// [`SlowDown`](super::OAuthErrorCode::SlowDown) mean to ask again.
///
/// [device authorization grant]: https://spec.matrix.org/v1.19/client-server-api/#device-authorisation-grant
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceCodeGrant {
    /// Of the [`DeviceAuthorization`](super::DeviceAuthorization).
    pub device_code: Secret,
    /// What the server named the client.
    pub client_id: String,
    /// The client's secret, if the server gave it one.
    pub client_secret: Option<Secret>,
}

impl DeviceCodeGrant {
    /// With what must be there.
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

    fn read_success(response: &Response) -> Result<TokenResponse, OAuthError> {
        Ok(codec::read(response)?)
    }
}

object! {
    /// What each grant gives. Whose account it is, `whoami` tells.
    pub struct TokenResponse {
        required {
            /// What requests to the homeserver are signed with.
            access_token: Secret = "access_token" as secret,
            /// `Bearer`, in whatever case; a client cannot use any other.
            token_type: String = "token_type" as text,
        }
        optional {
            /// How long the access token is valid.
            expires_in: Duration = "expires_in" as seconds,
            /// What to renew it with. Where a renewal gives none, the old one goes on.
            refresh_token: Secret = "refresh_token" as secret,
            /// What is allowed, where that is not what was asked for.
            scope: Scope = "scope" as text,
        }
    }
}

/// [Gives a token back], and with it all of the session: this is how to sign out.
///
/// [Gives a token back]: https://spec.matrix.org/v1.19/client-server-api/#token-revocation
#[derive(Clone, Debug, PartialEq)]
pub struct RevokeToken {
    /// The access token or the refresh token.
    pub token: Secret,
    /// Which of the two it is.
    pub token_type_hint: Option<TokenType>,
    /// What the server named the client.
    pub client_id: Option<String>,
}

impl RevokeToken {
    /// With what must be there.
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
    // A token that is revoked already is a success.
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

    fn read_success(_: &Response) -> Result<(), OAuthError> {
        Ok(())
    }
}

text_enum! {
    /// The two kinds of token.
    pub enum TokenType {
        /// What requests are signed with.
        AccessToken = "access_token",
        /// What access tokens are renewed with.
        RefreshToken = "refresh_token",
    }
}
