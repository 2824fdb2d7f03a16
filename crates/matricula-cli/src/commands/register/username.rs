//! The name of a new account: asked for, and checked before the person types a password twice.

use matricula::{
    ServerInfo,
    api::{ApiError, Endpoint, ErrorCode, client::registration::CheckUsernameAvailability},
    auth::RegisterError,
    core::scheduler::Event,
};

use crate::{commands::Context, error::CommandError, terminal::Terminal};

/// Asks for a name that is free, unless one is given that is; `None` leaves it to the server.
pub(super) async fn choose(
    context: &Context<'_>,
    terminal: &Terminal,
    server: &ServerInfo,
    mut given: Option<String>,
) -> Result<Option<String>, CommandError> {
    let mut question = "Your name there (empty: the server picks one):";
    loop {
        let name = match given.take() {
            Some(name) => name,
            None => terminal.line(question, "").await?,
        };
        if name.is_empty() {
            return Ok(None);
        }
        let Some(why) = problem(context, terminal, server, &name).await else {
            return Ok(Some(name));
        };
        context.output.warn(&why);
        question = "Another name:";
    }
}

/// What is wrong with a name, as far as it is known now: the registration itself decides.
async fn problem(
    context: &Context<'_>,
    terminal: &Terminal,
    server: &ServerInfo,
    name: &str,
) -> Option<String> {
    if let Some((localpart, _)) = name.strip_prefix('@').unwrap_or(name).split_once(':') {
        return Some(format!(
            "{name:?} is a user ID: type only the name in it, {localpart:?}"
        ));
    }
    if name.contains(char::is_whitespace) || name.starts_with('@') {
        return Some(format!(
            "{name:?} is not a user name: it has no spaces and no @, as in alice"
        ));
    }
    let server = server.server.clone();
    // Servers lower-case names when they register them, and some refuse to do so in this check.
    let check = CheckUsernameAvailability::new(name.to_lowercase()).job(&server);
    let mut terminal = terminal.clone();
    let sent = matricula::send_watched(&context.runner, check, |event| {
        if let Event::Waiting { until, reason, .. } = event {
            matricula::PromptHandler::waiting(&mut terminal, *until, reason);
        }
    });
    let ApiError::Matrix(refusal) = CheckUsernameAvailability::read(&sent.await.ok()?).err()?
    else {
        return None;
    };
    let username = name.to_owned();
    let error = match refusal.code {
        ErrorCode::UserInUse => RegisterError::NameTaken { server, username },
        ErrorCode::Exclusive => RegisterError::NameReserved { server, username },
        ErrorCode::InvalidUsername => RegisterError::NameInvalid {
            server,
            username,
            message: refusal.message,
        },
        _ => return None,
    };
    Some(error.to_string())
}
