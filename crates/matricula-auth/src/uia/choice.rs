//! Which of the offered authentication flows is taken: the one that asks least of the person.

use std::collections::BTreeSet;

use matricula_api::uia::{Flow, Stage};

use super::supported::{self, KnownAnswers};

/// The flow that uses the given addresses and asks least apart from that, with the reason. `None` if no
/// flow is offered.
pub(crate) fn choose(
    flows: &[Flow],
    known: KnownAnswers,
    done: &BTreeSet<Stage>,
) -> Option<(Flow, String)> {
    let cost = |flow: &Flow| -> u32 {
        flow.stages
            .iter()
            .filter(|stage| !done.contains(stage))
            .map(|stage| supported::cost(stage, known))
            .sum()
    };
    // A person who gives an address wants it on the account.
    let unused = |flow: &Flow| {
        let leaves_out = |is_given: bool, stage| is_given && !flow.stages.contains(&stage);
        u32::from(leaves_out(known.email, Stage::EmailIdentity))
            + u32::from(leaves_out(known.phone, Stage::Msisdn))
    };
    let flow = flows.iter().min_by_key(|flow| (unused(flow), cost(flow)))?;
    let choice = match flows.len() {
        1 => "the only way that the server offers".to_owned(),
        number => {
            format!("of {number} ways that the server offers, the one that asks least of you")
        }
    };
    Some((flow.clone(), format!("{choice}: {}", demands(flow, known))))
}

/// What a flow asks of a person, in words.
pub(crate) fn demands(flow: &Flow, known: KnownAnswers) -> String {
    let demands: Vec<&str> = flow
        .stages
        .iter()
        .filter_map(|stage| supported::demand(stage, known))
        .collect();
    if demands.is_empty() {
        "nothing more".to_owned()
    } else {
        demands.join(" and ")
    }
}
