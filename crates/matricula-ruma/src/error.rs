//! Every way in which a message of one side is none of the other's.

use matricula_api::{ApiError, server::RequestError};
use ruma_common::api::error::{FromHttpRequestError, IntoHttpError};

/// Why a message of one side is none of the other's.
///
/// Ruma's own errors are the [source](std::error::Error::source) and are not repeated: they may quote
/// what they stumbled over, which may be secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Ruma could not write its request or response.
    #[error("ruma could not write what it was given")]
    Write(#[source] IntoHttpError),
    /// Ruma does not take the request for one of its type.
    #[error("ruma cannot read the request as the type that was asked for")]
    Read(#[source] FromHttpRequestError),
    /// Matricula does not take the request for one of its type.
    #[error("matricula cannot read the request: {0}")]
    Request(#[from] RequestError),
    /// The request is to another operation than the type that was asked for.
    #[error("{method} {path} is not a request to {wanted}")]
    OtherOperation {
        /// The method of the request.
        method: String,
        /// Its path.
        path: String,
        /// What the type asks: a method and a path.
        wanted: String,
    },
    /// A method that matricula does not send.
    #[error("Matrix has no requests of the method {0}")]
    Method(http::Method),
    /// An address that no HTTP message can hold.
    #[error("this is no HTTP request: {0}")]
    Http(#[from] http::Error),
    /// The body is a file that only whoever sends the job can open.
    #[error("the body is a file, not its content: read it first")]
    File,
    /// The answer is an error, or one that matricula cannot read.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// An error of matricula's that no server said.
    #[error("ruma has no form for an error of this side: {0}")]
    NotSaid(ApiError),
    /// An error of ruma's that says of itself that all is well.
    #[error("ruma's error has the status {0}, which is that of a success")]
    NoError(u16),
}
