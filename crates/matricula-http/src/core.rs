//! The state that a driver keeps under its lock: the machine and the work that its steps led to.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use matricula_core::{
    CredentialRef, EffectId, Job, Ready, Scheduler, Step, StepContext, StoreError, Timestamp,
    TransportResult, WriteAhead, WriteBatch,
    scheduler::{Event, Input, JobId},
};

use crate::{
    Carry, DrivenMachine, DriverInput, Host, Load, SubmitError, SystemClock, SystemEntropy,
    job_events::{self, JobWatchers},
};

/// Steps the machine and queues the work that follows, once what a step writes is durable.
///
/// A driver applies inputs with [`apply`](Self::apply) and then takes the work:
/// [`next_write`](Self::next_write), [`next_request`](Self::next_request),
/// [`next_renewal`](Self::next_renewal), [`next_load`](Self::next_load), and the time to
/// [wake it](Self::wake_at). `A` is dropped when its request is aborted.
pub(crate) struct RunnerCore<M: DrivenMachine, H, A> {
    machine: M,
    host: H,
    write_ahead: WriteAhead<M::Effect, M::Event>,
    /// Why the store could not be written. Nothing is stepped after that.
    store_error: Option<StoreError>,
    wake_at: Option<Timestamp>,
    unsent: VecDeque<(EffectId, Arc<Job>)>,
    in_flight: HashMap<EffectId, A>,
    /// Aborted requests whose task or thread has not ended yet.
    abandoned: HashSet<EffectId>,
    renewals: VecDeque<CredentialRef>,
    loads: VecDeque<Load>,
}

impl<M: DrivenMachine, H: Host<M>, A> RunnerCore<M, H, A> {
    pub(crate) fn new(machine: M, host: H) -> Self {
        Self {
            machine,
            host,
            write_ahead: WriteAhead::default(),
            store_error: None,
            wake_at: None,
            unsent: VecDeque::new(),
            in_flight: HashMap::new(),
            abandoned: HashSet::new(),
            renewals: VecDeque::new(),
            loads: VecDeque::new(),
        }
    }

    pub(crate) fn machine(&self) -> &M {
        &self.machine
    }

    pub(crate) fn store_error(&self) -> Option<&StoreError> {
        self.store_error.as_ref()
    }

    /// When to apply [`DriverInput::Wake`] if nothing happens before.
    pub(crate) fn wake_at(&self) -> Option<Timestamp> {
        self.wake_at
    }

    /// Whether everything that was applied is durable.
    pub(crate) fn is_written(&self) -> bool {
        self.write_ahead.is_empty() || self.store_error.is_some()
    }

    /// Whether no request is in flight and everything is durable.
    pub(crate) fn is_idle(&self) -> bool {
        self.unsent.is_empty() && self.in_flight.is_empty() && self.is_written()
    }

    pub(crate) fn apply(&mut self, input: M::Input) {
        if self.store_error.is_none() {
            let step = self.step(input);
            self.push(step);
        }
    }

    pub(crate) fn report(&mut self, report: DriverInput) {
        if let Some(input) = M::input(report) {
            self.apply(input);
        }
    }

    /// A request has ended, with its result or because it was aborted.
    pub(crate) fn completed(&mut self, id: EffectId, result: Option<TransportResult>) {
        if self.in_flight.remove(&id).is_none() {
            self.abandoned.remove(&id);
        } else if let Some(result) = result {
            self.report(DriverInput::Completed(id, result));
        }
    }

    /// The batch to write now, if any. [`written`](Self::written) takes the result.
    pub(crate) fn next_write(&mut self) -> Option<WriteBatch> {
        self.write_ahead.next_write()
    }

    pub(crate) fn written(&mut self, result: Result<(), StoreError>) {
        match result {
            Ok(()) => {
                let ready = self.write_ahead.written();
                self.release(ready);
            }
            Err(error) => {
                tracing::error!(%error, "the store cannot be written: nothing more is sent");
                self.host.store_failed(&error);
                self.store_error = Some(error);
                self.wake_at = None;
            }
        }
    }

    /// The next request to send. It counts as in flight from now on. `token` makes what is dropped to
    /// abort it, and what its sender holds.
    pub(crate) fn next_request<S>(
        &mut self,
        token: impl FnOnce() -> (A, S),
    ) -> Option<(EffectId, Arc<Job>, S)> {
        let (id, job) = self.unsent.pop_front()?;
        let (abort, sender) = token();
        self.in_flight.insert(id, abort);
        Some((id, job, sender))
    }

    pub(crate) fn next_renewal(&mut self) -> Option<CredentialRef> {
        self.renewals.pop_front()
    }

    /// Puts a renewal back that could not be started.
    pub(crate) fn retry_renewal(&mut self, credential: CredentialRef) {
        self.renewals.push_back(credential);
    }

    pub(crate) fn next_load(&mut self) -> Option<Load> {
        self.loads.pop_front()
    }

    fn step(&mut self, input: M::Input) -> Step<M::Effect, M::Event> {
        let mut entropy = SystemEntropy;
        let mut cx = StepContext::new(SystemClock::now(), &mut entropy);
        let step = self.machine.step(&mut cx, input);
        self.wake_at = step.wake_at;
        step
    }

    fn push(&mut self, step: Step<M::Effect, M::Event>) {
        let ready = self.write_ahead.push(step);
        self.release(ready);
    }

    /// Queues effects in the same locked section that released them, so that an abort cannot come
    /// before its request.
    fn release(&mut self, ready: Ready<M::Effect, M::Event>) {
        for event in ready.events {
            self.host.event(event);
        }
        for effect in ready.effects {
            match M::carry(effect) {
                Carry::Send(id, job) => self.unsent.push_back((id, job)),
                Carry::Abort(id) => self.abort(id),
                Carry::NeedCredential(credential) => self.renewals.push_back(credential),
                Carry::Load(load) => self.loads.push_back(load),
                Carry::Host(effect) => self.host.effect(effect),
            }
        }
    }

    fn abort(&mut self, id: EffectId) {
        self.unsent.retain(|(unsent, _)| *unsent != id);
        if self.in_flight.remove(&id).is_some() {
            self.abandoned.insert(id);
        }
    }

    /// Whether the request was sent, has not ended and was not aborted.
    pub(crate) fn is_in_flight(&self, id: EffectId) -> bool {
        self.in_flight.contains_key(&id)
    }

    /// How many aborted requests have not ended yet.
    pub(crate) fn abandoned(&self) -> usize {
        self.abandoned.len()
    }
}

impl<A> RunnerCore<Scheduler, JobWatchers, A> {
    /// Submits a job. Its first event is [`Event::Accepted`], once the job is durable; if the store
    /// fails before, there is none.
    #[allow(clippy::expect_used, reason = "the scheduler's contract")]
    pub(crate) fn submit(
        &mut self,
        job: Job,
    ) -> Result<(JobId, job_events::Receiver), SubmitError> {
        if let Some(error) = &self.store_error {
            return Err(SubmitError::Store(error.clone()));
        }
        let step = self.step(Input::Submit(job.into()));
        let taken = step.events.iter().find_map(|event| match event {
            Event::Accepted(job_id) => Some(Ok(*job_id)),
            Event::Rejected(rejection) => Some(Err(*rejection)),
            _ => None,
        });
        let job_id = taken.expect("a submitted job is accepted or rejected")?;
        let receiver = self.host.watch(job_id);
        self.push(step);
        Ok((job_id, receiver))
    }

    /// The events of a job from now on; `None` if it has ended.
    pub(crate) fn watch(&mut self, job_id: JobId) -> Option<job_events::Receiver> {
        self.machine.job(job_id)?;
        match self.store_error {
            None => Some(self.host.watch(job_id)),
            // There are no more events.
            Some(_) => Some(job_events::channel().1),
        }
    }

    /// Adds a listener for the events of all jobs. It must not block; it returns whether it stays.
    pub(crate) fn listen(&mut self, listener: job_events::Listener) {
        self.host.listen(listener);
    }
}
