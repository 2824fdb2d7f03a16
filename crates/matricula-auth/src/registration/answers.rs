//! Reads what the server answers to a registration's requests.

use matricula_api::{
    ApiError, Endpoint, ErrorCode, MatrixError,
    client::{
        login::Login,
        registration::{CheckUsernameAvailability, Register, RegisterResponse},
    },
    uia::{Stage, UiaInfo},
};
use matricula_job::{Response, Timestamp};
use serde::{Deserialize, Serialize};

use super::{AccountKind, Ask, Registration, Turn};
use crate::{Account, AuthError, Event, Notice, account, login};

/// A refusal that the person can answer with another name or password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refusal {
    code: ErrorCode,
    message: String,
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
    pub(super) fn on_availability(&mut self, response: &Response, turn: &mut Turn) {
        match CheckUsernameAvailability::read(response) {
            Ok(_) => self.go_on(turn),
            Err(ApiError::Matrix(error)) => match error.code {
                // Servers need not offer the check, and some that are closed to strangers do not.
                ErrorCode::Unrecognized | ErrorCode::Forbidden => self.go_on(turn),
                _ => self.on_refusal(error, turn),
            },
            Err(error) => {
                let error = AuthError::from_api(&self.server, error);
                self.end(Err(error), turn);
            }
        }
    }

    pub(super) fn on_registration(
        &mut self,
        now: Timestamp,
        stage: Option<Stage>,
        replay: bool,
        response: &Response,
        turn: &mut Turn,
    ) {
        let resumed = std::mem::take(&mut self.resumed);
        match Register::read(response) {
            Ok(answer) => self.finish(self.account(now, answer), turn),
            // Servers keep a session for hours, not for days: begin a new one.
            Err(ApiError::Matrix(error)) if resumed && error.code == ErrorCode::Unknown => {
                self.forget_session();
                self.register(None, turn);
            }
            // The lost request has done its work: the session is gone, or the name taken by it.
            Err(ApiError::Uia(info))
                if replay && stage.is_some() && info.session != self.session =>
            {
                self.settle(
                    stage,
                    true,
                    "the server has forgotten the session".to_owned(),
                    turn,
                );
            }
            Err(ApiError::Matrix(error)) if replay && may_be_our_own(&error) => {
                self.settle(stage, true, error.to_string(), turn);
            }
            Err(ApiError::Uia(info)) => self.on_uia(stage, *info, turn),
            Err(ApiError::Matrix(error)) => self.on_refusal(error, turn),
            // A success that cannot be read: the account was made.
            Err(ApiError::Malformed { message, .. }) if response.success() => {
                self.settle(stage, true, message, turn);
            }
            Err(error) => {
                let error = AuthError::from_api(&self.server, error);
                self.end(Err(error), turn);
            }
        }
    }

    fn account(&self, now: Timestamp, answer: RegisterResponse) -> Account {
        Account {
            user_id: answer.user_id,
            server: self.server.clone(),
            device_id: answer.device_id,
            access_token: answer.access_token,
            refresh_token: answer.refresh_token,
            expires_at: account::expiry(now, answer.expires_in_ms),
            password: None,
            is_guest: false,
            data: self.data.clone(),
        }
    }

    /// The server wants authentication to begin or to go on, or did not like a stage.
    fn on_uia(&mut self, stage: Option<Stage>, info: UiaInfo, turn: &mut Turn) {
        if info.session.is_some() && info.session != self.session {
            // Another session: what was done in the last one counts for nothing.
            if stage.is_none() {
                self.done.clear();
            }
            self.session = info.session.clone();
        }
        let failed = info.errcode.is_some() || info.error.is_some();
        let message = info.error.clone().unwrap_or_default();
        // Not every server lists what is completed.
        let lists = !info.completed.is_empty();
        self.done.extend(info.completed.iter().cloned());
        self.offered = Some(info);
        match stage {
            Some(stage) if self.done.contains(&stage) => {
                turn.events.push(Event::Notice(Notice::StageDone(stage)));
            }
            Some(stage) if failed || lists => return self.on_failed_stage(stage, message, turn),
            Some(stage) => {
                self.done.insert(stage.clone());
                turn.events.push(Event::Notice(Notice::StageDone(stage)));
            }
            None => {}
        }
        self.go_on(turn);
    }

    fn on_failed_stage(&mut self, stage: Stage, message: String, turn: &mut Turn) {
        if stage == Stage::RegistrationToken {
            self.wishes.token = None;
            self.ask(
                Ask::Token {
                    refused: Some(message),
                },
                turn,
            );
        } else {
            let server = self.server.clone();
            self.end(
                Err(AuthError::StageFailed {
                    server,
                    stage,
                    message,
                }),
                turn,
            );
        }
    }

    fn on_refusal(&mut self, error: MatrixError, turn: &mut Turn) {
        let server = self.server.clone();
        let message = error.message.clone();
        match &error.code {
            ErrorCode::UserInUse | ErrorCode::InvalidUsername | ErrorCode::Exclusive => {
                let refused = Refusal {
                    code: error.code,
                    message,
                };
                // Where the server picked the name, the person has none to change.
                if self.wishes.username.is_some() {
                    self.ask(Ask::Name { refused }, turn);
                } else {
                    self.end(Err(refused.error(self)), turn);
                }
            }
            code if is_about_the_password(code) => {
                let refused = Refusal {
                    code: error.code,
                    message,
                };
                self.ask(Ask::Password { refused }, turn);
            }
            ErrorCode::ResourceLimitExceeded => {
                let contact = error
                    .extra
                    .get("admin_contact")
                    .and_then(|contact| contact.as_str());
                let admin_contact = contact.map(str::to_owned);
                self.end(
                    Err(AuthError::ServerFull {
                        server,
                        message,
                        admin_contact,
                    }),
                    turn,
                );
            }
            _ if self.wishes.kind == AccountKind::Guest && error.status == 403 => {
                self.end(Err(AuthError::GuestsNotAllowed { server, message }), turn);
            }
            ErrorCode::Forbidden | ErrorCode::Unrecognized => {
                self.end(Err(AuthError::Closed { server, message }), turn);
            }
            _ => self.end(Err(AuthError::Refused { server, error }), turn),
        }
    }

    pub(super) fn on_sign_in(&mut self, now: Timestamp, response: &Response, turn: &mut Turn) {
        match Login::read(response) {
            Ok(answer) => {
                let account = login::account(&self.server, now, answer, self.data.clone());
                self.finish(account, turn);
            }
            Err(error) => {
                let what = format!("signing in to find out: {error}");
                self.end(
                    Err(AuthError::InDoubt {
                        server: self.server.clone(),
                        what,
                    }),
                    turn,
                );
            }
        }
    }
}

/// Whether a refusal of a request sent twice may be the work of the first.
fn may_be_our_own(error: &MatrixError) -> bool {
    matches!(
        error.code,
        ErrorCode::UserInUse | ErrorCode::Unknown | ErrorCode::Unauthorized
    )
}

fn is_about_the_password(code: &ErrorCode) -> bool {
    *code == ErrorCode::WeakPassword || code.as_str().starts_with("M_PASSWORD_")
}
