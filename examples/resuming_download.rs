//! Downloads a file, and resumes the download when it is started again.
//!
//! `cargo run --example resuming_download DIR MXC_URI FILE` uses the account in `DIR`, which
//! `matricula --home DIR register ...` created. `MXC_URI` names the media, like
//! `mxc://example.org/AbCdEf`. Until the download is complete, the data is in `FILE.part`. Kill the
//! program and start it again: it requests only the rest.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example prints its results"
)]

use std::{
    env,
    error::Error,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
};

use matricula::api::{Endpoint, MxcUri, client::authed_content_repo::DownloadContent};
use matricula::core::ResponseFormat;
use matricula::runner::{Runner, TransferProgress};
use matricula::{AccountStore, Session};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("resuming_download: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let [dir, mxc_uri, file] = &env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("usage: resuming_download DIR MXC_URI FILE".into());
    };
    let last_percent = AtomicU64::new(u64::MAX);
    let runner = Runner::builder()
        .progress(move |_, progress| print_percent(&last_percent, progress))
        .build()?;
    let store = AccountStore::new(dir);
    let account = store.account(None)?.ok_or("the directory has no account")?;
    let session = Session::new(account, runner).store(store);

    let mxc_uri: MxcUri = mxc_uri.parse()?;
    let request = DownloadContent::new(mxc_uri.server_name().parse()?, mxc_uri.media_id());
    // A response that goes to a file is never in memory as a whole.
    let job = session.job(&request);
    let job = job.with_response_format(ResponseFormat::File(file.as_str().into()));
    let response = session.send(job).await?;
    let content = DownloadContent::read(&response)?;
    let content_type = content.content_type.as_deref().unwrap_or("unknown type");
    println!("downloaded {file}, {content_type}");
    Ok(())
}

/// Prints each percent once.
fn print_percent(last: &AtomicU64, progress: TransferProgress) {
    let Some(total) = progress.total else { return };
    let percent = progress.done.saturating_mul(100) / total.max(1);
    if last.swap(percent, Ordering::Relaxed) != percent {
        eprintln!("{percent} %");
    }
}
