//! Files for secrets, which only their owner can read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::error::CommandError;

/// Writes a file atomically that only its owner can read. An existing file is replaced only if
/// requested.
pub(crate) fn write(path: &Path, text: &[u8], overwrite: bool) -> Result<(), CommandError> {
    write_file(path, text, overwrite).map_err(|error| not_written(path, &error))
}

fn not_written(file: &Path, error: &io::Error) -> CommandError {
    let file = file.display();
    match error.kind() {
        io::ErrorKind::AlreadyExists => CommandError::Usage(format!(
            "{file} is there already: name another file, or give --overwrite"
        )),
        _ => CommandError::other(format!("could not write {file}: {error}")),
    }
}

fn write_file(path: &Path, text: &[u8], overwrite: bool) -> io::Result<()> {
    if !overwrite {
        return fill(private_new(path)?, text);
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fill(private_new(&beside)?, text)?;
    fs::rename(&beside, path)
}

fn fill(mut file: File, text: &[u8]) -> io::Result<()> {
    file.write_all(text)?;
    file.sync_all()
}

fn private_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
