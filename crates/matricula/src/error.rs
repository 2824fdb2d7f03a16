//! How the facade can fail.

use matricula_api::ApiError;
use matricula_auth::{AddressError, AuthError};
use matricula_job::TransportError;

use crate::StoreError;

/// Why what was asked for did not come about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server's name is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Registering, signing in or discovery failed.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The server refused a request.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A request got no answer.
    #[error("{0}; check the network, and try again")]
    Transport(TransportError),
    /// A request got no answer, and the server may have acted on it.
    #[error("{0}; the server may have acted on the request")]
    InDoubt(TransportError),
    /// Something could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no session to do it in.
    #[error("{user_id} is not signed in; sign in first")]
    NoSession {
        /// Whose account.
        user_id: String,
    },
    /// The token cannot be renewed, for the server gave none that renews it.
    #[error("{user_id} has no refresh token; sign in again")]
    NoRefreshToken {
        /// Whose account.
        user_id: String,
    },
}
