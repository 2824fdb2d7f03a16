//! `matricula media put`: uploads a file.

use std::path::Path;

use matricula::{
    api::{
        Endpoint, MxcUri,
        client::{authed_content_repo::GetMediaConfig, content_repo::UploadContent},
    },
    core::{Body, FileRef},
    runner::Disk,
};
use serde_json::json;

use super::{Context, ErrorTexts, Transfer, account, progress::size, would_send};
use crate::{
    args::media::Put,
    commands::{
        account_source,
        files::{self, Spool},
    },
    error::CommandError,
};

pub(super) async fn run(context: &Context<'_>, options: Put) -> Result<(), CommandError> {
    let is_stdin = files::is_stream(&options.file);
    if !is_stdin {
        files::length(&options.file)?;
    }
    let account = account(context, options.of.account.as_deref())?;
    let content_type = match options.media_type {
        Some(media_type) => media_type,
        None => matricula::content_type(&options.file).to_owned(),
    };
    let mut upload = UploadContent::new(Body::File(FileRef::new(&options.file)))
        .content_type(content_type.as_str());
    upload.filename = match options.name {
        _ if options.no_name => None,
        Some(name) => Some(name),
        None if is_stdin => None,
        None => own_name(&options.file),
    };
    if options.dry_run {
        return would_send(context, account, |session| {
            vec![session.job(&GetMediaConfig {}), session.job(&upload)]
        });
    }
    let (transfer, length) = if is_stdin {
        let read = Spool::of_stdin();
        let (spool, length) = read.map_err(|error| {
            CommandError::other(format!("standard input could not be read: {error}"))
        })?;
        (Transfer::new(context, account, spool).await?, length)
    } else {
        let length = files::length(&options.file)?;
        (Transfer::new(context, account, Disk).await?, length)
    };
    let sent = tokio::select! {
        sent = send(&transfer, &upload, &options.file, length) => sent,
        _ = tokio::signal::ctrl_c() => Err(CommandError::Interrupted),
    };
    transfer.display.end();
    let content_uri = sent?;
    let object = json!({
        "schema_version": 1,
        "user_id": transfer.session.account().user_id,
        "content_uri": content_uri,
        "file": options.file.display().to_string(),
        "size": length,
        "content_type": content_type,
    });
    context.output.result(content_uri.as_str(), &object);
    Ok(())
}

async fn send(
    transfer: &Transfer<'_>,
    upload: &UploadContent,
    file: &Path,
    length: u64,
) -> Result<MxcUri, CommandError> {
    if let Some(most) = most(transfer).await?.filter(|most| length > *most) {
        return Err(CommandError::Explained {
            message: format!(
                "{} has {}, and the server takes at most {}: nothing was sent",
                file.display(),
                size(length),
                size(most)
            ),
            exit_code: 7,
            details: json!({ "size": length, "most": most }),
            next: None,
        });
    }
    let sent = transfer.send(transfer.session.job(upload)).await;
    let sent = sent.and_then(|response| Ok(UploadContent::read(&response)?));
    let sent = sent.map_err(|error| {
        let too_large = format!(
            "the server takes no file as large as {}, which has {}",
            file.display(),
            size(length)
        );
        let user_id = transfer.session.account().user_id;
        transfer.explain(
            error,
            &ErrorTexts {
                too_large: &too_large,
                refused: &format!("the server lets {user_id} upload no file"),
                missing: "the server takes no files",
                disk: "nothing came of it",
            },
        )
    })?;
    Ok(sent.content_uri)
}

/// The upload limit of the server in bytes, if it has one.
async fn most(transfer: &Transfer<'_>) -> Result<Option<u64>, CommandError> {
    match transfer.session.call(GetMediaConfig {}).await {
        Ok(config) => Ok(config.upload_size),
        // The upload itself shows whether the server takes it.
        Err(error) if account_source::is_dispensable(&error) => Ok(None),
        Err(error) => Err(transfer.ended(error)),
    }
}

/// The file name.
fn own_name(file: &Path) -> Option<String> {
    Some(file.file_name()?.to_string_lossy().into_owned())
}
