//! Responses, and what the caller must do with files for them.

use std::{collections::BTreeSet, fmt};

use matricula_api::server::OutgoingResponse;

use super::{
    service_call::ServiceCall,
    waiting::{Awaited, Wait},
};

/// A response. Where a body is a file, it comes with a [`FileAction`]: the engine opens no files.
#[derive(Debug)]
#[must_use = "the caller must carry out the file action"]
pub struct HandlerResponse {
    /// The status, the headers and, unless there is a file action, the body.
    pub reply: OutgoingResponse,
    /// What the caller must do.
    pub file_action: Option<FileAction>,
    /// The application service that the caller must call before it repeats the request.
    pub(crate) service_call: Option<ServiceCall>,
    /// What the request changed.
    pub(crate) changed: BTreeSet<Awaited>,
    /// What the request waits for, if there is nothing to respond yet.
    pub(crate) wait: Option<Wait>,
}

/// What the caller must do with a file.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileAction {
    /// Write the request's body to a file, make it durable, and repeat the request with
    /// [`Request::received`](crate::Request::received). The status of the response is 100.
    Receive(Upload),
    /// Send this file as the body of the response.
    Send(StoredFile),
}

/// An authorized upload. The repeated request is not authenticated again: the access token may expire
/// while a large body is received.
#[derive(Clone, PartialEq, Eq)]
pub struct Upload {
    pub(crate) name: String,
    pub(crate) max_size: u64,
    pub(crate) uploader: i64,
}

impl Upload {
    /// The unique name of the file, of letters and digits.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The maximum length of the body, in bytes.
    pub fn max_size(&self) -> u64 {
        self.max_size
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upload({}, {} bytes at most)", self.name, self.max_size)
    }
}

/// A body that was written to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedFile {
    /// The upload that was authorized.
    pub upload: Upload,
    /// The length in bytes.
    pub length: u64,
}

/// An uploaded file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredFile {
    /// The name: see [`Upload::name`].
    pub name: String,
    /// The length in bytes.
    pub length: u64,
}

impl From<OutgoingResponse> for HandlerResponse {
    fn from(reply: OutgoingResponse) -> Self {
        Self {
            reply,
            file_action: None,
            service_call: None,
            changed: BTreeSet::new(),
            wait: None,
        }
    }
}

impl HandlerResponse {
    /// A response that asks for the body of the request.
    pub(crate) fn receive(upload: Upload) -> Self {
        let reply = OutgoingResponse::new(100, Vec::new(), Vec::new());
        Self {
            file_action: Some(FileAction::Receive(upload)),
            ..reply.into()
        }
    }

    /// A response whose body is this file, with the headers of `reply`.
    pub(crate) fn send(reply: OutgoingResponse, file: StoredFile) -> Self {
        Self {
            file_action: Some(FileAction::Send(file)),
            ..reply.into()
        }
    }
}
