//! Which long-polling requests wait for what, and which changes end their waits.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    time::Duration,
};

use rusqlite::Transaction;

use super::storage::members;

/// What a long-polling request waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Awaited {
    /// A change that the syncs of this user report.
    Sync(String),
    /// The upload with this media id.
    Upload(String),
}

/// What one request changed, and what it waits for.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    changed: RefCell<BTreeSet<Awaited>>,
    waits_for: RefCell<Option<Awaited>>,
    waits_at_most: Cell<Option<Duration>>,
}

/// What a request waits for, before it is handled again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// The change that ends the wait.
    pub(crate) awaited: Awaited,
    /// How long it waits for that change at most, if something else will change by itself.
    pub(crate) at_most: Option<Duration>,
}

impl Changes {
    /// Records a change: requests that wait for it are handled again after this one is committed.
    pub(crate) fn add(&self, change: Awaited) {
        self.changed.borrow_mut().insert(change);
    }

    /// Records a change that the syncs of this user report.
    pub(crate) fn add_for_user(&self, user_id: &str) {
        self.add(Awaited::Sync(user_id.to_owned()));
    }

    /// Records a change that the syncs of all members of a room report.
    pub(crate) fn add_for_room(&self, tx: &Transaction<'_>, room: &str) -> rusqlite::Result<()> {
        for user_id in members::joined(tx, room)? {
            self.add(Awaited::Sync(user_id));
        }
        Ok(())
    }

    /// Records that there is nothing to respond yet: the request may wait for a change.
    pub(crate) fn wait_for(&self, awaited: Awaited) {
        *self.waits_for.borrow_mut() = Some(awaited);
    }

    /// Records that a request that waits must be handled again after this time, without a change.
    pub(crate) fn wait_at_most(&self, time: Duration) {
        self.waits_at_most.set(Some(time));
    }

    /// What was recorded.
    pub(crate) fn into_parts(self) -> (BTreeSet<Awaited>, Option<Wait>) {
        let at_most = self.waits_at_most.get();
        let wait = self
            .waits_for
            .into_inner()
            .map(|awaited| Wait { awaited, at_most });
        (self.changed.into_inner(), wait)
    }
}
