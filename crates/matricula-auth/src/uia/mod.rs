//! User-interactive authentication: one [`UiaFlow`] for registration and for every other operation that
//! needs it.
//!
//! - `flow.rs`: the state of one authentication, and its next action.
//! - `supported.rs`: the stages that are completed here, and what each costs a person.
//! - `stages.rs`: their question, what is sent, what follows a refusal.
//! - `question.rs`, `prompts.rs`: what a person is asked, and the answers.
//! - `session.rs`: the server's session: completed stages, offered flows.
//! - `choice.rs`: which of the offered flows is taken.
//! - `backoff.rs`: how often the server is polled for a stage that is completed elsewhere.
//! - `validation.rs`: the validation of one email address or phone number.
//! - `request.rs`: [`UiaRequest`], any operation with authentication.
//!
//! Specification: <https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api>.

mod backoff;
pub(crate) mod choice;
mod flow;
mod prompts;
mod question;
mod request;
mod session;
mod stages;
mod supported;
mod validation;

pub(crate) use backoff::Backoff;
pub(crate) use flow::{UiaFlow, UiaNext};
pub(crate) use question::Resumability;
pub use request::UiaRequest;
pub(crate) use session::UiaSession;
pub(crate) use stages::stage_refusal;
pub(crate) use supported::KnownAnswers;
pub(crate) use validation::{CodeRefused, Validation, submitted};
