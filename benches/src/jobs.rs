//! Jobs to schedule, and both ways to do it to the same end: each sent once, each queue in order.

use matricula_job::{
    Answer, Body, Cx, EffectId, Job, Machine, Method, QueuePolicy, Response, Scheduler,
    SeededEntropy, ServerUrl, Timestamp,
    scheduler::{Effect, Event, Input, Limits},
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
            .with_body(Body::Json(r#"{"body":"hello","msgtype":"m.text"}"#.to_owned()))
            .with_queue(format!("!{room}"), QueuePolicy::AlwaysContinue)
    };
    (0..jobs).map(message).collect()
}

fn done() -> Answer {
    let body = Body::Json(r#"{"event_id":"$e"}"#.to_owned());
    Answer::Response(Response::new(200, Vec::new(), body))
}

/// All of them handed in, sent and answered by our scheduler; the addresses in the order they went.
pub fn by_scheduler(jobs: Vec<Job>, mut went: impl FnMut(&str)) -> usize {
    let mut limits = Limits::default();
    limits.on_the_wire = ON_THE_WIRE;
    let mut scheduler = Scheduler::new(limits);
    let mut entropy = SeededEntropy::new(1);
    let mut wire = std::collections::VecDeque::<EffectId>::new();
    let mut ended = 0;
    let mut step = |input, wire: &mut std::collections::VecDeque<EffectId>| {
        let mut cx = Cx::new(Timestamp::from_millis(1_000), &mut entropy);
        let step = scheduler.step(&mut cx, input);
        for effect in step.effects {
            if let Effect::Send(id, job) = effect {
                went(job.url());
                wire.push_back(id);
            }
        }
        let ends = |event: &&Event| matches!(event, Event::Finished(..));
        ended += step.events.iter().filter(ends).count();
    };
    for job in jobs {
        step(Input::Submit(job.into()), &mut wire);
    }
    while let Some(id) = wire.pop_front() {
        step(Input::Answer(id, done()), &mut wire);
    }
    assert!(scheduler.is_empty());
    ended
}

/// The same by a plain heap.
pub fn by_heap(jobs: Vec<Job>, mut went: impl FnMut(&str)) -> usize {
    let mut heap = Heap::default();
    let mut wire = std::collections::VecDeque::new();
    let mut ended = 0;
    for job in jobs {
        heap.submit(1_000, job);
    }
    loop {
        while wire.len() < ON_THE_WIRE
            && let Some((queue, job)) = heap.next()
        {
            went(job.url());
            wire.push_back(queue);
        }
        let Some(queue) = wire.pop_front() else {
            break;
        };
        let job = heap.answered(1_000, queue);
        let Answer::Response(response) = done() else {
            continue;
        };
        let response = job.map(|job| job.gen_response(response));
        ended += usize::from(response.is_some_and(|response| response.success()));
    }
    assert!(heap.is_empty());
    ended
}
