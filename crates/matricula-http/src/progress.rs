//! How far a file has come.

use std::{fmt, sync::Arc};

use matricula_core::FileRef;

/// How much of a file has been sent or received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransferProgress {
    /// Bytes so far; what an earlier attempt brought counts too.
    pub done: u64,
    /// Bytes in all, where that is known.
    pub total: Option<u64>,
}

/// Hears of files how far they have come.
#[derive(Clone, Default)]
pub(crate) struct Listener(Option<Arc<Listen>>);

type Listen = dyn Fn(&FileRef, TransferProgress) + Send + Sync;

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

impl Listener {
    pub(crate) fn new(listen: impl Fn(&FileRef, TransferProgress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listen)))
    }

    pub(crate) fn tell(&self, file: &FileRef, done: u64, total: Option<u64>) {
        if let Some(listen) = &self.0 {
            listen(file, TransferProgress { done, total });
        }
    }
}

/// An open file on its way to a server.
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

    /// So many bytes more have been taken to be sent.
    pub(crate) fn took(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes as u64);
        let done = self.length - self.left;
        self.listener.tell(&self.file, done, Some(self.length));
    }
}
