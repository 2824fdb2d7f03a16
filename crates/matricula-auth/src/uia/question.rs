//! What a person is asked for a stage, as data.

use matricula_api::{UserId, uia::Stage};
use serde::{Deserialize, Serialize};

/// Whether an authentication that failed can continue later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resumability {
    /// It cannot.
    No,
    /// With more answers.
    Continue,
    /// After the person has completed a stage in a browser.
    Poll,
}

/// A question for a stage, and why it is asked again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum StageQuestion {
    /// The account's password.
    Password {
        user_id: UserId,
        why: Option<String>,
    },
    /// A registration token.
    Token { why: Option<String> },
    /// Whether the server's terms are accepted.
    Terms,
    /// To complete the stage on a page.
    Page { stage: Stage, why: Option<String> },
}

impl StageQuestion {
    /// Whether an earlier answer was refused.
    pub(super) fn is_repeated(&self) -> bool {
        match self {
            Self::Password { why, .. } | Self::Token { why } | Self::Page { why, .. } => {
                why.is_some()
            }
            Self::Terms => false,
        }
    }

    /// Whether the authentication can continue later if there is no answer now.
    pub(super) fn resumability(&self) -> Resumability {
        match self {
            Self::Page { .. } => Resumability::Poll,
            Self::Terms | Self::Token { why: None } => Resumability::Continue,
            Self::Token { .. } | Self::Password { .. } => Resumability::No,
        }
    }
}
