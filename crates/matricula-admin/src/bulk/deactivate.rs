//! Deactivates the accounts that a run created.

use std::collections::{BTreeMap, VecDeque};

use matricula_api::{ApiError, Endpoint, ErrorCode, synapse::DeactivateUser};
use matricula_auth::{Account, Effect, ServerError};
use matricula_core::{Auth, EffectId, Machine, Response, Step, StepContext, scheduler::Outcome};

use super::{BulkEvent, BulkInput, BulkMachine, RowState, RunLog, machine::BulkStep};
use crate::AdminError;

/// Deactivates the accounts that a run created, and no others, with an administrator's session.
///
/// The username of a deactivated account stays taken. The state of each row is committed once its
/// account is deactivated. To deactivate an account twice is harmless, so a request whose response was
/// lost is sent again.
#[derive(Debug)]
pub struct BulkDeactivation {
    administrator: Box<Account>,
    log: RunLog,
    concurrency: usize,
    remaining: VecDeque<usize>,
    in_flight: BTreeMap<EffectId, usize>,
    last_effect: u64,
    is_stopping: bool,
    error: Option<Box<AdminError>>,
    is_over: bool,
}

impl BulkDeactivation {
    /// Deactivates up to `concurrency` accounts at a time, at least one.
    pub fn new(administrator: &Account, log: RunLog, concurrency: usize) -> Self {
        let is_created = |index: &usize| log.entries[*index].state.created().is_some();
        let remaining = (0..log.entries.len()).filter(is_created).collect();
        Self {
            administrator: Box::new(administrator.clone()),
            log,
            concurrency: concurrency.max(1),
            remaining,
            in_flight: BTreeMap::new(),
            last_effect: 0,
            is_stopping: false,
            error: None,
            is_over: false,
        }
    }

    /// Sends as many requests as allowed, and ends if none is left.
    fn advance(&mut self, step: &mut BulkStep) {
        while !self.is_stopping && self.in_flight.len() < self.concurrency {
            let Some(index) = self.remaining.pop_front() else {
                break;
            };
            let Some(user_id) = self.log.entries[index].state.user_id() else {
                continue;
            };
            let request = DeactivateUser {
                user_id: user_id.clone(),
                erase: false,
            };
            let administrator = &self.administrator;
            let auth = Auth::Required(administrator.credential());
            let job = request.job(&administrator.server).with_auth(auth);
            self.last_effect += 1;
            let id = EffectId(self.last_effect);
            self.in_flight.insert(id, index);
            step.effects.push(Effect::Send(id, Box::new(job)));
        }
        if self.in_flight.is_empty() && !self.is_over {
            self.is_over = true;
            step.events.push(BulkEvent::Finished(self.error.take()));
        }
    }

    fn on_outcome(&mut self, id: EffectId, outcome: Outcome, step: &mut BulkStep) {
        let Some(index) = self.in_flight.remove(&id) else {
            return;
        };
        let server = self.administrator.server.clone();
        let response = ServerError::response(&server, outcome);
        let result = response
            .map_err(AdminError::from)
            .and_then(|response| self.read(&response));
        match result {
            Ok(()) => {
                if let Some(user_id) = self.log.entries[index].state.created().cloned() {
                    let state = RowState::Undone { user_id };
                    self.log.set(index, state, &mut step.writes);
                    step.events.push(BulkEvent::Row(index));
                }
            }
            Err(error) => {
                self.is_stopping = true;
                self.error.get_or_insert(Box::new(error));
            }
        }
    }

    fn read(&self, response: &Response) -> Result<(), AdminError> {
        let server = self.administrator.server.clone();
        match DeactivateUser::read(response) {
            Ok(_) => Ok(()),
            Err(ApiError::Matrix(error)) if !error.is_failure() => Err(match error.code {
                // The account does not exist any more.
                ErrorCode::NotFound => return Ok(()),
                ErrorCode::Forbidden => AdminError::NotAnAdministrator {
                    server,
                    user_id: self.administrator.user_id.clone(),
                    message: error.message,
                },
                ErrorCode::Unrecognized => {
                    let message = error.message;
                    AdminError::NoAdministration { server, message }
                }
                _ => ServerError::refused(server, error).into(),
            }),
            Err(error) => Err(ServerError::from_api(&server, error).into()),
        }
    }
}

impl Machine for BulkDeactivation {
    type Input = BulkInput;
    type Effect = Effect;
    type Event = BulkEvent;

    fn step(&mut self, _: &mut StepContext<'_>, input: BulkInput) -> BulkStep {
        let mut step = Step::default();
        if self.is_over {
            return step;
        }
        match input {
            BulkInput::Start => {}
            BulkInput::Outcome(id, outcome) => self.on_outcome(id, outcome, &mut step),
            BulkInput::Stop => self.is_stopping = true,
        }
        self.advance(&mut step);
        step
    }
}

impl BulkMachine for BulkDeactivation {
    fn run_log(&self) -> &RunLog {
        &self.log
    }
}
