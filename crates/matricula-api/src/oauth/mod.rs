//! By hand, as only prose defines it: [OAuth 2.0], the requests to an authorization server and the
//! pages of it that a client opens in a browser.
//!
//! Their addresses are not on the homeserver: it names them in its [metadata], from which each
//! request takes its own URL.
//!
//! ```
//! use matricula_api::oauth::{OAuthEndpoint, RefreshTokenGrant};
//!
//! let token_endpoint = "https://account.example.org/oauth2/token";
//! let job = RefreshTokenGrant::new("tGz3JOkF0XG5Qx2TlKWIA", "s6BhdRkqt3").job(token_endpoint)?;
//! assert_eq!(job.url(), token_endpoint);
//! assert!(job.masked_body().contains("refresh_token=***"));
//! # Ok::<(), matricula_api::oauth::EndpointUrlError>(())
//! ```
//!
//! [OAuth 2.0]: https://spec.matrix.org/v1.19/client-server-api/#oauth-20-api
//! [metadata]: crate::client::oauth_server_metadata::GetAuthMetadataResponse

mod account;
mod authorization;
mod device;
mod endpoint_url;
mod error;
mod pkce;
mod registration;
mod scope;
mod token;

use matricula_core::{Job, Operation, Response};

pub use account::{AccountAction, AccountPage};
pub use authorization::{
    AuthorizationPrompt, AuthorizationRequest, CallbackError, ResponseMode, read_callback,
};
pub use device::{DeviceAuthorization, DeviceAuthorizationRequest};
pub use endpoint_url::EndpointUrlError;
pub use error::{OAuthError, OAuthErrorCode, OAuthErrorResponse};
pub use pkce::{CodeChallenge, CodeVerifier, PkceError};
pub use registration::{
    ApplicationType, ClientMetadata, ClientRegistration, GrantType, RegisterClient,
};
pub use scope::{Scope, ScopeError};
pub use token::{
    AuthorizationCodeGrant, DeviceCodeGrant, RefreshTokenGrant, RevokeToken, TokenResponse,
    TokenType,
};

/// A request to an authorization server. Like [`Endpoint`](crate::Endpoint), but for a whole
/// address, and with errors of their own form.
pub trait OAuthEndpoint {
    /// The operation. Its path is the key of the metadata that contains the URL.
    const OPERATION: Operation;

    /// The response on success.
    type Response;

    /// The request as a job for the endpoint at this address.
    ///
    /// # Errors
    /// If it is not a URL that secrets may be sent to.
    fn job(&self, address: &str) -> Result<Job, EndpointUrlError>;

    /// Reads a successful response.
    ///
    /// # Errors
    /// [`OAuthError::Other`] names the field that is not as it should be.
    fn read_success(response: &Response) -> Result<Self::Response, OAuthError>;

    /// Reads a response.
    ///
    /// # Errors
    /// Each refusal and failure, as the [`OAuthError`] it is.
    fn read(response: &Response) -> Result<Self::Response, OAuthError> {
        match error::read(response) {
            Some(error) => Err(error),
            None => Self::read_success(response),
        }
    }
}

/// All of the above: what a client requests, and the pages that it opens in a browser.
pub const OPERATIONS: &[Operation] = &[
    AccountPage::OPERATION,
    AuthorizationRequest::OPERATION,
    AuthorizationCodeGrant::OPERATION,
    DeviceAuthorizationRequest::OPERATION,
    DeviceCodeGrant::OPERATION,
    RefreshTokenGrant::OPERATION,
    RegisterClient::OPERATION,
    RevokeToken::OPERATION,
];
