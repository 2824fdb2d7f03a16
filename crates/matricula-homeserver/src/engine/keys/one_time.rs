//! [One-time and fallback keys](https://spec.matrix.org/v1.19/client-server-api/#one-time-and-fallback-keys):
//! upload, claim, count.

use std::collections::BTreeSet;

use matricula_api::{
    ErrorCode, SortedMap, StringOr,
    client::{
        definitions::KeyObject,
        keys::{ClaimKeys, ClaimKeysResponse},
    },
};
use matricula_core::StepContext;

use super::{
    Failures, MAX_FALLBACK_KEYS, MAX_ONE_TIME_KEY, MAX_ONE_TIME_KEYS, check_size, invalid,
    is_local, local_user,
};
use crate::engine::{
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    storage::{
        one_time_keys::{self, KeyOwner},
        stream,
    },
};

/// The algorithm of one-time keys in use. Its count is stated even where it is 0, which old clients need.
const SIGNED_CURVE25519: &str = "signed_curve25519";
/// The longest name of a key, `algorithm:id`, in bytes.
const MAX_NAME: usize = 255;

type Keys = SortedMap<String, StringOr<KeyObject>>;

/// A checked key that is to be stored.
pub(super) struct NewKey<'a> {
    algorithm: &'a str,
    pub(super) id: &'a str,
    pub(super) json: String,
}

impl NewKey<'_> {
    /// The device for which the key is stored.
    pub(super) fn owner<'a>(&'a self, user: i64, device: &'a str) -> KeyOwner<'a> {
        KeyOwner {
            user,
            device,
            algorithm: self.algorithm,
        }
    }
}

/// Checks one-time keys, and returns those that are not stored yet.
pub(super) fn check_upload<'a>(
    context: &RequestContext<'_>,
    user: i64,
    device: &str,
    keys: &'a Keys,
) -> Result<Vec<NewKey<'a>>, HandlerError> {
    let mut new = Vec::new();
    for (name, key) in keys {
        let key = new_key(name, key)?;
        match key.owner(user, device).find(context.tx, key.id)? {
            Some(stored) if is_same(&stored.json, &key.json)? => {}
            Some(stored) if !stored.is_claimed => {
                // Clients recognise the words.
                let error = format!("One time key {name} already exists, with other content");
                return Err(ApiError::new(400, ErrorCode::Unknown, error).into());
            }
            _ => new.push(key),
        }
    }
    let stored = one_time_keys::counts(context.tx, user, device)?;
    let stored: i64 = stored.iter().map(|(_, count)| count).sum();
    if !new.is_empty() && stored + new.len() as i64 > MAX_ONE_TIME_KEYS {
        let error = format!("a device has at most {MAX_ONE_TIME_KEYS} one-time keys");
        return Err(invalid(error).into());
    }
    Ok(new)
}

/// Checks fallback keys.
pub(super) fn check_fallback<'a>(
    context: &RequestContext<'_>,
    user: i64,
    device: &str,
    keys: &'a Keys,
) -> Result<Vec<NewKey<'a>>, HandlerError> {
    let stored = one_time_keys::fallback_algorithms(context.tx, user, device)?;
    let mut all: BTreeSet<_> = stored.iter().map(|(algorithm, _)| &**algorithm).collect();
    let mut given = BTreeSet::new();
    let mut new = Vec::new();
    for (name, key) in keys {
        let key = new_key(name, key)?;
        all.insert(key.algorithm);
        if !given.insert(key.algorithm) {
            let error = format!(
                "there are two fallback keys of the algorithm {}",
                key.algorithm
            );
            return Err(invalid(error).into());
        }
        new.push(key);
    }
    if !new.is_empty() && all.len() > MAX_FALLBACK_KEYS {
        let error = format!("a device has at most {MAX_FALLBACK_KEYS} fallback keys");
        return Err(invalid(error).into());
    }
    Ok(new)
}

fn new_key<'a>(name: &'a str, key: &StringOr<KeyObject>) -> Result<NewKey<'a>, HandlerError> {
    check_size("the name of a key", name.len(), MAX_NAME)?;
    let Some((algorithm, id)) = name
        .split_once(':')
        .filter(|(algorithm, id)| !algorithm.is_empty() && !id.is_empty() && !id.contains(':'))
    else {
        let error = format!("the key {name:?} must be named by its algorithm and id, as in a:b");
        return Err(ApiError::new(400, ErrorCode::BadJson, error).into());
    };
    let json = serde_json::to_string(key)?;
    check_size("a one-time or fallback key", json.len(), MAX_ONE_TIME_KEY)?;
    Ok(NewKey {
        algorithm,
        id,
        json,
    })
}

/// Whether two keys are the same, whatever their signatures.
fn is_same(one: &str, other: &str) -> Result<bool, HandlerError> {
    let [one, other] = [one, other].map(|json| {
        let key: StringOr<KeyObject> = serde_json::from_str(json)?;
        Ok::<_, HandlerError>(match key {
            StringOr::Object(mut key) => {
                key.signatures = SortedMap::new();
                StringOr::Object(key)
            }
            text => text,
        })
    });
    Ok(one? == other?)
}

impl Handler for ClaimKeys {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<ClaimKeysResponse, HandlerError> {
        context.authenticate(cx.now)?;
        let mut failures = Failures::default();
        let mut claimed = Vec::new();
        for (user_id, devices) in self.one_time_keys {
            let Some(user) = local_user(context, &user_id)? else {
                if !is_local(context, &user_id) {
                    failures.add(&user_id);
                }
                continue;
            };
            let mut of_user = SortedMap::new();
            for (device, algorithm) in devices {
                let owner = KeyOwner {
                    user,
                    device: &device,
                    algorithm: &algorithm,
                };
                let Some(key) = claim(context, user_id.as_str(), owner)? else {
                    continue;
                };
                of_user.insert(device, SortedMap::from([key]));
            }
            if !of_user.is_empty() {
                claimed.push((user_id, of_user));
            }
        }
        Ok(ClaimKeysResponse::new(claimed.into_iter().collect()).failures(failures.0))
    }
}

/// Takes the oldest one-time key of a device, or else uses its fallback key.
fn claim(
    context: &RequestContext<'_>,
    user_id: &str,
    owner: KeyOwner<'_>,
) -> Result<Option<(String, StringOr<KeyObject>)>, HandlerError> {
    let (found, is_changed) = match owner.claim(context.tx)? {
        Some(found) => (found, true),
        None => match owner.use_fallback(context.tx)? {
            Some((id, json, was_used)) => ((id, json), !was_used),
            None => return Ok(None),
        },
    };
    if is_changed {
        // The device has to upload more.
        let position = stream::next(context.tx)?;
        one_time_keys::set_counts_changed(context.tx, owner.user, owner.device, position)?;
        context.changes.add_for_user(user_id);
    }
    let (id, json) = found;
    let name = format!("{}:{id}", owner.algorithm);
    Ok(Some((name, serde_json::from_str(&json)?)))
}

/// The number of unclaimed one-time keys of a device, by algorithm.
pub(super) fn counts(
    context: &RequestContext<'_>,
    user: i64,
    device: &str,
) -> Result<SortedMap<String, u64>, HandlerError> {
    let mut counts = SortedMap::from([(SIGNED_CURVE25519.to_owned(), 0)]);
    for (algorithm, count) in one_time_keys::counts(context.tx, user, device)? {
        counts.insert(algorithm, count.unsigned_abs());
    }
    Ok(counts)
}

/// The algorithms of which a device has a fallback key that was not used.
pub(super) fn unused_fallback_algorithms(
    context: &RequestContext<'_>,
    user: i64,
    device: &str,
) -> Result<Vec<String>, HandlerError> {
    let all = one_time_keys::fallback_algorithms(context.tx, user, device)?;
    let unused = all.into_iter().filter(|(_, is_used)| !is_used);
    Ok(unused.map(|(algorithm, _)| algorithm).collect())
}
