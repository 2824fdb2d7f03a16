//! The machine of a bulk registration: it starts rows, and records their results.

use std::collections::BTreeMap;

use matricula_api::{Endpoint, UserId, client::logout::Logout};
use matricula_auth::{Effect, Input, generate_password};
use matricula_core::{EffectId, Machine, Secret, Step, StepContext, scheduler::Outcome};

use super::{
    AdminCredentials, Entry, NewRow, RowState, RunLog,
    row_registration::{RowOutcome, RowRegistration, RowStep},
};
use crate::AdminError;

/// What can happen to a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BulkInput {
    /// Start or resume the run.
    Start,
    /// The outcome of a job that was sent.
    Outcome(EffectId, Outcome),
    /// Send nothing more, and end once all requests in flight have outcomes.
    Stop,
}

/// What a run reports.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BulkEvent {
    /// The row at this index has reached a final state, or is in doubt.
    Row(usize),
    /// The run has ended; reported exactly once. An error is one that every other row would have met
    /// too. The remaining rows wait for the next run, as they do after [`BulkInput::Stop`].
    Finished(Option<Box<AdminError>>),
}

/// A machine that works through the rows of a run.
pub trait BulkMachine: Machine<Input = BulkInput, Effect = Effect, Event = BulkEvent> {
    /// The rows and their states.
    fn run_log(&self) -> &RunLog;
}

pub(super) type BulkStep = Step<Effect, BulkEvent>;

/// Creates the accounts of a list, several at a time. It ends when each row has a final state, is in
/// doubt, or waits for the next run.
///
/// - The first commit has all rows with their passwords, before anything is sent.
/// - The state of a row is committed before a request that may create its account. A resumed run asks
///   the server, and if the account exists, a login with the row's password finds out whether this run
///   created it.
/// - Existing accounts are never changed.
/// - Rows end independently. An error that concerns all of them (no network, missing permission, a
///   wrong token, a server error) stops the run instead.
/// - Sessions that come with new accounts are logged out.
#[derive(Debug)]
pub struct BulkRegistration {
    credentials: AdminCredentials,
    log: RunLog,
    concurrency: usize,
    min_password_length: u64,
    /// Where to look for the next row.
    next: usize,
    is_new: bool,
    running: BTreeMap<usize, Running>,
    /// The row of each effect, and the effect's id within that row.
    in_flight: BTreeMap<EffectId, (usize, EffectId)>,
    last_effect: u64,
    is_stopping: bool,
    error: Option<Box<AdminError>>,
    is_over: bool,
}

#[derive(Debug)]
enum Running {
    Registering(Box<RowRegistration>),
    /// The account is created; its session is being logged out.
    LoggingOut,
}

impl BulkRegistration {
    /// A new run that creates up to `concurrency` accounts at a time, at least one. [Check the
    /// rows](super::check_rows) first.
    pub fn new(
        credentials: AdminCredentials,
        rows: impl IntoIterator<Item = NewRow>,
        concurrency: usize,
    ) -> Self {
        let entry = |row: NewRow| Entry {
            password: row.password.clone(),
            row,
            state: RowState::NotBegun,
        };
        let log = RunLog {
            entries: rows.into_iter().map(entry).collect(),
        };
        let mut run = Self::resume(credentials, log, concurrency);
        run.is_new = true;
        run
    }

    /// Continues a run that was read back.
    pub fn resume(credentials: AdminCredentials, log: RunLog, concurrency: usize) -> Self {
        Self {
            credentials,
            log,
            concurrency: concurrency.max(1),
            min_password_length: 0,
            next: 0,
            is_new: false,
            running: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            last_effect: 0,
            is_stopping: false,
            error: None,
            is_over: false,
        }
    }

    /// The minimum length of generated passwords, in characters.
    #[must_use]
    pub fn min_password_length(mut self, length: u64) -> Self {
        self.min_password_length = length;
        self
    }

    fn start(&mut self, cx: &mut StepContext<'_>, step: &mut BulkStep) {
        if self.is_new {
            self.is_new = false;
            if self.credentials.route().has_passwords() {
                for entry in &mut self.log.entries {
                    entry.password.get_or_insert_with(|| {
                        generate_password(cx.entropy, self.min_password_length)
                    });
                }
            }
            self.log.write_rows(&mut step.writes);
        }
        self.start_rows(cx, step);
    }

    /// Starts as many rows as allowed, and ends the run if none is left.
    fn start_rows(&mut self, cx: &mut StepContext<'_>, step: &mut BulkStep) {
        while !self.is_stopping && self.running.len() < self.concurrency {
            let mut rest = self.log.entries.iter().skip(self.next);
            let Some(offset) = rest.position(|entry| !entry.state.is_final()) else {
                self.next = self.log.entries.len();
                break;
            };
            let index = self.next + offset;
            self.next = index + 1;
            self.start_row(index, cx, step);
        }
        if self.running.is_empty() && !self.is_over {
            self.is_over = true;
            step.events.push(BulkEvent::Finished(self.error.take()));
        }
    }

    fn start_row(&mut self, index: usize, cx: &mut StepContext<'_>, step: &mut BulkStep) {
        match RowRegistration::new(&self.credentials, &self.log.entries[index]) {
            Ok(mut row) => {
                let row_step = row.step(cx, Input::Start);
                self.running
                    .insert(index, Running::Registering(Box::new(row)));
                self.apply(index, row_step, step);
            }
            Err(outcome) => self.end_row(index, outcome, false, step),
        }
    }

    fn on_outcome(
        &mut self,
        cx: &mut StepContext<'_>,
        id: EffectId,
        outcome: Outcome,
        step: &mut BulkStep,
    ) {
        let Some((index, row_effect)) = self.in_flight.remove(&id) else {
            return;
        };
        if let Some(Running::Registering(row)) = self.running.get_mut(&index) {
            let row_step = row.step(cx, Input::Outcome(row_effect, outcome));
            self.apply(index, row_step, step);
        } else {
            // The account exists, whether or not its session could be logged out.
            self.running.remove(&index);
        }
        self.start_rows(cx, step);
    }

    /// Turns the step of a row into a step of the run.
    fn apply(&mut self, index: usize, row_step: RowStep, step: &mut BulkStep) {
        let continues = !self.is_stopping || row_step.outcome.is_some();
        if let Some(conversation) = row_step.begun.filter(|_| continues) {
            let state = RowState::Begun { conversation };
            self.log.set(index, state, &mut step.writes);
        }
        if let Some(outcome) = row_step.outcome {
            self.running.remove(&index);
            return self.end_row(index, outcome, row_step.is_settled, step);
        }
        if self.is_stopping {
            // The next run finds the state of the row and sends the requests.
            self.running.remove(&index);
            return;
        }
        for (row_effect, job) in row_step.requests {
            let id = self.new_effect(index, row_effect);
            step.effects.push(Effect::Send(id, job));
        }
    }

    fn new_effect(&mut self, index: usize, row_effect: EffectId) -> EffectId {
        self.last_effect += 1;
        let id = EffectId(self.last_effect);
        self.in_flight.insert(id, (index, row_effect));
        id
    }

    fn end_row(
        &mut self,
        index: usize,
        outcome: RowOutcome,
        is_settled: bool,
        step: &mut BulkStep,
    ) {
        let before = &self.log.entries[index].state;
        let state = match outcome {
            RowOutcome::Created {
                user_id,
                token,
                refused,
            } => {
                if let Some(token) = token.filter(|_| !self.is_stopping) {
                    self.log_out(index, token, step);
                }
                match (self.other_name(index, &user_id), refused) {
                    (Some(reason), _) => RowState::Failed { reason },
                    (None, Some(reason)) => RowState::Incomplete { user_id, reason },
                    (None, None) => RowState::Done { user_id },
                }
            }
            RowOutcome::Exists => RowState::Exists,
            RowOutcome::Refused(reason) => RowState::Failed { reason },
            RowOutcome::InDoubt(reason) => RowState::InDoubt {
                reason,
                conversation: before.begun().flatten().cloned(),
            },
            RowOutcome::StopsRun(error) => {
                self.is_stopping = true;
                self.error.get_or_insert(Box::new(error));
                if is_settled && *before != RowState::NotBegun {
                    self.log.set(index, RowState::NotBegun, &mut step.writes);
                }
                return;
            }
        };
        self.log.set(index, state, &mut step.writes);
        step.events.push(BulkEvent::Row(index));
    }

    /// Why the account is not that of the row, if it has another name. The server chose that name, perhaps
    /// that of an account which existed: so it is not the run's account, and no undo deactivates it.
    fn other_name(&self, index: usize, user_id: &UserId) -> Option<String> {
        let name = self.log.entries[index].row.localpart();
        let server_name = user_id.server_name();
        let is_here = match &self.credentials {
            AdminCredentials::Admin(account) => server_name == account.user_id.server_name(),
            AdminCredentials::SharedSecret { server, .. }
            | AdminCredentials::Token { server, .. }
            | AdminCredentials::Appservice { server, .. } => server.may_be_named(server_name),
        };
        (user_id.localpart() != name || !is_here).then(|| {
            format!("the server made the account {user_id} instead of {name}; look at it there")
        })
    }

    fn log_out(&mut self, index: usize, token: Secret, step: &mut BulkStep) {
        self.running.insert(index, Running::LoggingOut);
        let job = Logout::default()
            .job(self.credentials.server())
            .with_token(token);
        let id = self.new_effect(index, EffectId(0));
        step.effects.push(Effect::Send(id, Box::new(job)));
    }
}

impl Machine for BulkRegistration {
    type Input = BulkInput;
    type Effect = Effect;
    type Event = BulkEvent;

    fn step(&mut self, cx: &mut StepContext<'_>, input: BulkInput) -> BulkStep {
        let mut step = Step::default();
        if self.is_over {
            return step;
        }
        match input {
            BulkInput::Start => self.start(cx, &mut step),
            BulkInput::Outcome(id, outcome) => self.on_outcome(cx, id, outcome, &mut step),
            BulkInput::Stop => {
                self.is_stopping = true;
                self.start_rows(cx, &mut step);
            }
        }
        step
    }
}

impl BulkMachine for BulkRegistration {
    fn run_log(&self) -> &RunLog {
        &self.log
    }
}
