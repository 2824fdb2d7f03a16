//! One thread that sleeps until a time, and is there only while there is a time.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use matricula_job::Timestamp;

use crate::now;

#[derive(Debug, Default)]
pub(crate) struct Alarm {
    set: Mutex<Set>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Set {
    at: Option<Timestamp>,
    has_thread: bool,
}

impl Alarm {
    /// Rings at this time, and not at the one that was set before. Ringing unsets it.
    pub(crate) fn set(
        self: &Arc<Self>,
        at: Option<Timestamp>,
        ring: impl Fn() + Send + 'static,
    ) -> io::Result<()> {
        let mut set = self.lock();
        if set.at == at {
            return Ok(());
        }
        set.at = at;
        if set.has_thread {
            self.moved.notify_one();
        } else if at.is_some() {
            let alarm = Arc::clone(self);
            let thread = thread::Builder::new().name("matricula-alarm".to_owned());
            let started = thread.spawn(move || alarm.keep(&ring));
            if started.is_err() {
                set.at = None;
            }
            set.has_thread = started.is_ok();
            return started.map(drop);
        }
        Ok(())
    }

    fn keep(&self, ring: &dyn Fn()) {
        let mut set = self.lock();
        while let Some(at) = set.at {
            let left = at.since(now());
            if left.is_zero() {
                set.at = None;
                drop(set);
                ring();
                set = self.lock();
            } else {
                let waited = self.moved.wait_timeout(set, left);
                set = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        set.has_thread = false;
    }

    fn lock(&self) -> MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
