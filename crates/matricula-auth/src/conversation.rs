//! The words that all conversations share.

use matricula_api::{
    UserId,
    uia::{Policy, Stage},
};
use matricula_core::{EffectId, Job, Machine, Secret, ServerUrl, Timestamp, scheduler::Outcome};

use crate::{AuthError, IdentityProvider};

/// A machine that talks to a server, perhaps to a person, and ends with a result.
pub trait Conversation:
    Machine<Input = Input, Effect = Effect, Event = Event<<Self as Conversation>::Output>>
{
    /// What it is for.
    type Output;
}

/// What can happen to a conversation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// Begin; or, after it was read back from a store, go on.
    Start,
    /// What became of a job that was sent.
    Outcome(EffectId, Outcome),
    /// What the person said.
    Answer(EffectId, Answer),
    /// The moment that was waited for has come.
    Waited(EffectId),
}

/// What a conversation wants done.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// Run this job to its end.
    Send(EffectId, Box<Job>),
    /// Ask the person.
    Ask(EffectId, Prompt),
    /// Wait until this moment, and say so with [`Input::Waited`].
    Wait(EffectId, Timestamp),
}

/// What a conversation tells.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<T> {
    /// How it goes.
    Progress(Progress),
    /// It is over. Told exactly once.
    Finished(Result<T, AuthError>),
}

/// How a conversation goes, for whoever watches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Which way through the server's authentication was chosen.
    Route {
        /// What will be done, in order.
        stages: Vec<Stage>,
        /// Why this one.
        why: String,
    },
    /// The server accepted a stage.
    StageDone(Stage),
    /// The server's name has no well-known document, so it is taken as the address itself.
    NoWellKnown {
        /// The name.
        name: String,
        /// The address.
        server: ServerUrl,
    },
    /// The server gives no session here: the account is made without one.
    NoSession,
    /// A request may or may not have been processed; this is how it is settled.
    Settling(String),
    /// The person is to type this code into this page, in any browser. Nothing waits for an answer.
    DeviceCode {
        /// The page.
        url: String,
        /// The page with the code in it, for a QR code.
        url_with_code: Option<String>,
        /// The code.
        user_code: String,
        /// Until when it can be typed.
        expires_at: Timestamp,
    },
}

/// What only the person can say.
///
/// `why` tells, where something was tried before, why it was not good enough.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Prompt {
    /// Where the homeserver of this name is: its address, like `https://matrix.example.org`.
    HomeserverUrl {
        /// The name.
        name: String,
        /// Why it was not found.
        why: String,
    },
    /// Which name the account is to have.
    Username {
        /// Why the last one was refused.
        why: Option<String>,
    },
    /// Which password the account is to have.
    Password {
        /// Why the last one was refused.
        why: Option<String>,
    },
    /// The password that the account has, for the server to know who is there.
    CurrentPassword {
        /// Whose.
        user_id: UserId,
        /// Why the last one was refused.
        why: Option<String>,
    },
    /// The registration token that the server's administrators handed out.
    RegistrationToken {
        /// Why the last one was refused.
        why: Option<String>,
    },
    /// Whether the person accepts these documents.
    AcceptTerms {
        /// What is to be accepted.
        policies: Vec<Policy>,
    },
    /// Which email address the account is to have.
    EmailAddress {
        /// Why the last one was refused.
        why: Option<String>,
    },
    /// Which phone number the account is to have, like `GB:07700900001`.
    PhoneNumber {
        /// Why the last one was refused.
        why: Option<String>,
    },
    /// A message with a link was sent to this address. [`Answer::Yes`]: it is followed, or will be
    /// soon, and the server is asked until it is. [`Answer::No`]: send another message.
    FollowLink {
        /// Whom the server wrote to.
        address: String,
        /// Why it is asked again.
        why: Option<String>,
    },
    /// A message with a code was sent to this address; the answer is the code. [`Answer::No`]: send
    /// another message.
    Code {
        /// Whom the server wrote to.
        address: String,
        /// Why the last one was refused.
        why: Option<String>,
    },
    /// A stage that is done on a page of the server, in any browser. [`Answer::Yes`]: it is done, or
    /// will be soon, and the server is asked until it is.
    StagePage {
        /// Which stage.
        stage: Stage,
        /// The page.
        url: String,
        /// Why it is asked again.
        why: Option<String>,
    },
    /// At which of these the person signs in: the answer is its id. Where nobody says, the server's
    /// own page asks.
    IdentityProvider {
        /// What the server offers.
        providers: Vec<IdentityProvider>,
    },
    /// Opens this page in a browser; the answer is the whole [address that it leads back to], as
    /// [`Answer::Text`].
    ///
    /// [address that it leads back to]: https://spec.matrix.org/v1.19/client-server-api/#callback
    OpenPage {
        /// The page. It holds what keeps others from answering: show it to the person alone.
        url: Secret,
        /// What the address it leads back to begins with.
        redirect_uri: String,
        /// What that address must hold as its `state`: others can lead a browser there too.
        state: Secret,
        /// Why the last answer was no good.
        why: Option<String>,
    },
}

/// What the person said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// This text.
    Text(Secret),
    /// Yes.
    Yes,
    /// No.
    No,
    /// Nobody is there to be asked.
    Unavailable,
}
