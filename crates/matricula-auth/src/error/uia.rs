//! Errors of user-interactive authentication and of the validation of addresses.

use matricula_api::{
    ApiError, ErrorCode, UserId,
    uia::{Flow, Stage},
};
use matricula_core::ServerUrl;

use super::{ServerError, is_about_the_password, says};

/// Why an operation with user-interactive authentication fails.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UiaError {
    /// The server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The account's password is needed.
    #[error("{server} asks for the password of {user_id}; give it")]
    PasswordNeeded {
        /// The server.
        server: ServerUrl,
        /// The account.
        user_id: UserId,
    },
    /// The password is wrong.
    #[error("{server} does not know this user name with this password{}", says(.message))]
    WrongPassword {
        /// The server.
        server: ServerUrl,
        /// The server's message.
        message: String,
    },
    /// A registration token is needed.
    #[error("{server} asks for a registration token; its administrators hand them out")]
    TokenNeeded {
        /// The server.
        server: ServerUrl,
    },
    /// The registration token is wrong, used up or expired.
    #[error("{server} does not accept the registration token{}; ask its administrators for another", says(.message))]
    TokenWrong {
        /// The server.
        server: ServerUrl,
        /// The server's message.
        message: String,
    },
    /// The server's terms must be accepted first.
    #[error("{server} asks to accept its terms: {documents}")]
    TermsNotAccepted {
        /// The server.
        server: ServerUrl,
        /// Titles and addresses of the documents.
        documents: String,
    },
    /// A stage must be completed in a browser.
    #[error("{0}")]
    StagesNotSupported(Box<StagesNotSupported>),
    /// The server refused a stage.
    #[error("{server} refused the stage {stage}{}", says(.message))]
    StageFailed {
        /// The server.
        server: ServerUrl,
        /// The stage.
        stage: Stage,
        /// The server's message.
        message: String,
    },
    /// The server asks for the same stages over and over, or for ever more stages.
    #[error("{server} keeps asking for authentication without end; tell its administrators")]
    Endless {
        /// The server.
        server: ServerUrl,
    },
    /// The new password is too weak.
    #[error("{server} does not accept the password ({code}){}; choose a stronger one", says(.message))]
    WeakPassword {
        /// The server.
        server: ServerUrl,
        /// The server's code for what the password lacks.
        code: ErrorCode,
        /// The server's message.
        message: String,
    },
    /// The request may or may not have been processed.
    #[error(
        "{server} may have done it, and did not say whether it did ({what}); look before you try again"
    )]
    MayBeDone {
        /// The server.
        server: ServerUrl,
        /// What happened.
        what: String,
    },
}

impl UiaError {
    /// The error of a request, if it has no special meaning.
    pub(crate) fn from_api(server: &ServerUrl, error: ApiError) -> Self {
        match error {
            ApiError::Matrix(error) if is_about_the_password(&error.code) => Self::WeakPassword {
                server: server.clone(),
                code: error.code,
                message: error.message,
            },
            error => ServerError::from_api(server, error).into(),
        }
    }
}

/// The stages that must be completed in a browser, and where.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{server} asks for {}, which needs a browser; open {url}, then continue", names(.stages))]
#[non_exhaustive]
pub struct StagesNotSupported {
    /// The server.
    pub server: ServerUrl,
    /// The stages to complete in a browser.
    pub stages: Vec<Stage>,
    /// All flows that the server offers.
    pub flows: Vec<Flow>,
    /// The server's session.
    pub session: Option<String>,
    /// The page for the first of the stages.
    pub url: String,
}

/// Why an email address or a phone number could not be validated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ThreepidError {
    /// An address is needed.
    #[error("{server} asks for {}; give one and resume this registration", names(std::slice::from_ref(.stage)))]
    AddressNeeded {
        /// The server.
        server: ServerUrl,
        /// The stage that needs it.
        stage: Stage,
    },
    /// The server sent a message. Its link was not opened yet, or its code not entered.
    #[error("{server} wrote to {address}; do what the message says, then continue")]
    AddressNotValidated {
        /// The server.
        server: ServerUrl,
        /// Where the message went.
        address: String,
        /// The stage that needs it.
        stage: Stage,
    },
    /// The server refuses the address.
    #[error("{server} does not take {address}{}; {}", says(.message), other_address(.code))]
    AddressRefused {
        /// The server.
        server: ServerUrl,
        /// The address.
        address: String,
        /// The server's code.
        code: ErrorCode,
        /// The server's message.
        message: String,
    },
}

fn other_address(code: &ErrorCode) -> &'static str {
    match code {
        ErrorCode::ThreepidInUse => {
            "another account has it: sign in to that one, or give another address"
        }
        ErrorCode::ThreepidDenied => "addresses like it are not allowed there: give another",
        ErrorCode::ServerNotTrusted => {
            "it does not trust the identity server that would write to it: tell its administrators"
        }
        _ => "check it, or give another",
    }
}

fn names(stages: &[Stage]) -> String {
    let names: Vec<&str> = stages
        .iter()
        .map(|stage| match stage {
            Stage::Recaptcha => "a captcha",
            Stage::EmailIdentity => "an email address",
            Stage::Msisdn => "a phone number",
            Stage::Sso => "single sign-on",
            Stage::OAuth => "approval in its OAuth 2.0 server",
            other => other.as_str(),
        })
        .collect();
    names.join(" and ")
}
