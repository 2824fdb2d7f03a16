//! [End-to-end encryption](https://spec.matrix.org/v1.19/client-server-api/#end-to-end-encryption), as far as a
//! server takes part in it: public keys of devices and users, messages to devices, and backups of encrypted keys.
//!
//! | limit | |
//! |---|---|
//! | [`MAX_KEY`] | bytes of the keys of a device, and of a cross-signing key |
//! | [`MAX_ONE_TIME_KEY`] | bytes of a one-time or fallback key |
//! | [`MAX_ONE_TIME_KEYS`] | one-time keys of a device that are not claimed |
//! | [`MAX_FALLBACK_KEYS`] | fallback keys of a device, of one algorithm each |
//! | [`MAX_ANSWER`] | bytes of the keys in a response |
//! | [`MAX_MESSAGE`] | bytes of a message to a device |
//! | [`MAX_QUEUE`], [`MAX_QUEUE_BYTES`] | messages that wait for a device, and their bytes |
//! | [`MAX_SENT_BYTES`] | bytes of the messages that one request sends |
//! | [`MAX_BATCH`], [`MAX_BATCH_BYTES`] | messages in one sync, and their bytes where there are several |
//! | [`MAX_BACKUPS`] | versions of a user's key backup |
//! | [`MAX_BACKUP_KEY`] | bytes of a key in a backup, and of the `auth_data` of a backup |
//! | [`MAX_BACKUP_KEYS`], [`MAX_BACKUP_BYTES`] | keys in all backups of a user, and their bytes |
//!
//! The numbers of stored transaction ids and of claimed keys are limited in `storage::to_device` and
//! `storage::one_time_keys`.
//!
//! An error response does not undo what its handler has written: handlers check everything first.

mod backup;
mod cross_signing;
mod device_lists;
mod devices;
mod one_time;
mod signatures;
mod sync;
mod to_device;

pub(crate) use cross_signing::check_device_id;
pub(crate) use device_lists::device_renamed;
pub(crate) use devices::{delete_all_device_keys, delete_device_keys, delete_user_keys};
pub(crate) use sync::sync_section;

use std::borrow::Cow;

use matricula_api::{ErrorCode, SortedMap, UserId};
use serde_json::{Map, Value};

use super::{
    context::RequestContext,
    error::{ApiError, HandlerError},
    storage::users,
};

const MAX_KEY: usize = 16 * 1024;
const MAX_ONE_TIME_KEY: usize = 4 * 1024;
const MAX_ONE_TIME_KEYS: i64 = 1_000;
const MAX_FALLBACK_KEYS: usize = 10;
const MAX_ANSWER: usize = 8 * 1024 * 1024;
const MAX_MESSAGE: usize = 64 * 1024;
const MAX_QUEUE: i64 = 10_000;
const MAX_QUEUE_BYTES: i64 = 32 * 1024 * 1024;
const MAX_SENT_BYTES: usize = 16 * 1024 * 1024;
const MAX_BATCH: u32 = 100;
const MAX_BATCH_BYTES: usize = 1024 * 1024;
const MAX_BACKUPS: i64 = 100;
const MAX_BACKUP_KEY: usize = 64 * 1024;
const MAX_BACKUP_KEYS: i64 = 50_000;
const MAX_BACKUP_BYTES: i64 = 32 * 1024 * 1024;

/// The user of this server with exactly this id.
fn local_user(context: &RequestContext<'_>, user_id: &UserId) -> Result<Option<i64>, HandlerError> {
    if !is_local(context, user_id) {
        return Ok(None);
    }
    Ok(users::find_id(context.tx, user_id.localpart())?)
}

fn is_local(context: &RequestContext<'_>, user_id: &UserId) -> bool {
    user_id.server_name() == context.config.server_name
}

/// Servers whose users a request asks for, and that cannot be asked.
#[derive(Default)]
struct Failures(SortedMap<String, Map<String, Value>>);

impl Failures {
    fn add(&mut self, user_id: &UserId) {
        let mut failure = Map::new();
        failure.insert("errcode".to_owned(), ErrorCode::NotFound.as_str().into());
        let error = "this server does not federate";
        failure.insert("error".to_owned(), error.into());
        self.0.insert(user_id.server_name().to_owned(), failure);
    }
}

fn invalid(error: impl Into<Cow<'static, str>>) -> ApiError {
    ApiError::new(400, ErrorCode::InvalidParam, error)
}

fn not_found(error: impl Into<Cow<'static, str>>) -> ApiError {
    ApiError::new(404, ErrorCode::NotFound, error)
}

fn invalid_signature(error: impl Into<Cow<'static, str>>) -> ApiError {
    ApiError::new(400, ErrorCode::InvalidSignature, error)
}

/// Rejects what is longer than `max` bytes.
fn check_size(what: &str, size: usize, max: usize) -> Result<(), ApiError> {
    if size > max {
        let error = format!("{what} must have at most {max} bytes");
        return Err(ApiError::new(413, ErrorCode::TooLarge, error));
    }
    Ok(())
}
