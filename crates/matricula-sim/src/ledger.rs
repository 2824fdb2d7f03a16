//! What the scheduler promised, kept beside it and compared with what it does.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
};

use matricula_core::{
    EffectId, Job, QueuePolicy, RetrySafety, Scheduler, Step,
    scheduler::{Effect, Event, JobId, Outcome, SchedulerConfig, tables},
};

use crate::plan::{Kind, QUEUES, Submission, policy};

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Rule {
    /// What was accepted or told as ended outlives a crash.
    NothingIsLost,
    /// Each accepted job ends once.
    EndsOnce,
    /// How a job ended is what became of it.
    OutcomesAreTrue,
    /// No effect twice.
    EffectsOnce,
    /// A queue keeps its order.
    InOrder,
    /// One job of a queue is on the wire.
    OneOfAQueue,
    /// What has ended or was cancelled is not sent.
    EndedIsNotSent,
    /// Behind a failed job nothing goes, where that is the policy.
    CancelFuture,
    /// A held queue waits.
    Held,
    /// A paused queue waits.
    Paused,
    /// Without a network nothing is sent.
    Offline,
    /// The server's pace is kept.
    InPace,
    /// The wire's bounds are kept.
    Bounds,
    /// It is woken when there is something to do.
    WakeUps,
    /// Everything ends when the trouble is over.
    GoesOn,
    /// In the end nothing is left.
    NothingIsLeft,
    /// No step panics.
    DoesNotPanic,
}

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// How.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.what)
    }
}

pub(crate) type Checked = Result<(), Violation>;

fn violation(rule: Rule, what: impl Into<String>) -> Checked {
    Err(Violation {
        rule,
        what: what.into(),
    })
}

/// One job, as the program that handed it in knows it.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) submission: Submission,
    pub(crate) job_id: Option<JobId>,
    /// The program was told that it is accepted, or found it after a crash.
    pub(crate) accepted: bool,
    pub(crate) end: Option<Outcome>,
    forgotten: bool,
    /// Its end was pushed out by newer ones, or it was not kept: nobody knows.
    unknown: bool,
    /// The program had it tried again after it was held.
    retried: bool,
    /// The program called it back, or let it go when it was held.
    let_go: bool,
    /// It stood behind one that failed.
    must_not_go: bool,
    /// An answer or a crash left open whether it was processed.
    open: bool,
    /// It went.
    sent: bool,
    /// It is on its way at this moment.
    goes: bool,
    /// What came of the last attempt is durable.
    settled: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) records: Vec<Record>,
    /// What is on the wire, by its number.
    wire: BTreeMap<EffectId, usize>,
    /// Those that stood behind a job which failed, until its end is told.
    behind: BTreeMap<JobId, Vec<usize>>,
    paused: BTreeSet<u8>,
    /// Queues that were told as held, with their heads.
    held: BTreeMap<u8, JobId>,
    /// Heads that are held and not told so yet.
    holding: BTreeMap<JobId, u8>,
    /// Queues that were paused or resumed, and the step of it: until it is written, nobody knows.
    controls: Vec<(u64, u8)>,
    offline: bool,
    /// Whose outcomes are kept, the oldest first.
    kept: VecDeque<JobId>,
    /// Until when a class of requests is to wait.
    closed: BTreeMap<String, u64>,
    steps: u64,
}

/// The number of a job, which its data carries.
pub(crate) fn number(job: &Job) -> usize {
    let number = job.data_json("number").and_then(serde_json::Value::as_u64);
    number
        .and_then(|it| usize::try_from(it).ok())
        .unwrap_or_default()
}

pub(crate) fn queue_name(queue: u8) -> String {
    format!("queue {queue}")
}

/// What a program says.
impl Ledger {
    pub(crate) fn submitted(&mut self, submission: Submission) {
        self.records.push(Record {
            submission,
            job_id: None,
            accepted: false,
            end: None,
            forgotten: false,
            unknown: false,
            retried: false,
            let_go: false,
            must_not_go: false,
            open: false,
            sent: false,
            goes: false,
            settled: false,
        });
    }

    pub(crate) fn has_job_id(&mut self, number: usize, job_id: JobId) {
        if let Some(record) = self.records.get_mut(number) {
            record.job_id = Some(job_id);
        }
    }

    /// The job id of a job that was accepted, if it was.
    pub(crate) fn job_id(&self, number: usize) -> Option<JobId> {
        let record = self.records.get(number)?;
        record.job_id.filter(|_| record.accepted)
    }

    /// The job id of a job whose outcome was told.
    pub(crate) fn forget(&mut self, number: usize) -> Option<JobId> {
        let record = self.records.get_mut(number)?;
        record.end.as_ref()?;
        record.forgotten = true;
        let job_id = record.job_id?;
        self.kept.retain(|kept| *kept != job_id);
        Some(job_id)
    }

    pub(crate) fn paused(&mut self, queue: u8, paused: bool) {
        match paused {
            true => self.paused.insert(queue),
            false => self.paused.remove(&queue),
        };
        self.controls.push((self.steps, queue));
    }

    pub(crate) fn released(&mut self, queue: u8, again: bool) {
        self.held.remove(&queue);
        self.holding.retain(|_, of| *of != queue);
        // It may be held and not be told so, after a crash.
        if again && policy(queue) == QueuePolicy::Hold {
            for record in &mut self.records {
                record.retried |= record.submission.queue == Some(queue) && record.end.is_none();
            }
        }
    }

    /// The program does without this one.
    pub(crate) fn let_go(&mut self, job_id: JobId) {
        if let Some(record) = self.known(job_id) {
            record.let_go = true;
        }
    }

    pub(crate) fn online(&mut self, online: bool) {
        self.offline = !online;
    }

    /// Everything up to this step is written.
    pub(crate) fn written(&mut self, step: u64) {
        self.controls.retain(|(of, _)| *of >= step);
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// A server asked to wait.
    pub(crate) fn closed(&mut self, id: EffectId, until: u64) {
        if let Some(number) = self.wire.get(&id) {
            let class = self.class_of(*number);
            let known = self.closed.entry(class).or_default();
            *known = until.max(*known);
        }
    }

    fn class_of(&self, number: usize) -> String {
        format!("{:?}", self.records[number].submission.kind)
    }

    /// Whether the answer to this leaves open what became of it.
    pub(crate) fn answered(&mut self, id: EffectId, open: bool) {
        if let Some(number) = self.wire.remove(&id) {
            self.records[number].open |= open;
            self.records[number].goes = false;
        }
    }
}

/// What a scheduler does.
impl Ledger {
    pub(crate) fn step(
        &mut self,
        now: u64,
        limits: &SchedulerConfig,
        step: &Step<Effect, Event>,
    ) -> Checked {
        self.steps += 1;
        for event in &step.events {
            if let Event::Held { job_id, .. } = event
                && let Some(queue) = self.known(*job_id).and_then(|it| it.submission.queue)
            {
                self.holding.insert(*job_id, queue);
            }
            if let Event::Finished(job_id, _) = event {
                self.keep(*job_id, limits);
            }
            if let Event::Finished(job_id, outcome) = event
                && !outcome.success()
            {
                let behind = self.behind(*job_id);
                self.behind.insert(*job_id, behind);
            }
        }
        for effect in &step.effects {
            match effect {
                Effect::Send(id, job) => self.goes(now, limits, *id, number(job))?,
                Effect::Abort(id) => self.answered(*id, true),
                _ => {}
            }
        }
        Ok(())
    }

    /// Its outcome is kept, and may push out the oldest.
    fn keep(&mut self, job_id: JobId, limits: &SchedulerConfig) {
        let queue = self.known(job_id).and_then(|it| it.submission.queue);
        if queue.is_none() {
            return;
        }
        self.kept.push_back(job_id);
        if self.kept.len() > limits.max_kept_outcomes
            && let Some(oldest) = self.kept.pop_front()
            && let Some(record) = self.known(oldest)
        {
            record.unknown = true;
        }
    }

    /// Those of its queue that were handed in after it and have not ended.
    fn behind(&self, job_id: JobId) -> Vec<usize> {
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

    fn goes(&mut self, now: u64, limits: &SchedulerConfig, id: EffectId, number: usize) -> Checked {
        let Submission { queue, kind } = self.records[number].submission;
        let on_the_wire = |ledger: &Self, polls: bool| {
            let kinds = ledger.wire.values();
            let kinds = kinds.map(|number| ledger.records[*number].submission.kind);
            kinds.filter(|kind| (*kind == Kind::News) == polls).count()
        };
        let (polls, most) = match kind {
            Kind::News => (true, limits.max_long_polls),
            _ => (false, limits.max_in_flight),
        };
        if on_the_wire(self, polls) >= most {
            return violation(Rule::Bounds, format!("more than {most} on the wire"));
        }
        if let Some(queue) = queue {
            let mut others = self.wire.values();
            if others.any(|other| self.records[*other].submission.queue == Some(queue)) {
                return violation(Rule::OneOfAQueue, format!("two of queue {queue}"));
            }
            if self.paused.contains(&queue) {
                return violation(Rule::Paused, format!("job {number} of queue {queue}"));
            }
            if self.held.contains_key(&queue) {
                return violation(Rule::Held, format!("job {number} of queue {queue}"));
            }
        }
        if self.offline {
            return violation(Rule::Offline, format!("job {number}"));
        }
        let until = self.closed.get(&self.class_of(number));
        if until.is_some_and(|until| now < *until) {
            return violation(Rule::InPace, format!("job {number} goes too early"));
        }
        self.wire.insert(id, number);
        let record = &mut self.records[number];
        (record.sent, record.goes, record.settled) = (true, true, false);
        Ok(())
    }

    /// What the program is told, once it is durable.
    pub(crate) fn told(&mut self, event: &Event) -> Checked {
        if let Event::Waiting { job_id, .. }
        | Event::Held { job_id, .. }
        | Event::AwaitingCredential { job_id, .. } = event
            && let Some(record) = self.known(*job_id)
        {
            // Unless it goes again already.
            record.settled = !record.goes;
        }
        match event {
            Event::Accepted(job_id) => {
                if let Some(record) = self.known(*job_id) {
                    record.accepted = true;
                }
            }
            Event::Held { job_id, .. } => {
                if let Some(queue) = self.holding.remove(job_id) {
                    self.held.insert(queue, *job_id);
                }
            }
            Event::Finished(job_id, outcome) => {
                for number in self.behind.remove(job_id).unwrap_or_default() {
                    self.records[number].must_not_go = true;
                }
                let Some(record) = self.known(*job_id) else {
                    return violation(Rule::EndsOnce, format!("{job_id:?} was never accepted"));
                };
                if record.end.is_some() {
                    return violation(Rule::EndsOnce, format!("{job_id:?} ends again"));
                }
                let queue = record.submission.queue;
                let holds = queue.is_some_and(|queue| policy(queue) == QueuePolicy::Hold);
                if holds && !outcome.success() && !record.let_go {
                    return violation(Rule::Held, format!("{job_id:?} failed and was not held"));
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

    /// A request is carried out.
    pub(crate) fn carried_out(&self, number: usize) -> Checked {
        let record = &self.records[number];
        if record.end.is_some() {
            return violation(Rule::EndedIsNotSent, format!("job {number} has ended"));
        }
        if record.must_not_go {
            return violation(Rule::CancelFuture, format!("job {number} stood behind"));
        }
        Ok(())
    }
}

/// What outlives a crash.
impl Ledger {
    /// What the program knew by itself alone is gone.
    pub(crate) fn crashed(&mut self) {
        for number in std::mem::take(&mut self.wire).into_values() {
            self.records[number].open = true;
            self.records[number].goes = false;
        }
        for (_, queue) in std::mem::take(&mut self.controls) {
            self.paused.remove(&queue);
        }
        self.behind.clear();
        self.holding.clear();
        self.closed.clear();
        self.offline = false;
        for record in &mut self.records {
            record.open |= record.end.is_none() && record.sent && !record.settled;
            // It was never told, and no queue kept it.
            record.unknown |= record.end.is_none() && record.submission.queue.is_none();
        }
    }

    /// Compares what came back with what was promised, and takes over what was not told before.
    pub(crate) fn came_back(
        &mut self,
        scheduler: &Scheduler,
        entries: &[(String, String, Vec<u8>)],
    ) -> Checked {
        let pending: BTreeMap<usize, JobId> = scheduler
            .pending()
            .map(|(job_id, job)| (number(job), job_id))
            .collect();
        let ended: BTreeSet<JobId> = scheduler.ended().collect();
        self.kept = scheduler.ended().collect();
        for (number, record) in self.records.iter_mut().enumerate() {
            if record.submission.queue.is_none() {
                record.job_id = record.job_id.filter(|_| record.accepted);
                continue;
            }
            let is_kept = record.job_id.is_some_and(|job_id| ended.contains(&job_id));
            match (pending.get(&number), record.accepted) {
                (Some(_), _) if record.end.is_some() => {
                    return violation(Rule::EndsOnce, format!("job {number} came back"));
                }
                (Some(job_id), true) if record.job_id != Some(*job_id) => {
                    return violation(
                        Rule::NothingIsLost,
                        format!("job {number} came back as another"),
                    );
                }
                (Some(job_id), _) => (record.job_id, record.accepted) = (Some(*job_id), true),
                (None, _) if is_kept => record.found(number, entries)?,
                (None, true) if !record.forgotten && !record.unknown => {
                    return violation(Rule::NothingIsLost, format!("job {number} is lost"));
                }
                (None, true) => {}
                (None, false) => record.job_id = None,
            }
        }
        for queue in 0..QUEUES {
            let head = scheduler.queue(&queue_name(queue)).next();
            let record = head.and_then(|head| self.known(head));
            // Nobody keeps whether the head was sent, of those that may go twice.
            if let Some(record) = record {
                record.open |= record.submission.kind.retry() != RetrySafety::OnlyIfNotProcessed;
            }
        }
        Ok(())
    }
}

impl Record {
    /// Its outcome is in the store.
    fn found(&mut self, number: usize, entries: &[(String, String, Vec<u8>)]) -> Checked {
        let key = self.job_id.map(JobId::key).unwrap_or_default();
        let mut entries = entries.iter();
        let entry = entries.find(|(table, of, _)| table == tables::OUTCOMES && *of == key);
        let outcome = entry.and_then(|(.., json)| Outcome::from_stored(json).ok());
        let Some(outcome) = outcome else {
            return violation(
                Rule::NothingIsLost,
                format!("the outcome of job {number} is unreadable"),
            );
        };
        match &self.end {
            Some(end) if *end != outcome => violation(
                Rule::EndsOnce,
                format!("job {number} ended otherwise than it was told"),
            ),
            _ => {
                (self.accepted, self.end) = (true, Some(outcome));
                Ok(())
            }
        }
    }

    /// Whether it may be processed after its end, or was and nobody knows.
    pub(crate) fn is_open(&self) -> bool {
        match &self.end {
            Some(Outcome::InDoubt(_)) | None => true,
            Some(Outcome::Failed(error)) => error.processed == matricula_core::Processed::Maybe,
            // An attempt before may arrive later than the one that was answered.
            Some(Outcome::Responded(response)) => !response.success() && self.open,
            _ => false,
        }
    }

    pub(crate) fn was_retried(&self) -> bool {
        self.retried
    }

    pub(crate) fn is_unknown(&self) -> bool {
        self.unknown
    }

    /// Whether something left open what became of it.
    pub(crate) fn was_left_open(&self) -> bool {
        self.open
    }
}

pub(crate) fn broken(rule: Rule, what: impl Into<String>) -> Checked {
    violation(rule, what)
}
