//! Drives a run: steps its machine, commits its writes, writes the result file, sends its requests.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use matricula_admin::{
    AdminError,
    bulk::{BulkEvent, BulkInput, BulkMachine},
};
use matricula_auth::{Effect, ServerError};
use matricula_core::{
    Step, StepContext, Store,
    scheduler::{self, WaitReason},
};
use matricula_http::{Runner, SystemClock, SystemEntropy};
use tokio::task::JoinSet;

use super::{BulkError, Run};
use crate::{Session, drive::run_watched};

/// The states in the result file are at most this old. It has all passwords from the start.
const MAX_RESULT_AGE: Duration = Duration::from_secs(1);

/// The number of requests of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestCounts {
    /// Requests sent, repeated ones included.
    pub sent: u64,
    /// Responses with status 429.
    pub rate_limited: u64,
}

/// How [`Run::drive`] ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunResult {
    /// The error that stopped the run, if one did.
    pub stopped_by: Option<AdminError>,
    /// The requests that were sent.
    pub requests: RequestCounts,
}

impl Run {
    /// Processes the rows: commits, then writes the result file, then sends. Once `stop` is ready,
    /// nothing more is sent, and the run ends when the requests in flight have outcomes.
    ///
    /// `session` is the administrator's, if the machine uses one; it is renewed when needed. `watch` is
    /// called with each event and the number of requests so far.
    ///
    /// # Errors
    /// If something could not be stored, or the session could not be renewed. An error that concerns
    /// all rows is no error here, but [`RunResult::stopped_by`].
    pub async fn drive<M: BulkMachine>(
        &mut self,
        machine: &mut M,
        runner: &Runner,
        session: Option<&Session>,
        stop: impl Future<Output = ()>,
        mut watch: impl FnMut(&M, &BulkEvent, RequestCounts),
    ) -> Result<RunResult, BulkError> {
        let mut stop = pin!(stop);
        let mut is_stopping = false;
        let mut requests = Requests::new(runner);
        let mut inputs = vec![BulkInput::Start];
        let mut result_age = ResultAge::default();
        loop {
            let step = self.step(machine, &mut inputs)?;
            let finished = step.events.iter().find_map(|event| match event {
                BulkEvent::Finished(error) => Some(error.clone()),
                _ => None,
            });
            result_age.is_stale |= !step.writes.is_empty();
            if finished.is_some() || result_age.is_due() {
                self.write_result(machine.run_log(), finished.is_some())?;
                result_age.written();
            }
            for event in &step.events {
                watch(machine, event, requests.counts());
            }
            if let Some(error) = finished {
                return Ok(RunResult {
                    stopped_by: error.map(|error| *error),
                    requests: requests.counts(),
                });
            }
            if let Some(session) = session.filter(|_| !step.effects.is_empty()) {
                session.renew_if_due().await?;
            }
            requests.send(step.effects);
            tokio::select! {
                biased;
                () = &mut stop, if !is_stopping => {
                    is_stopping = true;
                    inputs.push(BulkInput::Stop);
                }
                outcomes = requests.outcomes(), if !requests.in_flight.is_empty() => {
                    inputs = outcomes;
                }
                () = tokio::time::sleep(MAX_RESULT_AGE), if result_age.is_stale => {}
                else => {
                    debug_assert!(false, "the machine waits for nothing and has not finished");
                    return Ok(RunResult {
                        stopped_by: Some(ServerError::Cancelled.into()),
                        requests: requests.counts(),
                    });
                }
            }
        }
    }

    /// Steps the machine with all inputs and commits the writes. Rows whose responses arrived at the
    /// same time share one commit.
    fn step<M: BulkMachine>(
        &mut self,
        machine: &mut M,
        inputs: &mut Vec<BulkInput>,
    ) -> Result<Step<Effect, BulkEvent>, BulkError> {
        let mut sum = Step {
            writes: std::mem::take(&mut self.first_writes),
            ..Step::default()
        };
        for input in inputs.drain(..) {
            let mut entropy = SystemEntropy;
            let mut cx = StepContext::new(SystemClock::now(), &mut entropy);
            let step = machine.step(&mut cx, input);
            sum.writes.append(step.writes);
            sum.effects.extend(step.effects);
            sum.events.extend(step.events);
        }
        if !sum.writes.is_empty() {
            self.store.commit(&sum.writes)?;
        }
        Ok(sum)
    }
}

/// When the result file was written, and whether the run has progressed since then.
#[derive(Default)]
struct ResultAge {
    written_at: Option<Instant>,
    is_stale: bool,
}

impl ResultAge {
    fn is_due(&self) -> bool {
        let is_old = |at: Instant| at.elapsed() >= MAX_RESULT_AGE;
        match self.written_at {
            Some(at) => self.is_stale && is_old(at),
            None => true,
        }
    }

    fn written(&mut self) {
        self.written_at = Some(Instant::now());
        self.is_stale = false;
    }
}

/// The requests of a run.
struct Requests {
    runner: Runner,
    in_flight: JoinSet<BulkInput>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    sent: AtomicU64,
    rate_limited: AtomicU64,
}

impl Counters {
    fn count(&self, event: &scheduler::Event) {
        match event {
            scheduler::Event::Started { .. } => self.sent.fetch_add(1, Relaxed),
            scheduler::Event::Waiting {
                reason: WaitReason::RateLimited,
                ..
            } => self.rate_limited.fetch_add(1, Relaxed),
            _ => 0,
        };
    }
}

impl Requests {
    fn new(runner: &Runner) -> Self {
        Self {
            runner: runner.clone(),
            in_flight: JoinSet::new(),
            counters: Arc::default(),
        }
    }

    fn send(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            // Bulk machines have no other effects.
            let Effect::Send(id, job) = effect else {
                continue;
            };
            let (runner, counters) = (self.runner.clone(), self.counters.clone());
            self.in_flight.spawn(async move {
                let mut count = |event: &scheduler::Event| counters.count(event);
                BulkInput::Outcome(id, run_watched(&runner, *job, &mut count).await)
            });
        }
    }

    /// Waits for the next outcome; returns all that are there by then.
    async fn outcomes(&mut self) -> Vec<BulkInput> {
        let mut outcomes = Vec::new();
        if let Some(joined) = self.in_flight.join_next().await {
            outcomes.push(joined);
        }
        while let Some(joined) = self.in_flight.try_join_next() {
            outcomes.push(joined);
        }
        let outcomes = outcomes.into_iter().map(|joined| match joined {
            Ok(outcome) => outcome,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        });
        outcomes.collect()
    }

    fn counts(&self) -> RequestCounts {
        RequestCounts {
            sent: self.counters.sent.load(Relaxed),
            rate_limited: self.counters.rate_limited.load(Relaxed),
        }
    }
}
