//! `matricula media get`: downloads a file.

use std::{
    fs,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    time::Duration,
};

use matricula::{
    Error,
    api::{
        ApiError, Content, Endpoint, ErrorCode, MxcUri, ServerName,
        client::{
            authed_content_repo::DownloadContent, content_repo::GetContent, versions::GetVersions,
        },
    },
    core::{FileRef, Job, ResponseFormat, TransportErrorKind},
    runner::{Disk, FileStore, PartialFile},
};
use serde_json::json;

use super::{Context, ErrorTexts, Transfer, account, progress::size, would_send};
use crate::{
    args::media::{Get, MAX_SIZE},
    commands::files::{self, DiskFiles, Spool},
    error::CommandError,
    shell::shell_word,
};

/// The maximum length of a file name on every file system, including the suffix of a partial
/// download.
const LONGEST_NAME: usize = 200;

pub(super) async fn run(context: &Context<'_>, options: Get) -> Result<(), CommandError> {
    let target = Target::new(context, &options)?;
    let account = account(context, options.of.account.as_deref())?;
    let wanted = Wanted::new(&options.content_uri, target.path())?;
    if options.dry_run {
        return would_send(context, account, |session| {
            vec![wanted.job(session.job(&wanted.authed))]
        });
    }
    let spool = match target {
        Target::Stdout => Some(Spool::new()?),
        _ => None,
    };
    let may_replace = options.overwrite;
    let transfer = match &spool {
        Some(spool) => Transfer::new(context, account, spool.share()?).await?,
        None => Transfer::new(context, account, DiskFiles { may_replace }).await?,
    };
    let fetched = tokio::select! {
        fetched = wanted.fetch(&transfer) => fetched,
        _ = tokio::signal::ctrl_c() => Err(Stopped::Interrupted),
    };
    transfer.display.end();
    let content = match fetched {
        Ok(content) => content,
        Err(stopped) => return Err(failure(&transfer, &options, &target, stopped).await),
    };
    if let Some(spool) = spool {
        spool.print(context.output)?;
        return Ok(());
    }
    let file = target.named(&content)?;
    let length = fs::metadata(&file)?.len();
    let object = json!({
        "schema_version": 1,
        "user_id": transfer.session.account().user_id,
        "content_uri": options.content_uri,
        "file": file.display().to_string(),
        "size": length,
        "content_type": content.content_type,
    });
    context.output.result(&file.display().to_string(), &object);
    Ok(())
}

/// Where the file goes.
enum Target {
    /// To standard output.
    Stdout,
    /// To this file.
    Named(PathBuf),
    /// To a file that is named as the server names it. Until the server has answered, it has this
    /// name, after its address.
    Unnamed(PathBuf),
}

impl Target {
    /// The target of the options, if it may be written.
    fn new(context: &Context<'_>, options: &Get) -> Result<Self, CommandError> {
        match &options.file {
            Some(file) if files::is_stream(file) => {
                files::check_stdout(context.output, io::stdout().is_terminal())?;
                Ok(Self::Stdout)
            }
            Some(file) => {
                files::check_target(file, options.overwrite)?;
                Ok(Self::Named(file.clone()))
            }
            None => {
                let name = PathBuf::from(own_name(&options.content_uri)?);
                if name.symlink_metadata().is_ok() {
                    let message = format!("{} is there already: name a file", name.display());
                    return Err(CommandError::Usage(message));
                }
                Ok(Self::Unnamed(name))
            }
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Stdout => Path::new("-"),
            Self::Named(path) | Self::Unnamed(path) => path,
        }
    }

    /// The path of the complete file, which gets its name if it has none yet. The server does not
    /// choose which file is replaced: none is.
    fn named(&self, content: &Content) -> Result<PathBuf, CommandError> {
        let (Self::Unnamed(path), Some(wanted)) = (self, content.file_name()) else {
            return Ok(self.path().to_owned());
        };
        for name in files::numbered(&wanted) {
            if name == *path {
                return Ok(name);
            }
            match files::reserve(&name) {
                Ok(()) => {
                    let moved = fs::rename(path, &name);
                    if moved.is_err() {
                        let _ = fs::remove_file(&name);
                    }
                    return Ok(moved.map(|()| name)?);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                // Not every file system takes every name. It has one already.
                Err(_) => return Ok(path.clone()),
            }
        }
        Ok(path.clone())
    }
}

/// The media ID as a file name. It contains only letters, digits, `-` and `_`.
fn own_name(content_uri: &MxcUri) -> Result<&str, CommandError> {
    match content_uri.media_id() {
        id if id.is_empty() || id.len() > LONGEST_NAME => Err(CommandError::Usage(format!(
            "the last part of {content_uri} is no name for a file: name one after it"
        ))),
        id => Ok(id),
    }
}

/// The download: its source and its output file.
struct Wanted<'a> {
    authed: DownloadContent,
    file: &'a Path,
}

impl<'a> Wanted<'a> {
    fn new(content_uri: &MxcUri, file: &'a Path) -> Result<Self, CommandError> {
        let server_name = content_uri.server_name().parse::<ServerName>();
        let server_name =
            server_name.map_err(|error| CommandError::Usage(format!("{content_uri}: {error}")))?;
        let authed = DownloadContent::new(server_name, content_uri.media_id());
        Ok(Self { authed, file })
    }

    fn job(&self, job: Job) -> Job {
        job.with_response_format(ResponseFormat::File(FileRef::new(self.file)))
    }

    async fn fetch(&self, transfer: &Transfer<'_>) -> Result<Content, Stopped> {
        let job = self.job(transfer.session.job(&self.authed));
        let response = transfer.send(job).await?;
        match DownloadContent::read(&response) {
            Err(error) if is_unknown_path(&error) && is_older_server(transfer).await => {
                self.fetch_from_older_server(transfer).await
            }
            read => Ok(read.map_err(Error::from)?),
        }
    }

    /// Before Matrix 1.11, downloads needed no authentication: no token is sent.
    async fn fetch_from_older_server(&self, transfer: &Transfer<'_>) -> Result<Content, Stopped> {
        let DownloadContent {
            server_name,
            media_id,
            ..
        } = self.authed.clone();
        let plain = GetContent::new(server_name, media_id);
        let response = transfer
            .send(self.job(transfer.session.job(&plain)))
            .await?;
        Ok(GetContent::read(&response).map_err(Error::from)?)
    }
}

/// Whether the server does not know the path, rather than the file. A proxy says so without a Matrix error.
fn is_unknown_path(error: &ApiError) -> bool {
    match error {
        ApiError::Matrix(error) => match error.code {
            // Old servers say so with other statuses too.
            ErrorCode::Unrecognized => true,
            ErrorCode::NotFound => false,
            _ => error.status == 404,
        },
        ApiError::UnexpectedStatus { status } => *status == 404,
        _ => false,
    }
}

/// Whether the server lists no version of Matrix since 1.11, or no versions at all.
async fn is_older_server(transfer: &Transfer<'_>) -> bool {
    let listed = transfer.session.call(GetVersions::default()).await;
    listed.map_or(true, |listed| {
        listed.versions.iter().all(|version| is_older(version))
    })
}

fn is_older(version: &str) -> bool {
    let numbers = version.strip_prefix('v').and_then(|numbers| {
        let (major, minor) = numbers.split_once('.')?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    });
    numbers.is_none_or(|numbers| numbers < (1, 11))
}

/// Why the download failed.
enum Stopped {
    Interrupted,
    Error(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Explains the error; if a part was downloaded, with the command that resumes.
async fn failure(
    transfer: &Transfer<'_>,
    options: &Get,
    target: &Target,
    stopped: Stopped,
) -> CommandError {
    let content_uri = &options.content_uri;
    let why = match stopped {
        Stopped::Interrupted => CommandError::Interrupted,
        Stopped::Error(Error::Transport(error) | Error::InDoubt(error))
            if error.kind == TransportErrorKind::TooLarge =>
        {
            CommandError::Explained {
                message: format!(
                    "{content_uri} is larger than {}; allow more with --max-size",
                    size(options.max_size)
                ),
                exit_code: 1,
                details: json!({ "most": options.max_size }),
                next: None,
            }
        }
        Stopped::Error(error) => {
            let user_id = transfer.session.account().user_id;
            transfer.explain(
                error,
                &ErrorTexts {
                    too_large: &format!("the server does not send files as large as {content_uri}"),
                    refused: &format!("the server does not give {content_uri} to {user_id}"),
                    missing: &format!("the server has no file {content_uri}"),
                    disk: "see to that, or name a file elsewhere",
                },
            )
        }
    };
    if ![3, 130].contains(&why.exit_code()) || !transfer.stays_where_it_is() {
        return why;
    }
    let part = match target {
        Target::Stdout => None,
        _ => left_of(target.path()).await,
    };
    let Some(part) = part.filter(|part| part.length > 0) else {
        return why;
    };
    CommandError::Explained {
        message: format!(
            "{}; {} of the file are saved for the next time",
            why.message(),
            size(part.length)
        ),
        exit_code: why.exit_code(),
        details: json!({ "kept": part.length }),
        next: Some(again(transfer.context, options)),
    }
}

/// The size of the partial file. Its writer may still be closing it.
async fn left_of(file: &Path) -> Option<PartialFile> {
    for _ in 0..50 {
        match Disk.open_partial(&FileRef::new(file)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            begun => return begun.ok().flatten(),
        }
    }
    None
}

/// The command line to repeat.
fn again(context: &Context<'_>, options: &Get) -> String {
    let mut command = format!("media get {}", shell_word(options.content_uri.as_str()));
    if let Some(file) = &options.file {
        command += &format!(" {}", shell_word(&file.display().to_string()));
    }
    if options.overwrite {
        command += " --overwrite";
    }
    if options.max_size != MAX_SIZE {
        command += &format!(" --max-size {}", options.max_size);
    }
    if let Some(account) = &options.of.account {
        command += &format!(" --account {}", shell_word(account));
    }
    context.command(&command)
}
