//! Taking back what a run has made.

use std::collections::{BTreeMap, VecDeque};

use matricula_api::{ApiError, Endpoint, ErrorCode, synapse::DeactivateUser};
use matricula_core::{Auth, EffectId, Machine, Response, Step, StepContext, scheduler::Outcome};

use super::{BulkEvent, BulkInput, BulkMachine, RunLog, Stage, machine::Turn};
use matricula_auth::{Account, AuthError, Effect};

/// Shuts the accounts that a run has made, and no others, with the session of an administrator.
///
/// A shut account's name stays taken. Each is committed once it is shut; shutting one again does no harm,
/// so a lost answer is asked for again.
#[derive(Debug)]
pub struct BulkDeactivation {
    administrator: Box<Account>,
    ledger: RunLog,
    at_once: usize,
    left: VecDeque<usize>,
    sent: BTreeMap<EffectId, usize>,
    last_effect: u64,
    is_stopping: bool,
    failure: Option<Box<AuthError>>,
    is_over: bool,
}

impl BulkDeactivation {
    /// Shuts so many at once, one at least.
    pub fn new(administrator: &Account, ledger: RunLog, at_once: usize) -> Self {
        let is_made = |index: &usize| matches!(ledger.entries[*index].stage, Stage::Done { .. });
        let left = (0..ledger.entries.len()).filter(is_made).collect();
        Self {
            administrator: Box::new(administrator.clone()),
            ledger,
            at_once: at_once.max(1),
            left,
            sent: BTreeMap::new(),
            last_effect: 0,
            is_stopping: false,
            failure: None,
            is_over: false,
        }
    }

    fn go_on(&mut self, turn: &mut Turn) {
        while !self.is_stopping && self.sent.len() < self.at_once {
            let Some(index) = self.left.pop_front() else {
                break;
            };
            let Some(user_id) = self.ledger.entries[index].stage.user_id() else {
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
            self.sent.insert(id, index);
            turn.effects.push(Effect::Send(id, Box::new(job)));
        }
        if self.sent.is_empty() && !self.is_over {
            self.is_over = true;
            turn.events.push(BulkEvent::Finished(self.failure.take()));
        }
    }

    fn on_outcome(&mut self, id: EffectId, outcome: Outcome, turn: &mut Turn) {
        let Some(index) = self.sent.remove(&id) else {
            return;
        };
        let server = self.administrator.server.clone();
        let result = match outcome {
            Outcome::Responded(response) => self.read(&response),
            Outcome::Failed(error) | Outcome::InDoubt(error) => {
                Err(AuthError::Unreachable { server, error })
            }
            _ => Err(AuthError::Cancelled),
        };
        match result {
            Ok(()) => {
                if let Stage::Done { user_id } = self.ledger.entries[index].stage.clone() {
                    let stage = Stage::Undone { user_id };
                    self.ledger.set(index, stage, &mut turn.writes);
                    turn.events.push(BulkEvent::Row(index));
                }
            }
            Err(error) => {
                self.is_stopping = true;
                self.failure.get_or_insert(Box::new(error));
            }
        }
    }

    fn read(&self, response: &Response) -> Result<(), AuthError> {
        let server = self.administrator.server.clone();
        match DeactivateUser::read(response) {
            Ok(_) => Ok(()),
            Err(ApiError::Matrix(error)) => Err(match error.code {
                // It is gone already.
                ErrorCode::NotFound => return Ok(()),
                ErrorCode::Forbidden => AuthError::NotAnAdministrator {
                    server,
                    user_id: self.administrator.user_id.clone(),
                },
                ErrorCode::Unrecognized => AuthError::NoAdministration { server },
                _ => AuthError::Refused { server, error },
            }),
            Err(error) => Err(AuthError::from_api(&server, error)),
        }
    }
}

impl Machine for BulkDeactivation {
    type Input = BulkInput;
    type Effect = Effect;
    type Event = BulkEvent;

    fn step(&mut self, _: &mut StepContext<'_>, input: BulkInput) -> Turn {
        let mut turn = Step::default();
        match input {
            _ if self.is_over => return turn,
            BulkInput::Start => {}
            BulkInput::Outcome(id, outcome) => self.on_outcome(id, outcome, &mut turn),
            BulkInput::Stop => self.is_stopping = true,
        }
        self.go_on(&mut turn);
        turn
    }
}

impl BulkMachine for BulkDeactivation {
    fn ledger(&self) -> &RunLog {
        &self.ledger
    }
}
