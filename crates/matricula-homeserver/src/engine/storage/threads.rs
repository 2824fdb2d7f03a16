//! Which thread an event belongs to.

use rusqlite::{OptionalExtension, Transaction};

/// The thread of everything that is in no thread.
pub(crate) const MAIN: &str = "main";
/// The maximum number of relations that are followed to find the thread of an event.
const MAX_HOPS: u32 = 3;

/// The position of an event of a room.
pub(crate) fn event_position(
    tx: &Transaction<'_>,
    room: &str,
    event: &str,
) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT position FROM events WHERE id = ?1 AND room = ?2";
    let mut statement = tx.prepare_cached(sql)?;
    let found = statement.query_row([event, room], |row| row.get(0));
    found.optional()
}

/// The thread of an event: [`MAIN`], or the id of the event that the thread is about. That event itself is
/// in [`MAIN`].
pub(crate) fn of_event(tx: &Transaction<'_>, room: &str, event: &str) -> rusqlite::Result<String> {
    // A relation that is not text does not count.
    let sql = r#"SELECT content ->> '$."m.relates_to".rel_type', content ->> '$."m.relates_to".event_id'
         FROM events WHERE id = ?1 AND room = ?2
             AND json_type(content, '$."m.relates_to".rel_type') = 'text'
             AND json_type(content, '$."m.relates_to".event_id') = 'text'"#;
    let mut statement = tx.prepare_cached(sql)?;
    let mut at = event.to_owned();
    for _ in 0..MAX_HOPS {
        let relation = statement.query_row([at.as_str(), room], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        });
        match relation.optional()? {
            Some((kind, root)) if kind == "m.thread" => return Ok(root),
            Some((_, parent)) => at = parent,
            None => break,
        }
    }
    Ok(MAIN.to_owned())
}
