//! Why the administration of accounts fails.

use matricula_api::UserId;
use matricula_auth::{
    AppserviceError, AuthError, LoginError, RegisterError, ServerError, SessionError, ThreepidError,
};
use matricula_core::ServerUrl;

/// Why creating an account as an administrator, or a bulk run, fails.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// An error that registration, login or a session can have too.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The server makes no accounts by a shared secret.
    #[error("{server} makes no accounts by a shared secret{}; set one in its configuration, if it can have one", says(.message))]
    NoSharedSecret {
        /// The server.
        server: ServerUrl,
        /// The server's message.
        message: String,
    },
    /// The shared secret is wrong.
    #[error("{server} has another shared secret{}; take the one in its configuration", says(.message))]
    SharedSecretWrong {
        /// The server.
        server: ServerUrl,
        /// The server's message.
        message: String,
    },
    /// Only administrators may do this.
    #[error("{user_id} is not an administrator of {server}; use the account of an administrator")]
    NotAnAdministrator {
        /// The server.
        server: ServerUrl,
        /// The account that was used.
        user_id: UserId,
    },
    /// The server has no administration API like Synapse's.
    #[error("{server} cannot be administered as Synapse can; do this with its own tools")]
    NoAdministration {
        /// The server.
        server: ServerUrl,
    },
}

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

fn says(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message:?}")
    }
}
