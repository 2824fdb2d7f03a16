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
    addresses::Address,
    appservice::SERVICE,
    limits::Bucket,
    login_tokens, names, passwords,
    refusal::{Fault, Refusal},
    routes::{Call, Serve},
    tokens::Wish,
};

impl Serve for Login {
    fn admit(call: &Call<'_>, now: Timestamp) -> Result<(), Fault> {
        call.login_bucket().check_and_take(call.tx, now)
    }

    fn serve(self, call: &Call<'_>, cx: &mut StepContext<'_>) -> Result<LoginResponse, Fault> {
        let wish = Wish::new(
            self.device_id.as_deref(),
            self.initial_device_display_name.as_deref(),
            self.refresh_token,
        )?;
        let (id, localpart) = match self.login_type.as_str() {
            "m.login.password" => by_password(&self, call, cx)?,
            SERVICE => call.login_by_service(user_of(&self)?)?,
            "m.login.token" if call.home.config.sso.is_some() => by_token(&self, call, cx)?,
            _ => {
                let error = "this server does not log in so; GET /login says how it does";
                return Err(Refusal::new(400, ErrorCode::Unknown, error).into());
            }
        };
        let user_id = names::user_id(&call.home.config, &localpart)?;
        let (device_id, tokens) = call.home.sign_in(cx, call.tx, id, wish)?;
        Ok(LoginResponse {
            refresh_token: tokens.refresh,
            expires_in_ms: tokens.lifetime,
            ..LoginResponse::new(user_id, tokens.access, device_id)
        })
    }
}

fn by_password(
    login: &Login,
    call: &Call<'_>,
    cx: &mut StepContext<'_>,
) -> Result<(i64, String), Fault> {
    let Some(password) = &login.password else {
        return Err(Refusal::missing("password").into());
    };
    let account = match &login.identifier {
        Some(identifier) => call.identified(identifier)?,
        None if login.user.is_some() => call.named(login.user.as_deref())?,
        None => match login.medium.as_deref().zip(login.address.as_deref()) {
            Some((medium, address)) => call.addressed(medium, address)?,
            None if login.address.is_some() => None,
            None => return Err(Refusal::missing("identifier").into()),
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
        return Err(Refusal::new(403, ErrorCode::Forbidden, error).into());
    };
    Ok((account.id, account.localpart))
}

pub(super) fn deactivated() -> Refusal {
    let error = "this account was deactivated";
    Refusal::new(403, ErrorCode::UserDeactivated, error)
}

/// What is known of an account before anybody has signed in to it.
pub(super) struct Known {
    pub(super) id: i64,
    pub(super) localpart: String,
    pub(super) password_hash: Option<String>,
    pub(super) is_deactivated: bool,
    pub(super) is_locked: bool,
    pub(super) is_suspended: bool,
}

/// The account with this localpart.
pub(super) fn account(tx: &Transaction<'_>, localpart: &str) -> Result<Option<Known>, Fault> {
    let found = tx
        .query_row(
            "SELECT id, password_hash, is_deactivated, localpart, is_locked, is_suspended
             FROM users WHERE localpart = ?1",
            [localpart],
            |row| {
                Ok(Known {
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

impl Call<'_> {
    /// The account of a localpart or user id.
    pub(super) fn named(&self, user: Option<&str>) -> Result<Option<Known>, Fault> {
        match user.and_then(|it| names::existing_localpart(&self.home.config, it)) {
            Some(localpart) => account(self.tx, &localpart),
            None => Ok(None),
        }
    }

    /// The account with this address.
    fn addressed(&self, medium: &str, address: &str) -> Result<Option<Known>, Fault> {
        let owner = match Address::known(medium, address) {
            Some(address) => address.owner(self.tx)?,
            None => None,
        };
        let Some(owner) = owner else {
            return Ok(None);
        };
        let sql = "SELECT localpart FROM users WHERE id = ?1";
        let localpart: String = self.tx.query_row(sql, [owner], |row| row.get(0))?;
        account(self.tx, &localpart)
    }

    /// The account that an identifier means.
    pub(super) fn identified(&self, identifier: &UserIdentifier) -> Result<Option<Known>, Fault> {
        let field = |name: &str| identifier.extra.get(name).and_then(Value::as_str);
        let both = |one: &str, other: &str| field(one).zip(field(other));
        match identifier.kind.as_str() {
            "m.id.thirdparty" => match both("medium", "address") {
                Some((medium, address)) => self.addressed(medium, address),
                None => Ok(None),
            },
            "m.id.phone" => match both("country", "phone").or(both("country", "number")) {
                Some((country, number)) => match Address::msisdn(country, number) {
                    Ok(it) => self.addressed(it.medium.as_str(), &it.address),
                    Err(_) => Ok(None),
                },
                None => Ok(None),
            },
            _ => self.named(named(identifier)?),
        }
    }

    /// Attempts to guess a password, wherever one is asked for.
    pub(super) fn login_bucket(&self) -> Bucket<'_> {
        Bucket {
            kind: "login",
            limit: self.home.config.limits.login,
            peer: &self.request.peer,
        }
    }
}

fn by_token(login: &Login, call: &Call<'_>, cx: &StepContext<'_>) -> Result<(i64, String), Fault> {
    let Some(token) = &login.token else {
        return Err(Refusal::missing("token").into());
    };
    let Some(user) = login_tokens::redeem(call.tx, cx.now, token.expose())? else {
        let error = "this login token is not known, was used, or has expired; sign in again";
        return Err(Refusal::new(403, ErrorCode::Forbidden, error).into());
    };
    let sql = "SELECT localpart FROM users WHERE id = ?1";
    let localpart = call.tx.query_row(sql, [user], |row| row.get(0))?;
    Ok((user, localpart))
}

/// An expired token may log out too: whoever holds it wants it gone.
impl Serve for Logout {
    fn serve(self, call: &Call<'_>, cx: &mut StepContext<'_>) -> Result<LogoutResponse, Fault> {
        let bearer = call.bearer(cx.now)?.not_a_guest()?;
        call.tx.execute(
            "DELETE FROM devices WHERE user = ?1 AND id = ?2",
            params![bearer.user, bearer.device],
        )?;
        Ok(LogoutResponse::default())
    }
}

impl Serve for LogoutAll {
    fn serve(self, call: &Call<'_>, cx: &mut StepContext<'_>) -> Result<LogoutAllResponse, Fault> {
        let bearer = call.bearer(cx.now)?.not_a_guest()?;
        call.tx
            .execute("DELETE FROM devices WHERE user = ?1", [bearer.user])?;
        Ok(LogoutAllResponse::default())
    }
}

/// The localpart or user id that the request names in the new way or the old one; none where it is
/// somebody's email address or telephone number, for nobody here has one.
fn user_of(login: &Login) -> Result<Option<&str>, Refusal> {
    match &login.identifier {
        Some(identifier) => named(identifier),
        None if login.user.is_none() && login.address.is_none() => {
            Err(Refusal::missing("identifier"))
        }
        None => Ok(login.user.as_deref()),
    }
}

/// The localpart or user id in an identifier; none where it is somebody's address.
fn named(identifier: &UserIdentifier) -> Result<Option<&str>, Refusal> {
    match (identifier.kind.as_str(), identifier.extra.get("user")) {
        ("m.id.user", Some(Value::String(user))) => Ok(Some(user)),
        ("m.id.user", None | Some(Value::Null)) => Err(Refusal::missing("identifier/user")),
        ("m.id.user", Some(_)) => {
            let error = "identifier/user is not a string";
            Err(Refusal::new(400, ErrorCode::BadJson, error))
        }
        ("m.id.thirdparty" | "m.id.phone", _) => Ok(None),
        _ => {
            let error = "this server does not know this type of identifier";
            Err(Refusal::new(400, ErrorCode::Unknown, error))
        }
    }
}
