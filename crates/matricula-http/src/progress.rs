//! Reports how much of a file has been transferred.

use std::{fmt, sync::Arc};

use matricula_core::FileRef;

/// How much of a file has been sent or received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransferProgress {
    /// Bytes so far, those of earlier attempts included.
    pub done: u64,
    /// Bytes in total, if known.
    pub total: Option<u64>,
}

/// The function that a program wants to be called.
#[derive(Clone, Default)]
pub(crate) struct Listener(Option<Arc<Callback>>);

type Callback = dyn Fn(&FileRef, TransferProgress) + Send + Sync;

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

impl Listener {
    pub(crate) fn new(
        callback: impl Fn(&FileRef, TransferProgress) + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(callback)))
    }

    pub(crate) fn report(&self, file: &FileRef, done: u64, total: Option<u64>) {
        if let Some(callback) = &self.0 {
            callback(file, TransferProgress { done, total });
        }
    }
}

/// Counts the bytes of a file that is being sent.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    file: FileRef,
    listener: Listener,
    length: u64,
    pub(crate) left: u64,
}

impl Upload {
    pub(crate) fn new(file: &FileRef, length: u64, listener: &Listener) -> Self {
        Self {
            file: file.clone(),
            listener: listener.clone(),
            length,
            left: length,
        }
    }

    /// Counts bytes that the HTTP library has taken.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes as u64);
        let done = self.length - self.left;
        self.listener.report(&self.file, done, Some(self.length));
    }
}
