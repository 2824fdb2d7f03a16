//! What is to happen in one run: drawn from a seed, and small enough to be read.

use std::{fmt, time::Duration};

use matricula_core::{
    Entropy, QueuePolicy, RetrySafety, SeededEntropy, scheduler::SchedulerConfig,
};

/// One run, before it is run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed that it was drawn from; what happens by chance in the run is drawn from it too.
    pub seed: u64,
    /// The scheduler's bounds.
    pub limits: SchedulerConfig,
    /// What the program does, by the milliseconds since the beginning.
    pub actions: Vec<(u64, Action)>,
    /// What becomes of the requests on the wire, in the order they are sent; of those after them,
    /// nothing bad.
    pub fates: Vec<Fate>,
    /// Where the program ends: the how manieth line that it comes to.
    pub crashes: Vec<(u64, Crash)>,
}

/// What a program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It hands in a job.
    Submit(Submission),
    /// It calls back the job that it handed in as this one, if that was accepted.
    Cancel(usize),
    /// It takes the outcome of that job.
    Forget(usize),
    /// It pauses a queue.
    Pause(u8),
    /// It lets a queue go on.
    Resume(u8),
    /// It has the head of a held queue tried again.
    Retry(u8),
    /// It lets the head of a held queue go.
    Skip(u8),
    /// The network comes or goes.
    Online(bool),
    /// Somebody sets the clock, by so many milliseconds.
    SetClock(i64),
    /// The server does not take the token any more.
    RevokeToken,
    /// The disk does not take the next write.
    FillDisk,
}

/// One job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Of a queue that is kept, or of none.
    pub queue: Option<u8>,
    /// What it asks for.
    pub kind: Kind,
}

/// What a job asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message, with a transaction id.
    Message,
    /// A room: asked twice, there are two.
    Room,
    /// A profile: set twice, it is set once.
    Profile,
    /// News, which the server waits for.
    News,
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is answered after so many milliseconds.
    Answered(u64),
    /// No connection.
    Refused,
    /// It is lost on the way there.
    LostBefore,
    /// It is processed, and the answer is lost or cut.
    LostAfter,
    /// The answer does not come in time; the request is processed later still.
    Late,
    /// The answer comes twice.
    AnsweredTwice,
    /// The request arrives twice, where that does no harm.
    ArrivesTwice,
    /// The server asks to wait for so many milliseconds.
    Limited(u64, Said),
    /// A gateway answers in the server's place, after the server has processed it or before.
    Gateway(u16, bool),
    /// The server processes it, and a page of HTML comes back.
    Html,
    /// The server says no.
    Forbidden,
}

/// How a server says how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// In the header, in whole seconds.
    Header,
    /// In the body.
    Body,
    /// Not at all.
    Nothing,
}

/// How a program ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// It is killed: what it wrote stays.
    Kill,
    /// The power is cut: what was not forced to the disk is gone.
    PowerCut,
}

impl Kind {
    /// What the scheduler is told of it.
    pub fn retry(self) -> RetrySafety {
        match self {
            Self::Message => RetrySafety::TxnId,
            Self::Room => RetrySafety::OnlyIfNotProcessed,
            Self::Profile | Self::News => RetrySafety::Idempotent,
        }
    }
}

/// Each policy has queues of its own.
pub(crate) fn policy(queue: u8) -> QueuePolicy {
    match queue % 3 {
        0 => QueuePolicy::AlwaysContinue,
        1 => QueuePolicy::CancelFutureIfFailed,
        _ => QueuePolicy::Hold,
    }
}

/// How many queues there are.
pub(crate) const QUEUES: u8 = 4;

impl Plan {
    /// The run of this seed.
    pub fn of(seed: u64) -> Self {
        let mut draw = Draw(SeededEntropy::new(seed));
        let limits = draw.limits();
        let mut actions = draw.actions();
        actions.sort_by_key(|(at, _)| *at);
        // One run in four goes smoothly on the wire, one in three without a crash.
        let fates = match draw.below(4) {
            0 => 0,
            _ => 1 + draw.below(16),
        };
        let fates = (0..fates).map(|_| draw.fate()).collect();
        let crashes = draw.below(3) * draw.below(3);
        let mut crashes: Vec<_> = (0..crashes).map(|_| draw.crash()).collect();
        crashes.sort_by_key(|(line, _)| *line);
        Self {
            seed,
            limits,
            actions,
            fates,
            crashes,
        }
    }

    /// Whether somebody sets the clock meanwhile.
    pub fn sets_clock(&self) -> bool {
        let mut actions = self.actions.iter();
        actions.any(|(_, action)| matches!(action, Action::SetClock(_)))
    }

    /// The same without one of its parts, each in turn.
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
            match at + 1 == plan.fates.len() {
                true => drop(plan.fates.pop()),
                false => plan.fates[at] = Fate::Answered(10),
            }
            plan
        });
        actions
            .chain(crashes)
            .chain(fates.filter(|plan| plan.fates != self.fates))
    }

    /// What names jobs by their number means the same ones afterwards.
    fn remove_action(&mut self, at: usize) {
        let (_, gone) = self.actions.remove(at);
        if !matches!(gone, Action::Submit(_)) {
            return;
        }
        let before = &self.actions[..at];
        let number = before
            .iter()
            .filter(|(_, it)| matches!(it, Action::Submit(_)));
        let number = number.count();
        for (_, action) in &mut self.actions {
            if let Action::Cancel(of) | Action::Forget(of) = action {
                match (*of).cmp(&number) {
                    std::cmp::Ordering::Less => {}
                    std::cmp::Ordering::Equal => *of = usize::MAX,
                    std::cmp::Ordering::Greater => *of = of.saturating_sub(1),
                }
            }
        }
    }
}

struct Draw(SeededEntropy);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    fn queue(&mut self) -> u8 {
        self.below(u64::from(QUEUES)) as u8
    }

    fn limits(&mut self) -> SchedulerConfig {
        let mut limits = SchedulerConfig::default();
        limits.max_attempts = 1 + self.below(5) as u32;
        limits.max_in_flight = 1 + self.below(4) as usize;
        limits.max_long_polls = 1 + self.below(2) as usize;
        limits.max_kept_outcomes = [3, 10_000][self.below(2) as usize];
        limits.max_jobs = [6, 1_000][self.below(2) as usize];
        limits.max_rate_limit_wait = Duration::from_secs([2, 600][self.below(2) as usize]);
        limits
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
            0..4 => Kind::Message,
            4..6 => Kind::Room,
            6 => Kind::Profile,
            _ => Kind::News,
        };
        Submission { queue, kind }
    }

    fn action(&mut self, jobs: u64) -> Action {
        match self.below(16) {
            0..4 => Action::Cancel(self.below(jobs) as usize),
            4 => Action::Forget(self.below(jobs) as usize),
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
            0..4 => Fate::Answered(1 + self.below(5_000)),
            4 => Fate::Refused,
            5 => Fate::LostBefore,
            6..8 => Fate::LostAfter,
            8 => Fate::Late,
            9 => Fate::AnsweredTwice,
            10 => Fate::ArrivesTwice,
            11 | 12 => {
                let said = [Said::Header, Said::Body, Said::Nothing][self.below(3) as usize];
                Fate::Limited(self.below(4_000), said)
            }
            13 => {
                let statuses = [408, 500, 502, 503, 504, 520, 527];
                let status = statuses[self.below(statuses.len() as u64) as usize];
                // What these two mean is that it was not processed.
                Fate::Gateway(status, !matches!(status, 408 | 503) && self.below(2) == 0)
            }
            14 => Fate::Html,
            _ => Fate::Forbidden,
        }
    }

    fn crash(&mut self) -> (u64, Crash) {
        let crash = [Crash::Kill, Crash::PowerCut][self.below(2) as usize];
        (1 + self.below(200), crash)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = &self.limits;
        writeln!(
            f,
            "limits: {} attempts, {} on the wire, {} polls, {} jobs, {} outcomes, pace {:?}",
            limits.max_attempts,
            limits.max_in_flight,
            limits.max_long_polls,
            limits.max_jobs,
            limits.max_kept_outcomes,
            limits.max_rate_limit_wait
        )?;
        for (at, action) in &self.actions {
            writeln!(f, "at {at:>6} ms: {action:?}")?;
        }
        for (at, fate) in self.fates.iter().enumerate() {
            writeln!(f, "request {}: {fate:?}", at + 1)?;
        }
        for (line, crash) in &self.crashes {
            writeln!(f, "line {line}: {crash:?}")?;
        }
        Ok(())
    }
}
