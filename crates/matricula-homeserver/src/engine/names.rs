//! Which usernames become which localparts.

use matricula_api::{ErrorCode, IdError, UserId};

use super::refusal::ApiError;
use crate::{ApplicationService, Config};

/// Maps a username onto the localpart it asks for: capital ASCII letters become small.
///
/// A name that only digits make up is the server's to give; `guest` lets one through that names the
/// guest who asks.
pub(crate) fn new_localpart(
    config: &Config,
    username: &str,
    guest: bool,
) -> Result<String, ApiError> {
    let localpart = normalize(username)?;
    if localpart.starts_with('_') {
        return invalid("a username does not begin with _");
    }
    if !guest && localpart.bytes().all(|byte| byte.is_ascii_digit()) {
        return invalid("usernames of digits alone are given by the server");
    }
    let mut prefixes = config.exclusive_prefixes.iter();
    let mut services = config.application_services.iter();
    if prefixes.any(|it| localpart.starts_with(it.as_str()))
        || services.any(|it| it.owns(&localpart))
    {
        let why = "this username is reserved for an application service";
        return Err(ApiError::new(400, ErrorCode::Exclusive, why));
    }
    let localpart = match config.rename_users && !guest {
        true => localpart + "-1",
        false => localpart,
    };
    check_length(config, localpart)
}

/// Maps a username onto the localpart that an application service asks for: one of its own.
pub(crate) fn service_localpart(
    config: &Config,
    service: &ApplicationService,
    username: &str,
) -> Result<String, ApiError> {
    let localpart = normalize(username)?;
    if !service.owns(&localpart) {
        let why = "this username is not one of the application service's own";
        return Err(ApiError::new(400, ErrorCode::Exclusive, why));
    }
    check_length(config, localpart)
}

/// The username as a localpart is spelt.
fn normalize(username: &str) -> Result<String, ApiError> {
    let localpart = username.to_ascii_lowercase();
    if localpart.is_empty() {
        return invalid("a username has at least one character");
    }
    // https://spec.matrix.org/v1.19/appendices/#user-identifiers
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._=-/+".contains(&byte);
    if !localpart.bytes().all(allowed) {
        return invalid("a username is made of a-z, 0-9 and . _ = - / + alone");
    }
    Ok(localpart)
}

/// Maps a username onto the localpart that an administrator gives somebody: reserved names, too.
pub(crate) fn admin_localpart(config: &Config, username: &str) -> Result<String, ApiError> {
    check_length(config, normalize(username)?)
}

/// All else that the grammar wants has been looked at.
fn check_length(config: &Config, localpart: String) -> Result<String, ApiError> {
    if user_id(config, &localpart).is_err() {
        return invalid("a user id has at most 255 characters");
    }
    Ok(localpart)
}

fn invalid<T>(why: &'static str) -> Result<T, ApiError> {
    Err(ApiError::new(400, ErrorCode::InvalidUsername, why))
}

pub(crate) fn user_id(config: &Config, localpart: &str) -> Result<UserId, IdError> {
    format!("@{localpart}:{}", config.server_name).parse()
}

/// The localpart that somebody who logs in means: given alone, or as a user id of this server.
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
