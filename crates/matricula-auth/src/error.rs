//! How a conversation can fail, each in words that tell what to do next.

use std::time::Duration;

use matricula_api::{
    ApiError, ErrorCode, MatrixError, UserId,
    oauth::{OAuthError, OAuthErrorCode, OAuthErrorResponse},
    uia::{Flow, Stage},
};
use matricula_core::{Secret, ServerUrl, TransportError};

/// Why a conversation ended without what it was for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The server could not be reached.
    #[error(
        "{server} cannot be reached ({error}); check the address and the network, and try again"
    )]
    Unreachable {
        /// Which server.
        server: ServerUrl,
        /// What the network said.
        error: TransportError,
    },
    /// Whatever answered does not speak Matrix.
    #[error("{server} does not answer like a Matrix homeserver ({what}); check the address")]
    NotMatrix {
        /// Which server.
        server: ServerUrl,
        /// What was wrong.
        what: String,
    },
    /// The server's well-known document does not lead to a homeserver.
    #[error(
        "{server} names no homeserver that can be used ({what}); give the homeserver's own address, like https://matrix.example.org"
    )]
    WellKnown {
        /// Whose document.
        server: ServerUrl,
        /// What was wrong.
        what: String,
    },
    /// The name is taken.
    #[error("the name {username:?} is taken on {server}; choose another")]
    NameTaken {
        /// On which server.
        server: ServerUrl,
        /// Which name.
        username: String,
    },
    /// The name is not allowed.
    #[error("{server} does not allow the name {username:?}{}; use a-z, 0-9, and any of . _ = - / +", says(.message))]
    NameInvalid {
        /// On which server.
        server: ServerUrl,
        /// Which name.
        username: String,
        /// The server's words.
        message: String,
    },
    /// The name belongs to an application service.
    #[error(
        "the name {username:?} is reserved on {server} for an application service; choose another"
    )]
    NameReserved {
        /// On which server.
        server: ServerUrl,
        /// Which name.
        username: String,
    },
    /// The password is too weak.
    #[error("{server} does not accept the password ({code}){}; choose a stronger one", says(.message))]
    WeakPassword {
        /// On which server.
        server: ServerUrl,
        /// The server's code for what is missing.
        code: ErrorCode,
        /// The server's words.
        message: String,
    },
    /// The server makes no accounts for strangers.
    #[error("{server} does not let people register{}; ask its administrators for an account, or choose another server", says(.message))]
    Closed {
        /// Which server.
        server: ServerUrl,
        /// The server's words.
        message: String,
    },
    /// The server has no guests.
    #[error("{server} does not allow guests{}; register an account instead", says(.message))]
    GuestsNotAllowed {
        /// Which server.
        server: ServerUrl,
        /// The server's words.
        message: String,
    },
    /// The account is no guest's, or has no session: nothing can be made of it.
    #[error("{user_id} is no guest with a session; only a guest can become a user")]
    NotAGuest {
        /// Whose account.
        user_id: UserId,
    },
    /// The server makes no user of the guest.
    #[error("{server} makes no user of the guest {guest:?}{}; register a new account", says(.message))]
    GuestNotUpgraded {
        /// Which server.
        server: ServerUrl,
        /// The guest's name.
        guest: String,
        /// The server's words.
        message: String,
    },
    /// The name is in none of the namespaces of the application service.
    #[error(
        "the name {username:?} is in no namespace of this application service on {server}; take one that is, or add a namespace to its registration there"
    )]
    OutsideNamespace {
        /// On which server.
        server: ServerUrl,
        /// Which name.
        username: String,
    },
    /// The server knows no application service with this token.
    #[error("{server} knows no application service with this token{}; take the as_token of its registration there", says(.message))]
    ServiceUnknown {
        /// Which server.
        server: ServerUrl,
        /// The server's words.
        message: String,
    },
    /// The server signs in no users of application services.
    #[error(
        "{server} gives the users of application services no sessions; act as them with the token of the service"
    )]
    NoServiceLogin {
        /// Which server.
        server: ServerUrl,
    },
    /// The server makes no accounts by a shared secret.
    #[error("{server} makes no accounts by a shared secret{}; set one in its configuration, if it can have one", says(.message))]
    NoSharedSecret {
        /// Which server.
        server: ServerUrl,
        /// The server's words.
        message: String,
    },
    /// The shared secret is another one.
    #[error("{server} has another shared secret{}; take the one in its configuration", says(.message))]
    SharedSecretWrong {
        /// Which server.
        server: ServerUrl,
        /// The server's words.
        message: String,
    },
    /// Only administrators may do this.
    #[error("{user_id} is no administrator of {server}; do this with the account of one")]
    NotAnAdministrator {
        /// Which server.
        server: ServerUrl,
        /// Who is none.
        user_id: UserId,
    },
    /// The server has no such administration.
    #[error("{server} cannot be administered as Synapse can; do this with its own tools")]
    NoAdministration {
        /// Which server.
        server: ServerUrl,
    },
    /// The server takes no more accounts for now.
    #[error("{server} takes no more accounts for now{}{}", says(.message), contact(.admin_contact))]
    ServerFull {
        /// Which server.
        server: ServerUrl,
        /// The server's words.
        message: String,
        /// How to reach its administrators.
        admin_contact: Option<String>,
    },
    /// The registration token is wrong, used up or expired.
    #[error("{server} does not accept the registration token{}; ask its administrators for another", says(.message))]
    TokenWrong {
        /// Which server.
        server: ServerUrl,
        /// The server's words.
        message: String,
    },
    /// A registration token is needed and none was given.
    #[error("{server} asks for a registration token; its administrators hand them out")]
    TokenNeeded {
        /// Which server.
        server: ServerUrl,
    },
    /// The server's documents must be accepted first.
    #[error("{server} asks to accept its terms: {documents}")]
    TermsNotAccepted {
        /// Which server.
        server: ServerUrl,
        /// Their titles and addresses.
        documents: String,
    },
    /// An address is needed and none was given.
    #[error("{server} asks for {}; give one and go on with this registration", names(std::slice::from_ref(.stage)))]
    AddressNeeded {
        /// Which server.
        server: ServerUrl,
        /// For which stage.
        stage: Stage,
    },
    /// The server wrote to the address, and nobody has followed the link or typed the code yet.
    #[error("{server} wrote to {address}; do what the message says, and then go on")]
    AddressNotProved {
        /// Which server.
        server: ServerUrl,
        /// Whom it wrote to.
        address: String,
        /// For which stage.
        stage: Stage,
    },
    /// The server does not take the address.
    #[error("{server} does not take {address}{}; {}", says(.message), other_address(.code))]
    AddressRefused {
        /// Which server.
        server: ServerUrl,
        /// Which address.
        address: String,
        /// The server's code.
        code: ErrorCode,
        /// The server's words.
        message: String,
    },
    /// A stage must be done in a browser, and nobody is there.
    #[error("{0}")]
    StagesNotSupported(Box<StagesNotSupported>),
    /// The server delegates accounts to an OAuth 2.0 server.
    #[error(
        "{server} makes accounts in its OAuth 2.0 server, {issuer}; open it in a browser to sign up"
    )]
    OAuthNeeded {
        /// Which server.
        server: ServerUrl,
        /// Its OAuth 2.0 server.
        issuer: String,
    },
    /// The server wants accounts to be made by single sign-on.
    #[error("{server} makes accounts by single sign-on; open {url} in a browser to sign up")]
    SsoNeeded {
        /// Which server.
        server: ServerUrl,
        /// Where to begin.
        url: String,
    },
    /// The server refused a stage.
    #[error("{server} refused the stage {stage}{}", says(.message))]
    StageFailed {
        /// Which server.
        server: ServerUrl,
        /// What was refused.
        stage: Stage,
        /// The server's words.
        message: String,
    },
    /// The server keeps asking for the same, or for ever more.
    #[error("{server} keeps asking for authentication without end; tell its administrators")]
    Endless {
        /// Which server.
        server: ServerUrl,
    },
    /// The server has had too many requests.
    #[error("{server} has had too many requests{}", retry(.retry_after))]
    RateLimited {
        /// Which server.
        server: ServerUrl,
        /// When it takes the next one.
        retry_after: Option<Duration>,
    },
    /// The account may or may not have been made.
    #[error(
        "{server} may have made the account, and did not say whether it did ({what}); go on with this registration later to find out"
    )]
    InDoubt {
        /// Which server.
        server: ServerUrl,
        /// What happened.
        what: String,
    },
    /// User name or password is wrong.
    #[error("{server} does not know this user name with this password{}", says(.message))]
    WrongPassword {
        /// Which server.
        server: ServerUrl,
        /// The server's words.
        message: String,
    },
    /// The account's password is needed, and none is known.
    #[error("{server} asks for the password of {user_id}; give it")]
    PasswordNeeded {
        /// Which server.
        server: ServerUrl,
        /// Whose.
        user_id: UserId,
    },
    /// The password may or may not have been changed.
    #[error(
        "{server} may have changed the password of {user_id}, and did not say whether it did ({what}); sign in with the new one, or else with the old one"
    )]
    PasswordInDoubt {
        /// Which server.
        server: ServerUrl,
        /// Whose.
        user_id: UserId,
        /// What happened.
        what: String,
    },
    /// What is to be done is done on the page of the OAuth 2.0 server that keeps the account.
    #[error("{issuer} keeps the account, and lets it be done on its own page alone{}", on_page(.url))]
    AccountPageNeeded {
        /// Which OAuth 2.0 server.
        issuer: String,
        /// The page, where the server has one.
        url: Option<String>,
    },
    /// What was asked for may or may not have been done.
    #[error(
        "{server} may have done it, and did not say whether it did ({what}); look before you try again"
    )]
    MayBeDone {
        /// Which server.
        server: ServerUrl,
        /// What happened.
        what: String,
    },
    /// The server has no sign-in by password.
    #[error("{server} has no sign-in by password, only {}", .offers.join(", "))]
    NoPasswordLogin {
        /// Which server.
        server: ServerUrl,
        /// What it has.
        offers: Vec<String>,
    },
    /// Any other refusal.
    #[error("{server} refused: {error}")]
    Refused {
        /// Which server.
        server: ServerUrl,
        /// Its words.
        error: MatrixError,
    },
    /// The server has no OAuth 2.0 server.
    #[error("{server} delegates to no OAuth 2.0 server; sign in or register in another way")]
    NoOAuth {
        /// Which server.
        server: ServerUrl,
    },
    /// The OAuth 2.0 server refused.
    #[error("{issuer} refused: {refusal}{}", advice(.refusal))]
    OAuthRefused {
        /// Which OAuth 2.0 server.
        issuer: String,
        /// Its words.
        refusal: Box<OAuthErrorResponse>,
    },
    /// A browser cannot be led back to this address.
    #[error(
        "a browser cannot be led back to {address:?}; give http://127.0.0.1:PORT/, an https:// address, or one of the program's own scheme"
    )]
    RedirectAddress {
        /// Which address.
        address: String,
    },
    /// A person must open a page, and nobody is there.
    #[error(
        "a person must open a page of {issuer} in a browser; go on with this sign-in when one is there"
    )]
    BrowserNeeded {
        /// Whose page.
        issuer: String,
        /// The page. It holds what keeps others from answering: show it to the person alone.
        url: Secret,
    },
    /// The browser kept coming back with something else.
    #[error("the browser did not come back with the answer of {issuer} ({what}); begin again")]
    WrongCallback {
        /// Which OAuth 2.0 server.
        issuer: String,
        /// What was wrong.
        what: String,
    },
    /// Nobody typed the code in time.
    #[error("nobody let this device in at {issuer} in time; begin again")]
    CodeExpired {
        /// Which OAuth 2.0 server.
        issuer: String,
    },
    /// The session is over: the server takes its tokens no more.
    #[error("{by} ended the session ({what}); sign in again")]
    SignedOut {
        /// Which server: the homeserver, or its OAuth 2.0 server.
        by: String,
        /// What it said.
        what: String,
    },
    /// The tokens are good no more, and the device is kept: see [soft logout].
    ///
    /// [soft logout]: https://spec.matrix.org/v1.19/client-server-api/#soft-logout
    #[error("{server} asks {user_id} to sign in again{}; what is kept for the device stays", on_device(.device_id))]
    SoftLogout {
        /// Which server.
        server: ServerUrl,
        /// Who.
        user_id: UserId,
        /// Whose place the new session is to take.
        device_id: Option<String>,
    },
    /// The account is [locked]: its session is kept, and nothing can be done in it until it is unlocked.
    ///
    /// [locked]: https://spec.matrix.org/v1.19/client-server-api/#account-locking
    #[error("{server} has locked {user_id}{}; the session is kept: ask its administrators, and try again later", says(.message))]
    UserLocked {
        /// Which server.
        server: ServerUrl,
        /// Who.
        user_id: UserId,
        /// The server's words.
        message: String,
    },
    /// The account is [suspended]: it may read, leave rooms and little more.
    ///
    /// [suspended]: https://spec.matrix.org/v1.19/client-server-api/#account-suspension
    #[error("{server} has suspended {user_id}, who may not do this{}; ask its administrators", says(.message))]
    UserSuspended {
        /// Which server.
        server: ServerUrl,
        /// Who.
        user_id: UserId,
        /// The server's words.
        message: String,
    },
    /// There is no session to do it in.
    #[error("{user_id} is not signed in; sign in first")]
    NotSignedIn {
        /// Who.
        user_id: UserId,
    },
    /// The token cannot be renewed, for the server gave none that renews it.
    #[error("{user_id} has no refresh token; sign in again")]
    NoRefreshToken {
        /// Who.
        user_id: UserId,
    },
    /// The tokens were not renewed, for the new ones could not be stored, and are therefore not used.
    #[error("the tokens of {user_id} are not renewed, for they could not be stored: {what}")]
    NotStored {
        /// Whose.
        user_id: UserId,
        /// What happened.
        what: String,
    },
    /// The account has nothing to renew its session with.
    #[error("{user_id} has no tokens of an OAuth 2.0 server here; sign in")]
    NoOAuthSession {
        /// Whose account.
        user_id: UserId,
    },
    /// The conversation was called off.
    #[error("called off")]
    Cancelled,
}

/// What stands in the way, and where a person can do it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{server} asks for {}, which a person does in a browser; open {url}, and then go on", names(.stages))]
#[non_exhaustive]
pub struct StagesNotSupported {
    /// Which server.
    pub server: ServerUrl,
    /// What is to be done in a browser.
    pub stages: Vec<Stage>,
    /// All that the server offers.
    pub flows: Vec<Flow>,
    /// The server's session.
    pub session: Option<String>,
    /// The page on which a person can do the first of the stages.
    pub url: String,
}

fn on_device(device_id: &Option<String>) -> String {
    device_id.as_ref().map_or_else(String::new, |device_id| {
        format!(" on the device {device_id}")
    })
}

fn advice(refusal: &OAuthErrorResponse) -> &'static str {
    match refusal.code {
        OAuthErrorCode::AccessDenied => "; begin again, and allow it on its page",
        OAuthErrorCode::ServerError | OAuthErrorCode::TemporarilyUnavailable => "; try again later",
        _ => "; begin again",
    }
}

fn on_page(url: &Option<String>) -> String {
    match url {
        Some(url) => format!("; open {url} in a browser"),
        None => "; look for it there in a browser".to_owned(),
    }
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

fn says(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message:?}")
    }
}

fn contact(contact: &Option<String>) -> String {
    contact.as_ref().map_or_else(String::new, |contact| {
        format!("; its administrators: {contact}")
    })
}

fn retry(after: &Option<Duration>) -> String {
    match after {
        Some(wait) => format!("; the next one in {} s", wait.as_secs_f64().ceil()),
        None => "; try again later".to_owned(),
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

impl AuthError {
    /// The failure of a request to the OAuth 2.0 server of a homeserver.
    pub(crate) fn from_oauth(server: &ServerUrl, issuer: String, error: OAuthError) -> Self {
        match error {
            OAuthError::Refused(refusal) => Self::OAuthRefused {
                issuer,
                refusal: Box::new(refusal),
            },
            OAuthError::Other(error) => Self::from_api(server, error),
            other => Self::NotMatrix {
                server: server.clone(),
                what: other.to_string(),
            },
        }
    }

    /// The failure of a request that has no special meaning in its conversation.
    pub fn from_api(server: &ServerUrl, error: ApiError) -> Self {
        let server = server.clone();
        match error {
            ApiError::Matrix(error) if is_about_the_password(&error.code) => Self::WeakPassword {
                server,
                code: error.code,
                message: error.message,
            },
            ApiError::Matrix(error) => Self::Refused { server, error },
            ApiError::RateLimited { retry_after, .. } => Self::RateLimited {
                server,
                retry_after,
            },
            other => Self::NotMatrix {
                server,
                what: other.to_string(),
            },
        }
    }
}

/// Whether a refusal says that a new password is not strong enough.
pub(crate) fn is_about_the_password(code: &ErrorCode) -> bool {
    *code == ErrorCode::WeakPassword || code.as_str().starts_with("M_PASSWORD_")
}
