//! Jobs wait while their credential is renewed.

use matricula_core::{
    Auth, CredentialRef, Job, QueuePolicy,
    scheduler::{Effect, Input, JobId, JobStatus, Outcome},
};

use crate::harness::{Harness, Network, named, queued, status, unknown_token};

fn alice() -> CredentialRef {
    CredentialRef::new("@alice:example.org/D")
}

fn of_alice(job: Job) -> Job {
    job.with_auth(Auth::Required(alice()))
}

#[test]
fn unknown_token_asks_for_one_renewal() {
    let (mut harness, mut network) = (Harness::new(), Network::default());
    for name in ["a", "b"] {
        network.submit(&mut harness, of_alice(named(name)));
    }
    let (first, _) = network.sent.pop_front().unwrap();
    let step = harness.step(Input::Completed(first, unknown_token()));
    assert_eq!(step.effects, [Effect::NeedCredential(alice())]);
    network.apply(step);
    let (second, _) = network.sent.pop_front().unwrap();
    let step = harness.step(Input::Completed(second, unknown_token()));
    assert!(step.effects.is_empty(), "one renewal: {step:?}");
    network.submit(&mut harness, of_alice(named("c")));
    network.submit(&mut harness, named("without"));
    assert_eq!(network.in_flight(), ["without"]);
    for job_id in [1, 2, 3] {
        let credential = alice();
        let status_now = harness.scheduler.status(JobId(job_id));
        assert_eq!(
            status_now,
            Some(JobStatus::AwaitingCredential { credential })
        );
    }
    assert_eq!(network.wake_at, None, "no timer is set");
    network.input(&mut harness, Input::CredentialReady(alice()));
    assert_eq!(network.in_flight(), ["without", "a", "b", "c"]);
}

#[test]
fn late_401_does_not_renew_again() {
    let (mut harness, mut network) = (Harness::new(), Network::default());
    network.submit(&mut harness, of_alice(named("a")));
    network.submit(&mut harness, of_alice(named("b")));
    network.respond(&mut harness, unknown_token());
    network.input(&mut harness, Input::CredentialReady(alice()));
    // "b" was sent with the old token.
    let (second, _) = network.sent.pop_front().unwrap();
    let step = harness.step(Input::Completed(second, unknown_token()));
    assert!(matches!(&step.effects[..], [Effect::Send(..)]), "{step:?}");
}

#[test]
fn refused_credential_ends_its_jobs() {
    let (mut harness, mut network) = (Harness::new(), Network::default());
    network.submit(&mut harness, of_alice(named("a")));
    network.respond(&mut harness, unknown_token());
    network.submit(&mut harness, of_alice(named("b")));
    network.input(&mut harness, Input::CredentialRefused(alice()));
    let [
        (_, Outcome::Responded(response)),
        (_, Outcome::Failed(error)),
    ] = &network.ended[..]
    else {
        panic!("{:?}", network.ended)
    };
    assert_eq!(response.error_code(), "M_UNKNOWN_TOKEN");
    assert!(error.message.contains("sign in again"), "{error}");
}

#[test]
fn renewals_per_job_are_bounded() {
    let (mut harness, mut network) = (Harness::new(), Network::default());
    network.submit(&mut harness, of_alice(named("a")));
    let mut renewals = 0;
    while network.ended.is_empty() {
        network.respond(&mut harness, unknown_token());
        renewals += 1;
        network.input(&mut harness, Input::CredentialReady(alice()));
        assert!(renewals < 10);
    }
    assert_eq!((renewals, network.outcomes().as_str()), (3, "-"));
}

#[test]
fn queue_waits_for_the_heads_credential() {
    let (mut harness, mut network) = (Harness::new(), Network::default());
    let policy = QueuePolicy::AlwaysContinue;
    network.submit(&mut harness, of_alice(queued("a", "q", policy)));
    network.submit(&mut harness, queued("b", "q", policy));
    network.respond(&mut harness, unknown_token());
    assert!(network.in_flight().is_empty());
    network.input(&mut harness, Input::Cancel(JobId(1)));
    assert_eq!(network.in_flight(), ["b"]);
    network.input(&mut harness, Input::CredentialReady(alice()));
    network.respond(&mut harness, status(200));
    assert_eq!(network.outcomes(), "x+");
}

#[test]
fn without_waiting_each_401_ends_its_job() {
    let scheduler = matricula_core::Scheduler::default().without_credential_waiting();
    let (mut harness, mut network) = (Harness::of(scheduler), Network::default());
    for _ in 0..20 {
        network.submit(&mut harness, of_alice(named("a")));
    }
    while !network.sent.is_empty() {
        network.respond(&mut harness, unknown_token());
    }
    assert_eq!(
        network.outcomes(),
        "-".repeat(20),
        "each was sent, and none waits"
    );
}
