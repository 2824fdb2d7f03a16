//! [Profiles](https://spec.matrix.org/v1.19/client-server-api/#profiles): what users tell of
//! themselves.

use matricula_api::{
    ErrorCode, UserId,
    client::profile::{
        DeleteProfileField, DeleteProfileFieldResponse, GetProfileField, GetUserProfile,
        GetUserProfileResponse, SetProfileField, SetProfileFieldResponse,
    },
};
use matricula_core::{StepContext, Timestamp};
use rusqlite::{OptionalExtension, params};
use serde_json::{Map, Value};

use crate::engine::{
    names,
    refusal::{ApiError, HandlerError},
    routes::{Handler, RequestContext},
};

/// The longest name of a field, in bytes.
const MAX_KEY: usize = 255;
/// The largest profile, in bytes of JSON.
const MAX_PROFILE: usize = 64 * 1024;
/// The longest display name, in characters, and the longest address of an avatar.
const MAX_DISPLAY_NAME: usize = 256;
const MAX_AVATAR_URL: usize = 1_000;

const DISPLAY_NAME: &str = "displayname";
const AVATAR_URL: &str = "avatar_url";

impl Handler for GetUserProfile {
    fn handle(
        self,
        call: &RequestContext<'_>,
        _: &mut StepContext<'_>,
    ) -> Result<GetUserProfileResponse, HandlerError> {
        let user = call.profile_owner(&self.user_id)?;
        let fields = Value::Object(call.profile(user)?);
        Ok(serde_json::from_value(fields)?)
    }
}

impl Handler for GetProfileField {
    fn handle(
        self,
        call: &RequestContext<'_>,
        _: &mut StepContext<'_>,
    ) -> Result<Map<String, Value>, HandlerError> {
        let user = call.profile_owner(&self.user_id)?;
        let (name, value) = call
            .profile(user)?
            .remove_entry(&self.key_name)
            .ok_or_else(|| not_found("the profile has no such field"))?;
        Ok(Map::from_iter([(name, value)]))
    }
}

impl Handler for SetProfileField {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SetProfileFieldResponse, HandlerError> {
        let user = call.own_profile(cx.now, &self.user_id)?;
        check_field(&self.key_name, &self.value)?;
        let mut profile = call.profile(user)?;
        profile.insert(self.key_name.clone(), self.value.clone());
        if serde_json::to_string(&profile)?.len() > MAX_PROFILE {
            let error = format!("a profile has at most {MAX_PROFILE} bytes");
            return Err(ApiError::new(400, ErrorCode::ProfileTooLarge, error).into());
        }
        call.set_profile_field(user, &self.key_name, &self.value)?;
        Ok(SetProfileFieldResponse::default())
    }
}

impl Handler for DeleteProfileField {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<DeleteProfileFieldResponse, HandlerError> {
        let user = call.own_profile(cx.now, &self.user_id)?;
        call.tx.execute(
            "DELETE FROM profile_fields WHERE user = ?1 AND name = ?2",
            params![user, self.key_name],
        )?;
        Ok(DeleteProfileFieldResponse::default())
    }
}

impl RequestContext<'_> {
    /// Sets the display name of a user, once it is [checked](check_display_name).
    pub(in crate::engine) fn set_display_name(
        &self,
        user: i64,
        name: &str,
    ) -> Result<(), HandlerError> {
        self.set_profile_field(user, DISPLAY_NAME, &name.into())
    }

    fn set_profile_field(&self, user: i64, name: &str, value: &Value) -> Result<(), HandlerError> {
        self.tx.execute(
            "INSERT OR REPLACE INTO profile_fields (user, name, value) VALUES (?1, ?2, ?3)",
            params![user, name, value.to_string()],
        )?;
        Ok(())
    }

    /// The user of a profile that anybody may look at.
    fn profile_owner(&self, user_id: &UserId) -> Result<i64, HandlerError> {
        let localpart = names::existing_localpart(&self.homeserver.config, user_id.as_str());
        let sql = "SELECT id FROM users WHERE localpart = ?1";
        let user = self.tx.query_row(sql, [localpart], |row| row.get(0));
        user.optional()?
            .ok_or_else(|| not_found("this server has no such user").into())
    }

    /// The user of a profile that whoever asks may change. Guests may change theirs.
    fn own_profile(&self, now: Timestamp, user_id: &UserId) -> Result<i64, HandlerError> {
        let bearer = self.authenticate(now)?;
        if bearer.is_suspended {
            let error = "this account is suspended; its profile stays as it is";
            return Err(ApiError::new(403, ErrorCode::UserSuspended, error).into());
        }
        if names::user_id(&self.homeserver.config, &bearer.localpart)? != *user_id {
            let error = "this is somebody else's profile";
            return Err(ApiError::new(403, ErrorCode::Forbidden, error).into());
        }
        Ok(bearer.user)
    }

    pub(in crate::engine) fn profile(&self, user: i64) -> Result<Map<String, Value>, HandlerError> {
        let sql = "SELECT name, value FROM profile_fields WHERE user = ?1";
        let mut statement = self.tx.prepare(sql)?;
        let rows = statement.query_map([user], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?;
        let mut profile = Map::new();
        for row in rows {
            let (name, value) = row?;
            profile.insert(name, serde_json::from_str(&value)?);
        }
        Ok(profile)
    }
}

/// Refuses what is no display name.
pub(in crate::engine) fn check_display_name(name: &str) -> Result<(), ApiError> {
    check_field(DISPLAY_NAME, &name.into())
}

fn check_field(name: &str, value: &Value) -> Result<(), ApiError> {
    if name.len() > MAX_KEY {
        let error = format!("the name of a field has at most {MAX_KEY} bytes");
        return Err(ApiError::new(400, ErrorCode::KeyTooLarge, error));
    }
    // https://spec.matrix.org/v1.19/appendices/#common-namespaced-identifier-grammar
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let begins_well = name.starts_with(|first: char| first.is_ascii_lowercase());
    if !begins_well || !name.bytes().all(allowed) {
        let error = "the name of a field is made of a-z, 0-9 and . _ - and begins with a letter";
        return Err(ApiError::new(400, ErrorCode::InvalidParam, error));
    }
    let longest = match name {
        DISPLAY_NAME => MAX_DISPLAY_NAME,
        AVATAR_URL => MAX_AVATAR_URL,
        _ => return Ok(()),
    };
    match value {
        Value::String(text) if text.chars().count() <= longest => Ok(()),
        _ => {
            let error = format!("{name} is a text of at most {longest} characters");
            Err(ApiError::new(400, ErrorCode::InvalidParam, error))
        }
    }
}

fn not_found(error: &'static str) -> ApiError {
    ApiError::new(404, ErrorCode::NotFound, error)
}
