//! Errors of conversions.

use matricula_api::{ApiError, server::RequestError};
use ruma_common::api::error::{FromHttpRequestError, IntoHttpError};

/// A message that cannot be converted.
///
/// Ruma's errors are the [source](std::error::Error::source), and not part of the message: they may
/// quote values, which may be secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Ruma could not serialise its request or response.
    #[error("ruma could not serialise the message")]
    Write(#[source] IntoHttpError),
    /// Ruma rejects the request.
    #[error("ruma rejects the request for this type")]
    Read(#[source] FromHttpRequestError),
    /// Matricula rejects the request.
    #[error("matricula rejects the request: {0}")]
    Request(#[from] RequestError),
    /// The request belongs to another operation than the target type.
    #[error("{method} {path} is not a request to {wanted}")]
    OtherOperation {
        /// The method of the request.
        method: String,
        /// Its path.
        path: String,
        /// The method and path of the target type.
        wanted: String,
    },
    /// A method that matricula does not support.
    #[error("Matrix has no requests with the method {0}")]
    Method(http::Method),
    /// A URL that is not valid in HTTP.
    #[error("this is not a valid HTTP request: {0}")]
    Http(#[from] http::Error),
    /// The body is a file, which only a runner can open.
    #[error("the body is a file, not its content: read it first")]
    File,
    /// The response is an error, or invalid.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// An error of matricula that is not a response of a server.
    #[error("ruma has no error for this failure: {0}")]
    NotSaid(ApiError),
    /// An error of ruma with the status of a success.
    #[error("ruma's error has the status {0}, which is that of a success")]
    NoError(u16),
}
