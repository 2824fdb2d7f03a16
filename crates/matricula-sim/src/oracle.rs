//! The oracle: a model of what the scheduler guarantees, compared with what it does at each step.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
};

use matricula_core::{
    EffectId, Job, QueuePolicy, RetrySafety, Scheduler, Step,
    scheduler::{Effect, Event, JobId, Outcome, SchedulerConfig, tables},
};

use crate::plan::{JobKind, QUEUES, Submission, policy};

/// A guarantee of the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Invariant {
    /// What was reported as accepted or ended survives a crash.
    NothingIsLost,
    /// Each accepted job ends once.
    EndsOnce,
    /// The outcome of a job agrees with what the server did.
    OutcomesAreTrue,
    /// The server does nothing twice.
    EffectsOnce,
    /// Jobs of a queue are processed in order.
    InOrder,
    /// At most one job of a queue is in flight.
    OnePerQueue,
    /// A job that has ended or was cancelled is not sent.
    EndedIsNotSent,
    /// Jobs behind a failed one are not sent, if that is the policy.
    CancelFuture,
    /// A held queue sends nothing.
    Held,
    /// A paused queue sends nothing.
    Paused,
    /// Without a network nothing is sent.
    Offline,
    /// The server's rate limit is respected.
    RateLimit,
    /// The bounds of the configuration are respected.
    Bounds,
    /// The number of wake-ups is bounded.
    BoundedWakes,
    /// Every job ends once there are no more faults.
    Progress,
    /// No state is left of jobs that have ended.
    NothingLeft,
    /// No step panics.
    NoPanic,
}

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// What happened.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.what)
    }
}

pub(crate) type CheckResult = Result<(), Violation>;

pub(crate) fn violated(invariant: Invariant, what: impl Into<String>) -> CheckResult {
    Err(Violation {
        invariant,
        what: what.into(),
    })
}

/// A job, as the program that submitted it knows it.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) submission: Submission,
    pub(crate) job_id: Option<JobId>,
    /// It was reported as accepted, or was there after a restart.
    pub(crate) accepted: bool,
    pub(crate) end: Option<Outcome>,
    /// The program dropped its outcome.
    dropped: bool,
    /// Its outcome was removed by newer ones, or was never stored: the program cannot know it.
    unknown: bool,
    /// The program retried it after it was held.
    retried: bool,
    /// The program cancelled it, or skipped it when it was held.
    ended_by_program: bool,
    /// It was behind a job that failed.
    must_not_be_sent: bool,
    /// A result or a crash left it uncertain whether it was processed.
    maybe_processed: bool,
    /// It was sent.
    sent: bool,
    /// It is in flight.
    in_flight: bool,
    /// The result of the last attempt is durable and was reported.
    result_reported: bool,
}

/// What the scheduler has guaranteed so far.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    pub(crate) records: Vec<Record>,
    /// The numbers of the jobs in flight.
    in_flight: BTreeMap<EffectId, usize>,
    /// The jobs behind a failed one, until its outcome is reported.
    behind: BTreeMap<JobId, Vec<usize>>,
    paused: BTreeSet<u8>,
    /// Queues that were reported as held, with their heads.
    held: BTreeMap<u8, JobId>,
    /// Heads that are held, which was not reported yet.
    hold_unreported: BTreeMap<JobId, u8>,
    /// Queues that were paused or resumed, with the step: until that is written, a crash may undo it.
    unwritten_controls: Vec<(u64, u8)>,
    offline: bool,
    /// Jobs whose outcomes are stored, oldest first.
    stored: VecDeque<JobId>,
    /// Until when each rate-limit bucket must wait.
    limited_until: BTreeMap<String, u64>,
    steps: u64,
}

/// The number of a job, which its data carries.
#[expect(clippy::expect_used, reason = "every job of a run is made here")]
pub(crate) fn number(job: &Job) -> usize {
    let number = job.data_json("number").and_then(serde_json::Value::as_u64);
    let number = number.and_then(|number| usize::try_from(number).ok());
    number.expect("every job of a run has a number")
}

pub(crate) fn queue_name(queue: u8) -> String {
    format!("queue {queue}")
}

/// What the program does.
impl Oracle {
    pub(crate) fn submitted(&mut self, submission: Submission) {
        self.records.push(Record {
            submission,
            job_id: None,
            accepted: false,
            end: None,
            dropped: false,
            unknown: false,
            retried: false,
            ended_by_program: false,
            must_not_be_sent: false,
            maybe_processed: false,
            sent: false,
            in_flight: false,
            result_reported: false,
        });
    }

    pub(crate) fn set_job_id(&mut self, number: usize, job_id: JobId) {
        if let Some(record) = self.records.get_mut(number) {
            record.job_id = Some(job_id);
        }
    }

    /// The id of a job that was accepted.
    pub(crate) fn job_id(&self, number: usize) -> Option<JobId> {
        let record = self.records.get(number)?;
        record.job_id.filter(|_| record.accepted)
    }

    /// The program drops the outcome of a job that has ended.
    pub(crate) fn drop_outcome(&mut self, number: usize) -> Option<JobId> {
        let record = self.records.get_mut(number)?;
        record.end.as_ref()?;
        record.dropped = true;
        let job_id = record.job_id?;
        self.stored.retain(|stored| *stored != job_id);
        Some(job_id)
    }

    pub(crate) fn paused(&mut self, queue: u8, paused: bool) {
        if paused {
            self.paused.insert(queue);
        } else {
            self.paused.remove(&queue);
        }
        self.unwritten_controls.push((self.steps, queue));
    }

    pub(crate) fn hold_released(&mut self, queue: u8, again: bool) {
        self.held.remove(&queue);
        self.hold_unreported.retain(|_, of| *of != queue);
        // After a crash, a queue may be held without having been reported so.
        if again && policy(queue) == QueuePolicy::Hold {
            for record in &mut self.records {
                record.retried |= record.submission.queue == Some(queue) && record.end.is_none();
            }
        }
    }

    /// The program ends this job early.
    pub(crate) fn ended_by_program(&mut self, job_id: JobId) {
        if let Some(record) = self.known(job_id) {
            record.ended_by_program = true;
        }
    }

    pub(crate) fn set_online(&mut self, online: bool) {
        self.offline = !online;
    }

    /// Everything up to this step is durable.
    pub(crate) fn written(&mut self, step: u64) {
        self.unwritten_controls.retain(|(of, _)| *of >= step);
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// The server asked the bucket of this request to wait.
    pub(crate) fn rate_limited(&mut self, id: EffectId, until: u64) {
        if let Some(number) = self.in_flight.get(&id) {
            let class = self.bucket_of(*number);
            let known = self.limited_until.entry(class).or_default();
            *known = until.max(*known);
        }
    }

    fn bucket_of(&self, number: usize) -> String {
        format!("{:?}", self.records[number].submission.kind)
    }

    /// A request has completed. `open`: whether it is uncertain that it was processed.
    pub(crate) fn completed(&mut self, id: EffectId, open: bool) {
        if let Some(number) = self.in_flight.remove(&id) {
            self.records[number].maybe_processed |= open;
            self.records[number].in_flight = false;
        }
    }
}

/// What the scheduler does.
impl Oracle {
    pub(crate) fn step(
        &mut self,
        now: u64,
        config: &SchedulerConfig,
        step: &Step<Effect, Event>,
    ) -> CheckResult {
        self.steps += 1;
        for event in &step.events {
            if let Event::Held { job_id, .. } = event
                && let Some(queue) = self.known(*job_id).and_then(|it| it.submission.queue)
            {
                self.hold_unreported.insert(*job_id, queue);
            }
            if let Event::Finished(job_id, _) = event {
                self.outcome_stored(*job_id, config);
            }
            if let Event::Finished(job_id, outcome) = event
                && !outcome.success()
            {
                let behind = self.jobs_behind(*job_id);
                self.behind.insert(*job_id, behind);
            }
        }
        for effect in &step.effects {
            match effect {
                Effect::Send(id, job) => self.check_send(now, config, *id, number(job))?,
                Effect::Abort(id) => self.completed(*id, true),
                _ => {}
            }
        }
        Ok(())
    }

    /// Its outcome is stored, and may replace the oldest one.
    fn outcome_stored(&mut self, job_id: JobId, config: &SchedulerConfig) {
        let queue = self.known(job_id).and_then(|it| it.submission.queue);
        if queue.is_none() {
            return;
        }
        self.stored.push_back(job_id);
        if self.stored.len() > config.max_kept_outcomes
            && let Some(oldest) = self.stored.pop_front()
            && let Some(record) = self.known(oldest)
        {
            record.unknown = true;
        }
    }

    /// The jobs behind it in its queue that are cancelled if it fails.
    fn jobs_behind(&self, job_id: JobId) -> Vec<usize> {
        let failed = self.records.iter().find(|it| it.job_id == Some(job_id));
        let Some(queue) = failed.and_then(|record| record.submission.queue) else {
            return Vec::new();
        };
        if policy(queue) != QueuePolicy::CancelFutureIfFailed {
            return Vec::new();
        }
        let records = self.records.iter().enumerate();
        records
            .filter(|(_, it)| it.submission.queue == Some(queue) && it.end.is_none())
            .filter(|(_, it)| it.job_id.is_some_and(|it| it > job_id))
            .map(|(number, _)| number)
            .collect()
    }

    fn check_send(
        &mut self,
        now: u64,
        config: &SchedulerConfig,
        id: EffectId,
        number: usize,
    ) -> CheckResult {
        let Submission { queue, kind } = self.records[number].submission;
        let in_flight = |oracle: &Self, polls: bool| {
            let kinds = oracle.in_flight.values();
            let kinds = kinds.map(|number| oracle.records[*number].submission.kind);
            kinds
                .filter(|kind| (*kind == JobKind::LongPoll) == polls)
                .count()
        };
        let (polls, most) = match kind {
            JobKind::LongPoll => (true, config.max_long_polls),
            _ => (false, config.max_in_flight),
        };
        if in_flight(self, polls) >= most {
            return violated(Invariant::Bounds, format!("more than {most} in flight"));
        }
        if let Some(queue) = queue {
            let mut others = self.in_flight.values();
            if others.any(|other| self.records[*other].submission.queue == Some(queue)) {
                return violated(
                    Invariant::OnePerQueue,
                    format!("two jobs of queue {queue} in flight"),
                );
            }
            if self.paused.contains(&queue) {
                return violated(Invariant::Paused, format!("job {number} of queue {queue}"));
            }
            if self.held.contains_key(&queue) {
                return violated(Invariant::Held, format!("job {number} of queue {queue}"));
            }
        }
        if self.offline {
            return violated(Invariant::Offline, format!("job {number}"));
        }
        let until = self.limited_until.get(&self.bucket_of(number));
        if until.is_some_and(|until| now < *until) {
            return violated(
                Invariant::RateLimit,
                format!("job {number} is sent too early"),
            );
        }
        self.in_flight.insert(id, number);
        let record = &mut self.records[number];
        (record.sent, record.in_flight, record.result_reported) = (true, true, false);
        Ok(())
    }

    /// An event is reported to the program.
    pub(crate) fn reported(&mut self, event: &Event) -> CheckResult {
        if let Event::Waiting { job_id, .. }
        | Event::Held { job_id, .. }
        | Event::AwaitingCredential { job_id, .. } = event
            && let Some(record) = self.known(*job_id)
        {
            // Unless it was sent again already.
            record.result_reported = !record.in_flight;
        }
        match event {
            Event::Accepted(job_id) => {
                if let Some(record) = self.known(*job_id) {
                    record.accepted = true;
                }
            }
            Event::Held { job_id, .. } => {
                if let Some(queue) = self.hold_unreported.remove(job_id) {
                    self.held.insert(queue, *job_id);
                }
            }
            Event::Finished(job_id, outcome) => {
                for number in self.behind.remove(job_id).unwrap_or_default() {
                    self.records[number].must_not_be_sent = true;
                }
                let Some(record) = self.known(*job_id) else {
                    return violated(
                        Invariant::EndsOnce,
                        format!("{job_id:?} was never accepted"),
                    );
                };
                if record.end.is_some() {
                    return violated(Invariant::EndsOnce, format!("{job_id:?} ended twice"));
                }
                let queue = record.submission.queue;
                let holds = queue.is_some_and(|queue| policy(queue) == QueuePolicy::Hold);
                if holds && !outcome.success() && !record.ended_by_program {
                    return violated(
                        Invariant::Held,
                        format!("{job_id:?} failed and was not held"),
                    );
                }
                record.end = Some(outcome.clone());
                self.held.retain(|_, head| head != job_id);
            }
            _ => {}
        }
        Ok(())
    }

    fn known(&mut self, job_id: JobId) -> Option<&mut Record> {
        let mut records = self.records.iter_mut();
        records.find(|record| record.job_id == Some(job_id))
    }

    /// A send is carried out.
    pub(crate) fn carrying_out(&self, number: usize) -> CheckResult {
        let record = &self.records[number];
        if record.end.is_some() {
            return violated(Invariant::EndedIsNotSent, format!("job {number} has ended"));
        }
        if record.must_not_be_sent {
            return violated(
                Invariant::CancelFuture,
                format!("job {number} is behind a failed one"),
            );
        }
        Ok(())
    }
}

/// Crashes and restarts.
impl Oracle {
    /// What was only in the memory of the program is lost.
    pub(crate) fn crashed(&mut self) {
        for number in std::mem::take(&mut self.in_flight).into_values() {
            self.records[number].maybe_processed = true;
            self.records[number].in_flight = false;
        }
        for (_, queue) in std::mem::take(&mut self.unwritten_controls) {
            self.paused.remove(&queue);
        }
        self.behind.clear();
        self.hold_unreported.clear();
        self.limited_until.clear();
        self.offline = false;
        for record in &mut self.records {
            record.maybe_processed |=
                record.end.is_none() && record.sent && !record.result_reported;
            // Its outcome was not reported, and jobs without a queue are not stored.
            record.unknown |= record.end.is_none() && record.submission.queue.is_none();
        }
    }

    /// Compares the restored state with what was guaranteed, and adopts what was not reported before.
    pub(crate) fn restored(
        &mut self,
        scheduler: &Scheduler,
        entries: &[(String, String, Vec<u8>)],
    ) -> CheckResult {
        let pending: BTreeMap<usize, JobId> = scheduler
            .pending()
            .map(|(job_id, job)| (number(job), job_id))
            .collect();
        let ended: BTreeSet<JobId> = scheduler.ended().collect();
        self.stored = scheduler.ended().collect();
        for (number, record) in self.records.iter_mut().enumerate() {
            if record.submission.queue.is_none() {
                record.job_id = record.job_id.filter(|_| record.accepted);
                continue;
            }
            let is_stored = record.job_id.is_some_and(|job_id| ended.contains(&job_id));
            match (pending.get(&number), record.accepted) {
                (Some(_), _) if record.end.is_some() => {
                    return violated(
                        Invariant::EndsOnce,
                        format!("job {number} was restored after its end"),
                    );
                }
                (Some(job_id), true) if record.job_id != Some(*job_id) => {
                    return violated(
                        Invariant::NothingIsLost,
                        format!("job {number} was restored under another id"),
                    );
                }
                (Some(job_id), _) => (record.job_id, record.accepted) = (Some(*job_id), true),
                (None, _) if is_stored => record.outcome_found(number, entries)?,
                (None, true) if !record.dropped && !record.unknown => {
                    return violated(Invariant::NothingIsLost, format!("job {number} is lost"));
                }
                (None, true) => {}
                (None, false) => record.job_id = None,
            }
        }
        for queue in 0..QUEUES {
            let head = scheduler.queue(&queue_name(queue)).next();
            let record = head.and_then(|head| self.known(head));
            // Whether a head was sent is not stored if the request is safe to retry.
            if let Some(record) = record {
                record.maybe_processed |=
                    record.submission.kind.retry_safety() != RetrySafety::OnlyIfNotProcessed;
            }
        }
        Ok(())
    }
}

impl Record {
    /// Compares the outcome in the store.
    fn outcome_found(
        &mut self,
        number: usize,
        entries: &[(String, String, Vec<u8>)],
    ) -> CheckResult {
        let key = self.job_id.map(JobId::key).unwrap_or_default();
        let mut entries = entries.iter();
        let entry = entries.find(|(table, of, _)| table == tables::OUTCOMES && *of == key);
        let outcome = entry.and_then(|(.., json)| Outcome::from_stored(json).ok());
        let Some(outcome) = outcome else {
            return violated(
                Invariant::NothingIsLost,
                format!("the outcome of job {number} is unreadable"),
            );
        };
        match &self.end {
            Some(end) if *end != outcome => violated(
                Invariant::EndsOnce,
                format!("the stored outcome of job {number} differs from the reported one"),
            ),
            _ => {
                (self.accepted, self.end) = (true, Some(outcome));
                Ok(())
            }
        }
    }

    /// Whether the time at which it was processed is uncertain.
    pub(crate) fn is_uncertain(&self) -> bool {
        match &self.end {
            Some(Outcome::InDoubt(_)) | None => true,
            Some(Outcome::Failed(error)) => error.processed == matricula_core::Processed::Maybe,
            // An earlier attempt may arrive after the one that completed.
            Some(Outcome::Responded(response)) => !response.success() && self.maybe_processed,
            _ => false,
        }
    }

    pub(crate) fn was_retried(&self) -> bool {
        self.retried
    }

    pub(crate) fn is_unknown(&self) -> bool {
        self.unknown
    }

    /// Whether it was ever uncertain that it was processed.
    pub(crate) fn was_maybe_processed(&self) -> bool {
        self.maybe_processed
    }
}
