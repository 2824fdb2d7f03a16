//! The error of a command: exit code, message, JSON.

use matricula::runner::BuildError;
use matricula::{
    AccountStoreError, Error, StoreError,
    auth::{
        AccountError, AppserviceError, AuthError, BrowserError, LoginError, OAuthLoginError,
        RegisterError, ServerAddressError, ServerError, SessionError, ThreepidError, UiaError,
    },
    core::TransportError,
};
use matricula::{
    api::{ApiError, ErrorCode, oauth::OAuthErrorCode},
    core::TransportErrorKind,
};
use serde_json::{Value, json};

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// An error of the library.
    Library(Error),
    /// An error of the library, with the command that helps: often the one that resumes what is stored.
    Resumable {
        error: Box<Error>,
        /// More fields of the JSON object.
        details: Value,
        /// The command.
        next: String,
    },
    /// An error of the library, explained by the command.
    Explained {
        message: String,
        exit_code: u8,
        /// More fields of the JSON object.
        details: Value,
        /// The command that helps.
        next: Option<String>,
    },
    /// The command printed its result, which is negative.
    Reported {
        message: String,
        exit_code: u8,
        /// The command that helps.
        next: Option<String>,
    },
    /// A mistake on the command line.
    Usage(String),
    /// There is no account, or no session in it.
    NotSignedIn {
        message: String,
        /// The command that helps.
        next: String,
    },
    /// Another error.
    Other(String),
    /// Ctrl-C.
    Interrupted,
}

impl CommandError {
    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self::Other(message.into())
    }

    /// Ctrl-C, with the command that continues.
    pub(crate) fn interrupted(details: Value, next: String) -> Self {
        Self::Explained {
            message: Self::Interrupted.message(),
            exit_code: Self::Interrupted.exit_code(),
            details,
            next: Some(next),
        }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Library(error) => exit_code(error),
            Self::Resumable { error, .. } => exit_code(error),
            Self::Explained { exit_code, .. } | Self::Reported { exit_code, .. } => *exit_code,
            Self::Usage(_) => 2,
            Self::NotSignedIn { .. } => 4,
            Self::Other(_) => 1,
            Self::Interrupted => 130,
        }
    }

    /// The `kind` of the JSON object.
    fn kind(&self) -> &'static str {
        match self.exit_code() {
            2 => "usage",
            3 => "network",
            4 => "sign_in",
            5 => "rate_limited",
            6 => "person_needed",
            7 => "refused",
            130 => "interrupted",
            _ => "failed",
        }
    }

    pub(crate) fn message(&self) -> String {
        match self {
            Self::Library(error) => error.to_string(),
            Self::Resumable { error, .. } => error.to_string(),
            Self::Usage(message)
            | Self::Other(message)
            | Self::Explained { message, .. }
            | Self::Reported { message, .. }
            | Self::NotSignedIn { message, .. } => message.clone(),
            Self::Interrupted => "interrupted".to_owned(),
        }
    }

    /// The command to type next.
    pub(crate) fn next(&self) -> Option<&str> {
        match self {
            Self::Resumable { next, .. } | Self::NotSignedIn { next, .. } => Some(next),
            Self::Explained { next, .. } | Self::Reported { next, .. } => next.as_deref(),
            _ => None,
        }
    }

    /// Whether the result was printed to standard output.
    pub(crate) fn has_result(&self) -> bool {
        matches!(self, Self::Reported { .. })
    }

    pub(crate) fn json(&self) -> Value {
        let mut error = json!({ "kind": self.kind(), "message": self.message() });
        match self {
            Self::Library(library) => add_details(&mut error, library),
            Self::Resumable {
                error: library,
                details,
                ..
            } => {
                add_details(&mut error, library);
                add(&mut error, details);
            }
            Self::Explained { details, .. } => add(&mut error, details),
            _ => {}
        }
        json!({ "schema_version": 1, "exit_code": self.exit_code(), "error": error, "next": self.next() })
    }
}

fn add(error: &mut Value, details: &Value) {
    for (key, value) in details.as_object().into_iter().flatten() {
        error[key] = value.clone();
    }
}

fn add_details(error: &mut Value, library: &Error) {
    let Error::Auth(auth) = library else { return };
    match auth {
        AuthError::Register(RegisterError::OAuthNeeded { issuer, .. }) => {
            error["url"] = json!(issuer);
        }
        AuthError::Register(RegisterError::SsoNeeded { url, .. }) => error["url"] = json!(url),
        AuthError::Account(AccountError::AccountPageNeeded { url, .. }) => {
            error["url"] = json!(url);
        }
        AuthError::Register(RegisterError::WeakPassword { code, .. })
        | AuthError::Uia(UiaError::WeakPassword { code, .. })
        | AuthError::Threepid(ThreepidError::AddressRefused { code, .. }) => {
            error["errcode"] = json!(code);
        }
        AuthError::Server(ServerError::RateLimited {
            retry_after: Some(wait),
            ..
        }) => {
            error["retry_after_seconds"] = json!(wait.as_secs_f64());
        }
        _ => {}
    }
}

/// The exit code: see `docs/registering.md`.
pub(crate) fn exit_code(error: &Error) -> u8 {
    match error {
        Error::Address(_) | Error::UserId(_) | Error::NoUser | Error::MethodUnavailable { .. } => 2,
        Error::Auth(error) => auth_exit_code(error),
        Error::Admin(_) => 7,
        Error::Api(ApiError::RateLimited { .. }) => 5,
        Error::Api(ApiError::Uia(_)) => 6,
        Error::Api(error) if error.is_failure() => 3,
        Error::Api(ApiError::Matrix(error)) => match error.code {
            ErrorCode::UnknownToken | ErrorCode::MissingToken => 4,
            ErrorCode::Forbidden => 7,
            _ => 1,
        },
        Error::Transport(error) | Error::InDoubt(error) => transport_exit_code(error),
        Error::NoAccount { .. } => 4,
        Error::NoHome => 2,
        _ => 1,
    }
}

fn auth_exit_code(error: &AuthError) -> u8 {
    match error {
        AuthError::Server(error) => server_exit_code(error),
        AuthError::Uia(error) => uia_exit_code(error),
        AuthError::Threepid(ThreepidError::AddressRefused { .. }) => 7,
        AuthError::Threepid(_) => 6,
        AuthError::Browser(BrowserError::BrowserNeeded { .. }) => 6,
        AuthError::OAuthRefused(refused) => match &*refused.refusal {
            refusal if refusal.status.is_some_and(|status| status >= 500) => 3,
            refusal => match refusal.code {
                OAuthErrorCode::ServerError | OAuthErrorCode::TemporarilyUnavailable => 3,
                _ => 7,
            },
        },
        AuthError::Register(error) => match error {
            RegisterError::OAuthNeeded { .. } | RegisterError::SsoNeeded { .. } => 6,
            RegisterError::InDoubt { .. } => 1,
            _ => 7,
        },
        AuthError::Appservice(error) => match error {
            AppserviceError::MayBeDone { .. } => 1,
            _ => 7,
        },
        AuthError::Login(LoginError::WrongPassword { .. }) => 4,
        AuthError::Login(LoginError::NoPasswordLogin { .. }) => 6,
        AuthError::Login(LoginError::PasswordNeeded { .. }) => 6,
        AuthError::OAuth(
            OAuthLoginError::NoOAuth { .. } | OAuthLoginError::SignUpClosed { .. },
        ) => 7,
        AuthError::OAuth(OAuthLoginError::DeviceId(_)) => 2,
        AuthError::OAuth(OAuthLoginError::CodeExpired { .. }) => 6,
        AuthError::Session(error) => match error {
            SessionError::UserLocked { .. } | SessionError::UserSuspended { .. } => 7,
            SessionError::NotStored { .. } => 1,
            _ => 4,
        },
        AuthError::Account(AccountError::AccountPageNeeded { .. }) => 6,
        _ => 1,
    }
}

fn server_exit_code(error: &ServerError) -> u8 {
    match error {
        ServerError::Unreachable { error, .. } => transport_exit_code(error),
        ServerError::Unavailable { .. } => 3,
        ServerError::RateLimited { .. } => 5,
        ServerError::Refused { error, .. } if error.status == 403 => 7,
        ServerError::Cancelled => 130,
        _ => 1,
    }
}

fn uia_exit_code(error: &UiaError) -> u8 {
    match error {
        UiaError::WrongPassword { .. } => 4,
        UiaError::TokenNeeded { .. }
        | UiaError::PasswordNeeded { .. }
        | UiaError::TermsNotAccepted { .. }
        | UiaError::StagesNotSupported(_) => 6,
        UiaError::TokenWrong { .. }
        | UiaError::StageFailed { .. }
        | UiaError::WeakPassword { .. } => 7,
        _ => 1,
    }
}

fn transport_exit_code(error: &TransportError) -> u8 {
    match error.kind {
        TransportErrorKind::Connect
        | TransportErrorKind::Proxy
        | TransportErrorKind::Tls
        | TransportErrorKind::Timeout
        | TransportErrorKind::ConnectionLost
        | TransportErrorKind::ServerFailed => 3,
        _ => 1,
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

impl From<ServerAddressError> for CommandError {
    fn from(error: ServerAddressError) -> Self {
        Self::Library(error.into())
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self::Library(error.into())
    }
}

impl From<AccountStoreError> for CommandError {
    fn from(error: AccountStoreError) -> Self {
        Self::Library(error.into())
    }
}

impl From<BuildError> for CommandError {
    fn from(error: BuildError) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<matricula_homeserver::Error> for CommandError {
    fn from(error: matricula_homeserver::Error) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        Self::Other(error.to_string())
    }
}
