//! Users: read, create, change, deactivate.

use matricula_api::{ErrorCode, server::OutgoingResponse};
use matricula_core::{Secret, StepContext};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{json_body, require_admin};
use crate::engine::{
    account::{
        deactivate,
        profile::{check_display_name, profile, set_display_name},
    },
    auth::{
        localpart, passwords,
        session::{DeviceSelection, end_devices, end_uia_sessions},
    },
    context::RequestContext,
    error::{ApiError, HandlerError},
    storage::users::{self, Flag, NewUser},
};

/// The fields of a user to change.
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

/// The body of a deactivation.
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

/// The path of the list of users.
pub(crate) const LIST_PATH: &str = "/_synapse/admin/v2/users";
/// The path of a user; the parameter is the user id.
pub(crate) const PATH: &str = "/_synapse/admin/v2/users/{}";
/// The path of the deactivation of a user.
pub(crate) const DEACTIVATE_PATH: &str = "/_synapse/admin/v1/deactivate/{}";

/// Lists users, page by page.
pub(crate) fn list(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, HandlerError> {
    require_admin(context, cx.now)?;
    let (from, limit) = (number(context, "from", 0)?, number(context, "limit", 100)?);
    let with_deactivated = context.request.query("deactivated") == Some("true");
    let name = context.request.query("name").unwrap_or_default();
    let name = name.to_lowercase();
    let has_name = |field: &Value| {
        let text = field.as_str().unwrap_or_default().to_lowercase();
        text.contains(&name)
    };
    let mut users = Vec::new();
    for id in users::ids(context.tx)? {
        let mut user = user_json(context, id)?;
        if (with_deactivated || user["deactivated"] == false)
            && (has_name(&user["name"]) || has_name(&user["displayname"]))
        {
            // A list has milliseconds, a single user has seconds.
            user["creation_ts"] = json!(user["creation_ts"].as_i64().unwrap_or(0) * 1_000);
            users.push(user);
        }
    }
    let (total, end) = (users.len(), from.saturating_add(limit));
    let page: Vec<Value> = users.into_iter().skip(from).take(limit).collect();
    let mut list = json!({ "users": page, "total": total });
    if end < total {
        list["next_token"] = json!(end.to_string());
    }
    Ok(OutgoingResponse::json(&list))
}

/// A number in the query.
fn number(context: &RequestContext<'_>, name: &str, default: usize) -> Result<usize, ApiError> {
    let Some(text) = context.request.query(name) else {
        return Ok(default);
    };
    text.parse().map_err(|_| {
        let error = format!("{name} must be a whole number");
        ApiError::new(400, ErrorCode::InvalidParam, error)
    })
}

/// Returns a user.
pub(crate) fn get(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    path: &[String],
) -> Result<OutgoingResponse, HandlerError> {
    require_admin(context, cx.now)?;
    let localpart = localpart_of_id(context, &path[0])?;
    match users::find(context.tx, &localpart)? {
        Some(account) => Ok(OutgoingResponse::json(&user_json(context, account.id)?)),
        None => Err(no_such_user().into()),
    }
}

/// Creates or changes a user.
pub(crate) fn put(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    path: &[String],
) -> Result<OutgoingResponse, HandlerError> {
    let admin = require_admin(context, cx.now)?;
    let change: UserChange = json_body(context)?;
    let localpart = localpart_of_id(context, &path[0])?;
    let found = users::find(context.tx, &localpart)?.map(|it| it.id);
    check_change(context, &change, found == Some(admin.user))?;
    let user = match found {
        Some(user) => user,
        None => {
            let localpart = localpart::admin_localpart(context.config, &localpart)?;
            let account = NewUser {
                localpart: Some(&localpart),
                ..NewUser::default()
            };
            account.insert(context.tx, cx.now)?
        }
    };
    apply_change(context, cx, user, &change, found.is_some())?;
    let mut reply = OutgoingResponse::json(&user_json(context, user)?);
    if found.is_none() {
        reply.status = 201;
    }
    Ok(reply)
}

/// Deactivates a user.
pub(crate) fn deactivate(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    path: &[String],
) -> Result<OutgoingResponse, HandlerError> {
    let admin = require_admin(context, cx.now)?;
    let how: Deactivation = json_body(context)?;
    let localpart = localpart_of_id(context, &path[0])?;
    let user = users::find(context.tx, &localpart)?.ok_or_else(no_such_user)?;
    let change = UserChange {
        deactivated: Some(true),
        ..UserChange::default()
    };
    check_change(context, &change, user.id == admin.user)?;
    deactivate::deactivate(context, user.id, how.erase)?;
    Ok(OutgoingResponse::json(
        &json!({ "id_server_unbind_result": "success" }),
    ))
}

/// Checks a change before anything is changed.
fn check_change(
    context: &RequestContext<'_>,
    change: &UserChange,
    is_self: bool,
) -> Result<(), ApiError> {
    let ends = |flag: Option<bool>, at: bool| is_self && flag == Some(at);
    if ends(change.admin, false) || ends(change.locked, true) || ends(change.deactivated, true) {
        let error = "administrators cannot do this to themselves";
        return Err(ApiError::new(400, ErrorCode::Unknown, error));
    }
    if change.deactivated == Some(false) && change.password.is_none() {
        let error = "to reactivate an account, set a password";
        return Err(ApiError::new(400, ErrorCode::MissingParam, error));
    }
    if let Some(name) = &change.displayname {
        check_display_name(name)?;
    }
    match &change.password {
        Some(it) => passwords::check(&context.config.password_policy, it.expose()),
        None => Ok(()),
    }
}

fn apply_change(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    user: i64,
    change: &UserChange,
    existed: bool,
) -> Result<(), HandlerError> {
    let tx = context.tx;
    if change.deactivated == Some(true) {
        deactivate::deactivate(context, user, false)?;
    }
    if let Some(password) = &change.password {
        let hash = passwords::hash(cx, password.expose())?;
        if change.deactivated == Some(false) {
            users::reactivate(tx, user, &hash)?;
        } else {
            users::set_password_hash(tx, user, &hash)?;
            end_uia_sessions(context, user)?;
        }
        if existed && change.logout_devices.unwrap_or(true) {
            end_devices(context, user, DeviceSelection::All)?;
        }
    }
    if let Some(name) = &change.displayname {
        set_display_name(context, cx, user, name)?;
    }
    for (flag, value) in [
        (Flag::Admin, change.admin),
        (Flag::Locked, change.locked),
        (Flag::Suspended, change.suspended),
    ] {
        if let Some(value) = value {
            users::set_flag(tx, user, flag, value)?;
        }
    }
    Ok(())
}

/// The localpart in a user id of this server.
pub(super) fn localpart_of_id(
    context: &RequestContext<'_>,
    user_id: &str,
) -> Result<String, ApiError> {
    let localpart = localpart::existing_localpart(context.config, user_id);
    localpart
        .filter(|_| user_id.starts_with('@'))
        .ok_or_else(|| {
            let error = "this is not the id of a user of this server";
            ApiError::new(400, ErrorCode::InvalidParam, error)
        })
}

fn user_json(context: &RequestContext<'_>, user: i64) -> Result<Value, HandlerError> {
    let config = context.config;
    let user = users::get(context.tx, user)?;
    let profile = profile(context, user.id)?;
    let field = |name: &str| profile.get(name).cloned().unwrap_or_default();
    Ok(json!({
        "name": localpart::user_id(config, &user.localpart)?,
        "admin": user.is_admin || config.admins.contains(&user.localpart),
        "deactivated": user.is_deactivated,
        "locked": user.is_locked,
        "suspended": user.is_suspended,
        "is_guest": user.is_guest,
        "creation_ts": user.created_at / 1_000,
        "displayname": field("displayname"),
        "avatar_url": field("avatar_url"),
    }))
}

/// There is no such user.
pub(super) fn no_such_user() -> ApiError {
    let error = "this server has no such user";
    ApiError::new(404, ErrorCode::NotFound, error)
}
