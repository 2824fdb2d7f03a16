//! The files that commands send and write, and the standard streams in place of them.

use std::{
    fs::{self, File},
    io::{self, Read, Seek},
    path::{Path, PathBuf},
};

use matricula::{
    core::FileRef,
    runner::{Disk, FileStore, PartialFile},
};

use crate::{error::CommandError, output::Output};

/// How many bytes are copied to standard output at once.
const PIECE_SIZE: usize = 64 << 10;

/// Whether the path stands for standard input or output.
pub(crate) fn is_stream(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The length of a file that can be sent, in bytes.
pub(crate) fn length(file: &Path) -> Result<u64, CommandError> {
    let shown = file.display();
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => CommandError::Usage(format!("there is no file {shown}")),
        _ => CommandError::Usage(format!("{shown} cannot be read: {error}")),
    };
    let metadata = fs::metadata(file).map_err(unreadable)?;
    if metadata.is_dir() {
        let message = format!("{shown} is a directory: upload its files one by one, or an archive");
        return Err(CommandError::Usage(message));
    }
    // Opening a pipe would block until something writes to it.
    if !metadata.is_file() {
        let message = format!(
            "{shown} is no file on a disk: its length must be known before it is sent; give - to read \
             standard input to its end first"
        );
        return Err(CommandError::Usage(message));
    }
    File::open(file).map_err(unreadable)?;
    Ok(metadata.len())
}

/// Checks that a download may be written to this path.
pub(crate) fn check_target(file: &Path, overwrite: bool) -> Result<(), CommandError> {
    let shown = file.display();
    if file.is_dir() {
        let message = format!("{shown} is a directory: name a file in it");
        return Err(CommandError::Usage(message));
    }
    if !overwrite && file.symlink_metadata().is_ok() {
        let message = format!("{shown} is there already: name another file, or give --overwrite");
        return Err(CommandError::Usage(message));
    }
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            let message = format!(
                "there is no directory {}: make it, or name a file elsewhere",
                parent.display()
            );
            Err(CommandError::Usage(message))
        }
        _ => Ok(()),
    }
}

/// Checks that standard output can take a file.
pub(crate) fn check_stdout(output: Output, is_terminal: bool) -> Result<(), CommandError> {
    let why = if output.is_json() {
        "standard output is for the JSON object"
    } else if is_terminal {
        "a file may contain what a terminal obeys"
    } else {
        return Ok(());
    };
    Err(CommandError::Usage(format!("{why}: name a file")))
}

/// Creates an empty file of this name, unless something has the name. A rename can replace it then.
pub(crate) fn reserve(path: &Path) -> io::Result<()> {
    File::options()
        .write(true)
        .create_new(true)
        .open(path)
        .map(drop)
}

/// The name, then `name-1.png`, `name-2.png` and so on.
pub(crate) fn numbered(name: &str) -> impl Iterator<Item = PathBuf> {
    const MOST: usize = 10_000;
    let dot = name.rfind('.').filter(|dot| *dot > 0);
    let (stem, ending) = name.split_at(dot.unwrap_or(name.len()));
    let later = (1..MOST).map(move |number| format!("{stem}-{number}{ending}").into());
    std::iter::once(PathBuf::from(name)).chain(later)
}

/// The disk. A download replaces another file only if it may.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DiskFiles {
    pub(crate) may_replace: bool,
}

impl FileStore for DiskFiles {
    fn open(&self, file: &FileRef) -> io::Result<File> {
        Disk.open(file)
    }

    fn create(&self, file: &FileRef) -> io::Result<File> {
        Disk.create(file)
    }

    fn commit(&self, file: &FileRef) -> io::Result<()> {
        if self.may_replace {
            return Disk.commit(file);
        }
        reserve(&file.path)?;
        let committed = Disk.commit(file);
        if committed.is_err() {
            let _ = fs::remove_file(&file.path);
        }
        committed
    }

    fn abort(&self, file: &FileRef) {
        Disk.abort(file);
    }

    fn save_resume_token(&self, file: &FileRef, token: &str) -> io::Result<bool> {
        Disk.save_resume_token(file, token)
    }

    fn open_partial(&self, file: &FileRef) -> io::Result<Option<PartialFile>> {
        Disk.open_partial(file)
    }
}

/// A temporary file in place of a standard stream: an upload's length is known before it is sent, and
/// of a download, only the whole is printed.
#[derive(Debug)]
pub(crate) struct Spool(File);

impl Spool {
    pub(crate) fn new() -> io::Result<Self> {
        // It has no name, and ends with the process.
        Ok(Self(tempfile::tempfile()?))
    }

    /// Reads standard input to its end. Returns the number of bytes, too.
    pub(crate) fn of_stdin() -> io::Result<(Self, u64)> {
        let mut spool = Self::new()?;
        let length = io::copy(&mut io::stdin().lock(), &mut spool.0)?;
        Ok((spool, length))
    }

    /// The same file, for a store.
    pub(crate) fn share(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Prints it to standard output, and returns the number of bytes.
    pub(crate) fn print(mut self, output: Output) -> io::Result<u64> {
        self.0.rewind()?;
        let (mut piece, mut length) = (vec![0; PIECE_SIZE], 0);
        loop {
            let read = self.0.read(&mut piece)?;
            if read == 0 {
                return Ok(length);
            }
            output.bytes(&piece[..read]);
            length += read as u64;
        }
    }

    fn at_start(&self) -> io::Result<File> {
        let mut file = self.0.try_clone()?;
        file.rewind()?;
        Ok(file)
    }
}

impl FileStore for Spool {
    fn open(&self, _: &FileRef) -> io::Result<File> {
        self.at_start()
    }

    fn create(&self, _: &FileRef) -> io::Result<File> {
        self.0.set_len(0)?;
        self.at_start()
    }

    fn commit(&self, _: &FileRef) -> io::Result<()> {
        Ok(())
    }

    fn abort(&self, _: &FileRef) {
        // The next attempt empties it.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_before_the_ending() {
        for (name, expected) in [
            ("cat.png", ["cat.png", "cat-1.png", "cat-2.png"]),
            ("cat", ["cat", "cat-1", "cat-2"]),
            (".cat", [".cat", ".cat-1", ".cat-2"]),
            ("a.tar.gz", ["a.tar.gz", "a.tar-1.gz", "a.tar-2.gz"]),
        ] {
            let names: Vec<PathBuf> = numbered(name).take(3).collect();
            assert_eq!(names, expected.map(PathBuf::from));
        }
    }
}
