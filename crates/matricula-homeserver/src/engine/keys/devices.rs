//! [Device keys](https://spec.matrix.org/v1.19/client-server-api/#device-keys): upload, query, delete.

use std::collections::BTreeSet;

use matricula_api::{
    ErrorCode, SortedMap, UserId,
    client::{
        definitions::DeviceKeys,
        keys::{
            DeviceInformation, QueryKeys, QueryKeysResponse, UnsignedDeviceInfo, UploadKeys,
            UploadKeysResponse,
        },
    },
};
use matricula_core::StepContext;

use super::{
    Failures, MAX_ANSWER, MAX_KEY, check_size, cross_signing::shown_key,
    device_lists::device_list_changed, is_local, local_user, one_time,
};
use crate::engine::{
    auth::localpart,
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    storage::{
        cross_signing::{self, Usage},
        device_keys::{self, DeviceKeysRow},
        devices, key_backups,
    },
};

impl Handler for UploadKeys {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<UploadKeysResponse, HandlerError> {
        let requester = context.authenticate(cx.now)?;
        let user = requester.user;
        let Some(device) = requester.device.as_deref() else {
            let error = "keys belong to a device; name one in the query parameter device_id";
            return Err(ApiError::new(400, ErrorCode::MissingParam, error).into());
        };
        let user_id = localpart::user_id(context.config, &requester.localpart)?;
        let keys = self.device_keys.as_ref();
        let keys = keys.map(|keys| checked_keys(keys, &user_id, device));
        let keys = keys.transpose()?;
        let one_time = self.one_time_keys.unwrap_or_default();
        let one_time = one_time::check_upload(context, user, device, &one_time)?;
        let fallback = self.fallback_keys.unwrap_or_default();
        let fallback = one_time::check_fallback(context, user, device, &fallback)?;
        if let Some(keys) = keys {
            store_keys(context, user, device, keys)?;
        }
        for key in one_time {
            let owner = key.owner(user, device);
            owner.insert(context.tx, key.id, &key.json)?;
        }
        for key in fallback {
            let owner = key.owner(user, device);
            owner.set_fallback(context.tx, key.id, &key.json)?;
        }
        let counts = one_time::counts(context, user, device)?;
        Ok(UploadKeysResponse::new(counts))
    }
}

/// The keys as they are stored. Their signature is for clients to verify.
fn checked_keys(
    keys: &DeviceKeys,
    user_id: &UserId,
    device: &str,
) -> Result<DeviceKeys, HandlerError> {
    if keys.user_id != user_id.as_str() || keys.device_id != device {
        let error = format!("device_keys must be those of {user_id} and its device {device}");
        return Err(ApiError::new(400, ErrorCode::BadJson, error).into());
    }
    let mut keys = keys.clone();
    keys.extra.remove("unsigned");
    let size = serde_json::to_string(&keys)?.len();
    check_size("device_keys", size, MAX_KEY)?;
    Ok(keys)
}

fn store_keys(
    context: &RequestContext<'_>,
    user: i64,
    device: &str,
    keys: DeviceKeys,
) -> Result<(), HandlerError> {
    let json = serde_json::to_string(&keys)?;
    if let Some(before) = device_keys::find(context.tx, user, device)? {
        if before == json {
            return Ok(());
        }
        // The signatures that others have made still hold if only those of the device have changed.
        let before: DeviceKeys = serde_json::from_str(&before)?;
        let signatures = keys.signatures.clone();
        if (DeviceKeys {
            signatures,
            ..before
        }) != keys
        {
            device_keys::delete(context.tx, user, device)?;
        }
    }
    device_keys::set(context.tx, user, device, &json)?;
    device_list_changed(context, user)
}

impl Handler for QueryKeys {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<QueryKeysResponse, HandlerError> {
        let requester = context.authenticate(cx.now)?;
        let mut failures = Failures::default();
        let (mut devices, mut size) = (Vec::new(), 0);
        let (mut master, mut self_signing, mut user_signing) = (vec![], vec![], vec![]);
        for (user_id, wanted) in self.device_keys {
            let Some(user) = local_user(context, &user_id)? else {
                if !is_local(context, &user_id) {
                    failures.add(&user_id);
                }
                continue;
            };
            let wanted: BTreeSet<_> = wanted.iter().map(String::as_str).collect();
            let mut of_user = Vec::new();
            for row in device_keys::list(context.tx, user)? {
                if wanted.is_empty() || wanted.contains(&*row.device) {
                    size += row.json.len();
                    check_answer(size)?;
                    of_user.push((row.device.clone(), shown_device(context, user, row)?));
                }
            }
            devices.push((
                user_id.clone(),
                of_user.into_iter().collect::<SortedMap<_, _>>(),
            ));
            let viewer = requester.user;
            let mut add = |usage, to: &mut Vec<_>| {
                if let Some(row) = cross_signing::find(context.tx, user, usage)? {
                    size += row.json.len();
                    check_answer(size)?;
                    let key = shown_key(context, user, &row, viewer)?;
                    to.push((user_id.clone(), key));
                }
                Ok::<_, HandlerError>(())
            };
            add(Usage::Master, &mut master)?;
            add(Usage::SelfSigning, &mut self_signing)?;
            if viewer == user {
                add(Usage::UserSigning, &mut user_signing)?;
            }
        }
        Ok(QueryKeysResponse::default()
            .failures(failures.0)
            .device_keys(devices.into_iter().collect())
            .master_keys(master.into_iter().collect())
            .self_signing_keys(self_signing.into_iter().collect())
            .user_signing_keys(user_signing.into_iter().collect()))
    }
}

fn check_answer(size: usize) -> Result<(), ApiError> {
    if size > MAX_ANSWER {
        let error = "these are too many keys for one response; ask for fewer users at once";
        return Err(ApiError::new(413, ErrorCode::TooLarge, error));
    }
    Ok(())
}

/// The keys of a device with the signature of its user's self-signing key, and with the name of the device.
fn shown_device(
    context: &RequestContext<'_>,
    user: i64,
    row: DeviceKeysRow,
) -> Result<DeviceInformation, HandlerError> {
    let mut shown: DeviceInformation = serde_json::from_str(&row.json)?;
    let signatures = cross_signing::signatures(context.tx, user, &row.device, user)?;
    if !signatures.is_empty() {
        let user_id: UserId = shown.user_id.parse()?;
        let mut all = shown
            .signatures
            .remove(user_id.as_str())
            .unwrap_or_default();
        for (key_id, signature) in signatures {
            all.insert(key_id, signature);
        }
        shown.signatures.insert(user_id, all);
    }
    shown.unsigned = Some(UnsignedDeviceInfo {
        device_display_name: row.display_name,
        ..UnsignedDeviceInfo::default()
    });
    Ok(shown)
}

/// Deletes the keys of a device that is about to be deleted.
pub(crate) fn delete_device_keys(
    context: &RequestContext<'_>,
    user: i64,
    device: &str,
) -> Result<(), HandlerError> {
    if device_keys::delete(context.tx, user, device)? {
        device_list_changed(context, user)?;
    }
    Ok(())
}

/// Deletes the keys of all devices of a user, which are about to be deleted.
pub(crate) fn delete_all_device_keys(
    context: &RequestContext<'_>,
    user: i64,
) -> Result<(), HandlerError> {
    let mut is_changed = false;
    for device in devices::list(context.tx, user)? {
        is_changed |= device_keys::delete(context.tx, user, &device.id)?;
    }
    if is_changed {
        device_list_changed(context, user)?;
    }
    Ok(())
}

/// Deletes what belongs to a user rather than to a device: cross-signing keys and key backups.
pub(crate) fn delete_user_keys(
    context: &RequestContext<'_>,
    user: i64,
) -> Result<(), HandlerError> {
    key_backups::delete_all(context.tx, user)?;
    let mut is_changed = false;
    for usage in [Usage::Master, Usage::SelfSigning, Usage::UserSigning] {
        is_changed |= cross_signing::delete(context.tx, user, usage)?;
    }
    if is_changed {
        device_list_changed(context, user)?;
    }
    Ok(())
}
