//! Queues: order, fairness, policies, and control.

use matricula_core::{
    Job, Method, Processed, QueuePolicy, RetrySafety, TransportErrorKind,
    scheduler::{Effect, Input, JobId, JobStatus, Outcome, Rejection, SchedulerConfig},
};

use crate::harness::{Harness, Network, failed, forbidden, limited, named, queued, status};

const CONTINUE: QueuePolicy = QueuePolicy::AlwaysContinue;

fn with_max_in_flight(max_in_flight: usize) -> Harness {
    let mut config = SchedulerConfig::default();
    config.max_in_flight = max_in_flight;
    Harness::with(config)
}

#[test]
fn one_job_of_a_queue_is_in_flight() {
    let (mut harness, mut network) = (Harness::new(), Network::default());
    for name in ["a", "b", "c"] {
        network.submit(&mut harness, queued(name, "q", CONTINUE));
    }
    for name in ["a", "b", "c"] {
        assert_eq!(network.in_flight(), [name]);
        network.respond(&mut harness, status(200));
    }
    assert_eq!(network.outcomes(), "+++");
    assert_eq!(
        harness.scheduler.queues().count(),
        0,
        "the queue is removed"
    );
}

#[test]
fn retried_head_stays_first() {
    let (mut harness, mut network) = (Harness::new(), Network::default());
    network.submit(&mut harness, queued("a", "q", CONTINUE));
    network.submit(&mut harness, queued("b", "q", CONTINUE));
    network.respond(
        &mut harness,
        failed(TransportErrorKind::ConnectionLost, Processed::Maybe),
    );
    assert!(network.in_flight().is_empty());
    network.wait(&mut harness);
    assert_eq!(network.in_flight(), ["a"]);
}

#[test]
fn queues_are_served_round_robin() {
    let (mut harness, mut network) = (with_max_in_flight(1), Network::default());
    for name in ["a1", "a2", "a3", "b1", "b2", "c1"] {
        network.submit(&mut harness, queued(name, &name[..1], CONTINUE));
    }
    let mut order = Vec::new();
    while !network.sent.is_empty() {
        order.push(network.respond(&mut harness, status(200)));
    }
    assert_eq!(order, ["a1", "b1", "c1", "a2", "b2", "a3"]);
}

#[test]
fn in_flight_limit_applies_without_queues() {
    let (mut harness, mut network) = (with_max_in_flight(2), Network::default());
    for name in ["a", "b", "c"] {
        network.submit(&mut harness, named(name));
    }
    assert_eq!(network.in_flight(), ["a", "b"]);
    assert_eq!(harness.scheduler.status(JobId(3)), Some(JobStatus::Ready));
    network.respond(&mut harness, status(200));
    assert_eq!(network.in_flight(), ["b", "c"]);
}

#[test]
fn long_polls_do_not_count_as_in_flight() {
    let (mut harness, mut network) = (with_max_in_flight(1), Network::default());
    network.submit(&mut harness, named("sync").with_query("timeout", "30000"));
    network.submit(&mut harness, named("a"));
    assert_eq!(network.in_flight(), ["sync", "a"]);
    network.submit(&mut harness, named("no wait").with_query("timeout", "0"));
    assert_eq!(
        network.in_flight(),
        ["sync", "a"],
        "a timeout of 0 is no long poll"
    );
}

#[test]
fn queue_policy_on_failure() {
    for (policy, ends, held) in [
        (CONTINUE, "-++", 0),
        (QueuePolicy::CancelFutureIfFailed, "-xx", 0),
        (QueuePolicy::Hold, "", 1),
    ] {
        let (mut harness, mut network) = (Harness::new(), Network::default());
        for name in ["a", "b", "c"] {
            network.submit(&mut harness, queued(name, "q", policy));
        }
        network.respond(&mut harness, forbidden());
        while !network.sent.is_empty() {
            network.respond(&mut harness, status(200));
        }
        assert_eq!(
            (network.outcomes().as_str(), network.held.len()),
            (ends, held),
            "{policy:?}"
        );
    }
}

#[test]
fn the_failed_jobs_policy_counts() {
    // Not those of the jobs behind it.
    let (mut harness, mut network) = (Harness::new(), Network::default());
    network.submit(&mut harness, queued("a", "q", CONTINUE));
    network.submit(
        &mut harness,
        queued("b", "q", QueuePolicy::CancelFutureIfFailed),
    );
    network.submit(&mut harness, queued("c", "q", CONTINUE));
    network.respond(&mut harness, forbidden());
    network.respond(&mut harness, status(200));
    network.respond(&mut harness, forbidden());
    assert_eq!(network.outcomes(), "-+-");
}

#[test]
fn held_queue_retries_or_skips() {
    for (input, ends) in [
        (Input::RetryHead("q".into()), "++"),
        (Input::SkipHead("q".into()), "-+"),
    ] {
        let (mut harness, mut network) = (Harness::new(), Network::default());
        network.submit(&mut harness, queued("a", "q", QueuePolicy::Hold));
        network.submit(&mut harness, queued("b", "q", QueuePolicy::Hold));
        network.respond(&mut harness, forbidden());
        assert_eq!(harness.scheduler.status(JobId(1)), Some(JobStatus::Held));
        assert_eq!(
            harness.scheduler.status(JobId(2)),
            Some(JobStatus::Queued { ahead: 1 })
        );
        network.input(&mut harness, input);
        while !network.sent.is_empty() {
            network.respond(&mut harness, status(200));
        }
        assert_eq!(network.outcomes(), ends);
    }
}

#[test]
fn cancelled_held_head_keeps_its_outcome() {
    let (mut harness, mut network) = (Harness::new(), Network::default());
    let doubtful =
        queued("a", "q", QueuePolicy::Hold).with_retry_safety(RetrySafety::OnlyIfNotProcessed);
    network.submit(&mut harness, doubtful);
    network.submit(&mut harness, queued("b", "q", QueuePolicy::Hold));
    network.respond(
        &mut harness,
        failed(TransportErrorKind::ConnectionLost, Processed::Maybe),
    );
    network.input(&mut harness, Input::Cancel(JobId(1)));
    assert_eq!(
        (network.outcomes().as_str(), network.in_flight()),
        ("?", vec!["b"])
    );
}

#[test]
fn paused_queue_sends_nothing() {
    let (mut harness, mut network) = (Harness::new(), Network::default());
    network.input(&mut harness, Input::PauseQueue("q".into()));
    network.submit(&mut harness, queued("a", "q", CONTINUE));
    network.submit(&mut harness, queued("b", "q", CONTINUE));
    network.submit(&mut harness, queued("other", "r", CONTINUE));
    assert_eq!(network.in_flight(), ["other"]);
    assert_eq!(harness.scheduler.status(JobId(1)), Some(JobStatus::Paused));
    network.input(&mut harness, Input::ResumeQueue("q".into()));
    assert_eq!(network.in_flight(), ["other", "a"]);
    // The job in flight completes; the next one waits.
    network.input(&mut harness, Input::PauseQueue("q".into()));
    network.respond(&mut harness, status(200));
    network.respond(&mut harness, status(200));
    assert!(network.in_flight().is_empty());
    assert_eq!(network.outcomes(), "++");
}

#[test]
fn cancel_keeps_the_order_of_others() {
    let (mut harness, mut network) = (Harness::new(), Network::default());
    for name in ["a", "b", "c"] {
        network.submit(&mut harness, queued(name, "q", CONTINUE));
    }
    assert_eq!(harness.scheduler.position(JobId(3)), Some(2));
    network.input(&mut harness, Input::Cancel(JobId(2)));
    assert_eq!(harness.scheduler.position(JobId(3)), Some(1));
    network.respond(&mut harness, status(200));
    assert_eq!(network.in_flight(), ["c"]);
    network.respond(&mut harness, status(200));
    assert_eq!(network.outcomes(), "+x+");
}

#[test]
fn cancelled_ready_job_is_never_sent() {
    let (mut harness, mut network) = (with_max_in_flight(1), Network::default());
    network.submit(&mut harness, named("a"));
    for _ in 0..1_000 {
        network.submit(&mut harness, named("b"));
        let last = harness.scheduler.pending().last().unwrap().0;
        network.input(&mut harness, Input::Cancel(last));
    }
    network.submit(&mut harness, named("c"));
    network.respond(&mut harness, status(200));
    assert_eq!(network.in_flight(), ["c"]);
    assert_eq!(harness.scheduler.len(), 1);
}

#[test]
fn offline_failures_do_not_count() {
    let (mut harness, mut network) = (Harness::new(), Network::default());
    network.submit(&mut harness, queued("a", "q", CONTINUE));
    network.input(&mut harness, Input::SetOnline(false));
    for _ in 0..10 {
        network.respond(
            &mut harness,
            failed(TransportErrorKind::Connect, Processed::No),
        );
        assert_eq!(harness.scheduler.status(JobId(1)), Some(JobStatus::Offline));
        assert_eq!(network.wake_at, None, "no timer is set");
        network.input(&mut harness, Input::SetOnline(true));
        assert_eq!(network.in_flight(), ["a"]);
        network.input(&mut harness, Input::SetOnline(false));
    }
    network.respond(&mut harness, status(200));
    assert_eq!(network.outcomes(), "+");
}

#[test]
fn going_online_ends_back_offs() {
    let (mut harness, mut network) = (Harness::new(), Network::default());
    network.submit(&mut harness, named("a"));
    network.respond(
        &mut harness,
        failed(TransportErrorKind::Connect, Processed::No),
    );
    network.input(&mut harness, Input::SetOnline(false));
    network.input(&mut harness, Input::SetOnline(true));
    assert_eq!(network.in_flight(), ["a"]);
    assert_eq!(network.wake_at, None);
}

#[test]
fn jobs_beyond_the_limit_are_rejected() {
    let mut config = SchedulerConfig::default();
    config.max_jobs = 2;
    let (mut harness, mut network) = (Harness::with(config), Network::default());
    network.submit(&mut harness, named("a"));
    network.submit(&mut harness, named("b"));
    let step = harness.step(Input::Submit(named("c").into()));
    let rejection = Rejection::Full { max_jobs: 2 };
    assert_eq!(
        step.events,
        [matricula_core::scheduler::Event::Rejected(rejection)]
    );
    network.respond(&mut harness, status(200));
    network.submit(&mut harness, named("d"));
    assert_eq!(network.in_flight(), ["b", "d"]);
}

#[test]
fn cancel_cancels_dependent_jobs() {
    let (mut harness, mut network) = (Harness::new(), Network::default());
    for name in ["a", "b", "c"] {
        network.submit(
            &mut harness,
            queued(name, "q", QueuePolicy::CancelFutureIfFailed),
        );
    }
    network.input(&mut harness, Input::Cancel(JobId(2)));
    network.respond(&mut harness, status(200));
    assert_eq!(network.outcomes(), "+xx");
    assert_eq!(network.ended[0].1, Outcome::Cancelled);
}

/// The head is rate-limited and cancelled; the next job belongs to another bucket.
#[test]
fn next_job_uses_its_own_bucket() {
    let (mut harness, mut network) = (Harness::new(), Network::default());
    let server = crate::server();
    let other = Job::new(
        &server,
        "/_matrix/client/v3/profile/a",
        Method::Put,
        "setProfileField",
    )
    .with_data(serde_json::json!({ "name": "profile" }));
    network.submit(&mut harness, other.with_queue("q", CONTINUE));
    network.submit(&mut harness, queued("message", "q", CONTINUE));
    network.respond(&mut harness, limited(60_000));
    let step = harness.step(Input::Cancel(JobId(1)));
    network.apply(step);
    assert_eq!(network.in_flight(), ["message"]);
    assert_eq!(harness.scheduler.position(JobId(2)), Some(0));
    network.respond(&mut harness, status(200));
    assert!(harness.scheduler.is_empty());
}

#[test]
fn rate_limited_queue_resumes_after_cancel() {
    let (mut harness, mut network) = (Harness::new(), Network::default());
    network.submit(&mut harness, queued("a", "q", CONTINUE));
    network.respond(&mut harness, limited(60_000));
    for input in [Input::PauseQueue("q".into()), Input::Cancel(JobId(1))] {
        let step = harness.step(input);
        network.apply(step);
    }
    network.submit(&mut harness, queued("b", "q", CONTINUE));
    let step = harness.step(Input::ResumeQueue("q".into()));
    network.apply(step);
    assert!(network.in_flight().is_empty(), "the rate limit still holds");
    network.wait(&mut harness);
    assert_eq!(network.in_flight(), ["b"]);
}

/// A send that waits for the disk, and an abort of it.
#[test]
fn aborted_send_is_dropped() {
    let mut harness = Harness::new();
    let step = harness.step(Input::Submit(named("a").into()));
    let mut effects = step.effects;
    let step = harness.step(Input::Submit(named("b").into()));
    effects.extend(step.effects);
    let step = harness.step(Input::Cancel(JobId(1)));
    effects.extend(step.effects);
    let left = Effect::without_aborted(effects);
    let [Effect::Send(_, job)] = &left[..] else {
        panic!("{left:?}")
    };
    assert_eq!(job.data_str("name"), Some("b"));
    // An abort of a request that was sent before stays.
    let step = harness.step(Input::Cancel(JobId(2)));
    assert_eq!(Effect::without_aborted(step.effects.clone()), step.effects);
}

/// A day of rate limit, and thousands of jobs that are submitted and cancelled.
#[test]
fn cancelled_jobs_leave_no_entries() {
    let (mut harness, mut network) = (
        Harness::with(SchedulerConfig::patient()),
        Network::default(),
    );
    network.submit(&mut harness, named("first"));
    network.respond(&mut harness, limited(24 * 60 * 60 * 1_000));
    for number in 2..10_000 {
        let job = match number % 3 {
            0 => named("single"),
            1 => queued("a", "q", CONTINUE),
            _ => queued("b", &format!("queue {number}"), CONTINUE),
        };
        let _ = harness.step(Input::Submit(job.into()));
        let _ = harness.step(Input::Cancel(JobId(number)));
    }
    assert_eq!(harness.scheduler.len(), 1);
    let entries = harness.scheduler.memory_entries();
    assert!(entries < 300, "{entries} entries for one job");
}
