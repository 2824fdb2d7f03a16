//! What a conversation asks a person, and the answers.
//!
//! # Adding a prompt
//!
//! Inside this crate the compiler names the missing arms, except where this list says otherwise.
//!
//! 1. `uia.rs` of matricula-api: a variant of [`Stage`], also for a stage outside the specification (or match
//!    `Stage::Other(name)` in `SupportedStage::of`). For the answer a field of `AuthData`, in its reader and
//!    writer too. **A secret or personal data must have a field:** one in `AuthData::extra` is not masked.
//!    Add its JSON pointer in `xtask/overrides.yaml` (`client`, `types`, `auth_data.yaml`), then run
//!    `cargo xtask generate`. The compiler checks none of this.
//! 2. Here: a variant of [`Prompt`], and of [`Answer`] if the answer is neither text nor yes or no.
//! 3. `error/uia.rs`: an error without an answer, and one for a refused answer.
//! 4. `uia/supported.rs`: a variant of `SupportedStage`. `uia/question.rs`: a variant of `StageQuestion`.
//!    `uia/flow.rs`: a field of `UiaFlow` for the answer; a secret with `#[serde(with = "exposed", default)]`.
//!    If the server sends parameters for the stage: name it in `bounded` in `uia/session.rs`, which drops others.
//!    What is not about a stage (a username, an address to validate) is instead a variant of
//!    `RegistrationQuestion` in `register/prompts.rs`.
//! 5. If it can be answered in advance: a field of `RegistrationOptions` and of `KnownAnswers`, copied in
//!    `Registration::new` and `Registration::answers`, and an option of the command line.
//! 6. matricula-cli, where these enums are `non_exhaustive` and the compiler names nothing: `ask` in
//!    `terminal/prompts.rs`, `missing` in `commands/resume.rs`, `needs` in `commands/discover/try_methods.rs`,
//!    `uia_exit_code` in `error.rs`. Then the table in `docs/registering.md`, and `CHANGELOG.md`.
//! 7. A test like `wrong_token_is_asked_again` in `tests/it/registration.rs`. It checks `masked_body()` too, for step 1.

use matricula_api::{
    UserId,
    uia::{Policy, Stage},
};
use matricula_core::{Secret, ServerUrl};

use crate::IdentityProvider;

/// A question that only the person can answer.
///
/// `why` is set when an earlier answer was refused, and says why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Prompt {
    /// The address of the homeserver with this name, like `https://matrix.example.org`.
    HomeserverUrl {
        /// The name.
        name: String,
        /// Why it was not found.
        why: String,
    },
    /// The username of the new account.
    Username {
        /// Why the last one was refused.
        why: Option<String>,
    },
    /// The password of the new account.
    Password {
        /// Why the last one was refused.
        why: Option<String>,
    },
    /// The current password of the account, to authenticate the person.
    CurrentPassword {
        /// The account.
        user_id: UserId,
        /// Why the last one was refused.
        why: Option<String>,
    },
    /// The password of an account to log in to.
    LoginPassword {
        /// The user: a user ID, or its localpart if the name of the server is not known.
        user: String,
        /// The server.
        server: ServerUrl,
        /// Why the last one was refused.
        why: Option<String>,
    },
    /// The registration token that the server's administrators gave out.
    RegistrationToken {
        /// Why the last one was refused.
        why: Option<String>,
    },
    /// Whether the person accepts these documents.
    AcceptTerms {
        /// The documents.
        policies: Vec<Policy>,
    },
    /// The email address of the new account.
    EmailAddress {
        /// Why the last one was refused.
        why: Option<String>,
    },
    /// The phone number of the new account, like `GB:07700900001`.
    PhoneNumber {
        /// Why the last one was refused.
        why: Option<String>,
    },
    /// The server sent a message with a link to this address. [`Answer::Yes`]: the link is opened, or
    /// will be soon, and the conversation polls the server until it is. [`Answer::No`]: send another
    /// message.
    FollowLink {
        /// Where the message went.
        address: String,
        /// Why it is asked again.
        why: Option<String>,
    },
    /// The server sent a message with a code to this address; the answer is the code. [`Answer::No`]:
    /// send another message.
    Code {
        /// Where the message went.
        address: String,
        /// Why the last code was refused.
        why: Option<String>,
    },
    /// A stage to complete on a page of the server, in any browser. [`Answer::Yes`]: it is complete,
    /// or will be soon, and the conversation polls the server until it is.
    StagePage {
        /// The stage.
        stage: Stage,
        /// The page.
        url: String,
        /// Why it is asked again.
        why: Option<String>,
    },
    /// Which identity provider to sign in with: the answer is its id. With [`Answer::Unavailable`] the
    /// server's own page asks.
    IdentityProvider {
        /// The providers that the server offers.
        providers: Vec<IdentityProvider>,
    },
    /// A page to open in a browser; the answer is the whole [callback address], as [`Answer::Text`].
    ///
    /// [callback address]: https://spec.matrix.org/v1.19/client-server-api/#callback
    OpenPage {
        /// The page. It contains a secret: show it to this person only.
        url: Secret,
        /// How the callback address begins.
        redirect_uri: String,
        /// The `state` that the callback address must have. Other sites can send a browser there too.
        state: Secret,
        /// Why the last answer was refused.
        why: Option<String>,
    },
}

impl Prompt {
    /// Why the question is asked again, if an earlier answer was refused.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::HomeserverUrl { why, .. } => Some(why),
            Self::Username { why }
            | Self::Password { why }
            | Self::CurrentPassword { why, .. }
            | Self::LoginPassword { why, .. }
            | Self::RegistrationToken { why }
            | Self::EmailAddress { why }
            | Self::PhoneNumber { why }
            | Self::FollowLink { why, .. }
            | Self::Code { why, .. }
            | Self::StagePage { why, .. }
            | Self::OpenPage { why, .. } => why.as_deref(),
            Self::AcceptTerms { .. } | Self::IdentityProvider { .. } => None,
        }
    }
}

/// The person's answer to a [`Prompt`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// This text.
    Text(Secret),
    /// Yes.
    Yes,
    /// No.
    No,
    /// There is no person to ask.
    Unavailable,
}

impl Answer {
    pub(crate) fn into_text(self) -> Option<Secret> {
        match self {
            Self::Text(text) => Some(text),
            Self::Yes | Self::No | Self::Unavailable => None,
        }
    }

    pub(crate) fn into_yes(self) -> Option<()> {
        (self == Self::Yes).then_some(())
    }
}
