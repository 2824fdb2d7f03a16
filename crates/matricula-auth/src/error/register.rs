//! Errors of registration.

use matricula_api::{ErrorCode, UserId};
use matricula_core::ServerUrl;

use super::{ServerError, ThreepidError, UiaError, says};

/// Why a registration fails.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A stage of its authentication.
    #[error(transparent)]
    Uia(UiaError),
    /// An email address or a phone number.
    #[error(transparent)]
    Threepid(#[from] ThreepidError),
    /// The username is taken.
    #[error("the name {username:?} is taken on {server}; choose another")]
    NameTaken {
        /// The server.
        server: ServerUrl,
        /// The username.
        username: String,
    },
    /// The username is not allowed.
    #[error("{server} does not allow the name {username:?}{}; use a-z, 0-9, and any of . _ = - / +", says(.message))]
    NameInvalid {
        /// The server.
        server: ServerUrl,
        /// The username.
        username: String,
        /// The server's message.
        message: String,
    },
    /// The username belongs to an application service.
    #[error(
        "the name {username:?} is reserved on {server} for an application service; choose another"
    )]
    NameReserved {
        /// The server.
        server: ServerUrl,
        /// The username.
        username: String,
    },
    /// The password is too weak.
    #[error("{server} does not accept the password ({code}){}; choose a stronger one", says(.message))]
    WeakPassword {
        /// The server.
        server: ServerUrl,
        /// The server's code for what the password lacks.
        code: ErrorCode,
        /// The server's message.
        message: String,
    },
    /// The server does not let the public register.
    #[error("{server} does not let people register{}; ask its administrators for an account, or choose another server", says(.message))]
    Closed {
        /// The server.
        server: ServerUrl,
        /// The server's message.
        message: String,
    },
    /// The server takes no more accounts for now.
    #[error("{server} takes no more accounts for now{}{}", says(.message), contact(.admin_contact))]
    ServerFull {
        /// The server.
        server: ServerUrl,
        /// The server's message.
        message: String,
        /// How to reach its administrators.
        admin_contact: Option<String>,
    },
    /// The server does not allow guests.
    #[error("{server} does not allow guests{}; register an account instead", says(.message))]
    GuestsNotAllowed {
        /// The server.
        server: ServerUrl,
        /// The server's message.
        message: String,
    },
    /// The account is not a guest account with a session.
    #[error("{user_id} is not a guest with a session; only a guest can become a user")]
    NotAGuest {
        /// The account.
        user_id: UserId,
    },
    /// The server does not turn the guest into a user.
    #[error("{server} does not turn the guest {guest:?} into a user{}; register a new account", says(.message))]
    GuestNotUpgraded {
        /// The server.
        server: ServerUrl,
        /// The guest's username.
        guest: String,
        /// The server's message.
        message: String,
    },
    /// The server delegates accounts to an OAuth 2.0 server.
    #[error(
        "{server} makes accounts in its OAuth 2.0 server, {issuer}; open it in a browser to sign up"
    )]
    OAuthNeeded {
        /// The server.
        server: ServerUrl,
        /// Its OAuth 2.0 server.
        issuer: String,
    },
    /// The server wants accounts to be made by single sign-on.
    #[error("{server} makes accounts by single sign-on; open {url} in a browser to sign up")]
    SsoNeeded {
        /// The server.
        server: ServerUrl,
        /// The page to begin with.
        url: String,
    },
    /// The account may or may not have been made.
    #[error(
        "{server} may have made the account, and did not say whether it did ({what}); resume this registration later to find out"
    )]
    InDoubt {
        /// The server.
        server: ServerUrl,
        /// What happened.
        what: String,
    },
}

/// Why the registration or login of an application service's user fails.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AppserviceError {
    /// The server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The username is taken.
    #[error("the name {username:?} is taken on {server}; choose another")]
    NameTaken {
        /// The server.
        server: ServerUrl,
        /// The username.
        username: String,
    },
    /// The username is not allowed.
    #[error("{server} does not allow the name {username:?}{}; use a-z, 0-9, and any of . _ = - / +", says(.message))]
    NameInvalid {
        /// The server.
        server: ServerUrl,
        /// The username.
        username: String,
        /// The server's message.
        message: String,
    },
    /// The username is in none of the namespaces of the application service.
    #[error(
        "the name {username:?} is in no namespace of this application service on {server}; take one that is, or add a namespace to its registration there"
    )]
    OutsideNamespace {
        /// The server.
        server: ServerUrl,
        /// The username.
        username: String,
    },
    /// The server knows no application service with this token.
    #[error("{server} knows no application service with this token{}; take the as_token of its registration there", says(.message))]
    ServiceUnknown {
        /// The server.
        server: ServerUrl,
        /// The server's message.
        message: String,
    },
    /// The server gives the users of application services no sessions.
    #[error(
        "{server} gives the users of application services no sessions; act as them with the token of the service"
    )]
    NoServiceLogin {
        /// The server.
        server: ServerUrl,
    },
    /// The user may or may not have been made.
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

fn contact(contact: &Option<String>) -> String {
    contact.as_ref().map_or_else(String::new, |contact| {
        format!("; its administrators: {contact}")
    })
}
