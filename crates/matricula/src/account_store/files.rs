//! Files that only their owner can read: locked across processes, replaced atomically.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{
    AccountStoreError,
    directory::{check_directory, check_file},
};

/// Creates the directory, readable by its owner only. Refuses one that others can change.
pub(crate) fn make_dir(dir: &Path) -> Result<(), AccountStoreError> {
    check_directory(dir)?;
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(failed(dir, "make"))
}

/// Waits for the lock file of this name. Dropping the file releases the lock.
pub(super) fn lock(dir: &Path, name: &str) -> Result<File, AccountStoreError> {
    let path = dir.join(name);
    let file = private_file(&path).map_err(failed(&path, "make"))?;
    file.lock().map_err(failed(&path, "lock"))?;
    Ok(file)
}

/// Locks the file of this name; `None` if another process holds the lock.
pub(super) fn try_lock(dir: &Path, name: &str) -> Result<Option<File>, AccountStoreError> {
    let path = dir.join(name);
    let file = private_file(&path).map_err(failed(&path, "make"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(&path, "lock")(error)),
    }
}

/// The content of the file; `None` if there is no file. Refuses one that others can change.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, AccountStoreError> {
    match fs::read(path) {
        Ok(text) => {
            check_directory(path.parent().unwrap_or(path))?;
            check_file(path)?;
            Ok(Some(text))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, "read")(error)),
    }
}

/// Replaces a file atomically: writes a new file beside it, syncs it, renames it.
pub(crate) fn replace(path: &Path, text: &[u8]) -> Result<(), AccountStoreError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let write = || {
        // A file left by a crash, or planted by another user, may have other permissions.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = options().create_new(true).open(&beside)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        let dir = path.parent().unwrap_or(Path::new("."));
        File::open(dir)?.sync_all()
    };
    write().map_err(failed(path, "write"))
}

fn private_file(path: &Path) -> io::Result<File> {
    options().create(true).truncate(false).open(path)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

pub(super) fn failed(
    path: &Path,
    what: &'static str,
) -> impl FnOnce(io::Error) -> AccountStoreError + use<> {
    let path = path.to_owned();
    move |error| AccountStoreError::Io { path, what, error }
}
