//! What a runner keeps under its lock: the scheduler, what is written before it acts, who watches.

use std::{collections::HashMap, fmt};

use matricula_core::{
    Job, Machine, Ready, Scheduler, StepContext, StoreError, Timestamp, WriteAhead, WriteBatch,
    scheduler::{Effect, Event, Input, JobId, Rejection},
};

use crate::{SubmitError, SystemClock, SystemEntropy};

/// Hears what happens to one job. It must not block.
pub(crate) type Watcher = Box<dyn Fn(Event) + Send>;
/// Hears what happens to all jobs, until it says that nobody listens any more. It must not block.
pub(crate) type Listener = Box<dyn Fn(&Event) -> bool + Send>;

/// Steps the scheduler, and lets what follows out once what it commits is durable. Whoever owns it
/// writes what [`next_write`](Core::next_write) gives and says so with [`written`](Core::written).
pub(crate) struct Core {
    scheduler: Scheduler,
    write_ahead: WriteAhead<Effect, Event>,
    /// Why nothing goes on any more.
    broken: Option<StoreError>,
    watchers: HashMap<JobId, Vec<Watcher>>,
    listeners: Vec<Listener>,
    wake_at: Option<Timestamp>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("jobs", &self.scheduler.len())
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

impl Core {
    pub(crate) fn new(scheduler: Scheduler) -> Self {
        Self {
            scheduler,
            write_ahead: WriteAhead::default(),
            broken: None,
            watchers: HashMap::new(),
            listeners: Vec::new(),
            wake_at: None,
        }
    }

    pub(crate) fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// When to step it again if nothing happens before.
    pub(crate) fn wake_at(&self) -> Option<Timestamp> {
        self.wake_at
    }

    /// Why the store could not be written, after which nothing goes on.
    pub(crate) fn broken(&self) -> Option<&StoreError> {
        self.broken.as_ref()
    }

    /// Whether everything that it said so far is durable and told.
    pub(crate) fn is_written(&self) -> bool {
        self.write_ahead.is_empty() || self.broken.is_some()
    }

    pub(crate) fn listen(&mut self, listener: Listener) {
        self.listeners.push(listener);
    }

    /// Lets a watcher hear what happens to a job; none where it has ended.
    pub(crate) fn watch(&mut self, job_id: JobId, watcher: Watcher) -> Option<()> {
        self.scheduler.job(job_id)?;
        // Where nothing goes on, there is nothing to hear.
        if self.broken.is_none() {
            self.watchers.entry(job_id).or_default().push(watcher);
        }
        Some(())
    }

    /// Takes a job. Its watcher hears [`Event::Accepted`] once the job is durable, or is dropped.
    pub(crate) fn submit(
        &mut self,
        job: Job,
        watcher: Watcher,
    ) -> Result<(JobId, Vec<Effect>), SubmitError> {
        if let Some(error) = &self.broken {
            return Err(SubmitError::Store(error.clone()));
        }
        let input = Input::Submit(job.into());
        let step = self.scheduler.step(
            &mut StepContext::new(SystemClock::now(), &mut SystemEntropy),
            input,
        );
        self.wake_at = step.wake_at;
        let taken = step.events.iter().find_map(|event| match event {
            Event::Accepted(job_id) => Some(Ok(*job_id)),
            Event::Rejected(refusal) => Some(Err(*refusal)),
            _ => None,
        });
        // A submitted job is accepted or refused.
        let job_id = taken.unwrap_or(Err(Rejection::Full { most: 0 }))?;
        self.watchers.insert(job_id, vec![watcher]);
        let released = self.write_ahead.push(step);
        Ok((job_id, self.let_out(released)))
    }

    /// Takes an input, and gives what is to be carried out now.
    pub(crate) fn step(&mut self, input: Input) -> Vec<Effect> {
        if self.broken.is_some() {
            return Vec::new();
        }
        let step = self.scheduler.step(
            &mut StepContext::new(SystemClock::now(), &mut SystemEntropy),
            input,
        );
        self.wake_at = step.wake_at;
        let released = self.write_ahead.push(step);
        self.let_out(released)
    }

    /// What is to be written durably now, if anything.
    pub(crate) fn next_write(&mut self) -> Option<WriteBatch> {
        self.write_ahead.next_write()
    }

    /// What was to be written is, or cannot be; gives what is to be carried out now.
    pub(crate) fn written(&mut self, result: Result<(), StoreError>) -> Vec<Effect> {
        match result {
            Ok(()) => {
                let released = self.write_ahead.written();
                self.let_out(released)
            }
            Err(error) => {
                tracing::error!(%error, "nothing more is sent: what is on the way cannot be kept");
                self.broken = Some(error);
                self.wake_at = None;
                self.watchers.clear();
                self.listeners.clear();
                Vec::new()
            }
        }
    }

    fn let_out(&mut self, released: Ready<Effect, Event>) -> Vec<Effect> {
        for event in released.events {
            self.listeners.retain(|listener| listener(&event));
            let Some(job_id) = event.job_id() else {
                continue;
            };
            let is_over = matches!(event, Event::Finished(..));
            // Nearly always there is one, who gets the event itself.
            let watchers = self.watchers.get(&job_id).map(Vec::as_slice);
            if let Some((last, others)) = watchers.unwrap_or_default().split_last() {
                for watcher in others {
                    watcher(event.clone());
                }
                last(event);
            }
            if is_over {
                self.watchers.remove(&job_id);
            }
        }
        Effect::left_of(released.effects)
    }
}
