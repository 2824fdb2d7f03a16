//! The error of this crate.

use matricula_api::UserId;
use matricula_auth::{
    AppserviceError, AuthError, LoginError, RegisterError, ServerError, SessionError, ThreepidError,
};
use matricula_core::ServerUrl;

/// Why the creation of an account by an administrator, or a bulk run, fails.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// An error that registration, login or a session can have too.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The server has no registration by shared secret.
    #[error("{server} has no registration by shared secret{}; set a secret in its configuration, if it supports that", says(.message))]
    NoSharedSecret {
        /// The server.
        server: ServerUrl,
        /// The server's message.
        message: String,
    },
    /// The shared secret is wrong.
    #[error("{server} has another shared secret{}; use the one in its configuration", says(.message))]
    SharedSecretWrong {
        /// The server.
        server: ServerUrl,
        /// The server's message.
        message: String,
    },
    /// The account is not an administrator's.
    #[error("{user_id} is not an administrator of {server}{}; use the account of an administrator", says(.message))]
    NotAnAdministrator {
        /// The server.
        server: ServerUrl,
        /// The account that was used.
        user_id: UserId,
        /// The server's message.
        message: String,
    },
    /// The server's administrators cannot create users.
    #[error("{server} does not let its administrators create users{}; use the server's own tools", says(.message))]
    NoUserCreation {
        /// The server.
        server: ServerUrl,
        /// The server's message.
        message: String,
    },
    /// The server does not have Synapse's admin API, or not this part of it.
    #[error("{server} does not have Synapse's admin API, or not this part of it{}; use the server's own tools", says(.message))]
    NoAdministration {
        /// The server.
        server: ServerUrl,
        /// The server's message.
        message: String,
    },
}

/// Conversions of errors that [`AuthError`] contains.
macro_rules! from_auth {
    ($($error:ty),*) => {$(
        impl From<$error> for AdminError {
            fn from(error: $error) -> Self {
                Self::Auth(error.into())
            }
        }
    )*};
}

from_auth!(
    ServerError,
    RegisterError,
    AppserviceError,
    LoginError,
    SessionError,
    ThreepidError
);

/// The server's message after a colon, if there is one.
fn says(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message:?}")
    }
}
