//! Logging in with a password, and out again.

use matricula_job::Cx;
use rusqlite::{OptionalExtension, Transaction, params};
use serde_json::{Value, json};

use super::{
    Homeserver, Request, Response,
    body::Body,
    limits::Bucket,
    names, passwords,
    refusal::{Fault, Refusal},
    tokens::{Bearer, Wish},
};

impl Homeserver {
    /// `POST /login`
    pub(super) fn login(
        &self,
        cx: &mut Cx<'_>,
        tx: &Transaction<'_>,
        request: &Request,
    ) -> Result<Response, Fault> {
        Bucket {
            kind: "login",
            limit: self.config.limits.login,
            peer: &request.peer,
        }
        .check_and_take(tx, cx.now)?;
        let mut body = Body::parse(&request.body)?;
        if body.required_text("type")? != "m.login.password" {
            let error = "this server logs in with m.login.password alone";
            return Err(Refusal::new(400, "M_UNKNOWN", error).into());
        }
        let user = user_of(&mut body)?;
        let password = body.required_text("password")?;
        let wish = Wish::of(&body)?;
        let localpart = user.and_then(|user| names::existing_localpart(&self.config, &user));
        let account: Option<(i64, Option<String>)> = tx
            .query_row(
                "SELECT id, password_hash FROM users WHERE localpart = ?1",
                [&localpart],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let stored = account.as_ref().and_then(|(_, hash)| hash.as_deref());
        let right = passwords::verify(cx, stored, password)?;
        let (Some((id, _)), Some(localpart), true) = (&account, localpart, right) else {
            // One sentence for both, so that it does not tell which usernames exist.
            let error = "there is no such user, or the password is wrong";
            return Err(Refusal::new(403, "M_FORBIDDEN", error).into());
        };
        let mut answer = self.sign_in(cx, tx, *id, wish)?;
        let user_id = names::user_id(&self.config, &localpart);
        answer.insert("user_id".to_owned(), json!(user_id));
        Ok(Response::json(200, &Value::Object(answer)))
    }

    /// `POST /logout`. An expired token may log out too: whoever holds it wants it gone.
    pub(super) fn logout(
        &self,
        cx: &mut Cx<'_>,
        tx: &Transaction<'_>,
        request: &Request,
    ) -> Result<Response, Fault> {
        let bearer = not_a_guest(self.bearer(cx.now, tx, request)?)?;
        tx.execute(
            "DELETE FROM devices WHERE user = ?1 AND id = ?2",
            params![bearer.user, bearer.device],
        )?;
        Ok(Response::json(200, &json!({})))
    }

    /// `POST /logout/all`
    pub(super) fn logout_all(
        &self,
        cx: &mut Cx<'_>,
        tx: &Transaction<'_>,
        request: &Request,
    ) -> Result<Response, Fault> {
        let bearer = not_a_guest(self.bearer(cx.now, tx, request)?)?;
        tx.execute("DELETE FROM devices WHERE user = ?1", [bearer.user])?;
        Ok(Response::json(200, &json!({})))
    }
}

/// Logging out is not among the
/// [endpoints for guests](https://spec.matrix.org/v1.19/client-server-api/#guest-access).
fn not_a_guest(bearer: Bearer) -> Result<Bearer, Refusal> {
    if bearer.is_guest {
        let error = "guests cannot do this; register first";
        return Err(Refusal::new(403, "M_GUEST_ACCESS_FORBIDDEN", error));
    }
    Ok(bearer)
}

/// The localpart or user id that the body names in the new way or the old one; none where it is
/// somebody's email address or telephone number, for nobody here has one.
fn user_of(body: &mut Body) -> Result<Option<String>, Refusal> {
    let Some(identifier) = body.take("identifier")? else {
        let user = body.text("user")?.map(str::to_owned);
        if user.is_none() && body.text("address")?.is_none() {
            return Err(Refusal::missing("identifier"));
        }
        return Ok(user);
    };
    match identifier.text("type")? {
        Some("m.id.user") => Ok(Some(identifier.required_text("user")?.to_owned())),
        Some("m.id.thirdparty" | "m.id.phone") => Ok(None),
        Some(_) => {
            let error = "this server does not know this type of identifier";
            Err(Refusal::new(400, "M_UNKNOWN", error))
        }
        None if identifier.text("address")?.is_some() => Ok(None),
        None => Err(Refusal::missing("identifier.type")),
    }
}
