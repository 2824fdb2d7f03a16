//! Logging in with a password or a login token, and out again.

use matricula_api::{
    ErrorCode,
    client::{
        login::{Login, LoginResponse},
        logout::{Logout, LogoutAll, LogoutAllResponse, LogoutResponse},
    },
    uia::UserIdentifier,
};
use matricula_job::{Cx, Timestamp};
use rusqlite::{OptionalExtension, params};
use serde_json::Value;

use super::{
    limits::Bucket,
    login_tokens, names, passwords,
    refusal::{Fault, Refusal},
    routes::{Call, Serve},
    tokens::{Bearer, Wish},
};

impl Serve for Login {
    fn admit(call: &Call<'_>, now: Timestamp) -> Result<(), Fault> {
        let bucket = Bucket {
            kind: "login",
            limit: call.home.config.limits.login,
            peer: &call.request.peer,
        };
        bucket.check_and_take(call.tx, now)
    }

    fn serve(self, call: &Call<'_>, cx: &mut Cx<'_>) -> Result<LoginResponse, Fault> {
        let wish = Wish::new(
            self.device_id.as_deref(),
            self.initial_device_display_name.as_deref(),
            self.refresh_token,
        )?;
        let (id, localpart) = match self.login_type.as_str() {
            "m.login.password" => by_password(&self, call, cx)?,
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

fn by_password(login: &Login, call: &Call<'_>, cx: &mut Cx<'_>) -> Result<(i64, String), Fault> {
    let user = user_of(login)?;
    let Some(password) = &login.password else {
        return Err(Refusal::missing("password").into());
    };
    let localpart = user.and_then(|user| names::existing_localpart(&call.home.config, user));
    let account: Option<(i64, Option<String>)> = call
        .tx
        .query_row(
            "SELECT id, password_hash FROM users WHERE localpart = ?1",
            [&localpart],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let stored = account.as_ref().and_then(|(_, hash)| hash.as_deref());
    let right = passwords::verify(cx, stored, password.expose())?;
    let (Some((id, _)), Some(localpart), true) = (account, localpart, right) else {
        // One sentence for both, so that it does not tell which usernames exist.
        let error = "there is no such user, or the password is wrong";
        return Err(Refusal::new(403, ErrorCode::Forbidden, error).into());
    };
    Ok((id, localpart))
}

fn by_token(login: &Login, call: &Call<'_>, cx: &Cx<'_>) -> Result<(i64, String), Fault> {
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
    fn serve(self, call: &Call<'_>, cx: &mut Cx<'_>) -> Result<LogoutResponse, Fault> {
        let bearer = not_a_guest(call.bearer(cx.now)?)?;
        call.tx.execute(
            "DELETE FROM devices WHERE user = ?1 AND id = ?2",
            params![bearer.user, bearer.device],
        )?;
        Ok(LogoutResponse::default())
    }
}

impl Serve for LogoutAll {
    fn serve(self, call: &Call<'_>, cx: &mut Cx<'_>) -> Result<LogoutAllResponse, Fault> {
        let bearer = not_a_guest(call.bearer(cx.now)?)?;
        call.tx
            .execute("DELETE FROM devices WHERE user = ?1", [bearer.user])?;
        Ok(LogoutAllResponse::default())
    }
}

/// Logging out is not among the
/// [endpoints for guests](https://spec.matrix.org/v1.19/client-server-api/#guest-access).
fn not_a_guest(bearer: Bearer) -> Result<Bearer, Refusal> {
    if bearer.is_guest {
        let error = "guests cannot do this; register first";
        return Err(Refusal::new(403, ErrorCode::GuestAccessForbidden, error));
    }
    Ok(bearer)
}

/// The localpart or user id that the request names in the new way or the old one; none where it is
/// somebody's email address or telephone number, for nobody here has one.
fn user_of(login: &Login) -> Result<Option<&str>, Refusal> {
    let Some(UserIdentifier { kind, extra }) = &login.identifier else {
        if login.user.is_none() && login.address.is_none() {
            return Err(Refusal::missing("identifier"));
        }
        return Ok(login.user.as_deref());
    };
    match (kind.as_str(), extra.get("user")) {
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
