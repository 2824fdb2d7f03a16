//! What only the person can say, and what becomes of the answer.

use matricula_api::{ErrorCode, uia::Stage};
use matricula_core::EffectId;
use serde::{Deserialize, Serialize};

use super::{MOST_TRIES, Phase, Registration, Turn};
use crate::{Answer, AuthError, Effect, Prompt};

/// What the person was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ask {
    Name {
        refused: Refusal,
    },
    Password {
        refused: Refusal,
    },
    Token {
        refused: Option<String>,
    },
    Terms,
    Address {
        stage: Stage,
        /// Which one, by which code and in which words.
        refused: Option<(String, ErrorCode, String)>,
    },
    Link {
        stage: Stage,
        why: Option<String>,
    },
    Code {
        stage: Stage,
        why: Option<String>,
    },
    Page {
        stage: Stage,
        why: Option<String>,
    },
}

impl Ask {
    /// Whether an earlier answer was not good enough.
    fn is_again(&self) -> bool {
        match self {
            Self::Name { .. } | Self::Password { .. } => true,
            Self::Token { refused } => refused.is_some(),
            Self::Terms => false,
            Self::Address { refused, .. } => refused.is_some(),
            Self::Link { why, .. } | Self::Code { why, .. } | Self::Page { why, .. } => {
                why.is_some()
            }
        }
    }
}

/// A refusal that the person can answer with another name or password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn error(&self, registration: &Registration) -> AuthError {
        let server = registration.server.clone();
        let username = registration.username().to_owned();
        let message = self.message.clone();
        match &self.code {
            ErrorCode::UserInUse => AuthError::NameTaken { server, username },
            ErrorCode::InvalidUsername => AuthError::NameInvalid {
                server,
                username,
                message,
            },
            ErrorCode::Exclusive => AuthError::NameReserved { server, username },
            code => AuthError::WeakPassword {
                server,
                code: code.clone(),
                message,
            },
        }
    }
}

impl Registration {
    pub(super) fn ask(&mut self, ask: Ask, turn: &mut Turn) {
        let question = match &ask {
            Ask::Name { refused } => Prompt::Username {
                why: Some(refused.error(self).to_string()),
            },
            Ask::Password { refused } => Prompt::Password {
                why: Some(refused.error(self).to_string()),
            },
            Ask::Token { refused } => Prompt::RegistrationToken {
                why: refused.clone(),
            },
            Ask::Terms => Prompt::AcceptTerms {
                policies: self.progress.policies(),
            },
            Ask::Address { stage, refused } => {
                let why = refused.as_ref().map(|_| self.unanswered(&ask).to_string());
                match stage {
                    Stage::Msisdn => Prompt::PhoneNumber { why },
                    _ => Prompt::EmailAddress { why },
                }
            }
            Ask::Link { stage, why } => Prompt::FollowLink {
                address: self.written_to(stage),
                why: why.clone(),
            },
            Ask::Code { stage, why } => Prompt::Code {
                address: self.written_to(stage),
                why: why.clone(),
            },
            Ask::Page { stage, why } => Prompt::StagePage {
                stage: stage.clone(),
                url: self.fallback_page(stage),
                why: why.clone(),
            },
        };
        self.phase = Phase::Asking(ask);
        self.last_effect += 1;
        turn.effects
            .push(Effect::Ask(EffectId(self.last_effect), question));
    }

    fn written_to(&self, stage: &Stage) -> String {
        match stage {
            Stage::Msisdn => self.wishes.phone.as_ref().map(ToString::to_string),
            _ => self.wishes.email.clone(),
        }
        .unwrap_or_default()
    }

    pub(super) fn on_reply(&mut self, reply: Answer, turn: &mut Turn) {
        let Phase::Asking(ask) = self.phase.clone() else {
            return;
        };
        // Each stage may ask once; what is asked again counts.
        self.tries += u32::from(ask.is_again());
        let sends_again = matches!(ask, Ask::Link { .. } | Ask::Code { .. }) && reply == Answer::No;
        if self.tries > MOST_TRIES
            || matches!(reply, Answer::Unavailable)
            || (reply == Answer::No && !sends_again)
        {
            let error = self.unanswered(&ask);
            match ask {
                Ask::Page { .. } => self.pause(Phase::Paused { elsewhere: true }, error, turn),
                Ask::Token { refused: None }
                | Ask::Terms
                | Ask::Address { .. }
                | Ask::Link { .. }
                | Ask::Code { .. } => {
                    self.pause(Phase::Paused { elsewhere: false }, error, turn);
                }
                _ => self.end(Err(error), turn),
            }
            return;
        }
        match (ask, reply) {
            (Ask::Name { .. }, Answer::Text(name)) => {
                self.wishes.username = Some(name.expose().to_owned());
                // What was done under the old name may be bound to it.
                self.progress.forget();
                self.begin_with_name(turn);
            }
            (Ask::Password { .. }, Answer::Text(password)) => {
                self.wishes.password = Some(password);
                self.password_made = false;
                // A server keeps the first password of a session.
                self.progress.forget();
                self.go_on(turn);
            }
            (Ask::Token { .. }, Answer::Text(token)) => {
                self.wishes.token = Some(token);
                self.go_on(turn);
            }
            (Ask::Terms, Answer::Yes) => {
                self.wishes.accept_terms = true;
                self.go_on(turn);
            }
            (Ask::Address { stage, .. }, reply) if self.take_address(&stage, &reply) => {
                self.go_on(turn);
            }
            (Ask::Link { stage, .. } | Ask::Code { stage, .. }, Answer::No) => {
                self.tries += 1;
                self.send_again(stage, turn);
            }
            (Ask::Link { stage, .. } | Ask::Page { stage, .. }, Answer::Yes) => {
                self.look(stage, turn);
            }
            (Ask::Code { stage, .. }, Answer::Text(code)) => self.submit(stage, &code, turn),
            // An answer to another question than the one asked: ask again.
            (ask, _) => {
                self.tries += 1;
                self.ask(ask, turn);
            }
        }
    }

    /// Why it ends where the person has no answer.
    fn unanswered(&self, ask: &Ask) -> AuthError {
        let server = self.server.clone();
        match ask {
            Ask::Name { refused } | Ask::Password { refused } => refused.error(self),
            Ask::Token {
                refused: Some(message),
            } => AuthError::TokenWrong {
                server,
                message: message.clone(),
            },
            Ask::Token { refused: None } => AuthError::TokenNeeded { server },
            Ask::Address {
                refused: Some((address, code, message)),
                ..
            } => AuthError::AddressRefused {
                server,
                address: address.clone(),
                code: code.clone(),
                message: message.clone(),
            },
            Ask::Address { stage, .. } => AuthError::AddressNeeded {
                server,
                stage: stage.clone(),
            },
            Ask::Link { stage, .. } | Ask::Code { stage, .. } => AuthError::AddressNotProved {
                server,
                address: self.written_to(stage),
                stage: stage.clone(),
            },
            Ask::Page { stage, .. } => self.left_to_a_browser(stage),
            Ask::Terms => AuthError::terms_not_accepted(server, &self.progress.policies()),
        }
    }
}
