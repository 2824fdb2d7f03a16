//! [Profiles](https://spec.matrix.org/v1.19/client-server-api/#profiles).

use matricula_api::{
    ErrorCode, UserId,
    client::profile::{
        DeleteProfileField, DeleteProfileFieldResponse, GetProfileField, GetUserProfile,
        GetUserProfileResponse, SetProfileField, SetProfileFieldResponse,
    },
};
use matricula_core::{StepContext, Timestamp};
use serde_json::{Map, Value};

use crate::engine::{
    auth::{localpart, user_lookup::user_by_name},
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    presence,
    rooms::update_profile,
    storage::{profiles, users},
};

/// The longest name of a field, in bytes.
const MAX_KEY: usize = 255;
/// The largest profile, in bytes of JSON.
const MAX_PROFILE: usize = 64 * 1024;
/// The longest display name and the longest avatar URL, in characters.
const MAX_DISPLAY_NAME: usize = 256;
const MAX_AVATAR_URL: usize = 1_000;

const DISPLAY_NAME: &str = "displayname";
const AVATAR_URL: &str = "avatar_url";

impl Handler for GetUserProfile {
    fn handle(
        self,
        context: &RequestContext<'_>,
        _: &mut StepContext<'_>,
    ) -> Result<GetUserProfileResponse, HandlerError> {
        let user = profile_owner(context, &self.user_id)?;
        let fields = Value::Object(profile(context, user)?);
        Ok(serde_json::from_value(fields)?)
    }
}

impl Handler for GetProfileField {
    fn handle(
        self,
        context: &RequestContext<'_>,
        _: &mut StepContext<'_>,
    ) -> Result<Map<String, Value>, HandlerError> {
        let user = profile_owner(context, &self.user_id)?;
        let (name, value) = profile(context, user)?
            .remove_entry(&self.key_name)
            .ok_or_else(|| not_found("the profile has no such field"))?;
        Ok(Map::from_iter([(name, value)]))
    }
}

impl Handler for SetProfileField {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<SetProfileFieldResponse, HandlerError> {
        let user = own_profile(context, cx.now, &self.user_id)?;
        check_field(&self.key_name, &self.value)?;
        let mut profile = profile(context, user)?;
        profile.insert(self.key_name.clone(), self.value.clone());
        if serde_json::to_string(&profile)?.len() > MAX_PROFILE {
            let error = format!("a profile must have at most {MAX_PROFILE} bytes");
            return Err(ApiError::new(400, ErrorCode::ProfileTooLarge, error).into());
        }
        set_field(context, user, &self.key_name, &self.value)?;
        update_profile(context, cx, &self.user_id)?;
        Ok(SetProfileFieldResponse::default())
    }
}

impl Handler for DeleteProfileField {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<DeleteProfileFieldResponse, HandlerError> {
        let user = own_profile(context, cx.now, &self.user_id)?;
        profiles::delete(context.tx, user, &self.key_name)?;
        update_profile(context, cx, &self.user_id)?;
        show_change(context, user, &self.key_name)?;
        Ok(DeleteProfileFieldResponse::default())
    }
}

/// Sets the display name of a user; [check](check_display_name) it first.
pub(crate) fn set_display_name(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    user: i64,
    name: &str,
) -> Result<(), HandlerError> {
    set_field(context, user, DISPLAY_NAME, &name.into())?;
    let localpart = users::get(context.tx, user)?.localpart;
    update_profile(
        context,
        cx,
        &localpart::user_id(context.config, &localpart)?,
    )
}

fn set_field(
    context: &RequestContext<'_>,
    user: i64,
    name: &str,
    value: &Value,
) -> Result<(), HandlerError> {
    profiles::set(context.tx, user, name, &value.to_string())?;
    show_change(context, user, name)
}

/// Shows a changed display name or avatar to those who share a room with the user.
fn show_change(context: &RequestContext<'_>, user: i64, name: &str) -> Result<(), HandlerError> {
    if [DISPLAY_NAME, AVATAR_URL].contains(&name) {
        let user = users::get(context.tx, user)?;
        let user_id = localpart::user_id(context.config, &user.localpart)?;
        presence::on_profile_change(context, user_id.as_str())?;
    }
    Ok(())
}

/// The user of a profile. Any client may read it.
fn profile_owner(context: &RequestContext<'_>, user_id: &UserId) -> Result<i64, HandlerError> {
    match user_by_name(context, Some(user_id.as_str()))? {
        Some(user) => Ok(user.id),
        None => Err(not_found("this server has no such user").into()),
    }
}

/// The requester, if the profile is the requester's. Guests may change theirs.
fn own_profile(
    context: &RequestContext<'_>,
    now: Timestamp,
    user_id: &UserId,
) -> Result<i64, HandlerError> {
    let requester = context.authenticate(now)?;
    if requester.is_suspended {
        let error = "this account is suspended; it cannot change its profile";
        return Err(ApiError::new(403, ErrorCode::UserSuspended, error).into());
    }
    if localpart::user_id(context.config, &requester.localpart)? != *user_id {
        let error = "this is the profile of another user";
        return Err(ApiError::new(403, ErrorCode::Forbidden, error).into());
    }
    Ok(requester.user)
}

/// The fields of a profile.
pub(crate) fn profile(
    context: &RequestContext<'_>,
    user: i64,
) -> Result<Map<String, Value>, HandlerError> {
    let mut profile = Map::new();
    for (name, value) in profiles::fields(context.tx, user)? {
        profile.insert(name, serde_json::from_str(&value)?);
    }
    Ok(profile)
}

/// Rejects an invalid display name.
pub(crate) fn check_display_name(name: &str) -> Result<(), ApiError> {
    check_field(DISPLAY_NAME, &name.into())
}

fn check_field(name: &str, value: &Value) -> Result<(), ApiError> {
    if name.len() > MAX_KEY {
        let error = format!("the name of a field must have at most {MAX_KEY} bytes");
        return Err(ApiError::new(400, ErrorCode::KeyTooLarge, error));
    }
    // https://spec.matrix.org/v1.19/appendices/#common-namespaced-identifier-grammar
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let begins_well = name.starts_with(|first: char| first.is_ascii_lowercase());
    if !begins_well || !name.bytes().all(allowed) {
        let error =
            "the name of a field may contain only a-z, 0-9 and . _ - and must begin with a letter";
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
            let error = format!("{name} must be a string of at most {longest} characters");
            Err(ApiError::new(400, ErrorCode::InvalidParam, error))
        }
    }
}

fn not_found(error: &'static str) -> ApiError {
    ApiError::new(404, ErrorCode::NotFound, error)
}
