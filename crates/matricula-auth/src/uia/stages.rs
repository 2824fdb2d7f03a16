//! The stages that are completed here. Each question about a stage is one `match` over [`SupportedStage`],
//! without a wildcard.

use matricula_api::uia::{AuthData, Stage, UserIdentifier};
use matricula_core::Timestamp;

use super::{
    KnownAnswers, UiaFlow,
    flow::{Resumability, UiaNext},
    prompts::StageQuestion,
};
use crate::{UiaError, conversation::ConversationState};

/// A stage that is completed here. All others need a page of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SupportedStage {
    Dummy,
    RegistrationToken,
    Terms,
    Password,
    EmailIdentity,
    Msisdn,
}

impl SupportedStage {
    /// `None` if the stage needs a page. A variant that is missing here is reported as dead code.
    pub(super) fn of(stage: &Stage) -> Option<Self> {
        match stage {
            Stage::Dummy => Some(Self::Dummy),
            Stage::RegistrationToken => Some(Self::RegistrationToken),
            Stage::Terms => Some(Self::Terms),
            Stage::Password => Some(Self::Password),
            Stage::EmailIdentity => Some(Self::EmailIdentity),
            Stage::Msisdn => Some(Self::Msisdn),
            _ => None,
        }
    }

    /// How much work the stage is for the person: none, something given already, a click, a code to
    /// copy, a page to open, personal data to give, something to find.
    fn cost(self, known: KnownAnswers) -> u32 {
        let (is_known, cost_if_known, cost) = match self {
            Self::Dummy => return 1,
            Self::RegistrationToken => (known.token, 2, 100),
            Self::Terms => (known.terms, 2, 10),
            Self::Password => (known.password, 2, 20),
            Self::EmailIdentity => (known.email, 12, 40),
            Self::Msisdn => (known.phone, 15, 50),
        };
        if is_known { cost_if_known } else { cost }
    }

    /// What the stage asks of a person, in words.
    fn demand(self, known: KnownAnswers) -> Option<&'static str> {
        let (is_known, demand_if_known, demand) = match self {
            Self::Dummy => return None,
            Self::RegistrationToken => (
                known.token,
                "the registration token that you gave",
                "a registration token",
            ),
            Self::Terms => (
                known.terms,
                "its terms, which you accept",
                "accepting its terms",
            ),
            Self::Password => (known.password, "the password that is known", "the password"),
            Self::EmailIdentity => (
                known.email,
                "proving the email address that you gave",
                "an email address",
            ),
            Self::Msisdn => (
                known.phone,
                "proving the phone number that you gave",
                "a phone number",
            ),
        };
        Some(if is_known { demand_if_known } else { demand })
    }
}

/// How much work a stage is for the person.
pub(super) fn cost(stage: &Stage, known: KnownAnswers) -> u32 {
    match SupportedStage::of(stage) {
        Some(supported) => supported.cost(known),
        None if *stage == Stage::Recaptcha => 30,
        None => 100,
    }
}

/// What a stage asks of a person, in words; `None` if nothing.
pub(super) fn demand(stage: &Stage, known: KnownAnswers) -> Option<&'static str> {
    match SupportedStage::of(stage) {
        Some(supported) => supported.demand(known),
        None => Some(match stage {
            Stage::Recaptcha => "a captcha",
            Stage::Sso => "single sign-on",
            _ => "a page of its own",
        }),
    }
}

impl UiaFlow {
    /// Whether only a page of the server can complete the stage.
    pub(super) fn needs_page(&self, stage: &Stage) -> bool {
        match SupportedStage::of(stage) {
            Some(
                SupportedStage::Dummy | SupportedStage::RegistrationToken | SupportedStage::Terms,
            ) => false,
            Some(SupportedStage::Password) => self.user_id.is_none(),
            Some(SupportedStage::EmailIdentity | SupportedStage::Msisdn) | None => {
                !self.owner_validates.contains(stage)
            }
        }
    }

    /// What the person is asked before the request completes the stage; `None` if the answer is known.
    pub(super) fn question_for(&self, stage: &Stage) -> Option<StageQuestion> {
        let why = None;
        match SupportedStage::of(stage)? {
            SupportedStage::Password if self.passwords.is_empty() => {
                let user_id = self.user_id.clone()?;
                Some(StageQuestion::Password { user_id, why })
            }
            SupportedStage::RegistrationToken if self.token.is_none() => {
                Some(StageQuestion::Token { why })
            }
            SupportedStage::Terms if !self.accepts_terms => Some(StageQuestion::Terms),
            SupportedStage::Password
            | SupportedStage::RegistrationToken
            | SupportedStage::Terms
            | SupportedStage::Dummy
            | SupportedStage::EmailIdentity
            | SupportedStage::Msisdn => None,
        }
    }

    /// Adds the answer to the data that completes the stage.
    pub(super) fn add_answer(&self, stage: &Stage, auth: &mut AuthData) {
        match SupportedStage::of(stage) {
            Some(SupportedStage::Password) => {
                let user_id = self.user_id.as_ref();
                auth.identifier = user_id.map(|user_id| UserIdentifier::user(user_id.as_str()));
                auth.password = self.passwords.front().cloned();
            }
            Some(SupportedStage::RegistrationToken) => auth.token = self.token.clone(),
            Some(
                SupportedStage::Dummy
                | SupportedStage::Terms
                | SupportedStage::EmailIdentity
                | SupportedStage::Msisdn,
            )
            | None => {}
        }
    }

    /// The server did not accept the stage: asks again, polls again, or fails.
    pub(super) fn on_not_done<T, F>(
        &mut self,
        conversation: &mut ConversationState<T, F>,
        now: Timestamp,
        stage: Stage,
        message: String,
    ) -> UiaNext {
        match SupportedStage::of(&stage) {
            _ if self.needs_page(&stage) => self.on_not_yet(conversation, now, stage, message),
            Some(SupportedStage::Password) => self.on_wrong_password(conversation, message),
            Some(SupportedStage::RegistrationToken) => {
                self.token = None;
                let why = Some(message);
                self.ask(conversation, StageQuestion::Token { why })
            }
            Some(SupportedStage::EmailIdentity | SupportedStage::Msisdn) => {
                self.on_not_yet(conversation, now, stage, message)
            }
            Some(SupportedStage::Dummy | SupportedStage::Terms) | None => {
                let server = self.server();
                let error = UiaError::StageFailed {
                    server,
                    stage,
                    message,
                };
                UiaNext::Fail(error, Resumability::No)
            }
        }
    }
}
