//! Picks the way through the server's authentication that asks least of the person.

use std::collections::BTreeSet;

use matricula_api::uia::{Flow, Stage};

use super::Wishes;

/// The flow that asks least, with the reason; `None` where each has a stage that cannot be done.
pub(super) fn choose(
    flows: &[Flow],
    wishes: &Wishes,
    done: &BTreeSet<Stage>,
) -> Option<(Flow, String)> {
    let cost = |flow: &Flow| -> u32 {
        flow.stages
            .iter()
            .filter(|stage| !done.contains(stage))
            .map(|stage| cost(stage, wishes))
            .sum()
    };
    let flow = flows
        .iter()
        .filter(|flow| unsupported(flow, done).is_empty())
        .min_by_key(|flow| cost(flow))?;
    let choice = match flows.len() {
        1 => "the only way that the server offers".to_owned(),
        number => {
            format!("of {number} ways that the server offers, the one that asks least of you")
        }
    };
    Some((flow.clone(), format!("{choice}: {}", demands(flow, wishes))))
}

/// The stages of a flow that are still to be done and that no code here can do.
pub(super) fn unsupported(flow: &Flow, done: &BTreeSet<Stage>) -> Vec<Stage> {
    let missing = |stage: &&Stage| {
        !matches!(
            stage,
            Stage::Dummy | Stage::RegistrationToken | Stage::Terms
        ) && !done.contains(stage)
    };
    flow.stages.iter().filter(missing).cloned().collect()
}

/// What a stage costs the person: nothing to do, something said already, a click, something to find.
fn cost(stage: &Stage, wishes: &Wishes) -> u32 {
    match stage {
        Stage::Dummy => 1,
        Stage::RegistrationToken if wishes.token.is_some() => 2,
        Stage::Terms if wishes.accept_terms => 2,
        Stage::Terms => 10,
        _ => 100,
    }
}

fn demands(flow: &Flow, wishes: &Wishes) -> String {
    let demands: Vec<&str> = flow
        .stages
        .iter()
        .filter_map(|stage| match stage {
            Stage::RegistrationToken if wishes.token.is_some() => {
                Some("the registration token that you gave")
            }
            Stage::RegistrationToken => Some("a registration token"),
            Stage::Terms if wishes.accept_terms => Some("its terms, which you accept"),
            Stage::Terms => Some("accepting its terms"),
            _ => None,
        })
        .collect();
    if demands.is_empty() {
        "nothing more".to_owned()
    } else {
        demands.join(" and ")
    }
}
