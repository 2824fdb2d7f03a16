//! The sliding sync response.

use crate::{
    EventId, LenientList, Raw, RoomId, SortedMap, UserId, common::StrippedState, object::object,
};

object! {
    /// Response to a [`SlidingSync`](super::SlidingSync).
    pub struct SlidingSyncResponse {
        required {
            /// The `pos` of the next request.
            pos: String = "pos" as text,
        }
        optional {
            /// The requested lists.
            lists: SortedMap<String, ListResponse> = "lists",
            /// The rooms with changes, from lists and subscriptions.
            rooms: SortedMap<RoomId, Room> = "rooms",
            /// The data of the extensions.
            extensions: ExtensionsResponse = "extensions",
        }
    }
}

object! {
    /// A list of rooms.
    pub struct ListResponse {
        optional {
            /// The number of rooms in it, also outside the window. Servers always send it.
            count: u64 = "count",
            /// The rooms in the window.
            ops: LenientList<ListOperation> = "ops",
        }
    }
}

object! {
    /// The rooms in a range of a window.
    pub struct ListOperation {
        required {
            /// `SYNC`: these are the rooms in the range.
            op: String = "op" as text,
        }
        optional {
            /// The first and last index.
            range: (u64, u64) = "range",
            /// The rooms, in order.
            room_ids: LenientList<RoomId> = "room_ids",
        }
    }
}

object! {
    /// The changes of a room. Absent fields have not changed.
    pub struct Room {
        optional {
            /// The name, or a name computed from the members.
            name: String = "name" as text,
            /// The avatar. Not validated: it may be any text.
            avatar: String = "avatar" as text,
            /// Members to name the room after, if it has no name.
            heroes: LenientList<Hero> = "heroes",
            /// Whether the connection sends the room for the first time: discard earlier data.
            initial: bool = "initial",
            /// Whether the timeline begins earlier than before, because of a higher limit.
            unstable_expanded_timeline: bool = "unstable_expanded_timeline",
            /// The requested state: all of it if `initial`, otherwise the changes.
            required_state: Vec<Raw> = "required_state",
            /// The latest events, the newest last.
            timeline: Vec<Raw> = "timeline",
            /// Whether events between the last response and the timeline are missing.
            limited: bool = "limited",
            /// The token to read earlier events.
            prev_batch: String = "prev_batch" as text,
            /// The number of live events at the end of the timeline.
            num_live: u64 = "num_live",
            /// Whether it is a direct chat.
            is_dm: bool = "is_dm",
            /// For an invite: stripped state.
            invite_state: Vec<Raw<StrippedState>> = "invite_state",
            /// For a knock: stripped state.
            knock_state: Vec<Raw<StrippedState>> = "knock_state",
            /// Orders rooms: the higher, the newer.
            bump_stamp: i64 = "bump_stamp",
            /// The number of joined members.
            joined_count: u64 = "joined_count",
            /// How many are invited.
            invited_count: u64 = "invited_count",
            /// How many events in it are unread and notify.
            notification_count: u64 = "notification_count",
            /// How many of those call for attention.
            highlight_count: u64 = "highlight_count",
        }
    }
}

object! {
    /// A member to name a room after.
    pub struct Hero {
        required {
            /// The user.
            user_id: UserId = "user_id",
        }
        optional {
            /// The name they go by.
            displayname: String = "displayname" as text,
            /// The avatar. Not validated: it may be any text.
            avatar_url: String = "avatar_url" as text,
        }
    }
}

object! {
    /// The data of the extensions.
    pub struct ExtensionsResponse {
        optional {
            /// Messages to this device.
            to_device: ToDeviceResponse = "to_device",
            /// End-to-end encryption data.
            e2ee: E2eeResponse = "e2ee",
            /// Account data.
            account_data: AccountDataResponse = "account_data",
            /// Read receipts: an `m.receipt` a room.
            receipts: RoomEvents = "receipts",
            /// Typing notifications: an `m.typing` event per room.
            typing: RoomEvents = "typing",
            /// Thread subscriptions.
            thread_subscriptions: ThreadSubscriptionsResponse =
                "io.element.msc4308.thread_subscriptions",
        }
    }
}

object! {
    /// Messages to this device.
    pub struct ToDeviceResponse {
        required {
            /// The `since` of the next request, after these messages are stored.
            next_batch: String = "next_batch" as text,
        }
        optional {
            /// The messages.
            events: Vec<Raw> = "events",
        }
    }
}

object! {
    /// End-to-end encryption data.
    pub struct E2eeResponse {
        optional {
            /// The number of unclaimed one-time keys, by algorithm.
            device_one_time_keys_count: SortedMap<String, u64> = "device_one_time_keys_count",
            /// The algorithms of which the fallback key is unused.
            device_unused_fallback_key_types: LenientList<String> = "device_unused_fallback_key_types",
            /// Whose devices have changed.
            device_lists: DeviceLists = "device_lists",
        }
    }
}

object! {
    /// Whose devices have changed.
    pub struct DeviceLists {
        optional {
            /// Users whose devices must be queried again.
            changed: LenientList<UserId> = "changed",
            /// Those with whom no room is shared any more.
            left: LenientList<UserId> = "left",
        }
    }
}

object! {
    /// Account data.
    pub struct AccountDataResponse {
        optional {
            /// Of the account.
            global: Vec<Raw> = "global",
            /// Of rooms.
            rooms: SortedMap<RoomId, Vec<Raw>> = "rooms",
        }
    }
}

object! {
    /// An event a room.
    pub struct RoomEvents {
        optional {
            /// The events.
            rooms: SortedMap<RoomId, Raw> = "rooms",
        }
    }
}

object! {
    /// Which threads are followed: those of which that changed.
    pub struct ThreadSubscriptionsResponse {
        optional {
            /// By room and by the event that the thread begins with.
            subscribed: SortedMap<RoomId, SortedMap<EventId, ThreadSubscription>> = "subscribed",
            /// Those that are followed no more.
            unsubscribed: SortedMap<RoomId, SortedMap<EventId, ThreadSubscription>> = "unsubscribed",
            /// The token to read earlier changes, if there are any.
            prev_batch: String = "prev_batch" as text,
        }
    }
}

object! {
    /// Whether and since when a thread is followed.
    pub struct ThreadSubscription {
        required {
            /// Orders changes: the higher, the newer.
            bump_stamp: i64 = "bump_stamp",
        }
        optional {
            /// Whether it was subscribed automatically.
            automatic: bool = "automatic",
        }
    }
}
