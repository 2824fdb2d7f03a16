//! `account show`, `account name` and `account avatar`.

use std::path::Path;

use matricula::{
    Session,
    api::{
        ApiError, ErrorCode, MxcUri,
        client::profile::{DeleteProfileField, SetProfileField},
        oauth::AccountPage,
    },
};
use serde_json::{Value, json};

use super::{Context, account_source, call_failed, dry_run, dry_run_of, print_done};
use crate::{
    args::{
        AccountArg,
        account::{Avatar, Name, Picture},
    },
    commands::{
        files::is_stream,
        media::{self, Upload},
    },
    error::CommandError,
    output::{link, quoted, shown_json},
};

pub(crate) async fn show(context: &Context<'_>, of: AccountArg) -> Result<(), CommandError> {
    let (session, _opened) = account_source::open(context, of.account.as_deref()).await?;
    let failed = |error| call_failed(context, &session, error);
    let profile = session.profile().await.map_err(failed)?;
    let devices = session.devices().await.map_err(failed)?;
    let addresses = match session.addresses().await {
        Ok(addresses) => addresses,
        // An OAuth 2.0 server manages the addresses of its accounts, and some servers have none.
        Err(matricula::Error::Api(ApiError::Matrix(error)))
            if error.code == ErrorCode::Unrecognized || error.status == 404 =>
        {
            Vec::new()
        }
        Err(error) => return Err(failed(error)),
    };
    let account = session.account();
    let page = account
        .oauth
        .as_ref()
        .and_then(|oauth| oauth.account_page(&AccountPage::default()))
        .and_then(|page| link(&page));
    let mut lines = vec![
        ("user", account.user_id.to_string()),
        ("server", account.server.to_string()),
        ("device", account.device_id.clone().unwrap_or_default()),
        ("devices", devices.len().to_string()),
    ];
    let mut optional = |name, value: &Option<String>| {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            lines.push((name, quoted(value)));
        }
    };
    optional("name", &profile.displayname);
    optional("avatar", &profile.avatar_url);
    for one in &addresses {
        optional(one.medium.as_str(), &Some(one.address.clone()));
    }
    optional("account page", &page);
    let is_kept = account.password.is_some();
    optional("password", &is_kept.then(|| "stored here".to_owned()));
    let words: Vec<String> = lines
        .iter()
        .map(|(name, value)| format!("{name:13} {value}"))
        .collect();
    let object = json!({
        "server": account.server,
        "device_id": account.device_id,
        "devices": devices.len(),
        "display_name": profile.displayname,
        "avatar_url": profile.avatar_url,
        "addresses": shown_json(&addresses),
        "account_page": page,
        "password_kept": is_kept,
        "guest": account.is_guest,
    });
    print_done(context, &session, &words, object);
    Ok(())
}

pub(crate) async fn name(context: &Context<'_>, options: Name) -> Result<(), CommandError> {
    let (session, _opened) = account_source::open(context, options.of.account.as_deref()).await?;
    let failed = |error| call_failed(context, &session, error);
    let name = options.name.as_deref();
    if name.is_none() && !options.remove {
        let name = session.profile().await.map_err(failed)?.displayname;
        show_field(context, &session, "display_name", name);
        return Ok(());
    }
    if options.dry_run {
        would_set(context, &session, "displayname", name);
        return Ok(());
    }
    session.set_display_name(name).await.map_err(failed)?;
    let words = match name {
        Some(name) => format!(
            "{} is called {} now",
            session.account().user_id,
            quoted(name)
        ),
        None => format!(
            "{} has no name of its own any more",
            session.account().user_id
        ),
    };
    print_done(context, &session, &words, json!({ "display_name": name }));
    Ok(())
}

pub(crate) async fn avatar(context: &Context<'_>, options: Avatar) -> Result<(), CommandError> {
    let picture = match &options.picture {
        Some(Picture::File(file)) if options.dry_run => {
            return would_upload(context, &options.of, file);
        }
        Some(Picture::File(file)) => Some(upload(context, &options.of, file).await?),
        Some(Picture::Uploaded(picture)) => Some(picture.clone()),
        None => None,
    };
    let picture = picture.as_ref();
    let (session, _opened) = account_source::open(context, options.of.account.as_deref()).await?;
    let failed = |error| call_failed(context, &session, error);
    if picture.is_none() && !options.remove {
        let picture = session.profile().await.map_err(failed)?.avatar_url;
        show_field(context, &session, "avatar_url", picture);
        return Ok(());
    }
    if options.dry_run {
        let picture = picture.map(|picture| picture.as_str());
        would_set(context, &session, "avatar_url", picture);
        return Ok(());
    }
    session.set_avatar(picture).await.map_err(failed)?;
    let words = match picture {
        Some(picture) => format!("{} shows {picture} now", session.account().user_id),
        None => format!("{} has no picture any more", session.account().user_id),
    };
    print_done(context, &session, &words, json!({ "avatar_url": picture }));
    Ok(())
}

/// Uploads a picture, and returns its address. Its file name stays here: others see avatars.
async fn upload(
    context: &Context<'_>,
    of: &AccountArg,
    file: &Path,
) -> Result<MxcUri, CommandError> {
    let account = media::account(context, of.account.as_deref())?;
    let upload = Upload::new(file, None, None)?;
    if !upload.content_type.starts_with("image/") {
        let shown = match is_stream(file) {
            true => "standard input".to_owned(),
            false => file.display().to_string(),
        };
        context.output.warn(&format!(
            "{shown} is sent as {}, not as an image: other programs may not show it",
            upload.content_type
        ));
    }
    Ok(upload.send(context, account).await?.content_uri)
}

/// Prints what `upload` sends, and what follows it.
fn would_upload(context: &Context<'_>, of: &AccountArg, file: &Path) -> Result<(), CommandError> {
    let account = media::account(context, of.account.as_deref())?;
    let upload = Upload::new(file, None, None)?;
    let session = account_source::in_account(context, account);
    let mut jobs = upload.jobs(&session);
    let address = Value::from("(the address of the uploaded file)");
    let user_id = session.account().user_id;
    jobs.push(session.job(&SetProfileField::new(user_id, "avatar_url", address)));
    dry_run::show(context, &jobs);
    Ok(())
}

fn show_field(context: &Context<'_>, session: &Session, field: &str, value: Option<String>) {
    let value = value.filter(|value| !value.is_empty());
    let words = value.as_deref().map(quoted).unwrap_or_default();
    print_done(context, session, &words, json!({ field: value }));
}

fn would_set(context: &Context<'_>, session: &Session, field: &str, value: Option<&str>) {
    let user_id = session.account().user_id;
    match value {
        Some(value) => {
            let value = Value::from(value);
            dry_run_of(
                context,
                session,
                &SetProfileField::new(user_id, field, value),
            );
        }
        None => dry_run_of(context, session, &DeleteProfileField::new(user_id, field)),
    }
}
