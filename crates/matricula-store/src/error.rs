//! Why a store does not open.

use std::{io, path::PathBuf};

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "{} is in use by another process; end that one first, or give this one another file",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It was damaged. It has been moved, as it was, and a new one can be opened in its place.
    #[error(
        "{} is damaged ({reason}); it was moved to {}, nothing of it was deleted, and the next time begins with an empty one",
        path.display(),
        moved_to.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where it is now. A write-ahead log lies beside it, its name ending in `-wal`.
        moved_to: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// It was damaged, and could not be moved. It is as it was.
    #[error(
        "{} is damaged ({reason}), and could not be moved aside: {source}; move it by hand",
        path.display()
    )]
    Stuck {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
        /// Why it could not be moved.
        source: io::Error,
    },
    /// It is a database of something else. It is as it was.
    #[error("{} is a database of another program; give another file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A newer version wrote it. It is as it was.
    #[error(
        "{} was written by a newer version (format {found}, and this one knows {known}); use that version",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format that it has.
        found: u32,
        /// The newest format that is known here.
        known: u32,
    },
    /// The file could not be opened or made.
    #[error("{} could not be opened: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// SQLite could not open it, for another reason than damage.
    #[error("{} could not be opened: {source}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
}
