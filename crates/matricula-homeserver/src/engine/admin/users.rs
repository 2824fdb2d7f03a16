//! Users, as administrators see, make and change them.

use matricula_api::{ErrorCode, server::OutgoingResponse};
use matricula_core::{Secret, StepContext};
use rusqlite::params;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::{
    account::{
        devices::{DeviceSelection, end_devices},
        profile::check_display_name,
    },
    login, names, passwords,
    refusal::{ApiError, HandlerError},
    register::NewUser,
    routes::RequestContext,
};

/// What is set; what is not there stays as it is.
#[derive(Default, Deserialize)]
#[serde(default)]
struct UserChange {
    #[serde(deserialize_with = "secret::deserialize")]
    password: Option<Secret>,
    logout_devices: Option<bool>,
    displayname: Option<String>,
    admin: Option<bool>,
    deactivated: Option<bool>,
    locked: Option<bool>,
    suspended: Option<bool>,
}

/// How an account is shut.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Deactivation {
    erase: bool,
}

mod secret {
    use matricula_core::Secret;
    use serde::{Deserialize, Deserializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(Secret::from))
    }
}

impl RequestContext<'_> {
    pub(super) fn get_user(
        &self,
        cx: &StepContext<'_>,
        user_id: &str,
    ) -> Result<OutgoingResponse, HandlerError> {
        self.require_admin(cx.now)?;
        let localpart = self.localpart_of_id(user_id)?;
        match login::find_user(self.tx, &localpart)? {
            Some(account) => Ok(OutgoingResponse::json(&self.user_json(account.id)?)),
            None => Err(no_such_user().into()),
        }
    }

    pub(super) fn put_user(
        &self,
        cx: &mut StepContext<'_>,
        user_id: &str,
    ) -> Result<OutgoingResponse, HandlerError> {
        let admin = self.require_admin(cx.now)?;
        let change: UserChange = self.json_body()?;
        let localpart = self.localpart_of_id(user_id)?;
        let found = login::find_user(self.tx, &localpart)?.map(|it| it.id);
        self.check_change(&change, found == Some(admin.user))?;
        let user = match found {
            Some(user) => user,
            None => {
                let localpart = names::admin_localpart(&self.homeserver.config, &localpart)?;
                let account = NewUser {
                    localpart: Some(&localpart),
                    ..NewUser::default()
                };
                account.insert(self.tx, cx.now)?
            }
        };
        self.apply_change(cx, user, &change, found.is_some())?;
        let mut reply = OutgoingResponse::json(&self.user_json(user)?);
        if found.is_none() {
            reply.status = 201;
        }
        Ok(reply)
    }

    pub(super) fn deactivate_user(
        &self,
        cx: &StepContext<'_>,
        user_id: &str,
    ) -> Result<OutgoingResponse, HandlerError> {
        let admin = self.require_admin(cx.now)?;
        let how: Deactivation = self.json_body()?;
        let localpart = self.localpart_of_id(user_id)?;
        let user = login::find_user(self.tx, &localpart)?.ok_or_else(no_such_user)?;
        let change = UserChange {
            deactivated: Some(true),
            ..UserChange::default()
        };
        self.check_change(&change, user.id == admin.user)?;
        self.deactivate(user.id, how.erase)?;
        Ok(OutgoingResponse::json(
            &json!({ "id_server_unbind_result": "success" }),
        ))
    }

    /// Before anything is changed.
    fn check_change(&self, change: &UserChange, is_self: bool) -> Result<(), ApiError> {
        let ends = |flag: Option<bool>, at: bool| is_self && flag == Some(at);
        if ends(change.admin, false) || ends(change.locked, true) || ends(change.deactivated, true)
        {
            let error = "an administrator cannot do this to themselves";
            return Err(ApiError::new(400, ErrorCode::Unknown, error));
        }
        if change.deactivated == Some(false) && change.password.is_none() {
            let error = "to open an account again, set a password";
            return Err(ApiError::new(400, ErrorCode::MissingParam, error));
        }
        if let Some(name) = &change.displayname {
            check_display_name(name)?;
        }
        match &change.password {
            Some(it) => passwords::check(&self.homeserver.config.password_policy, it.expose()),
            None => Ok(()),
        }
    }

    fn apply_change(
        &self,
        cx: &mut StepContext<'_>,
        user: i64,
        change: &UserChange,
        was_there: bool,
    ) -> Result<(), HandlerError> {
        if change.deactivated == Some(true) {
            self.deactivate(user, false)?;
        }
        if let Some(password) = &change.password {
            let hash = passwords::hash(cx, password.expose())?;
            self.tx.execute(
                "UPDATE users SET password_hash = ?2 WHERE id = ?1 AND NOT is_deactivated",
                params![user, hash],
            )?;
            if change.deactivated == Some(false) {
                self.tx.execute(
                    "UPDATE users SET password_hash = ?2, is_deactivated = 0 WHERE id = ?1",
                    params![user, hash],
                )?;
            }
            if was_there && change.logout_devices.unwrap_or(true) {
                end_devices(self, user, DeviceSelection::All)?;
            }
        }
        if let Some(name) = &change.displayname {
            self.set_display_name(user, name)?;
        }
        for (flag, value) in [
            ("is_admin", change.admin),
            ("is_locked", change.locked),
            ("is_suspended", change.suspended),
        ] {
            if let Some(value) = value {
                self.set_flag(user, flag, value)?;
            }
        }
        Ok(())
    }

    /// Sets one of the flags that a user has; `flag` is a column.
    pub(super) fn set_flag(
        &self,
        user: i64,
        flag: &'static str,
        value: bool,
    ) -> Result<(), HandlerError> {
        let sql = format!("UPDATE users SET {flag} = ?2 WHERE id = ?1");
        self.tx.execute(&sql, params![user, value])?;
        Ok(())
    }

    /// The localpart of a user id of this server.
    pub(super) fn localpart_of_id(&self, user_id: &str) -> Result<String, ApiError> {
        let localpart = names::existing_localpart(&self.homeserver.config, user_id);
        localpart
            .filter(|_| user_id.starts_with('@'))
            .ok_or_else(|| {
                let error = "this is not the id of a user of this server";
                ApiError::new(400, ErrorCode::InvalidParam, error)
            })
    }

    fn user_json(&self, user: i64) -> Result<Value, HandlerError> {
        let sql = "SELECT localpart, is_admin, is_deactivated, is_locked, is_suspended, is_guest,
                 created_at FROM users WHERE id = ?1";
        let mut shown = self.tx.query_row(sql, [user], |row| {
            let localpart: String = row.get(0)?;
            let is_admin: bool = row.get(1)?;
            Ok(json!({
                "name": format!("@{localpart}:{}", self.homeserver.config.server_name),
                "admin": is_admin || self.homeserver.config.admins.contains(&localpart),
                "deactivated": row.get::<_, bool>(2)?,
                "locked": row.get::<_, bool>(3)?,
                "suspended": row.get::<_, bool>(4)?,
                "is_guest": row.get::<_, bool>(5)?,
                "creation_ts": row.get::<_, i64>(6)?,
            }))
        })?;
        let profile = self.profile(user)?;
        for name in ["displayname", "avatar_url"] {
            shown[name] = profile.get(name).cloned().unwrap_or_default();
        }
        Ok(shown)
    }
}

pub(super) fn no_such_user() -> ApiError {
    let error = "this server has no such user";
    ApiError::new(404, ErrorCode::NotFound, error)
}
