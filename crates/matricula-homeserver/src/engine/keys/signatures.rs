//! Signatures of keys by [cross-signing](https://spec.matrix.org/v1.19/client-server-api/#cross-signing) keys and
//! devices, uploaded after the keys.

use matricula_api::{
    SortedMap, UserId,
    client::{
        cross_signing::{UploadCrossSigningSignatures, UploadCrossSigningSignaturesResponse},
        definitions::DeviceKeys,
    },
};
use matricula_core::StepContext;
use serde_json::{Map, Value};

use super::{
    cross_signing::{check_signature, check_signature_with},
    device_lists::device_list_changed,
    invalid_signature, local_user, not_found,
};
use crate::engine::{
    auth::localpart,
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    storage::{
        cross_signing::{self, CrossSigningKeyRow, SignatureRow, Usage},
        device_keys, stream,
    },
};

type JsonObject = Map<String, Value>;

impl Handler for UploadCrossSigningSignatures {
    /// Each key succeeds or fails alone.
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<UploadCrossSigningSignaturesResponse, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        let signer = Signer {
            context,
            user: requester.user,
            user_id: localpart::user_id(context.config, &requester.localpart)?,
        };
        let (mut failures, mut signed_own, mut signed_others) = (Vec::new(), false, false);
        for (target_id, keys) in self.body {
            let mut failed = SortedMap::new();
            for (key, object) in keys {
                match signer.store(&target_id, &key, &object) {
                    Ok(is_new) if target_id == signer.user_id => signed_own |= is_new,
                    Ok(is_new) => signed_others |= is_new,
                    Err(HandlerError::Api(error)) => drop(failed.insert(key, failure(error))),
                    Err(error) => return Err(error),
                }
            }
            if !failed.is_empty() {
                failures.push((target_id, failed));
            }
        }
        if signed_own {
            device_list_changed(context, signer.user)?;
        }
        if signed_others {
            // Only the signer sees it.
            context.changes.add_for_user(signer.user_id.as_str());
        }
        let failures = failures.into_iter().collect::<SortedMap<_, _>>();
        Ok(UploadCrossSigningSignaturesResponse::default().failures(failures))
    }
}

fn failure(error: ApiError) -> JsonObject {
    let mut failure = Map::new();
    failure.insert("errcode".to_owned(), error.code.as_str().into());
    failure.insert("error".to_owned(), error.error.into());
    failure
}

/// The user who uploads signatures.
struct Signer<'a> {
    context: &'a RequestContext<'a>,
    user: i64,
    user_id: UserId,
}

impl Signer<'_> {
    /// Checks the signatures of a key, and stores the new ones. Returns whether there are any.
    fn store(
        &self,
        target_id: &UserId,
        key: &str,
        object: &JsonObject,
    ) -> Result<bool, HandlerError> {
        let tx = self.context.tx;
        let unknown_key = || not_found(format!("{target_id} has no key {key}"));
        let target = local_user(self.context, target_id)?.ok_or_else(unknown_key)?;
        let master = cross_signing::find(tx, target, Usage::Master)?;
        let master = master.filter(|row| row.public_key == key);
        let checked = if target != self.user {
            let master = master.ok_or_else(unknown_key)?;
            let signing_key = self.signing_key(Usage::UserSigning)?;
            check_content(&master.json, object)?;
            vec![self.checked_signature(object, &signing_key.public_key)?]
        } else if let Some(master) = master {
            check_content(&master.json, object)?;
            self.signatures_by_devices(&master, object)?
        } else {
            let keys = device_keys::find(tx, target, key)?.ok_or_else(unknown_key)?;
            let signing_key = self.signing_key(Usage::SelfSigning)?;
            check_content(&keys, object)?;
            vec![self.checked_signature(object, &signing_key.public_key)?]
        };
        let stored = cross_signing::signatures(tx, target, key, self.user)?;
        let mut is_new = false;
        for (key_id, signature) in checked {
            let signature = (key_id, signature);
            if stored.contains(&signature) {
                continue;
            }
            let row = SignatureRow {
                target,
                target_key: key,
                signer: self.user,
                key_id: &signature.0,
                signature: &signature.1,
            };
            row.insert(tx, stream::next(tx)?)?;
            is_new = true;
        }
        Ok(is_new)
    }

    fn signing_key(&self, usage: Usage) -> Result<CrossSigningKeyRow, HandlerError> {
        let found = cross_signing::find(self.context.tx, self.user, usage)?;
        let missing = || {
            let error = format!("{} has no {} key", self.user_id, usage.as_str());
            not_found(error).into()
        };
        found.ok_or_else(missing)
    }

    /// The signatures of an object by the user.
    fn signatures<'a>(&self, object: &'a JsonObject) -> Result<&'a JsonObject, ApiError> {
        let all = object.get("signatures");
        let of_user = all.and_then(|all| all.get(self.user_id.as_str())?.as_object());
        of_user
            .filter(|all| !all.is_empty())
            .ok_or_else(|| invalid_signature(format!("there is no signature by {}", self.user_id)))
    }

    /// The signature by the user's key with this public key.
    fn checked_signature(
        &self,
        object: &JsonObject,
        public_key: &str,
    ) -> Result<(String, String), HandlerError> {
        let key_id = format!("ed25519:{public_key}");
        let signature = self.signatures(object)?.get(&key_id);
        let Some(signature) = signature.and_then(Value::as_str) else {
            return Err(invalid_signature(format!("there is no signature with {key_id}")).into());
        };
        check_signature(&serde_json::to_string(object)?, &self.user_id, public_key)?;
        Ok((key_id, signature.to_owned()))
    }

    /// The signatures of the user's master key by the user's devices. Those that the server has served with
    /// the key are passed over: the device may be gone.
    fn signatures_by_devices(
        &self,
        master: &CrossSigningKeyRow,
        object: &JsonObject,
    ) -> Result<Vec<(String, String)>, HandlerError> {
        let json = serde_json::to_string(object)?;
        let served: JsonObject = serde_json::from_str(&master.json)?;
        let served = self.signatures(&served).ok();
        let mut checked = Vec::new();
        for (key_id, signature) in self.signatures(object)? {
            if served.and_then(|served| served.get(key_id)) == Some(signature) {
                continue;
            }
            let unknown = || invalid_signature(format!("no device has the key {key_id}"));
            let device = key_id.strip_prefix("ed25519:").ok_or_else(unknown)?;
            let keys = device_keys::find(self.context.tx, self.user, device)?;
            let keys: DeviceKeys = serde_json::from_str(&keys.ok_or_else(unknown)?)?;
            let public_key = keys.keys.get(key_id).ok_or_else(unknown)?;
            check_signature_with(&json, &self.user_id, key_id, public_key)?;
            let signature = signature.as_str().unwrap_or_default().to_owned();
            checked.push((key_id.clone(), signature));
        }
        Ok(checked)
    }
}

/// Rejects a signed object that is not the stored one.
fn check_content(stored: &str, signed: &JsonObject) -> Result<(), HandlerError> {
    let content = |object: &JsonObject| {
        let mut content = object.clone();
        content.remove("signatures");
        content.remove("unsigned");
        content
    };
    let stored: JsonObject = serde_json::from_str(stored)?;
    if content(&stored) != content(signed) {
        let error = "the signed object is not the key that the server has";
        return Err(invalid_signature(error).into());
    }
    Ok(())
}
