//! Random tokens that work once: CSRF tokens, login tokens, registration nonces.

use std::time::Duration;

use matricula_core::{StepContext, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};

use super::row_limit::RowLimit;
use crate::engine::util::{ALPHANUMERIC, digest, millis};

/// CSRF tokens of HTML forms. A form without a valid one may come from another site. Forms on which a
/// user has signed in are evicted last.
pub(crate) const CSRF: OneTimeTokens = OneTimeTokens {
    prefix: "",
    length: 43,
    lifetime: Duration::from_secs(30 * 60),
    limit: RowLimit {
        order_by: "user IS NOT NULL, expires_at",
        ..RowLimit::oldest_first("csrf_tokens", 5_000)
    },
};

/// Tokens of [`m.login.token`](https://spec.matrix.org/v1.19/client-server-api/#token-based). They live
/// as long as the browser may take to return to the client, and the client to log in.
pub(crate) const LOGIN: OneTimeTokens = OneTimeTokens {
    prefix: "mtl_",
    length: 43,
    lifetime: Duration::from_secs(2 * 60),
    limit: RowLimit::oldest_first("login_tokens", 5_000),
};

/// Nonces of registration with the shared secret.
pub(crate) const REGISTRATION_NONCE: OneTimeTokens = OneTimeTokens {
    prefix: "",
    length: 32,
    lifetime: Duration::from_secs(60),
    limit: RowLimit::oldest_first("registration_nonces", 1_000),
};

/// One kind of token, with a table of its own.
pub(crate) struct OneTimeTokens {
    prefix: &'static str,
    /// The number of random characters.
    length: usize,
    lifetime: Duration,
    limit: RowLimit,
}

impl OneTimeTokens {
    /// Creates a token for the client at `peer`, and for `user`, if one is known. It is accepted only for the
    /// same `scope`.
    pub(crate) fn issue(
        &self,
        cx: &mut StepContext<'_>,
        tx: &Transaction<'_>,
        peer: &str,
        scope: &str,
        user: Option<i64>,
    ) -> rusqlite::Result<String> {
        let table = self.limit.table;
        let sql = format!("DELETE FROM {table} WHERE expires_at <= ?1");
        tx.execute(&sql, [millis(cx.now)])?;
        self.limit.make_room(tx)?;
        let random = cx.entropy.text(ALPHANUMERIC, self.length);
        let token = format!("{}{random}", self.prefix);
        let sql = format!(
            "INSERT INTO {table} (digest, scope, user, expires_at, peer)
                 VALUES (?1, ?2, ?3, ?4, ?5)"
        );
        let expires_at = millis(cx.now.plus(self.lifetime));
        tx.execute(
            &sql,
            params![digest(&token), digest(scope), user, expires_at, peer],
        )?;
        Ok(token)
    }

    /// Deletes a token. Returns its user; `None` where there is no such token for this scope.
    pub(crate) fn redeem(
        &self,
        tx: &Transaction<'_>,
        now: Timestamp,
        scope: &str,
        token: &str,
    ) -> rusqlite::Result<Option<Option<i64>>> {
        let table = self.limit.table;
        let sql = format!(
            "DELETE FROM {table} WHERE digest = ?1 AND scope = ?2 AND expires_at > ?3 RETURNING user"
        );
        let values = params![digest(token), digest(scope), millis(now)];
        tx.query_row(&sql, values, |row| row.get(0)).optional()
    }
}
