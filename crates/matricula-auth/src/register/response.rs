//! What the responses to a registration's requests mean, and how a lost response is recovered from.

use matricula_api::{
    ApiError, Endpoint, ErrorCode, MatrixError,
    client::registration::{CheckUsernameAvailability, Register, RequestTokenToRegisterEmail},
    uia::{Stage, UiaInfo},
};
use matricula_core::{Response, Timestamp};

use super::{
    AccountKind, Phase, Registration,
    prompts::{Refusal, RegistrationQuestion},
};
use crate::{
    Account, RegisterError, ServerError,
    error::is_about_the_password,
    login,
    uia::{CodeRefused, stage_refusal, submitted},
};

impl Registration {
    pub(super) fn on_name_checked(&mut self, response: &Response) {
        match CheckUsernameAvailability::read(response) {
            Ok(_) => self.advance(),
            Err(error) if error.is_failure() => self.advance(),
            Err(ApiError::Matrix(error)) => match error.code {
                // The check is optional, and some servers that are closed to the public refuse it.
                ErrorCode::Unrecognized | ErrorCode::Forbidden => self.advance(),
                ErrorCode::UserInUse
                | ErrorCode::InvalidUsername
                | ErrorCode::Exclusive
                | ErrorCode::ResourceLimitExceeded => self.on_refused(error),
                _ if says_nothing(error.status) => self.advance(),
                // It may be about the username. The password is not sent to such a server.
                _ => {
                    let server = self.server.clone();
                    self.conversation.fail(ServerError::refused(server, error));
                }
            },
            Err(ApiError::UnexpectedStatus { status }) if says_nothing(status) => self.advance(),
            // A success that cannot be read.
            Err(ApiError::Malformed { .. }) if response.success() => self.advance(),
            Err(error) => self
                .conversation
                .fail(ServerError::from_api(&self.server, error)),
        }
    }

    pub(super) fn on_registered(
        &mut self,
        now: Timestamp,
        stage: Option<Stage>,
        is_replay: bool,
        response: &Response,
    ) {
        let is_resumed = self.flow.take_resumed();
        let read = Register::read(response);
        let refusal = match (&read, &stage) {
            (Err(error), Some(stage)) => stage_refusal(stage, error, response),
            _ => None,
        };
        match read {
            Ok(response) => {
                let data = self.data().clone();
                let account = Account::from_registration(&self.server, now, response, data);
                self.finish(account);
            }
            Err(ApiError::Uia(info))
                if is_replay
                    && self.had_auth(stage.as_ref())
                    && info.session != self.flow.session.id =>
            {
                self.on_new_session(now, stage, *info);
            }
            Err(ApiError::Uia(info)) => self.on_auth_required(now, stage, *info),
            Err(ApiError::Matrix(error))
                if is_replay && self.may_be_our_own(&error)
                    || self.is_absent && error.code == ErrorCode::UserInUse =>
            {
                self.on_refused_replay(stage, error);
            }
            // Servers keep a session for hours, not for days: begin a new one.
            Err(ApiError::Matrix(error)) if is_resumed && error.code == ErrorCode::Unknown => {
                self.flow.session.forget();
                self.register(None);
            }
            // Not every server repeats its flows when it refuses a stage.
            Err(_) if refusal.is_some() => {
                if let Some((stage, words)) = stage.zip(refusal) {
                    let conversation = &mut self.conversation;
                    let next = self.flow.on_not_done(conversation, now, stage, words);
                    self.apply(next);
                }
            }
            Err(ApiError::Matrix(error)) => self.on_refused(error),
            // A success that cannot be read: the account was made.
            Err(ApiError::Malformed { message, .. }) if response.success() => {
                self.recover(stage, true, message);
            }
            Err(ApiError::RateLimited { retry_after, .. }) => {
                let server = self.server.clone();
                let error = ServerError::RateLimited {
                    server,
                    retry_after,
                };
                let phase = if is_replay {
                    self.phase.clone()
                } else {
                    Phase::Paused { polls_first: false }
                };
                self.pause(phase, error);
            }
            // A refusal without a code. One without a message is the page of a proxy.
            Err(ApiError::UnexpectedStatus { status: 403 })
                if !response.error_message().is_empty() =>
            {
                let server = self.server.clone();
                let message = response.error_message();
                self.conversation
                    .fail(RegisterError::Closed { server, message });
            }
            Err(error) => self
                .conversation
                .fail(ServerError::from_api(&self.server, error)),
        }
    }

    /// The server requires authentication, the next stage of it, or a stage again.
    fn on_auth_required(&mut self, now: Timestamp, stage: Option<Stage>, mut info: UiaInfo) {
        if let Some(only) = &self.only_flow {
            info.flows.retain(|flow| flow.stages == only.stages);
        }
        let known = self.known();
        let conversation = &mut self.conversation;
        let next = self
            .flow
            .on_auth_required(conversation, now, stage, info, known);
        self.apply(next);
    }

    fn on_refused(&mut self, error: MatrixError) {
        let server = self.server.clone();
        let message = error.message.clone();
        let refused = Refusal {
            code: error.code.clone(),
            message: message.clone(),
        };
        match &error.code {
            ErrorCode::ThreepidInUse | ErrorCode::ThreepidDenied => {
                let stage = match self.threepids.validation(&Stage::EmailIdentity) {
                    Some(_) => Stage::EmailIdentity,
                    None => Stage::Msisdn,
                };
                self.on_refused_address(stage, error);
            }
            _ if self.options.upgrade.is_some() && is_about_the_guest(&error) => {
                let guest = self.username().to_owned();
                self.conversation.fail(RegisterError::GuestNotUpgraded {
                    server,
                    guest,
                    message,
                });
            }
            ErrorCode::UserInUse | ErrorCode::InvalidUsername | ErrorCode::Exclusive => {
                // If the server chose the username, the person has none to change.
                if self.options.username.is_some() {
                    self.ask(RegistrationQuestion::Username { refused });
                } else {
                    self.conversation.fail(refused.error(self));
                }
            }
            code if is_about_the_password(code) => {
                self.ask(RegistrationQuestion::Password { refused })
            }
            ErrorCode::ResourceLimitExceeded => {
                let contact = error.extra.get("admin_contact");
                let contact = contact.and_then(|contact| contact.as_str());
                let admin_contact = contact.map(str::to_owned);
                self.conversation.fail(RegisterError::ServerFull {
                    server,
                    message,
                    admin_contact,
                });
            }
            _ if self.options.kind == AccountKind::Guest && error.status == 403 => {
                self.conversation
                    .fail(RegisterError::GuestsNotAllowed { server, message });
            }
            // The specification defines the status. Synapse's code is M_UNKNOWN in some cases.
            code if error.status == 403 || *code == ErrorCode::Unrecognized => {
                self.conversation.fail(match self.oauth_issuer.clone() {
                    Some(issuer) => RegisterError::OAuthNeeded { server, issuer },
                    None => RegisterError::Closed { server, message },
                });
            }
            _ => {
                let error = ServerError::from_api(&server, ApiError::Matrix(error));
                self.conversation.fail(error);
            }
        }
    }

    pub(super) fn on_message_requested(&mut self, stage: Stage, response: &Response) {
        match RequestTokenToRegisterEmail::read(response) {
            Ok(response) => {
                if let Some(one) = self.threepids.validation(&stage) {
                    one.sent(response);
                }
                self.ask_for_validation(stage, None);
            }
            Err(ApiError::Matrix(error)) => self.on_refused_address(stage, error),
            Err(error) => {
                let error = ServerError::from_api(&self.server, error);
                self.pause(Phase::Paused { polls_first: false }, error);
            }
        }
    }

    /// The server refuses the address: the person may have another.
    fn on_refused_address(&mut self, stage: Stage, error: MatrixError) {
        if error.status == 404 || error.status >= 500 || error.code == ErrorCode::Unrecognized {
            let error = ServerError::from_api(&self.server, ApiError::Matrix(error));
            return self.pause(Phase::Paused { polls_first: false }, error);
        }
        let address = self.threepids.refuse(&stage);
        let refused = Some((address, error.code, error.message));
        self.ask(RegistrationQuestion::Address { stage, refused });
    }

    pub(super) fn on_submitted(&mut self, stage: Stage, response: &Response) {
        match submitted(&self.server, response) {
            Ok(()) => self.register(Some(stage)),
            Err(CodeRefused::Failed(error)) => {
                self.pause(Phase::Paused { polls_first: false }, error);
            }
            Err(CodeRefused::Wrong(message)) => self.ask_for_validation(stage, Some(message)),
        }
    }

    /// Finds out whether a request was processed whose response is lost.
    pub(super) fn recover(&mut self, stage: Option<Stage>, is_replay: bool, what: String) {
        // A request without `auth` makes no account, except for guests and if no stage is wanted. In the
        // latter case a second request says that the username is taken.
        let is_harmless = !self.had_auth(stage.as_ref()) && self.options.kind == AccountKind::User;
        if !is_replay && (is_harmless || self.flow.session.id.is_some()) {
            self.conversation
                .settling(format!("{what}; asking again in the same session"));
            self.send_registration(stage, true);
        } else {
            self.recover_by_login(stage, false, what);
        }
    }

    fn recover_by_login(&mut self, stage: Option<Stage>, is_taken: bool, what: String) {
        let can_log_in = self.options.username.is_some()
            && self.options.kind == AccountKind::User
            && !self.options.inhibit_login;
        if can_log_in {
            self.conversation
                .settling(format!("{what}; trying to sign in"));
            self.log_in(stage, is_taken);
        } else {
            let is_replay = true;
            let error = self.in_doubt(what);
            self.pause(Phase::Registering { stage, is_replay }, error);
        }
    }

    /// The second of two equal requests was refused, perhaps because the first was processed.
    fn on_refused_replay(&mut self, stage: Option<Stage>, error: MatrixError) {
        let is_taken = error.code == ErrorCode::UserInUse;
        if self.completes_a_flow(stage.as_ref()) && (is_taken || !self.is_absent) {
            self.recover_by_login(stage, is_taken, error.to_string());
        } else if is_taken {
            self.on_refused(error);
        } else {
            self.flow.session.forget();
            self.register(None);
        }
    }

    /// The second of two equal requests got a new session: the server has forgotten the old one, perhaps
    /// because it was complete.
    fn on_new_session(&mut self, now: Timestamp, stage: Option<Stage>, info: UiaInfo) {
        if self.completes_a_flow(stage.as_ref()) && !self.is_absent {
            let what = "the server has forgotten the session".to_owned();
            self.recover_by_login(stage, false, what);
        } else {
            self.flow.session.forget();
            self.on_auth_required(now, None, info);
        }
    }

    /// Whether the request had authentication data: those of this stage, or the session alone.
    fn had_auth(&self, stage: Option<&Stage>) -> bool {
        stage.is_some() || self.flow.session.finishes
    }

    /// Whether a request with this stage may have been the last that the server wanted.
    fn completes_a_flow(&self, stage: Option<&Stage>) -> bool {
        let session = &self.flow.session;
        let is_done = |other: &Stage| Some(other) == stage || session.done.contains(other);
        let flow = session.flow.as_ref();
        flow.is_none_or(|flow| flow.stages.iter().all(is_done))
    }

    /// Whether the refusal of a repeated request may be the effect of the first one.
    fn may_be_our_own(&self, error: &MatrixError) -> bool {
        match error.code {
            ErrorCode::UserInUse | ErrorCode::Unknown | ErrorCode::Unauthorized => true,
            // The old token of a guest who has become a user is invalid.
            ErrorCode::UnknownToken | ErrorCode::Forbidden => self.options.upgrade.is_some(),
            _ => false,
        }
    }

    /// Finds out by a login whether the account was made.
    pub(super) fn log_in(&mut self, stage: Option<Stage>, is_taken: bool) {
        self.phase = Phase::LoggingIn { stage, is_taken };
        let password = self.options.password.clone().unwrap_or_default();
        let request = login::password_login_request(self.username(), &password);
        let request = self.options.device.apply(request);
        self.send(request.job(&self.server));
    }

    pub(super) fn on_logged_in(
        &mut self,
        now: Timestamp,
        stage: Option<Stage>,
        is_taken: bool,
        response: &Response,
    ) {
        match login::read_login(response) {
            Ok(response) => {
                let data = self.data().clone();
                self.finish(Account::from_login(&self.server, now, response, data));
            }
            // No request had `auth`: the account with that username is another person's.
            Err(ApiError::Matrix(error))
                if error.code == ErrorCode::Forbidden
                    && !self.had_auth(stage.as_ref())
                    && is_taken =>
            {
                let refused = Refusal {
                    code: ErrorCode::UserInUse,
                    message: String::new(),
                };
                self.ask(RegistrationQuestion::Username { refused });
            }
            Err(error) => {
                let is_unknown = matches!(
                    &error,
                    ApiError::Matrix(refusal) if refusal.code == ErrorCode::Forbidden
                );
                // Perhaps there is no such account: next time the registration itself is tried first.
                self.is_absent |= is_unknown && !is_taken;
                let phase = if is_unknown && !is_taken && self.options.upgrade.is_none() {
                    let is_replay = true;
                    Phase::Registering { stage, is_replay }
                } else {
                    self.phase.clone()
                };
                let error = self.in_doubt(format!("signing in to find out: {error}"));
                self.pause(phase, error);
            }
        }
    }
}

/// Whether a refusal says that the server does not know the guest, or cannot upgrade guests.
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

/// Whether the status of a check of the username says nothing about the username: there is no such check, or
/// only users may ask.
fn says_nothing(status: u16) -> bool {
    matches!(status, 401 | 404 | 405 | 501)
}
