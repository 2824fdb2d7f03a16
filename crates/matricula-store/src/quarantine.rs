//! Moves a damaged database aside, with its write-ahead log.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Moves the file and its write-ahead log to the first free name. The log is moved first, so that it is
/// never beside another database.
pub(crate) fn quarantine(path: &Path) -> io::Result<PathBuf> {
    let target = free_name(path);
    for suffix in ["-wal", "-shm"] {
        match fs::rename(with_suffix(path, suffix), with_suffix(&target, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, &target)?;
    // Make the rename durable, if the directory can be opened.
    if let Some(Ok(dir)) = path.parent().map(File::open) {
        let _ = dir.sync_all();
    }
    Ok(target)
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
