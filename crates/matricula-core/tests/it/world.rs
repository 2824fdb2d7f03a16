//! A scheduler on a virtual clock, for tests.

use std::{collections::VecDeque, sync::Arc};

use matricula_core::{
    Body, EffectId, Job, Machine, Method, Processed, QueuePolicy, Response, Scheduler,
    SeededEntropy, Step, StepContext, Timestamp, TransportError, TransportErrorKind,
    TransportResult,
    scheduler::{Effect, Event, Input, JobId, Outcome, SchedulerConfig},
};

/// A scheduler with a clock and entropy of its own.
pub(crate) struct World {
    pub(crate) now: u64,
    entropy: SeededEntropy,
    pub(crate) scheduler: Scheduler,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(SchedulerConfig::default())
    }

    pub(crate) fn with(limits: SchedulerConfig) -> Self {
        Self::of(Scheduler::new(limits))
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

    /// Wakes when asked to, and expects the job to be sent again.
    pub(crate) fn wake(&mut self, step: &Step<Effect, Event>) -> EffectId {
        self.now = step.wake_at.expect("something waits").as_millis();
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
        other => panic!("expected an end, got {other:?}"),
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

pub(crate) fn refused() -> TransportResult {
    let body = r#"{"errcode":"M_FORBIDDEN","error":"no"}"#.to_owned();
    TransportResult::Response(Response::new(403, vec![], Body::Json(body)))
}

pub(crate) fn unknown_token() -> TransportResult {
    let body = r#"{"errcode":"M_UNKNOWN_TOKEN","error":"expired"}"#.to_owned();
    TransportResult::Response(Response::new(401, vec![], Body::Json(body)))
}

/// What stands on the wire, by the names of the jobs, and what has ended.
#[derive(Default)]
pub(crate) struct Wire {
    pub(crate) sent: VecDeque<(EffectId, String)>,
    pub(crate) ended: Vec<(JobId, Outcome)>,
    pub(crate) held: Vec<String>,
    pub(crate) wake_at: Option<Timestamp>,
    pub(crate) steps: usize,
}

impl Wire {
    pub(crate) fn take(&mut self, step: Step<Effect, Event>) {
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

    pub(crate) fn names(&self) -> Vec<&str> {
        self.sent.iter().map(|(_, name)| name.as_str()).collect()
    }

    /// Answers what went on the wire first.
    pub(crate) fn answer(&mut self, world: &mut World, answer: TransportResult) -> String {
        let (id, name) = self.sent.pop_front().expect("something is on the wire");
        let step = world.step(Input::Completed(id, answer));
        self.take(step);
        name
    }

    pub(crate) fn give(&mut self, world: &mut World, job: Job) {
        let step = world.step(Input::Submit(Arc::new(job)));
        self.take(step);
    }

    pub(crate) fn say(&mut self, world: &mut World, input: Input) {
        let step = world.step(input);
        self.take(step);
    }

    /// Lets time pass until the scheduler wants to be woken.
    pub(crate) fn wait(&mut self, world: &mut World) {
        world.now = self.wake_at.expect("something waits").as_millis();
        self.say(world, Input::Wake);
    }

    /// How each job ended, by job id: `+` done, `-` refused or failed, `?` in doubt, `x` cancelled.
    pub(crate) fn ends(&self) -> String {
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
