//! What only a registration asks a person: a username, a password, an address and its validation. What
//! a stage of authentication asks is in `uia/prompts.rs`.

use matricula_api::{ErrorCode, uia::Stage};
use serde::{Deserialize, Serialize};

use super::{Phase, Registration};
use crate::{Answer, Prompt, RegisterError, ThreepidError};

/// A question, and why it is asked again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum RegistrationQuestion {
    /// Another username.
    Username { refused: Refusal },
    /// Another password.
    Password { refused: Refusal },
    /// An email address or a phone number.
    Address {
        stage: Stage,
        /// The refused address, with the server's code and message.
        refused: Option<(String, ErrorCode, String)>,
    },
    /// To open the link of a message.
    Link { stage: Stage, why: Option<String> },
    /// The code of a message.
    Code { stage: Stage, why: Option<String> },
}

impl RegistrationQuestion {
    /// Whether an earlier answer was refused.
    fn is_repeated(&self) -> bool {
        match self {
            Self::Username { .. } | Self::Password { .. } => true,
            Self::Address { refused, .. } => refused.is_some(),
            Self::Link { why, .. } | Self::Code { why, .. } => why.is_some(),
        }
    }

    /// Whether the registration can continue later if there is no answer now.
    pub(super) fn can_resume(&self) -> bool {
        match self {
            Self::Username { .. } | Self::Password { .. } => false,
            Self::Address { .. } | Self::Link { .. } | Self::Code { .. } => true,
        }
    }
}

/// A refusal that another username or password may avoid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn error(&self, registration: &Registration) -> RegisterError {
        let server = registration.server.clone();
        let username = registration.username().to_owned();
        let message = self.message.clone();
        match &self.code {
            ErrorCode::UserInUse => RegisterError::NameTaken { server, username },
            ErrorCode::InvalidUsername => RegisterError::NameInvalid {
                server,
                username,
                message,
            },
            ErrorCode::Exclusive => RegisterError::NameReserved { server, username },
            code => RegisterError::WeakPassword {
                server,
                code: code.clone(),
                message,
            },
        }
    }
}

impl Registration {
    /// Asks the person.
    pub(super) fn ask(&mut self, question: RegistrationQuestion) {
        self.conversation.ask(self.prompt(&question));
        self.phase = Phase::Asking(question);
    }

    /// What a user interface shows.
    fn prompt(&self, question: &RegistrationQuestion) -> Prompt {
        let address = |stage: &Stage| self.threepids.address(stage).unwrap_or_default();
        match question.clone() {
            RegistrationQuestion::Username { refused } => Prompt::Username {
                why: Some(refused.error(self).to_string()),
            },
            RegistrationQuestion::Password { refused } => Prompt::Password {
                why: Some(refused.error(self).to_string()),
            },
            RegistrationQuestion::Address { stage, refused } => {
                let why = refused.map(|_| self.error_without_answer(question).to_string());
                match stage {
                    Stage::Msisdn => Prompt::PhoneNumber { why },
                    _ => Prompt::EmailAddress { why },
                }
            }
            RegistrationQuestion::Link { stage, why } => Prompt::FollowLink {
                address: address(&stage),
                why,
            },
            RegistrationQuestion::Code { stage, why } => Prompt::Code {
                address: address(&stage),
                why,
            },
        }
    }

    /// Handles the person's answer.
    pub(super) fn on_answer(&mut self, question: RegistrationQuestion, answer: Answer) {
        // Each question is free once; a repeated one counts.
        let has_tries_left = self.conversation.count_try(question.is_repeated());
        let asks_for_message = answer == Answer::No
            && matches!(
                question,
                RegistrationQuestion::Link { .. } | RegistrationQuestion::Code { .. }
            );
        let is_unanswered = match answer {
            Answer::Unavailable => true,
            Answer::No => !asks_for_message,
            _ => false,
        };
        if is_unanswered || !has_tries_left {
            let error = self.error_without_answer(&question);
            return if question.can_resume() {
                self.pause(Phase::Paused { polls_first: false }, error);
            } else {
                self.conversation.fail(error);
            };
        }
        match (question, answer) {
            (RegistrationQuestion::Username { .. }, Answer::Text(name)) => {
                self.options.username = Some(name.expose().to_owned());
                self.options.take_server_name();
                // Completed stages may be bound to the old name.
                self.flow.session.forget();
                self.begin_with_name();
            }
            (RegistrationQuestion::Password { .. }, Answer::Text(password)) => {
                self.options.password = Some(password);
                self.password_is_generated = false;
                // A server keeps the first password of a session.
                self.flow.session.forget();
                self.advance();
            }
            (RegistrationQuestion::Address { stage, .. }, answer)
                if self.threepids.accept(&stage, &answer) =>
            {
                self.advance();
            }
            (
                RegistrationQuestion::Link { stage, .. } | RegistrationQuestion::Code { stage, .. },
                Answer::No,
            ) => {
                self.conversation.count_try(true);
                if let Some(one) = self.threepids.validation(&stage) {
                    one.again();
                }
                self.validate(stage);
            }
            (RegistrationQuestion::Link { stage, .. }, Answer::Yes) => {
                let next = self.flow.poll(stage);
                self.apply(next);
            }
            (RegistrationQuestion::Code { stage, .. }, Answer::Text(code)) => {
                self.submit(stage, &code)
            }
            // The answer is of the wrong kind: ask again.
            (
                question @ (RegistrationQuestion::Username { .. }
                | RegistrationQuestion::Password { .. }
                | RegistrationQuestion::Address { .. }
                | RegistrationQuestion::Link { .. }
                | RegistrationQuestion::Code { .. }),
                _,
            ) => {
                self.conversation.count_try(true);
                self.ask(question);
            }
        }
    }

    /// The error if the person has no answer.
    fn error_without_answer(&self, question: &RegistrationQuestion) -> RegisterError {
        let server = self.server.clone();
        let error = match question.clone() {
            RegistrationQuestion::Username { refused }
            | RegistrationQuestion::Password { refused } => {
                return refused.error(self);
            }
            RegistrationQuestion::Address {
                refused: Some((address, code, message)),
                ..
            } => ThreepidError::AddressRefused {
                server,
                address,
                code,
                message,
            },
            RegistrationQuestion::Address { stage, .. } => {
                ThreepidError::AddressNeeded { server, stage }
            }
            RegistrationQuestion::Link { stage, .. } | RegistrationQuestion::Code { stage, .. } => {
                ThreepidError::AddressNotValidated {
                    server,
                    address: self.threepids.address(&stage).unwrap_or_default(),
                    stage,
                }
            }
        };
        error.into()
    }
}
