//! Logging in with a password or a login token, and out again.

use matricula_api::{
    ErrorCode,
    client::{
        login::{Login, LoginResponse},
        logout::{Logout, LogoutAll, LogoutAllResponse, LogoutResponse},
    },
    uia::UserIdentifier,
};
use matricula_core::{StepContext, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};
use serde_json::Value;

use super::{
    addresses::Threepid,
    appservice::SERVICE,
    limits::Bucket,
    login_tokens, names, passwords,
    refusal::{ApiError, HandlerError},
    routes::{Handler, RequestContext},
    tokens::DeviceParams,
};

impl Handler for Login {
    fn precheck(call: &RequestContext<'_>, now: Timestamp) -> Result<(), HandlerError> {
        call.login_bucket().check_and_take(call.tx, now)
    }

    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<LoginResponse, HandlerError> {
        let wish = DeviceParams::new(
            self.device_id.as_deref(),
            self.initial_device_display_name.as_deref(),
            self.refresh_token,
        )?;
        let (id, localpart) = match self.login_type.as_str() {
            "m.login.password" => by_password(&self, call, cx)?,
            SERVICE => call.login_by_service(login_name(&self)?)?,
            "m.login.token" if call.homeserver.config.sso.is_some() => by_token(&self, call, cx)?,
            _ => {
                let error = "this server does not log in so; GET /login says how it does";
                return Err(ApiError::new(400, ErrorCode::Unknown, error).into());
            }
        };
        let user_id = names::user_id(&call.homeserver.config, &localpart)?;
        let (device_id, tokens) = call.homeserver.sign_in(cx, call.tx, id, wish)?;
        Ok(LoginResponse {
            refresh_token: tokens.refresh,
            expires_in_ms: tokens.lifetime,
            ..LoginResponse::new(user_id, tokens.access, device_id)
        })
    }
}

fn by_password(
    login: &Login,
    call: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<(i64, String), HandlerError> {
    let Some(password) = &login.password else {
        return Err(ApiError::missing_param("password").into());
    };
    let account = match &login.identifier {
        Some(identifier) => call.user_by_identifier(identifier)?,
        None if login.user.is_some() => call.user_by_name(login.user.as_deref())?,
        None => match login.medium.as_deref().zip(login.address.as_deref()) {
            Some((medium, address)) => call.user_by_threepid(medium, address)?,
            None if login.address.is_some() => None,
            None => return Err(ApiError::missing_param("identifier").into()),
        },
    };
    if account.as_ref().is_some_and(|it| it.is_deactivated) {
        return Err(deactivated().into());
    }
    let stored = account.as_ref().and_then(|it| it.password_hash.as_deref());
    let right = passwords::verify(cx, stored, password.expose())?;
    let (Some(account), true) = (account, right) else {
        // One sentence for both, so that it does not tell which usernames exist.
        let error = "there is no such user, or the password is wrong";
        return Err(ApiError::new(403, ErrorCode::Forbidden, error).into());
    };
    Ok((account.id, account.localpart))
}

pub(super) fn deactivated() -> ApiError {
    let error = "this account was deactivated";
    ApiError::new(403, ErrorCode::UserDeactivated, error)
}

/// What is known of an account before anybody has signed in to it.
pub(super) struct UserRow {
    pub(super) id: i64,
    pub(super) localpart: String,
    pub(super) password_hash: Option<String>,
    pub(super) is_deactivated: bool,
    pub(super) is_locked: bool,
    pub(super) is_suspended: bool,
}

/// The account with this localpart.
pub(super) fn find_user(
    tx: &Transaction<'_>,
    localpart: &str,
) -> Result<Option<UserRow>, HandlerError> {
    let found = tx
        .query_row(
            "SELECT id, password_hash, is_deactivated, localpart, is_locked, is_suspended
             FROM users WHERE localpart = ?1",
            [localpart],
            |row| {
                Ok(UserRow {
                    id: row.get(0)?,
                    password_hash: row.get(1)?,
                    is_deactivated: row.get(2)?,
                    localpart: row.get(3)?,
                    is_locked: row.get(4)?,
                    is_suspended: row.get(5)?,
                })
            },
        )
        .optional()?;
    Ok(found)
}

impl RequestContext<'_> {
    /// The account of a localpart or user id.
    pub(super) fn user_by_name(&self, user: Option<&str>) -> Result<Option<UserRow>, HandlerError> {
        match user.and_then(|it| names::existing_localpart(&self.homeserver.config, it)) {
            Some(localpart) => find_user(self.tx, &localpart),
            None => Ok(None),
        }
    }

    /// The account with this address.
    fn user_by_threepid(
        &self,
        medium: &str,
        address: &str,
    ) -> Result<Option<UserRow>, HandlerError> {
        let owner = match Threepid::parse(medium, address) {
            Some(address) => address.owner(self.tx)?,
            None => None,
        };
        let Some(owner) = owner else {
            return Ok(None);
        };
        let sql = "SELECT localpart FROM users WHERE id = ?1";
        let localpart: String = self.tx.query_row(sql, [owner], |row| row.get(0))?;
        find_user(self.tx, &localpart)
    }

    /// The account that an identifier means.
    pub(super) fn user_by_identifier(
        &self,
        identifier: &UserIdentifier,
    ) -> Result<Option<UserRow>, HandlerError> {
        let field = |name: &str| identifier.extra.get(name).and_then(Value::as_str);
        let both = |one: &str, other: &str| field(one).zip(field(other));
        match identifier.kind.as_str() {
            "m.id.thirdparty" => match both("medium", "address") {
                Some((medium, address)) => self.user_by_threepid(medium, address),
                None => Ok(None),
            },
            "m.id.phone" => match both("country", "phone").or(both("country", "number")) {
                Some((country, number)) => match Threepid::msisdn(country, number) {
                    Ok(it) => self.user_by_threepid(it.medium.as_str(), &it.address),
                    Err(_) => Ok(None),
                },
                None => Ok(None),
            },
            _ => self.user_by_name(identifier_name(identifier)?),
        }
    }

    /// Attempts to guess a password, wherever one is asked for.
    pub(super) fn login_bucket(&self) -> Bucket<'_> {
        Bucket {
            kind: "login",
            limit: self.homeserver.config.limits.login,
            key: &self.request.peer,
        }
    }
}

fn by_token(
    login: &Login,
    call: &RequestContext<'_>,
    cx: &StepContext<'_>,
) -> Result<(i64, String), HandlerError> {
    let Some(token) = &login.token else {
        return Err(ApiError::missing_param("token").into());
    };
    let Some(user) = login_tokens::redeem(call.tx, cx.now, token.expose())? else {
        let error = "this login token is not known, was used, or has expired; sign in again";
        return Err(ApiError::new(403, ErrorCode::Forbidden, error).into());
    };
    let sql = "SELECT localpart FROM users WHERE id = ?1";
    let localpart = call.tx.query_row(sql, [user], |row| row.get(0))?;
    Ok((user, localpart))
}

/// An expired token may log out too: whoever holds it wants it gone.
impl Handler for Logout {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<LogoutResponse, HandlerError> {
        let bearer = call.requester(cx.now)?.deny_guest()?;
        call.tx.execute(
            "DELETE FROM devices WHERE user = ?1 AND id = ?2",
            params![bearer.user, bearer.device],
        )?;
        Ok(LogoutResponse::default())
    }
}

impl Handler for LogoutAll {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<LogoutAllResponse, HandlerError> {
        let bearer = call.requester(cx.now)?.deny_guest()?;
        call.tx
            .execute("DELETE FROM devices WHERE user = ?1", [bearer.user])?;
        Ok(LogoutAllResponse::default())
    }
}

/// The localpart or user id that the request names in the new way or the old one; none where it is
/// somebody's email address or telephone number, for nobody here has one.
fn login_name(login: &Login) -> Result<Option<&str>, ApiError> {
    match &login.identifier {
        Some(identifier) => identifier_name(identifier),
        None if login.user.is_none() && login.address.is_none() => {
            Err(ApiError::missing_param("identifier"))
        }
        None => Ok(login.user.as_deref()),
    }
}

/// The localpart or user id in an identifier; none where it is somebody's address.
fn identifier_name(identifier: &UserIdentifier) -> Result<Option<&str>, ApiError> {
    match (identifier.kind.as_str(), identifier.extra.get("user")) {
        ("m.id.user", Some(Value::String(user))) => Ok(Some(user)),
        ("m.id.user", None | Some(Value::Null)) => Err(ApiError::missing_param("identifier/user")),
        ("m.id.user", Some(_)) => {
            let error = "identifier/user is not a string";
            Err(ApiError::new(400, ErrorCode::BadJson, error))
        }
        ("m.id.thirdparty" | "m.id.phone", _) => Ok(None),
        _ => {
            let error = "this server does not know this type of identifier";
            Err(ApiError::new(400, ErrorCode::Unknown, error))
        }
    }
}
