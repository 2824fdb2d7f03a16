//! Answers that are not JSON: a file's bytes, and a way elsewhere.

use std::fmt;

use matricula_core::Response;

use crate::ApiError;

/// A downloaded file.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// Its bytes; none where the runner wrote them to a file.
    pub bytes: Vec<u8>,
    /// The media type that the server says it has. Whoever uploaded it chose it.
    pub content_type: Option<String>,
    /// Whether to show or to save it, and its name. Whoever uploaded it chose it.
    pub content_disposition: Option<String>,
}

impl Content {
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

/// The address that a server sends the person's browser to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The server's word: check the scheme before opening it.
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
