//! Why a conversation fails. Each operation has its own error; what all of them share is nested in it.
//!
//! Every message says what happened, to what, and what to do next.

mod login;
mod register;
mod session;
mod uia;

use std::time::Duration;

use matricula_api::{ApiError, ErrorCode, MatrixError, oauth::OAuthError};
use matricula_core::{Response, ServerUrl, TransportError, TransportErrorKind, scheduler::Outcome};

pub use login::{BrowserError, LoginError, OAuthLoginError, OAuthRefusal};
pub use register::{AppserviceError, RegisterError};
pub use session::{AccountError, SessionError};
pub use uia::{StagesNotSupported, ThreepidError, UiaError};

/// Any error of this crate, for callers that handle several operations alike.
///
/// The errors that operations share appear here once, whichever operation they come from.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// User-interactive authentication.
    #[error(transparent)]
    Uia(UiaError),
    /// The validation of an address.
    #[error(transparent)]
    Threepid(#[from] ThreepidError),
    /// A page in a browser.
    #[error(transparent)]
    Browser(#[from] BrowserError),
    /// The OAuth 2.0 server refused.
    #[error(transparent)]
    OAuthRefused(#[from] OAuthRefusal),
    /// Server discovery.
    #[error(transparent)]
    Discovery(DiscoveryError),
    /// Registration.
    #[error(transparent)]
    Register(RegisterError),
    /// Registration or login of an application service's user.
    #[error(transparent)]
    Appservice(AppserviceError),
    /// Login with a password or by single sign-on.
    #[error(transparent)]
    Login(LoginError),
    /// Login at an OAuth 2.0 server.
    #[error(transparent)]
    OAuth(OAuthLoginError),
    /// A session.
    #[error(transparent)]
    Session(SessionError),
    /// Account management.
    #[error(transparent)]
    Account(AccountError),
}

/// Conversions that take the shared errors out of an operation's error.
macro_rules! flatten {
    ($($from:ident { $($shared:ident),* } => $to:ident::$own:ident;)*) => {$(
        impl From<$from> for $to {
            fn from(error: $from) -> Self {
                match error {
                    $($from::$shared(shared) => Self::$shared(shared),)*
                    own => Self::$own(own),
                }
            }
        }
    )*};
}

flatten! {
    UiaError { Server } => RegisterError::Uia;
    UiaError { Server } => AccountError::Uia;
    UiaError { Server } => AuthError::Uia;
    DiscoveryError { Server } => AuthError::Discovery;
    RegisterError { Server, Uia, Threepid } => AuthError::Register;
    AppserviceError { Server } => AuthError::Appservice;
    LoginError { Server, Browser } => AuthError::Login;
    OAuthLoginError { Server, Browser, OAuthRefused } => AuthError::OAuth;
    SessionError { Server, OAuthRefused } => AuthError::Session;
    AccountError { Server, Uia, Threepid } => AuthError::Account;
}

/// Why a server gave no usable response.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The server could not be reached, or it failed.
    #[error("{}", problem(.server, .error))]
    Unreachable {
        /// The server.
        server: ServerUrl,
        /// The network error.
        error: TransportError,
    },
    /// The response is not one of a Matrix homeserver.
    #[error("{server} does not answer like a Matrix homeserver ({what}); check the address")]
    NotMatrix {
        /// The server.
        server: ServerUrl,
        /// What is wrong.
        what: String,
    },
    /// The server, or the OAuth 2.0 server that it delegates accounts to, fails for now.
    #[error("{name} is in trouble ({what}); try again later")]
    Unavailable {
        /// Which server.
        name: String,
        /// What happened.
        what: String,
    },
    /// The response is not one of an OAuth 2.0 server.
    #[error(
        "{issuer} does not answer like an OAuth 2.0 server ({what}); tell the administrators of the homeserver"
    )]
    NotOAuth {
        /// The OAuth 2.0 server.
        issuer: String,
        /// What is wrong.
        what: String,
    },
    /// The server asks to wait: its rate limit, or maintenance.
    #[error("{server} accepts no more requests for now{}", retry(.retry_after))]
    RateLimited {
        /// The server.
        server: ServerUrl,
        /// How long to wait.
        retry_after: Option<Duration>,
    },
    /// A refusal that means nothing special to the operation.
    #[error("{server} refused: {error}")]
    Refused {
        /// The server.
        server: ServerUrl,
        /// The server's error.
        error: Box<MatrixError>,
    },
    /// The conversation was cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl ServerError {
    /// [`ServerError::NotMatrix`].
    pub(crate) fn not_matrix(server: &ServerUrl, what: impl ToString) -> Self {
        Self::NotMatrix {
            server: server.clone(),
            what: what.to_string(),
        }
    }

    /// [`ServerError::Unreachable`].
    pub(crate) fn unreachable(server: &ServerUrl, error: TransportError) -> Self {
        let server = server.clone();
        Self::Unreachable { server, error }
    }

    /// [`ServerError::Unreachable`], about the OAuth 2.0 server of a homeserver.
    pub(crate) fn oauth_unreachable(
        homeserver: &ServerUrl,
        issuer: &str,
        error: TransportError,
    ) -> Self {
        let server = issuer.parse().unwrap_or_else(|_| homeserver.clone());
        Self::Unreachable { server, error }
    }

    /// [`ServerError::Unavailable`], about the OAuth 2.0 server with this issuer.
    pub(crate) fn oauth_unavailable(issuer: &str, what: impl ToString) -> Self {
        Self::Unavailable {
            name: format!("the OAuth 2.0 server {issuer}"),
            what: what.to_string(),
        }
    }

    /// [`ServerError::Unavailable`], about the OAuth 2.0 server of a homeserver that could not say which
    /// one that is.
    pub(crate) fn unknown_oauth_unavailable(server: &ServerUrl, what: impl ToString) -> Self {
        Self::Unavailable {
            name: format!("the OAuth 2.0 server of {server}"),
            what: what.to_string(),
        }
    }

    /// The error of a request, if it has no special meaning.
    pub fn from_api(server: &ServerUrl, error: ApiError) -> Self {
        match error {
            error if error.is_failure() => Self::unavailable(server, error),
            ApiError::Matrix(error) => Self::refused(server.clone(), error),
            ApiError::RateLimited { retry_after, .. } => Self::RateLimited {
                server: server.clone(),
                retry_after,
            },
            other => Self::not_matrix(server, other),
        }
    }

    /// A [refusal](Self::Refused), unless the server [failed](Self::Unavailable).
    pub fn refused(server: ServerUrl, error: MatrixError) -> Self {
        if error.is_failure() {
            return Self::unavailable(&server, error);
        }
        let error = Box::new(error);
        Self::Refused { server, error }
    }

    /// [`ServerError::Unavailable`], about a homeserver.
    pub(crate) fn unavailable(server: &ServerUrl, what: impl ToString) -> Self {
        Self::Unavailable {
            name: server.to_string(),
            what: what.to_string(),
        }
    }

    /// The response of a request.
    ///
    /// # Errors
    /// If there is none. Whether the server processed the request is not distinguished.
    pub fn response(server: &ServerUrl, outcome: Outcome) -> Result<Response, Self> {
        match outcome {
            Outcome::Responded(response) => Ok(response),
            Outcome::Failed(error) | Outcome::InDoubt(error) => {
                Err(Self::unreachable(server, error))
            }
            _ => Err(Self::Cancelled),
        }
    }
}

/// The error of a request to the OAuth 2.0 server of a homeserver.
pub(crate) fn oauth_error<E>(server: &ServerUrl, issuer: String, error: OAuthError) -> E
where
    E: From<ServerError> + From<OAuthRefusal>,
{
    match error {
        OAuthError::Refused(refusal) => OAuthRefusal::new(issuer, refusal).into(),
        OAuthError::Other(error) if error.is_failure() => {
            ServerError::oauth_unavailable(&issuer, error).into()
        }
        OAuthError::Other(error @ (ApiError::Matrix(_) | ApiError::RateLimited { .. })) => {
            let server = issuer.parse().unwrap_or_else(|_| server.clone());
            ServerError::from_api(&server, error).into()
        }
        other => {
            let what = other.to_string();
            ServerError::NotOAuth { issuer, what }.into()
        }
    }
}

/// Why a discovery fails.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// The server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The server's well-known document does not lead to a homeserver.
    #[error(
        "{server} names no homeserver that can be used ({what}); give the homeserver's own address, like https://matrix.example.org"
    )]
    WellKnown {
        /// The server with the document.
        server: ServerUrl,
        /// What is wrong.
        what: String,
    },
}

fn says(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message:?}")
    }
}

fn problem(server: &ServerUrl, error: &TransportError) -> String {
    match error.kind {
        TransportErrorKind::ServerFailed => {
            format!("{server} failed ({}); try again later", error.message)
        }
        TransportErrorKind::Proxy => {
            format!("{error}; check the proxy and the network, and try again")
        }
        TransportErrorKind::InvalidRequest => {
            format!("nothing was sent to {server}: {}", error.message)
        }
        _ => format!(
            "{server} cannot be reached ({error}); check the address and the network, and try again"
        ),
    }
}

fn retry(after: &Option<Duration>) -> String {
    match after {
        Some(wait) => format!("; try again in {} s", wait.as_secs_f64().ceil()),
        None => "; try again later".to_owned(),
    }
}

/// Whether a refusal says that a new password is not strong enough.
pub(crate) fn is_about_the_password(code: &ErrorCode) -> bool {
    *code == ErrorCode::WeakPassword || code.as_str().starts_with("M_PASSWORD_")
}
