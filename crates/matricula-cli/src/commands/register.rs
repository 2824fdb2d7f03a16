//! `matricula register`: the main job.

use matricula::{
    Error,
    api::uia::Stage,
    auth::{
        Account, AuthError, Discovery, Registration, ServerAddress, ServerFacts, Wishes,
        registration::AccountKind,
    },
    drive,
    job::ServerUrl,
};
use serde_json::{Value, json};

use super::{Context, read_secret};
use crate::{
    args::Register,
    failure::Failure,
    person::Terminal,
    server::{self, Opened},
};

pub(crate) async fn run(context: &Context<'_>, mut options: Register) -> Result<(), Failure> {
    let mut terminal = Terminal::new(context.report, context.no_input);
    let mut wishes = wishes(&options)?;
    if let Some(id) = &options.resume {
        return resume(context, id, wishes, terminal).await;
    }
    tell_of_half_done(context)?;
    if options.upgrade_guest {
        return super::upgrade::run(context, &options).await;
    }
    if options.dry_run {
        return super::dry_run::register(context, options.server.as_deref(), wishes);
    }
    if terminal.is_there() {
        ask_for_the_rest(&terminal, &mut options, &mut wishes)?;
    }
    // Whatever is opened here runs until the end of this function.
    let (opened, facts) = open(context, options.server.as_deref(), &wishes, &mut terminal).await?;
    let private = context.home.private_homeserver();
    let data = match &opened {
        Some(opened) => Some(opened.data()),
        None => server::data_of_running(&private, &facts.server),
    };
    let mut registration = Registration::new(&facts, wishes).with_data(data.unwrap_or_default());
    finish(context, &mut registration, terminal).await
}

/// What the options say. Secrets come from files and standard input, never from arguments.
pub(super) fn wishes(options: &Register) -> Result<Wishes, Failure> {
    let mut wishes = Wishes {
        kind: if options.guest {
            AccountKind::Guest
        } else {
            AccountKind::User
        },
        username: options.username.clone(),
        email: options.email.clone(),
        phone: options.phone.clone(),
        accept_terms: options.accept_terms,
        device_id: options.device_id.clone(),
        device_name: options.device_name.clone(),
        inhibit_login: options.inhibit_login,
        refresh_token: options.refresh_token,
        ..Wishes::default()
    };
    wishes.password = read_secret(
        options.password_stdin,
        options.password_file.as_deref(),
        "password",
    )?;
    wishes.token = read_secret(
        options.token_stdin,
        options.token_file.as_deref(),
        "registration token",
    )?;
    Ok(wishes)
}

fn ask_for_the_rest(
    terminal: &Terminal,
    options: &mut Register,
    wishes: &mut Wishes,
) -> Result<(), Failure> {
    if options.server.is_none() {
        options.server = terminal.choose_server()?;
    }
    if wishes.kind == AccountKind::User {
        if wishes.username.is_none() {
            wishes.username = terminal.choose_username()?;
        }
        if wishes.password.is_none() {
            wishes.password = terminal.choose_password()?;
        }
    }
    Ok(())
}

/// Finds the server that was named, or opens the private one.
async fn open(
    context: &Context<'_>,
    server: Option<&str>,
    wishes: &Wishes,
    terminal: &mut Terminal,
) -> Result<(Option<Opened>, ServerFacts), Failure> {
    let mut accounts = context.home.accounts();
    let (opened, address) = match server {
        Some(name) => (None, context.address(name)?),
        None => {
            let opened = server::open_private(&context.home.private_homeserver()).await?;
            let directory = opened.directory().display();
            let private = format!(
                "this account is on a private homeserver in {directory}, which nobody else can reach"
            );
            context.report.warn(&if terminal.is_there() {
                private
            } else {
                format!("no server was named: {private}; to be reached, name a real one: matricula register example.org")
            });
            let address = ServerAddress::Url(opened.url().clone());
            (Some(opened), address)
        }
    };
    let mut discovery = Discovery::new(address);
    // One that is made here is good enough.
    if wishes.password.is_some() {
        discovery = discovery.with_password_policy();
    }
    let facts = drive(&mut discovery, &context.runner, &mut accounts, terminal).await?;
    Ok((opened, facts))
}

/// A registration that a crash or Ctrl-C cut off is not forgotten, nor gone on with unasked.
fn tell_of_half_done(context: &Context<'_>) -> Result<(), Failure> {
    for half_done in context.home.accounts().registrations()? {
        let command = context.command(&format!("register --resume {}", half_done.id()));
        context.report.say(&format!(
            "a registration on {} is half done: {command}",
            half_done.server()
        ));
    }
    Ok(())
}

async fn resume(
    context: &Context<'_>,
    id: &str,
    answers: Wishes,
    terminal: Terminal,
) -> Result<(), Failure> {
    let accounts = context.home.accounts();
    let Some(registration) = accounts.registration(id)? else {
        let waiting: Vec<String> = accounts
            .registrations()?
            .iter()
            .map(|one| one.id().to_owned())
            .collect();
        return Err(Failure::Usage(match waiting.is_empty() {
            true => format!("no registration {id} waits here, nor any other"),
            false => format!(
                "no registration {id} waits here; these do: {}",
                waiting.join(", ")
            ),
        }));
    };
    let mut registration = registration.with_answers(answers);
    let opened = server::reopen(registration.data()).await?;
    if let Some(opened) = &opened {
        registration = registration.with_server(opened.url().clone());
    }
    finish(context, &mut registration, terminal).await
}

/// Registers, and tells what came of it.
pub(super) async fn finish(
    context: &Context<'_>,
    registration: &mut Registration,
    mut terminal: Terminal,
) -> Result<(), Failure> {
    let mut accounts = context.home.accounts();
    let account = drive(registration, &context.runner, &mut accounts, &mut terminal).await;
    if terminal.was_interrupted {
        return Err(Failure::Interrupted);
    }
    let account = account.map_err(|error| kept(context, registration, error))?;
    accounts.set_default(account.user_id.as_str())?;
    let path = accounts.path();
    if account.password.is_some() {
        context.report.say(&format!(
            "a password was made; it is kept with the account in {}",
            path.display()
        ));
    } else {
        context
            .report
            .say(&format!("the account is kept in {}", path.display()));
    }
    let next = next_command(context, &account);
    let mut object = describe(&account, registration.server());
    object["password_made"] = json!(account.password.is_some());
    object["kept_in"] = json!(path);
    object["route"] = match &terminal.route {
        Some((stages, why)) => json!({ "stages": stages, "why": why }),
        None => json!({ "stages": [], "why": "the server asked for nothing" }),
    };
    object["next"] = json!(next);
    context.report.result(&words(&account), &object);
    context.report.next(&next);
    Ok(())
}

/// The failure of a registration, with how to go on if it is kept.
fn kept(context: &Context<'_>, registration: &Registration, error: Error) -> Failure {
    let id = registration.id();
    if !matches!(context.home.accounts().registration(id), Ok(Some(_))) {
        return error.into();
    }
    let (stage, answer) = match &error {
        Error::Auth(AuthError::TokenNeeded { .. }) => {
            (Some(Stage::RegistrationToken), " --token-file FILE")
        }
        Error::Auth(AuthError::AddressNeeded { stage, .. }) => {
            let answer = match stage {
                Stage::Msisdn => " --phone COUNTRY:NUMBER",
                _ => " --email ADDRESS",
            };
            (Some(stage.clone()), answer)
        }
        Error::Auth(AuthError::AddressNotProved { stage, .. }) => (Some(stage.clone()), ""),
        Error::Auth(AuthError::TermsNotAccepted { .. }) => (Some(Stage::Terms), " --accept-terms"),
        Error::Auth(AuthError::StagesNotSupported(missing)) => {
            (missing.stages.first().cloned(), "")
        }
        _ => (None, ""),
    };
    Failure::Kept {
        error: Box::new(error),
        details: json!({
            "resume": id,
            "session": registration.session(),
            "url": stage.as_ref().map(|stage| registration.fallback_page(stage)),
            "stage": stage,
        }),
        next: context.command(&format!("register --resume {id}{answer}")),
    }
}

fn words(account: &Account) -> String {
    let what = if account.is_guest { "a guest " } else { "" };
    match &account.device_id {
        Some(device) => format!("registered {what}{} on device {device}", account.user_id),
        None => format!("registered {what}{}, not signed in", account.user_id),
    }
}

/// What is told of an account: everything but its secrets.
pub(crate) fn describe(account: &Account, server: &ServerUrl) -> Value {
    json!({
        "schema_version": 1,
        "user_id": account.user_id,
        "server": server,
        "device_id": account.device_id,
        "guest": account.is_guest,
        "signed_in": account.access_token.is_some(),
        "expires_at": account.expires_at,
    })
}

fn next_command(context: &Context<'_>, account: &Account) -> String {
    let command = if account.access_token.is_some() {
        "whoami"
    } else {
        "login"
    };
    context.command(command)
}
