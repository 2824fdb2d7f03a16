//! Decides which job runs next, when it is tried again, and when it is given up.
//!
//! A job of a queue goes when those before it have ended; a job of none goes at once. Queues take
//! turns. What a server's pace holds back waits in a lane with the other requests that the server
//! counts together, and the rest goes on.
//!
//! | bound | what |
//! |---|---|
//! | [`SchedulerConfig::max_jobs`] | jobs that have not ended |
//! | [`SchedulerConfig::max_in_flight`], [`SchedulerConfig::max_long_polls`] | requests on the wire, and those that wait for news |
//! | [`SchedulerConfig::max_attempts`], [`SchedulerConfig::max_rate_limit_wait`] | how long one job is tried |
//! | [`SchedulerConfig::max_kept_outcomes`] | outcomes that are kept for whoever comes back for them |

mod completion;
mod contract;
mod credentials;
mod dispatch;
mod persistence;
mod queue;
mod queue_control;
mod rate_limit;
mod rate_limit_key;
mod retry;
mod status;
mod table;

use std::{
    collections::VecDeque,
    hash::{BuildHasherDefault, DefaultHasher},
    sync::Arc,
};

use imbl::{GenericHashMap, OrdMap, OrdSet, Vector, shared_ptr::DefaultSharedPtr};

pub use contract::{Effect, Event, Input, JobId, JobStatus, Outcome, Rejection, WaitReason};
use credentials::AwaitingJobs;
pub use persistence::{RestoreError, tables};
use queue::{BucketKey, Queue, QueueKey, RateLimitBucket, ReadyEntry};
use rate_limit_key::RateLimitKey;
use retry::Attempts;
pub use retry::SchedulerConfig;
use table::{Few, Table};

use crate::{EffectId, Job, Machine, Step, StepContext, Timestamp};

/// The scheduler: a [`Machine`] and a value that is cheap to clone.
#[derive(Clone, Debug)]
pub struct Scheduler {
    config: Arc<SchedulerConfig>,
    /// Whether the jobs of queues are kept in a store.
    is_durable: bool,
    /// Whether jobs wait for another credential where the server does not take theirs.
    waits_for_credentials: bool,
    online: bool,
    /// The time of the last step: a clock that was set back is noticed by it.
    now: Timestamp,
    last_job_id: u64,
    /// job ids up to this may be given without telling the store.
    reserved: u64,
    last_effect: u64,
    last_key: u64,
    /// By job id.
    jobs: Table<Entry>,
    /// By effect.
    in_flight: Few<JobId>,
    requests: usize,
    polls: usize,
    queue_keys: HashMap<String, QueueKey>,
    queues: Table<Queue>,
    bucket_keys: OrdMap<RateLimitKey, BucketKey>,
    buckets: Few<RateLimitBucket>,
    /// Most jobs go where the last one went.
    last_bucket: Option<(Arc<RateLimitKey>, BucketKey)>,
    ready_buckets: VecDeque<BucketKey>,
    ready_poll_buckets: VecDeque<BucketKey>,
    timers: OrdSet<(Timestamp, Timer)>,
    awaiting_credential: OrdMap<crate::CredentialRef, AwaitingJobs>,
    /// The last request that went out before each credential was renewed.
    renewed: OrdMap<crate::CredentialRef, EffectId>,
    /// Jobs whose outcomes are kept, oldest first.
    ended: Vector<JobId>,
}

/// Its order is the same in every run, as all of a scheduler's is.
type HashMap<K, V> = GenericHashMap<K, V, BuildHasherDefault<DefaultHasher>, DefaultSharedPtr>;

type SchedulerStep = Step<Effect, Event>;

#[derive(Clone, Debug)]
struct Entry {
    job: Arc<Job>,
    queue: Option<QueueKey>,
    bucket: BucketKey,
    state: State,
    attempts: Attempts,
    sent_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It goes when its step comes.
    Queued,
    InFlight(EffectId),
    BackingOff(Timestamp),
    AwaitingCredential,
    Held,
}

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Bucket(BucketKey),
    Job(JobId),
}

impl Default for Scheduler {
    fn default() -> Self {
        Self::new(SchedulerConfig::default())
    }
}

impl Scheduler {
    /// A scheduler with these limits, that keeps nothing.
    pub fn new(limits: SchedulerConfig) -> Self {
        Self {
            config: Arc::new(limits),
            is_durable: false,
            waits_for_credentials: true,
            online: true,
            now: Timestamp::from_millis(0),
            last_job_id: 0,
            reserved: 0,
            last_effect: 0,
            last_key: 0,
            jobs: Table::default(),
            in_flight: Few::default(),
            requests: 0,
            polls: 0,
            queue_keys: HashMap::default(),
            queues: Table::default(),
            bucket_keys: OrdMap::new(),
            buckets: Few::default(),
            last_bucket: None,
            ready_buckets: VecDeque::new(),
            ready_poll_buckets: VecDeque::new(),
            timers: OrdSet::new(),
            awaiting_credential: OrdMap::new(),
            renewed: OrdMap::new(),
            ended: Vector::new(),
        }
    }

    /// The same, for whoever renews credentials without its help: a job whose credential the server
    /// does not take ends with the server's answer, and no other waits for it.
    #[must_use]
    pub fn without_credential_waiting(self) -> Self {
        Self {
            waits_for_credentials: false,
            ..self
        }
    }

    fn submit(&mut self, job: Arc<Job>, step: &mut SchedulerStep) {
        if let Some(refusal) = self.rejection(&job) {
            step.events.push(Event::Rejected(refusal));
            return;
        }
        self.last_job_id += 1;
        let job_id = JobId(self.last_job_id);
        step.events.push(Event::Accepted(job_id));
        self.persist_job(job_id, &job, step);
        self.enqueue(job_id, job);
        self.dispatch(step);
    }

    fn rejection(&self, job: &Job) -> Option<Rejection> {
        let most = self.config.max_jobs;
        if self.jobs.len() >= most {
            return Some(Rejection::Full { most });
        }
        let is_kept = self.is_durable && job.queue_id().is_some();
        (is_kept && (job.holds_secret() || job.response_is_secret())).then_some(Rejection::Secret)
    }

    /// Puts it last in its queue; one of no queue is ready at once.
    fn enqueue(&mut self, job_id: JobId, job: Arc<Job>) {
        let lane = self.bucket_of(&job);
        let queue = job.queue_id().map(|id| self.queue_named(id));
        let entry = Entry {
            job,
            queue,
            bucket: lane,
            state: State::Queued,
            attempts: Attempts::default(),
            sent_at: Timestamp::from_millis(0),
        };
        self.jobs.insert(job_id.0, entry);
        let Some(key) = queue else {
            return self.mark_ready(lane, ReadyEntry::Single(job_id));
        };
        if let Some(queue) = self.queues.get_mut(key) {
            queue.jobs.push_back(job_id);
            if queue.jobs.len() == 1 {
                self.mark_queue_ready(key);
            }
        }
    }

    fn bucket_of(&mut self, job: &Job) -> BucketKey {
        let known = self
            .last_bucket
            .as_ref()
            .filter(|(class, _)| class.matches(job));
        let key = match known {
            Some((_, key)) if self.buckets.get(*key).is_some() => *key,
            _ => self.find_bucket(RateLimitKey::of(job)),
        };
        if let Some(lane) = self.buckets.get_mut(key) {
            lane.jobs += 1;
        }
        key
    }

    fn find_bucket(&mut self, class: RateLimitKey) -> BucketKey {
        let key = match self.bucket_keys.get(&class) {
            Some(key) => *key,
            None => {
                self.drop_idle_buckets();
                let key = self.next_key();
                self.buckets.insert(key, RateLimitBucket::new(class.polls));
                self.bucket_keys.insert(class.clone(), key);
                key
            }
        };
        self.last_bucket = Some((Arc::new(class), key));
        key
    }

    /// What was learnt of a server's pace is forgotten when it is one of many, and nothing is for it.
    fn drop_idle_buckets(&mut self) {
        const MOST: usize = 256;
        if self.buckets.len() < MOST {
            return;
        }
        let lanes = &self.buckets;
        let is_idle = |key: &BucketKey| lanes.get(*key).is_none_or(|lane| lane.jobs == 0);
        let idle: Vec<_> = self
            .bucket_keys
            .iter()
            .filter(|(_, key)| is_idle(key))
            .map(|(class, key)| (class.clone(), *key))
            .collect();
        for (class, key) in idle {
            self.bucket_keys.remove(&class);
            if let Some(timer) = self.buckets.remove(key).and_then(|lane| lane.timer) {
                self.timers.remove(&(timer, Timer::Bucket(key)));
            }
        }
    }

    fn queue_named(&mut self, id: &str) -> QueueKey {
        if let Some(key) = self.queue_keys.get(id) {
            return *key;
        }
        let key = self.next_key();
        self.queue_keys.insert(id.to_owned(), key);
        self.queues.insert(key, Queue::new(id.to_owned()));
        key
    }

    fn next_key(&mut self) -> u64 {
        self.last_key += 1;
        self.last_key
    }

    /// Waits are as long as they were meant to be, also after the clock was set back.
    fn rewind_timers(&mut self, now: Timestamp) {
        if now < self.now {
            let by = self.now.since(now);
            let timers = self.timers.iter();
            self.timers = timers.map(|(at, timer)| (at.minus(by), *timer)).collect();
            for lane in self.buckets.values_mut() {
                lane.limiter.shift(by);
                lane.timer = lane.timer.map(|at| at.minus(by));
            }
            for job_id in self.jobs.keys() {
                if let Some(entry) = self.jobs.get_mut(job_id) {
                    entry.sent_at = entry.sent_at.minus(by);
                    if let State::BackingOff(until) = &mut entry.state {
                        *until = until.minus(by);
                    }
                }
            }
        }
        self.now = now;
    }
}

impl Machine for Scheduler {
    type Input = Input;
    type Effect = Effect;
    type Event = Event;

    fn step(&mut self, cx: &mut StepContext<'_>, input: Input) -> SchedulerStep {
        let mut step = Step::default();
        self.rewind_timers(cx.now);
        match input {
            Input::Start => self.start(&mut step),
            Input::Submit(job) => self.submit(job, &mut step),
            Input::Completed(id, answer) => self.complete(cx, id, answer, &mut step),
            Input::Cancel(job_id) => self.cancel(job_id, &mut step),
            Input::PauseQueue(queue) => self.pause(&queue, &mut step),
            Input::ResumeQueue(queue) => self.resume(&queue, &mut step),
            Input::RetryHead(queue) => self.retry(&queue, &mut step),
            Input::SkipHead(queue) => self.skip(&queue, &mut step),
            Input::CredentialReady(credential) => self.credential_ready(credential, &mut step),
            Input::CredentialRefused(credential) => {
                self.credential_refused(&credential, &mut step);
            }
            Input::SetOnline(online) => self.go_online(online, &mut step),
            Input::DropOutcome(job_id) => self.drop_outcome(job_id, &mut step),
            Input::Wake => self.wake(&mut step),
        }
        step.wake_at = self.timers.get_min().map(|(at, _)| *at);
        step
    }
}
