//! A scheduler restored from its store, after a crash at any point.

use std::collections::BTreeMap;

use matricula_core::{
    Body, Job, Operation, Processed, QueuePolicy, Response, RetrySafety, Scheduler,
    TransportErrorKind, TransportResult, WriteBatch,
    scheduler::{Effect, Event, Input, JobId, Outcome, Rejection, SchedulerConfig, tables},
};
use proptest::prelude::*;

use crate::harness::{
    Harness, Network, failed, forbidden, limited, name_of, named, outcome, queued, sent, status,
};

/// A store in memory.
#[derive(Clone, Debug, Default)]
struct Store(BTreeMap<(String, String), Vec<u8>>);

impl Store {
    fn commit(&mut self, batch: &WriteBatch) {
        for write in batch.writes() {
            let key = (write.table.to_string(), write.key.clone());
            match &write.value {
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

/// A program with a store, which crashes and restarts.
struct Program {
    harness: Harness,
    network: Network,
    store: Store,
}

impl Program {
    fn new() -> Self {
        let store = Store::default();
        let harness = Harness::of(store.scheduler());
        let mut program = Self {
            harness,
            network: Network::default(),
            store,
        };
        program.input(Input::Resume);
        program
    }

    fn input(&mut self, input: Input) {
        let step = self.harness.step(input);
        self.store.commit(&step.writes);
        self.network.apply(step);
    }

    fn submit(&mut self, job: Job) {
        self.input(Input::Submit(job.into()));
    }

    fn respond(&mut self, result: TransportResult) {
        let (id, _) = self
            .network
            .sent
            .pop_front()
            .expect("a request is in flight");
        self.input(Input::Completed(id, result));
    }

    /// Crashes and restarts.
    fn restart(&mut self) {
        self.harness = Harness::of(self.store.scheduler());
        self.network.sent.clear();
        self.input(Input::Resume);
    }
}

const CONTINUE: QueuePolicy = QueuePolicy::AlwaysContinue;

#[test]
fn queued_jobs_survive_a_restart() {
    let mut program = Program::new();
    for name in ["a", "b", "c"] {
        program.submit(queued(name, "q", CONTINUE));
    }
    program.submit(named("without queue"));
    program.respond(status(200));
    program.restart();
    assert_eq!(program.network.in_flight(), ["b"]);
    program.respond(status(200));
    program.respond(status(200));
    assert_eq!(program.network.outcomes(), "+++");
    assert!(program.store.keys(tables::JOBS).is_empty());
    assert!(program.store.outcome(1).success());
}

#[test]
fn a_step_writes_one_job() {
    let mut program = Program::new();
    for name in 0..500 {
        program.submit(queued(&name.to_string(), "q", CONTINUE));
    }
    let step = program
        .harness
        .step(Input::Submit(queued("x", "q", CONTINUE).into()));
    assert_eq!(step.writes.writes().len(), 1);
    let (id, _) = program.network.sent[0];
    let step = program.harness.step(Input::Completed(id, status(200)));
    assert_eq!(step.writes.writes().len(), 2, "{:?}", step.writes);
}

#[test]
fn restart_resends_only_transaction_ids() {
    let mut program = Program::new();
    program.submit(queued("txn", "q", CONTINUE));
    program
        .submit(queued("once", "r", CONTINUE).with_retry_safety(RetrySafety::OnlyIfNotProcessed));
    assert_eq!(program.network.in_flight(), ["txn", "once"]);
    program.restart();
    assert_eq!(program.network.in_flight(), ["txn"]);
    let (job_id, outcome) = &program.network.ended[0];
    assert_eq!(*job_id, JobId(2));
    let Outcome::InDoubt(error) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(error.message.contains("the program ended"), "{error}");
    assert_eq!(program.store.outcome(2), *outcome);
}

#[test]
fn unprocessed_job_is_resent_after_restart() {
    for result in [
        limited(5_000),
        failed(TransportErrorKind::Connect, Processed::No),
    ] {
        let mut program = Program::new();
        program.submit(
            queued("once", "q", CONTINUE).with_retry_safety(RetrySafety::OnlyIfNotProcessed),
        );
        program.respond(result);
        program.restart();
        assert_eq!(program.network.in_flight(), ["once"]);
    }
}

#[test]
fn held_and_paused_survive_a_restart() {
    let mut program = Program::new();
    program.submit(queued("a", "held", QueuePolicy::Hold));
    program.respond(forbidden());
    program.input(Input::PauseQueue("paused".into()));
    program.submit(queued("b", "paused", CONTINUE));
    program.restart();
    assert!(program.network.in_flight().is_empty());
    program.input(Input::SkipHead("held".into()));
    let Outcome::Responded(response) = program.store.outcome(1) else {
        panic!()
    };
    assert_eq!(
        (response.status_code(), response.error_message().as_str()),
        (403, "no")
    );
    assert_eq!(response.data_str("name"), Some("a"));
    program.input(Input::ResumeQueue("paused".into()));
    assert_eq!(program.network.in_flight(), ["b"]);
    assert!(program.store.keys(tables::QUEUES).is_empty());
}

#[test]
fn job_ids_are_never_reused() {
    let mut program = Program::new();
    let mut last = 0;
    for _ in 0..5 {
        program.submit(queued("a", "q", CONTINUE));
        let (job_id, _) = program.harness.scheduler.pending().last().unwrap();
        assert!(job_id.0 > last, "{job_id:?} after {last}");
        last = job_id.0;
        program.respond(status(200));
        program.input(Input::DropOutcome(job_id));
        program.restart();
    }
}

#[test]
fn stored_outcomes_are_bounded() {
    let mut program = Program::new();
    program.submit(queued("a", "q", CONTINUE));
    program.respond(status(200));
    program.restart();
    assert_eq!(program.store.keys(tables::OUTCOMES).len(), 1);
    program.input(Input::DropOutcome(JobId(1)));
    assert!(program.store.keys(tables::OUTCOMES).is_empty());

    let mut config = SchedulerConfig::default();
    config.max_kept_outcomes = 3;
    let scheduler = Scheduler::restore(config, []).unwrap();
    program.harness = Harness::of(scheduler);
    program.input(Input::Resume);
    for _ in 0..10 {
        program.submit(queued("a", "q", CONTINUE));
        program.respond(status(200));
    }
    assert_eq!(program.store.keys(tables::OUTCOMES).len(), 3);
}

#[test]
fn secrets_are_not_stored() {
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
            .harness
            .step(Input::Submit(job.clone().with_queue("q", CONTINUE).into()));
        assert_eq!(step.events, [Event::Rejected(Rejection::Secret)]);
        assert!(step.writes.is_empty());
        // Without a queue only the reserved job ids are written.
        let step = program.harness.step(Input::Submit(job.into()));
        let tables = step.writes.writes().iter().map(|write| &*write.table);
        assert_eq!(tables.collect::<Vec<_>>(), [tables::COUNTERS]);
        assert!(matches!(&step.effects[..], [Effect::Send(..)]));
    }
}

#[test]
fn unstored_job_ids_are_not_reused() {
    let mut program = Program::new();
    let job_id = |program: &Program| program.harness.scheduler.pending().last().unwrap().0;
    program.submit(named("a"));
    let before = job_id(&program);
    program.restart();
    program.submit(named("b"));
    assert!(job_id(&program) > before);
}

#[test]
fn earlier_attempts_keep_the_doubt() {
    let cut = || failed(TransportErrorKind::ConnectionLost, Processed::Maybe);
    // The connection is refused after an attempt that may have been processed.
    let mut config = SchedulerConfig::default();
    config.max_attempts = 2;
    let mut harness = Harness::with(config);
    let id = harness.submit(queued("a", "q", CONTINUE));
    let step = harness.step(Input::Completed(id, cut()));
    let id = harness.wake(&step);
    let refused = failed(TransportErrorKind::Connect, Processed::No);
    let step = harness.step(Input::Completed(id, refused));
    let Outcome::Failed(error) = outcome(&step) else {
        panic!("expected a failure")
    };
    assert_eq!(error.processed, Processed::Maybe);
    // The same in a held queue, retried without success.
    let id = harness.submit(queued("h", "h", QueuePolicy::Hold));
    let step = harness.step(Input::Completed(id, cut()));
    let id = harness.wake(&step);
    let refused = || failed(TransportErrorKind::Connect, Processed::No);
    let _ = harness.step(Input::Completed(id, refused()));
    let id = sent(&harness.step(Input::RetryHead("h".to_owned())));
    let step = harness.step(Input::Completed(id, refused()));
    let id = harness.wake(&step);
    let _ = harness.step(Input::Completed(id, refused()));
    let step = harness.step(Input::SkipHead("h".to_owned()));
    let Outcome::Failed(error) = outcome(&step) else {
        panic!("expected a failure")
    };
    assert_eq!(error.processed, Processed::Maybe);
    // It is cancelled during a back-off.
    let id = harness.submit(queued("b", "q", CONTINUE));
    let step = harness.step(Input::Completed(id, cut()));
    let step = harness.step(Input::Cancel(step.events[0].job_id().unwrap()));
    assert!(matches!(outcome(&step), Outcome::InDoubt(_)));
    // It is cancelled after a crash, before it is sent again.
    let mut program = Program::new();
    program.submit(queued("c", "q", CONTINUE));
    program.harness = Harness::of(program.store.scheduler());
    let step = program.harness.step(Input::Cancel(JobId(1)));
    assert!(matches!(outcome(&step), Outcome::InDoubt(_)));
}

/// What certainly was not processed is not in doubt after a restart.
#[test]
fn held_unprocessed_job_survives_a_restart() {
    let mut program = Program::new();
    let room = named("a").with_retry_safety(RetrySafety::OnlyIfNotProcessed);
    program.submit(room.with_queue("q", QueuePolicy::Hold));
    program.respond(failed(TransportErrorKind::Tls, Processed::No));
    assert!(program.store.keys(tables::SENT).is_empty());
    program.restart();
    program.input(Input::SkipHead("q".to_owned()));
    let Outcome::Failed(error) = program.store.outcome(1) else {
        panic!("{:?}", program.store.outcome(1))
    };
    assert_eq!(error.processed, Processed::No);
}

#[test]
fn foreign_entries_are_refused() {
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
    /// A server that records what it processed, random results, and a program that crashes at any point.
    #[test]
    fn restarts_keep_effects_once(
        actions in prop::collection::vec((0u8..10, any::<u16>()), 1..120),
    ) {
        let mut program = Program::new();
        let mut processed: Vec<String> = Vec::new();
        let (mut submitted, mut ended) = (0, BTreeMap::new());
        for (action, random) in actions.into_iter().chain((0..2_000).map(|_| (9, 0))) {
            match action {
                0..=2 if submitted < 60 => {
                    let queue = ["q", "r"][usize::from(random % 2)];
                    let mut job = queued(&submitted.to_string(), queue, CONTINUE);
                    if random % 3 == 0 {
                        job = job.with_retry_safety(RetrySafety::OnlyIfNotProcessed);
                    }
                    submitted += 1;
                    program.submit(job);
                }
                3 => program.restart(),
                4 => program.input(Input::Cancel(JobId(u64::from(random % 64)))),
                _ => match program.network.sent.front().cloned() {
                    Some((id, name)) => {
                        program.network.sent.pop_front();
                        let arrives = random % 4 != 0;
                        if arrives && !processed.contains(&name) {
                            processed.push(name.clone());
                        } else if arrives {
                            let job = program.harness.scheduler.pending().find(|(_, job)| name_of(job) == name);
                            let retry_safety = job.map(|(_, job)| job.retry_safety());
                            prop_assert_ne!(retry_safety, Some(RetrySafety::OnlyIfNotProcessed), "{} twice", name);
                        }
                        let result = match (arrives, random % 5) {
                            (true, 0) => failed(TransportErrorKind::ConnectionLost, Processed::Maybe),
                            (true, _) => status(200),
                            (false, 0) => failed(TransportErrorKind::Timeout, Processed::Maybe),
                            (false, 1) => limited(u64::from(random % 3_000)),
                            (false, _) => failed(TransportErrorKind::Connect, Processed::No),
                        };
                        program.input(Input::Completed(id, result));
                    }
                    None => if program.network.wake_at.is_some() {
                        program.network.wait(&mut program.harness);
                    },
                },
            }
            for (job_id, outcome) in program.network.ended.drain(..) {
                prop_assert!(ended.insert(job_id, outcome).is_none(), "{job_id:?} ended twice");
            }
            if action == 9 && program.harness.scheduler.is_empty() {
                break;
            }
        }
        prop_assert!(program.harness.scheduler.is_empty(), "jobs never ended");
        prop_assert_eq!(ended.len(), submitted);
        prop_assert!(program.store.keys(tables::JOBS).is_empty());
        prop_assert!(program.store.keys(tables::SENT).is_empty());
    }
}

#[test]
fn whole_response_is_stored() {
    let mut program = Program::new();
    program.submit(queued("a", "q", CONTINUE));
    let header = vec![("Content-Type".into(), "application/json".to_owned())];
    let body = Body::Json(r#"{"event_id":"$1"}"#.into());
    program.respond(TransportResult::Response(Response::new(200, header, body)));
    assert_eq!(program.store.outcome(1), program.network.ended[0].1);
}
