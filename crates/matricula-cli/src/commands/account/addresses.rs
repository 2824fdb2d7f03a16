//! `account email` and `account phone`.

use matricula::{
    Store,
    api::client::{
        administrative_contact::{Delete3Pid, ThirdPartyIdentifier},
        definitions::Medium,
    },
    auth::{AddThreepid, PendingThreepid, Threepid, tables},
    core::{Secret, WriteBatch},
};
use serde_json::json;

use super::{
    Context, account_source, call_failed, dry_run, dry_run_of, print_done, read_secret,
    run_conversation,
};
use crate::{
    args::{
        AccountArg,
        account::{Authentication, EmailAdd, EmailRemove, PhoneAdd, PhoneRemove},
    },
    error::CommandError,
    output::{quoted, shown_json},
    shell::shell_word,
    terminal::Terminal,
};

pub(crate) async fn list(
    context: &Context<'_>,
    of: AccountArg,
    medium: &str,
) -> Result<(), CommandError> {
    let (session, _opened) = account_source::open(context, of.account.as_deref()).await?;
    let addresses = session.addresses().await;
    let addresses = addresses.map_err(|error| call_failed(context, &session, error))?;
    let addresses: Vec<ThirdPartyIdentifier> = addresses
        .into_iter()
        .filter(|one| one.medium.as_str() == medium)
        .collect();
    let words: Vec<String> = addresses.iter().map(|one| quoted(&one.address)).collect();
    if words.is_empty() {
        let what = match medium {
            "email" => "email address",
            _ => "phone number",
        };
        let user_id = session.account().user_id;
        context.output.say(&format!("{user_id} has no {what}"));
    }
    let object = json!({ "addresses": shown_json(&addresses) });
    if context.output.is_json() || !words.is_empty() {
        print_done(context, &session, &words, object);
    }
    Ok(())
}

pub(crate) async fn add_email(
    context: &Context<'_>,
    options: EmailAdd,
) -> Result<(), CommandError> {
    let command = format!("email add {}", shell_word(&options.address));
    let address = Threepid::Email(options.address);
    add(context, address, None, &options.authentication, &command).await
}

pub(crate) async fn add_phone(
    context: &Context<'_>,
    options: PhoneAdd,
) -> Result<(), CommandError> {
    let command = format!("phone add {}", options.number);
    let address = Threepid::Phone(options.number);
    let code = read_secret(false, options.code_file.as_deref(), "code")?;
    add(context, address, code, &options.authentication, &command).await
}

async fn add(
    context: &Context<'_>,
    address: Threepid,
    code: Option<Secret>,
    authentication: &Authentication,
    command: &str,
) -> Result<(), CommandError> {
    let account = authentication.of.account.as_deref();
    let (session, _opened) = account_source::open(context, account).await?;
    let user_id = &session.account().user_id;
    let mut addition = AddThreepid::new(&session.account(), address.clone());
    if let Some(pending) = context.home.accounts().pending_address(user_id, &address)? {
        addition = addition.resume(pending);
    }
    if let Some(code) = code {
        addition = addition.code(code);
    }
    if let Some(password) = authentication.password()? {
        addition = addition.password(password);
    }
    if let Some(session) = &authentication.resume {
        addition = addition.uia_session(session);
    }
    if authentication.dry_run {
        return dry_run::conversation(context, &mut addition);
    }
    let mut terminal = Terminal::new(context.output, context.no_input);
    run_conversation(context, &session, &mut addition, &mut terminal, command).await?;
    let words = format!("{} has {} now", user_id, quoted(&address.to_string()));
    let object = json!({ "medium": address.medium(), "address": address.to_string() });
    print_done(context, &session, &words, object);
    Ok(())
}

pub(crate) async fn remove_email(
    context: &Context<'_>,
    options: EmailRemove,
) -> Result<(), CommandError> {
    let EmailRemove {
        address,
        dry_run,
        of,
    } = options;
    remove(context, of, Medium::Email, address, dry_run).await
}

pub(crate) async fn remove_phone(
    context: &Context<'_>,
    options: PhoneRemove,
) -> Result<(), CommandError> {
    let PhoneRemove {
        number,
        dry_run,
        of,
    } = options;
    // Servers list phone numbers without the leading plus sign.
    let number = number.trim_start_matches('+').to_owned();
    remove(context, of, Medium::Msisdn, number, dry_run).await
}

async fn remove(
    context: &Context<'_>,
    of: AccountArg,
    medium: Medium,
    address: String,
    dry_run: bool,
) -> Result<(), CommandError> {
    let (session, _opened) = account_source::open(context, of.account.as_deref()).await?;
    if dry_run {
        let request = Delete3Pid::new(medium, address);
        dry_run_of(context, &session, &request);
        return Ok(());
    }
    let removed = session.remove_address(medium.clone(), &address).await;
    removed.map_err(|error| call_failed(context, &session, error))?;
    // The pending validation of the address is now useless.
    let mut writes = WriteBatch::default();
    let key = PendingThreepid::key(
        &session.account().user_id,
        &Threepid::Email(address.clone()),
    );
    writes.remove(tables::THREEPID_ADDITIONS, key);
    context.home.accounts().commit(&writes)?;
    let words = format!(
        "{} has {} no more",
        session.account().user_id,
        quoted(&address)
    );
    let object = json!({ "medium": medium, "address": address });
    print_done(context, &session, &words, object);
    Ok(())
}
