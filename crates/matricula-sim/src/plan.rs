//! The plan of a run: generated from a seed, and small enough to read.

use std::{fmt, time::Duration};

use matricula_core::{
    Entropy, QueuePolicy, RetrySafety, SeededEntropy, scheduler::SchedulerConfig,
};

/// What happens in a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed of the plan, and of all random choices in the run.
    pub seed: u64,
    /// The configuration of the scheduler.
    pub config: SchedulerConfig,
    /// What the program does, by milliseconds since the start.
    pub actions: Vec<(u64, Action)>,
    /// What happens to each request, in the order in which they are sent. Later ones succeed.
    pub fates: Vec<Fate>,
    /// The crash points at which the program crashes, counted from 1.
    pub crashes: Vec<(u64, Crash)>,
}

/// What a program, a person or the environment does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Submits a job.
    Submit(Submission),
    /// Cancels the job that was submitted with this number, if it was accepted.
    Cancel(usize),
    /// Drops the outcome of that job.
    DropOutcome(usize),
    /// Pauses a queue.
    Pause(u8),
    /// Resumes a queue.
    Resume(u8),
    /// Retries the head of a held queue.
    Retry(u8),
    /// Skips the head of a held queue.
    Skip(u8),
    /// Connects or disconnects the network.
    Online(bool),
    /// Moves the clock by this many milliseconds.
    SetClock(i64),
    /// The server revokes the token.
    RevokeToken,
    /// The next write fails: the disk is full.
    FillDisk,
}

/// A job to submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Its queue, if any.
    pub queue: Option<u8>,
    /// What it requests.
    pub kind: JobKind,
}

/// What a job requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// A message with a transaction id.
    SendMessage,
    /// A new room: not idempotent.
    CreateRoom,
    /// A profile field: idempotent.
    SetProfile,
    /// A sync that asks the server to wait.
    LongPoll,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It succeeds after this many milliseconds.
    Responded(u64),
    /// The connection is refused.
    ConnectionRefused,
    /// The request is lost.
    RequestLost,
    /// It is processed, and the response is lost.
    ResponseLost,
    /// The request times out, and is processed later.
    ProcessedLate,
    /// The result is reported twice.
    DuplicateResult,
    /// The request arrives twice, if it is idempotent.
    DuplicateRequest,
    /// The response is a 429 that asks to wait this many milliseconds.
    RateLimited(u64, RetryAfterIn),
    /// A gateway responds with this status, after the server has processed the request or not.
    GatewayError(u16, bool),
    /// It is processed, and the response is an HTML page.
    Html,
    /// The response is a 403.
    Forbidden,
    /// The server responds with this status and an error code, after it has processed the request or not.
    MatrixError(u16, bool),
}

/// Where a 429 says how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfterIn {
    /// In the header `Retry-After`, in whole seconds.
    Header,
    /// In `retry_after_ms` of the body.
    Body,
    /// Nowhere.
    Omitted,
}

/// How a program crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// It is killed. What it wrote remains.
    Kill,
    /// The power fails. Unsynced writes are lost.
    PowerCut,
}

impl JobKind {
    /// When it is safe to retry.
    pub fn retry_safety(self) -> RetrySafety {
        match self {
            Self::SendMessage => RetrySafety::TxnId,
            Self::CreateRoom => RetrySafety::OnlyIfNotProcessed,
            Self::SetProfile | Self::LongPoll => RetrySafety::Idempotent,
        }
    }
}

/// The policy of each queue.
pub(crate) fn policy(queue: u8) -> QueuePolicy {
    match queue % 3 {
        0 => QueuePolicy::AlwaysContinue,
        1 => QueuePolicy::CancelFutureIfFailed,
        _ => QueuePolicy::Hold,
    }
}

/// The number of queues.
pub(crate) const QUEUES: u8 = 4;

impl Plan {
    /// The plan of this seed.
    pub fn from_seed(seed: u64) -> Self {
        let mut draw = Generator(SeededEntropy::new(seed));
        let config = draw.config();
        let mut actions = draw.actions();
        actions.sort_by_key(|(at, _)| *at);
        // One run in four has no network fault, and five in nine have no crash.
        let fates = if draw.below(4) == 0 {
            0
        } else {
            1 + draw.below(16)
        };
        let fates = (0..fates).map(|_| draw.fate()).collect();
        let crashes = draw.below(3) * draw.below(3);
        let mut crashes: Vec<_> = (0..crashes).map(|_| draw.crash()).collect();
        crashes.sort_by_key(|(point, _)| *point);
        Self {
            seed,
            config,
            actions,
            fates,
            crashes,
        }
    }

    /// Whether the clock is moved during the run.
    pub fn sets_clock(&self) -> bool {
        let mut actions = self.actions.iter();
        actions.any(|(_, action)| matches!(action, Action::SetClock(_)))
    }

    /// Plans with one part less, for each part.
    pub fn smaller(&self) -> impl Iterator<Item = Self> {
        let actions = (0..self.actions.len()).rev().map(|at| {
            let mut plan = self.clone();
            plan.remove_action(at);
            plan
        });
        let crashes = (0..self.crashes.len()).rev().map(|at| {
            let mut plan = self.clone();
            plan.crashes.remove(at);
            plan
        });
        let fates = (0..self.fates.len()).rev().map(|at| {
            let mut plan = self.clone();
            if at + 1 == plan.fates.len() {
                plan.fates.pop();
            } else {
                plan.fates[at] = Fate::Responded(10);
            }
            plan
        });
        actions
            .chain(crashes)
            .chain(fates.filter(|plan| plan.fates != self.fates))
    }

    /// Removes an action, and renumbers the jobs that other actions refer to.
    fn remove_action(&mut self, at: usize) {
        let (_, removed) = self.actions.remove(at);
        if !matches!(removed, Action::Submit(_)) {
            return;
        }
        let before = &self.actions[..at];
        let number = before
            .iter()
            .filter(|(_, it)| matches!(it, Action::Submit(_)));
        let number = number.count();
        for (_, action) in &mut self.actions {
            if let Action::Cancel(of) | Action::DropOutcome(of) = action {
                match (*of).cmp(&number) {
                    std::cmp::Ordering::Less => {}
                    std::cmp::Ordering::Equal => *of = usize::MAX,
                    std::cmp::Ordering::Greater => *of = of.saturating_sub(1),
                }
            }
        }
    }
}

struct Generator(SeededEntropy);

impl Generator {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    fn queue(&mut self) -> u8 {
        self.below(u64::from(QUEUES)) as u8
    }

    fn config(&mut self) -> SchedulerConfig {
        let mut config = SchedulerConfig::default();
        config.max_attempts = 1 + self.below(5) as u32;
        config.max_in_flight = 1 + self.below(4) as usize;
        config.max_long_polls = 1 + self.below(2) as usize;
        config.max_kept_outcomes = [3, 10_000][self.below(2) as usize];
        config.max_jobs = [6, 1_000][self.below(2) as usize];
        config.max_rate_limit_wait = Duration::from_secs([2, 600][self.below(2) as usize]);
        config
    }

    fn actions(&mut self) -> Vec<(u64, Action)> {
        let length = 1 + self.below(60_000);
        let jobs = 1 + self.below(12);
        let mut actions: Vec<_> = (0..jobs)
            .map(|_| (self.below(length), Action::Submit(self.submission())))
            .collect();
        for _ in 0..self.below(8) {
            let at = self.below(length + 10_000);
            actions.push((at, self.action(jobs)));
        }
        actions
    }

    fn submission(&mut self) -> Submission {
        let queue = (self.below(8) > 0).then(|| self.queue());
        let kind = match self.below(8) {
            0..4 => JobKind::SendMessage,
            4..6 => JobKind::CreateRoom,
            6 => JobKind::SetProfile,
            _ => JobKind::LongPoll,
        };
        Submission { queue, kind }
    }

    fn action(&mut self, jobs: u64) -> Action {
        match self.below(16) {
            0..4 => Action::Cancel(self.below(jobs) as usize),
            4 => Action::DropOutcome(self.below(jobs) as usize),
            5..7 => Action::Pause(self.queue()),
            7 => Action::Resume(self.queue()),
            8 => Action::Retry(self.queue()),
            9 => Action::Skip(self.queue()),
            10..12 => Action::Online(self.below(2) == 0),
            12..14 => {
                let by = self.below(1 << 32) >> self.below(32);
                let sign = [1, -1][self.below(2) as usize];
                Action::SetClock(sign * i64::try_from(by).unwrap_or_default())
            }
            14 => Action::RevokeToken,
            _ => Action::FillDisk,
        }
    }

    fn fate(&mut self) -> Fate {
        match self.below(16) {
            0..4 => Fate::Responded(1 + self.below(5_000)),
            4 => Fate::ConnectionRefused,
            5 => Fate::RequestLost,
            6..8 => Fate::ResponseLost,
            8 => Fate::ProcessedLate,
            9 => Fate::DuplicateResult,
            10 => Fate::DuplicateRequest,
            11 | 12 => {
                let retry_after = [
                    RetryAfterIn::Header,
                    RetryAfterIn::Body,
                    RetryAfterIn::Omitted,
                ][self.below(3) as usize];
                Fate::RateLimited(self.below(4_000), retry_after)
            }
            13 => {
                let statuses = [408, 500, 502, 503, 504, 520, 527];
                let status = statuses[self.below(statuses.len() as u64) as usize];
                // These two mean that the request was not processed.
                Fate::GatewayError(status, !matches!(status, 408 | 503) && self.below(2) == 0)
            }
            14 => Fate::Html,
            _ if self.below(2) == 0 => Fate::Forbidden,
            _ => {
                let status = [500, 502, 503, 599][self.below(4) as usize];
                Fate::MatrixError(status, self.below(2) == 0)
            }
        }
    }

    fn crash(&mut self) -> (u64, Crash) {
        let crash = [Crash::Kill, Crash::PowerCut][self.below(2) as usize];
        (1 + self.below(200), crash)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.config;
        writeln!(
            f,
            "config: {} attempts, {} in flight, {} long polls, {} jobs, {} outcomes, rate limit wait {:?}",
            config.max_attempts,
            config.max_in_flight,
            config.max_long_polls,
            config.max_jobs,
            config.max_kept_outcomes,
            config.max_rate_limit_wait
        )?;
        for (at, action) in &self.actions {
            writeln!(f, "at {at:>6} ms: {action:?}")?;
        }
        for (at, fate) in self.fates.iter().enumerate() {
            writeln!(f, "request {}: {fate:?}", at + 1)?;
        }
        for (point, crash) in &self.crashes {
            writeln!(f, "crash point {point}: {crash:?}")?;
        }
        Ok(())
    }
}
