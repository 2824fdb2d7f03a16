//! Standard output: a write to it that fails is an error of the command, except on a closed pipe.

use std::{
    io::{self, ErrorKind, Write},
    sync::{Mutex, PoisonError},
};

use crate::error::CommandError;

/// The first write that failed. The command goes on, because its work may be done on the server:
/// `main` reports the error at the end.
static FAILURE: Mutex<Option<io::Error>> = Mutex::new(None);

/// Writes to standard output.
pub(crate) fn write(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
        let mut failure = FAILURE.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
    }
}

/// Fails if something could not be written.
pub(crate) fn check() -> Result<(), CommandError> {
    let failure = FAILURE
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    match failure {
        Some(error) => check_write(Err(error)),
        None => Ok(()),
    }
}

/// The error of a write to standard output, unless the reader has closed the pipe.
pub(crate) fn check_write(written: io::Result<()>) -> Result<(), CommandError> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(CommandError::other(format!(
            "standard output could not be written: {error}; what the command did is done, and only its \
             output is lost"
        ))),
        _ => Ok(()),
    }
}
