//! What the server answers.

use crate::{EventId, Raw, RoomId, SortedMap, UserId, common::StrippedState, object::object};

object! {
    /// The answer to a [`SlidingSync`](super::SlidingSync).
    pub struct SlidingSyncResponse {
        required {
            /// What to ask with next.
            pos: String = "pos" as text,
        }
        optional {
            /// The lists that were asked for.
            lists: SortedMap<String, ListResponse> = "lists",
            /// The rooms of which there is news, whatever asked for them.
            rooms: SortedMap<RoomId, Room> = "rooms",
            /// What was asked for beside rooms.
            extensions: ExtensionsResponse = "extensions",
        }
    }
}

object! {
    /// A list of rooms.
    pub struct ListResponse {
        required {
            /// How many rooms are in it, beyond the window too.
            count: u64 = "count",
        }
        optional {
            /// What stands in the window.
            ops: Vec<ListOperation> = "ops",
        }
    }
}

object! {
    /// What stands in a part of a window.
    pub struct ListOperation {
        required {
            /// `SYNC`: this is what stands there.
            op: String = "op" as text,
        }
        optional {
            /// The first and the last place.
            range: (u64, u64) = "range",
            /// The rooms there, in order.
            room_ids: Vec<RoomId> = "room_ids",
        }
    }
}

object! {
    /// What is new of a room. What is absent has not changed.
    pub struct Room {
        optional {
            /// Its name, or one made of who is in it.
            name: String = "name" as text,
            /// Its picture. Not checked: whoever set it may have written anything.
            avatar: String = "avatar" as text,
            /// Who to name the room after, if it has no name.
            heroes: Vec<Hero> = "heroes",
            /// Whether the connection tells of the room for the first time: what was known of it is
            /// to be forgotten.
            initial: bool = "initial",
            /// Whether the timeline reaches further back than before, because more of it was asked for.
            unstable_expanded_timeline: bool = "unstable_expanded_timeline",
            /// The state that was asked for: all of it where `initial`, else what changed.
            required_state: Vec<Raw> = "required_state",
            /// The latest events, the newest last.
            timeline: Vec<Raw> = "timeline",
            /// Whether there are events between the last answer and the timeline.
            limited: bool = "limited",
            /// Where to ask for earlier events from.
            prev_batch: String = "prev_batch" as text,
            /// How many events at the end of the timeline have just happened.
            num_live: u64 = "num_live",
            /// Whether it is for direct messages.
            is_dm: bool = "is_dm",
            /// Of an invitation: what the room is like.
            invite_state: Vec<Raw<StrippedState>> = "invite_state",
            /// Of a knock: what the room is like.
            knock_state: Vec<Raw<StrippedState>> = "knock_state",
            /// Orders rooms: the higher, the newer.
            bump_stamp: i64 = "bump_stamp",
            /// How many are in it.
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
    /// Somebody to name a room after.
    pub struct Hero {
        required {
            /// Who it is.
            user_id: UserId = "user_id",
        }
        optional {
            /// The name they go by.
            displayname: String = "displayname" as text,
            /// Their picture. Not checked: whoever set it may have written anything.
            avatar_url: String = "avatar_url" as text,
        }
    }
}

object! {
    /// What was asked for beside rooms.
    pub struct ExtensionsResponse {
        optional {
            /// Messages to this device.
            to_device: ToDeviceResponse = "to_device",
            /// What encryption needs to know.
            e2ee: E2eeResponse = "e2ee",
            /// Account data.
            account_data: AccountDataResponse = "account_data",
            /// Read receipts: an `m.receipt` a room.
            receipts: RoomEvents = "receipts",
            /// Who types: an `m.typing` a room.
            typing: RoomEvents = "typing",
            /// Which threads are followed.
            thread_subscriptions: ThreadSubscriptionsResponse =
                "io.element.msc4308.thread_subscriptions",
        }
    }
}

object! {
    /// Messages to this device.
    pub struct ToDeviceResponse {
        required {
            /// What to ask with next, once these are stored.
            next_batch: String = "next_batch" as text,
        }
        optional {
            /// The messages.
            events: Vec<Raw> = "events",
        }
    }
}

object! {
    /// What encryption needs to know.
    pub struct E2eeResponse {
        optional {
            /// How many one-time keys of each algorithm nobody has claimed.
            device_one_time_keys_count: SortedMap<String, u64> = "device_one_time_keys_count",
            /// The algorithms of which the fallback key is unused.
            device_unused_fallback_key_types: Vec<String> = "device_unused_fallback_key_types",
            /// Whose devices have changed.
            device_lists: DeviceLists = "device_lists",
        }
    }
}

object! {
    /// Whose devices have changed.
    pub struct DeviceLists {
        optional {
            /// Those whose devices are to be asked for anew.
            changed: Vec<UserId> = "changed",
            /// Those with whom no room is shared any more.
            left: Vec<UserId> = "left",
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
            /// Where to ask for earlier changes from, if there are any.
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
            /// Whether it was not the person who asked for it.
            automatic: bool = "automatic",
        }
    }
}
