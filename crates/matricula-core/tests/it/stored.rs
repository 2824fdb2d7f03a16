//! What is committed suffices to go on after the process has ended anywhere.

use std::collections::BTreeMap;

use matricula_core::{
    Body, Job, Operation, Processed, QueuePolicy, Response, RetrySafety, Scheduler,
    TransportErrorKind, TransportResult, WriteBatch,
    scheduler::{Effect, Event, Input, JobId, Outcome, Rejection, SchedulerConfig, tables},
};
use proptest::prelude::*;

use crate::world::{
    Wire, World, failed, limited, name_of, named, outcome, queued, refused, sent, status,
};

/// A store as a value.
#[derive(Clone, Debug, Default)]
struct Store(BTreeMap<(String, String), Vec<u8>>);

impl Store {
    fn commit(&mut self, patch: &WriteBatch) {
        for change in patch.writes() {
            let key = (change.table.to_string(), change.key.clone());
            match &change.value {
                Some(value) => drop(self.0.insert(key, value.clone())),
                None => drop(self.0.remove(&key)),
            }
        }
    }

    fn scheduler(&self) -> Scheduler {
        let entries = self.0.iter();
        let entries = entries.map(|((table, key), value)| (&**table, &**key, &**value));
        Scheduler::restore(SchedulerConfig::default(), entries).unwrap()
    }

    fn keys(&self, table: &str) -> Vec<&str> {
        let keys = self.0.keys().filter(|(of, _)| of == table);
        keys.map(|(_, key)| key.as_str()).collect()
    }

    fn outcome(&self, job_id: u64) -> Outcome {
        let key = (tables::OUTCOMES.to_owned(), format!("{job_id:020}"));
        Outcome::from_stored(&self.0[&key]).unwrap()
    }
}

/// A program with a store, that ends and begins again.
struct Program {
    world: World,
    wire: Wire,
    store: Store,
}

impl Program {
    fn new() -> Self {
        let store = Store::default();
        let world = World::of(store.scheduler());
        let mut program = Self {
            world,
            wire: Wire::default(),
            store,
        };
        program.say(Input::Resume);
        program
    }

    fn say(&mut self, input: Input) {
        let step = self.world.step(input);
        self.store.commit(&step.writes);
        self.wire.take(step);
    }

    fn give(&mut self, job: Job) {
        self.say(Input::Submit(job.into()));
    }

    fn answer(&mut self, answer: TransportResult) {
        let (id, _) = self
            .wire
            .sent
            .pop_front()
            .expect("something is on the wire");
        self.say(Input::Completed(id, answer));
    }

    /// Ends without a word and begins again.
    fn restart(&mut self) {
        self.world = World::of(self.store.scheduler());
        self.wire.sent.clear();
        self.say(Input::Resume);
    }
}

const CONTINUE: QueuePolicy = QueuePolicy::AlwaysContinue;

#[test]
fn jobs_of_queues_outlive_the_process_in_order() {
    let mut program = Program::new();
    for name in ["a", "b", "c"] {
        program.give(queued(name, "q", CONTINUE));
    }
    program.give(named("of no queue"));
    program.answer(status(200));
    program.restart();
    assert_eq!(program.wire.names(), ["b"]);
    program.answer(status(200));
    program.answer(status(200));
    assert_eq!(program.wire.ends(), "+++");
    assert!(program.store.keys(tables::JOBS).is_empty());
    assert!(program.store.outcome(1).success());
}

#[test]
fn a_commit_holds_the_keys_of_one_job_whatever_else_waits() {
    let mut program = Program::new();
    for name in 0..500 {
        program.give(queued(&name.to_string(), "q", CONTINUE));
    }
    let step = program
        .world
        .step(Input::Submit(queued("x", "q", CONTINUE).into()));
    assert_eq!(step.writes.writes().len(), 1);
    let (id, _) = program.wire.sent[0];
    let step = program.world.step(Input::Completed(id, status(200)));
    assert_eq!(step.writes.writes().len(), 2, "{:?}", step.writes);
}

#[test]
fn the_same_transaction_id_goes_again_and_what_has_none_is_in_doubt() {
    let mut program = Program::new();
    program.give(queued("txn", "q", CONTINUE));
    program.give(queued("once", "r", CONTINUE).with_retry_safety(RetrySafety::OnlyIfNotProcessed));
    assert_eq!(program.wire.names(), ["txn", "once"]);
    program.restart();
    assert_eq!(program.wire.names(), ["txn"]);
    let (job_id, outcome) = &program.wire.ended[0];
    assert_eq!(*job_id, JobId(2));
    let Outcome::InDoubt(error) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(error.message.contains("the program ended"), "{error}");
    assert_eq!(program.store.outcome(2), *outcome);
}

#[test]
fn what_certainly_was_not_processed_is_in_no_doubt_after_a_restart() {
    for answer in [
        limited(5_000),
        failed(TransportErrorKind::Connect, Processed::No),
    ] {
        let mut program = Program::new();
        program
            .give(queued("once", "q", CONTINUE).with_retry_safety(RetrySafety::OnlyIfNotProcessed));
        program.answer(answer);
        program.restart();
        assert_eq!(program.wire.names(), ["once"]);
    }
}

#[test]
fn a_held_queue_is_held_after_a_restart_and_a_paused_one_paused() {
    let mut program = Program::new();
    program.give(queued("a", "held", QueuePolicy::Hold));
    program.answer(refused());
    program.say(Input::PauseQueue("paused".into()));
    program.give(queued("b", "paused", CONTINUE));
    program.restart();
    assert!(program.wire.names().is_empty());
    program.say(Input::SkipHead("held".into()));
    let Outcome::Responded(response) = program.store.outcome(1) else {
        panic!()
    };
    assert_eq!(
        (response.status_code(), response.error_message().as_str()),
        (403, "no")
    );
    assert_eq!(response.data_str("name"), Some("a"));
    program.say(Input::ResumeQueue("paused".into()));
    assert_eq!(program.wire.names(), ["b"]);
    assert!(program.store.keys(tables::QUEUES).is_empty());
}

#[test]
fn a_ticket_is_never_given_twice() {
    let mut program = Program::new();
    let mut last = 0;
    for _ in 0..5 {
        program.give(queued("a", "q", CONTINUE));
        let (job_id, _) = program.world.scheduler.pending().last().unwrap();
        assert!(job_id.0 > last, "{job_id:?} after {last}");
        last = job_id.0;
        program.answer(status(200));
        program.say(Input::DropOutcome(job_id));
        program.restart();
    }
}

#[test]
fn outcomes_are_kept_until_they_are_forgotten_and_not_without_bound() {
    let mut program = Program::new();
    program.give(queued("a", "q", CONTINUE));
    program.answer(status(200));
    program.restart();
    assert_eq!(program.store.keys(tables::OUTCOMES).len(), 1);
    program.say(Input::DropOutcome(JobId(1)));
    assert!(program.store.keys(tables::OUTCOMES).is_empty());

    let mut limits = SchedulerConfig::default();
    limits.max_kept_outcomes = 3;
    let scheduler = Scheduler::restore(limits, []).unwrap();
    program.world = World::of(scheduler);
    program.say(Input::Resume);
    for _ in 0..10 {
        program.give(queued("a", "q", CONTINUE));
        program.answer(status(200));
    }
    assert_eq!(program.store.keys(tables::OUTCOMES).len(), 3);
}

#[test]
fn what_holds_a_secret_or_asks_for_one_is_not_kept() {
    const LOGIN: Operation = Operation::new(
        matricula_core::Api::Client,
        "login",
        matricula_core::Method::Post,
        "/login",
    )
    .with_secrets(&["/password"], &["/access_token"]);
    let job = |body: &str| {
        let job = Job::for_operation(&crate::server(), "/login", &LOGIN);
        job.with_body(Body::Json(body.to_owned()))
    };
    for job in [job("{}"), job(r#"{"password": "wordpass"}"#)] {
        let mut program = Program::new();
        let step = program
            .world
            .step(Input::Submit(job.clone().with_queue("q", CONTINUE).into()));
        assert_eq!(step.events, [Event::Rejected(Rejection::Secret)]);
        assert!(step.writes.is_empty());
        // Outside of a queue nothing is kept of it, but that its job id is given.
        let step = program.world.step(Input::Submit(job.into()));
        let tables = step.writes.writes().iter().map(|change| &*change.table);
        assert_eq!(tables.collect::<Vec<_>>(), [tables::COUNTERS]);
        assert!(matches!(&step.effects[..], [Effect::Send(..)]));
    }
}

#[test]
fn a_ticket_of_a_job_that_is_not_kept_is_not_given_again_after_a_crash() {
    let mut program = Program::new();
    let job_id = |program: &Program| program.world.scheduler.pending().last().unwrap().0;
    program.give(named("a"));
    let before = job_id(&program);
    program.restart();
    program.give(named("b"));
    assert!(job_id(&program) > before);
}

#[test]
fn what_may_have_been_processed_is_not_told_as_untouched() {
    let cut = || failed(TransportErrorKind::ConnectionLost, Processed::Maybe);
    // It fails without a connection after it may have been processed.
    let mut limits = SchedulerConfig::default();
    limits.max_attempts = 2;
    let mut world = World::with(limits);
    let id = world.submit(queued("a", "q", CONTINUE));
    let step = world.step(Input::Completed(id, cut()));
    let id = world.wake(&step);
    let refused = failed(TransportErrorKind::Connect, Processed::No);
    let step = world.step(Input::Completed(id, refused));
    let Outcome::Failed(error) = outcome(&step) else {
        panic!("it did not fail")
    };
    assert_eq!(error.processed, Processed::Maybe);
    // It is held for that, and tried again in vain.
    let id = world.submit(queued("h", "h", QueuePolicy::Hold));
    let step = world.step(Input::Completed(id, cut()));
    let id = world.wake(&step);
    let refused = || failed(TransportErrorKind::Connect, Processed::No);
    let _ = world.step(Input::Completed(id, refused()));
    let id = sent(&world.step(Input::RetryHead("h".to_owned())));
    let step = world.step(Input::Completed(id, refused()));
    let id = world.wake(&step);
    let _ = world.step(Input::Completed(id, refused()));
    let step = world.step(Input::SkipHead("h".to_owned()));
    let Outcome::Failed(error) = outcome(&step) else {
        panic!("it did not fail")
    };
    assert_eq!(error.processed, Processed::Maybe);
    // It is called back while it waits to go again.
    let id = world.submit(queued("b", "q", CONTINUE));
    let step = world.step(Input::Completed(id, cut()));
    let step = world.step(Input::Cancel(step.events[0].job_id().unwrap()));
    assert!(matches!(outcome(&step), Outcome::InDoubt(_)));
    // It is called back after a crash, and before it goes again.
    let mut program = Program::new();
    program.give(queued("c", "q", CONTINUE));
    program.world = World::of(program.store.scheduler());
    let step = program.world.step(Input::Cancel(JobId(1)));
    assert!(matches!(outcome(&step), Outcome::InDoubt(_)));
}

/// What is certain stays certain, whatever ends in between.
#[test]
fn a_held_job_that_was_certainly_not_processed_is_so_after_a_restart_too() {
    let mut program = Program::new();
    let room = named("a").with_retry_safety(RetrySafety::OnlyIfNotProcessed);
    program.give(room.with_queue("q", QueuePolicy::Hold));
    program.answer(failed(TransportErrorKind::Tls, Processed::No));
    assert!(program.store.keys(tables::SENT).is_empty());
    program.restart();
    program.say(Input::SkipHead("q".to_owned()));
    let Outcome::Failed(error) = program.store.outcome(1) else {
        panic!("{:?}", program.store.outcome(1))
    };
    assert_eq!(error.processed, Processed::No);
}

#[test]
fn what_a_scheduler_did_not_write_is_refused_by_name() {
    for (table, key, value) in [
        (tables::JOBS, "1", "{}"),
        (tables::JOBS, "one", "{}"),
        (tables::QUEUES, "q", "true"),
        (tables::COUNTERS, "job_id", "many"),
        (tables::SENT, "x", ""),
    ] {
        let error =
            Scheduler::restore(SchedulerConfig::default(), [(table, key, value.as_bytes())]);
        let text = error.unwrap_err().to_string();
        assert!(text.contains(table) && text.contains(key), "{text}");
    }
}

proptest! {
    /// A server that records what it processed, a program that ends at any point, whatever comes back.
    #[test]
    fn across_restarts_each_job_ends_once_in_order_with_effects_once(
        turns in prop::collection::vec((0u8..10, any::<u16>()), 1..120),
    ) {
        let mut program = Program::new();
        let mut processed: Vec<String> = Vec::new();
        let (mut given, mut ended) = (0, BTreeMap::new());
        for (turn, random) in turns.into_iter().chain((0..2_000).map(|_| (9, 0))) {
            match turn {
                0..=2 if given < 60 => {
                    let queue = ["q", "r"][usize::from(random % 2)];
                    let mut job = queued(&given.to_string(), queue, CONTINUE);
                    if random % 3 == 0 {
                        job = job.with_retry_safety(RetrySafety::OnlyIfNotProcessed);
                    }
                    given += 1;
                    program.give(job);
                }
                3 => program.restart(),
                4 => program.say(Input::Cancel(JobId(u64::from(random % 64)))),
                _ => match program.wire.sent.front().cloned() {
                    Some((id, name)) => {
                        program.wire.sent.pop_front();
                        let arrives = random % 4 != 0;
                        if arrives && !processed.contains(&name) {
                            processed.push(name.clone());
                        } else if arrives {
                            let job = program.world.scheduler.pending().find(|(_, job)| name_of(job) == name);
                            let again = job.map(|(_, job)| job.retry_safety());
                            prop_assert_ne!(again, Some(RetrySafety::OnlyIfNotProcessed), "{} twice", name);
                        }
                        let answer = match (arrives, random % 5) {
                            (true, 0) => failed(TransportErrorKind::ConnectionLost, Processed::Maybe),
                            (true, _) => status(200),
                            (false, 0) => failed(TransportErrorKind::Timeout, Processed::Maybe),
                            (false, 1) => limited(u64::from(random % 3_000)),
                            (false, _) => failed(TransportErrorKind::Connect, Processed::No),
                        };
                        program.say(Input::Completed(id, answer));
                    }
                    None => if program.wire.wake_at.is_some() {
                        program.wire.wait(&mut program.world);
                    },
                },
            }
            for (job_id, outcome) in program.wire.ended.drain(..) {
                prop_assert!(ended.insert(job_id, outcome).is_none(), "{job_id:?} ended twice");
            }
            if turn == 9 && program.world.scheduler.is_empty() {
                break;
            }
        }
        prop_assert!(program.world.scheduler.is_empty(), "jobs never ended");
        prop_assert_eq!(ended.len(), given);
        prop_assert!(program.store.keys(tables::JOBS).is_empty());
        prop_assert!(program.store.keys(tables::SENT).is_empty());
    }
}

#[test]
fn an_answer_is_kept_whole() {
    let mut program = Program::new();
    program.give(queued("a", "q", CONTINUE));
    let header = vec![("Content-Type".into(), "application/json".to_owned())];
    let body = Body::Json(r#"{"event_id":"$1"}"#.into());
    program.answer(TransportResult::Response(Response::new(200, header, body)));
    assert_eq!(program.store.outcome(1), program.wire.ended[0].1);
}
