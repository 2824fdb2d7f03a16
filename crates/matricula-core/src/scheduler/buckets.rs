//! Rate-limit buckets: which requests a server limits together, and which of them is sent next.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{
    JobId, SchedulerConfig,
    job_entry::{BucketKey, QueueKey, Timer, Timers},
    rate_limit_key::RateLimitKey,
    rate_limiter::RateLimiter,
    retry::{self, Attempts},
};
use crate::{Job, Response, Timestamp};

/// Idle buckets are dropped once there are this many.
const MAX_IDLE_BUCKETS: usize = 256;
/// Stale entries that a ready list may have before it is cleaned.
const MAX_STALE_ENTRIES: usize = 64;

/// What a bucket's ready list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadyEntry {
    /// The head of a queue.
    Queue(QueueKey),
    /// A job without a queue.
    Job(JobId),
}

/// Requests to one server that share a rate limit.
#[derive(Clone, Debug, Default)]
struct Bucket {
    is_long_poll: bool,
    limiter: RateLimiter,
    /// What may be sent, in order. Stale entries are skipped when they are popped.
    ready: VecDeque<ReadyEntry>,
    /// How many entries are stale, at most.
    stale: usize,
    /// Whether the bucket is in the list of ready buckets.
    is_listed: bool,
    /// The timer that is set for it.
    timer: Option<Timestamp>,
    in_flight: usize,
    /// Its jobs that have not ended, in whatever state.
    jobs: usize,
}

/// All buckets. Those with ready entries are served round-robin.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets {
    keys: BTreeMap<RateLimitKey, BucketKey>,
    buckets: BTreeMap<BucketKey, Bucket>,
    last_key: BucketKey,
    /// The bucket of the last job, which most often is the bucket of the next one.
    last_found: Option<(Arc<RateLimitKey>, BucketKey)>,
    ready: VecDeque<BucketKey>,
    ready_long_polls: VecDeque<BucketKey>,
    in_flight: usize,
    long_polls_in_flight: usize,
}

/// Jobs that join and leave.
impl Buckets {
    /// Counts a new job, and returns its bucket.
    pub(super) fn add_job(&mut self, job: &Job, timers: &mut Timers) -> BucketKey {
        let last = self.last_found.as_ref();
        let key = match last.filter(|(last, _)| last.matches(job)) {
            Some((_, key)) if self.buckets.contains_key(key) => *key,
            _ => self.find_or_insert(RateLimitKey::of(job), timers),
        };
        if let Some(bucket) = self.get_mut(key) {
            bucket.jobs += 1;
        }
        key
    }

    fn find_or_insert(&mut self, rate_limit: RateLimitKey, timers: &mut Timers) -> BucketKey {
        let key = match self.keys.get(&rate_limit) {
            Some(key) => *key,
            None => {
                self.drop_idle(timers);
                self.last_key += 1;
                let bucket = Bucket {
                    is_long_poll: rate_limit.is_long_poll,
                    ..Bucket::default()
                };
                self.buckets.insert(self.last_key, bucket);
                self.keys.insert(rate_limit.clone(), self.last_key);
                self.last_key
            }
        };
        self.last_found = Some((Arc::new(rate_limit), key));
        key
    }

    /// Drops the state of buckets without jobs once there are too many buckets.
    fn drop_idle(&mut self, timers: &mut Timers) {
        if self.buckets.len() < MAX_IDLE_BUCKETS {
            return;
        }
        self.buckets.retain(|key, bucket| {
            let is_idle = bucket.jobs == 0;
            if is_idle && let Some(at) = bucket.timer {
                timers.remove(&(at, Timer::Bucket(*key)));
            }
            !is_idle
        });
        self.keys.retain(|_, key| self.buckets.contains_key(key));
    }

    /// One of its jobs has ended.
    pub(super) fn remove_job(&mut self, key: BucketKey, timers: &mut Timers) {
        if let Some(bucket) = self.get_mut(key) {
            debug_assert!(bucket.jobs > 0, "bucket {key} has no job to remove");
            bucket.jobs = bucket.jobs.saturating_sub(1);
            if bucket.jobs == 0
                && let Some(at) = bucket.timer.take()
            {
                timers.remove(&(at, Timer::Bucket(key)));
            }
        }
    }

    /// The bucket of a job that has not ended.
    fn get_mut(&mut self, key: BucketKey) -> Option<&mut Bucket> {
        let bucket = self.buckets.get_mut(&key);
        debug_assert!(bucket.is_some(), "bucket {key} was dropped");
        bucket
    }
}

/// Ready lists.
impl Buckets {
    pub(super) fn push_ready(&mut self, key: BucketKey, entry: ReadyEntry) {
        self.push(key, |ready| ready.push_back(entry));
    }

    /// The same, ahead of all others.
    pub(super) fn push_ready_first(&mut self, key: BucketKey, entry: ReadyEntry) {
        self.push(key, |ready| ready.push_front(entry));
    }

    fn push(&mut self, key: BucketKey, push: impl FnOnce(&mut VecDeque<ReadyEntry>)) {
        if let Some(bucket) = self.get_mut(key) {
            push(&mut bucket.ready);
            if !bucket.is_listed {
                self.list(key);
            }
        }
    }

    /// Lists a bucket that has ready entries, unless it is listed or was dropped.
    pub(super) fn list(&mut self, key: BucketKey) {
        let Some(bucket) = self.buckets.get_mut(&key) else {
            return;
        };
        if bucket.is_listed || bucket.ready.is_empty() {
            return;
        }
        bucket.is_listed = true;
        if bucket.is_long_poll {
            self.ready_long_polls.push_back(key);
        } else {
            self.ready.push_back(key);
        }
    }

    /// Takes the next bucket that may send a request, if one more may be in flight. A bucket whose rate
    /// limit is exhausted gets a timer instead.
    pub(super) fn next(
        &mut self,
        now: Timestamp,
        config: &SchedulerConfig,
        timers: &mut Timers,
    ) -> Option<BucketKey> {
        loop {
            let may_poll = self.long_polls_in_flight < config.max_long_polls;
            let long_poll = may_poll
                .then(|| self.ready_long_polls.pop_front())
                .flatten();
            let key = match long_poll {
                Some(key) => key,
                None if self.in_flight < config.max_in_flight => self.ready.pop_front()?,
                None => return None,
            };
            // It may have been dropped since it was listed.
            let Some(bucket) = self.buckets.get_mut(&key) else {
                continue;
            };
            bucket.is_listed = false;
            if let Some(until) = bucket.limiter.wait(now) {
                if !bucket.ready.is_empty() && bucket.timer.is_none() {
                    bucket.timer = Some(until);
                    timers.insert((until, Timer::Bucket(key)));
                }
                continue;
            }
            // The response to the probe decides whether the others may be sent.
            if bucket.limiter.is_probing() && bucket.in_flight > 0 {
                continue;
            }
            return Some(key);
        }
    }

    pub(super) fn pop_ready(&mut self, key: BucketKey) -> Option<ReadyEntry> {
        self.get_mut(key)?.ready.pop_front()
    }

    /// A stale entry was popped.
    pub(super) fn count_popped_stale(&mut self, key: BucketKey) {
        if let Some(bucket) = self.buckets.get_mut(&key) {
            bucket.stale = bucket.stale.saturating_sub(1);
        }
    }

    /// An entry has become stale. Once most entries are, they are removed.
    pub(super) fn count_stale(&mut self, key: BucketKey, is_live: impl Fn(&ReadyEntry) -> bool) {
        let Some(bucket) = self.buckets.get_mut(&key) else {
            return;
        };
        bucket.stale += 1;
        if bucket.stale > MAX_STALE_ENTRIES && bucket.stale > bucket.ready.len() / 2 {
            bucket.ready.retain(is_live);
            bucket.stale = 0;
        }
    }

    /// The timer of a bucket has fired.
    pub(super) fn timer_fired(&mut self, key: BucketKey) {
        if let Some(bucket) = self.buckets.get_mut(&key) {
            bucket.timer = None;
        }
        self.list(key);
    }
}

/// Requests in flight, and what their responses say about the rate limit.
impl Buckets {
    pub(super) fn request_sent(&mut self, key: BucketKey, now: Timestamp) {
        let Some(bucket) = self.get_mut(key) else {
            return;
        };
        bucket.in_flight += 1;
        bucket.limiter.sent(now);
        if bucket.is_long_poll {
            self.long_polls_in_flight += 1;
        } else {
            self.in_flight += 1;
        }
    }

    /// A request has completed or was aborted. It may have been the bucket's probe.
    pub(super) fn request_ended(&mut self, key: BucketKey) {
        let Some(bucket) = self.get_mut(key) else {
            return;
        };
        debug_assert!(bucket.in_flight > 0, "bucket {key} has nothing in flight");
        bucket.in_flight = bucket.in_flight.saturating_sub(1);
        let is_listed = bucket.is_listed;
        let total = if bucket.is_long_poll {
            &mut self.long_polls_in_flight
        } else {
            &mut self.in_flight
        };
        *total = total.saturating_sub(1);
        if !is_listed {
            self.list(key);
        }
    }

    /// Learns from a response. Returns how long the request must wait, if the server asks to wait.
    pub(super) fn learn(
        &mut self,
        key: BucketKey,
        response: &Response,
        attempts: &Attempts,
        sent_at: Timestamp,
        now: Timestamp,
        max_wait: Duration,
    ) -> Duration {
        let Some(bucket) = self.get_mut(key) else {
            return Duration::ZERO;
        };
        if !response.asks_to_wait() {
            bucket.limiter.allowed();
            return Duration::ZERO;
        }
        let asked = retry::rate_limit_wait(response, attempts);
        let bounded = asked.min(max_wait);
        if response.status_code() == 429 {
            bucket.limiter.limited(now, sent_at, bounded, response);
        } else {
            bucket.limiter.unavailable(now, bounded);
        }
        let until = bucket.limiter.wait(now).unwrap_or(now);
        asked.max(until.since(now))
    }

    /// Until when the rate limit allows no request.
    pub(super) fn limited_until(&self, key: BucketKey, now: Timestamp) -> Option<Timestamp> {
        self.buckets.get(&key)?.limiter.wait(now)
    }

    /// The clock was set back by this much.
    pub(super) fn rewind(&mut self, by: Duration) {
        for bucket in self.buckets.values_mut() {
            bucket.limiter.rewind(by);
            bucket.timer = bucket.timer.map(|at| at.minus(by));
        }
    }

    /// How many buckets and list entries there are.
    pub(super) fn memory_entries(&self) -> usize {
        let buckets = self.buckets.values().map(|bucket| 1 + bucket.ready.len());
        buckets.sum::<usize>() + self.ready.len() + self.ready_long_polls.len()
    }
}
