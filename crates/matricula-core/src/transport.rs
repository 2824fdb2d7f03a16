//! The result of sending a request: a response, or why there is none.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Response;

/// The result of one request.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TransportResult {
    /// The server responded, with any status.
    Response(Response),
    /// There is no usable response.
    Failed(TransportError),
    /// The request was aborted before a response arrived.
    Cancelled,
}

/// Why there is no usable response.
///
/// It is stored with the job, so that it has a message instead of a source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{kind}: {message}")]
pub struct TransportError {
    /// What went wrong.
    pub kind: TransportErrorKind,
    /// Whether the server may have processed the request all the same.
    pub processed: Processed,
    /// What happened, to what, for people to read. Never holds a secret.
    pub message: String,
}

/// Whether a server processed a request without a usable response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Processed {
    /// Certainly not: the request did not arrive whole.
    No,
    /// It may have: the client cannot know.
    Maybe,
}

/// The kind of a transport error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The name could not be resolved or the connection was not accepted.
    Connect,
    /// The proxy could not be reached, or did not connect to the server. The message names the proxy.
    Proxy,
    /// The TLS handshake failed, or the server's certificate is not valid.
    Tls,
    /// The response did not arrive in time.
    Timeout,
    /// The connection ended early, or what arrived was not HTTP.
    ConnectionLost,
    /// The server, or a proxy before it, answered that it failed: see [`Response::processed`].
    ServerFailed,
    /// The response was larger than the limit.
    TooLarge,
    /// A redirect that is not followed, or too many redirects.
    Redirect,
    /// The request itself cannot be sent, such as a header with a line break.
    InvalidRequest,
    /// The request needs a token, and there is none.
    MissingToken,
}

impl TransportErrorKind {
    /// Whether a retry may succeed.
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Connect | Self::Proxy | Self::Timeout | Self::ConnectionLost | Self::ServerFailed
        )
    }
}

impl fmt::Display for TransportErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect | Self::Proxy => "no connection",
            Self::Tls => "no TLS connection",
            Self::Timeout => "timeout",
            Self::ConnectionLost => "the connection was lost",
            Self::ServerFailed => "the server failed",
            Self::TooLarge => "the response is too large",
            Self::Redirect => "the server redirects elsewhere",
            Self::InvalidRequest => "the request cannot be sent",
            Self::MissingToken => "there is no token for it",
        })
    }
}
