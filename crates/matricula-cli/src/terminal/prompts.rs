//! The questions of conversations, as they are asked on a terminal.

use inquire::{Confirm, InquireError, Password, Select, Text};
use matricula::{Answer, Prompt, api::uia::Policy, auth::IdentityProvider};

use crate::output::{Output, link, quoted};

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
        Prompt::HomeserverUrl { name, .. } => homeserver_url(name),
        Prompt::Username { .. } => text("Another name:"),
        Prompt::RegistrationToken { .. } => text("Registration token:"),
        Prompt::Password { .. } => password(Password::new("Another password:")),
        Prompt::CurrentPassword { user_id, .. } => {
            let label = quoted(&format!("Password of {user_id}:"));
            password(Password::new(&label).without_confirmation())
        }
        Prompt::EmailAddress { .. } => text("Your email address:"),
        Prompt::PhoneNumber { .. } => {
            text("Your phone number with its country, like GB:07700900001:")
        }
        Prompt::FollowLink { address, .. } => {
            output.say(&format!("the server has written to {address}"));
            yes_or_no(
                "Follow the link in that message. Done? (no: send another)",
                true,
            )
        }
        Prompt::Code { address, .. } => {
            output.say(&format!("the server has sent a code to {address}"));
            code()
        }
        Prompt::StagePage { stage, url, .. } => {
            let page = link(url).unwrap_or_else(|| NO_LINK.into());
            output.say_in_full(&[
                format!("open this page in a browser, for {stage}:"),
                format!("  {page}"),
            ]);
            yes_or_no("Done there?", true)
        }
        Prompt::IdentityProvider { providers } => provider(providers),
        Prompt::AcceptTerms { policies } => terms(output, policies),
        _ => Ok(Answer::Unavailable),
    }
}

fn text(label: &str) -> Asked {
    Ok(Answer::Text(Text::new(label).prompt()?.into()))
}

fn password(question: Password<'_>) -> Asked {
    Ok(Answer::Text(question.prompt()?.into()))
}

fn yes_or_no(question: &str, default: bool) -> Asked {
    let is_yes = Confirm::new(question).with_default(default).prompt()?;
    Ok(if is_yes { Answer::Yes } else { Answer::No })
}

fn homeserver_url(name: &str) -> Asked {
    let label = quoted(&format!("The address of {name} (empty: give up):"));
    let question = Text::new(&label).with_placeholder("https://matrix.example.org");
    let address = question.prompt()?;
    Ok(if address.trim().is_empty() {
        Answer::No
    } else {
        Answer::Text(address.into())
    })
}

fn code() -> Asked {
    let code = Text::new("The code (empty: send another):").prompt()?;
    Ok(if code.is_empty() {
        Answer::No
    } else {
        Answer::Text(code.into())
    })
}

fn provider(providers: &[IdentityProvider]) -> Asked {
    let names = providers.iter().map(|provider| quoted(&provider.name));
    let chosen = Select::new("Sign in with:", names.collect()).raw_prompt()?;
    Ok(Answer::Text(providers[chosen.index].id.as_str().into()))
}

fn terms(output: Output, policies: &[Policy]) -> Asked {
    for policy in policies {
        let url = link(&policy.url).unwrap_or_else(|| NO_LINK.into());
        output.say(&format!("  {}: {url}", policy.name));
    }
    yes_or_no("Do you accept these terms?", false)
}
