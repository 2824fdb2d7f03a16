//! The user that a name, an identifier or a third-party identifier means.

use matricula_api::{ErrorCode, uia::UserIdentifier};
use serde_json::Value;

use super::{localpart, threepid::Threepid};
use crate::engine::{
    context::RequestContext,
    error::{ApiError, HandlerError},
    storage::users::{self, UserRow},
};

/// The user with this localpart or user id.
pub(crate) fn user_by_name(
    context: &RequestContext<'_>,
    name: Option<&str>,
) -> Result<Option<UserRow>, HandlerError> {
    match name.and_then(|it| localpart::existing_localpart(context.config, it)) {
        Some(localpart) => Ok(users::find(context.tx, &localpart)?),
        None => Ok(None),
    }
}

pub(crate) fn user_by_threepid(
    context: &RequestContext<'_>,
    medium: &str,
    address: &str,
) -> Result<Option<UserRow>, HandlerError> {
    let owner = match Threepid::parse(medium, address) {
        Some(threepid) => threepid.owner(context.tx)?,
        None => None,
    };
    Ok(owner.map(|it| users::get(context.tx, it)).transpose()?)
}

/// The user whom an identifier of a login or an authentication means.
pub(crate) fn user_by_identifier(
    context: &RequestContext<'_>,
    identifier: &UserIdentifier,
) -> Result<Option<UserRow>, HandlerError> {
    let field = |name: &str| identifier.extra.get(name).and_then(Value::as_str);
    let both = |one: &str, other: &str| field(one).zip(field(other));
    match identifier.kind.as_str() {
        "m.id.thirdparty" => match both("medium", "address") {
            Some((medium, address)) => user_by_threepid(context, medium, address),
            None => Ok(None),
        },
        "m.id.phone" => match both("country", "phone").or(both("country", "number")) {
            Some((country, number)) => match Threepid::msisdn(country, number) {
                Ok(it) => user_by_threepid(context, it.medium.as_str(), &it.address),
                Err(_) => Ok(None),
            },
            None => Ok(None),
        },
        _ => user_by_name(context, identifier_name(identifier)?),
    }
}

/// The localpart or user id in an identifier; none for a third-party identifier.
pub(crate) fn identifier_name(identifier: &UserIdentifier) -> Result<Option<&str>, ApiError> {
    match (identifier.kind.as_str(), identifier.extra.get("user")) {
        ("m.id.user", Some(Value::String(user))) => Ok(Some(user)),
        ("m.id.user", None | Some(Value::Null)) => Err(ApiError::missing_param("identifier/user")),
        ("m.id.user", Some(_)) => {
            let error = "identifier/user is not a string";
            Err(ApiError::new(400, ErrorCode::BadJson, error))
        }
        ("m.id.thirdparty" | "m.id.phone", _) => Ok(None),
        _ => {
            let error = "this server does not support this type of identifier";
            Err(ApiError::new(400, ErrorCode::Unknown, error))
        }
    }
}
