//! The outbox of [transactions](https://spec.matrix.org/v1.19/application-service-api/#pushing-events):
//! what application services are sent about their users and rooms, in order.

use rusqlite::{OptionalExtension, Transaction, params};
use serde_json::json;

use crate::{
    ApplicationService, Config,
    engine::{error::HandlerError, rooms::events_for_service, storage::stream},
};

/// The maximum number of events in a transaction.
const MAX_EVENTS: usize = 100;

/// A `PUT` to an application service, with its `hs_token` as bearer token. It is repeated unaltered until
/// it succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceTransaction {
    /// The id of the service.
    pub service: String,
    /// The transaction id.
    pub id: String,
    /// The body, as JSON.
    pub body: String,
}

/// The transaction that a service is to be sent next.
pub(crate) fn next(
    tx: &Transaction<'_>,
    config: &Config,
    service: &ApplicationService,
) -> Result<Option<ServiceTransaction>, HandlerError> {
    let sql = "SELECT position, transaction_id, body FROM services WHERE id = ?1";
    let found = tx.query_row(sql, [&service.id], |row| {
        let pending = row.get::<_, Option<String>>(1)?.zip(row.get(2)?);
        Ok((row.get::<_, i64>(0)?, pending))
    });
    let newest = stream::newest(tx)?;
    let Some((position, pending)) = found.optional()? else {
        // What happened before the service was configured does not concern it.
        tx.execute(
            "INSERT INTO services (id, position) VALUES (?1, ?2)",
            params![service.id, newest],
        )?;
        return Ok(None);
    };
    let transaction = |id, body| ServiceTransaction {
        service: service.id.clone(),
        id,
        body,
    };
    if let Some((id, body)) = pending {
        return Ok(Some(transaction(id, body)));
    }
    if position == newest {
        return Ok(None);
    }
    let (events, up_to) = events_for_service(tx, config, service, position, MAX_EVENTS)?;
    let last = events.last().and_then(|event| event["event_id"].as_str());
    let Some(id) = last.map(|event| format!("{up_to}{event}")) else {
        let sql = "UPDATE services SET position = ?2 WHERE id = ?1";
        tx.execute(sql, params![service.id, up_to])?;
        return Ok(None);
    };
    let body = json!({ "events": events }).to_string();
    let sql = "UPDATE services SET position = ?2, transaction_id = ?3, body = ?4 WHERE id = ?1";
    tx.execute(sql, params![service.id, up_to, id, body])?;
    Ok(Some(transaction(id, body)))
}

/// Removes a transaction that was sent.
pub(crate) fn remove(
    connection: &rusqlite::Connection,
    transaction: &ServiceTransaction,
) -> rusqlite::Result<()> {
    let sql = "UPDATE services SET transaction_id = NULL, body = NULL
         WHERE id = ?1 AND transaction_id = ?2";
    connection.execute(sql, [&transaction.service, &transaction.id])?;
    Ok(())
}
