//! `account devices`.

use matricula::{
    Error, Session,
    api::client::{
        definitions::ClientDevice,
        device_management::{DeleteDevices, UpdateDevice},
    },
    auth::{AuthError, UiaError, UiaRequest},
};
use serde_json::json;

use super::{
    Context, account_source, call_failed, command_for, dry_run, dry_run_of, print_done,
    run_conversation,
};
use crate::{
    args::{
        AccountArg,
        account::{DeviceRename, Devices, DevicesCommand, DevicesDelete},
    },
    error::CommandError,
    output::{quoted, shown_json},
    shell::shell_word,
    terminal::Terminal,
    text::columns,
};

pub(crate) async fn run(context: &Context<'_>, options: Devices) -> Result<(), CommandError> {
    match options.command {
        None => list(context, options.of).await,
        Some(DevicesCommand::List(of)) => list(context, of).await,
        Some(DevicesCommand::Rename(options)) => rename(context, options).await,
        Some(DevicesCommand::Delete(options)) => delete(context, options).await,
    }
}

async fn list(context: &Context<'_>, of: AccountArg) -> Result<(), CommandError> {
    let (session, _opened) = account_source::open(context, of.account.as_deref()).await?;
    let devices = session.devices().await;
    let devices = devices.map_err(|error| call_failed(context, &session, error))?;
    let this = session.account().device_id;
    let this = this.as_deref();
    let rows: Vec<[String; 2]> = devices.iter().map(|device| row(device, this)).collect();
    let object = json!({ "devices": shown_json(&devices), "this_device": this });
    print_done(context, &session, &columns(&rows), object);
    Ok(())
}

fn row(device: &ClientDevice, this: Option<&str>) -> [String; 2] {
    let name = quoted(device.display_name.as_deref().unwrap_or("(no name)"));
    let here = match Some(device.device_id.as_str()) == this {
        true => ", this device",
        false => "",
    };
    [quoted(&device.device_id), format!("{name}{here}")]
}

async fn rename(context: &Context<'_>, options: DeviceRename) -> Result<(), CommandError> {
    let (session, _opened) = account_source::open(context, options.of.account.as_deref()).await?;
    let (id, name) = (&options.device_id, &options.name);
    if options.dry_run {
        let request = UpdateDevice::new(id.as_str()).display_name(name.as_str());
        dry_run_of(context, &session, &request);
        return Ok(());
    }
    let renamed = session.rename_device(id, name).await;
    renamed.map_err(|error| call_failed(context, &session, error))?;
    let words = format!("device {} is called {} now", quoted(id), quoted(name));
    let object = json!({ "device_id": id, "display_name": name });
    print_done(context, &session, &words, object);
    Ok(())
}

async fn delete(context: &Context<'_>, options: DevicesDelete) -> Result<(), CommandError> {
    let authentication = &options.authentication;
    let account = authentication.of.account.as_deref();
    let (session, _opened) = account_source::open(context, account).await?;
    let ids = &options.device_ids;
    session.check_no_account_page(ids).map_err(Error::from)?;
    let request = DeleteDevices::new(ids.clone());
    let mut conversation = UiaRequest::new(&session.account(), request);
    if let Some(password) = authentication.password()? {
        conversation = conversation.password(password);
    }
    if let Some(session) = &authentication.resume {
        conversation = conversation.uia_session(session);
    }
    if authentication.dry_run {
        return dry_run::conversation(context, &mut conversation);
    }
    check_known(context, &session, ids).await?;
    let mut terminal = Terminal::new(context.output, context.no_input);
    let words: Vec<String> = ids.iter().map(|id| shell_word(id)).collect();
    let command = format!("devices delete {}", words.join(" "));
    let deleted = run_conversation(
        context,
        &session,
        &mut conversation,
        &mut terminal,
        &command,
    )
    .await;
    if let Err(error) = deleted
        && !(is_in_doubt(&error) && are_gone(context, &session, ids).await)
    {
        return Err(error);
    }
    let words = format!("signed out: {}", quoted(&ids.join(", ")));
    print_done(context, &session, &words, json!({ "deleted": ids }));
    Ok(())
}

fn is_in_doubt(error: &CommandError) -> bool {
    matches!(
        error,
        CommandError::Library(Error::Auth(AuthError::Uia(UiaError::MayBeDone { .. })))
    )
}

/// Whether the server lists other devices only. If it lists none, that says nothing.
async fn are_gone(context: &Context<'_>, session: &Session, ids: &[String]) -> bool {
    let how = "looking whether the devices are still there";
    context
        .output
        .warn(&format!("it is not certain what the server did: {how}"));
    match session.devices().await {
        Ok(devices) => {
            !devices.is_empty() && devices.iter().all(|one| !ids.contains(&one.device_id))
        }
        Err(_) => false,
    }
}

/// Fails if one of these is not a device of the account: a server deletes unknown devices without an
/// error.
async fn check_known(
    context: &Context<'_>,
    session: &Session,
    ids: &[String],
) -> Result<(), CommandError> {
    let devices = match session.devices().await {
        // It has that of this session at least.
        Ok(devices) if devices.is_empty() => return Ok(()),
        Ok(devices) => devices,
        // A server without the list may still delete devices.
        Err(error) if account_source::is_dispensable(&error) => return Ok(()),
        Err(error) => return Err(call_failed(context, session, error)),
    };
    let is_unknown = |id: &&String| devices.iter().all(|device| device.device_id != **id);
    let unknown: Vec<&str> = ids.iter().filter(is_unknown).map(String::as_str).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let user_id = session.account().user_id;
    Err(CommandError::Explained {
        message: format!(
            "{user_id} has no device {}; nothing was deleted",
            unknown.join(", ")
        ),
        exit_code: 1,
        details: json!({ "unknown": unknown }),
        next: Some(context.command(&command_for(session, "devices"))),
    })
}
