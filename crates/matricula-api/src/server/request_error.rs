//! Every way in which a request is not as the specification says.

use crate::{ErrorCode, server::Reply};

use super::Place;

/// Why a request cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Something that is needed is not there.
    #[error("the {} `{name}` is missing", place_name(.place))]
    Missing {
        /// Where it should be.
        place: Place,
        /// What is missing.
        name: String,
    },
    /// A part of the path, the query or the headers is not what it should be.
    #[error("the {} `{name}` is not valid: {reason}", place_name(.place))]
    Invalid {
        /// Where it is.
        place: Place,
        /// What it is called.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The body is no JSON.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// The body is JSON of another shape.
    #[error("the body is not as the operation wants it: {0}")]
    BadJson(String),
}

fn place_name(place: &Place) -> &'static str {
    match place {
        Place::Path => "part of the path",
        Place::Query => "query parameter",
        Place::Header => "header",
        Place::Body => "field of the body",
    }
}

impl RequestError {
    /// The [error code] that a server answers with.
    ///
    /// [error code]: https://spec.matrix.org/v1.19/client-server-api/#common-error-codes
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Missing { .. } => ErrorCode::MissingParam,
            Self::Invalid { .. } => ErrorCode::InvalidParam,
            Self::NotJson(_) => ErrorCode::NotJson,
            Self::BadJson(_) => ErrorCode::BadJson,
        }
    }

    /// What a server answers.
    pub fn reply(&self) -> Reply {
        Reply::refusal(400, &self.code(), &self.to_string())
    }
}
