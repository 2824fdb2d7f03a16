//! What a form must bring to be believed: that it was on the page of this very person, once.

use std::time::Duration;

use matricula_core::{StepContext, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};

use super::{
    bounds::RowLimit,
    millis,
    refusal::HandlerError,
    tokens::{ALPHANUMERIC, digest},
};

/// How long a page may lie open.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// Pages that lie open: the oldest on which nobody has signed in is forgotten first.
const BOUND: RowLimit = RowLimit {
    table: "visits",
    max: 5_000,
    evictable: "true",
    order_by: "user IS NOT NULL, expires_at",
};

/// Somebody's page: the token that its form brings back. It proves that the form was not made up by
/// another site, and carries who has signed in.
pub(super) fn open(
    cx: &mut StepContext<'_>,
    tx: &Transaction<'_>,
    about: &str,
    user: Option<i64>,
) -> Result<String, HandlerError> {
    tx.execute(
        "DELETE FROM visits WHERE expires_at <= ?1",
        [millis(cx.now)],
    )?;
    BOUND.make_room(tx)?;
    let token = cx.entropy.text(ALPHANUMERIC, 43);
    tx.execute(
        "INSERT INTO visits (digest, about, user, expires_at) VALUES (?1, ?2, ?3, ?4)",
        params![
            digest(&token),
            digest(about),
            user,
            millis(cx.now.plus(LIFETIME))
        ],
    )?;
    Ok(token)
}

/// Ends a visit. None where there was none, on a page about this; else who has signed in.
pub(super) fn close(
    tx: &Transaction<'_>,
    now: Timestamp,
    about: &str,
    token: &str,
) -> Result<Option<Option<i64>>, HandlerError> {
    let found = tx
        .query_row(
            "DELETE FROM visits WHERE digest = ?1 AND about = ?2 AND expires_at > ?3
             RETURNING user",
            params![digest(token), digest(about), millis(now)],
            |row| row.get(0),
        )
        .optional()?;
    Ok(found)
}
