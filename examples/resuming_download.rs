//! Fetches a file, and goes on where it was when it is started again.
//!
//! `cargo run --example resuming_download DIR MXC FILE`: it is the account in `DIR`, which
//! `matricula --home DIR register ...` has made; `MXC` is a file's address, like
//! `mxc://example.org/AbCdEf`. While `FILE` is not whole, what has come of it is in `FILE.part`. Kill it
//! and start it again: the server is asked for the rest alone.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that people start and look at"
)]

use std::{
    env,
    error::Error,
    sync::atomic::{AtomicU64, Ordering},
};

use matricula::api::{Endpoint, MxcUri, client::authed_content_repo::DownloadContent};
use matricula::core::{FileRef, ResponseFormat};
use matricula::runner::{Runner, TransferProgress};
use matricula::{AccountStore, Session};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [dir, address, file] = &env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("name the account's directory, the file's address and where it goes".into());
    };
    let told = AtomicU64::new(u64::MAX);
    let runner = Runner::default().with_progress(move |_, progress| tell(&told, progress));
    let store = AccountStore::new(dir);
    let account = store.account(None)?.ok_or("no account is kept there")?;
    let session = Session::new(account, runner).store(store);

    let address: MxcUri = address.parse()?;
    let wanted = DownloadContent::new(address.server_name().parse()?, address.media_id());
    // An answer that goes to a file is in memory one piece at a time.
    let job = session.job(&wanted);
    let job = job.with_response_format(ResponseFormat::File(FileRef::new(file)));
    let response = session.send(job, |_| {}).await?;
    let content = DownloadContent::read(&response)?;
    let content_type = content.content_type.as_deref().unwrap_or("of unknown type");
    println!("{file} is here, {content_type}");
    Ok(())
}

/// Tells each whole per cent once.
fn tell(told: &AtomicU64, progress: TransferProgress) {
    let Some(total) = progress.total else { return };
    let share = progress.done.saturating_mul(100) / total.max(1);
    if told.swap(share, Ordering::Relaxed) != share {
        eprintln!("{share} %");
    }
}
