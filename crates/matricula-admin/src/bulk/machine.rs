//! The run: which rows are being made, and what became of them.

use std::collections::BTreeMap;

use matricula_api::{Endpoint, client::logout::Logout};
use matricula_core::{EffectId, Machine, Secret, Step, StepContext, scheduler::Outcome};

use super::{
    AdminCredentials, Entry, NewRow, RunLog, Stage,
    row_registration::{self, RowOutcome, RowRegistration},
};
use matricula_auth::{AuthError, Effect, Input, generate_password};

/// What can happen to a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BulkInput {
    /// Begin, or go on.
    Start,
    /// What became of a job that was sent.
    Outcome(EffectId, Outcome),
    /// Send nothing more, and end when what is on the wire has come back.
    Stop,
}

/// What a run tells.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BulkEvent {
    /// The row at this place has come to an end, or is in doubt.
    Row(usize),
    /// Nothing more is sent. Told exactly once. An error is one that no other row would have escaped:
    /// those that are left wait for the next run, as they do where the run was stopped.
    Finished(Option<Box<AuthError>>),
}

/// A machine that brings the rows of a list further.
pub trait BulkMachine: Machine<Input = BulkInput, Effect = Effect, Event = BulkEvent> {
    /// How far the rows have come.
    fn ledger(&self) -> &RunLog;
}

pub(super) type Turn = Step<Effect, BulkEvent>;

/// Makes the accounts of a list, some at once; ends when each row has ended, is in doubt, or waits for the
/// next run.
///
/// - The first commit has all rows with their passwords, before anything is sent.
/// - Before a request that may make an account, the row's stage is committed. A run that is read back asks
///   again, and where the account is there, signing in with the row's password tells whose it is.
/// - Accounts that are there are never touched.
/// - Rows end one by one; what concerns them all (no network, no right, a wrong token, a server that
///   fails) stops the run instead.
/// - Sessions that come with accounts are given back.
#[derive(Debug)]
pub struct BulkRegistration {
    access: AdminCredentials,
    ledger: RunLog,
    at_once: usize,
    /// The least length of passwords that are made.
    least: u64,
    /// Where the next row is looked for.
    next: usize,
    is_new: bool,
    running: BTreeMap<usize, Running>,
    sent: BTreeMap<EffectId, (usize, EffectId)>,
    last_effect: u64,
    is_stopping: bool,
    failure: Option<Box<AuthError>>,
    is_over: bool,
}

#[derive(Debug)]
enum Running {
    Making(Box<RowRegistration>),
    /// The account is made, and its session is given back.
    SigningOut,
}

impl BulkRegistration {
    /// A new run, making so many accounts at once, one at least. The rows should have no
    /// [faults](super::row_errors).
    pub fn new(
        access: AdminCredentials,
        rows: impl IntoIterator<Item = NewRow>,
        at_once: usize,
    ) -> Self {
        let entry = |row: NewRow| Entry {
            password: row.password.clone(),
            row,
            stage: Stage::Waiting,
        };
        let ledger = RunLog {
            entries: rows.into_iter().map(entry).collect(),
        };
        let mut run = Self::from_ledger(access, ledger, at_once);
        run.is_new = true;
        run
    }

    /// Goes on with a run that was read back.
    pub fn from_ledger(access: AdminCredentials, ledger: RunLog, at_once: usize) -> Self {
        Self {
            access,
            ledger,
            at_once: at_once.max(1),
            least: 0,
            next: 0,
            is_new: false,
            running: BTreeMap::new(),
            sent: BTreeMap::new(),
            last_effect: 0,
            is_stopping: false,
            failure: None,
            is_over: false,
        }
    }

    /// Makes passwords of at least so many characters.
    #[must_use]
    pub fn with_passwords_of(mut self, least: u64) -> Self {
        self.least = least;
        self
    }

    fn start(&mut self, cx: &mut StepContext<'_>, turn: &mut Turn) {
        if self.is_new {
            self.is_new = false;
            if self.access.route().has_passwords() {
                for entry in &mut self.ledger.entries {
                    let least = self.least;
                    let make = || generate_password(cx.entropy, least);
                    entry.password.get_or_insert_with(make);
                }
            }
            self.ledger.put_rows(&mut turn.writes);
        }
        self.go_on(cx, turn);
    }

    /// Begins rows until as many are being made as may, and ends where none is left.
    fn go_on(&mut self, cx: &mut StepContext<'_>, turn: &mut Turn) {
        while !self.is_stopping && self.running.len() < self.at_once {
            let mut rest = self.ledger.entries.iter().skip(self.next);
            let Some(ahead) = rest.position(|entry| !entry.stage.is_end()) else {
                self.next = self.ledger.entries.len();
                break;
            };
            let index = self.next + ahead;
            self.next = index + 1;
            self.begin(index, cx, turn);
        }
        if self.running.is_empty() && !self.is_over {
            self.is_over = true;
            turn.events.push(BulkEvent::Finished(self.failure.take()));
        }
    }

    fn begin(&mut self, index: usize, cx: &mut StepContext<'_>, turn: &mut Turn) {
        match RowRegistration::new(&self.access, &self.ledger.entries[index]) {
            Ok(mut maker) => {
                let made = maker.step(cx, Input::Start);
                self.running.insert(index, Running::Making(Box::new(maker)));
                self.take(index, made, turn);
            }
            Err(end) => self.end(index, end, false, turn),
        }
    }

    fn on_outcome(
        &mut self,
        cx: &mut StepContext<'_>,
        id: EffectId,
        outcome: Outcome,
        turn: &mut Turn,
    ) {
        let Some((index, inner)) = self.sent.remove(&id) else {
            return;
        };
        match self.running.get_mut(&index) {
            Some(Running::Making(maker)) => {
                let made = maker.step(cx, Input::Outcome(inner, outcome));
                self.take(index, made, turn);
            }
            // Whether the session could be given back or not: the account is there.
            _ => {
                self.running.remove(&index);
            }
        }
        self.go_on(cx, turn);
    }

    /// Takes over what the conversation of a row wants.
    fn take(&mut self, index: usize, made: row_registration::Turn, turn: &mut Turn) {
        let goes_on = !self.is_stopping || made.end.is_some();
        if let Some(conversation) = made.begun.filter(|_| goes_on) {
            let stage = Stage::Begun { conversation };
            self.ledger.set(index, stage, &mut turn.writes);
        }
        if let Some(end) = made.end {
            self.running.remove(&index);
            return self.end(index, end, made.is_certain, turn);
        }
        if self.is_stopping {
            // What it would send is for the next run, which finds the stage.
            self.running.remove(&index);
            return;
        }
        for (inner, job) in made.sends {
            let id = self.effect(index, inner);
            turn.effects.push(Effect::Send(id, job));
        }
    }

    fn effect(&mut self, index: usize, inner: EffectId) -> EffectId {
        self.last_effect += 1;
        let id = EffectId(self.last_effect);
        self.sent.insert(id, (index, inner));
        id
    }

    fn end(&mut self, index: usize, end: RowOutcome, is_certain: bool, turn: &mut Turn) {
        let before = self.ledger.entries[index].stage.clone();
        let stage = match end {
            RowOutcome::Made { user_id, token } => {
                if let Some(token) = token.filter(|_| !self.is_stopping) {
                    self.sign_out(index, token, turn);
                }
                Stage::Done { user_id }
            }
            RowOutcome::Exists => Stage::Exists,
            RowOutcome::Refused(why) => Stage::Failed { why },
            RowOutcome::InDoubt(why) => Stage::InDoubt {
                why,
                conversation: match before {
                    Stage::Begun { conversation } | Stage::InDoubt { conversation, .. } => {
                        conversation
                    }
                    _ => None,
                },
            },
            RowOutcome::OfTheRun(error) => {
                self.is_stopping = true;
                self.failure.get_or_insert(Box::new(error));
                if is_certain && before != Stage::Waiting {
                    self.ledger.set(index, Stage::Waiting, &mut turn.writes);
                }
                return;
            }
        };
        self.ledger.set(index, stage, &mut turn.writes);
        turn.events.push(BulkEvent::Row(index));
    }

    fn sign_out(&mut self, index: usize, token: Secret, turn: &mut Turn) {
        self.running.insert(index, Running::SigningOut);
        let job = Logout::default()
            .job(self.access.server())
            .with_token(token);
        let id = self.effect(index, EffectId(0));
        turn.effects.push(Effect::Send(id, Box::new(job)));
    }
}

impl Machine for BulkRegistration {
    type Input = BulkInput;
    type Effect = Effect;
    type Event = BulkEvent;

    fn step(&mut self, cx: &mut StepContext<'_>, input: BulkInput) -> Turn {
        let mut turn = Step::default();
        match input {
            _ if self.is_over => {}
            BulkInput::Start => self.start(cx, &mut turn),
            BulkInput::Outcome(id, outcome) => self.on_outcome(cx, id, outcome, &mut turn),
            BulkInput::Stop => {
                self.is_stopping = true;
                self.go_on(cx, &mut turn);
            }
        }
        turn
    }
}

impl BulkMachine for BulkRegistration {
    fn ledger(&self) -> &RunLog {
        &self.ledger
    }
}
