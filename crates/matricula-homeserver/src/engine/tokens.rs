//! Devices, and the access and refresh tokens bound to them.

use std::time::Duration;

use matricula_api::{
    ErrorCode,
    client::{
        refresh::{Refresh, RefreshResponse},
        whoami::{WhoAmI, WhoAmIResponse},
    },
};
use matricula_core::{Secret, StepContext, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};
use sha2::{Digest, Sha256};

use super::{
    Homeserver,
    login::UserRow,
    millis, names, oauth,
    refusal::{ApiError, HandlerError},
    routes::{Handler, RequestContext},
};

pub(super) const ALPHANUMERIC: &[u8] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// What a client that signs in asks for its device.
#[derive(Clone, Copy, Default)]
pub(super) struct DeviceParams<'a> {
    pub(super) device_id: Option<&'a str>,
    pub(super) display_name: Option<&'a str>,
    pub(super) refresh_token: bool,
    /// How long an access token lives, where that is not as configured.
    pub(super) lifetime: Option<Duration>,
}

impl<'a> DeviceParams<'a> {
    /// What a request asks for, if it can be had.
    pub(super) fn new(
        device_id: Option<&'a str>,
        display_name: Option<&'a str>,
        refresh_token: Option<bool>,
    ) -> Result<Self, ApiError> {
        if device_id == Some("") {
            let error = "device_id is empty; leave it out to be given one";
            return Err(ApiError::new(400, ErrorCode::InvalidParam, error));
        }
        bounded("device_id", device_id)?;
        bounded("initial_device_display_name", display_name)?;
        Ok(Self {
            device_id,
            display_name,
            refresh_token: refresh_token.unwrap_or(false),
            lifetime: None,
        })
    }
}

/// How long it may lag behind when a device was last seen: a request that is one of many then writes
/// nothing.
const SEEN_EVERY_MILLIS: i64 = 60_000;

/// The longest text of a request that is kept, in bytes.
const MAX_TEXT: usize = 512;

/// Refuses a text that is too long to be kept.
pub(super) fn bounded(name: &str, text: Option<&str>) -> Result<(), ApiError> {
    if text.is_some_and(|text| text.len() > MAX_TEXT) {
        let error = format!("{name} is longer than {MAX_TEXT} bytes");
        return Err(ApiError::new(400, ErrorCode::InvalidParam, error));
    }
    Ok(())
}

/// What a device is given.
pub(super) struct Tokens {
    pub(super) access: Secret,
    pub(super) refresh: Option<Secret>,
    /// How long the access token works; for ever if absent.
    pub(super) lifetime: Option<Duration>,
}

/// Whom an access token belongs to.
pub(super) struct Requester {
    pub(super) user: i64,
    pub(super) localpart: String,
    /// None where an application service acts.
    pub(super) device: Option<String>,
    pub(super) is_guest: bool,
    pub(super) is_admin: bool,
    pub(super) is_locked: bool,
    pub(super) is_suspended: bool,
    pub(super) expires_at: Option<i64>,
    pub(super) expired: bool,
}

impl Requester {
    /// A user as whom an application service acts.
    pub(super) fn of_service(known: UserRow, device: Option<String>) -> Self {
        Self {
            user: known.id,
            localpart: known.localpart,
            device,
            is_guest: false,
            is_admin: false,
            is_locked: known.is_locked,
            is_suspended: known.is_suspended,
            expires_at: None,
            expired: false,
        }
    }

    /// Refuses a [guest](https://spec.matrix.org/v1.19/client-server-api/#guest-access).
    pub(super) fn deny_guest(self) -> Result<Self, ApiError> {
        if self.is_guest {
            let error = "guests cannot do this; register first";
            return Err(ApiError::new(403, ErrorCode::GuestAccessForbidden, error));
        }
        Ok(self)
    }
}

/// How a token or session is kept: who reads the database cannot use it.
pub(super) fn digest(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

impl Homeserver {
    /// Gives a device of `user` a new access token. Tokens that a known device had before are dead.
    pub(super) fn sign_in(
        &self,
        cx: &mut StepContext<'_>,
        tx: &Transaction<'_>,
        user: i64,
        wish: DeviceParams<'_>,
    ) -> Result<(String, Tokens), HandlerError> {
        let device = match wish.device_id {
            Some(id) => id.to_owned(),
            None => new_device_id(cx, tx, user)?,
        };
        tx.execute(
            "INSERT INTO devices (user, id, display_name, created_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
            params![user, device, wish.display_name, millis(cx.now)],
        )?;
        for table in ["access_tokens", "refresh_tokens", "oauth_sessions"] {
            let sql = format!("DELETE FROM {table} WHERE user = ?1 AND device = ?2");
            tx.execute(&sql, params![user, device])?;
        }
        let lifetime = wish.lifetime.or(self.config.access_token_lifetime);
        let refreshable = wish.refresh_token.then_some(None);
        let tokens = self.issue_tokens(cx, tx, user, &device, refreshable, lifetime)?;
        Ok((device, tokens))
    }

    /// Makes an access token, with a refresh token if wanted, and which one that replaces.
    fn issue_tokens(
        &self,
        cx: &mut StepContext<'_>,
        tx: &Transaction<'_>,
        user: i64,
        device: &str,
        refreshable: Option<Option<i64>>,
        lifetime: Option<Duration>,
    ) -> Result<Tokens, HandlerError> {
        let expiry = |lifetime| Some(millis(cx.now.plus(lifetime?)));
        let (mut refresh, mut refresh_id) = (None, None);
        if let Some(parent) = refreshable {
            let token = format!("mtr_{}", cx.entropy.text(ALPHANUMERIC, 43));
            tx.execute(
                "INSERT INTO refresh_tokens (digest, user, device, parent, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    digest(&token),
                    user,
                    device,
                    parent,
                    expiry(self.config.refresh_token_lifetime)
                ],
            )?;
            refresh_id = Some(tx.last_insert_rowid());
            refresh = Some(token.into());
        }
        let token = format!("mta_{}", cx.entropy.text(ALPHANUMERIC, 43));
        tx.execute(
            "INSERT INTO access_tokens (digest, user, device, refresh_token, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![digest(&token), user, device, refresh_id, expiry(lifetime)],
        )?;
        Ok(Tokens {
            access: token.into(),
            refresh,
            lifetime,
        })
    }
}

impl RequestContext<'_> {
    /// Whose access token comes with the request, if it is still good.
    pub(super) fn authenticate(&self, now: Timestamp) -> Result<Requester, HandlerError> {
        let bearer = self.requester(now)?;
        if bearer.expired {
            let error = "this access token has expired; refresh it or log in again";
            return Err(ApiError::unknown_token(error, true).into());
        }
        if bearer.is_locked {
            let error = "this account is locked; it may be opened again later";
            return Err(ApiError::user_locked(error).into());
        }
        Ok(bearer)
    }

    /// Whose access token comes with the request, if it is still good and no guest's.
    pub(super) fn authenticate_user(&self, now: Timestamp) -> Result<Requester, HandlerError> {
        Ok(self.authenticate(now)?.deny_guest()?)
    }

    /// The token that comes with the request.
    pub(super) fn token(&self) -> Option<&str> {
        let in_header = self.request.access_token.as_ref().map(Secret::expose);
        in_header.or_else(|| self.request.query("access_token"))
    }

    /// Whether the user has this device.
    pub(super) fn has_device(&self, user: i64, device: &str) -> Result<bool, HandlerError> {
        let sql = "SELECT count(*) FROM devices WHERE user = ?1 AND id = ?2";
        Ok(self
            .tx
            .query_row(sql, params![user, device], |row| row.get(0))?)
    }

    /// Whose access token comes with the request, expired or not.
    pub(super) fn requester(&self, now: Timestamp) -> Result<Requester, HandlerError> {
        let Some(token) = self.token() else {
            let error = "this endpoint needs an access token";
            return Err(ApiError::new(401, ErrorCode::MissingToken, error).into());
        };
        if let Some(service) = self.homeserver.find_service(token) {
            return self.requester_of_service(now, service);
        }
        let Some((bearer, refresh_id)) = find_requester(self.tx, now, token)? else {
            let error = "this access token is not known, or was logged out";
            return Err(ApiError::unknown_token(error, false).into());
        };
        if let (Some(id), false) = (refresh_id, bearer.expired) {
            confirm_refresh(self.tx, id)?;
        }
        self.touch_device(now, &bearer)?;
        Ok(bearer)
    }

    /// Remembers, not to the second, when and where a device called from.
    fn touch_device(&self, now: Timestamp, bearer: &Requester) -> Result<(), HandlerError> {
        let (now, peer) = (millis(now), &self.request.peer);
        self.tx.execute(
            "UPDATE devices SET last_seen_at = ?3, last_seen_ip = ?4
             WHERE user = ?1 AND id = ?2
                 AND (last_seen_at IS NULL OR last_seen_ip IS NOT ?4 OR last_seen_at <= ?5)",
            params![
                bearer.user,
                bearer.device,
                now,
                peer,
                now - SEEN_EVERY_MILLIS
            ],
        )?;
        Ok(())
    }
}

/// A refresh token as it is stored.
pub(super) struct RefreshToken {
    id: i64,
    pub(super) user: i64,
    pub(super) device: String,
    /// Whether a newer one came into use.
    pub(super) spent: bool,
    pub(super) expired: bool,
}

impl RefreshToken {
    pub(super) fn find(
        tx: &Transaction<'_>,
        now: Timestamp,
        token: &str,
    ) -> Result<Option<Self>, HandlerError> {
        let found = tx
            .query_row(
                "SELECT id, user, device, spent, expires_at FROM refresh_tokens WHERE digest = ?1",
                [digest(token)],
                |row| {
                    Ok(Self {
                        id: row.get(0)?,
                        user: row.get(1)?,
                        device: row.get(2)?,
                        spent: row.get(3)?,
                        expired: is_past(row.get(4)?, now),
                    })
                },
            )
            .optional()?;
        Ok(found)
    }

    /// A new pair of tokens for the device. The pair before works until the new one is first used,
    /// so that an answer which never arrived can be asked for again.
    pub(super) fn replace(
        &self,
        home: &Homeserver,
        cx: &mut StepContext<'_>,
        tx: &Transaction<'_>,
        lifetime: Option<Duration>,
    ) -> Result<Tokens, HandlerError> {
        confirm_refresh(tx, self.id)?;
        // A pair made earlier from this token was never used; its access token goes with it.
        tx.execute("DELETE FROM refresh_tokens WHERE parent = ?1", [self.id])?;
        let parent = Some(Some(self.id));
        home.issue_tokens(cx, tx, self.user, &self.device, parent, lifetime)
    }
}

impl Handler for Refresh {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RefreshResponse, HandlerError> {
        let (home, tx) = (call.homeserver, call.tx);
        let found = RefreshToken::find(tx, cx.now, self.refresh_token.expose())?;
        let Some(token) = found else {
            let error = "this refresh token is not known, or was logged out";
            return Err(ApiError::unknown_token(error, false).into());
        };
        if oauth::is_oauth(tx, token.user, &token.device)? {
            let error = "this refresh token is renewed where OAuth 2.0 gave it";
            return Err(ApiError::unknown_token(error, false).into());
        }
        if token.spent {
            let error = "this refresh token was replaced by a newer one";
            return Err(ApiError::unknown_token(error, true).into());
        }
        if token.expired {
            let error = "this refresh token has expired; log in again";
            return Err(ApiError::unknown_token(error, true).into());
        }
        let tokens = token.replace(home, cx, tx, home.config.access_token_lifetime)?;
        Ok(RefreshResponse {
            refresh_token: tokens.refresh,
            expires_in_ms: tokens.lifetime,
            ..RefreshResponse::new(tokens.access)
        })
    }
}

impl Handler for WhoAmI {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<WhoAmIResponse, HandlerError> {
        let bearer = call.authenticate(cx.now)?;
        let user_id = names::user_id(&call.homeserver.config, &bearer.localpart)?;
        Ok(WhoAmIResponse {
            device_id: bearer.device,
            ..WhoAmIResponse::new(user_id).is_guest(bearer.is_guest)
        })
    }
}

/// Whose access token this is, and which refresh token came with it.
pub(super) fn find_requester(
    tx: &Transaction<'_>,
    now: Timestamp,
    token: &str,
) -> Result<Option<(Requester, Option<i64>)>, HandlerError> {
    let found = tx
        .query_row(
            "SELECT users.id, localpart, is_guest, device, refresh_token, expires_at, is_admin,
                 is_locked, is_suspended
             FROM access_tokens JOIN users ON users.id = user WHERE digest = ?1",
            [digest(token)],
            |row| {
                let bearer = Requester {
                    user: row.get(0)?,
                    localpart: row.get(1)?,
                    is_guest: row.get(2)?,
                    device: row.get(3)?,
                    is_admin: row.get(6)?,
                    is_locked: row.get(7)?,
                    is_suspended: row.get(8)?,
                    expires_at: row.get(5)?,
                    expired: is_past(row.get(5)?, now),
                };
                Ok((bearer, row.get(4)?))
            },
        )
        .optional()?;
    Ok(found)
}

/// A new pair has come into use: the one that it replaces is dead.
pub(super) fn confirm_refresh(tx: &Transaction<'_>, refresh_id: i64) -> Result<(), HandlerError> {
    let parent: Option<i64> = tx.query_row(
        "SELECT parent FROM refresh_tokens WHERE id = ?1",
        [refresh_id],
        |row| row.get(0),
    )?;
    let Some(parent) = parent else {
        return Ok(());
    };
    // One spent token is remembered, to tell a late client that its session lives; no more.
    tx.execute(
        "DELETE FROM refresh_tokens WHERE spent AND (user, device) =
             (SELECT user, device FROM refresh_tokens WHERE id = ?1)",
        [refresh_id],
    )?;
    tx.execute(
        "DELETE FROM access_tokens WHERE refresh_token = ?1",
        [parent],
    )?;
    tx.execute(
        "UPDATE refresh_tokens SET spent = 1 WHERE id = ?1",
        [parent],
    )?;
    tx.execute(
        "UPDATE refresh_tokens SET parent = NULL WHERE id = ?1",
        [refresh_id],
    )?;
    Ok(())
}

fn is_past(expires_at: Option<i64>, now: Timestamp) -> bool {
    expires_at.is_some_and(|at| at <= millis(now))
}

fn new_device_id(
    cx: &mut StepContext<'_>,
    tx: &Transaction<'_>,
    user: i64,
) -> Result<String, HandlerError> {
    loop {
        let id = cx.entropy.text(&ALPHANUMERIC[..26], 10);
        let taken = tx
            .query_row(
                "SELECT 1 FROM devices WHERE user = ?1 AND id = ?2",
                params![user, id],
                |_| Ok(()),
            )
            .optional()?;
        if taken.is_none() {
            return Ok(id);
        }
    }
}
