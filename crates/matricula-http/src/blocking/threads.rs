//! Threads that end by themselves, counted.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

#[derive(Debug, Default)]
pub(crate) struct Threads {
    count: Mutex<usize>,
    ended: Condvar,
}

impl Threads {
    /// Does this on a thread of its own. What it holds is dropped before the thread counts as ended.
    pub(crate) fn spawn(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        *self.lock() += 1;
        let one = One(Arc::clone(self));
        let thread = thread::Builder::new().name("matricula-http".to_owned());
        let started = thread.spawn(move || {
            let _one = one;
            work();
        });
        started.map(drop)
    }

    /// Waits until no more than so many are left.
    pub(crate) fn wait_for(&self, most: usize, time: Duration) {
        let waited = self
            .ended
            .wait_timeout_while(self.lock(), time, |count| *count > most);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct One(Arc<Threads>);

impl Drop for One {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        self.0.ended.notify_all();
    }
}
