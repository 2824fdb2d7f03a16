//! Usernames and the localparts that they become.

use matricula_api::{ErrorCode, IdError, UserId};

use crate::{ApplicationService, Config, engine::error::ApiError};

/// The localpart of a user who registers with this username: in lowercase.
///
/// Usernames of digits alone are reserved for the server. `guest` allows one: a guest who registers has
/// such a name already.
pub(crate) fn new_localpart(
    config: &Config,
    username: &str,
    guest: bool,
) -> Result<String, ApiError> {
    let localpart = normalize(username)?;
    if localpart.starts_with('_') {
        return invalid("a username must not begin with _");
    }
    if !guest && localpart.bytes().all(|byte| byte.is_ascii_digit()) {
        return invalid("a username must not consist of digits only");
    }
    let mut prefixes = config.exclusive_prefixes.iter();
    let mut services = config.application_services.iter();
    if prefixes.any(|it| localpart.starts_with(it.as_str()))
        || services.any(|it| it.owns(&localpart))
    {
        let why = "this username is reserved for an application service";
        return Err(ApiError::new(400, ErrorCode::Exclusive, why));
    }
    let localpart = if config.rename_users && !guest {
        localpart + "-1"
    } else {
        localpart
    };
    check_length(config, localpart)
}

/// The localpart of a user whom an application service registers, in its own namespace.
pub(crate) fn service_localpart(
    config: &Config,
    service: &ApplicationService,
    username: &str,
) -> Result<String, ApiError> {
    let localpart = normalize(username)?;
    if !service.owns(&localpart) {
        let why = "this username is not in the namespace of the application service";
        return Err(ApiError::new(400, ErrorCode::Exclusive, why));
    }
    check_length(config, localpart)
}

/// Converts a username to lowercase, and checks its characters.
fn normalize(username: &str) -> Result<String, ApiError> {
    let localpart = username.to_ascii_lowercase();
    if localpart.is_empty() {
        return invalid("a username must have at least one character");
    }
    // https://spec.matrix.org/v1.19/appendices/#user-identifiers
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._=-/+".contains(&byte);
    if !localpart.bytes().all(allowed) {
        return invalid("a username may contain only a-z, 0-9 and . _ = - / +");
    }
    Ok(localpart)
}

/// The localpart of a user whom an administrator creates; reserved names are allowed.
pub(crate) fn admin_localpart(config: &Config, username: &str) -> Result<String, ApiError> {
    check_length(config, normalize(username)?)
}

/// Checks the length of the user id.
fn check_length(config: &Config, localpart: String) -> Result<String, ApiError> {
    if user_id(config, &localpart).is_err() {
        return invalid("a user id has at most 255 characters");
    }
    Ok(localpart)
}

fn invalid<T>(why: &'static str) -> Result<T, ApiError> {
    Err(ApiError::new(400, ErrorCode::InvalidUsername, why))
}

/// The user id of a localpart.
pub(crate) fn user_id(config: &Config, localpart: &str) -> Result<UserId, IdError> {
    format!("@{localpart}:{}", config.server_name).parse()
}

/// The localpart in the name of an existing user: a localpart or a user id of this server.
pub(crate) fn existing_localpart(config: &Config, user: &str) -> Option<String> {
    let localpart = match user.strip_prefix('@') {
        Some(id) => {
            let (localpart, server) = id.split_once(':')?;
            (server == config.server_name).then_some(localpart)?
        }
        None => user,
    };
    Some(localpart.to_ascii_lowercase())
}
