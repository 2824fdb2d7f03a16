//! Errors of login: with a password, by single sign-on, at an OAuth 2.0 server.

use matricula_api::oauth::{OAuthErrorCode, OAuthErrorResponse, ScopeError};
use matricula_core::{Secret, ServerUrl};

use super::{ServerError, says};

/// Why a login with a password or by single sign-on fails.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The page of single sign-on.
    #[error(transparent)]
    Browser(#[from] BrowserError),
    /// The username or the password is wrong.
    #[error("{server} does not know this user name with this password{}", says(.message))]
    WrongPassword {
        /// The server.
        server: ServerUrl,
        /// The server's message.
        message: String,
    },
    /// There is no password, and no person to ask for it.
    #[error("{server} needs the password of {user}; give it")]
    PasswordNeeded {
        /// The server.
        server: ServerUrl,
        /// The user, as it was named.
        user: String,
    },
    /// The server has no login with a password.
    #[error("{server} has no sign-in by password, only {}", .offers.join(", "))]
    NoPasswordLogin {
        /// The server.
        server: ServerUrl,
        /// What it offers instead.
        offers: Vec<String>,
    },
}

/// Why a page in a browser led to no login.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BrowserError {
    /// A person must open a page.
    #[error("a person must open a page of {issuer} in a browser; resume this login then")]
    BrowserNeeded {
        /// The server of the page.
        issuer: String,
        /// The page. It contains a secret: show it to this person only.
        url: Secret,
    },
    /// The browser came back with something else too often.
    #[error("the browser did not come back with the response of {issuer} ({what}); begin again")]
    WrongCallback {
        /// The server of the page.
        issuer: String,
        /// What was wrong.
        what: String,
    },
}

/// Why a login at an OAuth 2.0 server fails.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OAuthLoginError {
    /// The homeserver, or a malformed response of its OAuth 2.0 server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The page of the OAuth 2.0 server.
    #[error(transparent)]
    Browser(#[from] BrowserError),
    /// The OAuth 2.0 server refused.
    #[error(transparent)]
    OAuthRefused(#[from] OAuthRefusal),
    /// The homeserver has no OAuth 2.0 server.
    #[error("{server} delegates to no OAuth 2.0 server; use another method")]
    NoOAuth {
        /// The homeserver.
        server: ServerUrl,
    },
    /// The OAuth 2.0 server does not let the public sign up.
    #[error(
        "{issuer} does not let people sign up; sign in if you have an account, ask its administrators for one, or choose another server"
    )]
    SignUpClosed {
        /// The OAuth 2.0 server.
        issuer: String,
    },
    /// OAuth 2.0 servers do not accept the device id.
    #[error("{0}; or leave it out to get a new device")]
    DeviceId(#[from] ScopeError),
    /// The address cannot be a redirect URI.
    #[error(
        "{address:?} cannot be a redirect URI; give http://127.0.0.1:PORT/, an https:// address, or one of the program's own scheme"
    )]
    RedirectAddress {
        /// The address.
        address: String,
    },
    /// The device code was not entered in time.
    #[error("the code for {issuer} was not entered in time; begin again")]
    CodeExpired {
        /// The OAuth 2.0 server.
        issuer: String,
    },
    /// The server declares what it issued invalid over and over.
    #[error("{server} keeps asking for authentication without end; tell its administrators")]
    Endless {
        /// The homeserver.
        server: ServerUrl,
    },
}

/// A refusal of an OAuth 2.0 server.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{issuer} refused: {refusal}{}", advice(.refusal))]
#[non_exhaustive]
pub struct OAuthRefusal {
    /// The OAuth 2.0 server.
    pub issuer: String,
    /// Its error response.
    pub refusal: Box<OAuthErrorResponse>,
}

impl OAuthRefusal {
    pub(crate) fn new(issuer: String, refusal: OAuthErrorResponse) -> Self {
        let refusal = Box::new(refusal);
        Self { issuer, refusal }
    }
}

fn advice(refusal: &OAuthErrorResponse) -> &'static str {
    match refusal.code {
        OAuthErrorCode::AccessDenied => "; begin again, and allow it on its page",
        OAuthErrorCode::ServerError | OAuthErrorCode::TemporarilyUnavailable => "; try again later",
        _ => "; begin again",
    }
}
