//! Every way in which a request is not as the specification says.

use serde::de::IgnoredAny;
use serde_json::error::Category;

use crate::{ErrorCode, json_path, server::OutgoingResponse};

use super::ParameterLocation;

/// Why a request cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Something that is needed is not there, or null. A field within others is named by its path,
    /// such as `identifier/type`.
    #[error("the {} `{name}` is missing", place_name(.place))]
    Missing {
        /// Where it should be.
        place: ParameterLocation,
        /// What is missing.
        name: String,
    },
    /// A part of the path, the query or the headers is not what it should be.
    #[error("the {} `{name}` is not valid: {reason}", place_name(.place))]
    Invalid {
        /// Where it is.
        place: ParameterLocation,
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

fn place_name(place: &ParameterLocation) -> &'static str {
    match place {
        ParameterLocation::Path => "part of the path",
        ParameterLocation::Query => "query parameter",
        ParameterLocation::Header => "header",
        ParameterLocation::Body => "field of the body",
    }
}

impl RequestError {
    /// What is wrong with a body that could not be read.
    pub(super) fn of_body(body: &str, error: &serde_json::Error) -> Self {
        if error.classify() != Category::Data {
            return Self::NotJson(error.to_string());
        }
        // Reading ends at the first field that is wrong. What comes after it may be no JSON at all.
        if let Err(error) = serde_json::from_str::<IgnoredAny>(body) {
            return Self::NotJson(error.to_string());
        }
        let message = json_path::explain(body.as_bytes(), error);
        let missing = message.strip_prefix("missing field `");
        match missing.and_then(|missing| missing.split_once('`')) {
            Some((name, rest)) => Self::Missing {
                place: ParameterLocation::Body,
                name: match rest.strip_prefix(", at /") {
                    Some(path) => format!("{path}/{name}"),
                    None => name.to_owned(),
                },
            },
            None => Self::BadJson(message),
        }
    }

    /// The [error code] that a server answers with.
    ///
    /// The specification lets `M_BAD_JSON` and `M_MISSING_PARAM` overlap for a field of the body that
    /// is not there. It is the latter: it says more, and Synapse says so too of what it checks by
    /// name, such as the refresh token and the `type` of an identifier.
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
    pub fn response(&self) -> OutgoingResponse {
        OutgoingResponse::error(400, &self.code(), &self.to_string())
    }
}
