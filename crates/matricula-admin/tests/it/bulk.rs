//! Many accounts at once: whatever is lost, and wherever the process dies, each row ends once.

use std::collections::{BTreeMap, BTreeSet};

use matricula_admin::bulk::{
    AdminCredentials, BulkDeactivation, BulkEvent, BulkInput, BulkMachine, BulkRegistration,
    NewRow, Route, RunLog, Stage, row_errors,
};
use matricula_auth::{Effect, ServerInfo};
use matricula_core::{
    Body, EffectId, Job, Machine, Response, Secret, SeededEntropy, StepContext, Timestamp,
    WriteBatch, scheduler::Outcome,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::scripted_server::{administrator, transport_error};
use matricula_core::TransportErrorKind;

/// A server that makes accounts, and remembers how often.
#[derive(Default)]
struct Model {
    /// By localpart: the password.
    users: BTreeMap<String, String>,
    made: BTreeMap<String, u32>,
    /// How often an account that was there was changed.
    changed: u32,
    deactivated: BTreeSet<String>,
    sessions: BTreeSet<String>,
}

impl Model {
    fn with(user: &str, password: &str) -> Self {
        let mut model = Self::default();
        model.users.insert(user.to_owned(), password.to_owned());
        model
    }

    fn make(&mut self, name: &str, password: &str) {
        self.users.insert(name.to_owned(), password.to_owned());
        *self.made.entry(name.to_owned()).or_default() += 1;
    }

    fn session(&mut self, name: &str) -> (u16, Value) {
        let token = format!("syt_{name}");
        self.sessions.insert(token.clone());
        let user_id = format!("@{name}:example.org");
        (
            200,
            json!({ "user_id": user_id, "access_token": token, "device_id": "D" }),
        )
    }

    fn handle(&mut self, job: &Job) -> (u16, Value) {
        let path = job
            .url()
            .splitn(4, '/')
            .nth(3)
            .unwrap_or_default()
            .to_owned();
        let body: Value = serde_json::from_slice(job.request_body().as_bytes()).unwrap_or_default();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let in_path = || {
            let user = path.rsplit('/').next().unwrap_or_default();
            user.trim_start_matches("%40")
                .trim_end_matches("%3Aexample.org")
                .to_owned()
        };
        let method = job.request_method().to_string();
        match (method.as_str(), path.as_str()) {
            ("GET", p) if p.starts_with("_synapse/admin/v2/users/") => {
                match self.users.contains_key(&in_path()) {
                    true => (
                        200,
                        json!({ "name": format!("@{}:example.org", in_path()) }),
                    ),
                    false => (404, error("M_NOT_FOUND")),
                }
            }
            ("PUT", p) if p.starts_with("_synapse/admin/v2/users/") => {
                if self.users.contains_key(&in_path()) {
                    self.changed += 1;
                }
                self.make(&in_path(), &text("password"));
                (
                    201,
                    json!({ "name": format!("@{}:example.org", in_path()) }),
                )
            }
            ("POST", p) if p.starts_with("_synapse/admin/v1/deactivate/") => {
                self.deactivated.insert(in_path());
                (200, json!({ "id_server_unbind_result": "success" }))
            }
            ("GET", "_synapse/admin/v1/register") => (200, json!({ "nonce": "n" })),
            ("POST", "_synapse/admin/v1/register") => {
                if self.users.contains_key(&text("username")) {
                    return (400, error("M_USER_IN_USE"));
                }
                self.make(&text("username"), &text("password"));
                self.session(&text("username"))
            }
            ("POST", "_matrix/client/v3/register") => self.register(&body),
            ("POST", "_matrix/client/v3/login") => {
                let user = body["identifier"]["user"].as_str().unwrap_or_default();
                let name = user
                    .trim_start_matches('@')
                    .split(':')
                    .next()
                    .unwrap_or_default();
                match self.users.get(name) == Some(&text("password")) {
                    true => self.session(name),
                    false => (403, error("M_FORBIDDEN")),
                }
            }
            ("POST", "_matrix/client/v3/logout") => (200, json!({})),
            other => panic!("unexpected request {other:?}"),
        }
    }

    /// Wants a token; its sessions carry their user's name.
    fn register(&mut self, body: &Value) -> (u16, Value) {
        let name = body["username"].as_str().unwrap_or_default().to_owned();
        if self.users.contains_key(&name) {
            return (400, error("M_USER_IN_USE"));
        }
        let flows = json!([{ "stages": ["m.login.registration_token"] }]);
        match body["auth"]["token"].as_str() {
            None => (401, json!({ "session": name, "flows": flows })),
            Some("the-token") => {
                self.make(&name, body["password"].as_str().unwrap_or_default());
                self.session(&name)
            }
            Some(_) => {
                let refusal = json!({
                    "session": name, "flows": flows,
                    "errcode": "M_UNAUTHORIZED", "error": "no such token",
                });
                (401, refusal)
            }
        }
    }
}

fn error(code: &str) -> Value {
    json!({ "errcode": code, "error": "words" })
}

/// Everything that was committed, as a store has it.
#[derive(Default)]
struct Kept(BTreeMap<(String, String), Vec<u8>>);

impl Kept {
    fn commit(&mut self, patch: &WriteBatch) {
        for change in patch.writes() {
            let key = (change.table.to_string(), change.key.clone());
            match &change.value {
                Some(value) => self.0.insert(key, value.clone()),
                None => self.0.remove(&key),
            };
        }
    }

    fn ledger(&self) -> RunLog {
        let entries = self.0.iter();
        let entries =
            entries.map(|((table, key), value)| (table.clone(), key.clone(), value.clone()));
        RunLog::from_stored(entries).unwrap()
    }
}

/// What becomes of one request, or of the process.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Answered,
    /// Processed, and the answer is lost.
    Lost,
    /// Not processed.
    Dropped,
    /// The process dies before the request is processed.
    KilledBefore,
    /// The process dies after the request was processed.
    KilledAfter,
    Stopped,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        8 => Just(Fate::Answered),
        2 => Just(Fate::Lost),
        1 => Just(Fate::Dropped),
        1 => Just(Fate::KilledBefore),
        2 => Just(Fate::KilledAfter),
        1 => Just(Fate::Stopped),
    ]
}

fn access(route: Route) -> AdminCredentials {
    let facts = || {
        Box::new(ServerInfo::of(
            "https://matrix.example.org".parse().unwrap(),
        ))
    };
    match route {
        Route::SharedSecret => AdminCredentials::SharedSecret {
            facts: facts(),
            secret: "secret".into(),
        },
        Route::Token => AdminCredentials::Token {
            facts: facts(),
            token: "the-token".into(),
            accept_terms: false,
        },
        _ => AdminCredentials::Admin(Box::new(administrator())),
    }
}

/// Runs until it ends, a process after the other, and returns what is kept in the end.
fn run(model: &mut Model, route: Route, rows: &[NewRow], at_once: usize, fates: &[Fate]) -> Kept {
    let mut kept = Kept::default();
    let mut fates = fates.iter().copied();
    // As many processes as there are fates, and one in which nothing happens.
    for process in 0..200 {
        let machine = match kept.0.is_empty() {
            true => BulkRegistration::new(access(route), rows.to_vec(), at_once),
            false => BulkRegistration::from_ledger(access(route), kept.ledger(), at_once),
        };
        let mut entropy = SeededEntropy::new(process);
        if one_process(model, machine, &mut kept, &mut fates, &mut entropy) {
            return kept;
        }
    }
    panic!("it never ends: {:?}", kept.ledger().counts());
}

/// Whether everything has ended.
fn one_process(
    model: &mut Model,
    mut machine: impl BulkMachine,
    kept: &mut Kept,
    fates: &mut impl Iterator<Item = Fate>,
    entropy: &mut SeededEntropy,
) -> bool {
    let mut wire: Vec<(EffectId, Box<Job>)> = Vec::new();
    let mut inputs = vec![BulkInput::Start];
    let mut ended = BTreeSet::new();
    loop {
        for input in std::mem::take(&mut inputs) {
            let mut cx = StepContext::new(Timestamp::from_millis(1), entropy);
            let step = machine.step(&mut cx, input);
            kept.commit(&step.writes);
            assert_eq!(
                &kept.ledger(),
                machine.ledger(),
                "what is kept is what it knows"
            );
            for effect in step.effects {
                let Effect::Send(id, job) = effect else {
                    panic!("{effect:?}")
                };
                wire.push((id, job));
            }
            for event in step.events {
                match event {
                    BulkEvent::Row(index) => {
                        assert!(ended.insert(index), "row {index} ended twice")
                    }
                    BulkEvent::Finished(_) => {
                        assert!(wire.is_empty(), "requests are waited for");
                        let entries = machine.ledger().entries();
                        return entries.iter().all(|entry| entry.stage.is_end());
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        // The one that was sent last is answered first: rows overtake each other.
        let (id, job) = wire.pop().expect("it waits for something, or has ended");
        let answer = |model: &mut Model| {
            let (status, body) = model.handle(&job);
            let body = Body::Json(body.to_string());
            Outcome::Responded(job.respond(Response::new(status, vec![], body)))
        };
        let refused = || transport_error(TransportErrorKind::Connect);
        let outcome = match fates.next().unwrap_or(Fate::Answered) {
            Fate::Answered => answer(model),
            Fate::Lost => {
                answer(model);
                Outcome::InDoubt(refused())
            }
            Fate::Dropped => Outcome::Failed(refused()),
            Fate::KilledBefore => return false,
            Fate::KilledAfter => {
                answer(model);
                return false;
            }
            Fate::Stopped => {
                inputs.push(BulkInput::Stop);
                answer(model)
            }
        };
        inputs.push(BulkInput::Outcome(id, outcome));
    }
}

fn rows(count: usize) -> Vec<NewRow> {
    let name = |number: usize| NewRow::new(number as u64 + 2, format!("u{number}"));
    (0..count).map(name).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// Somebody else has the first name, with another password.
    #[test]
    fn whatever_is_lost_each_row_ends_once_and_no_account_is_touched_that_was_there(
        fates in prop::collection::vec(fate(), 0..60),
        route in prop_oneof![Just(Route::Admin), Just(Route::SharedSecret), Just(Route::Token)],
        at_once in 1_usize..5,
    ) {
        let mut model = Model::with("u0", "another's password");
        let rows = rows(6);
        let kept = run(&mut model, route, &rows, at_once, &fates);
        let ledger = kept.ledger();
        prop_assert_eq!(&model.users["u0"], "another's password");
        prop_assert_eq!(&ledger.entries()[0].stage, &Stage::Exists);
        for entry in &ledger.entries()[1..] {
            let name = entry.row.localpart();
            prop_assert!(matches!(entry.stage, Stage::Done { .. }), "{:?}", entry.stage);
            prop_assert_eq!(model.made[&name], 1, "{} was made once", name);
            let password = entry.password.as_ref().map(Secret::expose);
            prop_assert_eq!(password, Some(model.users[&name].as_str()));
        }
        prop_assert_eq!(model.changed, 0);
    }
}

#[test]
fn all_passwords_are_committed_before_anything_is_sent() {
    let mut machine = BulkRegistration::new(access(Route::Admin), rows(3), 1);
    let mut entropy = SeededEntropy::new(1);
    let step = machine.step(
        &mut StepContext::new(Timestamp::from_millis(1), &mut entropy),
        BulkInput::Start,
    );
    let mut kept = Kept::default();
    kept.commit(&step.writes);
    assert_eq!(step.effects.len(), 1);
    let ledger = kept.ledger();
    let mut passwords: Vec<&str> = ledger
        .entries()
        .iter()
        .map(|entry| entry.password.as_ref().unwrap().expose())
        .collect();
    passwords.dedup();
    assert_eq!(passwords.len(), 3);
    assert!(
        passwords
            .iter()
            .all(|password| !format!("{machine:?}{step:?}").contains(password)),
        "and they are in no debug"
    );
}

#[test]
fn once_stopped_nothing_more_is_sent_and_what_is_on_the_wire_is_waited_for() {
    let mut machine = BulkRegistration::new(access(Route::Admin), rows(5), 2);
    let mut entropy = SeededEntropy::new(1);
    let mut step = |input| {
        machine.step(
            &mut StepContext::new(Timestamp::from_millis(1), &mut entropy),
            input,
        )
    };
    let begun = step(BulkInput::Start);
    let [Effect::Send(first, job), Effect::Send(second, _)] = &begun.effects[..] else {
        panic!("{:?}", begun.effects)
    };
    let stopped = step(BulkInput::Stop);
    assert!(stopped.effects.is_empty() && stopped.events.is_empty());
    let free = || {
        let body = Body::Json(error("M_NOT_FOUND").to_string());
        Outcome::Responded(job.respond(Response::new(404, vec![], body)))
    };
    let answered = step(BulkInput::Outcome(*first, free()));
    assert!(answered.effects.is_empty() && answered.events.is_empty());
    assert!(answered.writes.is_empty(), "what is not sent has not begun");
    let ended = step(BulkInput::Outcome(*second, free()));
    assert!(ended.effects.is_empty() && ended.writes.is_empty());
    assert_eq!(ended.events, [BulkEvent::Finished(None)]);
}

#[test]
fn a_session_that_comes_with_an_account_is_given_back() {
    let mut model = Model::default();
    run(&mut model, Route::SharedSecret, &rows(2), 1, &[]);
    let mut machine = BulkRegistration::new(access(Route::SharedSecret), rows(1), 1);
    let mut entropy = SeededEntropy::new(1);
    let mut fresh = Model::default();
    let mut inputs = vec![BulkInput::Start];
    let mut paths = Vec::new();
    while let Some(input) = inputs.pop() {
        let step = machine.step(
            &mut StepContext::new(Timestamp::from_millis(1), &mut entropy),
            input,
        );
        for effect in step.effects {
            let Effect::Send(id, job) = effect else {
                panic!("{effect:?}")
            };
            paths.push(job.url().rsplit('/').next().unwrap_or_default().to_owned());
            let (status, body) = fresh.handle(&job);
            let body = Body::Json(body.to_string());
            let response = job.respond(Response::new(status, vec![], body));
            inputs.push(BulkInput::Outcome(id, Outcome::Responded(response)));
        }
    }
    assert_eq!(paths, ["register", "register", "logout"]);
}

#[test]
fn what_a_run_has_made_is_shut_and_nothing_else_and_a_lost_answer_does_no_harm() {
    let mut model = Model::with("u0", "another's password");
    let mut kept = run(&mut model, Route::Admin, &rows(4), 2, &[]);
    let fates = [
        Fate::Answered,
        Fate::KilledAfter,
        Fate::Lost,
        Fate::Answered,
    ];
    let mut fates = fates.into_iter();
    let mut entropy = SeededEntropy::new(1);
    while kept.ledger().counts().done > 0 {
        let machine = BulkDeactivation::new(&administrator(), kept.ledger(), 2);
        one_process(&mut model, machine, &mut kept, &mut fates, &mut entropy);
    }
    let shut: Vec<&String> = model.deactivated.iter().collect();
    assert_eq!(shut, ["u1", "u2", "u3"]);
    assert_eq!(kept.ledger().counts().undone, 3);
    assert_eq!(kept.ledger().counts().exists, 1);
}

#[test]
fn what_a_route_cannot_do_is_a_fault_of_each_row_that_asks_for_it() {
    let mut row = NewRow::new(2, "ann");
    row.password = Some("p".into());
    row.display_name = Some("Ann".to_owned());
    row.email = Some("ann@example.org".to_owned());
    row.is_admin = true;
    for (route, wanted) in [
        (Route::Admin, &[][..]),
        (Route::SharedSecret, &["email"]),
        (Route::Token, &["displayname", "email", "admin"]),
        (
            Route::Appservice,
            &["password", "displayname", "email", "admin"],
        ),
    ] {
        let told = row_errors(&[row.clone()], route, None);
        let columns: Vec<&str> = told
            .iter()
            .map(|fault| {
                let rest = fault.what.split("cannot set ").nth(1).unwrap_or_default();
                rest.split(';').next().unwrap_or_default()
            })
            .collect();
        assert_eq!(columns, wanted, "{route}");
    }
}
