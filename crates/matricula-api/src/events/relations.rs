//! Relations between events, and the events that are nothing but a relation.

use super::definitions::{
    Annotation, InReplyTo, Mentions, Reference, Relation, Replacement, Reply, Thread,
};
use super::{Reaction, RoomEvent};
use crate::{EventId, Raw, UserId};

impl Relation {
    /// To answer an event.
    pub fn reply(to: EventId) -> Self {
        Reply::new(InReplyTo::new(to)).into()
    }

    /// To take the place of an event.
    pub fn replace(event: EventId) -> Self {
        Replacement::new(event).into()
    }

    /// To be part of the thread that begins with `root`, after its event `latest`, which clients
    /// that know no threads show as answered.
    pub fn thread(root: EventId, latest: EventId) -> Self {
        let thread = Thread::new(root).is_falling_back(true);
        thread.in_reply_to(InReplyTo::new(latest)).into()
    }

    /// To point to an event.
    pub fn reference(to: EventId) -> Self {
        Reference::new(to).into()
    }

    /// To add `key`, such as an emoji, to an event.
    pub fn annotation(to: EventId, key: impl Into<String>) -> Self {
        Annotation::new(to).key(key).into()
    }

    /// The event that is answered. What a thread shows to clients that know no threads is no answer.
    pub fn in_reply_to(&self) -> Option<&EventId> {
        match self {
            Self::Reply(reply) => Some(&reply.in_reply_to.event_id),
            Self::Thread(thread) if thread.is_falling_back != Some(true) => {
                thread.in_reply_to.as_ref().map(|to| &to.event_id)
            }
            _ => None,
        }
    }

    /// The first event of the thread, if this is one.
    pub fn thread_root(&self) -> Option<&EventId> {
        match self {
            Self::Thread(thread) => Some(&thread.event_id),
            _ => None,
        }
    }

    /// How to answer `event`: in its thread, if it is in one.
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
    /// How the event relates to others, whatever its type; none if what says so cannot be read.
    pub fn relation(&self) -> Option<Relation> {
        let fields: crate::SortedMap<String, Raw<Relation>> =
            serde_json::from_str(self.content.json()).ok()?;
        fields.get("m.relates_to")?.read().ok()
    }
}

impl Reaction {
    /// `key`, such as an emoji, as a reaction to an event.
    pub fn new(to: EventId, key: impl Into<String>) -> Self {
        Self::default().relates_to(Relation::annotation(to, key))
    }

    /// The event, and what was added to it.
    pub fn annotation(&self) -> Option<(&EventId, &str)> {
        match self.relates_to.as_ref()? {
            Relation::Annotation(found) => Some((&found.event_id, found.key.as_deref()?)),
            _ => None,
        }
    }
}

impl Mentions {
    /// Of these users.
    pub fn users(users: impl IntoIterator<Item = UserId>) -> Self {
        Self::default().user_ids(users.into_iter().collect())
    }

    /// Of everybody in the room.
    pub fn everybody() -> Self {
        Self::default().room(true)
    }
}
