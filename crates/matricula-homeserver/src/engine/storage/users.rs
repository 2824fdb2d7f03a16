//! The table of users.

use matricula_core::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::engine::util::millis;

/// A user.
pub(crate) struct UserRow {
    pub(crate) id: i64,
    pub(crate) localpart: String,
    pub(crate) password_hash: Option<String>,
    pub(crate) is_guest: bool,
    pub(crate) is_admin: bool,
    pub(crate) is_deactivated: bool,
    pub(crate) is_locked: bool,
    pub(crate) is_suspended: bool,
    pub(crate) created_at: i64,
}

const SELECT: &str = "SELECT id, localpart, password_hash, is_guest, is_admin, is_deactivated,
     is_locked, is_suspended, created_at FROM users";

impl UserRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            localpart: row.get(1)?,
            password_hash: row.get(2)?,
            is_guest: row.get(3)?,
            is_admin: row.get(4)?,
            is_deactivated: row.get(5)?,
            is_locked: row.get(6)?,
            is_suspended: row.get(7)?,
            created_at: row.get(8)?,
        })
    }
}

/// The user with this localpart.
pub(crate) fn find(tx: &Transaction<'_>, localpart: &str) -> rusqlite::Result<Option<UserRow>> {
    let sql = format!("{SELECT} WHERE localpart = ?1");
    tx.query_row(&sql, [localpart], UserRow::read).optional()
}

/// The id of the user with exactly this localpart.
pub(crate) fn find_id(tx: &Transaction<'_>, localpart: &str) -> rusqlite::Result<Option<i64>> {
    let mut statement = tx.prepare_cached("SELECT id FROM users WHERE localpart = ?1")?;
    let found = statement.query_row([localpart], |row| row.get(0));
    found.optional()
}

/// The user with this id, which must exist.
pub(crate) fn get(tx: &Transaction<'_>, user: i64) -> rusqlite::Result<UserRow> {
    tx.query_row(&format!("{SELECT} WHERE id = ?1"), [user], UserRow::read)
}

/// The ids of all users, in the order of their localparts.
pub(crate) fn ids(tx: &Transaction<'_>) -> rusqlite::Result<Vec<i64>> {
    let mut statement = tx.prepare("SELECT id FROM users ORDER BY localpart")?;
    let ids = statement.query_map([], |row| row.get(0))?;
    ids.collect()
}

/// An account to be created.
#[derive(Default)]
pub(crate) struct NewUser<'a> {
    /// If absent, the account gets its number as localpart. Users cannot choose such a name: usernames of
    /// digits alone are rejected.
    pub(crate) localpart: Option<&'a str>,
    pub(crate) password_hash: Option<&'a str>,
    /// The versions of the accepted policies, as JSON.
    pub(crate) accepted_policies: Option<&'a str>,
    pub(crate) is_guest: bool,
}

impl NewUser<'_> {
    /// Creates the account and returns its id.
    pub(crate) fn insert(&self, tx: &Transaction<'_>, now: Timestamp) -> rusqlite::Result<i64> {
        tx.execute(
            "INSERT INTO users (localpart, password_hash, is_guest, accepted_policies, created_at)
             VALUES (ifnull(?1, 1 + ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'users'), 0)),
                 ?2, ?5, ?3, ?4)",
            params![
                self.localpart,
                self.password_hash,
                self.accepted_policies,
                millis(now),
                self.is_guest
            ],
        )?;
        Ok(tx.last_insert_rowid())
    }

    /// Turns a guest's account into a user's. The guest's devices and tokens are deleted.
    pub(crate) fn replace_guest(&self, tx: &Transaction<'_>, guest: i64) -> rusqlite::Result<i64> {
        tx.execute("DELETE FROM devices WHERE user = ?1", [guest])?;
        tx.execute(
            "UPDATE users SET password_hash = ?2, is_guest = 0, accepted_policies = ?3 WHERE id = ?1",
            params![guest, self.password_hash, self.accepted_policies],
        )?;
        Ok(guest)
    }
}

/// Sets the password of an account that is not deactivated.
pub(crate) fn set_password_hash(
    tx: &Transaction<'_>,
    user: i64,
    hash: &str,
) -> rusqlite::Result<()> {
    let sql = "UPDATE users SET password_hash = ?2 WHERE id = ?1 AND NOT is_deactivated";
    tx.execute(sql, params![user, hash])?;
    Ok(())
}

/// Opens a deactivated account again, with this password.
pub(crate) fn reactivate(tx: &Transaction<'_>, user: i64, hash: &str) -> rusqlite::Result<()> {
    let sql = "UPDATE users SET password_hash = ?2, is_deactivated = 0 WHERE id = ?1";
    tx.execute(sql, params![user, hash])?;
    Ok(())
}

/// Deactivates an account whose devices are deleted already, and deletes everything else that could give
/// access to it. The localpart stays taken. Unless the account is erased, a login with its password
/// learns that it is deactivated.
pub(crate) fn deactivate(tx: &Transaction<'_>, user: i64, is_erased: bool) -> rusqlite::Result<()> {
    let sql = "UPDATE users SET password_hash = iif(?2, NULL, password_hash), is_deactivated = 1
         WHERE id = ?1";
    tx.execute(sql, params![user, is_erased])?;
    for table in [
        "login_tokens",
        "csrf_tokens",
        "oauth_codes",
        "oauth_device_codes",
        "threepids",
        "account_data",
        "filters",
        "push_rules",
        "openid_tokens",
    ] {
        tx.execute(&format!("DELETE FROM {table} WHERE user = ?1"), [user])?;
    }
    let sql = "DELETE FROM uia_sessions WHERE user = ?1 OR owner = ?1";
    tx.execute(sql, [user])?;
    Ok(())
}

/// A flag of a user that administrators set.
#[derive(Clone, Copy)]
pub(crate) enum Flag {
    Admin,
    Locked,
    Suspended,
}

/// Sets a flag of a user.
pub(crate) fn set_flag(
    tx: &Transaction<'_>,
    user: i64,
    flag: Flag,
    value: bool,
) -> rusqlite::Result<()> {
    let column = match flag {
        Flag::Admin => "is_admin",
        Flag::Locked => "is_locked",
        Flag::Suspended => "is_suspended",
    };
    let sql = format!("UPDATE users SET {column} = ?2 WHERE id = ?1");
    tx.execute(&sql, params![user, value])?;
    Ok(())
}
