//! The directory of uploaded files. Files that the database does not know are removed.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use crate::{Database, Error, files};

/// The directory of uploaded files. It is created with the first of them.
#[derive(Debug)]
pub(crate) struct MediaDir {
    directory: PathBuf,
    is_temporary: bool,
}

impl MediaDir {
    /// The directory of the database in this file. Files of unfinished uploads are removed.
    pub(crate) fn for_database(path: &Path, database: &Database) -> Result<Self, Error> {
        let mut directory = path.as_os_str().to_owned();
        directory.push("-media");
        let directory = PathBuf::from(directory);
        remove_orphans(&directory, database)?;
        Ok(Self {
            directory,
            is_temporary: false,
        })
    }

    /// A temporary directory, removed when dropped.
    pub(crate) fn temporary() -> Result<Self, Error> {
        let mut random = [0; 16];
        let directory = std::env::temp_dir();
        getrandom::fill(&mut random).map_err(|error| Error::File {
            path: directory.clone(),
            source: io::Error::other(error),
        })?;
        let name = format!("matricula-media-{:032x}", u128::from_ne_bytes(random));
        Ok(Self {
            directory: directory.join(name),
            is_temporary: true,
        })
    }

    /// Creates a file, which is removed unless it is committed.
    pub(crate) fn create(&self, name: &str) -> io::Result<(TempFile, File)> {
        if !self.directory.exists() {
            files::make_directory(&self.directory)?;
            if let Some(above) = self.directory.parent() {
                files::sync_directory(above)?;
            }
        }
        let path = self.directory.join(name);
        let temp_file = TempFile {
            current: self.directory.join(format!("{name}.part")),
            path,
            is_committed: false,
        };
        let file = files::create(&temp_file.current)?;
        Ok((temp_file, file))
    }

    /// Opens a committed file for reading.
    pub(crate) fn open(&self, name: &str) -> io::Result<File> {
        File::open(self.directory.join(name))
    }
}

impl Drop for MediaDir {
    fn drop(&mut self) {
        if !self.is_temporary {
            return;
        }
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "the homeserver's temporary files could not be removed");
            }
            _ => {}
        }
    }
}

/// A file of an unfinished upload. It is removed when dropped, unless it was committed.
#[derive(Debug)]
pub(crate) struct TempFile {
    current: PathBuf,
    path: PathBuf,
    is_committed: bool,
}

impl TempFile {
    /// Makes the written file durable under its final name.
    pub(crate) fn finish(&mut self, file: &File) -> io::Result<()> {
        file.sync_all()?;
        fs::rename(&self.current, &self.path)?;
        self.current.clone_from(&self.path);
        match self.path.parent() {
            Some(directory) => files::sync_directory(directory),
            None => Ok(()),
        }
    }

    /// Keeps the file: the database knows it.
    pub(crate) fn commit(mut self) {
        self.is_committed = true;
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if self.is_committed {
            return;
        }
        if let Err(error) = fs::remove_file(&self.current) {
            tracing::warn!(%error, "the file of an unfinished upload could not be removed");
        }
    }
}

/// Removes files that a killed process has left behind.
fn remove_orphans(directory: &Path, database: &Database) -> Result<(), Error> {
    let at = |source| Error::File {
        path: directory.to_owned(),
        source,
    };
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(at)?,
    };
    for entry in entries {
        let path = entry.map_err(at)?.path();
        let name = path.file_name().and_then(|it| it.to_str());
        if path.is_file() && !name.map_or(Ok(false), |it| database.has_file(it))? {
            fs::remove_file(&path).map_err(at)?;
        }
    }
    Ok(())
}
