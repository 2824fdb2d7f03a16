//! Files that jobs only name: opened here, and carried piece by piece.

use std::{
    fmt,
    fs::{self, File},
    io,
    path::PathBuf,
};

use matricula_job::FileDesc;

/// Opens the files that jobs name.
///
/// A program whose files are not on a disk, or not where jobs say, brings its own.
pub trait FileSource: fmt::Debug + Send + Sync {
    /// Opens a file to be sent.
    ///
    /// # Errors
    /// Where it cannot be read; the request is then not sent.
    fn open(&self, file: &FileDesc) -> io::Result<File>;

    /// Begins a file that an answer is written to. What was there before stays until [`keep`].
    ///
    /// # Errors
    /// Where it cannot be written.
    ///
    /// [`keep`]: FileSource::keep
    fn create(&self, file: &FileDesc) -> io::Result<File>;

    /// The answer has come whole: the file takes its place.
    ///
    /// # Errors
    /// Where it cannot.
    fn keep(&self, file: &FileDesc) -> io::Result<()>;

    /// The answer has not come whole: what came of it is thrown away.
    fn discard(&self, file: &FileDesc);
}

/// Files on this machine's disk, at the paths that jobs name. An answer is written beside its file,
/// under the same name with `.part` behind it, and renamed into place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Disk {
    fn part(file: &FileDesc) -> PathBuf {
        let mut path = file.path.clone().into_os_string();
        path.push(".part");
        path.into()
    }
}

impl FileSource for Disk {
    fn open(&self, file: &FileDesc) -> io::Result<File> {
        File::open(&file.path)
    }

    fn create(&self, file: &FileDesc) -> io::Result<File> {
        File::create(Self::part(file))
    }

    fn keep(&self, file: &FileDesc) -> io::Result<()> {
        let part = Self::part(file);
        File::open(&part)?.sync_all()?;
        fs::rename(part, &file.path)
    }

    fn discard(&self, file: &FileDesc) {
        // One that cannot be removed is overwritten by the next attempt.
        let _ = fs::remove_file(Self::part(file));
    }
}

/// How much of a file is in memory at once.
pub(crate) const PIECE: usize = 64 << 10;

/// A file that is sent must have the length that was announced.
pub(crate) fn has_become_shorter() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter")
}

/// An answer that is being written to a file; dropped before it is [kept](Self::keep), it leaves
/// nothing behind.
pub(crate) struct Unfinished<'a> {
    files: &'a dyn FileSource,
    file: &'a FileDesc,
    is_kept: bool,
}

impl<'a> Unfinished<'a> {
    pub(crate) fn begin(files: &'a dyn FileSource, file: &'a FileDesc) -> io::Result<(Self, File)> {
        let unfinished = Self {
            files,
            file,
            is_kept: false,
        };
        let created = files.create(file)?;
        Ok((unfinished, created))
    }

    pub(crate) fn keep(mut self) -> io::Result<()> {
        self.files.keep(self.file)?;
        self.is_kept = true;
        Ok(())
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.files.discard(self.file);
        }
    }
}
