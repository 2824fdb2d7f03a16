//! What the conversations behind user-interactive authentication share: how far one has come, which
//! way it takes, how it waits, how an address is proved.
//!
//! Specification: <https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api>.

mod authenticated;
pub(crate) mod flow;
pub(crate) mod patience;
mod progress;
mod validation;

pub use authenticated::UiaRequest;
pub(crate) use flow::KnownAnswers;
pub(crate) use patience::Backoff;
pub(crate) use progress::{UiaDecision, UiaSession};
pub(crate) use validation::{CodeRefused, Validation, submitted};

use matricula_api::uia::Stage;

/// Whether a stage proves an email address or a phone number.
pub(crate) fn is_address_stage(stage: &Stage) -> bool {
    matches!(stage, Stage::EmailIdentity | Stage::Msisdn)
}
