//! [Registration](https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3register) of
//! users and guests.

use std::borrow::Cow;

use matricula_api::{
    ErrorCode,
    client::registration::{
        CheckUsernameAvailability, CheckUsernameAvailabilityResponse, Register, RegisterKind,
        RegisterResponse,
    },
};
use matricula_core::{StepContext, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};
use serde_json::Value;

use super::{
    Homeserver, Request,
    appservice::SERVICE,
    limits::Bucket,
    millis, names, passwords,
    refusal::{ApiError, HandlerError},
    routes::{Handler, RequestContext},
    tokens::{DeviceParams, bounded, find_requester},
    uia::{RegistrationParams, UiaSession, registration_closed},
};
use crate::Registration;

impl Handler for Register {
    fn precheck(call: &RequestContext<'_>, now: Timestamp) -> Result<(), HandlerError> {
        call.registration_bucket().check(call.tx, now)
    }

    /// Of a guest's request only the device's name counts; the rest is ignored, whatever it is.
    fn effective_body(request: &Request) -> Cow<'_, [u8]> {
        if request.query("kind") != Some(RegisterKind::Guest.as_str()) {
            return Cow::Borrowed(&request.body);
        }
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(&request.body) else {
            return Cow::Borrowed(&request.body);
        };
        fields.retain(|name, _| name == "initial_device_display_name");
        Cow::Owned(Value::Object(fields).to_string().into_bytes())
    }

    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<RegisterResponse, HandlerError> {
        match self.kind {
            None | Some(RegisterKind::User) => call.register_user(cx, &self),
            Some(RegisterKind::Guest) => call.register_guest(cx, &self),
            _ => {
                let error = "the kind of an account is user or guest";
                Err(ApiError::new(400, ErrorCode::Unrecognized, error).into())
            }
        }
    }
}

impl Handler for CheckUsernameAvailability {
    fn precheck(call: &RequestContext<'_>, _: Timestamp) -> Result<(), HandlerError> {
        match call.homeserver.config.registration {
            Registration::Closed => Err(registration_closed().into()),
            Registration::Open => Ok(()),
        }
    }

    fn handle(
        self,
        call: &RequestContext<'_>,
        _: &mut StepContext<'_>,
    ) -> Result<CheckUsernameAvailabilityResponse, HandlerError> {
        call.homeserver
            .available_localpart(call.tx, &self.username, None)?;
        Ok(CheckUsernameAvailabilityResponse::default().available(true))
    }
}

impl RequestContext<'_> {
    fn register_user(
        &self,
        cx: &mut StepContext<'_>,
        asked: &Register,
    ) -> Result<RegisterResponse, HandlerError> {
        let Self {
            homeserver: home,
            tx,
            ..
        } = *self;
        if self
            .token()
            .is_some_and(|it| home.find_service(it).is_some())
            && asked.login_type.as_deref() != Some(SERVICE)
        {
            let error = "an application service registers users with the type \
                         m.login.application_service";
            return Err(ApiError::new(400, ErrorCode::Unknown, error).into());
        }
        if asked.login_type.as_deref() == Some(SERVICE) {
            return self.register_by_service(cx, asked);
        }
        if home.config.is_oauth_only() {
            let error = "accounts are made on the page of the authorization server";
            return Err(ApiError::new(403, ErrorCode::Forbidden, error).into());
        }
        if home.config.registration == Registration::Closed {
            return Err(registration_closed().into());
        }
        let auth = asked.auth.as_ref();
        let mut session = match auth.and_then(|auth| auth.session.as_deref()) {
            Some(id) => UiaSession::load(tx, cx.now, id)?,
            None => UiaSession::new(cx),
        };
        if let Some(user) = session.user {
            return home.registration_response(cx, tx, user, &session.params);
        }
        // Before authentication, and by each request anew until there is an account.
        let localpart = home.merge_params(cx, tx, &mut session.params, asked)?;
        let mut failure = None;
        if let Some(auth) = auth
            && let Some(stage) = &auth.stage
        {
            failure = self.try_stage(cx, &mut session, stage.as_str(), auth)?;
        }
        if !home.is_authenticated(&session) {
            let info = home.uia_info(tx, cx.now, &mut session, failure)?;
            return Err(HandlerError::Uia(Box::new(info)));
        }
        let Some(password_hash) = session.params.password_hash.take() else {
            session.save(tx, cx.now)?;
            return Err(ApiError::missing_param("password").into());
        };
        for proved in &session.threepids {
            proved.threepid.check_free(tx)?;
        }
        self.registration_bucket().take(tx, cx.now)?;
        let account = NewUser {
            localpart: localpart.as_deref(),
            password_hash: Some(&password_hash),
            accepted_policies: session.accepted_policies(),
            is_guest: false,
        };
        let user = match session.params.guest {
            Some(guest) => account.replace_guest(tx, guest)?,
            None => account.insert(tx, cx.now)?,
        };
        for proved in &session.threepids {
            let at = proved.validated_at;
            proved.threepid.add_to_user(tx, cx.now, user, at)?;
        }
        session.count_token_use(tx)?;
        session.user = Some(user);
        session.save(tx, cx.now)?;
        home.registration_response(cx, tx, user, &session.params)
    }

    fn register_guest(
        &self,
        cx: &mut StepContext<'_>,
        asked: &Register,
    ) -> Result<RegisterResponse, HandlerError> {
        if !self.homeserver.config.guests || self.homeserver.config.is_oauth_only() {
            let error = "this server takes no guests; register as a user";
            return Err(ApiError::new(403, ErrorCode::Forbidden, error).into());
        }
        let name = asked.initial_device_display_name.as_deref();
        bounded("initial_device_display_name", name)?;
        let wanted = RegistrationParams {
            display_name: name.map(str::to_owned),
            ..RegistrationParams::default()
        };
        self.registration_bucket().take(self.tx, cx.now)?;
        let guest = NewUser {
            is_guest: true,
            ..NewUser::default()
        };
        let user = guest.insert(self.tx, cx.now)?;
        self.homeserver
            .registration_response(cx, self.tx, user, &wanted)
    }

    pub(super) fn registration_bucket(&self) -> Bucket<'_> {
        Bucket {
            kind: "registration",
            limit: self.homeserver.config.limits.registration,
            key: &self.request.peer,
        }
    }
}

impl Homeserver {
    /// Adds to what the session wants whatever this request says first, and checks that it can be
    /// had. The localpart that it will be, if the client chose one.
    fn merge_params(
        &self,
        cx: &mut StepContext<'_>,
        tx: &Transaction<'_>,
        wanted: &mut RegistrationParams,
        asked: &Register,
    ) -> Result<Option<String>, HandlerError> {
        if wanted.guest.is_none()
            && let Some(token) = &asked.guest_access_token
        {
            wanted.guest = Some(guest_by_token(tx, cx.now, token.expose())?);
        }
        let given = asked.username.as_deref();
        let localpart = self.merge_username(tx, wanted, given)?;
        if wanted.password_hash.is_none()
            && let Some(password) = &asked.password
        {
            let password = password.expose();
            passwords::check(&self.config.password_policy, password)?;
            wanted.password_hash = Some(passwords::hash(cx, password)?);
        }
        let wish = DeviceParams::new(
            asked.device_id.as_deref(),
            asked.initial_device_display_name.as_deref(),
            asked.refresh_token,
        )?;
        let or = |first: Option<String>, given: Option<&str>| first.or(given.map(str::to_owned));
        wanted.device_id = or(wanted.device_id.take(), wish.device_id);
        wanted.display_name = or(wanted.display_name.take(), wish.display_name);
        wanted.inhibit_login = wanted.inhibit_login.or(asked.inhibit_login);
        wanted.refresh_token = wanted.refresh_token.or(asked.refresh_token);
        Ok(localpart)
    }

    fn merge_username(
        &self,
        tx: &Transaction<'_>,
        wanted: &mut RegistrationParams,
        given: Option<&str>,
    ) -> Result<Option<String>, HandlerError> {
        let Some(first) = wanted.username.clone().or(given.map(str::to_owned)) else {
            return match wanted.guest {
                Some(_) => Err(ApiError::missing_param("username").into()),
                None => Ok(None),
            };
        };
        let (username, localpart) =
            match (self.available_localpart(tx, &first, wanted.guest), given) {
                (Ok(localpart), _) => (first, localpart),
                // The first choice was taken meanwhile: the session may go on with another.
                (Err(HandlerError::Api(_)), Some(given)) => {
                    let localpart = self.available_localpart(tx, given, wanted.guest)?;
                    (given.to_owned(), localpart)
                }
                (Err(fault), _) => return Err(fault),
            };
        wanted.username = Some(username);
        Ok(Some(localpart))
    }

    /// The localpart of a username, if it can be had; by the guest who has it, where one asks.
    pub(super) fn available_localpart(
        &self,
        tx: &Transaction<'_>,
        username: &str,
        guest: Option<i64>,
    ) -> Result<String, HandlerError> {
        let localpart = names::new_localpart(&self.config, username, guest.is_some())?;
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
                Err(ApiError::new(403, ErrorCode::Forbidden, error).into())
            }
            _ => {
                let error = "this username is taken; choose another";
                Err(ApiError::new(400, ErrorCode::UserInUse, error).into())
            }
        }
    }

    /// The answer to a registration that succeeded, now or in an earlier request of its session.
    pub(super) fn registration_response(
        &self,
        cx: &mut StepContext<'_>,
        tx: &Transaction<'_>,
        user: i64,
        wanted: &RegistrationParams,
    ) -> Result<RegisterResponse, HandlerError> {
        let localpart: String =
            tx.query_row("SELECT localpart FROM users WHERE id = ?1", [user], |row| {
                row.get(0)
            })?;
        let answer = RegisterResponse::new(names::user_id(&self.config, &localpart)?);
        if wanted.inhibit_login.unwrap_or(false) {
            return Ok(answer);
        }
        let wish = DeviceParams {
            device_id: wanted.device_id.as_deref(),
            display_name: wanted.display_name.as_deref(),
            refresh_token: wanted.refresh_token.unwrap_or(false),
            lifetime: None,
        };
        let (device_id, tokens) = self.sign_in(cx, tx, user, wish)?;
        Ok(RegisterResponse {
            access_token: Some(tokens.access),
            refresh_token: tokens.refresh,
            expires_in_ms: tokens.lifetime,
            device_id: Some(device_id),
            ..answer
        })
    }
}

/// An account to be.
#[derive(Default)]
pub(super) struct NewUser<'a> {
    pub(super) localpart: Option<&'a str>,
    pub(super) password_hash: Option<&'a str>,
    pub(super) accepted_policies: Option<&'a str>,
    pub(super) is_guest: bool,
}

impl NewUser<'_> {
    /// Makes the account. Where nobody chose a localpart it is the account's number: usernames of
    /// digits alone are refused, so that nobody else can have it.
    pub(super) fn insert(&self, tx: &Transaction<'_>, now: Timestamp) -> Result<i64, HandlerError> {
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

    /// Makes a guest's account a user's. What the guest was signed in with is dead.
    fn replace_guest(&self, tx: &Transaction<'_>, guest: i64) -> Result<i64, HandlerError> {
        tx.execute("DELETE FROM devices WHERE user = ?1", [guest])?;
        tx.execute(
            "UPDATE users SET password_hash = ?2, is_guest = 0, accepted_policies = ?3 WHERE id = ?1",
            params![guest, self.password_hash, self.accepted_policies],
        )?;
        Ok(guest)
    }
}

fn guest_by_token(tx: &Transaction<'_>, now: Timestamp, token: &str) -> Result<i64, HandlerError> {
    match find_requester(tx, now, token)? {
        Some((bearer, _)) if bearer.is_guest => Ok(bearer.user),
        _ => {
            let error = "guest_access_token is not a guest's access token";
            Err(ApiError::new(403, ErrorCode::Forbidden, error).into())
        }
    }
}
