//! Opens the files that jobs name.

use std::{
    fmt,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use matricula_core::FileRef;

/// Opens the files that jobs name.
///
/// Implement it if the files are not on a disk, or not at the paths that jobs name.
pub trait FileStore: fmt::Debug + Send + Sync {
    /// Opens a file to be sent.
    ///
    /// # Errors
    /// If it cannot be read. The request is then not sent.
    fn open(&self, file: &FileRef) -> io::Result<File>;

    /// Creates a file that a response is written to. The old content stays until
    /// [`commit`](FileStore::commit).
    ///
    /// # Errors
    /// If it cannot be written. [`WouldBlock`](io::ErrorKind::WouldBlock) means that another download is
    /// writing it: the job is retried.
    fn create(&self, file: &FileRef) -> io::Result<File>;

    /// The response is complete: replaces the old content.
    ///
    /// # Errors
    /// If it cannot be replaced.
    fn commit(&self, file: &FileRef) -> io::Result<()>;

    /// The response is incomplete: discards what was received.
    fn abort(&self, file: &FileRef);

    /// Saves a token beside the file of [`create`](FileStore::create) with which the download can be
    /// continued, and returns whether it did. Then a partial file stays if the response is interrupted
    /// or the program ends. Otherwise each attempt starts from the beginning, which is the default.
    ///
    /// # Errors
    /// If it cannot be written.
    fn save_resume_token(&self, file: &FileRef, token: &str) -> io::Result<bool> {
        let _ = (file, token);
        Ok(false)
    }

    /// Opens the partial file of an interrupted response, if there is one, to append to it.
    ///
    /// # Errors
    /// If it cannot be read or written.
    fn open_partial(&self, file: &FileRef) -> io::Result<Option<PartialFile>> {
        let _ = file;
        Ok(None)
    }
}

/// A partly downloaded file.
#[derive(Debug)]
pub struct PartialFile {
    /// Open for writing, at its end.
    pub file: File,
    /// Its length in bytes.
    pub length: u64,
    /// The token that was [saved](FileStore::save_resume_token) with it.
    pub resume_token: String,
}

/// Files on disk, at the paths that jobs name. A response is written to a file with the suffix `.part`,
/// and renamed when it is complete. Until then, a file with the suffix `.part.note` holds the token to
/// continue it.
///
/// After a power cut, a partial file is as reliable as the file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Disk {
    fn part_path(file: &FileRef) -> PathBuf {
        with_suffix(&file.path, ".part")
    }

    fn token_path(file: &FileRef) -> PathBuf {
        with_suffix(&file.path, ".part.note")
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Locks a partial file for as long as it is open.
fn lock(part: &File) -> io::Result<()> {
    match part.try_lock() {
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::WouldBlock,
            "another download is being written there",
        )),
        // A file system without locks is used without them.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// Makes a rename durable: that needs a sync of the directory.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl FileStore for Disk {
    fn open(&self, file: &FileRef) -> io::Result<File> {
        let opened = File::open(&file.path)?;
        // Reading it would fail only after the request has begun.
        if opened.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(opened)
    }

    fn create(&self, file: &FileRef) -> io::Result<File> {
        let mut part = File::options();
        let part = part.write(true).create(true).truncate(false);
        let part = part.open(Self::part_path(file))?;
        lock(&part)?;
        // First: a token must not be found beside a file that it does not belong to.
        remove(&Self::token_path(file))?;
        // Pipes and devices have no length.
        if part.metadata()?.len() > 0 {
            part.set_len(0)?;
        }
        // The new file must not be readable for more users than the old one.
        if let Ok(old) = fs::metadata(&file.path)
            && old.is_file()
            && !old.permissions().readonly()
        {
            part.set_permissions(old.permissions())?;
        }
        Ok(part)
    }

    fn commit(&self, file: &FileRef) -> io::Result<()> {
        let part = Self::part_path(file);
        File::options().append(true).open(&part)?.sync_all()?;
        fs::rename(part, &file.path)?;
        remove(&Self::token_path(file))?;
        sync_directory_of(&file.path)
    }

    fn abort(&self, file: &FileRef) {
        // A file that cannot be removed is overwritten by the next attempt.
        let _ = remove(&Self::token_path(file));
        let _ = remove(&Self::part_path(file));
    }

    fn save_resume_token(&self, file: &FileRef, token: &str) -> io::Result<bool> {
        fs::write(Self::token_path(file), token)?;
        Ok(true)
    }

    fn open_partial(&self, file: &FileRef) -> io::Result<Option<PartialFile>> {
        let part = match File::options().append(true).open(Self::part_path(file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            part => part?,
        };
        lock(&part)?;
        let resume_token = match fs::read_to_string(Self::token_path(file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            token => token?,
        };
        let length = part.metadata()?.len();
        Ok(Some(PartialFile {
            file: part,
            length,
            resume_token,
        }))
    }
}

/// How many bytes of a file are read at once.
pub(crate) const PIECE_SIZE: usize = 64 << 10;

/// A file that is sent must have the announced length.
pub(crate) fn file_shrank() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter")
}
