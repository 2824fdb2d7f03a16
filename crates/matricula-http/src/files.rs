//! Files that jobs only name: opened here, and carried piece by piece.

use std::{
    fmt,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use matricula_core::FileRef;

/// Opens the files that jobs name.
///
/// A program whose files are not on a disk, or not where jobs say, brings its own.
pub trait FileStore: fmt::Debug + Send + Sync {
    /// Opens a file to be sent.
    ///
    /// # Errors
    /// Where it cannot be read; the request is then not sent.
    fn open(&self, file: &FileRef) -> io::Result<File>;

    /// Begins a file that an answer is written to. What was there before stays until [`keep`].
    ///
    /// # Errors
    /// Where it cannot be written. [`WouldBlock`](io::ErrorKind::WouldBlock) says that another is being
    /// written there: it is tried again.
    ///
    /// [`keep`]: FileStore::commit
    fn create(&self, file: &FileRef) -> io::Result<File>;

    /// The answer has come whole: the file takes its place.
    ///
    /// # Errors
    /// Where it cannot.
    fn commit(&self, file: &FileRef) -> io::Result<()>;

    /// The answer has not come whole: what came of it is thrown away.
    fn abort(&self, file: &FileRef);

    /// Notes beside what [`create`](FileStore::create) began how the server can go on with it, and says
    /// whether it did: then what came stays where the answer is cut off, also if the program ends there.
    /// Without this, each attempt begins anew.
    ///
    /// # Errors
    /// Where it cannot be written.
    fn save_resume_token(&self, file: &FileRef, note: &str) -> io::Result<bool> {
        let _ = (file, note);
        Ok(false)
    }

    /// What came before the answer was cut off, if it stayed, to be written on at its end.
    ///
    /// # Errors
    /// Where it cannot be read or written.
    fn open_partial(&self, file: &FileRef) -> io::Result<Option<PartialFile>> {
        let _ = file;
        Ok(None)
    }
}

/// The beginning of a file.
#[derive(Debug)]
pub struct PartialFile {
    /// Open for writing, at its end.
    pub file: File,
    /// How long it is, in bytes.
    pub length: u64,
    /// What was [noted](FileStore::save_resume_token) beside it.
    pub resume_token: String,
}

/// Files on this machine's disk, at the paths that jobs name. An answer is written beside its file,
/// under the same name with `.part` behind it, and renamed into place. While it is not whole, a file
/// with `.part.note` behind its name says how to go on with it.
///
/// What came before the power was cut is trusted as far as the file system is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Disk {
    fn part(file: &FileRef) -> PathBuf {
        beside(&file.path, ".part")
    }

    fn part_note(file: &FileRef) -> PathBuf {
        beside(&file.path, ".part.note")
    }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(end);
    path.into()
}

/// Keeps others away from what is being written, for as long as it is open.
fn lock(part: &File) -> io::Result<()> {
    match part.try_lock() {
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::WouldBlock,
            "another download is being written there",
        )),
        // Where the file system knows no locks, there is nobody to keep away.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// A name in a directory is durable once the directory is.
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
        File::open(&file.path)
    }

    fn create(&self, file: &FileRef) -> io::Result<File> {
        let mut part = File::options();
        let part = part.write(true).create(true).truncate(false);
        let part = part.open(Self::part(file))?;
        lock(&part)?;
        // First: a note must not stand beside what it was not written for.
        remove(&Self::part_note(file))?;
        // What is no file has no length to be set.
        if part.metadata()?.len() > 0 {
            part.set_len(0)?;
        }
        // Whoever may not read the old file may not read the new one.
        if let Ok(old) = fs::metadata(&file.path)
            && old.is_file()
            && !old.permissions().readonly()
        {
            part.set_permissions(old.permissions())?;
        }
        Ok(part)
    }

    fn commit(&self, file: &FileRef) -> io::Result<()> {
        let part = Self::part(file);
        File::options().append(true).open(&part)?.sync_all()?;
        fs::rename(part, &file.path)?;
        remove(&Self::part_note(file))?;
        sync_directory_of(&file.path)
    }

    fn abort(&self, file: &FileRef) {
        // One that cannot be removed is overwritten by the next attempt.
        let _ = remove(&Self::part_note(file));
        let _ = remove(&Self::part(file));
    }

    fn save_resume_token(&self, file: &FileRef, note: &str) -> io::Result<bool> {
        fs::write(Self::part_note(file), note)?;
        Ok(true)
    }

    fn open_partial(&self, file: &FileRef) -> io::Result<Option<PartialFile>> {
        let part = match File::options().append(true).open(Self::part(file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            part => part?,
        };
        lock(&part)?;
        let note = match fs::read_to_string(Self::part_note(file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            note => note?,
        };
        let length = part.metadata()?.len();
        Ok(Some(PartialFile {
            file: part,
            length,
            resume_token: note,
        }))
    }
}

/// How much of a file is in memory at once.
pub(crate) const PIECE: usize = 64 << 10;

/// A file that is sent must have the length that was announced.
pub(crate) fn has_become_shorter() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter")
}
