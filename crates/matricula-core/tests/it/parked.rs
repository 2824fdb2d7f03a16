//! Jobs whose credential is no good wait until it is, without trying again by themselves.

use matricula_core::{
    Auth, CredentialRef, Job, QueuePolicy,
    scheduler::{Effect, Input, JobId, JobStatus, Outcome},
};

use crate::world::{Wire, World, named, queued, status, unknown_token};

fn alice() -> CredentialRef {
    CredentialRef::new("@alice:example.org/D")
}

fn of_alice(job: Job) -> Job {
    job.with_auth(Auth::Required(alice()))
}

#[test]
fn an_unknown_token_parks_every_job_of_the_credential_and_asks_once() {
    let (mut world, mut wire) = (World::new(), Wire::default());
    for name in ["a", "b"] {
        wire.give(&mut world, of_alice(named(name)));
    }
    let (first, _) = wire.sent.pop_front().unwrap();
    let step = world.step(Input::Completed(first, unknown_token()));
    assert_eq!(step.effects, [Effect::NeedCredential(alice())]);
    wire.take(step);
    let (second, _) = wire.sent.pop_front().unwrap();
    let step = world.step(Input::Completed(second, unknown_token()));
    assert!(step.effects.is_empty(), "it is asked for once: {step:?}");
    wire.give(&mut world, of_alice(named("c")));
    wire.give(&mut world, named("nobody's"));
    assert_eq!(wire.names(), ["nobody's"]);
    for job_id in [1, 2, 3] {
        let credential = alice();
        let standing = world.scheduler.status(JobId(job_id));
        assert_eq!(standing, Some(JobStatus::AwaitingCredential { credential }));
    }
    assert_eq!(wire.wake_at, None, "nobody polls");
    wire.say(&mut world, Input::CredentialReady(alice()));
    assert_eq!(wire.names(), ["nobody's", "a", "b", "c"]);
}

#[test]
fn an_answer_to_the_token_before_asks_for_nothing() {
    let (mut world, mut wire) = (World::new(), Wire::default());
    wire.give(&mut world, of_alice(named("a")));
    wire.give(&mut world, of_alice(named("b")));
    wire.answer(&mut world, unknown_token());
    wire.say(&mut world, Input::CredentialReady(alice()));
    // "b" went out with the token before.
    let (second, _) = wire.sent.pop_front().unwrap();
    let step = world.step(Input::Completed(second, unknown_token()));
    assert!(matches!(&step.effects[..], [Effect::Send(..)]), "{step:?}");
}

#[test]
fn a_credential_that_is_never_good_again_ends_its_jobs() {
    let (mut world, mut wire) = (World::new(), Wire::default());
    wire.give(&mut world, of_alice(named("a")));
    wire.answer(&mut world, unknown_token());
    wire.give(&mut world, of_alice(named("b")));
    wire.say(&mut world, Input::CredentialRefused(alice()));
    let [
        (_, Outcome::Responded(response)),
        (_, Outcome::Failed(error)),
    ] = &wire.ended[..]
    else {
        panic!("{:?}", wire.ended)
    };
    assert_eq!(response.error_code(), "M_UNKNOWN_TOKEN");
    assert!(error.message.contains("sign in again"), "{error}");
}

#[test]
fn a_server_that_takes_no_token_at_all_is_asked_a_bounded_number_of_times() {
    let (mut world, mut wire) = (World::new(), Wire::default());
    wire.give(&mut world, of_alice(named("a")));
    let mut renewals = 0;
    while wire.ended.is_empty() {
        wire.answer(&mut world, unknown_token());
        renewals += 1;
        wire.say(&mut world, Input::CredentialReady(alice()));
        assert!(renewals < 10);
    }
    assert_eq!((renewals, wire.ends().as_str()), (3, "-"));
}

#[test]
fn a_queue_waits_for_its_parked_head() {
    let (mut world, mut wire) = (World::new(), Wire::default());
    let policy = QueuePolicy::AlwaysContinue;
    wire.give(&mut world, of_alice(queued("a", "q", policy)));
    wire.give(&mut world, queued("b", "q", policy));
    wire.answer(&mut world, unknown_token());
    assert!(wire.names().is_empty());
    wire.say(&mut world, Input::Cancel(JobId(1)));
    assert_eq!(wire.names(), ["b"]);
    wire.say(&mut world, Input::CredentialReady(alice()));
    wire.answer(&mut world, status(200));
    assert_eq!(wire.ends(), "x+");
}

#[test]
fn whoever_renews_credentials_alone_gets_each_answer_as_it_came() {
    let scheduler = matricula_core::Scheduler::default().without_credential_waiting();
    let (mut world, mut wire) = (World::of(scheduler), Wire::default());
    for _ in 0..20 {
        wire.give(&mut world, of_alice(named("a")));
    }
    while !wire.sent.is_empty() {
        wire.answer(&mut world, unknown_token());
    }
    assert_eq!(wire.ends(), "-".repeat(20), "each was sent, and none waits");
}
