//! What a person is asked for the stages. Each question about a prompt is one `match` over
//! [`StageQuestion`], without a wildcard.

use matricula_api::uia::{Policy, Stage};

use super::{
    UiaFlow,
    flow::{State, UiaNext},
    question::StageQuestion,
};
use crate::{Answer, Prompt, UiaError, conversation::ConversationState};

impl UiaFlow {
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
            StageQuestion::Password { user_id, why } => {
                let why = why.map(reason);
                Prompt::CurrentPassword { user_id, why }
            }
            StageQuestion::Token { why } => {
                let why = why.map(reason);
                Prompt::RegistrationToken { why }
            }
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
        Some(match question {
            StageQuestion::Password { .. } => {
                self.passwords.push_front(answer.into_text()?);
                UiaNext::Request(Stage::Password)
            }
            StageQuestion::Token { .. } => {
                self.token = Some(answer.into_text()?);
                UiaNext::Request(Stage::RegistrationToken)
            }
            StageQuestion::Terms => {
                answer.into_yes()?;
                self.accepts_terms = true;
                UiaNext::Request(Stage::Terms)
            }
            StageQuestion::Page { stage, .. } => {
                answer.into_yes()?;
                self.poll(stage.clone())
            }
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

/// Why an answer was refused: in the server's words, if it has some.
fn reason(message: String) -> String {
    if message.is_empty() {
        "the server does not accept it".to_owned()
    } else {
        message
    }
}

/// The documents with their addresses.
fn titles(policies: &[Policy]) -> String {
    let title = |policy: &Policy| format!("{} ({})", policy.name, policy.url);
    let titles: Vec<String> = policies.iter().map(title).collect();
    titles.join(", ")
}
