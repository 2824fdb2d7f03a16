//! The sliding sync request.

use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{Extra, RoomId, SortedMap, codec, common::PresenceState, object::object};

/// `POST /_matrix/client/unstable/org.matrix.simplified_msc3575/sync`.
///
/// Access token: required; available to guests. To continue, send the same request with the `pos`
/// of the last response. A connection allows one request at a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SlidingSync {
    /// The `pos` of the last response. Absent in the first request.
    pub pos: Option<String>,
    /// How long the server may wait for changes.
    pub timeout: Option<Duration>,
    /// The user's presence while syncing. Synapse 1.163 ignores it.
    pub set_presence: Option<PresenceState>,
    /// The name of the connection, for programs with several.
    pub conn_id: Option<String>,
    /// Windows of the room list, by a name of the client's choice.
    pub lists: Option<SortedMap<String, List>>,
    /// Single rooms.
    pub room_subscriptions: Option<SortedMap<RoomId, RoomSubscription>>,
    /// The extensions.
    pub extensions: Option<Extensions>,
    /// Other fields of the body.
    pub extra: Extra,
}

impl SlidingSync {
    /// Sets `pos`.
    #[must_use]
    pub fn pos(mut self, pos: impl Into<String>) -> Self {
        self.pos = Some(pos.into());
        self
    }

    /// Sets `timeout`.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets `set_presence`.
    #[must_use]
    pub fn set_presence(mut self, set_presence: PresenceState) -> Self {
        self.set_presence = Some(set_presence);
        self
    }

    /// Sets `conn_id`.
    #[must_use]
    pub fn conn_id(mut self, conn_id: impl Into<String>) -> Self {
        self.conn_id = Some(conn_id.into());
        self
    }

    /// Sets `lists`.
    #[must_use]
    pub fn lists(mut self, lists: SortedMap<String, List>) -> Self {
        self.lists = Some(lists);
        self
    }

    /// Sets `room_subscriptions`.
    #[must_use]
    pub fn room_subscriptions(mut self, rooms: SortedMap<RoomId, RoomSubscription>) -> Self {
        self.room_subscriptions = Some(rooms);
        self
    }

    /// Sets `extensions`.
    #[must_use]
    pub fn extensions(mut self, extensions: Extensions) -> Self {
        self.extensions = Some(extensions);
        self
    }
}

/// The body alone.
impl Serialize for SlidingSync {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        codec::entry(&mut map, "conn_id", self.conn_id.as_ref())?;
        codec::entry(&mut map, "lists", self.lists.as_ref())?;
        codec::entry(
            &mut map,
            "room_subscriptions",
            self.room_subscriptions.as_ref(),
        )?;
        codec::entry(&mut map, "extensions", self.extensions.as_ref())?;
        codec::extra(&mut map, &self.extra, &[])?;
        map.end()
    }
}

object! {
    /// A window of the room list, newest first, and which data of its rooms to send.
    pub struct List {
        required {
            /// The state events to send: types and state keys. See [`ANY`](super::ANY),
            /// [`LAZY`](super::LAZY) and [`ME`](super::ME).
            required_state: Vec<(String, String)> = "required_state",
            /// The maximum number of timeline events per room.
            timeline_limit: u64 = "timeline_limit",
        }
        optional {
            /// The first and last index of each range of the window, from 0. Absent means all
            /// rooms.
            ranges: Vec<(u64, u64)> = "ranges",
            /// Whether to send all rooms, regardless of `ranges`.
            slow_get_all_rooms: bool = "slow_get_all_rooms",
            /// The conditions for rooms in the list.
            filters: Filters = "filters",
        }
    }
}

object! {
    /// The conditions for rooms in a list; all must match.
    pub struct Filters {
        optional {
            /// Whether they are direct chats.
            is_dm: bool = "is_dm",
            /// Spaces, at least one of which they are a direct child of.
            spaces: Vec<RoomId> = "spaces",
            /// Whether they are encrypted.
            is_encrypted: bool = "is_encrypted",
            /// Whether they are invites.
            is_invite: bool = "is_invite",
            /// The room types; null means ordinary rooms.
            room_types: Vec<Option<String>> = "room_types",
            /// The excluded room types.
            not_room_types: Vec<Option<String>> = "not_room_types",
            /// Part of the name, case-insensitive.
            room_name_like: String = "room_name_like" as text,
            /// Tags, at least one of which they have.
            tags: Vec<String> = "tags",
            /// Excluded tags.
            not_tags: Vec<String> = "not_tags",
        }
    }
}

object! {
    /// Which data of a room to send.
    pub struct RoomSubscription {
        required {
            /// As in a [`List`].
            required_state: Vec<(String, String)> = "required_state",
            /// As in a [`List`].
            timeline_limit: u64 = "timeline_limit",
        }
    }
}

object! {
    /// The extensions. An unknown extension goes into [`extra`](Self::extra).
    pub struct Extensions {
        optional {
            /// Messages to this device.
            to_device: ToDevice = "to_device",
            /// End-to-end encryption data.
            e2ee: E2ee = "e2ee",
            /// Account data.
            account_data: AccountData = "account_data",
            /// Read receipts.
            receipts: Receipts = "receipts",
            /// Typing notifications.
            typing: Typing = "typing",
            /// Thread subscriptions.
            thread_subscriptions: ThreadSubscriptions = "io.element.msc4308.thread_subscriptions",
        }
    }
}

object! {
    /// The extension for to-device messages.
    pub struct ToDevice {
        optional {
            /// Whether it is enabled.
            enabled: bool = "enabled",
            /// The maximum number.
            limit: u64 = "limit",
            /// The `next_batch` of the last response: the server deletes earlier messages.
            since: String = "since" as text,
        }
    }
}

object! {
    /// The extension for end-to-end encryption.
    pub struct E2ee {
        optional {
            /// Whether it is enabled.
            enabled: bool = "enabled",
        }
    }
}

object! {
    /// The extension for account data.
    pub struct AccountData {
        optional {
            /// Whether it is enabled.
            enabled: bool = "enabled",
            /// The lists whose rooms it applies to. Absent means all.
            lists: Vec<String> = "lists",
            /// The subscribed rooms that it applies to. Absent means all.
            rooms: Vec<String> = "rooms",
        }
    }
}

object! {
    /// The extension for read receipts.
    pub struct Receipts {
        optional {
            /// Whether it is enabled.
            enabled: bool = "enabled",
            /// The lists whose rooms it applies to. Absent means all.
            lists: Vec<String> = "lists",
            /// The subscribed rooms that it applies to. Absent means all.
            rooms: Vec<String> = "rooms",
        }
    }
}

object! {
    /// The extension for typing notifications.
    pub struct Typing {
        optional {
            /// Whether it is enabled.
            enabled: bool = "enabled",
            /// The lists whose rooms it applies to. Absent means all.
            lists: Vec<String> = "lists",
            /// The subscribed rooms that it applies to. Absent means all.
            rooms: Vec<String> = "rooms",
        }
    }
}

object! {
    /// The extension for thread subscriptions.
    pub struct ThreadSubscriptions {
        optional {
            /// Whether it is enabled.
            enabled: bool = "enabled",
            /// The maximum number of changes.
            limit: u64 = "limit",
        }
    }
}
