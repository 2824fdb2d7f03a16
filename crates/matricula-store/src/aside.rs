//! Moves a damaged database out of the way, with all that belongs to it.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Moves the file and its write-ahead log to the first free name; the log first, so that at no
/// moment a log lies beside a database that it does not belong to.
pub(crate) fn quarantine(path: &Path) -> io::Result<PathBuf> {
    let aside = free_name(path);
    for suffix in ["-wal", "-shm"] {
        match fs::rename(with_suffix(path, suffix), with_suffix(&aside, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, &aside)?;
    // A rename is durable with its directory, where that can be opened.
    if let Some(Ok(dir)) = path.parent().map(File::open) {
        let _ = dir.sync_all();
    }
    Ok(aside)
}

fn free_name(path: &Path) -> PathBuf {
    let is_free = |name: &PathBuf| {
        !name.exists() && !with_suffix(name, "-wal").exists() && !with_suffix(name, "-shm").exists()
    };
    let mut names = (1u64..).map(|number| with_suffix(path, &format!(".damaged-{number}")));
    names
        .find(is_free)
        .unwrap_or_else(|| with_suffix(path, ".damaged"))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
