//! The error of the facade.

use std::path::PathBuf;

use matricula_api::{ApiError, IdError};
use matricula_auth::{
    AccountError, AppserviceError, AuthError, AuthMethod, DiscoveryError, LoginError,
    OAuthLoginError, RegisterError, ServerAddressError, ServerError, SessionError, UiaError,
};
use matricula_core::{StoreError, TransportError};

use crate::AccountStoreError;

/// Why an operation of this crate failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text does not name a server.
    #[error(transparent)]
    Address(#[from] ServerAddressError),
    /// The text is not a user ID.
    #[error(transparent)]
    UserId(#[from] IdError),
    /// A login has no user.
    #[error("no user is named; log in to a user ID like @alice:example.org, or give a user name")]
    NoUser,
    /// The named method cannot be used with the other options of the login.
    #[error("login by {method} is not possible: {why}")]
    MethodUnavailable {
        /// The named method.
        method: AuthMethod,
        /// What contradicts it, or is missing.
        why: &'static str,
    },
    /// Registration, login or discovery failed.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The administration of accounts failed.
    #[cfg(feature = "admin")]
    #[error(transparent)]
    Admin(matricula_admin::AdminError),
    /// The server refused a request.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A request got no response.
    #[error("{0}; check the network, and try again")]
    Transport(TransportError),
    /// A request got no response, and the server may have processed it.
    #[error("{0}; the server may have acted on the request")]
    InDoubt(TransportError),
    /// A store could not be read or written. The source of the error of an
    /// [`AccountStore`](crate::AccountStore) is an [`AccountStoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This program cannot receive the callback of a browser.
    #[error("no port of 127.0.0.1 can be opened ({0}); a browser could not be led back here")]
    Browser(std::io::Error),
    /// The store has no such account.
    #[error("no account {}is stored in {}; register or log in first", .user_id.as_ref().map_or_else(String::new, |user_id| format!("{user_id} ")), .path.display())]
    NoAccount {
        /// The user ID; `None` for the default account.
        user_id: Option<String>,
        /// The file of the store.
        path: PathBuf,
    },
    /// No home directory is known.
    #[error("no home directory is known; name one with --home DIR or MATRICULA_HOME")]
    NoHome,
}

/// The errors of single operations, as the one [`AuthError`] that holds them all.
macro_rules! from_auth {
    ($($error:ty),*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::Auth(error.into())
            }
        }
    )*};
}

from_auth!(
    AccountError,
    AppserviceError,
    DiscoveryError,
    LoginError,
    OAuthLoginError,
    RegisterError,
    ServerError,
    SessionError,
    UiaError
);

#[cfg(feature = "admin")]
impl From<matricula_admin::AdminError> for Error {
    fn from(error: matricula_admin::AdminError) -> Self {
        match error {
            matricula_admin::AdminError::Auth(error) => Self::Auth(error),
            error => Self::Admin(error),
        }
    }
}

impl From<AccountStoreError> for Error {
    fn from(error: AccountStoreError) -> Self {
        Self::Store(error.into())
    }
}
