//! Jobs to schedule, and both ways to do it to the same end: each sent once, each queue in order.
//!
//! Jobs and answers are made before, and dropped after, what is measured.

use std::{collections::VecDeque, sync::Arc};

use matricula_core::{
    Answer, Body, Cx, EffectId, Job, Machine, Method, QueuePolicy, Response, Scheduler,
    SeededEntropy, ServerUrl, Timestamp,
    scheduler::{Effect, Event, Input, Limits, Outcome},
};

use crate::heap::Heap;

/// Jobs that a scheduler is measured with.
pub const JOBS: usize = 100_000;
/// Queues that they stand in.
pub const QUEUES: usize = 1_000;
/// How many are on the wire at once.
pub const ON_THE_WIRE: usize = 16;

/// Messages to rooms, each room a queue.
pub fn messages(server: &ServerUrl, jobs: usize, queues: usize) -> Vec<Job> {
    let message = |number: usize| {
        let room = number % queues;
        let path = format!("/_matrix/client/v3/rooms/!{room}/send/m.room.message/{number}");
        Job::new(server, &path, Method::Put, "sendMessage")
            .with_body(Body::Json(
                r#"{"body":"hello","msgtype":"m.text"}"#.to_owned(),
            ))
            .with_queue(format!("!{room}"), QueuePolicy::AlwaysContinue)
    };
    (0..jobs).map(message).collect()
}

/// As many answers.
pub fn answers(count: usize) -> Vec<Response> {
    let body = || Body::Json(r#"{"event_id":"$e"}"#.to_owned());
    (0..count)
        .map(|_| Response::new(200, Vec::new(), body()))
        .collect()
}

/// What was scheduled, and how it ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// Outcomes, in the order in which they came.
    pub outcomes: Vec<Outcome>,
}

/// All of them handed in, sent and answered by our scheduler; `went` is told each as it goes.
pub fn by_scheduler(
    jobs: &[Arc<Job>],
    mut answers: Vec<Response>,
    mut went: impl FnMut(&Job),
) -> Ended {
    let mut limits = Limits::default();
    limits.on_the_wire = ON_THE_WIRE;
    let mut scheduler = Scheduler::new(limits);
    let mut entropy = SeededEntropy::new(1);
    let mut wire = VecDeque::<EffectId>::new();
    let mut outcomes = Vec::with_capacity(jobs.len());
    let mut step = |input, wire: &mut VecDeque<EffectId>| {
        let mut cx = Cx::new(Timestamp::from_millis(1_000), &mut entropy);
        let step = scheduler.step(&mut cx, input);
        for effect in step.effects {
            if let Effect::Send(id, job) = effect {
                went(&job);
                wire.push_back(id);
            }
        }
        for event in step.events {
            if let Event::Finished(_, outcome) = event {
                outcomes.push(outcome);
            }
        }
    };
    for job in jobs {
        step(Input::Submit(Arc::clone(job)), &mut wire);
    }
    while let (Some(id), Some(answer)) = (wire.pop_front(), answers.pop()) {
        step(Input::Answer(id, Answer::Response(answer)), &mut wire);
    }
    assert!(scheduler.is_empty());
    Ended { outcomes }
}

/// The same by a plain heap.
pub fn by_heap(jobs: &[Arc<Job>], mut answers: Vec<Response>, mut went: impl FnMut(&Job)) -> Ended {
    let mut heap = Heap::default();
    let mut wire = VecDeque::new();
    let mut outcomes = Vec::with_capacity(jobs.len());
    for job in jobs {
        heap.submit(1_000, Arc::clone(job));
    }
    loop {
        while wire.len() < ON_THE_WIRE
            && let Some((queue, job)) = heap.next()
        {
            went(job);
            wire.push_back(queue);
        }
        let (Some(queue), Some(answer)) = (wire.pop_front(), answers.pop()) else {
            break;
        };
        outcomes.extend(heap.answered(1_000, queue, answer));
    }
    assert!(heap.is_empty());
    Ended { outcomes }
}
