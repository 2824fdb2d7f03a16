//! Rate limits are learnt from 429 responses, per bucket.

use matricula_core::{
    Body, QueuePolicy, Response, TransportResult,
    scheduler::{Input, JobId, JobStatus},
};

use crate::harness::{Harness, Network, limited, named, queued, status};

/// A server that accepts `burst` requests at once, then one every `spacing` milliseconds.
struct TokenBucket {
    spacing: f64,
    burst: f64,
    tokens: f64,
    last: u64,
    limited: usize,
    accepted: usize,
}

impl TokenBucket {
    fn new(now: u64, spacing: f64, burst: f64) -> Self {
        Self {
            spacing,
            burst,
            tokens: burst,
            last: now,
            limited: 0,
            accepted: 0,
        }
    }

    fn request(&mut self, now: u64) -> TransportResult {
        let passed = now.saturating_sub(self.last) as f64;
        self.tokens = (self.tokens + passed / self.spacing).min(self.burst);
        self.last = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            self.accepted += 1;
            return status(200);
        }
        self.limited += 1;
        limited(((1.0 - self.tokens) * self.spacing).ceil() as u64)
    }
}

#[test]
fn limited_bucket_does_not_block_others() {
    let (mut harness, mut network) = (Harness::new(), Network::default());
    network.submit(&mut harness, queued("a", "q", QueuePolicy::AlwaysContinue));
    network.respond(&mut harness, limited(5_000));
    network.submit(&mut harness, queued("b", "r", QueuePolicy::AlwaysContinue));
    network.submit(&mut harness, crate::job());
    assert_eq!(network.in_flight(), [""], "another bucket");
    let until = matricula_core::Timestamp::from_millis(harness.now + 5_000);
    for job_id in [1, 2] {
        let status_now = harness.scheduler.status(JobId(job_id));
        assert_eq!(status_now, Some(JobStatus::RateLimited { until }));
    }
    assert_eq!(network.wake_at, Some(until));
}

#[test]
fn one_probe_follows_a_429() {
    let (mut harness, mut network) = (Harness::new(), Network::default());
    for name in ["a", "b", "c"] {
        network.submit(&mut harness, named(name));
    }
    for _ in 0..3 {
        network.respond(&mut harness, limited(1_000));
    }
    network.wait(&mut harness);
    assert_eq!(network.in_flight().len(), 1);
    harness.now += 60_000;
    network.input(&mut harness, Input::Wake);
    assert_eq!(network.in_flight().len(), 1, "the probe has not completed");
    network.respond(&mut harness, status(200));
    assert_eq!(network.in_flight().len(), 1);
    network.respond(&mut harness, status(200));
    // The others follow with the spacing of the 429.
    assert!(network.in_flight().is_empty());
    network.wait(&mut harness);
    assert_eq!(network.in_flight().len(), 1);
    network.respond(&mut harness, status(200));
    assert_eq!(network.outcomes(), "+++");
}

#[test]
fn no_spacing_is_learnt_from_a_503() {
    let (mut harness, mut network) = (Harness::new(), Network::default());
    for name in ["a", "b", "c"] {
        network.submit(&mut harness, named(name));
    }
    let header = || vec![("Retry-After".into(), "5".to_owned())];
    for _ in 0..3 {
        let response = Response::new(503, header(), Body::Empty);
        network.respond(&mut harness, TransportResult::Response(response));
    }
    assert!(network.in_flight().is_empty());
    let before = harness.now;
    network.wait(&mut harness);
    assert_eq!(harness.now - before, 5_000);
    assert_eq!(network.in_flight().len(), 1, "one request is the probe");
    network.respond(&mut harness, status(200));
    assert_eq!(network.in_flight().len(), 2, "the others follow at once");
}

#[test]
fn spacing_is_learnt_from_two_429s() {
    for (spacing, burst, jobs) in [(200.0, 10.0, 200), (1_000.0, 1.0, 100), (20.0, 50.0, 2_000)] {
        let (mut harness, mut network) = (Harness::new(), Network::default());
        let mut bucket = TokenBucket::new(harness.now, spacing, burst);
        for job in 0..jobs {
            network.submit(&mut harness, named(&job.to_string()));
        }
        let start = harness.now;
        while network.ended.len() < jobs {
            if network.sent.is_empty() {
                network.wait(&mut harness);
            } else {
                let result = bucket.request(harness.now);
                network.respond(&mut harness, result);
            }
        }
        let (took, limited_count) = (harness.now - start, bucket.limited);
        let least = (jobs as f64 - burst) * spacing;
        assert_eq!(bucket.accepted, jobs, "each was sent with success once");
        // The requests in flight may be limited together; after that the spacing is known.
        assert!(
            limited_count <= 16 + jobs / 50,
            "one every {spacing} ms: {limited_count} of {jobs} were limited"
        );
        assert!(
            (took as f64) < least * 1.3 + 5.0 * spacing,
            "{took} ms, at least {least}"
        );
    }
}

#[test]
fn clock_set_back_keeps_the_rate_limit() {
    let (mut harness, mut network) = (Harness::new(), Network::default());
    harness.now = 10_000_000;
    network.submit(&mut harness, named("a"));
    network.respond(&mut harness, limited(5_000));
    harness.now = 1_000;
    network.input(&mut harness, Input::Wake);
    assert!(network.in_flight().is_empty());
    assert_eq!(network.wake_at.unwrap().as_millis(), 6_000);
    network.wait(&mut harness);
    assert_eq!(network.in_flight(), ["a"]);
}
