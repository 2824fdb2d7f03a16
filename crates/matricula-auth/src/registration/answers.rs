//! Reads what the server answers to a registration's requests.

use matricula_api::{
    ApiError, Endpoint, ErrorCode, MatrixError,
    client::registration::{CheckUsernameAvailability, Register, RegisterResponse},
    uia::{Stage, UiaInfo},
};
use matricula_core::{Response, Timestamp};

use super::{
    AccountKind, Phase, Registration, Turn,
    elsewhere::is_elsewhere,
    questions::{Ask, Refusal},
};
use crate::{
    Account, AuthError, Event, Progress, account,
    error::is_about_the_password,
    uia::{UiaDecision, is_address_stage},
};

impl Registration {
    pub(super) fn on_availability(&mut self, response: &Response, turn: &mut Turn) {
        match CheckUsernameAvailability::read(response) {
            Ok(_) => self.go_on(turn),
            Err(ApiError::Matrix(error)) => match error.code {
                // Servers need not offer the check, and some that are closed to strangers do not.
                ErrorCode::Unrecognized | ErrorCode::Forbidden => self.go_on(turn),
                ErrorCode::UserInUse
                | ErrorCode::InvalidUsername
                | ErrorCode::Exclusive
                | ErrorCode::ResourceLimitExceeded => self.on_refusal(error, turn),
                _ if is_missing(error.status) => self.go_on(turn),
                // Nothing else says anything of the name, and the password is not sent before.
                _ => {
                    let server = self.server.clone();
                    self.end(Err(AuthError::Refused { server, error }), turn);
                }
            },
            // The same without a code.
            Err(ApiError::UnexpectedStatus { status }) if is_missing(status) => self.go_on(turn),
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
                if replay && stage.is_some() && info.session != self.progress.session =>
            {
                self.on_new_session(now, stage, *info, turn);
            }
            Err(ApiError::Uia(info)) => self.on_uia(now, stage, *info, turn),
            Err(ApiError::Matrix(error)) if replay && self.may_be_our_own(&error) => {
                self.on_refused_replay(stage, error, turn);
            }
            // Servers keep a session for hours, not for days: begin a new one.
            Err(ApiError::Matrix(error)) if resumed && error.code == ErrorCode::Unknown => {
                self.progress.forget();
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
            // A refusal in words alone. What has none is a page of whatever stands before the server.
            Err(ApiError::UnexpectedStatus { status: 403 })
                if !response.error_message().is_empty() =>
            {
                let server = self.server.clone();
                let message = response.error_message();
                self.end(Err(AuthError::Closed { server, message }), turn);
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
            renew_at: account::renewal(now, answer.expires_in_ms),
            previous_refresh_token: None,
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
        stage: Option<Stage>,
        mut info: UiaInfo,
        turn: &mut Turn,
    ) {
        if let Some(way) = &self.only_way {
            info.flows.retain(|flow| flow.stages == way.stages);
        }
        match self.progress.take(stage, info, is_elsewhere) {
            UiaDecision::Nothing => {}
            UiaDecision::Done(stage) => {
                self.patience = None;
                turn.events
                    .push(Event::Progress(Progress::StageDone(stage)));
            }
            UiaDecision::NotDone(stage, message)
                if is_elsewhere(&stage) || is_address_stage(&stage) =>
            {
                return self.on_not_yet(now, stage, message, turn);
            }
            UiaDecision::NotDone(stage, message) => {
                return self.on_failed_stage(stage, message, turn);
            }
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
            _ if self.wishes.upgrade.is_some() && is_about_the_guest(&error) => {
                let guest = self.username().to_owned();
                let error = AuthError::GuestNotUpgraded {
                    server,
                    guest,
                    message,
                };
                self.end(Err(error), turn);
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

/// Whether a server that says so does not know the guest, or not that guests can become users.
fn is_about_the_guest(error: &MatrixError) -> bool {
    match error.code {
        ErrorCode::UnknownToken
        | ErrorCode::MissingToken
        | ErrorCode::UserInUse
        | ErrorCode::InvalidUsername
        | ErrorCode::Exclusive => true,
        _ => error.status == 403,
    }
}

/// Whether a server says that it has no such endpoint.
fn is_missing(status: u16) -> bool {
    matches!(status, 404 | 405 | 501)
}
