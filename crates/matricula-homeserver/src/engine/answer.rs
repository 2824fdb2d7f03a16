//! An answer, and what is to be done with files for it.

use std::fmt;

use matricula_api::server::OutgoingResponse;

/// An answer. Where bytes do not go through the engine, it comes with an [`FileAction`].
#[derive(Debug)]
#[must_use = "an errand is not run by itself"]
pub struct HandlerResponse {
    /// The status, the headers and, if there is no errand, the body.
    pub reply: OutgoingResponse,
    /// What is left to whoever keeps the files.
    pub file_action: Option<FileAction>,
}

/// What the engine leaves to whoever keeps the files, for it opens none.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileAction {
    /// The request's body may come, its status being 100: put it into a file, make it durable, and
    /// make the same request again with [`Request::received`](crate::Request::received).
    Receive(Upload),
    /// This file is the answer's body.
    Send(StoredFile),
}

/// An upload that has been allowed. Its request is then not asked again who sends it: a token may
/// well expire while a large body comes in.
#[derive(Clone, PartialEq, Eq)]
pub struct Upload {
    pub(super) name: String,
    pub(super) max_size: u64,
    pub(super) uploader: i64,
}

impl Upload {
    /// What the file is to be called: of letters and digits, and like no other.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How long the body may be, in bytes.
    pub fn max_size(&self) -> u64 {
        self.max_size
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upload({}, {} bytes at most)", self.name, self.max_size)
    }
}

/// A body that was put into a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedFile {
    /// What allowed it.
    pub upload: Upload,
    /// How long it is, in bytes.
    pub length: u64,
}

/// A file that was received before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredFile {
    /// What it is called: see [`Upload::name`].
    pub name: String,
    /// How long it is, in bytes.
    pub length: u64,
}

impl From<OutgoingResponse> for HandlerResponse {
    fn from(reply: OutgoingResponse) -> Self {
        Self {
            reply,
            file_action: None,
        }
    }
}

impl HandlerResponse {
    /// The request's body may come.
    pub(super) fn receive(upload: Upload) -> Self {
        Self {
            reply: OutgoingResponse::new(100, Vec::new(), Vec::new()),
            file_action: Some(FileAction::Receive(upload)),
        }
    }

    /// This file, with the headers of `reply`.
    pub(super) fn send(reply: OutgoingResponse, file: StoredFile) -> Self {
        Self {
            reply,
            file_action: Some(FileAction::Send(file)),
        }
    }
}
