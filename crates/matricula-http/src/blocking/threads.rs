//! Counts threads that end by themselves.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

#[derive(Debug, Default)]
pub(super) struct Threads {
    count: Mutex<usize>,
    ended: Condvar,
}

impl Threads {
    /// Does `work` on a new thread. Everything that `work` owns is dropped before the thread counts as
    /// ended.
    pub(super) fn spawn(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        *self.lock() += 1;
        let counted = Counted(Arc::clone(self));
        let thread = thread::Builder::new().name("matricula-http".to_owned());
        let started = thread.spawn(move || {
            let _counted = counted;
            work();
        });
        started.map(drop)
    }

    /// Waits until at most `max` threads are left, or the time is over.
    pub(super) fn wait_for(&self, max: usize, time: Duration) {
        let waited = self
            .ended
            .wait_timeout_while(self.lock(), time, |count| *count > max);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Counted(Arc<Threads>);

impl Drop for Counted {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        self.0.ended.notify_all();
    }
}
