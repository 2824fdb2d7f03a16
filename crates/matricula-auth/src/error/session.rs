//! Errors of a session and of account management.

use matricula_api::UserId;
use matricula_core::ServerUrl;

use super::{OAuthRefusal, ServerError, ThreepidError, UiaError, says};

/// Why a call in a session, a renewal of its tokens or its logout fails.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The OAuth 2.0 server refused.
    #[error(transparent)]
    OAuthRefused(#[from] OAuthRefusal),
    /// The session is over: the server accepts its tokens no more.
    #[error("{by} ended the session ({what}); sign in again")]
    SignedOut {
        /// The homeserver, or its OAuth 2.0 server.
        by: String,
        /// What it said.
        what: String,
    },
    /// The tokens are not valid any more, but the device stays: see [soft logout].
    ///
    /// [soft logout]: https://spec.matrix.org/v1.19/client-server-api/#soft-logout
    #[error("{server} asks {user_id} to sign in again{}; the data of the device stays valid", on_device(.device_id))]
    SoftLogout {
        /// The server.
        server: ServerUrl,
        /// The user.
        user_id: UserId,
        /// The device to sign in as.
        device_id: Option<String>,
    },
    /// The account is [locked]: its session stays, but nothing can be done in it until it is unlocked.
    ///
    /// [locked]: https://spec.matrix.org/v1.19/client-server-api/#account-locking
    #[error("{server} has locked {user_id}{}; the session stays valid: ask its administrators, and try again later", says(.message))]
    UserLocked {
        /// The server.
        server: ServerUrl,
        /// The user.
        user_id: UserId,
        /// The server's message.
        message: String,
    },
    /// The account is [suspended]: it may read, leave rooms and do little more.
    ///
    /// [suspended]: https://spec.matrix.org/v1.19/client-server-api/#account-suspension
    #[error("{server} has suspended {user_id}, who may not do this{}; ask its administrators", says(.message))]
    UserSuspended {
        /// The server.
        server: ServerUrl,
        /// The user.
        user_id: UserId,
        /// The server's message.
        message: String,
    },
    /// The account has no session.
    #[error("{user_id} is not signed in; sign in first")]
    NotSignedIn {
        /// The user.
        user_id: UserId,
    },
    /// The session has no refresh token.
    #[error("{user_id} has no refresh token; sign in again")]
    NoRefreshToken {
        /// The user.
        user_id: UserId,
    },
    /// The new tokens could not be stored, and are therefore not used.
    #[error("the tokens of {user_id} are not renewed, because they could not be stored: {what}")]
    NotStored {
        /// The user.
        user_id: UserId,
        /// Why.
        what: String,
    },
    /// The account has no tokens of an OAuth 2.0 server.
    #[error("{user_id} has no tokens of an OAuth 2.0 server here; sign in")]
    NoOAuthSession {
        /// The user.
        user_id: UserId,
    },
}

/// Why a change of an account fails.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// The server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A stage of its authentication.
    #[error(transparent)]
    Uia(UiaError),
    /// An email address or a phone number.
    #[error(transparent)]
    Threepid(#[from] ThreepidError),
    /// The password may or may not have been changed.
    #[error(
        "{server} may have changed the password of {user_id}, and did not say whether it did ({what}); sign in with the new one, or else with the old one"
    )]
    PasswordInDoubt {
        /// The server.
        server: ServerUrl,
        /// The account.
        user_id: UserId,
        /// What happened.
        what: String,
    },
    /// Only a person can do it, on the page of the OAuth 2.0 server that manages the account.
    #[error("{issuer} manages the account, and allows this only on its own page{}", on_page(.url))]
    AccountPageNeeded {
        /// The OAuth 2.0 server.
        issuer: String,
        /// The page, if the server has one.
        url: Option<String>,
    },
}

fn on_device(device_id: &Option<String>) -> String {
    device_id.as_ref().map_or_else(String::new, |device_id| {
        format!(" on the device {device_id}")
    })
}

fn on_page(url: &Option<String>) -> String {
    match url {
        Some(url) => format!("; open {url} in a browser"),
        None => "; look for it there in a browser".to_owned(),
    }
}
