//! What a homeserver that delegates to this server is still to be told, in order.

use matricula_api::ErrorCode;
use rusqlite::{Transaction, params};
use serde_json::{Value, json};

use super::{
    Homeserver,
    refusal::{ApiError, HandlerError},
};

/// Something that the homeserver which delegates to this one is to be told: a `POST` there, with the
/// secret of the [`Delegation`](crate::Delegation) as its bearer token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DelegationCall {
    /// Which one it is, for [`Database::remove_delegation_call`](crate::Database::remove_delegation_call).
    pub id: i64,
    /// The path on that homeserver.
    pub path: String,
    /// The body, as JSON.
    pub body: String,
}

impl DelegationCall {
    /// Whether it takes something away.
    pub(crate) fn is_removal(&self) -> bool {
        self.path.ends_with(DELETE_DEVICE)
    }
}

const DELETE_DEVICE: &str = "delete_device";

/// How much may be left to tell. Beyond it nobody new is let in.
const MAX_CALLS: i64 = 10_000;

impl Homeserver {
    /// There is this user, with this device.
    pub(super) fn enqueue_upsert_device(
        &self,
        tx: &Transaction<'_>,
        localpart: &str,
        device: &str,
        name: Option<&str>,
    ) -> Result<(), HandlerError> {
        self.enqueue_call(tx, "provision_user", json!({ "localpart": localpart }))?;
        let mut body = json!({ "localpart": localpart, "device_id": device });
        if let Some(name) = name {
            body["display_name"] = json!(name);
        }
        self.enqueue_call(tx, "upsert_device", body)
    }

    /// The device is no more.
    pub(super) fn enqueue_delete_device(
        &self,
        tx: &Transaction<'_>,
        localpart: &str,
        device: &str,
    ) -> Result<(), HandlerError> {
        let body = json!({ "localpart": localpart, "device_id": device });
        self.enqueue_call(tx, DELETE_DEVICE, body)
    }

    fn enqueue_call(
        &self,
        tx: &Transaction<'_>,
        what: &str,
        body: Value,
    ) -> Result<(), HandlerError> {
        if self.delegation().is_none() {
            return Ok(());
        }
        let count: i64 = tx.query_row("SELECT count(*) FROM provisions", [], |row| row.get(0))?;
        if count >= MAX_CALLS {
            let error = "the homeserver has not been reached for too long";
            return Err(ApiError::new(503, ErrorCode::Unknown, error).into());
        }
        tx.execute(
            "INSERT INTO provisions (path, body) VALUES (?1, ?2)",
            params![format!("/_synapse/mas/{what}"), body.to_string()],
        )?;
        Ok(())
    }
}
