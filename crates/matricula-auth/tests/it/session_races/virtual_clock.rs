//! Processes that share an account, a store, a lock and a server on a virtual clock. A seed determines their
//! order and all failures.

use std::collections::BTreeSet;

use matricula_auth::{
    Account, SessionError,
    session::{
        Call, CallEffect, CallEvent, CallInput, Renewal, RenewalEffect, RenewalEvent, RenewalInput,
        RenewalReason, SessionState,
    },
};
use matricula_core::{
    Auth, CredentialRef, Entropy, Job, Machine, Method, Processed, Secret, SeededEntropy,
    ServerUrl, StepContext, Timestamp, TransportError, TransportErrorKind, scheduler::Outcome,
};
use serde_json::{Value, json};

use super::server::{Server, answer};

/// A mistake of a driver or a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    /// The lock across processes is not taken.
    NoLock,
    /// The account is not read again after the lock was taken.
    NoReading,
    /// New tokens are stored only after the next request.
    StoredLate,
    /// New tokens that could not be stored are used all the same.
    UsedUnstored,
    /// Trouble of the server's is taken for a refusal.
    TroubleIsRefusal,
    /// The new refresh token is not stored.
    RefreshTokenDropped,
    /// The refresh token before is not stored.
    ReplacedDropped,
}

/// What the fates are, out of a thousand each time that there is a choice.
const CRASHES: u64 = 15;
const FULL_DISKS: u64 = 30;
const CLOCK_JUMPS: u64 = 10;
const EXPIRIES: u64 = 25;

enum Next<I> {
    Feed(I),
    TakeTurn,
    Lock,
    Read,
    Send(Box<Job>),
    Wait(Timestamp),
    Renew,
}

struct Renewing {
    machine: Renewal,
    next: Next<RenewalInput>,
    has_turn: bool,
    has_lock: bool,
}

struct Calling {
    machine: Call,
    next: Next<CallInput>,
    renewing: Option<Renewing>,
}

struct Process {
    standing: SessionState,
    calls: Vec<Calling>,
    has_turn_out: bool,
    /// How far its clock is off.
    offset: i64,
}

pub(super) struct World {
    random: SeededEntropy,
    now: u64,
    server: Server,
    store: Account,
    /// Tokens that were ever stored.
    durable: BTreeSet<String>,
    /// What a driver that stores late has not stored yet.
    unstored: Option<Account>,
    is_locked: bool,
    processes: Vec<Process>,
    /// Refresh tokens of requests that were given up and arrive all the same.
    late: Vec<String>,
    in_flight: usize,
    mistake: Option<Mistake>,
    is_calm: bool,
    pub(super) answered: usize,
    pub(super) failed: usize,
    pub(super) crashes: usize,
}

fn account(is_oauth: bool, now: u64, lifetime: u64) -> Account {
    let oauth = json!({
        "issuer": "https://e.org/", "client_id": "c", "token_endpoint": "https://e.org/token",
        "revocation_endpoint": "https://e.org/revoke",
    });
    let account = json!({
        "user_id": "@a:e.org", "server": "https://e.org", "device_id": "D",
        "access_token": "access-0", "refresh_token": "refresh-0", "expires_at": now + lifetime,
        "renew_at": now + lifetime - lifetime / 10, "oauth": if is_oauth { oauth } else { Value::Null },
    });
    serde_json::from_value(account).unwrap()
}

fn call() -> Calling {
    let server: ServerUrl = "https://e.org".parse().unwrap();
    let job = Job::new(&server, "/whoami", Method::Get, "whoami")
        .with_auth(Auth::Required(CredentialRef::new("@a:e.org/D")));
    Calling {
        machine: Call::new(job),
        next: Next::Renew,
        renewing: None,
    }
}

impl World {
    pub(super) fn new(seed: u64, mistake: Option<Mistake>) -> Self {
        let mut random = SeededEntropy::new(seed);
        let now = 1_700_000_000_000;
        let lifetime = 1000 + random.below(20) * 1000;
        let is_oauth = random.below(2) == 1;
        let store = account(is_oauth, now, lifetime);
        let processes = 2 + random.below(2);
        Self {
            random,
            now,
            server: Server::new(is_oauth, lifetime, now),
            durable: BTreeSet::from(["access-0".to_owned()]),
            unstored: None,
            is_locked: false,
            processes: (0..processes)
                .map(|_| Process {
                    standing: SessionState::new(store.clone()),
                    calls: Vec::new(),
                    has_turn_out: false,
                    offset: 0,
                })
                .collect(),
            store,
            late: Vec::new(),
            in_flight: 0,
            mistake,
            is_calm: false,
            answered: 0,
            failed: 0,
            crashes: 0,
        }
    }

    /// Whether this happens now, in so many of a thousand cases.
    fn chance(&mut self, of_a_thousand: u64) -> bool {
        !self.is_calm && self.random.below(1000) < of_a_thousand
    }

    /// Lets so many things happen, then calms down, and sees that the session lives.
    pub(super) fn run(&mut self, actions: usize) -> Result<(), String> {
        for _ in 0..actions {
            self.act()?;
            self.check()?;
        }
        self.is_calm = true;
        // What is on its way ends, whatever the order.
        for _ in 0..2000 {
            let Some(process) = self.processes.iter().position(|one| !one.calls.is_empty()) else {
                break;
            };
            let at = self.random.below(self.processes.len() as u64) as usize;
            let process = if self.processes[at].calls.is_empty() {
                process
            } else {
                at
            };
            self.step_some_call(process)?;
            self.check()?;
        }
        if self.processes.iter().any(|one| !one.calls.is_empty()) {
            return Err("calls do not end".to_owned());
        }
        self.a_new_process_is_answered()
    }

    fn act(&mut self) -> Result<(), String> {
        self.now += self.random.below(300);
        if self.chance(EXPIRIES) {
            self.now += 20_000;
        }
        let at = self.random.below(self.processes.len() as u64) as usize;
        if self.chance(CRASHES) {
            self.crash(at);
        }
        if self.chance(CLOCK_JUMPS) {
            self.processes[at].offset = self.random.below(7_200_000) as i64 - 3_600_000;
        }
        if !self.late.is_empty() && self.random.below(4) == 0 {
            let late = self.late.remove(0);
            let _ = self.server.refresh(&late, self.now);
        }
        if self.processes[at].calls.len() < 3 && self.random.below(3) == 0 {
            self.processes[at].calls.push(call());
        }
        if self.processes[at].calls.is_empty() {
            return Ok(());
        }
        self.step_some_call(at)
    }

    /// The process ends: the system takes its lock, and only what is stored is left.
    fn crash(&mut self, at: usize) {
        self.crashes += 1;
        for calling in std::mem::take(&mut self.processes[at].calls) {
            let Some(renewing) = calling.renewing else {
                continue;
            };
            self.is_locked &= !renewing.has_lock;
            if let Next::Send(job) = renewing.next {
                self.in_flight -= 1;
                // It may have been sent, and may arrive at any time.
                if self.random.below(2) == 0 {
                    self.late.push(refresh_token_of(&job));
                }
            }
        }
        self.unstored = None;
        self.processes[at].has_turn_out = false;
        self.processes[at].standing = SessionState::new(self.store.clone());
    }

    fn check(&self) -> Result<(), String> {
        if self.in_flight > 1 {
            return Err("two refreshes at once".to_owned());
        }
        if self.store.access_token.is_none() {
            return Err("signed out".to_owned());
        }
        let kept = [
            &self.store.refresh_token,
            &self.store.previous_refresh_token,
        ];
        let mut kept = kept.into_iter().flatten();
        match kept.any(|token| self.server.takes(token.expose())) {
            true => Ok(()),
            false => Err("the pair is lost: no stored token gets another one".to_owned()),
        }
    }

    fn a_new_process_is_answered(&mut self) -> Result<(), String> {
        self.processes.truncate(1);
        self.crash(0);
        self.now += 20_000;
        let before = self.answered;
        self.processes[0].calls.push(call());
        for _ in 0..200 {
            if self.processes[0].calls.is_empty() {
                break;
            }
            self.step_some_call(0)?;
            self.check()?;
        }
        match self.answered > before {
            true => Ok(()),
            false => Err("a new process gets no answer any more".to_owned()),
        }
    }

    fn clock(&self, at: usize) -> Timestamp {
        Timestamp::from_millis(self.now.saturating_add_signed(self.processes[at].offset))
    }

    fn step_some_call(&mut self, at: usize) -> Result<(), String> {
        let count = self.processes[at].calls.len() as u64;
        let index = self.random.below(count) as usize;
        let mut calling = self.processes[at].calls.swap_remove(index);
        let is_over = match &mut calling.renewing {
            Some(_) => self.step_renewal(at, &mut calling)?,
            None => self.step_call(at, &mut calling)?,
        };
        if !is_over {
            self.processes[at].calls.push(calling);
        }
        Ok(())
    }

    fn step_call(&mut self, at: usize, calling: &mut Calling) -> Result<bool, String> {
        let input = match std::mem::replace(&mut calling.next, Next::Renew) {
            Next::Feed(input) => input,
            Next::Renew => CallInput::Start(Box::new(self.processes[at].standing.clone())),
            Next::Send(job) => CallInput::Outcome(self.deliver(&job)?),
            _ => unreachable!("a call does nothing else"),
        };
        let now = self.clock(at);
        let step = calling
            .machine
            .step(&mut StepContext::new(now, &mut self.random), input);
        for event in step.events {
            if let CallEvent::Finished(result) = event {
                self.judge(*result)?;
                return Ok(true);
            }
        }
        match step.effects.into_iter().next() {
            Some(CallEffect::Send(job)) => calling.next = Next::Send(job),
            Some(CallEffect::Renew(reason, token)) => {
                calling.renewing = Some(renewing(reason, token));
            }
            other => return Err(format!("a call hangs: {other:?}")),
        }
        Ok(false)
    }

    fn judge(&mut self, result: Result<Outcome, SessionError>) -> Result<(), String> {
        match result {
            Ok(Outcome::Responded(response)) if response.success() => self.answered += 1,
            Ok(_) => self.failed += 1,
            Err(
                error @ (SessionError::SignedOut { .. }
                | SessionError::SoftLogout { .. }
                | SessionError::NotSignedIn { .. }
                | SessionError::NoRefreshToken { .. }),
            ) => return Err(format!("signed out: {error}")),
            Err(_) => self.failed += 1,
        }
        Ok(())
    }

    fn step_renewal(&mut self, at: usize, calling: &mut Calling) -> Result<bool, String> {
        let Some(mut renewing) = calling.renewing.take() else {
            return Ok(false);
        };
        let next = std::mem::replace(&mut renewing.next, Next::Renew);
        let input = match self.carry_out(at, &mut renewing, next)? {
            Ok(input) => input,
            Err(wait) => {
                renewing.next = wait;
                calling.renewing = Some(renewing);
                return Ok(false);
            }
        };
        let now = self.clock(at);
        let step = renewing
            .machine
            .step(&mut StepContext::new(now, &mut self.random), input);
        if let Some(change) = step.writes.writes().first() {
            if self.chance(CRASHES) {
                calling.renewing = Some(renewing);
                return Ok(self.crash_with(at, calling));
            }
            let value = change.value.as_deref().unwrap_or_default();
            if !self.keep(serde_json::from_slice(value).map_err(|error| error.to_string())?) {
                renewing.next = Next::Feed(RenewalInput::StoreFailed("full".to_owned()));
                calling.renewing = Some(renewing);
                return Ok(false);
            }
            if self.chance(CRASHES) {
                calling.renewing = Some(renewing);
                return Ok(self.crash_with(at, calling));
            }
        }
        if let Some(RenewalEvent::Finished(settled)) = step.events.into_iter().next() {
            self.processes[at].standing.apply(&settled);
            self.processes[at].has_turn_out = false;
            self.is_locked &= !renewing.has_lock;
            let standing = Box::new(self.processes[at].standing.clone());
            calling.next = Next::Feed(CallInput::Renewed(standing, settled.result));
            return Ok(false);
        }
        renewing.next = match step.effects.into_iter().next() {
            Some(RenewalEffect::LockProcess) => Next::TakeTurn,
            Some(RenewalEffect::LockStore) => Next::Lock,
            Some(RenewalEffect::Read) => Next::Read,
            Some(RenewalEffect::Wait(until)) => Next::Wait(until),
            Some(RenewalEffect::Send(job)) => {
                self.in_flight += 1;
                Next::Send(job)
            }
            other => return Err(format!("a renewal hangs: {other:?}")),
        };
        calling.renewing = Some(renewing);
        Ok(false)
    }

    /// The process ends in the middle of what this call does.
    fn crash_with(&mut self, at: usize, calling: &mut Calling) -> bool {
        if let Some(renewing) = calling.renewing.take() {
            self.is_locked &= !renewing.has_lock;
        }
        self.crash(at);
        true
    }

    /// What came of an effect, or the effect again where it has to wait.
    fn carry_out(
        &mut self,
        at: usize,
        renewing: &mut Renewing,
        next: Next<RenewalInput>,
    ) -> Result<Result<RenewalInput, Next<RenewalInput>>, String> {
        let input = match next {
            Next::Feed(input) => input,
            Next::TakeTurn if self.processes[at].has_turn_out => return Ok(Err(Next::TakeTurn)),
            Next::TakeTurn => {
                self.processes[at].has_turn_out = true;
                renewing.has_turn = true;
                RenewalInput::ProcessLocked(Box::new(self.processes[at].standing.clone()))
            }
            Next::Lock if self.mistake == Some(Mistake::NoLock) => RenewalInput::StoreLocked,
            Next::Lock if self.is_locked => return Ok(Err(Next::Lock)),
            Next::Lock => {
                self.is_locked = true;
                renewing.has_lock = true;
                RenewalInput::StoreLocked
            }
            Next::Read if self.mistake == Some(Mistake::NoReading) => RenewalInput::Stored(None),
            Next::Read => RenewalInput::Stored(Some(Box::new(self.store.clone()))),
            Next::Wait(until) => {
                let wait = until.since(self.clock(at));
                self.now += u64::try_from(wait.as_millis()).unwrap_or_default();
                RenewalInput::Waited
            }
            Next::Send(job) => {
                self.in_flight -= 1;
                RenewalInput::Outcome(self.deliver(&job)?)
            }
            Next::Renew => return Err("a renewal does not go on".to_owned()),
        };
        Ok(Ok(input))
    }

    /// Stores an account; false where the disk is full.
    fn keep(&mut self, mut account: Account) -> bool {
        if self.chance(FULL_DISKS) {
            return self.mistake == Some(Mistake::UsedUnstored);
        }
        match self.mistake {
            Some(Mistake::RefreshTokenDropped) => {
                account.refresh_token = self.store.refresh_token.clone();
            }
            Some(Mistake::ReplacedDropped) => account.previous_refresh_token = None,
            Some(Mistake::StoredLate) => {
                self.unstored = Some(account);
                return true;
            }
            _ => {}
        }
        let token = account.access_token.as_ref().map(Secret::expose);
        self.durable.extend(token.map(str::to_owned));
        self.store = account;
        true
    }

    /// Takes a request to the server, and its answer back, as far as they come.
    fn deliver(&mut self, job: &Job) -> Result<Outcome, String> {
        if let Auth::Token(token) = job.auth()
            && !self.durable.contains(token.expose())
        {
            return Err("a token was used that is not stored".to_owned());
        }
        let fate = if self.is_calm {
            1000
        } else {
            self.random.below(1000)
        };
        let outcome = match fate {
            0..60 => lost(Processed::No),
            60..120 => {
                let _ = self.process(job);
                lost(Processed::Maybe)
            }
            120..150 => {
                if !matches!(job.auth(), Auth::Token(_)) {
                    self.late.push(refresh_token_of(job));
                }
                lost(Processed::Maybe)
            }
            150..190 => self.trouble(job),
            190..220 => {
                let _ = self.process(job);
                self.trouble(job)
            }
            220..240 => {
                let body = json!({ "errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 200 });
                Outcome::Responded(answer(429, &body))
            }
            _ => Outcome::Responded(self.process(job)),
        };
        if let Some(account) = self.unstored.take() {
            self.store = account;
        }
        Ok(outcome)
    }

    fn trouble(&mut self, job: &Job) -> Outcome {
        let is_refresh = !matches!(job.auth(), Auth::Token(_));
        if is_refresh && self.mistake == Some(Mistake::TroubleIsRefusal) {
            let body = json!({ "errcode": "M_UNKNOWN_TOKEN", "error": "invalid_grant" });
            return Outcome::Responded(answer(if self.server.is_oauth { 400 } else { 401 }, &body));
        }
        Outcome::Responded(match self.random.below(4) {
            0 => answer(
                500,
                &json!({ "errcode": "M_UNKNOWN", "error": "Internal error" }),
            ),
            1 => answer(502, &Value::Null),
            2 => answer(503, &json!({ "error": "temporarily_unavailable" })),
            _ => answer(520, &json!("<html>")),
        })
    }

    fn process(&mut self, job: &Job) -> matricula_core::Response {
        match job.auth() {
            Auth::Token(token) => self.server.call(token.expose(), self.now),
            _ => self.server.refresh(&refresh_token_of(job), self.now),
        }
    }
}

fn renewing(reason: RenewalReason, token: Secret) -> Renewing {
    Renewing {
        machine: Renewal::new(reason, Some(token)),
        next: Next::Feed(RenewalInput::Start),
        has_turn: false,
        has_lock: false,
    }
}

fn lost(processed: Processed) -> Outcome {
    let error = TransportError {
        kind: TransportErrorKind::Timeout,
        processed,
        message: "no answer".to_owned(),
    };
    match processed {
        Processed::No => Outcome::Failed(error),
        Processed::Maybe => Outcome::InDoubt(error),
    }
}

/// The refresh token that a request carries, in either API.
fn refresh_token_of(job: &Job) -> String {
    let body = job.request_body().as_bytes();
    if let Ok(body) = serde_json::from_slice::<Value>(body) {
        return body["refresh_token"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
    }
    let text = std::str::from_utf8(body).unwrap();
    let field = text
        .split('&')
        .find_map(|pair| pair.strip_prefix("refresh_token="));
    field.unwrap_or_default().to_owned()
}
