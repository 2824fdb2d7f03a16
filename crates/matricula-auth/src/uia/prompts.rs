//! The stages that are completed here, and what a person is asked for them. Everything that is special to
//! one stage is in this file.
//!
//! To support another stage: name it in `is_done_elsewhere`, add a variant to [`Question`], say in
//! `question_for` when it is asked and in `add_answer` what is sent; the compiler names the other arms.

use matricula_api::{
    UserId,
    uia::{AuthData, Policy, Stage, UserIdentifier},
};
use serde::{Deserialize, Serialize};

use super::{
    UiaFlow,
    flow::{Resumability, State, UiaNext},
};
use crate::{Answer, Prompt, UiaError, conversation::ConversationState};

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

impl UiaFlow {
    /// Whether only a page of the server can complete the stage.
    pub(super) fn needs_page(&self, stage: &Stage) -> bool {
        !match stage {
            Stage::Password => self.user_id.is_some(),
            Stage::Dummy | Stage::RegistrationToken | Stage::Terms => true,
            stage => self.owner_validates.contains(stage),
        }
    }

    /// What the person is asked before the request completes the stage; `None` if the answer is known.
    pub(super) fn question_for(&self, stage: &Stage) -> Option<StageQuestion> {
        let why = None;
        match stage {
            Stage::Password if self.passwords.is_empty() => {
                let user_id = self.user_id.clone()?;
                Some(StageQuestion::Password { user_id, why })
            }
            Stage::RegistrationToken if self.token.is_none() => Some(StageQuestion::Token { why }),
            Stage::Terms if !self.accepts_terms => Some(StageQuestion::Terms),
            _ => None,
        }
    }

    /// Adds the answer to the data that completes the stage.
    pub(super) fn add_answer(&self, stage: &Stage, auth: &mut AuthData) {
        match stage {
            Stage::Password => {
                let user_id = self.user_id.as_ref();
                auth.identifier = user_id.map(|user_id| UserIdentifier::user(user_id.as_str()));
                auth.password = self.passwords.front().cloned();
            }
            Stage::RegistrationToken => auth.token = self.token.clone(),
            _ => {}
        }
    }

    /// Asks the person.
    pub(super) fn ask<T, F>(
        &mut self,
        conversation: &mut ConversationState<T, F>,
        question: StageQuestion,
    ) -> UiaNext {
        conversation.ask(self.prompt(&question));
        self.state = State::Asking(question);
        UiaNext::Wait
    }

    /// Asks the person to complete a stage on a page.
    pub(crate) fn ask_page<T, F>(
        &mut self,
        conversation: &mut ConversationState<T, F>,
        stage: Stage,
        why: Option<String>,
    ) -> UiaNext {
        self.ask(conversation, StageQuestion::Page { stage, why })
    }

    /// What a user interface shows.
    fn prompt(&self, question: &StageQuestion) -> Prompt {
        match question.clone() {
            StageQuestion::Password { user_id, why } => Prompt::CurrentPassword { user_id, why },
            StageQuestion::Token { why } => Prompt::RegistrationToken { why },
            StageQuestion::Terms => Prompt::AcceptTerms {
                policies: self.session.policies(),
            },
            StageQuestion::Page { stage, why } => Prompt::StagePage {
                url: self.page(&stage),
                stage,
                why,
            },
        }
    }

    /// Takes the answer; `None` if it is of the wrong kind.
    pub(super) fn accept(&mut self, question: &StageQuestion, answer: Answer) -> Option<UiaNext> {
        Some(match (question, answer) {
            (StageQuestion::Password { .. }, Answer::Text(password)) => {
                self.passwords.push_front(password);
                UiaNext::Request(Stage::Password)
            }
            (StageQuestion::Token { .. }, Answer::Text(token)) => {
                self.token = Some(token);
                UiaNext::Request(Stage::RegistrationToken)
            }
            (StageQuestion::Terms, Answer::Yes) => {
                self.accepts_terms = true;
                UiaNext::Request(Stage::Terms)
            }
            (StageQuestion::Page { stage, .. }, Answer::Yes) => self.poll(stage.clone()),
            _ => return None,
        })
    }

    /// The error if the person has no answer.
    pub(super) fn error_without_answer(&self, question: &StageQuestion) -> UiaError {
        let server = self.server();
        match question.clone() {
            StageQuestion::Password { user_id, why: None } => {
                UiaError::PasswordNeeded { server, user_id }
            }
            StageQuestion::Password {
                why: Some(message), ..
            } => UiaError::WrongPassword { server, message },
            StageQuestion::Token { why: None } => UiaError::TokenNeeded { server },
            StageQuestion::Token { why: Some(message) } => UiaError::TokenWrong { server, message },
            StageQuestion::Terms => UiaError::TermsNotAccepted {
                server,
                documents: titles(&self.session.policies()),
            },
            StageQuestion::Page { stage, .. } => self.needs_browser(&stage),
        }
    }
}

/// The documents with their addresses.
fn titles(policies: &[Policy]) -> String {
    let title = |policy: &Policy| format!("{} ({})", policy.name, policy.url);
    let titles: Vec<String> = policies.iter().map(title).collect();
    titles.join(", ")
}
