//! The outbox of [MSC3861](https://github.com/matrix-org/matrix-spec-proposals/pull/3861) provisioning
//! calls: what the homeserver that delegates authentication to this server must know about users and
//! devices.

use matricula_api::ErrorCode;
use rusqlite::params;
use serde_json::{Value, json};

use crate::engine::{
    context::RequestContext,
    error::{ApiError, HandlerError},
};

/// A `POST` to the homeserver that delegates to this one, with the secret of the
/// [`Delegation`](crate::Delegation) as bearer token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DelegationCall {
    /// The id for [`Database::remove_delegation_call`](crate::Database::remove_delegation_call).
    pub id: i64,
    /// The path on that homeserver.
    pub path: String,
    /// The body, as JSON.
    pub body: String,
}

impl DelegationCall {
    /// Whether the call deletes something.
    pub(crate) fn is_removal(&self) -> bool {
        self.path.ends_with(DELETE_DEVICE)
    }
}

const DELETE_DEVICE: &str = "delete_device";

/// The maximum number of queued calls. Beyond it requests that queue calls fail.
const MAX_CALLS: i64 = 10_000;

/// Queues the creation of a user and of a device.
pub(crate) fn enqueue_upsert_device(
    context: &RequestContext<'_>,
    localpart: &str,
    device: &str,
    name: Option<&str>,
) -> Result<(), HandlerError> {
    let body = json!({ "localpart": localpart });
    enqueue(context, "provision_user", &body)?;
    let mut body = json!({ "localpart": localpart, "device_id": device });
    if let Some(name) = name {
        body["display_name"] = json!(name);
    }
    enqueue(context, "upsert_device", &body)
}

/// Queues the deletion of a device.
pub(crate) fn enqueue_delete_device(
    context: &RequestContext<'_>,
    localpart: &str,
    device: &str,
) -> Result<(), HandlerError> {
    let body = json!({ "localpart": localpart, "device_id": device });
    enqueue(context, DELETE_DEVICE, &body)
}

fn enqueue(context: &RequestContext<'_>, endpoint: &str, body: &Value) -> Result<(), HandlerError> {
    if context.config.delegation().is_none() {
        return Ok(());
    }
    let sql = "SELECT count(*) FROM delegation_calls";
    let count: i64 = context.tx.query_row(sql, [], |row| row.get(0))?;
    if count >= MAX_CALLS {
        let error = "the delegating homeserver has been unreachable for too long";
        return Err(ApiError::new(503, ErrorCode::Unknown, error).into());
    }
    let sql = "INSERT INTO delegation_calls (path, body) VALUES (?1, ?2)";
    let path = format!("/_synapse/mas/{endpoint}");
    context.tx.execute(sql, params![path, body.to_string()])?;
    Ok(())
}
