//! The questions of conversations, as they are asked on a terminal.

use inquire::{Confirm, InquireError, Text};
use matricula::{Answer, Prompt, Secret, api::uia::Policy, auth::IdentityProvider};

use super::questions::{another_password, choose, label, password};
use crate::output::{Output, link};

type Asked = Result<Answer, InquireError>;

const NO_LINK: &str = "(its address is not a web page)";

/// Asks for the answer to a prompt. Blocks until it is given.
pub(super) fn ask(output: Output, prompt: &Prompt) -> Asked {
    if let Prompt::OpenPage { .. } = prompt {
        // `PageOpener` answers it, unless no page can be opened.
        return Ok(Answer::Unavailable);
    }
    if let Some(why) = prompt.why() {
        output.warn(why);
    }
    match prompt {
        Prompt::HomeserverUrl { name, .. } => homeserver_url(output, name),
        Prompt::Username { .. } => text(output, "Another name:"),
        Prompt::RegistrationToken { .. } => text(output, "Registration token:"),
        Prompt::Password { .. } => secret(another_password(output)),
        Prompt::CurrentPassword { user_id, .. } => {
            secret(password(output, &format!("Password of {user_id}:")))
        }
        Prompt::LoginPassword { user, server, .. } => secret(password(
            output,
            &format!("Password of {user} on {server}:"),
        )),
        Prompt::EmailAddress { .. } => text(output, "Your email address:"),
        Prompt::PhoneNumber { .. } => text(
            output,
            "Your phone number with its country, like GB:07700900001:",
        ),
        Prompt::FollowLink { address, .. } => {
            output.say(&format!("the server has written to {address}"));
            let question = "Follow the link in that message. Done? (no: send another)";
            yes_or_no(output, question, true)
        }
        Prompt::Code { address, .. } => {
            output.say(&format!("the server has sent a code to {address}"));
            code(output)
        }
        Prompt::StagePage { stage, url, .. } => {
            let page = link(url).unwrap_or_else(|| NO_LINK.into());
            output.say_in_full(&[
                format!("open this page in a browser, for {stage}:"),
                format!("  {page}"),
            ]);
            yes_or_no(output, "Done there?", true)
        }
        Prompt::IdentityProvider { providers } => provider(output, providers),
        Prompt::AcceptTerms { policies } => terms(output, policies),
        _ => Ok(Answer::Unavailable),
    }
}

fn text(output: Output, question: &str) -> Asked {
    let label = label(output, question);
    Ok(Answer::Text(Text::new(&label).prompt()?.trim().into()))
}

fn secret(answer: Result<Secret, InquireError>) -> Asked {
    Ok(Answer::Text(answer?))
}

fn yes_or_no(output: Output, question: &str, default: bool) -> Asked {
    let label = label(output, question);
    let is_yes = Confirm::new(&label).with_default(default).prompt()?;
    Ok(if is_yes { Answer::Yes } else { Answer::No })
}

fn homeserver_url(output: Output, name: &str) -> Asked {
    let label = label(output, &format!("The address of {name} (empty: give up):"));
    let question = Text::new(&label).with_placeholder("https://matrix.example.org");
    let address = question.prompt()?;
    Ok(if address.trim().is_empty() {
        Answer::No
    } else {
        Answer::Text(address.trim().into())
    })
}

fn code(output: Output) -> Asked {
    let label = label(output, "The code (empty: send another):");
    let code = Text::new(&label).prompt()?;
    Ok(match code.trim() {
        "" => Answer::No,
        code => Answer::Text(code.into()),
    })
}

fn provider(output: Output, providers: &[IdentityProvider]) -> Asked {
    let names = providers.iter().map(|provider| provider.name.clone());
    let chosen = choose(output, "Sign in with:", names.collect())?;
    Ok(Answer::Text(providers[chosen].id.as_str().into()))
}

fn terms(output: Output, policies: &[Policy]) -> Asked {
    for policy in policies {
        let url = link(&policy.url).unwrap_or_else(|| NO_LINK.into());
        output.say(&format!("  {}: {url}", policy.name));
    }
    yes_or_no(output, "Do you accept these terms?", false)
}
