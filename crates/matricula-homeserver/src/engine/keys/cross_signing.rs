//! [Cross-signing](https://spec.matrix.org/v1.19/client-server-api/#cross-signing) keys: upload, show.

use matricula_api::{
    ErrorCode, UserId,
    client::{
        cross_signing::{UploadCrossSigningKeys, UploadCrossSigningKeysResponse},
        definitions::CrossSigningKey,
    },
};
use matricula_core::StepContext;
use matricula_rules::signing::{self, VerifyingKey};
use serde_json::{Map, Value};

use super::{MAX_KEY, check_size, device_lists::device_list_changed, invalid, invalid_signature};
use crate::engine::{
    auth::{localpart, reauth::reauthenticate},
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    storage::{
        cross_signing::{self, CrossSigningKeyRow, Usage},
        devices, stream, users,
    },
};

impl Handler for UploadCrossSigningKeys {
    /// The first upload needs no authentication again, and neither does one without new keys: a client
    /// whose response was lost repeats it.
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<UploadCrossSigningKeysResponse, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        let user = requester.user;
        let user_id = localpart::user_id(context.config, &requester.localpart)?;
        let given = [
            (Usage::Master, self.master_key),
            (Usage::SelfSigning, self.self_signing_key),
            (Usage::UserSigning, self.user_signing_key),
        ];
        let mut new = Vec::new();
        for (usage, key) in given {
            if let Some(key) = key
                && !is_stored(context, user, usage, &key)?
            {
                new.push((usage, key));
            }
        }
        let master = cross_signing::find(context.tx, user, Usage::Master)?;
        if master.is_some() {
            if new.is_empty() {
                return Ok(UploadCrossSigningKeysResponse::default());
            }
            if !is_application_service(context) {
                reauthenticate(context, cx, &requester, self.auth.as_ref())?;
            }
        }
        let master = master.map(|row| row.public_key);
        let rows = checked_keys(context, user, &user_id, new, master)?;
        store_keys(context, user, &user_id, &rows)?;
        Ok(UploadCrossSigningKeysResponse::default())
    }
}

/// Whether the user has this key already, whatever its signatures.
fn is_stored(
    context: &RequestContext<'_>,
    user: i64,
    usage: Usage,
    key: &CrossSigningKey,
) -> Result<bool, HandlerError> {
    let Some(row) = cross_signing::find(context.tx, user, usage)? else {
        return Ok(false);
    };
    let stored: CrossSigningKey = serde_json::from_str(&row.json)?;
    Ok(stored.user_id == key.user_id && stored.usage == key.usage && stored.keys == key.keys)
}

fn is_application_service(context: &RequestContext<'_>) -> bool {
    let token = context.access_token();
    token.is_some_and(|token| context.config.service_by_token(token).is_some())
}

/// Checks keys, of which the others must be signed by the master key: a new one, or that of the user.
fn checked_keys(
    context: &RequestContext<'_>,
    user: i64,
    user_id: &UserId,
    keys: Vec<(Usage, CrossSigningKey)>,
    mut master: Option<String>,
) -> Result<Vec<(Usage, CrossSigningKeyRow)>, HandlerError> {
    let mut rows = Vec::new();
    for (usage, mut key) in keys {
        let public_key = check_key(usage, &key, user_id)?;
        if devices::find(context.tx, user, &public_key)?.is_some() {
            let error = format!("the {} key is the id of a device", usage.as_str());
            return Err(ApiError::new(403, ErrorCode::Forbidden, error).into());
        }
        // Signatures by other users would reveal whom they have verified.
        if let Some(signatures) = &mut key.signatures {
            signatures.retain(|signer, of| signer == user_id.as_str() && of.is_object());
        }
        key.extra.remove("unsigned");
        let json = serde_json::to_string(&key)?;
        check_size("a cross-signing key", json.len(), MAX_KEY)?;
        if usage == Usage::Master {
            master = Some(public_key.clone());
        } else if let Some(master) = &master {
            check_signature(&json, user_id, master)?;
        }
        rows.push((usage, CrossSigningKeyRow { public_key, json }));
    }
    if master.is_none() {
        let error = "there is no master key; upload one with the other keys";
        return Err(ApiError::new(400, ErrorCode::MissingParam, error).into());
    }
    Ok(rows)
}

/// Checks the form of a key, and returns the public key.
fn check_key(usage: Usage, key: &CrossSigningKey, user_id: &UserId) -> Result<String, ApiError> {
    let name = usage.as_str();
    if key.user_id != user_id.as_str() {
        return Err(invalid(format!(
            "the {name} key must have the user_id {user_id}"
        )));
    }
    if !key.usage.iter().any(|it| it.as_str() == name) {
        return Err(invalid(format!(
            "the usage of the {name} key must be {name}"
        )));
    }
    let mut keys = key.keys.iter();
    let (Some((id, public_key)), None) = (keys.next(), keys.next()) else {
        return Err(invalid(format!(
            "the {name} key must have one entry in keys"
        )));
    };
    if id.strip_prefix("ed25519:") != Some(public_key.as_str()) {
        let error =
            format!("the entry in keys of the {name} key must be named ed25519:{public_key}");
        return Err(invalid(error));
    }
    match VerifyingKey::from_base64(public_key) {
        Ok(_) => Ok(public_key.clone()),
        Err(error) => Err(invalid(format!("the {name} key is not valid: {error}"))),
    }
}

/// Checks the signature of a JSON object by a user's key with this public key, which is also the key's id.
pub(super) fn check_signature(
    json: &str,
    user_id: &UserId,
    public_key: &str,
) -> Result<(), ApiError> {
    let key_id = format!("ed25519:{public_key}");
    check_signature_with(json, user_id, &key_id, public_key)
}

/// Checks the signature of a JSON object by a user's key with this id.
pub(super) fn check_signature_with(
    json: &str,
    user_id: &UserId,
    key_id: &str,
    public_key: &str,
) -> Result<(), ApiError> {
    let key = VerifyingKey::from_base64(public_key);
    let key = key.map_err(|error| invalid_signature(format!("the signing key: {error}")))?;
    signing::verify_json(json, user_id.as_str(), key_id, key)
        .map_err(|error| invalid_signature(error.to_string()))
}

fn store_keys(
    context: &RequestContext<'_>,
    user: i64,
    user_id: &UserId,
    rows: &[(Usage, CrossSigningKeyRow)],
) -> Result<(), HandlerError> {
    let has = |usage| rows.iter().any(|(it, _)| *it == usage);
    let position = stream::next(context.tx)?;
    for (usage, row) in rows {
        cross_signing::set(context.tx, user, *usage, row, position)?;
    }
    for usage in [Usage::SelfSigning, Usage::UserSigning] {
        // The former master key has signed it, and the new one has not.
        if has(Usage::Master) && !has(usage) {
            cross_signing::delete(context.tx, user, usage)?;
        }
    }
    if has(Usage::Master) || has(Usage::SelfSigning) {
        return device_list_changed(context, user);
    }
    // Others do not see the user-signing key.
    context.changes.add_for_user(user_id.as_str());
    Ok(())
}

/// A user's key with the signatures of it that the viewer may see: by the user, and by the viewer.
pub(super) fn shown_key(
    context: &RequestContext<'_>,
    user: i64,
    row: &CrossSigningKeyRow,
    viewer: i64,
) -> Result<CrossSigningKey, HandlerError> {
    let mut key: CrossSigningKey = serde_json::from_str(&row.json)?;
    let mut signers = vec![user];
    signers.extend((viewer != user).then_some(viewer));
    for signer in signers {
        let new = cross_signing::signatures(context.tx, user, &row.public_key, signer)?;
        if new.is_empty() {
            continue;
        }
        let localpart = users::get(context.tx, signer)?.localpart;
        let signer = localpart::user_id(context.config, &localpart)?;
        let all = key.signatures.get_or_insert_default();
        let of_signer = all
            .entry(signer.as_str())
            .or_insert_with(|| Map::new().into());
        if let Value::Object(of_signer) = of_signer {
            of_signer.extend(new.into_iter().map(|(id, text)| (id, text.into())));
        }
    }
    Ok(key)
}

/// Rejects the id of a new device that is a cross-signing key of its user: clients tell the two apart by
/// their names alone.
pub(crate) fn check_device_id(
    context: &RequestContext<'_>,
    user: i64,
    device: &str,
) -> Result<(), HandlerError> {
    if cross_signing::has_public_key(context.tx, user, device)? {
        let error =
            "device_id is a cross-signing key of the account; leave it out to get a new one";
        return Err(ApiError::new(403, ErrorCode::Forbidden, error).into());
    }
    Ok(())
}
