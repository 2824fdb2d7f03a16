//! What a person is asked to complete a stage. A new question is a variant of [`Question`] and one arm in
//! each of its matches; `flow.rs` says in `advance` when it is asked.

use matricula_api::{
    UserId,
    uia::{Policy, Stage},
};
use serde::{Deserialize, Serialize};

use super::{
    UiaFlow,
    flow::{Resume, State, UiaNext},
};
use crate::{Answer, Prompt, UiaError, machine::Core};

/// A question for a stage, and why it is asked again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Question {
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

impl Question {
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
    pub(super) fn resume(&self) -> Resume {
        match self {
            Self::Page { .. } => Resume::Poll,
            Self::Terms | Self::Token { why: None } => Resume::Continue,
            Self::Token { .. } | Self::Password { .. } => Resume::No,
        }
    }
}

impl UiaFlow {
    /// Asks the person.
    pub(super) fn ask<T, F>(&mut self, core: &mut Core<T, F>, question: Question) -> UiaNext {
        core.ask(self.prompt(&question));
        self.state = State::Asking(question);
        UiaNext::Wait
    }

    /// Asks the person to complete a stage on a page.
    pub(crate) fn ask_page<T, F>(
        &mut self,
        core: &mut Core<T, F>,
        stage: Stage,
        why: Option<String>,
    ) -> UiaNext {
        self.ask(core, Question::Page { stage, why })
    }

    /// What a user interface shows.
    fn prompt(&self, question: &Question) -> Prompt {
        match question.clone() {
            Question::Password { user_id, why } => Prompt::CurrentPassword { user_id, why },
            Question::Token { why } => Prompt::RegistrationToken { why },
            Question::Terms => Prompt::AcceptTerms {
                policies: self.session.policies(),
            },
            Question::Page { stage, why } => Prompt::StagePage {
                url: self.page(&stage),
                stage,
                why,
            },
        }
    }

    /// Takes the answer; `None` if it is of the wrong kind.
    pub(super) fn accept(&mut self, question: &Question, answer: Answer) -> Option<UiaNext> {
        Some(match (question, answer) {
            (Question::Password { .. }, Answer::Text(password)) => {
                self.passwords.push_front(password);
                UiaNext::Request(Stage::Password)
            }
            (Question::Token { .. }, Answer::Text(token)) => {
                self.token = Some(token);
                UiaNext::Request(Stage::RegistrationToken)
            }
            (Question::Terms, Answer::Yes) => {
                self.accepts_terms = true;
                UiaNext::Request(Stage::Terms)
            }
            (Question::Page { stage, .. }, Answer::Yes) => self.poll(stage.clone()),
            _ => return None,
        })
    }

    /// The error if the person has no answer.
    pub(super) fn error_without_answer(&self, question: &Question) -> UiaError {
        let server = self.server();
        match question.clone() {
            Question::Password { user_id, why: None } => {
                UiaError::PasswordNeeded { server, user_id }
            }
            Question::Password {
                why: Some(message), ..
            } => UiaError::WrongPassword { server, message },
            Question::Token { why: None } => UiaError::TokenNeeded { server },
            Question::Token { why: Some(message) } => UiaError::TokenWrong { server, message },
            Question::Terms => UiaError::TermsNotAccepted {
                server,
                documents: titles(&self.session.policies()),
            },
            Question::Page { stage, .. } => self.needs_browser(&stage),
        }
    }
}

/// The documents with their addresses.
fn titles(policies: &[Policy]) -> String {
    let title = |policy: &Policy| format!("{} ({})", policy.name, policy.url);
    let titles: Vec<String> = policies.iter().map(title).collect();
    titles.join(", ")
}
