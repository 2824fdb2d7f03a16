//! A server's pace is learnt from its refusals, and kept by all requests that it counts together.

use matricula_core::{
    QueuePolicy,
    scheduler::{Input, JobId, JobStatus},
};

use crate::world::{Wire, World, limited, named, queued, status};

/// A server that lets `burst` requests come at once, and then one every `spacing` milliseconds.
struct Bucket {
    spacing: f64,
    burst: f64,
    tokens: f64,
    last: u64,
    refused: usize,
    taken: usize,
}

impl Bucket {
    fn new(now: u64, spacing: f64, burst: f64) -> Self {
        Self {
            spacing,
            burst,
            tokens: burst,
            last: now,
            refused: 0,
            taken: 0,
        }
    }

    fn ask(&mut self, now: u64) -> matricula_core::TransportResult {
        let passed = now.saturating_sub(self.last) as f64;
        self.tokens = (self.tokens + passed / self.spacing).min(self.burst);
        self.last = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            self.taken += 1;
            return status(200);
        }
        self.refused += 1;
        limited(((1.0 - self.tokens) * self.spacing).ceil() as u64)
    }
}

#[test]
fn a_refusal_holds_back_the_class_and_nothing_else() {
    let (mut world, mut wire) = (World::new(), Wire::default());
    wire.give(&mut world, queued("a", "q", QueuePolicy::AlwaysContinue));
    wire.answer(&mut world, limited(5_000));
    wire.give(&mut world, queued("b", "r", QueuePolicy::AlwaysContinue));
    wire.give(&mut world, crate::job());
    assert_eq!(wire.names(), [""], "registering is not sending");
    let until = matricula_core::Timestamp::from_millis(world.now + 5_000);
    for job_id in [1, 2] {
        let standing = world.scheduler.status(JobId(job_id));
        assert_eq!(standing, Some(JobStatus::RateLimited { until }));
    }
    assert_eq!(wire.wake_at, Some(until));
}

#[test]
fn after_a_refusal_one_request_finds_out_whether_the_rest_may_go() {
    let (mut world, mut wire) = (World::new(), Wire::default());
    for name in ["a", "b", "c"] {
        wire.give(&mut world, named(name));
    }
    for _ in 0..3 {
        wire.answer(&mut world, limited(1_000));
    }
    wire.wait(&mut world);
    assert_eq!(wire.names().len(), 1);
    world.now += 60_000;
    wire.say(&mut world, Input::Wake);
    assert_eq!(
        wire.names().len(),
        1,
        "its answer is waited for, however long"
    );
    wire.answer(&mut world, status(200));
    assert_eq!(wire.names().len(), 1);
    wire.answer(&mut world, status(200));
    // And then in the spacing that the refusal named.
    assert!(wire.names().is_empty());
    wire.wait(&mut world);
    assert_eq!(wire.names().len(), 1);
    wire.answer(&mut world, status(200));
    assert_eq!(wire.ends(), "+++");
}

#[test]
fn two_refusals_teach_the_pace_and_few_follow() {
    for (spacing, burst, jobs) in [(200.0, 10.0, 200), (1_000.0, 1.0, 100), (20.0, 50.0, 2_000)] {
        let (mut world, mut wire) = (World::new(), Wire::default());
        let mut bucket = Bucket::new(world.now, spacing, burst);
        for job in 0..jobs {
            wire.give(&mut world, named(&job.to_string()));
        }
        let start = world.now;
        while wire.ended.len() < jobs {
            if wire.sent.is_empty() {
                wire.wait(&mut world);
            } else {
                let answer = bucket.ask(world.now);
                wire.answer(&mut world, answer);
            }
        }
        let (took, refused) = (world.now - start, bucket.refused);
        let least = (jobs as f64 - burst) * spacing;
        assert_eq!(bucket.taken, jobs, "each was done once");
        // A burst on the wire at once may be refused together; after that it is known.
        assert!(
            refused <= 16 + jobs / 50,
            "one every {spacing} ms: {refused} of {jobs} were refused"
        );
        assert!(
            (took as f64) < least * 1.3 + 5.0 * spacing,
            "{took} ms, {least} would do"
        );
    }
}

#[test]
fn a_clock_that_is_set_back_makes_nobody_wait_longer_and_the_pace_is_kept() {
    let (mut world, mut wire) = (World::new(), Wire::default());
    world.now = 10_000_000;
    wire.give(&mut world, named("a"));
    wire.answer(&mut world, limited(5_000));
    world.now = 1_000;
    wire.say(&mut world, Input::Wake);
    assert!(wire.names().is_empty());
    assert_eq!(wire.wake_at.unwrap().as_millis(), 6_000);
    wire.wait(&mut world);
    assert_eq!(wire.names(), ["a"]);
}
