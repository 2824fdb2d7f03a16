//! What a client asks for.

use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{Extra, RoomId, SortedMap, codec, common::PresenceState, object::object};

/// `POST /_matrix/client/unstable/org.matrix.simplified_msc3575/sync`.
///
/// Token: required, guests too. To go on, ask the same with the `pos` of the last answer; never two
/// at once on one connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SlidingSync {
    /// The `pos` of the last answer; none to begin.
    pub pos: Option<String>,
    /// How long the server may wait for something new.
    pub timeout: Option<Duration>,
    /// Whether to be shown as online meanwhile. Synapse 1.163 passes it over.
    pub set_presence: Option<PresenceState>,
    /// A name for the connection, for programs that hold several.
    pub conn_id: Option<String>,
    /// Windows on the list of rooms, each with a name of the client's choice.
    pub lists: Option<SortedMap<String, List>>,
    /// Single rooms.
    pub room_subscriptions: Option<SortedMap<RoomId, RoomSubscription>>,
    /// What is wanted beside rooms.
    pub extensions: Option<Extensions>,
    /// What is not named here, in the body.
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
        self.extra.write(&mut map)?;
        map.end()
    }
}

object! {
    /// A window on the list of rooms, newest first, and what to tell of each room in it.
    pub struct List {
        required {
            /// The state wanted: types and state keys. See [`ANY`](super::ANY),
            /// [`LAZY`](super::LAZY) and [`ME`](super::ME).
            required_state: Vec<(String, String)> = "required_state",
            /// How many events of each room's timeline are wanted at most.
            timeline_limit: u64 = "timeline_limit",
        }
        optional {
            /// The first and the last place of each part of the window, from 0; all rooms where
            /// there is none.
            ranges: Vec<(u64, u64)> = "ranges",
            /// Whether all rooms are wanted, whatever `ranges` says.
            slow_get_all_rooms: bool = "slow_get_all_rooms",
            /// Which rooms are in the list.
            filters: Filters = "filters",
        }
    }
}

object! {
    /// Which rooms are in a list: those that all of it holds for.
    pub struct Filters {
        optional {
            /// Whether they are for direct messages.
            is_dm: bool = "is_dm",
            /// The spaces that they are directly in, one at least.
            spaces: Vec<RoomId> = "spaces",
            /// Whether they are encrypted.
            is_encrypted: bool = "is_encrypted",
            /// Whether they are invitations.
            is_invite: bool = "is_invite",
            /// Their types; none is that of ordinary rooms.
            room_types: Vec<Option<String>> = "room_types",
            /// The types that they are not of.
            not_room_types: Vec<Option<String>> = "not_room_types",
            /// Part of their names, in whatever case.
            room_name_like: String = "room_name_like" as text,
            /// Their tags, one at least.
            tags: Vec<String> = "tags",
            /// Tags that they do not have.
            not_tags: Vec<String> = "not_tags",
        }
    }
}

object! {
    /// What to tell of a single room.
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
    /// What is wanted beside rooms. An extension that is not named here goes into
    /// [`extra`](Self::extra).
    pub struct Extensions {
        optional {
            /// Messages to this device.
            to_device: ToDevice = "to_device",
            /// What encryption needs to know.
            e2ee: E2ee = "e2ee",
            /// Account data.
            account_data: AccountData = "account_data",
            /// Read receipts.
            receipts: Receipts = "receipts",
            /// Who types.
            typing: Typing = "typing",
            /// Which threads are followed.
            thread_subscriptions: ThreadSubscriptions = "io.element.msc4308.thread_subscriptions",
        }
    }
}

object! {
    /// Asks for messages to this device.
    pub struct ToDevice {
        optional {
            /// Whether they are wanted.
            enabled: bool = "enabled",
            /// How many at most.
            limit: u64 = "limit",
            /// The `next_batch` of the last answer: the server deletes what came before it.
            since: String = "since" as text,
        }
    }
}

object! {
    /// Asks for what encryption needs to know.
    pub struct E2ee {
        optional {
            /// Whether it is wanted.
            enabled: bool = "enabled",
        }
    }
}

object! {
    /// Asks for account data.
    pub struct AccountData {
        optional {
            /// Whether it is wanted.
            enabled: bool = "enabled",
            /// The lists whose rooms' data are wanted; those of all where nothing is said.
            lists: Vec<String> = "lists",
            /// The subscribed rooms whose data are wanted; those of all where nothing is said.
            rooms: Vec<String> = "rooms",
        }
    }
}

object! {
    /// Asks for read receipts.
    pub struct Receipts {
        optional {
            /// Whether they are wanted.
            enabled: bool = "enabled",
            /// The lists for whose rooms they are wanted; all where nothing is said.
            lists: Vec<String> = "lists",
            /// The subscribed rooms for which they are wanted; all where nothing is said.
            rooms: Vec<String> = "rooms",
        }
    }
}

object! {
    /// Asks who types.
    pub struct Typing {
        optional {
            /// Whether it is wanted.
            enabled: bool = "enabled",
            /// The lists for whose rooms it is wanted; all where nothing is said.
            lists: Vec<String> = "lists",
            /// The subscribed rooms for which it is wanted; all where nothing is said.
            rooms: Vec<String> = "rooms",
        }
    }
}

object! {
    /// Asks which threads are followed.
    pub struct ThreadSubscriptions {
        optional {
            /// Whether it is wanted.
            enabled: bool = "enabled",
            /// How many changes at most.
            limit: u64 = "limit",
        }
    }
}
