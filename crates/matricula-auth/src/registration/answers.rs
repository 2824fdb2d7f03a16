//! Reads what the server answers to a registration's requests.

use matricula_api::{
    ApiError, Endpoint, ErrorCode, MatrixError, Raw,
    client::registration::{CheckUsernameAvailability, Register, RegisterResponse},
    uia::{Stage, UiaInfo},
};
use matricula_job::{Response, Timestamp};
use serde_json::Value;

use super::{
    AccountKind, Phase, Registration, Turn,
    elsewhere::is_elsewhere,
    questions::{Ask, Refusal},
    settle::may_be_our_own,
    threepid::is_address_stage,
};
use crate::{Account, AuthError, Event, Notice, account};

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
        (stage, replay): (Option<Stage>, bool),
        response: &Response,
        turn: &mut Turn,
    ) {
        let resumed = std::mem::take(&mut self.resumed);
        match Register::read(response) {
            Ok(answer) => self.finish(self.account(now, answer), turn),
            Err(ApiError::Uia(info))
                if replay && stage.is_some() && info.session != self.session =>
            {
                self.on_new_session(now, stage, *info, turn);
            }
            Err(ApiError::Uia(info)) => self.on_uia(now, stage, *info, turn),
            Err(ApiError::Matrix(error)) if replay && may_be_our_own(&error) => {
                self.on_refused_replay(stage, error, turn);
            }
            // Servers keep a session for hours, not for days: begin a new one.
            Err(ApiError::Matrix(error)) if resumed && error.code == ErrorCode::Unknown => {
                self.forget_session();
                self.register(None, turn);
            }
            Err(ApiError::Matrix(error)) => self.on_refusal(error, turn),
            // A success that cannot be read: the account was made.
            Err(ApiError::Malformed { message, .. }) if response.success() => {
                self.settle(stage, true, message, turn);
            }
            Err(ApiError::RateLimited { retry_after, .. }) => {
                let error = AuthError::RateLimited {
                    server: self.server.clone(),
                    retry_after,
                };
                let phase = match replay {
                    true => self.phase.clone(),
                    false => Phase::Paused { elsewhere: false },
                };
                self.pause(phase, error, turn);
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
            oauth: None,
            data: self.data.clone(),
        }
    }

    /// The server wants authentication to begin or to go on, or did not like a stage.
    pub(super) fn on_uia(
        &mut self,
        now: Timestamp,
        mut stage: Option<Stage>,
        info: UiaInfo,
        turn: &mut Turn,
    ) {
        let info = bounded(info);
        if info.session.is_some() && info.session != self.session {
            if self.session.is_some() {
                // What was done in the last session counts for nothing in this one.
                self.forget_session();
                stage = None;
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
                self.patience = None;
                turn.events.push(Event::Notice(Notice::StageDone(stage)));
            }
            // Nothing but the server's word says that what is done elsewhere is done.
            Some(stage)
                if is_elsewhere(&stage) || (is_address_stage(&stage) && (failed || lists)) =>
            {
                return self.on_not_yet(now, stage, message, turn);
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

    pub(super) fn on_refusal(&mut self, error: MatrixError, turn: &mut Turn) {
        let server = self.server.clone();
        let message = error.message.clone();
        match &error.code {
            ErrorCode::ThreepidInUse | ErrorCode::ThreepidDenied => {
                let has_email = self.validation(&Stage::EmailIdentity).is_some();
                let stage = match has_email {
                    true => Stage::EmailIdentity,
                    false => Stage::Msisdn,
                };
                self.on_refused_address(&stage, error, turn);
            }
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
            // The specification goes by the status: Synapse says M_UNKNOWN to some.
            code if error.status == 403 || *code == ErrorCode::Unrecognized => {
                let error = match self.oauth_issuer.clone() {
                    Some(issuer) => AuthError::OAuthNeeded { server, issuer },
                    None => AuthError::Closed { server, message },
                };
                self.end(Err(error), turn);
            }
            _ => self.end(Err(AuthError::Refused { server, error }), turn),
        }
    }
}

/// Only what is used and stored of the server's demand, within bounds.
fn bounded(mut info: UiaInfo) -> UiaInfo {
    const MOST_FLOWS: usize = 50;
    const MOST_STAGES: usize = 20;
    const LONGEST_TERMS: usize = 64 << 10;
    info.flows.truncate(MOST_FLOWS);
    info.flows
        .iter_mut()
        .for_each(|flow| flow.stages.truncate(MOST_STAGES));
    info.completed.truncate(MOST_STAGES);
    info.params.retain(|stage, _| *stage == Stage::Terms);
    for params in info.params.values_mut() {
        if params.json().len() > LONGEST_TERMS {
            // No terms that can be read, which is not the same as none.
            *params = Raw::from(&Value::Null);
        }
    }
    info
}

fn is_about_the_password(code: &ErrorCode) -> bool {
    *code == ErrorCode::WeakPassword || code.as_str().starts_with("M_PASSWORD_")
}
