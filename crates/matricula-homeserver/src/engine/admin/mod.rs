//! What administrators do: the [admin API of
//! Synapse](https://element-hq.github.io/synapse/latest/usage/administration/admin_api/), and locking and
//! suspending by the specification.

mod moderation;
pub(crate) mod shared_secret;
pub(crate) mod tokens;
pub(crate) mod users;

use matricula_api::{ErrorCode, server::RequestError};
use matricula_core::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    auth::requester::Requester,
    context::RequestContext,
    error::{ApiError, HandlerError},
};

/// The requester, who must be an administrator.
fn require_admin(context: &RequestContext<'_>, now: Timestamp) -> Result<Requester, HandlerError> {
    let requester = context.authenticate_user(now)?;
    if !requester.is_admin {
        let error = "only an administrator of this server can do this";
        return Err(ApiError::new(403, ErrorCode::Forbidden, error).into());
    }
    Ok(requester)
}

/// The error of a body that does not match.
fn body_error(error: &RequestError) -> ApiError {
    let code = match error {
        RequestError::NotJson(_) => ErrorCode::NotJson,
        _ => ErrorCode::BadJson,
    };
    // The reason is left out, as below.
    ApiError::new(400, code, "the body is not the expected JSON")
}

/// Parses the body of the request.
fn json_body<T: DeserializeOwned>(context: &RequestContext<'_>) -> Result<T, ApiError> {
    let fields = serde_json::from_slice(&context.request.body);
    let body = fields.and_then(|it| serde_json::from_value(Value::Object(it)));
    body.map_err(|error| {
        let code = if error.is_data() {
            ErrorCode::BadJson
        } else {
            ErrorCode::NotJson
        };
        // The parser's message is left out: it may quote a password.
        ApiError::new(400, code, "the body is not the expected JSON")
    })
}
