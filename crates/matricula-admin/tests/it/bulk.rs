//! Bulk runs: each row ends exactly once, whatever response is lost and whenever the process dies.

use std::collections::{BTreeMap, BTreeSet};

use matricula_admin::bulk::{
    AdminCredentials, BulkDeactivation, BulkEvent, BulkInput, BulkMachine, BulkRegistration,
    NewRow, Route, RowState, RunLog, check_rows,
};
use matricula_auth::{Effect, ServerInfo};
use matricula_core::{
    Body, EffectId, Job, Machine, Response, Secret, SeededEntropy, StepContext, Timestamp,
    WriteBatch, scheduler::Outcome,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::scripted_server::{administrator, error_body, transport_error};
use matricula_core::TransportErrorKind;

/// A model of a server: it creates accounts and counts how often.
#[derive(Default)]
struct Model {
    /// The passwords by localpart.
    users: BTreeMap<String, String>,
    created: BTreeMap<String, u32>,
    /// How often an existing account was changed.
    changed: u32,
    deactivated: BTreeSet<String>,
    sessions: BTreeSet<String>,
    /// How it refuses an address, after it has created the user.
    refuses_address: Option<(u16, Value)>,
    /// The user ID that it answers with, whatever the name was.
    answers_as: Option<&'static str>,
}

impl Model {
    fn with(user: &str, password: &str) -> Self {
        let mut model = Self::default();
        model.users.insert(user.to_owned(), password.to_owned());
        model
    }

    fn create(&mut self, name: &str, password: &str) {
        self.users.insert(name.to_owned(), password.to_owned());
        *self.created.entry(name.to_owned()).or_default() += 1;
    }

    fn session(&mut self, name: &str) -> (u16, Value) {
        let token = format!("syt_{name}");
        self.sessions.insert(token.clone());
        let user_id = self.user_id(name);
        (
            200,
            json!({ "user_id": user_id, "access_token": token, "device_id": "D" }),
        )
    }

    fn user_id(&self, name: &str) -> String {
        let own = || format!("@{name}:example.org");
        self.answers_as.map_or_else(own, str::to_owned)
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
                if self.users.contains_key(&in_path()) {
                    let name = format!("@{}:example.org", in_path());
                    (200, json!({ "name": name }))
                } else {
                    (404, error_body("M_NOT_FOUND"))
                }
            }
            ("PUT", p) if p.starts_with("_synapse/admin/v2/users/") => {
                if self.users.contains_key(&in_path()) {
                    self.changed += 1;
                }
                self.create(&in_path(), &text("password"));
                if let (Some(refusal), true) = (&self.refuses_address, body["threepids"].is_array())
                {
                    return refusal.clone();
                }
                (201, json!({ "name": self.user_id(&in_path()) }))
            }
            ("GET", p) if p.starts_with("_synapse/admin/v1/threepid/email/users/") => {
                (404, error_body("M_NOT_FOUND"))
            }
            ("POST", p) if p.starts_with("_synapse/admin/v1/deactivate/") => {
                self.deactivated.insert(in_path());
                (200, json!({ "id_server_unbind_result": "success" }))
            }
            ("GET", "_synapse/admin/v1/register") => (200, json!({ "nonce": "n" })),
            ("POST", "_synapse/admin/v1/register") => {
                if self.users.contains_key(&text("username")) {
                    return (400, error_body("M_USER_IN_USE"));
                }
                self.create(&text("username"), &text("password"));
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
                if self.users.get(name) == Some(&text("password")) {
                    self.session(name)
                } else {
                    (403, error_body("M_FORBIDDEN"))
                }
            }
            ("POST", "_matrix/client/v3/logout") => (200, json!({})),
            other => panic!("unexpected request {other:?}"),
        }
    }

    /// Requires a token; the UIA session is the username.
    fn register(&mut self, body: &Value) -> (u16, Value) {
        let name = body["username"].as_str().unwrap_or_default().to_owned();
        if self.users.contains_key(&name) {
            return (400, error_body("M_USER_IN_USE"));
        }
        let flows = json!([{ "stages": ["m.login.registration_token"] }]);
        match body["auth"]["token"].as_str() {
            None => (401, json!({ "session": name, "flows": flows })),
            Some("the-token") => {
                self.create(&name, body["password"].as_str().unwrap_or_default());
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

/// The committed rows, as a store holds them.
#[derive(Default)]
struct Store(BTreeMap<(String, String), Vec<u8>>);

impl Store {
    fn commit(&mut self, patch: &WriteBatch) {
        for change in patch.writes() {
            let key = (change.table.to_string(), change.key.clone());
            match &change.value {
                Some(value) => self.0.insert(key, value.clone()),
                None => self.0.remove(&key),
            };
        }
    }

    fn run_log(&self) -> RunLog {
        let entries = self.0.iter();
        let entries =
            entries.map(|((table, key), value)| (table.clone(), key.clone(), value.clone()));
        RunLog::from_stored(entries).unwrap()
    }
}

/// What happens to one request, or to the process.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Answered,
    /// Processed, but the response is lost.
    Lost,
    /// Not processed.
    Dropped,
    /// The process dies before the request is processed.
    KilledBefore,
    /// The process dies after the request was processed.
    KilledAfter,
    Stopped,
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        8 => Just(Fault::Answered),
        2 => Just(Fault::Lost),
        1 => Just(Fault::Dropped),
        1 => Just(Fault::KilledBefore),
        2 => Just(Fault::KilledAfter),
        1 => Just(Fault::Stopped),
    ]
}

fn credentials(route: Route) -> AdminCredentials {
    let server = || {
        let mut server = ServerInfo::of("https://matrix.example.org".parse().unwrap());
        // As its well-known document says.
        server.server_name = Some("example.org".to_owned());
        Box::new(server)
    };
    match route {
        Route::SharedSecret => AdminCredentials::SharedSecret {
            server: server(),
            secret: "secret".into(),
        },
        Route::Token => AdminCredentials::Token {
            server: server(),
            token: "the-token".into(),
            accept_terms: false,
        },
        _ => AdminCredentials::Admin(Box::new(administrator())),
    }
}

/// Runs one process after another until the run ends; returns the store.
fn run(
    model: &mut Model,
    route: Route,
    rows: &[NewRow],
    concurrency: usize,
    faults: &[Fault],
) -> Store {
    let mut store = Store::default();
    let mut faults = faults.iter().copied();
    // At most one process for each fault, and a last one without faults.
    for process in 0..200 {
        let machine = if store.0.is_empty() {
            BulkRegistration::new(credentials(route), rows.to_vec(), concurrency)
        } else {
            BulkRegistration::resume(credentials(route), store.run_log(), concurrency)
        };
        let mut entropy = SeededEntropy::new(process);
        if one_process(model, machine, &mut store, &mut faults, &mut entropy) {
            return store;
        }
    }
    panic!("the run never ends: {:?}", store.run_log().counts());
}

/// Runs one process; returns whether every row has a final state.
fn one_process(
    model: &mut Model,
    mut machine: impl BulkMachine,
    store: &mut Store,
    faults: &mut impl Iterator<Item = Fault>,
    entropy: &mut SeededEntropy,
) -> bool {
    let mut in_flight: Vec<(EffectId, Box<Job>)> = Vec::new();
    let mut inputs = vec![BulkInput::Start];
    let mut ended = BTreeSet::new();
    loop {
        for input in std::mem::take(&mut inputs) {
            let mut cx = StepContext::new(Timestamp::from_millis(1), entropy);
            let step = machine.step(&mut cx, input);
            store.commit(&step.writes);
            assert_eq!(
                &store.run_log(),
                machine.run_log(),
                "the store equals the state in memory"
            );
            for effect in step.effects {
                let Effect::Send(id, job) = effect else {
                    panic!("{effect:?}")
                };
                in_flight.push((id, job));
            }
            for event in step.events {
                match event {
                    BulkEvent::Row(index) => {
                        assert!(ended.insert(index), "row {index} ended twice")
                    }
                    BulkEvent::Finished(_) => {
                        assert!(in_flight.is_empty(), "no request is in flight");
                        let entries = machine.run_log().entries();
                        return entries.iter().all(|entry| entry.state.is_final());
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        // The latest request is answered first, so that rows overtake each other.
        let (id, job) = in_flight
            .pop()
            .expect("a request is in flight, or the run has ended");
        let answer = |model: &mut Model| {
            let (status, body) = model.handle(&job);
            let body = Body::Json(body.to_string());
            Outcome::Responded(job.respond(Response::new(status, vec![], body)))
        };
        let lost = || transport_error(TransportErrorKind::Connect);
        let outcome = match faults.next().unwrap_or(Fault::Answered) {
            Fault::Answered => answer(model),
            Fault::Lost => {
                answer(model);
                Outcome::InDoubt(lost())
            }
            Fault::Dropped => Outcome::Failed(lost()),
            Fault::KilledBefore => return false,
            Fault::KilledAfter => {
                answer(model);
                return false;
            }
            Fault::Stopped => {
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

    /// The first username is taken, with another password.
    #[test]
    fn rows_end_once_despite_faults(
        faults in prop::collection::vec(fault(), 0..60),
        route in prop_oneof![Just(Route::Admin), Just(Route::SharedSecret), Just(Route::Token)],
        concurrency in 1_usize..5,
    ) {
        let mut model = Model::with("u0", "another's password");
        let rows = rows(6);
        let store = run(&mut model, route, &rows, concurrency, &faults);
        let log = store.run_log();
        prop_assert_eq!(&model.users["u0"], "another's password");
        prop_assert_eq!(&log.entries()[0].state, &RowState::Exists);
        for entry in &log.entries()[1..] {
            let name = entry.row.localpart();
            prop_assert!(matches!(entry.state, RowState::Done { .. }), "{:?}", entry.state);
            prop_assert_eq!(model.created[&name], 1, "{} was created once", name);
            let password = entry.password.as_ref().map(Secret::expose);
            prop_assert_eq!(password, Some(model.users[&name].as_str()));
        }
        prop_assert_eq!(model.changed, 0);
    }
}

#[test]
fn passwords_are_committed_before_sending() {
    let mut machine = BulkRegistration::new(credentials(Route::Admin), rows(3), 1);
    let mut entropy = SeededEntropy::new(1);
    let step = machine.step(
        &mut StepContext::new(Timestamp::from_millis(1), &mut entropy),
        BulkInput::Start,
    );
    let mut store = Store::default();
    store.commit(&step.writes);
    assert_eq!(step.effects.len(), 1);
    let log = store.run_log();
    let mut passwords: Vec<&str> = log
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
        "`Debug` does not show passwords"
    );
}

#[test]
fn stop_waits_for_requests_in_flight() {
    let mut machine = BulkRegistration::new(credentials(Route::Admin), rows(5), 2);
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
        let body = Body::Json(error_body("M_NOT_FOUND").to_string());
        Outcome::Responded(job.respond(Response::new(404, vec![], body)))
    };
    let answered = step(BulkInput::Outcome(*first, free()));
    assert!(answered.effects.is_empty() && answered.events.is_empty());
    assert!(
        answered.writes.is_empty(),
        "a row that sends nothing has not begun"
    );
    let ended = step(BulkInput::Outcome(*second, free()));
    assert!(ended.effects.is_empty() && ended.writes.is_empty());
    assert_eq!(ended.events, [BulkEvent::Finished(None)]);
}

#[test]
fn new_sessions_are_logged_out() {
    let mut model = Model::default();
    run(&mut model, Route::SharedSecret, &rows(2), 1, &[]);
    let mut machine = BulkRegistration::new(credentials(Route::SharedSecret), rows(1), 1);
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
fn deactivation_covers_created_accounts_only() {
    let mut model = Model::with("u0", "another's password");
    let mut store = run(&mut model, Route::Admin, &rows(4), 2, &[]);
    let faults = [
        Fault::Answered,
        Fault::KilledAfter,
        Fault::Lost,
        Fault::Answered,
    ];
    let mut faults = faults.into_iter();
    let mut entropy = SeededEntropy::new(1);
    while store.run_log().counts().done > 0 {
        let machine = BulkDeactivation::new(&administrator(), store.run_log(), 2);
        one_process(&mut model, machine, &mut store, &mut faults, &mut entropy);
    }
    let shut: Vec<&String> = model.deactivated.iter().collect();
    assert_eq!(shut, ["u1", "u2", "u3"]);
    assert_eq!(store.run_log().counts().undone, 3);
    assert_eq!(store.run_log().counts().exists, 1);
}

/// Synapse creates the user, then refuses the address.
#[test]
fn partly_created_account_is_the_runs() {
    for (status, code) in [
        (400, "M_INVALID_PARAM"),
        (400, "M_UNKNOWN"),
        (403, "M_THREEPID_DENIED"),
        (409, "M_THREEPID_IN_USE"),
        (422, "ORG.EXAMPLE.ODD"),
    ] {
        let mut model = Model {
            refuses_address: Some((status, error_body(code))),
            ..Model::with("u0", "another's password")
        };
        let mut rows = rows(3);
        for row in &mut rows[..2] {
            row.email = Some("u@example.org".to_owned());
        }
        let mut store = run(&mut model, Route::Admin, &rows, 2, &[]);
        let log = store.run_log();
        let states: Vec<_> = log.entries().iter().map(|one| one.state.status()).collect();
        assert_eq!(states, ["exists", "incomplete", "done"], "{code}");
        let state = &log.entries()[1].state;
        assert!(state.reason().unwrap().contains(code), "{state:?}");
        assert_eq!(state.user_id().unwrap().as_str(), "@u1:example.org");
        let counts = log.counts();
        assert_eq!(
            (counts.done, counts.incomplete, counts.created()),
            (1, 1, 2)
        );
        assert_eq!(model.created["u1"], 1, "{code}");

        let undo = BulkDeactivation::new(&administrator(), store.run_log(), 1);
        let mut entropy = SeededEntropy::new(1);
        one_process(
            &mut model,
            undo,
            &mut store,
            &mut [].into_iter(),
            &mut entropy,
        );
        assert_eq!(store.run_log().counts().undone, 2, "{code}");
        let shut: Vec<&String> = model.deactivated.iter().collect();
        assert_eq!(shut, ["u1", "u2"], "{code}");
    }
}

/// It may be an account that existed: the run did not make it, and does not undo it.
#[test]
fn account_of_another_name_is_not_done() {
    let routes = [Route::Admin, Route::SharedSecret, Route::Token];
    for answers_as in [
        "@other:example.org",
        "@u0x:example.org",
        "@U0:example.org",
        "@=cmd:example.org",
        "@u0:else.example.org",
    ] {
        for route in routes {
            let mut model = Model {
                answers_as: Some(answers_as),
                ..Model::default()
            };
            let mut store = run(&mut model, route, &rows(1), 1, &[]);
            let log = store.run_log();
            let (entry, counts) = (&log.entries()[0], log.counts());
            assert_eq!(entry.state.status(), "failed", "{route} {answers_as}");
            let reason = entry.state.reason().unwrap();
            let words = format!("the account {answers_as} instead of u0");
            assert!(reason.contains(&words), "{route}: {reason}");
            assert_eq!((counts.failed, counts.created()), (1, 0));
            assert!(entry.password.is_some(), "it can still be looked at");

            let undo = BulkDeactivation::new(&administrator(), log, 1);
            let mut entropy = SeededEntropy::new(1);
            let no_faults = &mut [].into_iter();
            one_process(&mut model, undo, &mut store, no_faults, &mut entropy);
            assert!(model.deactivated.is_empty(), "{route} {answers_as}");
        }
    }
}

#[test]
fn unsupported_columns_are_row_errors() {
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
        let errors = check_rows(&[row.clone()], route, None);
        let columns: Vec<&str> = errors
            .iter()
            .map(|error| {
                let rest = error
                    .message
                    .split("cannot set ")
                    .nth(1)
                    .unwrap_or_default();
                rest.split(';').next().unwrap_or_default()
            })
            .collect();
        assert_eq!(columns, wanted, "{route}");
    }
}
