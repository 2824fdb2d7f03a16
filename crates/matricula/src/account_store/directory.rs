//! Refuses directories of secrets that other users of the machine can change, as ssh does.

use std::path::Path;

use super::AccountStoreError;

/// Checks that only this user can change a directory of secrets: that it is neither writable by other
/// users nor theirs, and that they cannot replace it, or a directory above it, by another one. The walk
/// up ends at the home directory, as that of ssh does. A directory that does not exist yet is checked
/// from the first one above it that does.
///
/// Where the system is not a Unix, nothing is checked: there the lists of rights of a user's own
/// directories decide.
///
/// # Errors
/// [`AccountStoreError::NotPrivate`], which names the directory and what to do.
pub fn check_directory(dir: &Path) -> Result<(), AccountStoreError> {
    #[cfg(unix)]
    return unix::check(dir);
    #[cfg(not(unix))]
    {
        let _ = dir;
        Ok(())
    }
}

/// Checks that other users can neither write nor replace a file of secrets, and did not make it.
pub(super) fn check_file(path: &Path) -> Result<(), AccountStoreError> {
    #[cfg(unix)]
    return unix::check_file(path);
    #[cfg(not(unix))]
    {
        let _ = path;
        Ok(())
    }
}

#[cfg(unix)]
mod unix {
    use std::{
        fs::{self, Metadata},
        io::ErrorKind,
        os::unix::fs::MetadataExt,
        path::{Path, PathBuf},
    };

    use super::super::{AccountStoreError, files::failed};

    const GROUP_WRITE: u32 = 0o020;
    const OTHERS_WRITE: u32 = 0o002;
    /// In a directory with this bit, only the owner of an entry can remove or rename it.
    const STICKY: u32 = 0o1000;
    const ROOT: u32 = 0;

    pub(super) fn check(dir: &Path) -> Result<(), AccountStoreError> {
        let is_missing = |path: &Path| {
            path.symlink_metadata().is_err_and(|error| {
                // What makes the directory reports that a file is in the way.
                matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
            })
        };
        let mut existing = std::path::absolute(dir).map_err(failed(dir, "find"))?;
        let is_new = is_missing(&existing);
        while is_missing(&existing) && existing.pop() {}
        // Links are followed first: one that leads to another user's directory is refused for that.
        let existing = existing.canonicalize().map_err(failed(&existing, "find"))?;
        let home = std::env::home_dir().and_then(|home| home.canonicalize().ok());
        let top = home.filter(|home| existing.starts_with(home));
        let user = own_id();
        for path in existing.ancestors() {
            let found = fs::metadata(path).map_err(failed(path, "check"))?;
            let is_dir_itself = path == existing && !is_new;
            if let Some((why, help)) = complaint(path, &found, is_dir_itself, user) {
                return Err(not_private(dir, path, why, help));
            }
            if top.as_deref() == Some(path) {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn check_file(path: &Path) -> Result<(), AccountStoreError> {
        let found = match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            found => found.map_err(failed(path, "check"))?,
        };
        // It may be a link to a file elsewhere.
        let real = path.canonicalize().map_err(failed(path, "find"))?;
        check(real.parent().unwrap_or(&real))?;
        if let Some((why, help)) = another_owner(&found, own_id()) {
            return Err(not_private(path, path, why, help));
        }
        if found.mode() & (GROUP_WRITE | OTHERS_WRITE) == 0 {
            return Ok(());
        }
        let help = format!("chmod 600 {}", path.display());
        Err(not_private(path, path, WRITABLE, help))
    }

    const WRITABLE: &str = "can be written by other users of this machine";

    /// What is wrong with the directory itself, or one above it; and what to do.
    fn complaint(
        path: &Path,
        found: &Metadata,
        is_dir_itself: bool,
        user: Option<u32>,
    ) -> Option<(&'static str, String)> {
        if let Some(complaint) = another_owner(found, user) {
            return Some(complaint);
        }
        let is_sticky = found.mode() & STICKY != 0;
        let is_writable = if is_dir_itself {
            found.mode() & (GROUP_WRITE | OTHERS_WRITE) != 0
        } else {
            // Many systems give each user a group without other members, by the user's number.
            let is_own_group = found.gid() == found.uid();
            let by_group = found.mode() & GROUP_WRITE != 0 && !is_own_group;
            (by_group || found.mode() & OTHERS_WRITE != 0) && !is_sticky
        };
        let help = match is_sticky {
            // Others are meant to write there, as in /tmp.
            true => "make a directory in it".to_owned(),
            false => format!("chmod go-w {}", path.display()),
        };
        is_writable.then_some((WRITABLE, help))
    }

    fn another_owner(found: &Metadata, user: Option<u32>) -> Option<(&'static str, String)> {
        let is_ours = user.is_none_or(|user| [user, ROOT].contains(&found.uid()));
        (!is_ours).then(|| {
            let help = "use the program as that user".to_owned();
            ("belongs to another user of this machine", help)
        })
    }

    fn not_private(dir: &Path, path: &Path, why: &'static str, help: String) -> AccountStoreError {
        AccountStoreError::NotPrivate {
            dir: dir.to_owned(),
            path: path.to_owned(),
            why,
            help,
        }
    }

    /// The number of this process's user, where the system shows it as a file. Without it, owners are
    /// not compared.
    fn own_id() -> Option<u32> {
        let own: PathBuf = "/proc/self".into();
        fs::metadata(own).ok().map(|own| own.uid())
    }
}
