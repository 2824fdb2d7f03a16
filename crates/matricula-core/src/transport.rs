//! What can come back from the network instead of, or as, an answer.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Response;

/// What became of one request on the wire.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TransportResult {
    /// The server answered, with whatever status.
    Response(Response),
    /// No usable answer came.
    Failed(TransportError),
    /// The request was called back before an answer came.
    Cancelled,
}

/// Why no usable answer came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{kind}: {message}")]
pub struct TransportError {
    /// What went wrong.
    pub kind: TransportErrorKind,
    /// Whether the server may have acted on the request all the same.
    pub processed: Processed,
    /// For people: what happened, to what. Never holds a secret.
    pub message: String,
}

/// Whether a server acted on a request that got no usable answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Processed {
    /// Certainly not: it never arrived whole.
    No,
    /// Perhaps: nobody here can know.
    Maybe,
}

/// A kind of failure on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The name could not be resolved or the connection was not accepted.
    Connect,
    /// The server's certificate or the TLS handshake was refused.
    Tls,
    /// No answer within the time allowed.
    Timeout,
    /// The connection ended, or what came was not HTTP.
    ConnectionLost,
    /// The answer was larger than the bound.
    TooLarge,
    /// A redirection that is not followed, or too many of them.
    Redirect,
    /// The request itself cannot be sent, such as a header with a line break.
    InvalidRequest,
    /// There is no token to send it with, where it needs one.
    MissingToken,
}

impl TransportErrorKind {
    /// Whether trying again later may help.
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Connect | Self::Timeout | Self::ConnectionLost)
    }
}

impl fmt::Display for TransportErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection",
            Self::Tls => "no secure connection",
            Self::Timeout => "no answer in time",
            Self::ConnectionLost => "the answer was cut off",
            Self::TooLarge => "the answer is too large",
            Self::Redirect => "the server redirects elsewhere",
            Self::InvalidRequest => "the request cannot be sent",
            Self::MissingToken => "there is no token to send it with",
        })
    }
}
