//! `matricula media put`: uploads a file.

use std::path::Path;

use matricula::{
    Account, Session,
    api::{
        Endpoint, MxcUri,
        client::{authed_content_repo::GetMediaConfig, content_repo::UploadContent},
    },
    core::{Body, FileRef, Job},
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
    let name = match options.name {
        _ if options.no_name => None,
        Some(name) => Some(name),
        None if files::is_stream(&options.file) => None,
        None => own_name(&options.file),
    };
    let upload = Upload::new(&options.file, options.media_type, name)?;
    let account = account(context, options.of.account.as_deref())?;
    if options.dry_run {
        return would_send(context, account, |session| upload.jobs(session));
    }
    let user_id = account.user_id.clone();
    let uploaded = upload.send(context, account).await?;
    let object = json!({
        "schema_version": 1,
        "user_id": user_id,
        "content_uri": uploaded.content_uri,
        "file": options.file.display().to_string(),
        "size": uploaded.length,
        "content_type": upload.content_type,
    });
    context
        .output
        .result(uploaded.content_uri.as_str(), &object);
    Ok(())
}

/// A file to upload, or standard input.
pub(crate) struct Upload<'a> {
    file: &'a Path,
    pub(crate) content_type: String,
    name: Option<String>,
}

/// A file that was uploaded.
pub(crate) struct Uploaded {
    pub(crate) content_uri: MxcUri,
    /// In bytes.
    length: u64,
}

impl<'a> Upload<'a> {
    /// Checks that the file can be sent. Without a content type, its name suggests one.
    pub(crate) fn new(
        file: &'a Path,
        content_type: Option<String>,
        name: Option<String>,
    ) -> Result<Self, CommandError> {
        if !files::is_stream(file) {
            files::length(file)?;
        }
        Ok(Self {
            file,
            content_type: content_type.unwrap_or_else(|| matricula::content_type(file).to_owned()),
            name,
        })
    }

    fn request(&self) -> UploadContent {
        let mut request = UploadContent::new(Body::File(FileRef::new(self.file)))
            .content_type(self.content_type.as_str());
        request.filename = self.name.clone();
        request
    }

    /// The requests that it sends.
    pub(crate) fn jobs(&self, session: &Session) -> Vec<Job> {
        vec![
            session.job(&GetMediaConfig {}),
            session.job(&self.request()),
        ]
    }

    /// Uploads it, and shows the progress.
    pub(crate) async fn send(
        &self,
        context: &Context<'_>,
        account: Account,
    ) -> Result<Uploaded, CommandError> {
        let (transfer, length) = if files::is_stream(self.file) {
            let read = Spool::of_stdin();
            let (spool, length) = read.map_err(|error| {
                CommandError::other(format!("standard input could not be read: {error}"))
            })?;
            (Transfer::new(context, account, spool).await?, length)
        } else {
            let length = files::length(self.file)?;
            (Transfer::new(context, account, Disk).await?, length)
        };
        let request = self.request();
        let sent = tokio::select! {
            sent = send(&transfer, &request, self.file, length) => sent,
            _ = tokio::signal::ctrl_c() => Err(CommandError::Interrupted),
        };
        transfer.display.end();
        Ok(Uploaded {
            content_uri: sent?,
            length,
        })
    }
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

/// The upload limit of the server in bytes, if it says one that can be read. Without it, the server decides
/// when it has the file.
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
