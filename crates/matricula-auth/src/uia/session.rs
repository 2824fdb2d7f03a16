//! The server's session of one authentication: its completed stages and the offered flows.

use std::collections::BTreeSet;

use matricula_api::{
    Extra, Raw,
    uia::{Flow, Policy, Stage, UiaInfo},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{KnownAnswers, choice};
use crate::{Progress, server_address::is_web_page};

/// The state of the server's session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct UiaSession {
    /// The server's id for it.
    pub(crate) id: Option<String>,
    /// What the server last required.
    pub(crate) offered: Option<UiaInfo>,
    /// The flow that was chosen.
    pub(crate) flow: Option<Flow>,
    pub(crate) done: BTreeSet<Stage>,
    /// Whether the last request had the session alone, because no stage was left.
    #[serde(default)]
    pub(crate) finishes: bool,
}

/// What the server's response says about the stage that the last request was to complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StageResult {
    /// There was no such stage, or it belonged to a session that is gone.
    Unknown,
    /// The server lists the stage as completed.
    Done(Stage),
    /// The server does not list the stage as completed: that is a refusal, with the server's words if it
    /// sent some.
    NotDone(Stage, String),
}

impl UiaSession {
    /// Takes over what the server requires, after a request that was to complete `stage`.
    pub(super) fn update(&mut self, mut stage: Option<Stage>, info: UiaInfo) -> StageResult {
        let refusal = info.refusal();
        let mut info = bounded(info);
        info.error = refusal.clone();
        if info.session.is_some() && info.session != self.id {
            if self.id.is_some() {
                // Stages completed in the last session do not count in this one.
                self.forget();
                // The server has forgotten the session, unless it says what is wrong with the stage.
                stage = stage.filter(|_| refusal.is_some());
            }
            self.id = info.session.clone();
        }
        self.done.extend(info.completed.iter().cloned());
        self.offered = Some(info);
        match stage {
            Some(stage) if self.done.contains(&stage) => StageResult::Done(stage),
            Some(stage) => StageResult::NotDone(stage, refusal.unwrap_or_default()),
            None => StageResult::Unknown,
        }
    }

    /// What the server said last.
    pub(super) fn words(&self) -> Option<String> {
        let words = self.offered.as_ref()?.error.clone();
        words.filter(|words| !words.is_empty())
    }

    /// Starts over, without a session.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Chooses a flow, unless the chosen one is still offered. A new choice is reported. `false` if the
    /// server offers no flow.
    pub(super) fn choose(&mut self, known: KnownAnswers, report: impl FnOnce(Progress)) -> bool {
        let offered = self.offered.as_ref().map_or(&[][..], |info| &info.flows);
        if self
            .flow
            .as_ref()
            .is_some_and(|flow| offered.contains(flow))
        {
            return true;
        }
        let Some((flow, why)) = choice::choose(offered, known, &self.done) else {
            return false;
        };
        let stages = flow.stages.clone();
        self.flow = Some(flow);
        report(Progress::Route { stages, why });
        true
    }

    /// The next stage of the chosen flow.
    pub(super) fn next(&self) -> Option<Stage> {
        let mut stages = self.flow.iter().flat_map(|flow| &flow.stages);
        stages.find(|stage| !self.done.contains(stage)).cloned()
    }

    /// The documents that the server asks to accept.
    pub(crate) fn policies(&self) -> Vec<Policy> {
        self.offered
            .as_ref()
            .map(UiaInfo::policies)
            .unwrap_or_default()
    }

    /// Whether each document has a title and a page. Otherwise the person cannot read what they accept.
    pub(crate) fn can_read_terms(&self) -> bool {
        let params = self
            .offered
            .as_ref()
            .and_then(|info| info.params.get(Stage::Terms.as_str()));
        // A server without parameters for its terms asks to accept nothing.
        let Some(params) = params else { return true };
        let params = params.read().unwrap_or_default();
        let number = params
            .get("policies")
            .and_then(Value::as_object)
            .map(serde_json::Map::len);
        let policies = self.policies();
        let is_readable = |policy: &Policy| !policy.name.is_empty() && is_web_page(&policy.url);
        number == Some(policies.len()) && policies.iter().all(is_readable)
    }
}

/// The part of what the server requires that is used and stored, within limits.
fn bounded(mut info: UiaInfo) -> UiaInfo {
    const MAX_FLOWS: usize = 50;
    const MAX_STAGES: usize = 20;
    const MAX_PARAMETER: usize = 64 << 10;
    info.flows.truncate(MAX_FLOWS);
    info.flows
        .iter_mut()
        .for_each(|flow| flow.stages.truncate(MAX_STAGES));
    info.completed.truncate(MAX_STAGES);
    info.extra = Extra::default();
    info.params
        .retain(|stage, _| matches!(stage, Stage::Terms | Stage::OAuth));
    for params in info.params.values_mut() {
        if params.json().len() > MAX_PARAMETER {
            // Unreadable, which is not the same as absent.
            *params = Raw::from(&Value::Null);
        }
    }
    info
}
