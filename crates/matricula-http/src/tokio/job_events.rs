//! What one job's handle is told, in order, until nobody tells any more.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use matricula_core::scheduler::Event;

/// A channel of tokio's would do; but it begins with room for some dozens of events, which takes longer
/// than all that is told of most jobs.
#[derive(Debug, Default)]
struct Line {
    events: VecDeque<Event>,
    is_over: bool,
    waker: Option<Waker>,
}

/// Where it is told. Dropped, there is nothing more to hear.
pub(crate) struct Teller(Arc<Mutex<Line>>);

/// Where it is heard.
#[derive(Debug)]
pub(crate) struct Told(Arc<Mutex<Line>>);

/// Both ends.
pub(crate) fn channel() -> (Teller, Told) {
    let line = Arc::default();
    (Teller(Arc::clone(&line)), Told(line))
}

fn lock(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Teller {
    pub(crate) fn tell(&self, event: Event) {
        // Nobody listens any more: the job goes on all the same.
        if Arc::strong_count(&self.0) > 1 {
            let mut line = lock(&self.0);
            line.events.push_back(event);
            wake(line);
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        let mut line = lock(&self.0);
        line.is_over = true;
        wake(line);
    }
}

/// Not with the lock held: who wakes up looks at it.
fn wake(mut line: MutexGuard<'_, Line>) {
    let waker = line.waker.take();
    drop(line);
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Told {
    /// The next event; none where there will be no more.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| {
            let mut line = lock(&self.0);
            match line.events.pop_front() {
                None if !line.is_over => {
                    line.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
                event => Poll::Ready(event),
            }
        })
        .await
    }
}
