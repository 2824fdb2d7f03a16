//! A timer with one thread, which exists only while a time is set.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use matricula_core::Timestamp;

use crate::SystemClock;

#[derive(Debug)]
pub(super) struct Timer {
    state: Mutex<State>,
    changed: Condvar,
    clock: fn() -> Timestamp,
}

#[derive(Debug, Default)]
struct State {
    at: Option<Timestamp>,
    has_thread: bool,
}

impl Default for Timer {
    fn default() -> Self {
        Self::with_clock(SystemClock::now)
    }
}

impl Timer {
    fn with_clock(clock: fn() -> Timestamp) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            clock,
        }
    }

    /// Sets the time at which `fire` is called, instead of an earlier one. Firing clears it.
    ///
    /// How long to wait is computed once. If the clock is set back meanwhile, the timer fires too
    /// early, and can be set again by the new clock.
    pub(super) fn set(
        self: &Arc<Self>,
        at: Option<Timestamp>,
        fire: impl Fn() + Send + 'static,
    ) -> io::Result<()> {
        let mut state = self.lock();
        if state.at == at {
            return Ok(());
        }
        state.at = at;
        if state.has_thread {
            self.changed.notify_one();
        } else if at.is_some() {
            let timer = Arc::clone(self);
            let thread = thread::Builder::new().name("matricula-timer".to_owned());
            let started = thread.spawn(move || timer.run(&fire));
            if started.is_err() {
                state.at = None;
            }
            state.has_thread = started.is_ok();
            return started.map(drop);
        }
        Ok(())
    }

    fn run(&self, fire: &dyn Fn()) {
        let mut state = self.lock();
        while let Some(at) = state.at {
            state = self.sleep(state, at);
            if state.at == Some(at) {
                state.at = None;
                drop(state);
                fire();
                state = self.lock();
            }
        }
        state.has_thread = false;
    }

    /// Sleeps until this time, or until another is set.
    fn sleep<'a>(&self, state: MutexGuard<'a, State>, at: Timestamp) -> MutexGuard<'a, State> {
        let left = at.since((self.clock)());
        let is_set = |state: &mut State| state.at == Some(at);
        let waited = self.changed.wait_timeout_while(state, left, is_set);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn timer_survives_clock_set_back() {
        /// Set back by an hour after it was read once.
        fn clock() -> Timestamp {
            static IS_SET_BACK: AtomicBool = AtomicBool::new(false);
            if IS_SET_BACK.swap(true, Ordering::Relaxed) {
                AFTER
            } else {
                BEFORE
            }
        }
        let timer = Arc::new(Timer::with_clock(clock));
        let (sender, receiver) = mpsc::channel();
        let time = Duration::from_millis(20);
        for at in [BEFORE.plus(time), AFTER.plus(time)] {
            let sender = sender.clone();
            let fire = move || sender.send(()).unwrap();
            timer.set(Some(at), fire).unwrap();
            receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        }
    }
}
