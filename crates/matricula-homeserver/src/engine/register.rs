//! [Registration](https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3register) of
//! users and guests.

use matricula_job::{Cx, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};
use serde_json::{Value, json};

use super::{
    Homeserver, Request, Response,
    body::Body,
    limits::Bucket,
    millis, names, passwords,
    refusal::{Fault, Refusal},
    tokens::{Wish, bearer_of},
    uia::{Session, Wanted, closed},
};
use crate::Registration;

impl Homeserver {
    /// `POST /register`
    pub(super) fn register(
        &self,
        cx: &mut Cx<'_>,
        tx: &Transaction<'_>,
        request: &Request,
    ) -> Result<Response, Fault> {
        self.registration_bucket(request).check(tx, cx.now)?;
        match request.query("kind").unwrap_or("user") {
            "user" => self.register_user(cx, tx, request),
            "guest" => self.register_guest(cx, tx, request),
            _ => {
                let error = "the kind of an account is user or guest";
                Err(Refusal::new(400, "M_UNRECOGNIZED", error).into())
            }
        }
    }

    fn register_user(
        &self,
        cx: &mut Cx<'_>,
        tx: &Transaction<'_>,
        request: &Request,
    ) -> Result<Response, Fault> {
        let mut body = Body::parse(&request.body)?;
        if body.text("type")? == Some("m.login.application_service") {
            return Err(no_application_service(request).into());
        }
        if self.config.registration == Registration::Closed {
            return Err(closed().into());
        }
        let auth = body.take("auth")?;
        let id = auth.as_ref().map(|auth| auth.text("session")).transpose()?;
        let mut session = match id.flatten() {
            Some(id) => Session::load(tx, cx.now, id)?,
            None => Session::new(cx),
        };
        if let Some(user) = session.user {
            return self.welcome(cx, tx, user, &session.wanted);
        }
        // Before authentication, and by each request anew until there is an account.
        let localpart = self.remember(cx, tx, &mut session.wanted, &body)?;
        let mut failure = None;
        if let Some(auth) = &auth
            && let Some(stage) = auth.text("type")?
        {
            failure = self.attempt(cx, tx, request, &mut session, (stage, auth))?;
        }
        if !self.is_authenticated(&session) {
            return self.unfinished(tx, cx.now, &mut session, failure);
        }
        let Some(password_hash) = session.wanted.password_hash.take() else {
            session.save(tx, cx.now)?;
            return Err(Refusal::missing("password").into());
        };
        self.registration_bucket(request).take(tx, cx.now)?;
        let account = Account {
            localpart: localpart.as_deref(),
            password_hash: Some(&password_hash),
            accepted_policies: session.accepted_policies(),
        };
        let user = match session.wanted.guest {
            Some(guest) => account.replace_guest(tx, guest)?,
            None => account.insert(tx, cx.now)?,
        };
        session.spend_token(tx)?;
        session.user = Some(user);
        session.save(tx, cx.now)?;
        self.welcome(cx, tx, user, &session.wanted)
    }

    /// Adds to what the session wants whatever this request says first, and checks that it can be
    /// had. The localpart that it will be, if the client chose one.
    fn remember(
        &self,
        cx: &mut Cx<'_>,
        tx: &Transaction<'_>,
        wanted: &mut Wanted,
        body: &Body,
    ) -> Result<Option<String>, Fault> {
        if wanted.guest.is_none()
            && let Some(token) = body.text("guest_access_token")?
        {
            wanted.guest = Some(guest_of(tx, cx.now, token)?);
        }
        let localpart = self.remember_username(tx, wanted, body)?;
        if wanted.password_hash.is_none()
            && let Some(password) = body.text("password")?
        {
            passwords::check(&self.config.password_policy, password)?;
            wanted.password_hash = Some(passwords::hash(cx, password)?);
        }
        let wish = Wish::of(body)?;
        let or = |first: Option<String>, given: Option<&str>| first.or(given.map(str::to_owned));
        wanted.device_id = or(wanted.device_id.take(), wish.device_id);
        wanted.display_name = or(wanted.display_name.take(), wish.display_name);
        wanted.inhibit_login = wanted.inhibit_login.or(body.flag("inhibit_login")?);
        wanted.refresh_token = wanted.refresh_token.or(body.flag("refresh_token")?);
        Ok(localpart)
    }

    fn remember_username(
        &self,
        tx: &Transaction<'_>,
        wanted: &mut Wanted,
        body: &Body,
    ) -> Result<Option<String>, Fault> {
        let given = body.text_of_any_length("username")?.map(str::to_owned);
        let Some(first) = wanted.username.clone().or(given.clone()) else {
            return match wanted.guest {
                Some(_) => Err(Refusal::missing("username").into()),
                None => Ok(None),
            };
        };
        let (username, localpart) = match (self.free_localpart(tx, &first, wanted.guest), given) {
            (Ok(localpart), _) => (first, localpart),
            // The first choice was taken meanwhile: the session may go on with another.
            (Err(Fault::Refused(_)), Some(given)) => {
                let localpart = self.free_localpart(tx, &given, wanted.guest)?;
                (given, localpart)
            }
            (Err(fault), _) => return Err(fault),
        };
        wanted.username = Some(username);
        Ok(Some(localpart))
    }

    /// The localpart of a username, if it can be had; by the guest who has it, where one asks.
    fn free_localpart(
        &self,
        tx: &Transaction<'_>,
        username: &str,
        guest: Option<i64>,
    ) -> Result<String, Fault> {
        let localpart = names::localpart(&self.config, username, guest.is_some())?;
        let owner: Option<(i64, bool)> = tx
            .query_row(
                "SELECT id, is_guest FROM users WHERE localpart = ?1",
                [&localpart],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        match (guest, owner) {
            (None, None) => Ok(localpart),
            (Some(guest), Some((owner, true))) if guest == owner => Ok(localpart),
            (Some(_), None) => {
                let error = "a guest who registers keeps the username";
                Err(Refusal::new(403, "M_FORBIDDEN", error).into())
            }
            _ => {
                let error = "this username is taken; choose another";
                Err(Refusal::new(400, "M_USER_IN_USE", error).into())
            }
        }
    }

    /// The answer to a registration that succeeded, now or in an earlier request of its session.
    fn welcome(
        &self,
        cx: &mut Cx<'_>,
        tx: &Transaction<'_>,
        user: i64,
        wanted: &Wanted,
    ) -> Result<Response, Fault> {
        let localpart: String =
            tx.query_row("SELECT localpart FROM users WHERE id = ?1", [user], |row| {
                row.get(0)
            })?;
        let mut answer = serde_json::Map::new();
        if !wanted.inhibit_login.unwrap_or(false) {
            let wish = Wish {
                device_id: wanted.device_id.as_deref(),
                display_name: wanted.display_name.as_deref(),
                refresh_token: wanted.refresh_token.unwrap_or(false),
            };
            answer = self.sign_in(cx, tx, user, wish)?;
        }
        let user_id = names::user_id(&self.config, &localpart);
        answer.insert("user_id".to_owned(), json!(user_id));
        Ok(Response::json(200, &Value::Object(answer)))
    }

    /// Of a guest's request only the device's name counts.
    fn register_guest(
        &self,
        cx: &mut Cx<'_>,
        tx: &Transaction<'_>,
        request: &Request,
    ) -> Result<Response, Fault> {
        if !self.config.guests {
            let error = "this server takes no guests; register as a user";
            return Err(Refusal::new(403, "M_FORBIDDEN", error).into());
        }
        let body = Body::parse(&request.body)?;
        let wanted = Wanted {
            display_name: body.text("initial_device_display_name")?.map(str::to_owned),
            ..Wanted::default()
        };
        self.registration_bucket(request).take(tx, cx.now)?;
        let user = Account::default().insert(tx, cx.now)?;
        self.welcome(cx, tx, user, &wanted)
    }

    /// `GET /register/available`
    pub(super) fn available(
        &self,
        _: &mut Cx<'_>,
        tx: &Transaction<'_>,
        request: &Request,
    ) -> Result<Response, Fault> {
        if self.config.registration == Registration::Closed {
            return Err(closed().into());
        }
        let username = request
            .query("username")
            .ok_or_else(|| Refusal::missing("username"))?;
        self.free_localpart(tx, username, None)?;
        Ok(Response::json(200, &json!({ "available": true })))
    }

    fn registration_bucket<'a>(&self, request: &'a Request) -> Bucket<'a> {
        Bucket {
            kind: "registration",
            limit: self.config.limits.registration,
            peer: &request.peer,
        }
    }
}

/// An account to be; without a password it is a guest's.
#[derive(Default)]
struct Account<'a> {
    localpart: Option<&'a str>,
    password_hash: Option<&'a str>,
    accepted_policies: Option<&'a str>,
}

impl Account<'_> {
    /// Makes the account. Where nobody chose a localpart it is the account's number: usernames of
    /// digits alone are refused, so that nobody else can have it.
    fn insert(&self, tx: &Transaction<'_>, now: Timestamp) -> Result<i64, Fault> {
        tx.execute(
            "INSERT INTO users (localpart, password_hash, is_guest, accepted_policies, created_at)
             VALUES (ifnull(?1, 1 + ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'users'), 0)),
                 ?2, ?2 IS NULL, ?3, ?4)",
            params![
                self.localpart,
                self.password_hash,
                self.accepted_policies,
                millis(now)
            ],
        )?;
        Ok(tx.last_insert_rowid())
    }

    /// Makes a guest's account a user's. What the guest was signed in with is dead.
    fn replace_guest(&self, tx: &Transaction<'_>, guest: i64) -> Result<i64, Fault> {
        tx.execute("DELETE FROM devices WHERE user = ?1", [guest])?;
        tx.execute(
            "UPDATE users SET password_hash = ?2, is_guest = 0, accepted_policies = ?3 WHERE id = ?1",
            params![guest, self.password_hash, self.accepted_policies],
        )?;
        Ok(guest)
    }
}

fn guest_of(tx: &Transaction<'_>, now: Timestamp, token: &str) -> Result<i64, Fault> {
    match bearer_of(tx, now, token)? {
        Some((bearer, _)) if bearer.is_guest => Ok(bearer.user),
        _ => {
            let error = "guest_access_token is not a guest's access token";
            Err(Refusal::new(403, "M_FORBIDDEN", error).into())
        }
    }
}

/// No application service is registered with this server: whatever token comes is not one's.
fn no_application_service(request: &Request) -> Refusal {
    match request.bearer {
        None => Refusal::new(
            401,
            "M_MISSING_TOKEN",
            "an application service needs its token",
        ),
        Some(_) => Refusal::unknown_token("no application service has this token", false),
    }
}
