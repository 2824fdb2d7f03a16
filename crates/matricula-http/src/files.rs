//! Opens the files that jobs name.

#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt;
use std::{
    fmt,
    fs::{self, File, Metadata, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use matricula_core::FileRef;

/// Opens the files that jobs name.
///
/// Implement it if the files are not on a disk, or not at the paths that jobs name.
pub trait FileStore: fmt::Debug + Send + Sync {
    /// Opens a file to be sent. Its length must be known, so it is a regular file.
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
/// Others may be able to write in the directory. So these two files are used only if they are regular
/// files with one name: through a symbolic or hard link, another file would be overwritten, and a pipe
/// would block. Where the system is not a Unix, a link is noticed only if it is there before the file
/// is opened, and the number of names is not known.
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

/// Opens a file that belongs to a download, and no other: see [`Disk`].
fn open_own(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // On other systems, this is the check. A pipe would block until something reads from it.
    if let Ok(found) = path.symlink_metadata()
        && !found.is_file()
    {
        return Err(not_own(path, &found));
    }
    #[cfg(unix)]
    OpenOptionsExt::custom_flags(options, libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let opened = options.open(path)?;
    let found = opened.metadata()?;
    if !found.is_file() || names(&found) != 1 {
        return Err(not_own(path, &found));
    }
    Ok(opened)
}

/// How many names the file has.
fn names(found: &Metadata) -> u64 {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::nlink(found);
    #[cfg(not(unix))]
    {
        let _ = found;
        1
    }
}

fn not_own(path: &Path, found: &Metadata) -> io::Error {
    let what = match found.file_type() {
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_dir() => "a directory",
        kind if kind.is_file() => "a file with several names (hard links)",
        _ => "no regular file",
    };
    io::Error::other(format!(
        "{} is {what}, and was not opened: remove it",
        path.display()
    ))
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
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let message = format!("{} cannot be removed: {error}", path.display());
            Err(io::Error::new(error.kind(), message))
        }
        _ => Ok(()),
    }
}

impl FileStore for Disk {
    fn open(&self, file: &FileRef) -> io::Result<File> {
        let mut options = File::options();
        // Without it, a pipe that nothing writes to would block.
        #[cfg(unix)]
        OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
        let opened = options.read(true).open(&file.path)?;
        // Reading a directory, or what has no length, would fail only after the request has begun.
        match opened.metadata()? {
            found if found.is_file() => Ok(opened),
            found if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            _ => Err(io::Error::other("it is no regular file")),
        }
    }

    fn create(&self, file: &FileRef) -> io::Result<File> {
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        let part = open_own(&Self::part_path(file), &mut options)?;
        lock(&part)?;
        // First: a token must not be found beside a file that it does not belong to.
        remove(&Self::token_path(file))?;
        part.set_len(0)?;
        // The new file must not be readable for more users than the old one.
        if let Ok(old) = fs::symlink_metadata(&file.path)
            && old.is_file()
            && !old.permissions().readonly()
        {
            part.set_permissions(old.permissions())?;
        }
        Ok(part)
    }

    fn commit(&self, file: &FileRef) -> io::Result<()> {
        let part = Self::part_path(file);
        open_own(&part, File::options().append(true))?.sync_all()?;
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
        let path = Self::token_path(file);
        remove(&path)?;
        let mut note = open_own(&path, File::options().write(true).create_new(true))?;
        note.write_all(token.as_bytes())?;
        Ok(true)
    }

    fn open_partial(&self, file: &FileRef) -> io::Result<Option<PartialFile>> {
        let missing_is_none = |opened: io::Result<File>| match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        };
        let part = open_own(&Self::part_path(file), File::options().append(true));
        let Some(part) = missing_is_none(part)? else {
            return Ok(None);
        };
        lock(&part)?;
        let note = open_own(&Self::token_path(file), File::options().read(true));
        let Some(note) = missing_is_none(note)? else {
            return Ok(None);
        };
        let mut resume_token = String::new();
        note.take(MAX_TOKEN_SIZE)
            .read_to_string(&mut resume_token)?;
        let length = part.metadata()?.len();
        Ok(Some(PartialFile {
            file: part,
            length,
            resume_token,
        }))
    }
}

/// The maximum size of a saved token in bytes; an ETag is far shorter.
const MAX_TOKEN_SIZE: u64 = 64 << 10;
/// How many bytes of a file are read at once.
pub(crate) const PIECE_SIZE: usize = 64 << 10;

/// A file that is sent must have the announced length.
pub(crate) fn file_shrank() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter")
}
