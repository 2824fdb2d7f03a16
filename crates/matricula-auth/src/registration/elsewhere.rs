//! Waiting for what the person does in a browser: following a mailed link, or a stage that only the
//! server's own page can do.
//!
//! Specification: <https://spec.matrix.org/v1.19/client-server-api/#fallback>.

use matricula_api::uia::{Flow, Stage};
use matricula_core::{EffectId, Timestamp};

use super::{Phase, Registration, Turn, questions::Ask};
use crate::{
    AuthError, Effect, StagesNotSupported,
    uia::{Backoff, is_address_stage},
};

/// Whether a stage is done on the server's own page.
pub(super) fn is_elsewhere(stage: &Stage) -> bool {
    !is_address_stage(stage)
        && !matches!(
            stage,
            Stage::Dummy | Stage::RegistrationToken | Stage::Terms
        )
}

impl Registration {
    /// Looks whether a stage is done, or says where it can be.
    pub(super) fn open_page(&mut self, stage: Stage, turn: &mut Turn) {
        if self.progress.session.is_none() {
            let error = self.left_to_a_browser(&stage);
            self.pause(Phase::Paused { elsewhere: true }, error, turn);
        } else if std::mem::take(&mut self.look_first) {
            self.register(Some(stage), turn);
        } else {
            self.ask(Ask::Page { stage, why: None }, turn);
        }
    }

    /// The person says that it is done, or will be soon.
    pub(super) fn look(&mut self, stage: Stage, turn: &mut Turn) {
        self.patience = Some(Backoff::new());
        self.register(Some(stage), turn);
    }

    /// The server says that a stage is not done: waits, while there is patience.
    pub(super) fn on_not_yet(
        &mut self,
        now: Timestamp,
        stage: Stage,
        message: String,
        turn: &mut Turn,
    ) {
        let next_look = self
            .patience
            .as_mut()
            .and_then(|patience| patience.next_look(now));
        if let Some(moment) = next_look {
            self.phase = Phase::Waiting { stage };
            self.last_effect += 1;
            let id = EffectId(self.last_effect);
            turn.effects.push(Effect::Wait(id, moment));
            return;
        }
        self.patience = None;
        let why = match message.is_empty() {
            true => "the server says that this is not done yet".to_owned(),
            false => message,
        };
        if is_address_stage(&stage) {
            self.ask_for_proof(stage, Some(why), turn);
        } else {
            let why = Some(why);
            self.ask(Ask::Page { stage, why }, turn);
        }
    }

    pub(super) fn on_waited(&mut self, turn: &mut Turn) {
        if let Phase::Waiting { stage } = self.phase.clone() {
            // Looks have a bound of their own.
            self.requests = self.requests.saturating_sub(1);
            self.register(Some(stage), turn);
        }
    }

    /// What is told where nobody is there to open the page.
    pub(super) fn left_to_a_browser(&self, stage: &Stage) -> AuthError {
        let left = |flow: &Flow| -> Vec<Stage> {
            let left = |stage: &&Stage| is_elsewhere(stage) && !self.progress.done.contains(stage);
            flow.stages.iter().filter(left).cloned().collect()
        };
        AuthError::StagesNotSupported(Box::new(StagesNotSupported {
            server: self.server.clone(),
            stages: self.progress.flow.as_ref().map(left).unwrap_or_default(),
            flows: self
                .progress
                .offered
                .as_ref()
                .map(|info| info.flows.clone())
                .unwrap_or_default(),
            session: self.progress.session.clone(),
            url: self.fallback_page(stage),
        }))
    }
}
