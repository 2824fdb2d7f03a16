//! Errors in requests that a server receives.

use serde::de::IgnoredAny;

use crate::{ErrorCode, codec, server::OutgoingResponse};

use super::ParameterLocation;

/// An invalid request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// A required part is missing or null. A nested field is named by its path, such as
    /// `identifier/type`.
    #[error("the {} `{name}` is missing", location_name(.location))]
    Missing {
        /// Its location.
        location: ParameterLocation,
        /// Its name.
        name: String,
    },
    /// A part of the path, query or headers is invalid.
    #[error("the {} `{name}` is not valid: {reason}", location_name(.location))]
    Invalid {
        /// Its location.
        location: ParameterLocation,
        /// Its name.
        name: String,
        /// The reason.
        reason: String,
    },
    /// The body is not JSON.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// The body does not match the operation.
    #[error("the body does not match the operation: {0}")]
    BadJson(String),
}

fn location_name(location: &ParameterLocation) -> &'static str {
    match location {
        ParameterLocation::Path => "part of the path",
        ParameterLocation::Query => "query parameter",
        ParameterLocation::Header => "header",
        ParameterLocation::Body => "field of the body",
    }
}

impl RequestError {
    /// The error of a body that could not be read.
    pub(super) fn of_body(body: &str, error: &codec::Error) -> Self {
        // Reading stops at the first invalid field. The rest of the body may not be JSON.
        if let Err(error) = serde_json::from_str::<IgnoredAny>(body) {
            return Self::NotJson(error.to_string());
        }
        let message = error.explain(body);
        let missing = message.strip_prefix("missing field `");
        match missing.and_then(|missing| missing.split_once('`')) {
            Some((name, rest)) => Self::Missing {
                location: ParameterLocation::Body,
                name: match rest.strip_prefix(", at /") {
                    Some(path) => format!("{path}/{name}"),
                    None => name.to_owned(),
                },
            },
            None => Self::BadJson(message),
        }
    }

    /// The [error code] of the response.
    ///
    /// For a missing field of the body, both `M_BAD_JSON` and `M_MISSING_PARAM` apply. This uses
    /// the latter: it is more specific, and Synapse uses it for fields that it checks by name, such
    /// as the refresh token and the `type` of an identifier.
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

    /// The response to the client.
    pub fn response(&self) -> OutgoingResponse {
        OutgoingResponse::error(400, &self.code(), &self.to_string())
    }
}
