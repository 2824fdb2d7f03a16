//! Jobs and responses for the scheduler bench, and both ways to schedule them: each job is sent once, each queue
//! in order.
//!
//! Jobs and responses are made before the measurement and dropped after it.

use std::{collections::VecDeque, sync::Arc};

use matricula_core::{
    Body, EffectId, Job, Machine, Method, QueuePolicy, Response, Scheduler, SeededEntropy,
    ServerUrl, StepContext, Timestamp, TransportResult,
    scheduler::{Effect, Event, Input, Outcome, SchedulerConfig},
};

use crate::heap::Heap;

/// The number of jobs.
pub const JOBS: usize = 100_000;
/// The number of queues.
pub const QUEUES: usize = 1_000;
/// The number of requests in flight.
pub const MAX_IN_FLIGHT: usize = 16;

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

/// As many responses.
pub fn responses(count: usize) -> Vec<Response> {
    let body = || Body::Json(r#"{"event_id":"$e"}"#.to_owned());
    (0..count)
        .map(|_| Response::new(200, Vec::new(), body()))
        .collect()
}

/// The outcomes of the scheduled jobs.
#[derive(Debug, Default)]
pub struct Ended {
    /// In the order in which the jobs ended.
    pub outcomes: Vec<Outcome>,
}

/// Submits, sends and completes all jobs with our scheduler. `on_send` is called with each job.
pub fn by_scheduler(
    jobs: &[Arc<Job>],
    mut responses: Vec<Response>,
    mut on_send: impl FnMut(&Job),
) -> Ended {
    let mut config = SchedulerConfig::default();
    config.max_in_flight = MAX_IN_FLIGHT;
    let mut scheduler = Scheduler::new(config);
    let mut entropy = SeededEntropy::new(1);
    let mut in_flight = VecDeque::<EffectId>::new();
    let mut outcomes = Vec::with_capacity(jobs.len());
    let mut step = |input, in_flight: &mut VecDeque<EffectId>| {
        let mut cx = StepContext::new(Timestamp::from_millis(1_000), &mut entropy);
        let step = scheduler.step(&mut cx, input);
        for effect in step.effects {
            if let Effect::Send(id, job) = effect {
                on_send(&job);
                in_flight.push_back(id);
            }
        }
        for event in step.events {
            if let Event::Finished(_, outcome) = event {
                outcomes.push(outcome);
            }
        }
    };
    for job in jobs {
        step(Input::Submit(Arc::clone(job)), &mut in_flight);
    }
    while let (Some(id), Some(response)) = (in_flight.pop_front(), responses.pop()) {
        step(
            Input::Completed(id, TransportResult::Response(response)),
            &mut in_flight,
        );
    }
    assert!(scheduler.is_empty());
    Ended { outcomes }
}

/// The same with a plain heap.
pub fn by_heap(
    jobs: &[Arc<Job>],
    mut responses: Vec<Response>,
    mut on_send: impl FnMut(&Job),
) -> Ended {
    let mut heap = Heap::default();
    let mut in_flight = VecDeque::new();
    let mut outcomes = Vec::with_capacity(jobs.len());
    for job in jobs {
        heap.submit(1_000, Arc::clone(job));
    }
    loop {
        while in_flight.len() < MAX_IN_FLIGHT
            && let Some((queue, job)) = heap.next()
        {
            on_send(job);
            in_flight.push_back(queue);
        }
        let (Some(queue), Some(response)) = (in_flight.pop_front(), responses.pop()) else {
            break;
        };
        outcomes.extend(heap.completed(1_000, queue, response));
    }
    assert!(heap.is_empty());
    Ended { outcomes }
}
