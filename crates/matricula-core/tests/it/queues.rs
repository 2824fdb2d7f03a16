//! Jobs in queues go one after the other; queues take turns; what fails is dealt with as asked.

use matricula_core::{
    Job, Method, Processed, QueuePolicy, RetrySafety, TransportErrorKind,
    scheduler::{Effect, Input, JobId, JobStatus, Outcome, Rejection, SchedulerConfig},
};

use crate::world::{Wire, World, failed, limited, named, queued, refused, status};

const CONTINUE: QueuePolicy = QueuePolicy::AlwaysContinue;

fn world_of(on_the_wire: usize) -> World {
    let mut limits = SchedulerConfig::default();
    limits.max_in_flight = on_the_wire;
    World::with(limits)
}

#[test]
fn a_queue_has_one_on_the_wire_and_keeps_its_order() {
    let (mut world, mut wire) = (World::new(), Wire::default());
    for name in ["a", "b", "c"] {
        wire.give(&mut world, queued(name, "q", CONTINUE));
    }
    for name in ["a", "b", "c"] {
        assert_eq!(wire.names(), [name]);
        wire.answer(&mut world, status(200));
    }
    assert_eq!(wire.ends(), "+++");
    assert_eq!(
        world.scheduler.queues().count(),
        0,
        "nothing is left behind"
    );
}

#[test]
fn a_retried_head_keeps_its_place() {
    let (mut world, mut wire) = (World::new(), Wire::default());
    wire.give(&mut world, queued("a", "q", CONTINUE));
    wire.give(&mut world, queued("b", "q", CONTINUE));
    wire.answer(
        &mut world,
        failed(TransportErrorKind::ConnectionLost, Processed::Maybe),
    );
    assert!(wire.names().is_empty());
    wire.wait(&mut world);
    assert_eq!(wire.names(), ["a"]);
}

#[test]
fn queues_take_turns() {
    let (mut world, mut wire) = (world_of(1), Wire::default());
    for name in ["a1", "a2", "a3", "b1", "b2", "c1"] {
        wire.give(&mut world, queued(name, &name[..1], CONTINUE));
    }
    let mut order = Vec::new();
    while !wire.sent.is_empty() {
        order.push(wire.answer(&mut world, status(200)));
    }
    assert_eq!(order, ["a1", "b1", "c1", "a2", "b2", "a3"]);
}

#[test]
fn jobs_of_no_queue_wait_for_nobody_but_the_wire() {
    let (mut world, mut wire) = (world_of(2), Wire::default());
    for name in ["a", "b", "c"] {
        wire.give(&mut world, named(name));
    }
    assert_eq!(wire.names(), ["a", "b"]);
    assert_eq!(world.scheduler.status(JobId(3)), Some(JobStatus::Ready));
    wire.answer(&mut world, status(200));
    assert_eq!(wire.names(), ["b", "c"]);
}

#[test]
fn what_waits_for_news_takes_nobodys_place() {
    let (mut world, mut wire) = (world_of(1), Wire::default());
    wire.give(&mut world, named("sync").with_query("timeout", "30000"));
    wire.give(&mut world, named("a"));
    assert_eq!(wire.names(), ["sync", "a"]);
    wire.give(&mut world, named("at once").with_query("timeout", "0"));
    assert_eq!(wire.names(), ["sync", "a"], "which asks for no wait");
}

#[test]
fn each_policy_deals_with_a_failure_as_it_says() {
    for (policy, ends, held) in [
        (CONTINUE, "-++", 0),
        (QueuePolicy::CancelFutureIfFailed, "-xx", 0),
        (QueuePolicy::Hold, "", 1),
    ] {
        let (mut world, mut wire) = (World::new(), Wire::default());
        for name in ["a", "b", "c"] {
            wire.give(&mut world, queued(name, "q", policy));
        }
        wire.answer(&mut world, refused());
        while !wire.sent.is_empty() {
            wire.answer(&mut world, status(200));
        }
        assert_eq!(
            (wire.ends().as_str(), wire.held.len()),
            (ends, held),
            "{policy:?}"
        );
    }
}

#[test]
fn what_is_cancelled_behind_a_failure_is_answered_as_libkazv_does_elsewhere() {
    // The failure's own policy counts, not that of those behind it.
    let (mut world, mut wire) = (World::new(), Wire::default());
    wire.give(&mut world, queued("a", "q", CONTINUE));
    wire.give(
        &mut world,
        queued("b", "q", QueuePolicy::CancelFutureIfFailed),
    );
    wire.give(&mut world, queued("c", "q", CONTINUE));
    wire.answer(&mut world, refused());
    wire.answer(&mut world, status(200));
    wire.answer(&mut world, refused());
    assert_eq!(wire.ends(), "-+-");
}

#[test]
fn a_held_queue_tries_again_or_skips_when_told() {
    for (input, ends) in [
        (Input::RetryHead("q".into()), "++"),
        (Input::SkipHead("q".into()), "-+"),
    ] {
        let (mut world, mut wire) = (World::new(), Wire::default());
        wire.give(&mut world, queued("a", "q", QueuePolicy::Hold));
        wire.give(&mut world, queued("b", "q", QueuePolicy::Hold));
        wire.answer(&mut world, refused());
        assert_eq!(world.scheduler.status(JobId(1)), Some(JobStatus::Held));
        assert_eq!(
            world.scheduler.status(JobId(2)),
            Some(JobStatus::Queued { ahead: 1 })
        );
        wire.say(&mut world, input);
        while !wire.sent.is_empty() {
            wire.answer(&mut world, status(200));
        }
        assert_eq!(wire.ends(), ends);
    }
}

#[test]
fn a_held_queue_lets_its_head_be_called_back_with_what_became_of_it() {
    let (mut world, mut wire) = (World::new(), Wire::default());
    let doubtful =
        queued("a", "q", QueuePolicy::Hold).with_retry_safety(RetrySafety::OnlyIfNotProcessed);
    wire.give(&mut world, doubtful);
    wire.give(&mut world, queued("b", "q", QueuePolicy::Hold));
    wire.answer(
        &mut world,
        failed(TransportErrorKind::ConnectionLost, Processed::Maybe),
    );
    wire.say(&mut world, Input::Cancel(JobId(1)));
    assert_eq!((wire.ends().as_str(), wire.names()), ("?", vec!["b"]));
}

#[test]
fn a_paused_queue_sends_nothing_more_until_it_goes_on() {
    let (mut world, mut wire) = (World::new(), Wire::default());
    wire.say(&mut world, Input::PauseQueue("q".into()));
    wire.give(&mut world, queued("a", "q", CONTINUE));
    wire.give(&mut world, queued("b", "q", CONTINUE));
    wire.give(&mut world, queued("other", "r", CONTINUE));
    assert_eq!(wire.names(), ["other"]);
    assert_eq!(world.scheduler.status(JobId(1)), Some(JobStatus::Paused));
    wire.say(&mut world, Input::ResumeQueue("q".into()));
    assert_eq!(wire.names(), ["other", "a"]);
    // What is on the wire comes back; the next one waits.
    wire.say(&mut world, Input::PauseQueue("q".into()));
    wire.answer(&mut world, status(200));
    wire.answer(&mut world, status(200));
    assert!(wire.names().is_empty());
    assert_eq!(wire.ends(), "++");
}

#[test]
fn called_back_in_the_middle_the_others_keep_their_order() {
    let (mut world, mut wire) = (World::new(), Wire::default());
    for name in ["a", "b", "c"] {
        wire.give(&mut world, queued(name, "q", CONTINUE));
    }
    assert_eq!(world.scheduler.position(JobId(3)), Some(2));
    wire.say(&mut world, Input::Cancel(JobId(2)));
    assert_eq!(world.scheduler.position(JobId(3)), Some(1));
    wire.answer(&mut world, status(200));
    assert_eq!(wire.names(), ["c"]);
    wire.answer(&mut world, status(200));
    assert_eq!(wire.ends(), "+x+");
}

#[test]
fn what_was_called_back_while_it_waited_for_its_turn_is_never_sent() {
    let (mut world, mut wire) = (world_of(1), Wire::default());
    wire.give(&mut world, named("a"));
    for _ in 0..1_000 {
        wire.give(&mut world, named("b"));
        let last = world.scheduler.pending().last().unwrap().0;
        wire.say(&mut world, Input::Cancel(last));
    }
    wire.give(&mut world, named("c"));
    wire.answer(&mut world, status(200));
    assert_eq!(wire.names(), ["c"]);
    assert_eq!(world.scheduler.len(), 1);
}

#[test]
fn without_a_network_nothing_is_sent_and_no_failure_counts() {
    let (mut world, mut wire) = (World::new(), Wire::default());
    wire.give(&mut world, queued("a", "q", CONTINUE));
    wire.say(&mut world, Input::SetOnline(false));
    for _ in 0..10 {
        wire.answer(
            &mut world,
            failed(TransportErrorKind::Connect, Processed::No),
        );
        assert_eq!(world.scheduler.status(JobId(1)), Some(JobStatus::Offline));
        assert_eq!(wire.wake_at, None, "nobody need be woken");
        wire.say(&mut world, Input::SetOnline(true));
        assert_eq!(wire.names(), ["a"]);
        wire.say(&mut world, Input::SetOnline(false));
    }
    wire.answer(&mut world, status(200));
    assert_eq!(wire.ends(), "+");
}

#[test]
fn with_the_network_back_nobody_waits_for_a_back_off() {
    let (mut world, mut wire) = (World::new(), Wire::default());
    wire.give(&mut world, named("a"));
    wire.answer(
        &mut world,
        failed(TransportErrorKind::Connect, Processed::No),
    );
    wire.say(&mut world, Input::SetOnline(false));
    wire.say(&mut world, Input::SetOnline(true));
    assert_eq!(wire.names(), ["a"]);
    assert_eq!(wire.wake_at, None);
}

#[test]
fn no_more_jobs_are_taken_than_may_wait() {
    let mut limits = SchedulerConfig::default();
    limits.max_jobs = 2;
    let (mut world, mut wire) = (World::with(limits), Wire::default());
    wire.give(&mut world, named("a"));
    wire.give(&mut world, named("b"));
    let step = world.step(Input::Submit(named("c").into()));
    let refusal = Rejection::Full { most: 2 };
    assert_eq!(
        step.events,
        [matricula_core::scheduler::Event::Rejected(refusal)]
    );
    wire.answer(&mut world, status(200));
    wire.give(&mut world, named("d"));
    assert_eq!(wire.names(), ["b", "d"]);
}

#[test]
fn one_that_is_called_back_takes_those_with_it_that_depend_on_it() {
    let (mut world, mut wire) = (World::new(), Wire::default());
    for name in ["a", "b", "c"] {
        wire.give(
            &mut world,
            queued(name, "q", QueuePolicy::CancelFutureIfFailed),
        );
    }
    wire.say(&mut world, Input::Cancel(JobId(2)));
    wire.answer(&mut world, status(200));
    assert_eq!(wire.ends(), "+xx");
    assert_eq!(wire.ended[0].1, Outcome::Cancelled);
}

/// The server asks the first one to wait; what it asked for is no reason for the next one to.
#[test]
fn a_queue_goes_on_elsewhere_when_its_head_is_called_back_while_it_is_paced() {
    let (mut world, mut wire) = (World::new(), Wire::default());
    let server = crate::server();
    let other = Job::new(
        &server,
        "/_matrix/client/v3/profile/a",
        Method::Put,
        "setProfileField",
    )
    .with_data(serde_json::json!({ "name": "profile" }));
    wire.give(&mut world, other.with_queue("q", CONTINUE));
    wire.give(&mut world, queued("message", "q", CONTINUE));
    wire.answer(&mut world, limited(60_000));
    let step = world.step(Input::Cancel(JobId(1)));
    wire.take(step);
    assert_eq!(wire.names(), ["message"]);
    assert_eq!(world.scheduler.position(JobId(2)), Some(0));
    wire.answer(&mut world, status(200));
    assert!(world.scheduler.is_empty());
}

#[test]
fn a_queue_whose_head_is_called_back_while_it_is_paced_and_paused_goes_on_when_it_is_resumed() {
    let (mut world, mut wire) = (World::new(), Wire::default());
    wire.give(&mut world, queued("a", "q", CONTINUE));
    wire.answer(&mut world, limited(60_000));
    for input in [Input::PauseQueue("q".into()), Input::Cancel(JobId(1))] {
        let step = world.step(input);
        wire.take(step);
    }
    wire.give(&mut world, queued("b", "q", CONTINUE));
    let step = world.step(Input::ResumeQueue("q".into()));
    wire.take(step);
    assert!(wire.names().is_empty(), "the server's pace still holds");
    wire.wait(&mut world);
    assert_eq!(wire.names(), ["b"]);
}

/// What was held back for the disk and is called back before it was let out.
#[test]
fn a_request_that_is_called_back_before_it_went_is_not_sent() {
    let mut world = World::new();
    let step = world.step(Input::Submit(named("a").into()));
    let mut effects = step.effects;
    let step = world.step(Input::Submit(named("b").into()));
    effects.extend(step.effects);
    let step = world.step(Input::Cancel(JobId(1)));
    effects.extend(step.effects);
    let left = Effect::left_of(effects);
    let [Effect::Send(_, job)] = &left[..] else {
        panic!("{left:?}")
    };
    assert_eq!(job.data_str("name"), Some("b"));
    // One that went before is called back.
    let step = world.step(Input::Cancel(JobId(2)));
    assert_eq!(Effect::left_of(step.effects.clone()), step.effects);
}

/// Nothing goes for a day, and a program changes its mind all the time.
#[test]
fn what_comes_and_goes_while_a_server_is_waited_for_leaves_nothing_behind() {
    let (mut world, mut wire) = (World::with(SchedulerConfig::patient()), Wire::default());
    wire.give(&mut world, named("first"));
    wire.answer(&mut world, limited(24 * 60 * 60 * 1_000));
    for number in 2..10_000 {
        let job = match number % 3 {
            0 => named("single"),
            1 => queued("a", "q", CONTINUE),
            _ => queued("b", &format!("queue {number}"), CONTINUE),
        };
        let _ = world.step(Input::Submit(job.into()));
        let _ = world.step(Input::Cancel(JobId(number)));
    }
    assert_eq!(world.scheduler.len(), 1);
    let held = world.scheduler.memory_entries();
    assert!(held < 300, "{held} places for one job");
}
