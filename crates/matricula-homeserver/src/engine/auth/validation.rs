//! Validation of third-party identifiers: a link or a code is sent, and comes back.

use std::time::Duration;

use matricula_api::ErrorCode;
use matricula_core::{Secret, StepContext, Timestamp};
use rusqlite::{OptionalExtension, Row, Transaction, params, types::Type};

use super::threepid::{Medium, Threepid};
use crate::engine::{
    error::{ApiError, HandlerError},
    storage::row_limit::RowLimit,
    util::{ALPHANUMERIC, digest, millis},
};

/// How long a message is valid, and how long the identifier then counts as validated.
pub(crate) const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

const LIMIT: RowLimit = RowLimit::oldest_first("validations", 5_000);

/// The maximum number of wrong codes; there are a million possible ones.
const MAX_WRONG_CODES: i64 = 5;

/// One identifier that one client wants to validate.
pub(crate) struct Validation {
    pub(crate) sid: String,
    pub(crate) threepid: Threepid,
    send_attempt: u64,
    pub(crate) next_link: Option<String>,
    pub(crate) validated_at: Option<i64>,
    wrong_codes: i64,
    token: Vec<u8>,
}

/// A client's request for a validation.
pub(crate) struct ValidationRequest<'a> {
    pub(crate) threepid: Threepid,
    pub(crate) client_secret: &'a Secret,
    pub(crate) send_attempt: u64,
    pub(crate) next_link: Option<&'a str>,
}

const SELECT: &str = "SELECT sid, medium, address, send_attempt, next_link, validated_at, \
     wrong_codes, token FROM validations";

impl Validation {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let medium: String = row.get(1)?;
        Ok(Self {
            sid: row.get(0)?,
            threepid: Threepid {
                medium: Medium::parse(&medium).ok_or_else(|| {
                    rusqlite::Error::InvalidColumnType(1, "medium".to_owned(), Type::Text)
                })?,
                address: row.get(2)?,
            },
            send_attempt: row.get::<_, i64>(3)?.unsigned_abs(),
            next_link: row.get(4)?,
            validated_at: row.get(5)?,
            wrong_codes: row.get(6)?,
            token: row.get(7)?,
        })
    }

    /// The validation with this session id.
    pub(crate) fn find(
        tx: &Transaction<'_>,
        now: Timestamp,
        sid: &str,
        client_secret: &Secret,
    ) -> Result<Option<Self>, HandlerError> {
        let sql = format!("{SELECT} WHERE sid = ?1 AND client_secret = ?2 AND expires_at > ?3");
        let secret = digest(client_secret.expose());
        let found = tx.query_row(&sql, params![sid, secret, millis(now)], Self::read);
        Ok(found.optional()?)
    }

    /// The validation of a link in a mail.
    pub(crate) fn find_by_link(
        tx: &Transaction<'_>,
        now: Timestamp,
        token: &str,
    ) -> Result<Option<Self>, HandlerError> {
        let sql = format!("{SELECT} WHERE token = ?1 AND medium = 'email' AND expires_at > ?2");
        let found = tx.query_row(&sql, params![digest(token), millis(now)], Self::read);
        Ok(found.optional()?)
    }

    /// Starts or continues a validation for the client at `peer`. Returns also the token or code to send,
    /// if any: where a client repeats an attempt whose response was lost, the message has been sent
    /// already.
    pub(crate) fn start(
        cx: &mut StepContext<'_>,
        tx: &Transaction<'_>,
        peer: &str,
        wanted: &ValidationRequest<'_>,
    ) -> Result<(Self, Option<String>), HandlerError> {
        let now = millis(cx.now);
        let secret = digest(wanted.client_secret.expose());
        let (medium, address) = (wanted.threepid.medium.as_str(), &wanted.threepid.address);
        let sql = format!(
            "{SELECT} WHERE medium = ?1 AND address = ?2 AND client_secret = ?3 AND expires_at > ?4"
        );
        let found = tx
            .query_row(&sql, params![medium, address, secret, now], Self::read)
            .optional()?;
        let sid = match found {
            Some(it) if it.validated_at.is_some() || it.send_attempt >= wanted.send_attempt => {
                return Ok((it, None));
            }
            Some(it) => it.sid,
            None => cx.entropy.text(ALPHANUMERIC, 16),
        };
        make_room(tx, cx.now)?;
        let sent = match wanted.threepid.medium {
            Medium::Email => cx.entropy.text(ALPHANUMERIC, 43),
            Medium::Msisdn => cx.entropy.text(b"0123456789", 6),
        };
        let token = token_digest(wanted.threepid.medium, &sid, &sent);
        let attempt = i64::try_from(wanted.send_attempt).unwrap_or(i64::MAX);
        tx.execute(
            "INSERT OR REPLACE INTO validations (sid, medium, address, client_secret, send_attempt,
                 token, next_link, expires_at, peer) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                sid,
                medium,
                address,
                secret,
                attempt,
                token,
                wanted.next_link,
                millis(cx.now.plus(LIFETIME)),
                peer,
            ],
        )?;
        let begun = Self {
            sid,
            threepid: wanted.threepid.clone(),
            send_attempt: wanted.send_attempt,
            next_link: wanted.next_link.map(str::to_owned),
            validated_at: None,
            wrong_codes: 0,
            token,
        };
        Ok((begun, Some(sent)))
    }

    /// Marks the identifier as validated.
    pub(crate) fn validate(
        &mut self,
        tx: &Transaction<'_>,
        now: Timestamp,
    ) -> Result<(), HandlerError> {
        if self.validated_at.is_none() {
            tx.execute(
                "UPDATE validations SET validated_at = ?2, expires_at = ?3 WHERE sid = ?1",
                params![self.sid, millis(now), millis(now.plus(LIFETIME))],
            )?;
            self.validated_at = Some(millis(now));
        }
        Ok(())
    }

    /// Whether a code is the one that was sent. After too many wrong codes the right one is rejected too,
    /// until another is sent.
    pub(crate) fn try_code(
        &mut self,
        tx: &Transaction<'_>,
        now: Timestamp,
        code: &str,
    ) -> Result<bool, HandlerError> {
        if self.wrong_codes >= MAX_WRONG_CODES {
            let error = "too many wrong codes; request another";
            return Err(ApiError::new(400, ErrorCode::NoValidSession, error).into());
        }
        if token_digest(self.threepid.medium, &self.sid, code.trim()) == self.token {
            self.validate(tx, now)?;
            return Ok(true);
        }
        let sql = "UPDATE validations SET wrong_codes = wrong_codes + 1 WHERE sid = ?1";
        tx.execute(sql, [&self.sid])?;
        Ok(false)
    }
}

/// The digest as which a token or code is stored.
fn token_digest(medium: Medium, sid: &str, sent: &str) -> Vec<u8> {
    match medium {
        Medium::Email => digest(sent),
        Medium::Msisdn => digest(&format!("{sid} {sent}")),
    }
}

fn make_room(tx: &Transaction<'_>, now: Timestamp) -> Result<(), HandlerError> {
    let sql = "DELETE FROM validations WHERE expires_at <= ?1";
    tx.execute(sql, [millis(now)])?;
    Ok(LIMIT.make_room(tx)?)
}
