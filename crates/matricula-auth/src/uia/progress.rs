//! How far an authentication has come, and what the server's next demand says about the last step.

use std::collections::BTreeSet;

use matricula_api::{
    Extra, Raw,
    uia::{Flow, Policy, Stage, UiaInfo},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{KnownAnswers, flow};
use crate::{Progress, address::is_web_page};

/// How far an authentication has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct UiaSession {
    /// The server's name for it.
    pub(crate) session: Option<String>,
    /// What the server last asked for: chosen from anew when the person has an answer.
    pub(crate) offered: Option<UiaInfo>,
    pub(crate) flow: Option<Flow>,
    pub(crate) done: BTreeSet<Stage>,
}

/// What a demand says about the stage that the request before it was to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UiaDecision {
    /// No stage was to be done, or it was in a session that is gone.
    Nothing,
    /// It is done.
    Done(Stage),
    /// It is not done, in the server's words if it has any.
    NotDone(Stage, String),
}

impl UiaSession {
    /// Takes over what the server demands, after a request that was to do `stage`.
    ///
    /// `needs_word`: nothing but the server's word says that this stage is done; of others it is
    /// enough that the server does not complain.
    pub(crate) fn take(
        &mut self,
        mut stage: Option<Stage>,
        info: UiaInfo,
        needs_word: impl Fn(&Stage) -> bool,
    ) -> UiaDecision {
        let info = bounded(info);
        if info.session.is_some() && info.session != self.session {
            if self.session.is_some() {
                // What was done in the last session counts for nothing in this one.
                self.forget();
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
            Some(stage) if self.done.contains(&stage) => UiaDecision::Done(stage),
            Some(stage) if failed || lists || needs_word(&stage) => {
                UiaDecision::NotDone(stage, message)
            }
            Some(stage) => {
                self.done.insert(stage.clone());
                UiaDecision::Done(stage)
            }
            None => UiaDecision::Nothing,
        }
    }

    /// Begins anew.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Chooses a way, unless the one that was chosen is still offered; tells of it if it is new.
    /// `false` where the server offers none.
    pub(crate) fn choose(&mut self, known: KnownAnswers, tell: impl FnOnce(Progress)) -> bool {
        let offered = self.offered.as_ref().map_or(&[][..], |info| &info.flows);
        if self
            .flow
            .as_ref()
            .is_some_and(|flow| offered.contains(flow))
        {
            return true;
        }
        let Some((flow, why)) = flow::choose(offered, known, &self.done) else {
            return false;
        };
        let stages = flow.stages.clone();
        self.flow = Some(flow);
        tell(Progress::Route { stages, why });
        true
    }

    /// The next stage of the chosen way.
    pub(crate) fn next(&self) -> Option<Stage> {
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

    /// Whether each document has a title and a page: what cannot be read cannot be accepted.
    pub(crate) fn can_read_terms(&self) -> bool {
        let params = self
            .offered
            .as_ref()
            .and_then(|info| info.params.get(Stage::Terms.as_str()));
        // Servers that say nothing of their terms ask to accept nothing.
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

/// Only what is used and stored of the server's demand, within bounds.
fn bounded(mut info: UiaInfo) -> UiaInfo {
    const MOST_FLOWS: usize = 50;
    const MOST_STAGES: usize = 20;
    const LONGEST_PARAMETER: usize = 64 << 10;
    info.flows.truncate(MOST_FLOWS);
    info.flows
        .iter_mut()
        .for_each(|flow| flow.stages.truncate(MOST_STAGES));
    info.completed.truncate(MOST_STAGES);
    info.extra = Extra::default();
    info.params
        .retain(|stage, _| matches!(stage, Stage::Terms | Stage::OAuth));
    for params in info.params.values_mut() {
        if params.json().len() > LONGEST_PARAMETER {
            // Nothing that can be read, which is not the same as nothing.
            *params = Raw::from(&Value::Null);
        }
    }
    info
}
