//! `matricula discover`: what a server is and offers.

use matricula::{
    auth::{Discovery, RegistrationOffer, ServerAddress, ServerFacts},
    drive,
};
use serde_json::json;

use super::Context;
use crate::{args, failure::Failure, person::Terminal, report::quoted};

pub(crate) async fn run(context: &Context<'_>, options: args::Discover) -> Result<(), Failure> {
    let address: ServerAddress = options.server.parse()?;
    let mut terminal = Terminal::new(context.report, context.no_input);
    let mut discovery = Discovery::new(address).with_registration();
    let facts = drive(
        &mut discovery,
        &context.runner,
        &mut context.home.accounts(),
        &mut terminal,
    )
    .await?;
    let object = json!({
        "schema_version": 1,
        "server": facts.server,
        "versions": facts.versions,
        "login_flows": facts.login_flows,
        "oauth_issuer": facts.oauth_issuer,
        "registration": facts.registration,
    });
    context.report.result(&words(&facts), &object);
    Ok(())
}

fn words(facts: &ServerFacts) -> String {
    let mut lines = vec![format!("server: {}", facts.server)];
    lines.push(format!("versions: {}", facts.versions.join(" ")));
    let flows: Vec<&str> = facts
        .login_flows
        .iter()
        .map(|flow| flow.kind.as_str())
        .collect();
    lines.push(format!(
        "sign-in: {}",
        if flows.is_empty() {
            "none of Matrix's own".into()
        } else {
            flows.join(", ")
        }
    ));
    if let Some(issuer) = &facts.oauth_issuer {
        lines.push(format!("OAuth 2.0: {issuer}"));
    }
    match &facts.registration {
        Some(RegistrationOffer::Open(info)) => {
            for flow in &info.flows {
                let stages: Vec<&str> = flow.stages.iter().map(|stage| stage.as_str()).collect();
                lines.push(format!("registration: {}", stages.join(" → ")));
            }
        }
        Some(RegistrationOffer::Closed { message }) => {
            lines.push(format!("registration: closed ({message})"))
        }
        Some(RegistrationOffer::Unknown { message }) => {
            lines.push(format!("registration: unclear ({message})"))
        }
        _ => {}
    }
    // Most of this is the server's words.
    let lines: Vec<String> = lines.iter().map(|line| quoted(line)).collect();
    lines.join("\n")
}
