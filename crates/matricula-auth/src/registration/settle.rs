//! Finds out what became of a request whose answer was lost.

use matricula_api::{
    ApiError, Endpoint, ErrorCode, MatrixError,
    uia::{Stage, UiaInfo},
};
use matricula_core::{Response, Timestamp};

use super::{
    AccountKind, Phase, Registration, Turn,
    questions::{Ask, Refusal},
};
use crate::{Event, Progress, login};

impl Registration {
    /// A request may have been processed, and its answer is lost.
    pub(super) fn settle(
        &mut self,
        stage: Option<Stage>,
        replay: bool,
        what: String,
        turn: &mut Turn,
    ) {
        // Without `auth` a request makes no account, but for guests and where no stage is wanted;
        // then a second try says that the name is taken.
        let harmless = stage.is_none() && self.wishes.kind == AccountKind::User;
        if !replay && (harmless || self.progress.session.is_some()) {
            let how = format!("{what}; asking again in the same session");
            turn.events.push(Event::Progress(Progress::Settling(how)));
            let auth = self.auth(stage.clone());
            self.phase = Phase::Registering {
                stage,
                replay: true,
            };
            self.send_registration(auth, turn);
        } else {
            self.settle_by_sign_in(stage, false, what, turn);
        }
    }

    fn settle_by_sign_in(
        &mut self,
        stage: Option<Stage>,
        is_taken: bool,
        what: String,
        turn: &mut Turn,
    ) {
        let can_sign_in = self.wishes.username.is_some()
            && self.wishes.kind == AccountKind::User
            && !self.wishes.inhibit_login;
        if can_sign_in {
            let how = format!("{what}; trying to sign in");
            turn.events.push(Event::Progress(Progress::Settling(how)));
            self.sign_in(stage, is_taken, turn);
        } else {
            let error = self.in_doubt(what);
            self.pause(
                Phase::Registering {
                    stage,
                    replay: true,
                },
                error,
                turn,
            );
        }
    }

    /// Where the second of two equal requests is refused: is that the work of the first?
    pub(super) fn on_refused_replay(
        &mut self,
        stage: Option<Stage>,
        error: MatrixError,
        turn: &mut Turn,
    ) {
        let is_taken = error.code == ErrorCode::UserInUse;
        if self.completes_a_flow(stage.as_ref()) {
            self.settle_by_sign_in(stage, is_taken, error.to_string(), turn);
        } else if is_taken {
            self.on_refusal(error, turn);
        } else {
            self.progress.forget();
            self.register(None, turn);
        }
    }

    /// Where the second of two equal requests is told to begin anew: the server has forgotten the
    /// session, perhaps because it was finished.
    pub(super) fn on_new_session(
        &mut self,
        now: Timestamp,
        stage: Option<Stage>,
        info: UiaInfo,
        turn: &mut Turn,
    ) {
        if self.completes_a_flow(stage.as_ref()) {
            let what = "the server has forgotten the session".to_owned();
            self.settle_by_sign_in(stage, false, what, turn);
        } else {
            self.progress.forget();
            self.on_uia(now, None, info, turn);
        }
    }

    /// Whether a request with this stage may have been the last that the server wanted.
    fn completes_a_flow(&self, stage: Option<&Stage>) -> bool {
        let is_done = |other: &Stage| Some(other) == stage || self.progress.done.contains(other);
        self.progress
            .flow
            .as_ref()
            .is_none_or(|flow| flow.stages.iter().all(is_done))
    }

    /// Whether a refusal of a request sent twice may be the work of the first.
    pub(super) fn may_be_our_own(&self, error: &MatrixError) -> bool {
        match error.code {
            ErrorCode::UserInUse | ErrorCode::Unknown | ErrorCode::Unauthorized => true,
            // Of a guest who has become a user the old token is dead.
            ErrorCode::UnknownToken | ErrorCode::Forbidden => self.wishes.upgrade.is_some(),
            _ => false,
        }
    }

    pub(super) fn sign_in(&mut self, stage: Option<Stage>, is_taken: bool, turn: &mut Turn) {
        self.phase = Phase::SigningIn { stage, is_taken };
        let password = self.wishes.password.clone().unwrap_or_default();
        let mut request = login::password_login_request(self.username(), &password);
        request.device_id = self.wishes.device_id.clone();
        request.initial_device_display_name = self.wishes.device_name.clone();
        request.refresh_token = self.wishes.refresh_token.then_some(true);
        let job = request.job(&self.server);
        self.send(job, turn);
    }

    pub(super) fn on_sign_in(&mut self, now: Timestamp, response: &Response, turn: &mut Turn) {
        let phase = self.phase.clone();
        match login::read(response) {
            Ok(answer) => {
                let account =
                    crate::Account::from_login(&self.server, now, answer, self.data.clone());
                self.finish(account, turn);
            }
            // No request had `auth`: the account of that name is somebody else's.
            Err(ApiError::Matrix(error))
                if error.code == ErrorCode::Forbidden
                    && matches!(
                        phase,
                        Phase::SigningIn {
                            stage: None,
                            is_taken: true
                        }
                    ) =>
            {
                let refused = Refusal {
                    code: ErrorCode::UserInUse,
                    message: String::new(),
                };
                self.ask(Ask::Name { refused }, turn);
            }
            Err(error) => {
                let error = self.in_doubt(format!("signing in to find out: {error}"));
                self.pause(phase, error, turn);
            }
        }
    }
}
