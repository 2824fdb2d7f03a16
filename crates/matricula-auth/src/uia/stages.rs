//! What each stage does to a [`UiaFlow`]: its question, its answer, and what follows a refusal. Each is one
//! `match` over [`SupportedStage`], without a wildcard.

use matricula_api::{
    ApiError, ErrorCode,
    uia::{AuthData, Stage, UserIdentifier},
};
use matricula_core::{Response, Timestamp};

use super::{
    UiaFlow,
    flow::UiaNext,
    question::{Resumability, StageQuestion},
    supported::SupportedStage,
};
use crate::{UiaError, conversation::ConversationState};

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
    pub(crate) fn on_not_done<T, F>(
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

/// The server's words, if an error without flows, after a request that was to complete the stage, refuses the
/// stage. Other errors are about the request as a whole.
pub(crate) fn stage_refusal(
    stage: &Stage,
    error: &ApiError,
    response: &Response,
) -> Option<String> {
    let (status, code, words) = match error {
        ApiError::Matrix(error) => (error.status, error.code.clone(), error.message.clone()),
        // A refusal without a code. One without words is the page of a proxy.
        ApiError::UnexpectedStatus { status } if !response.error_message().is_empty() => {
            (*status, ErrorCode::Unauthorized, response.error_message())
        }
        _ => return None,
    };
    let is_refusal = match (status, code) {
        // About the session of the request.
        (
            401,
            ErrorCode::UnknownToken
            | ErrorCode::MissingToken
            | ErrorCode::UserLocked
            | ErrorCode::UserSuspended
            | ErrorCode::UserDeactivated,
        ) => false,
        (401, _) | (400, ErrorCode::Unauthorized | ErrorCode::Forbidden) => true,
        (403, ErrorCode::Unauthorized | ErrorCode::Forbidden) => *stage == Stage::RegistrationToken,
        (400..=499, ErrorCode::ThreepidAuthFailed | ErrorCode::SessionNotValidated) => {
            matches!(stage, Stage::EmailIdentity | Stage::Msisdn)
        }
        (400..=499, ErrorCode::CaptchaInvalid | ErrorCode::CaptchaNeeded) => {
            *stage == Stage::Recaptcha
        }
        _ => false,
    };
    is_refusal.then_some(words)
}
