//! Constructors of requests from typed contents.

use super::{EventContent, EventKind};
use crate::client::account_data::{SetAccountData, SetAccountDataPerRoom};
use crate::client::create_room::StateEvent;
use crate::client::room_send::SendMessage;
use crate::client::room_state::SendStateEvent;
use crate::client::to_device::SendToDevice;
use crate::{Raw, RoomId, SortedMap, UserId};

impl SendMessage {
    /// Sends `content` to a room. With the same `txn_id`, the server sends it once.
    ///
    /// ```
    /// # use matricula_api::{client::room_send::SendMessage, events::RoomMessage};
    /// SendMessage::of("!a:example.org".parse()?, "1", &RoomMessage::text("hello"));
    /// # Ok::<(), matricula_api::IdError>(())
    /// ```
    ///
    /// Other kinds of contents do not compile:
    ///
    /// ```compile_fail,E0080
    /// # use matricula_api::{client::room_send::SendMessage, events::RoomName};
    /// SendMessage::of("!a:example.org".parse()?, "1", &RoomName::default());
    /// # Ok::<(), matricula_api::IdError>(())
    /// ```
    pub fn of<C: EventContent>(room_id: RoomId, txn_id: impl Into<String>, content: &C) -> Self {
        const { assert!(fits::<C>(EventKind::Message)) }
        Self::new(room_id, C::TYPE, txn_id, content.to_raw())
    }
}

impl SendStateEvent {
    /// Sends `content` as a state event. `state_key` is empty for most types.
    pub fn of<C: EventContent>(room_id: RoomId, state_key: impl Into<String>, content: &C) -> Self {
        const { assert!(fits::<C>(EventKind::State)) }
        Self::new(room_id, C::TYPE, state_key, content.to_raw())
    }
}

impl StateEvent {
    /// An initial state event with the empty state key.
    pub fn of<C: EventContent>(content: &C) -> Self {
        const { assert!(fits::<C>(EventKind::State)) }
        Self::new(C::TYPE, content.to_raw())
    }
}

impl SetAccountData {
    /// Replaces the global account data of this type.
    pub fn of<C: EventContent>(user_id: UserId, content: &C) -> Self {
        const { assert!(fits::<C>(EventKind::AccountData)) }
        Self::new(user_id, C::TYPE, content.to_raw())
    }
}

impl SetAccountDataPerRoom {
    /// Replaces the account data of this type for a room.
    pub fn of<C: EventContent>(user_id: UserId, room_id: RoomId, content: &C) -> Self {
        const { assert!(fits::<C>(EventKind::AccountData)) }
        Self::new(user_id, room_id, C::TYPE, content.to_raw())
    }
}

impl SendToDevice {
    /// Sends a content to each of these devices, given by user and device id; `*` means all devices
    /// of the user. With the same `txn_id`, the server sends it once.
    pub fn of<'a, C: EventContent + 'a>(
        txn_id: impl Into<String>,
        contents: impl IntoIterator<Item = (UserId, String, &'a C)>,
    ) -> Self {
        const { assert!(fits::<C>(EventKind::ToDevice)) }
        let mut messages: SortedMap<UserId, SortedMap<String, Raw>> = SortedMap::default();
        for (user, device, content) in contents {
            let content = content.to_raw();
            if let Some(devices) = messages.get_mut(user.as_str()) {
                devices.insert(device, content);
            } else {
                messages.insert(user, [(device, content)].into());
            }
        }
        Self::new(C::TYPE, txn_id, messages)
    }
}

/// Whether contents of this type can be of this kind. An event type with a suffix cannot be used
/// here: use `new`.
const fn fits<C: EventContent>(kind: EventKind) -> bool {
    let mut kinds = C::KINDS;
    while let [first, rest @ ..] = kinds {
        if *first as u8 == kind as u8 {
            return !matches!(C::TYPE.as_bytes(), [.., b'.']);
        }
        kinds = rest;
    }
    false
}
