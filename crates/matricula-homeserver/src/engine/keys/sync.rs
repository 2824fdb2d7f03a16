//! What a sync reports about encryption.

use std::collections::BTreeSet;

use matricula_api::{
    Raw, SortedMap, UserId,
    client::sync::{DeviceLists, SyncResponse, ToDevice},
    common::ToDeviceEvent,
};

use super::{
    device_lists::{ListChanges, changes_since},
    one_time, to_device,
};
use crate::engine::{
    auth::{localpart, requester::Requester},
    context::RequestContext,
    error::HandlerError,
    storage::one_time_keys,
};

/// The [extensions](https://spec.matrix.org/v1.19/client-server-api/#e2e-extensions-to-sync) of a sync.
#[derive(Default)]
pub(crate) struct KeysSection {
    to_device: Vec<Raw<ToDeviceEvent>>,
    device_lists: ListChanges,
    /// None where the requester has no device.
    one_time_key_counts: Option<SortedMap<String, u64>>,
    unused_fallback_algorithms: Vec<String>,
    /// Whether there is something that the client does not know.
    pub(crate) has_changes: bool,
    /// The position for the token of the response: `up_to`, or a later one where the client could not tell
    /// the token from its last one. No event is between the two.
    pub(crate) position: i64,
}

/// Collects the changes after `since`, which the client knows, until `up_to`, the newest position. Messages
/// that the client has received are deleted.
pub(crate) fn sync_section(
    context: &RequestContext<'_>,
    requester: &Requester,
    since: Option<i64>,
    up_to: i64,
) -> Result<KeysSection, HandlerError> {
    let user = requester.user;
    let user_id = localpart::user_id(context.config, &requester.localpart)?;
    let mut section = KeysSection {
        position: up_to,
        ..KeysSection::default()
    };
    // After a first sync, clients query the keys of all users anyway.
    if let Some(since) = since {
        section.device_lists = changes_since(context, user, &user_id, since)?;
    }
    section.has_changes = !section.device_lists.is_empty();
    if let Some(device) = requester.device.as_deref() {
        let batch = to_device::next_batch(context, user, device, since, up_to)?;
        let counts_changed = one_time_keys::counts_changed(context.tx, user, device)?;
        section.has_changes |=
            !batch.events.is_empty() || since.is_some_and(|it| counts_changed > it);
        section.to_device = batch.events;
        section.position = batch.position;
        section.one_time_key_counts = Some(one_time::counts(context, user, device)?);
        section.unused_fallback_algorithms =
            one_time::unused_fallback_algorithms(context, user, device)?;
    }
    Ok(section)
}

impl KeysSection {
    /// Writes the section into a response.
    pub(crate) fn write(self, response: &mut SyncResponse) -> Result<(), HandlerError> {
        if !self.to_device.is_empty() {
            response.to_device = Some(ToDevice::default().events(self.to_device));
        }
        if !self.device_lists.is_empty() {
            let ids = |users: BTreeSet<String>| {
                let ids = users.iter().map(|it| it.parse::<UserId>());
                ids.collect::<Result<Vec<_>, _>>()
            };
            let lists = DeviceLists::default()
                .changed(ids(self.device_lists.changed)?)
                .left(ids(self.device_lists.left)?);
            response.device_lists = Some(lists);
        }
        response.device_one_time_keys_count = self.one_time_key_counts;
        // Required even where it is empty.
        response.device_unused_fallback_key_types = Some(self.unused_fallback_algorithms.into());
        Ok(())
    }
}
