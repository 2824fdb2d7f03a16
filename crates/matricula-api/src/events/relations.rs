//! Relations between events, and reactions.

use super::definitions::{
    Annotation, InReplyTo, Mentions, Reference, Relation, Replacement, Reply, Thread,
};
use super::{Reaction, RoomEvent};
use crate::{EventId, Raw, UserId, codec};

impl Relation {
    /// A reply to an event.
    pub fn reply(to: EventId) -> Self {
        Reply::new(InReplyTo::new(to)).into()
    }

    /// A replacement (edit) of an event.
    pub fn replace(event: EventId) -> Self {
        Replacement::new(event).into()
    }

    /// Part of the thread with this `root`. `latest` is its last event: clients without thread
    /// support show a reply to it.
    pub fn thread(root: EventId, latest: EventId) -> Self {
        let thread = Thread::new(root).is_falling_back(true);
        thread.in_reply_to(InReplyTo::new(latest)).into()
    }

    /// A reference to an event.
    pub fn reference(to: EventId) -> Self {
        Reference::new(to).into()
    }

    /// An annotation of an event with `key`, such as an emoji.
    pub fn annotation(to: EventId, key: impl Into<String>) -> Self {
        Annotation::new(to).key(key).into()
    }

    /// The event that is replied to. The fallback of a thread is not a reply.
    pub fn in_reply_to(&self) -> Option<&EventId> {
        match self {
            Self::Reply(reply) => Some(&reply.in_reply_to.event_id),
            Self::Thread(thread) if thread.is_falling_back != Some(true) => {
                thread.in_reply_to.as_ref().map(|to| &to.event_id)
            }
            _ => None,
        }
    }

    /// The root event, if this is a thread relation.
    pub fn thread_root(&self) -> Option<&EventId> {
        match self {
            Self::Thread(thread) => Some(&thread.event_id),
            _ => None,
        }
    }

    /// A reply to `event`, in the thread of `event`.
    pub(super) fn answer(event: &RoomEvent) -> Self {
        let to = InReplyTo::new(event.event_id.clone());
        match event.relation().as_ref().and_then(Self::thread_root) {
            Some(root) => {
                let thread = Thread::new(root.clone()).is_falling_back(false);
                thread.in_reply_to(to).into()
            }
            None => Reply::new(to).into(),
        }
    }
}

impl RoomEvent {
    /// The relation of the event, for any event type. `None` if it cannot be read.
    pub fn relation(&self) -> Option<Relation> {
        let fields: crate::SortedMap<String, Raw<Relation>> =
            codec::from_text(self.content.json()).ok()?;
        fields.get("m.relates_to")?.read().ok()
    }
}

impl Reaction {
    /// `key`, such as an emoji, as a reaction to an event.
    pub fn new(to: EventId, key: impl Into<String>) -> Self {
        Self::default().relates_to(Relation::annotation(to, key))
    }

    /// The annotated event, and the key.
    pub fn annotation(&self) -> Option<(&EventId, &str)> {
        match self.relates_to.as_ref()? {
            Relation::Annotation(found) => Some((&found.event_id, found.key.as_deref()?)),
            _ => None,
        }
    }
}

impl Mentions {
    /// Mentions of these users.
    pub fn users(users: impl IntoIterator<Item = UserId>) -> Self {
        Self::default().user_ids(users.into_iter().collect::<Vec<_>>())
    }

    /// A mention of the whole room.
    pub fn everybody() -> Self {
        Self::default().room(true)
    }
}
