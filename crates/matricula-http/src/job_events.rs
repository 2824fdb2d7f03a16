//! Carries events of jobs to their handles and to listeners.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use matricula_core::{
    Scheduler, StoreError,
    scheduler::{Effect, Event, JobId},
};

use crate::Host;

/// Hears the events of all jobs, and returns whether it wants more. It must not block.
pub(crate) type Listener = Box<dyn Fn(&Event) -> bool + Send>;

/// The handles and listeners that wait for events.
#[derive(Default)]
pub(crate) struct JobWatchers {
    handles: HashMap<JobId, Vec<Sender>>,
    listeners: Vec<Listener>,
}

impl JobWatchers {
    pub(crate) fn watch(&mut self, job_id: JobId) -> Receiver {
        let (sender, receiver) = channel();
        self.handles.entry(job_id).or_default().push(sender);
        receiver
    }

    pub(crate) fn listen(&mut self, listener: Listener) {
        self.listeners.push(listener);
    }
}

impl Host<Scheduler> for JobWatchers {
    fn event(&mut self, event: Event) {
        self.listeners.retain(|listener| listener(&event));
        let Some(job_id) = event.job_id() else {
            return;
        };
        let is_last = matches!(event, Event::Finished(..));
        let handles = self.handles.get(&job_id).map(Vec::as_slice);
        // Nearly always there is one handle: it takes the event without a copy.
        if let Some((last, others)) = handles.unwrap_or_default().split_last() {
            for sender in others {
                sender.send(event.clone());
            }
            last.send(event);
        }
        if is_last {
            self.handles.remove(&job_id);
        }
    }

    fn effect(&mut self, _: Effect) {}

    fn store_failed(&mut self, _: &StoreError) {
        self.handles.clear();
        self.listeners.clear();
    }
}

/// A channel for the few events of one job. The channels of tokio and std allocate blocks of about 32
/// events, which takes 5 or 6 KiB for each handle instead of 0.8 KiB.
pub(crate) fn channel() -> (Sender, Receiver) {
    let channel = Arc::default();
    (Sender(Arc::clone(&channel)), Receiver(channel))
}

#[derive(Debug, Default)]
struct Channel {
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event>,
    is_closed: bool,
    waker: Option<Waker>,
}

impl Channel {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the queue, and wakes the receiver after the lock is released: it locks it, too.
    fn change(&self, change: impl FnOnce(&mut Queue)) {
        let mut queue = self.lock();
        change(&mut queue);
        let waker = queue.waker.take();
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The sending half. Dropping it ends the channel.
pub(crate) struct Sender(Arc<Channel>);

impl Sender {
    fn send(&self, event: Event) {
        // Without a receiver the job continues all the same.
        if Arc::strong_count(&self.0) > 1 {
            self.0.change(|queue| queue.events.push_back(event));
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.change(|queue| queue.is_closed = true);
    }
}

/// The receiving half.
#[derive(Debug)]
pub(crate) struct Receiver(Arc<Channel>);

impl Receiver {
    /// The next event; `None` when there will be no more.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut queue = self.0.lock();
        match queue.events.pop_front() {
            None if !queue.is_closed => {
                queue.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            event => Poll::Ready(event),
        }
    }
}
