//! One thread that sleeps until a time, and is there only while there is a time.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use matricula_core::Timestamp;

use crate::SystemClock;

#[derive(Debug)]
pub(crate) struct Timer {
    set: Mutex<Set>,
    moved: Condvar,
    clock: fn() -> Timestamp,
}

#[derive(Debug, Default)]
struct Set {
    at: Option<Timestamp>,
    has_thread: bool,
}

impl Default for Timer {
    fn default() -> Self {
        Self::by(SystemClock::now)
    }
}

impl Timer {
    fn by(clock: fn() -> Timestamp) -> Self {
        Self {
            set: Mutex::default(),
            moved: Condvar::new(),
            clock,
        }
    }

    /// Rings at this time, and not at the one that was set before. Ringing unsets it.
    ///
    /// It rings no later than that time was away when it was looked at: where the clock is set back
    /// meanwhile, it rings too early, and whoever set it can set it anew by the clock as it is now.
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
            let timer = Arc::clone(self);
            let thread = thread::Builder::new().name("matricula-timer".to_owned());
            let started = thread.spawn(move || timer.keep(&ring));
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
            set = self.sleep(set, at);
            if set.at == Some(at) {
                set.at = None;
                drop(set);
                ring();
                set = self.lock();
            }
        }
        set.has_thread = false;
    }

    /// Until this time is there, or is not the one that is set any more.
    fn sleep<'a>(&self, set: MutexGuard<'a, Set>, at: Timestamp) -> MutexGuard<'a, Set> {
        // Looked at once: the clock may be set back in the middle of it, and hours be left again.
        let left = at.since((self.clock)());
        let is_set = |set: &mut Set| set.at == Some(at);
        let waited = self.moved.wait_timeout_while(set, left, is_set);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            atomic::{AtomicBool, Ordering},
            mpsc,
        },
        time::Duration,
    };

    use super::*;

    const BEFORE: Timestamp = Timestamp::from_millis(3_600_000);
    const AFTER: Timestamp = Timestamp::from_millis(0);

    #[test]
    fn an_alarm_whose_clock_is_set_back_rings_all_the_same_and_can_be_set_anew() {
        /// Set back by an hour once it was looked at.
        fn clock() -> Timestamp {
            static IS_SET_BACK: AtomicBool = AtomicBool::new(false);
            if IS_SET_BACK.swap(true, Ordering::Relaxed) {
                AFTER
            } else {
                BEFORE
            }
        }
        let timer = Arc::new(Timer::by(clock));
        let (tell, told) = mpsc::channel();
        let time = Duration::from_millis(20);
        for at in [BEFORE.plus(time), AFTER.plus(time)] {
            let tell = tell.clone();
            let ring = move || tell.send(()).unwrap();
            timer.set(Some(at), ring).unwrap();
            told.recv_timeout(Duration::from_secs(10)).unwrap();
        }
    }
}
