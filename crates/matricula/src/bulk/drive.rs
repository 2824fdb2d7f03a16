//! The loop that brings a run, a server and its files together.

use std::time::{Duration, Instant};

use matricula_admin::bulk::{BulkEvent, BulkInput, BulkMachine};
use matricula_auth::{AuthError, Effect};
use matricula_core::{
    StepContext, Store,
    scheduler::{self, WaitReason},
};
use matricula_http::{Runner, SystemClock, SystemEntropy};
use tokio::{sync::mpsc, task::JoinSet};

use super::{BulkError, Run};
use crate::Session;

/// The result file says how far the rows have come, so much late at most. The passwords are in it before.
const LATENESS: Duration = Duration::from_secs(1);

/// What has gone over the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestCounts {
    /// Requests, those that were sent again included.
    pub requests: u64,
    /// Answers that asked for fewer of them.
    pub limited: u64,
}

impl Run {
    /// Brings the rows as far as they go: commits, then writes the result file, then sends. Once `stop` is
    /// ready, nothing more is sent, and what is on the wire is waited for.
    ///
    /// `session` is the administrator's, where the machine has one: it is renewed when it is time.
    /// `watch` hears of each row, and how much was sent so far.
    ///
    /// # Errors
    /// Where something could not be kept. The `Ok` value is what stopped the run, if anything of the
    /// server's did.
    pub async fn drive<M: BulkMachine>(
        &mut self,
        machine: &mut M,
        runner: &Runner,
        session: Option<&Session>,
        stop: impl Future<Output = ()>,
        mut watch: impl FnMut(&M, &BulkEvent, RequestCounts),
    ) -> Result<(Option<AuthError>, RequestCounts), BulkError> {
        let mut stop = std::pin::pin!(stop);
        let mut is_stopping = false;
        let mut on_their_way = JoinSet::new();
        let (tell, mut told) = mpsc::unbounded_channel();
        let mut traffic = RequestCounts::default();
        let mut inputs = vec![BulkInput::Start];
        let mut written: Option<Instant> = None;
        let mut is_late = true;
        loop {
            // Rows whose answers came at the same time share a commit.
            let mut patch = std::mem::take(&mut self.first);
            let (mut effects, mut events) = (Vec::new(), Vec::new());
            for input in inputs.drain(..) {
                let step = machine.step(
                    &mut StepContext::new(SystemClock::now(), &mut SystemEntropy),
                    input,
                );
                patch.append(step.writes);
                effects.extend(step.effects);
                events.extend(step.events);
            }
            if !patch.is_empty() {
                self.store.commit(&patch)?;
            }
            let finished = events.iter().find_map(|event| match event {
                BulkEvent::Finished(error) => Some(error.clone()),
                _ => None,
            });
            is_late |= !patch.is_empty();
            let is_time = written.is_none_or(|at| at.elapsed() >= LATENESS);
            if finished.is_some() || is_late && is_time {
                self.write_result(machine.ledger(), finished.is_some())?;
                written = Some(Instant::now());
                is_late = false;
            }
            while let Ok(event) = told.try_recv() {
                count(&mut traffic, &event);
            }
            for event in &events {
                watch(machine, event, traffic);
            }
            if let Some(error) = finished {
                return Ok((error.map(|error| *error), traffic));
            }
            if let Some(session) = session.filter(|_| !effects.is_empty()) {
                session.renew_if_due().await?;
            }
            for effect in effects {
                if let Effect::Send(id, job) = effect {
                    let (runner, tell) = (runner.clone(), tell.clone());
                    on_their_way.spawn(async move {
                        let watch = |event: &scheduler::Event| {
                            // Nobody listens any more only when the run is over.
                            let _ = tell.send(event.clone());
                        };
                        BulkInput::Outcome(id, runner.run(*job, watch).await)
                    });
                }
            }
            tokio::select! {
                biased;
                () = &mut stop, if !is_stopping => {
                    is_stopping = true;
                    inputs.push(BulkInput::Stop);
                }
                Some(joined) = on_their_way.join_next() => inputs.push(joined_input(joined)),
                () = tokio::time::sleep(LATENESS), if is_late => {}
                // It waits for nothing, and has not ended.
                else => return Ok((Some(AuthError::Cancelled), traffic)),
            }
            while let Some(joined) = on_their_way.try_join_next() {
                inputs.push(joined_input(joined));
            }
        }
    }
}

fn joined_input(joined: Result<BulkInput, tokio::task::JoinError>) -> BulkInput {
    match joined {
        Ok(input) => input,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

fn count(traffic: &mut RequestCounts, event: &scheduler::Event) {
    match event {
        scheduler::Event::Started { .. } => traffic.requests += 1,
        scheduler::Event::Waiting {
            reason: WaitReason::RateLimited,
            ..
        } => traffic.limited += 1,
        _ => {}
    }
}
