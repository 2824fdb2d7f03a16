//! A scheduler on a virtual clock with a scripted network.

use std::{collections::VecDeque, sync::Arc};

use matricula_core::{
    Body, EffectId, Job, Machine, Method, Processed, QueuePolicy, Response, Scheduler,
    SeededEntropy, Step, StepContext, Timestamp, TransportError, TransportErrorKind,
    TransportResult,
    scheduler::{Effect, Event, Input, JobId, Outcome, SchedulerConfig},
};

/// A scheduler with a virtual clock and seeded entropy.
pub(crate) struct Harness {
    pub(crate) now: u64,
    entropy: SeededEntropy,
    pub(crate) scheduler: Scheduler,
}

impl Harness {
    pub(crate) fn new() -> Self {
        Self::with(SchedulerConfig::default())
    }

    pub(crate) fn with(config: SchedulerConfig) -> Self {
        Self::of(Scheduler::new(config))
    }

    pub(crate) fn of(scheduler: Scheduler) -> Self {
        Self {
            now: 1_000_000,
            entropy: SeededEntropy::new(1),
            scheduler,
        }
    }

    pub(crate) fn step(&mut self, input: Input) -> Step<Effect, Event> {
        let mut cx = StepContext::new(Timestamp::from_millis(self.now), &mut self.entropy);
        self.scheduler.step(&mut cx, input)
    }

    pub(crate) fn submit(&mut self, job: Job) -> EffectId {
        let step = self.step(Input::Submit(Arc::new(job)));
        sent(&step)
    }

    /// Advances the clock to `wake_at`, and expects the job to be sent again.
    pub(crate) fn wake(&mut self, step: &Step<Effect, Event>) -> EffectId {
        self.now = step.wake_at.expect("a timer is set").as_millis();
        let step = self.step(Input::Wake);
        sent(&step)
    }
}

pub(crate) fn sent(step: &Step<Effect, Event>) -> EffectId {
    match &step.effects[..] {
        [Effect::Send(id, _)] => *id,
        other => panic!("expected one send, got {other:?}"),
    }
}

pub(crate) fn outcome(step: &Step<Effect, Event>) -> &Outcome {
    match &step.events[..] {
        [Event::Finished(_, outcome), ..] => outcome,
        other => panic!("expected an outcome, got {other:?}"),
    }
}

pub(crate) fn status(status: u16) -> TransportResult {
    TransportResult::Response(Response::new(status, vec![], Body::Empty))
}

pub(crate) fn failed(kind: TransportErrorKind, processed: Processed) -> TransportResult {
    TransportResult::Failed(TransportError {
        kind,
        processed,
        message: "m".into(),
    })
}

/// A job named by its data, in a queue.
pub(crate) fn queued(name: &str, queue: &str, policy: QueuePolicy) -> Job {
    named(name).with_queue(queue, policy)
}

/// A message with a transaction id, named by its data.
pub(crate) fn named(name: &str) -> Job {
    let server = "https://matrix.example.org".parse().unwrap();
    let path = format!("/_matrix/client/v3/rooms/r/send/m.room.message/{name}");
    Job::new(&server, &path, Method::Put, "sendMessage")
        .with_data(serde_json::json!({ "name": name }))
}

pub(crate) fn limited(millis: u64) -> TransportResult {
    let body = format!("{{\"errcode\":\"M_LIMIT_EXCEEDED\",\"retry_after_ms\":{millis}}}");
    TransportResult::Response(Response::new(429, vec![], Body::Json(body)))
}

pub(crate) fn forbidden() -> TransportResult {
    let body = r#"{"errcode":"M_FORBIDDEN","error":"no"}"#.to_owned();
    TransportResult::Response(Response::new(403, vec![], Body::Json(body)))
}

pub(crate) fn unknown_token() -> TransportResult {
    let body = r#"{"errcode":"M_UNKNOWN_TOKEN","error":"expired"}"#.to_owned();
    TransportResult::Response(Response::new(401, vec![], Body::Json(body)))
}

/// The requests in flight, by the names of their jobs, and the jobs that have ended.
#[derive(Default)]
pub(crate) struct Network {
    pub(crate) sent: VecDeque<(EffectId, String)>,
    pub(crate) ended: Vec<(JobId, Outcome)>,
    pub(crate) held: Vec<String>,
    pub(crate) wake_at: Option<Timestamp>,
    pub(crate) steps: usize,
}

impl Network {
    pub(crate) fn apply(&mut self, step: Step<Effect, Event>) {
        self.steps += 1;
        self.wake_at = step.wake_at;
        for effect in step.effects {
            match effect {
                Effect::Send(id, job) => self.sent.push_back((id, name_of(&job))),
                Effect::Abort(id) => self.sent.retain(|(sent, _)| *sent != id),
                _ => {}
            }
        }
        for event in step.events {
            match event {
                Event::Finished(job_id, outcome) => self.ended.push((job_id, outcome)),
                Event::Held { queue, .. } => self.held.push(queue),
                _ => {}
            }
        }
    }

    /// The names of the jobs in flight, in the order in which they were sent.
    pub(crate) fn in_flight(&self) -> Vec<&str> {
        self.sent.iter().map(|(_, name)| name.as_str()).collect()
    }

    /// Completes the request that was sent first.
    pub(crate) fn respond(&mut self, harness: &mut Harness, result: TransportResult) -> String {
        let (id, name) = self.sent.pop_front().expect("a request is in flight");
        let step = harness.step(Input::Completed(id, result));
        self.apply(step);
        name
    }

    pub(crate) fn submit(&mut self, harness: &mut Harness, job: Job) {
        let step = harness.step(Input::Submit(Arc::new(job)));
        self.apply(step);
    }

    pub(crate) fn input(&mut self, harness: &mut Harness, input: Input) {
        let step = harness.step(input);
        self.apply(step);
    }

    /// Advances the clock to `wake_at`.
    pub(crate) fn wait(&mut self, harness: &mut Harness) {
        harness.now = self.wake_at.expect("a timer is set").as_millis();
        self.input(harness, Input::Wake);
    }

    /// One character per outcome, by job id: `+` success, `-` error response or failed, `?` in doubt,
    /// `x` cancelled.
    pub(crate) fn outcomes(&self) -> String {
        let mut ended: Vec<_> = self.ended.iter().collect();
        ended.sort_by_key(|(job_id, _)| *job_id);
        ended
            .iter()
            .map(|(_, outcome)| match outcome {
                outcome if outcome.success() => '+',
                Outcome::InDoubt(_) => '?',
                Outcome::Cancelled => 'x',
                _ => '-',
            })
            .collect()
    }
}

pub(crate) fn name_of(job: &Job) -> String {
    job.data_str("name").unwrap_or_default().to_owned()
}
