//! Responses that are not JSON: files and redirects.

use std::fmt;

use matricula_core::Response;

use crate::{ApiError, file_name};

/// A downloaded file.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// The bytes; empty if the runner wrote them to a file.
    pub bytes: Vec<u8>,
    /// The media type, as chosen by the uploader: do not trust it.
    pub content_type: Option<String>,
    /// Whether to show or to save the file, and its name, as chosen by the uploader.
    pub content_disposition: Option<String>,
}

impl Content {
    /// The file's name as its uploader chose it, if there is one, for a file in a directory: without a
    /// path, control and other invisible characters, leading dots and hyphens, and characters and names
    /// that file systems reserve; at most 200 bytes long. Another file may have the same name.
    pub fn file_name(&self) -> Option<String> {
        file_name::of_disposition(self.content_disposition.as_deref()?)
    }

    pub(crate) fn read(response: &Response) -> Result<Self, ApiError> {
        if response.status_code() >= 300 {
            return Err(ApiError::UnexpectedStatus {
                status: response.status_code(),
            });
        }
        let header = |name| response.header(name).map(str::to_owned);
        Ok(Self {
            bytes: response.body().as_bytes().to_vec(),
            content_type: header("content-type"),
            content_disposition: header("content-disposition"),
        })
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("bytes", &self.bytes.len())
            .field("content_type", &self.content_type)
            .field("content_disposition", &self.content_disposition)
            .finish()
    }
}

/// A redirect of the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Chosen by the server: check the scheme before opening it.
    pub location: String,
}

impl Redirect {
    pub(crate) fn read(response: &Response) -> Result<Self, ApiError> {
        let location = response.header("location").ok_or(ApiError::Malformed {
            status: response.status_code(),
            message: "it has no Location header".to_owned(),
        })?;
        Ok(Self {
            location: location.to_owned(),
        })
    }
}
