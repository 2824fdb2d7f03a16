//! Why a store cannot be opened.

use std::{io, path::PathBuf};

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the file open.
    #[error(
        "{} is in use by another process; end that process first, or give another file",
        path.display()
    )]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged. It was moved aside unchanged; opening again makes an empty store.
    #[error(
        "{} is damaged ({reason}); it was moved to {}, nothing of it was deleted, and the next start begins with an empty store",
        path.display(),
        moved_to.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Its new path. A write-ahead log is beside it, with a name that ends in `-wal`.
        moved_to: PathBuf,
        /// What SQLite reports.
        reason: String,
    },
    /// The file is damaged and could not be moved aside. It is unchanged.
    #[error(
        "{} is damaged ({reason}), and could not be moved aside: {source}; move it by hand",
        path.display()
    )]
    NotQuarantined {
        /// The file.
        path: PathBuf,
        /// What SQLite reports.
        reason: String,
        /// Why it could not be moved.
        source: io::Error,
    },
    /// The file is not a store, but another program's database or another file. It is unchanged.
    #[error("{} belongs to another program; give another file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a version with another format. It is unchanged.
    #[error(
        "{} has format {found}, and this version supports format {supported} only; use the version that wrote it, or give another file",
        path.display()
    )]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// The format of the file.
        found: u32,
        /// The supported format.
        supported: u32,
    },
    /// The file could not be opened or created.
    #[error("{} could not be opened: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system reports.
        source: io::Error,
    },
    /// SQLite could not open the file, for another reason than damage.
    #[error("{} could not be opened: {source}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite reports.
        source: rusqlite::Error,
    },
}
