//! Finds out what became of a request whose answer was lost.

use matricula_api::{Endpoint, ErrorCode, MatrixError, client::login::Login, uia::Stage};
use matricula_job::{Response, Timestamp};

use super::{AccountKind, Phase, Registration, Turn};
use crate::{AuthError, Event, Notice, login};

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
        if !replay && (harmless || self.session.is_some()) {
            let how = format!("{what}; asking again in the same session");
            turn.events.push(Event::Notice(Notice::Settling(how)));
            self.phase = Phase::Registering {
                stage,
                replay: true,
            };
            self.send_registration(turn);
        } else if self.can_sign_in() {
            turn.events.push(Event::Notice(Notice::Settling(format!(
                "{what}; trying to sign in"
            ))));
            self.sign_in(turn);
        } else {
            self.end(
                Err(AuthError::InDoubt {
                    server: self.server.clone(),
                    what,
                }),
                turn,
            );
        }
    }

    fn can_sign_in(&self) -> bool {
        self.wishes.username.is_some()
            && self.wishes.kind == AccountKind::User
            && !self.wishes.inhibit_login
    }

    pub(super) fn sign_in(&mut self, turn: &mut Turn) {
        self.phase = Phase::SigningIn;
        let password = self.wishes.password.clone().unwrap_or_default();
        let mut request = login::request(self.username(), &password);
        request.device_id = self.wishes.device_id.clone();
        request.initial_device_display_name = self.wishes.device_name.clone();
        request.refresh_token = self.wishes.refresh_token.then_some(true);
        let job = request.job(&self.server);
        self.send(job, turn);
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
pub(super) fn may_be_our_own(error: &MatrixError) -> bool {
    matches!(
        error.code,
        ErrorCode::UserInUse | ErrorCode::Unknown | ErrorCode::Unauthorized
    )
}
