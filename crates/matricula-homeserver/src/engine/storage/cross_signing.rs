//! The tables of cross-signing keys, and of signatures that were uploaded after the keys that they sign.

use rusqlite::{OptionalExtension, Transaction, params};

/// What a cross-signing key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    Master,
    SelfSigning,
    UserSigning,
}

impl Usage {
    /// The name in the `usage` of a key.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::SelfSigning => "self_signing",
            Self::UserSigning => "user_signing",
        }
    }
}

/// A cross-signing key. `json` is what was uploaded.
pub(crate) struct CrossSigningKeyRow {
    pub(crate) public_key: String,
    pub(crate) json: String,
}

/// A user's key of this usage.
pub(crate) fn find(
    tx: &Transaction<'_>,
    user: i64,
    usage: Usage,
) -> rusqlite::Result<Option<CrossSigningKeyRow>> {
    let sql = "SELECT public_key, json FROM cross_signing_keys WHERE user = ?1 AND usage = ?2";
    let mut statement = tx.prepare_cached(sql)?;
    let found = statement.query_row(params![user, usage.as_str()], |row| {
        Ok(CrossSigningKeyRow {
            public_key: row.get(0)?,
            json: row.get(1)?,
        })
    });
    found.optional()
}

/// Stores a user's key, instead of the one before, at this position. The signatures of and by that one are
/// deleted.
pub(crate) fn set(
    tx: &Transaction<'_>,
    user: i64,
    usage: Usage,
    row: &CrossSigningKeyRow,
    position: i64,
) -> rusqlite::Result<()> {
    delete(tx, user, usage)?;
    let sql = "INSERT INTO cross_signing_keys (user, usage, public_key, json, position)
         VALUES (?1, ?2, ?3, ?4, ?5)";
    let values = params![user, usage.as_str(), row.public_key, row.json, position];
    tx.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Deletes a user's key.
pub(crate) fn delete(tx: &Transaction<'_>, user: i64, usage: Usage) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM cross_signing_keys WHERE user = ?1 AND usage = ?2";
    let mut statement = tx.prepare_cached(sql)?;
    Ok(statement.execute(params![user, usage.as_str()])? > 0)
}

/// Whether one of a user's keys is this public key.
pub(crate) fn has_public_key(
    tx: &Transaction<'_>,
    user: i64,
    public_key: &str,
) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM cross_signing_keys WHERE user = ?1 AND public_key = ?2";
    let mut statement = tx.prepare_cached(sql)?;
    statement.query_row(params![user, public_key], |row| row.get(0))
}

/// A signature of a user's key by a user, perhaps another.
pub(crate) struct SignatureRow<'a> {
    pub(crate) target: i64,
    /// A device of `target`, or the public key of its master key.
    pub(crate) target_key: &'a str,
    pub(crate) signer: i64,
    pub(crate) key_id: &'a str,
    pub(crate) signature: &'a str,
}

impl SignatureRow<'_> {
    /// Stores the signature, at this position.
    pub(crate) fn insert(&self, tx: &Transaction<'_>, position: i64) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO key_signatures
                 (target, target_key, signer, key_id, signature, position)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        tx.prepare_cached(sql)?.execute(params![
            self.target,
            self.target_key,
            self.signer,
            self.key_id,
            self.signature,
            position
        ])?;
        Ok(())
    }
}

/// The signatures of a key by one user: key ids and signatures.
pub(crate) fn signatures(
    tx: &Transaction<'_>,
    target: i64,
    target_key: &str,
    signer: i64,
) -> rusqlite::Result<Vec<(String, String)>> {
    let sql = "SELECT key_id, signature FROM key_signatures
         WHERE target = ?1 AND target_key = ?2 AND signer = ?3";
    let mut statement = tx.prepare_cached(sql)?;
    let values = params![target, target_key, signer];
    let rows = statement.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}
