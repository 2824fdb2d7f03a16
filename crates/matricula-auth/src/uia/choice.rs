//! Which of the offered authentication flows is taken: the one that asks least of the person.

use std::collections::BTreeSet;

use matricula_api::uia::{Flow, Stage};

/// What is already known, so that the person need not be asked for it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KnownAnswers {
    /// A registration token.
    pub(crate) token: bool,
    /// That the person accepts the server's terms.
    pub(crate) terms: bool,
    /// An email address.
    pub(crate) email: bool,
    /// A phone number.
    pub(crate) phone: bool,
    /// The account's password.
    pub(crate) password: bool,
}

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
            .map(|stage| cost(stage, known))
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

/// How much work a stage is for the person: none, something given already, a click, a code to copy, a
/// page to open, personal data to give, something to find.
fn cost(stage: &Stage, known: KnownAnswers) -> u32 {
    match stage {
        Stage::Dummy => 1,
        Stage::RegistrationToken if known.token => 2,
        Stage::Terms if known.terms => 2,
        Stage::Password if known.password => 2,
        Stage::Terms => 10,
        Stage::EmailIdentity if known.email => 12,
        Stage::Msisdn if known.phone => 15,
        Stage::Password => 20,
        Stage::Recaptcha => 30,
        Stage::EmailIdentity => 40,
        Stage::Msisdn => 50,
        _ => 100,
    }
}

/// What a flow asks of a person, in words.
pub(crate) fn demands(flow: &Flow, known: KnownAnswers) -> String {
    let demands: Vec<&str> = flow
        .stages
        .iter()
        .filter_map(|stage| match stage {
            Stage::Dummy => None,
            Stage::RegistrationToken if known.token => Some("the registration token that you gave"),
            Stage::RegistrationToken => Some("a registration token"),
            Stage::Terms if known.terms => Some("its terms, which you accept"),
            Stage::Terms => Some("accepting its terms"),
            Stage::Password if known.password => Some("the password that is known"),
            Stage::Password => Some("the password"),
            Stage::EmailIdentity if known.email => Some("proving the email address that you gave"),
            Stage::EmailIdentity => Some("an email address"),
            Stage::Msisdn if known.phone => Some("proving the phone number that you gave"),
            Stage::Msisdn => Some("a phone number"),
            Stage::Recaptcha => Some("a captcha"),
            Stage::Sso => Some("single sign-on"),
            _ => Some("a page of its own"),
        })
        .collect();
    if demands.is_empty() {
        "nothing more".to_owned()
    } else {
        demands.join(" and ")
    }
}
