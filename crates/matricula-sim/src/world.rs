//! One run: a program with a scheduler and a disk, a network, a server, and a clock that all share.

use std::{collections::BTreeSet, time::Duration};

use matricula_core::{
    CredentialRef, EffectId, Entropy, Job, Machine, Processed, Ready, Scheduler, SeededEntropy,
    ServerUrl, StepContext, Timestamp, TransportResult, WriteAhead, WriteBatch,
    scheduler::{Effect, Event, Input, JobId, JobStatus, Outcome},
};

use crate::{
    Disk, Fault, Plan, Report,
    happenings::{Happening, Happenings},
    jobs::{job, server_url},
    ledger::{Ledger, Rule, Violation, broken, number, queue_name},
    plan::{Action, Crash, Fate, Kind, QUEUES, Submission},
    server::Server,
    verdict,
};

/// What ends a program, or the run.
pub(crate) enum Stop {
    Crashed(Crash),
    Violated(Violation),
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Self {
        Self::Violated(violation)
    }
}

type Goes = Result<(), Stop>;

/// A program while it lives.
struct Program {
    scheduler: Scheduler,
    write_ahead: WriteAhead<Effect, Event>,
    /// When it is woken, by the clock that nobody sets.
    wake_at: Option<u64>,
}

pub(crate) struct World<'a, D> {
    plan: &'a Plan,
    fault: Option<Fault>,
    disk: D,
    /// Milliseconds since the beginning, by a clock that nobody sets.
    now: u64,
    /// How far the program's clock is from that one.
    clock: i64,
    happenings: Happenings,
    program: Option<Program>,
    /// How often the program began.
    life: u32,
    /// How many lines it came to.
    line: u64,
    crashes: std::iter::Peekable<std::vec::IntoIter<(u64, Crash)>>,
    fates: std::vec::IntoIter<Fate>,
    network: bool,
    disk_is_full: bool,
    calm: bool,
    /// The token that the program has.
    token: u32,
    server: Server,
    server_url: ServerUrl,
    ledger: Ledger,
    entropy: SeededEntropy,
    report: Report,
    seen: BTreeSet<&'static str>,
}

/// The clock begins long after the epoch, so that it can be set back.
const BEGINNING: i64 = 1 << 40;
/// How long a program may take to come to its end, in happenings.
const LONGEST: u64 = 20_000;
/// How long the calm comes after the last action, in milliseconds.
const TROUBLE: u64 = 120_000;

impl<'a, D: Disk> World<'a, D> {
    pub(crate) fn new(plan: &'a Plan, fault: Option<Fault>, disk: D, is_told: bool) -> Self {
        let mut happenings = Happenings::default();
        for (at, action) in &plan.actions {
            happenings.add(*at, Happening::Act(*action));
        }
        let last = plan.actions.last().map_or(0, |(at, _)| *at);
        happenings.add(last + TROUBLE, Happening::Calm);
        let report = Report {
            trace: is_told.then(Vec::new),
            ..Report::default()
        };
        Self {
            plan,
            fault,
            disk,
            now: 0,
            clock: BEGINNING,
            happenings,
            program: None,
            life: 0,
            line: 0,
            crashes: plan.crashes.clone().into_iter().peekable(),
            fates: plan.fates.clone().into_iter(),
            network: true,
            disk_is_full: false,
            calm: false,
            token: 0,
            server: Server::default(),
            server_url: server_url(),
            ledger: Ledger::default(),
            entropy: SeededEntropy::new(!plan.seed),
            report,
            seen: BTreeSet::new(),
        }
    }

    pub(crate) fn run(mut self) -> (Report, Result<(), Violation>) {
        let result = self.go();
        self.report.lines = self.line;
        self.report.seen = self.seen;
        (self.report, result)
    }

    fn go(&mut self) -> Result<(), Violation> {
        self.survive(Self::begin)?;
        loop {
            let wake_at = self.program.as_ref().and_then(|it| it.wake_at);
            let next = match (self.happenings.next_at(), wake_at) {
                (None, None) => break,
                (Some(at), Some(wake)) if wake < at => None,
                (None, Some(_)) => None,
                (Some(at), _) => Some(at),
            };
            self.report.happenings += 1;
            if self.report.happenings > LONGEST {
                return broken(Rule::GoesOn, "it has not come to an end");
            }
            match next {
                None => {
                    self.now = self.now.max(wake_at.unwrap_or_default());
                    self.survive(Self::wake)?;
                }
                Some(at) => {
                    self.now = self.now.max(at);
                    if let Some(what) = self.happenings.take() {
                        self.survive(|world| world.happens(what))?;
                    }
                }
            }
        }
        self.check_the_end()
    }

    fn check_the_end(&mut self) -> Result<(), Violation> {
        verdict::truth(&self.ledger, &self.server)?;
        for record in &self.ledger.records {
            self.seen.insert(match &record.end {
                Some(Outcome::Responded(response)) if response.success() => "done",
                Some(Outcome::Responded(_)) => "done with an error",
                Some(Outcome::Failed(_)) => "failed",
                Some(Outcome::InDoubt(_)) => "in doubt",
                Some(_) => "cancelled",
                None => "unknown",
            });
        }
        match &self.program {
            Some(program) => verdict::nothing_is_left(&program.scheduler, &self.disk.entries()),
            None => broken(Rule::GoesOn, "the program has not begun again"),
        }
    }

    /// Does it, and where the program ends meanwhile, lets it begin again.
    fn survive(&mut self, what: impl FnOnce(&mut Self) -> Goes) -> Result<(), Violation> {
        match what(self) {
            Ok(()) => Ok(()),
            Err(Stop::Violated(violation)) => Err(violation),
            Err(Stop::Crashed(crash)) => {
                self.note(|| format!("{crash:?}"));
                self.saw(match crash {
                    Crash::Kill => "kill",
                    Crash::PowerCut => "power cut",
                });
                self.program = None;
                self.disk.crash(crash);
                self.ledger.crashed();
                self.later(1_000, Happening::Restart);
                Ok(())
            }
        }
    }

    /// The program comes to a line, where it may end.
    fn line(&mut self, place: &'static str) -> Goes {
        self.line += 1;
        let here = self.crashes.next_if(|(line, _)| *line <= self.line);
        match here {
            None => Ok(()),
            Some((_, crash)) => {
                self.saw(place);
                Err(Stop::Crashed(crash))
            }
        }
    }

    fn happens(&mut self, what: Happening) -> Goes {
        match what {
            Happening::Act(action) => self.act(action),
            Happening::Arrives(job) => {
                let kind = self.kind_of(&job);
                self.server.process(number(&job), kind, &job, self.now);
                Ok(())
            }
            Happening::Answered(life, id, answer) if life == self.life => self.answered(id, answer),
            Happening::Written(life, patch, step) if life == self.life => self.write(&patch, step),
            Happening::Renewed(life, credential, good) if life == self.life => {
                if good {
                    self.token = self.server.token;
                    return self.step(Input::CredentialReady(credential));
                }
                self.step(Input::CredentialRefused(credential))
            }
            Happening::Restart => self.begin(),
            Happening::Calm => self.calm_down(),
            _ => Ok(()),
        }
    }

    fn begin(&mut self) -> Goes {
        self.life += 1;
        let mut entries = self.disk.entries();
        if let Some(fault) = self.fault.filter(|_| self.life > 1) {
            fault.on_entries(&mut entries);
        }
        let of = entries.iter();
        let of = of.map(|(table, key, value)| (&**table, &**key, &**value));
        let scheduler = match Scheduler::restore(self.plan.limits.clone(), of) {
            Ok(scheduler) => scheduler,
            Err(error) => return Ok(broken(Rule::NothingIsLost, error.to_string())?),
        };
        self.note(|| format!("the program begins with {} jobs", scheduler.len()));
        self.ledger.came_back(&scheduler, &entries)?;
        self.program = Some(Program {
            scheduler,
            write_ahead: WriteAhead::default(),
            wake_at: None,
        });
        self.step(Input::Resume)?;
        match self.calm {
            true => self.calm_down(),
            false => Ok(()),
        }
    }

    /// From now on all goes well, so everything must come to its end.
    fn calm_down(&mut self) -> Goes {
        self.calm = true;
        self.network = true;
        self.fates = Vec::new().into_iter();
        self.act(Action::Online(true))?;
        for queue in 0..QUEUES {
            self.act(Action::Resume(queue))?;
            self.act(Action::Skip(queue))?;
        }
        Ok(())
    }

    fn wake(&mut self) -> Goes {
        self.report.wakes += 1;
        let reason_to = self.report.sends + self.report.answers + self.plan.actions.len() as u64;
        if self.report.wakes > 4 * reason_to + 40 {
            return Ok(broken(
                Rule::WakeUps,
                format!("{} of them", self.report.wakes),
            )?);
        }
        self.step(Input::Wake)
    }
}

/// What a program does.
impl<D: Disk> World<'_, D> {
    fn act(&mut self, action: Action) -> Goes {
        match action {
            Action::RevokeToken => self.server.token += 1,
            Action::FillDisk => self.disk_is_full = true,
            Action::SetClock(by) => self.clock = self.clock.saturating_add(by).max(0),
            Action::Online(online) => self.network = online,
            Action::Submit(submission) => self.ledger.submitted(submission),
            _ => {}
        }
        if self.program.is_none() {
            return Ok(());
        }
        self.note(|| format!("{action:?}"));
        match action {
            Action::Submit(submission) => self.submit(submission),
            Action::Cancel(number) => match self.ledger.job_id(number) {
                Some(job_id) => self.cancel(job_id),
                None => Ok(()),
            },
            Action::Forget(number) => match self.ledger.forget(number) {
                Some(job_id) => self.step(Input::DropOutcome(job_id)),
                None => Ok(()),
            },
            Action::Pause(queue) => {
                self.ledger.paused(queue, true);
                self.step(Input::PauseQueue(queue_name(queue)))
            }
            Action::Resume(queue) => {
                self.ledger.paused(queue, false);
                self.step(Input::ResumeQueue(queue_name(queue)))
            }
            Action::Retry(queue) => {
                self.ledger.released(queue, true);
                self.step(Input::RetryHead(queue_name(queue)))
            }
            Action::Skip(queue) => {
                self.ledger.released(queue, false);
                if let Some(head) = self.held_head(queue) {
                    self.ledger.let_go(head);
                }
                self.step(Input::SkipHead(queue_name(queue)))
            }
            Action::Online(online) => {
                self.ledger.online(online);
                self.step(Input::SetOnline(online))
            }
            Action::SetClock(_) | Action::RevokeToken | Action::FillDisk => Ok(()),
        }
    }

    fn submit(&mut self, submission: Submission) -> Goes {
        let job = job(&self.server_url, self.ledger.records.len() - 1, submission);
        let job = match self.fault {
            Some(fault) => fault.on_job(job),
            None => job,
        };
        self.step(Input::Submit(job.into()))
    }

    fn cancel(&mut self, job_id: JobId) -> Goes {
        if self.fault == Some(Fault::CancelIsLost) {
            let program = self.program.as_ref();
            let job = program.and_then(|program| program.scheduler.job(job_id));
            return match job {
                Some(_) => self.tell(&Event::Finished(job_id, Outcome::Cancelled)),
                None => Ok(()),
            };
        }
        self.ledger.let_go(job_id);
        // The head of a held queue that is called back lets the queue go on.
        for queue in 0..QUEUES {
            if self.held_head(queue) == Some(job_id) {
                self.ledger.released(queue, false);
            }
        }
        self.step(Input::Cancel(job_id))
    }

    /// The head of a queue that is held.
    fn held_head(&self, queue: u8) -> Option<JobId> {
        let scheduler = &self.program.as_ref()?.scheduler;
        let head = scheduler.queue(&queue_name(queue)).next()?;
        (scheduler.status(head) == Some(JobStatus::Held)).then_some(head)
    }

    fn answered(&mut self, id: EffectId, answer: TransportResult) -> Goes {
        if self.program.is_none() {
            return Ok(());
        }
        self.report.answers += 1;
        if let TransportResult::Response(response) = &answer
            && response.status_code() == 429
            && !self.plan.sets_clock()
        {
            let asked = response.retry_after().unwrap_or(Duration::from_secs(1));
            let asked = asked.min(self.plan.limits.max_rate_limit_wait).as_millis();
            let until = self.now + u64::try_from(asked).unwrap_or_default();
            self.ledger.closed(id, until);
        }
        let open = match &answer {
            TransportResult::Response(response) => response.status_code() >= 500,
            TransportResult::Failed(error) => error.processed == Processed::Maybe,
            _ => true,
        };
        self.ledger.answered(id, open);
        self.step(Input::Completed(id, answer))
    }
}

/// What a runner does.
impl<D: Disk> World<'_, D> {
    fn step(&mut self, input: Input) -> Goes {
        let input = match self.fault {
            Some(fault) => fault.on_input(input),
            None => Some(input),
        };
        let Some(input) = input.filter(|_| self.program.is_some()) else {
            return Ok(());
        };
        self.line("before a step")?;
        let submits = matches!(input, Input::Submit(_));
        let now = self.clock.saturating_add_unsigned(self.now);
        let now = Timestamp::from_millis(u64::try_from(now).unwrap_or_default());
        let Some(program) = &mut self.program else {
            return Ok(());
        };
        let step = program
            .scheduler
            .step(&mut StepContext::new(now, &mut self.entropy), input);
        let wake_at = step
            .wake_at
            .map(|at| self.now + at.as_millis().saturating_sub(now.as_millis()));
        program.wake_at = match self.fault {
            Some(Fault::WakesAreLost) => None,
            Some(Fault::WakesAreMany) => wake_at.map(|_| self.now + 1),
            _ => wake_at,
        };
        if submits && let Some(Event::Accepted(job_id)) = step.events.first() {
            let last = self.ledger.records.len() - 1;
            self.ledger.has_job_id(last, *job_id);
        }
        // Few jobs, and what is learnt of few servers.
        let footprint = program.scheduler.memory_entries();
        self.ledger.step(self.now, &self.plan.limits, &step)?;
        if footprint > 400 {
            return Ok(broken(
                Rule::Bounds,
                format!("it holds {footprint} places"),
            )?);
        }
        let released = match self.fault {
            Some(Fault::NothingIsWrittenAhead) => {
                let (effects, events) = (step.effects.clone(), step.events.clone());
                let kept = matricula_core::Step {
                    writes: step.writes,
                    ..Default::default()
                };
                let _ = program.write_ahead.push(kept);
                Ready { effects, events }
            }
            _ => program.write_ahead.push(step),
        };
        self.let_out(released)?;
        self.begin_to_write();
        Ok(())
    }

    fn begin_to_write(&mut self) {
        let Some(program) = &mut self.program else {
            return;
        };
        if let Some(patch) = program.write_ahead.next_write() {
            let takes = self.entropy.below(20);
            let step = self.ledger.steps();
            self.later(takes, Happening::Written(self.life, patch, step));
        }
    }

    fn write(&mut self, patch: &WriteBatch, step: u64) -> Goes {
        if self.program.is_none() {
            return Ok(());
        }
        let patch = match self.fault {
            Some(fault) => fault.on_patch(patch),
            None => patch.clone(),
        };
        if let Err(stop) = self.line("before a write") {
            if let Some(half) = self.fault.and_then(|fault| fault.torn(&patch)) {
                let _ = self.disk.write(&half);
                self.disk.sync();
            }
            return Err(stop);
        }
        let is_full = std::mem::take(&mut self.disk_is_full);
        let failed = is_full || self.disk.write(&patch).is_err();
        if failed && self.fault != Some(Fault::FailedWritesAreIgnored) {
            // A runner stops then, and says so; whoever runs it begins again.
            self.saw("full disk");
            return Err(Stop::Crashed(Crash::Kill));
        }
        self.line("between writing and forcing")?;
        if self.fault != Some(Fault::NothingIsForcedToTheDisk) {
            self.disk.sync();
        }
        self.line("after a write")?;
        self.ledger.written(step);
        let Some(program) = &mut self.program else {
            return Ok(());
        };
        let released = program.write_ahead.written();
        self.let_out(released)?;
        self.begin_to_write();
        Ok(())
    }

    fn let_out(&mut self, released: Ready<Effect, Event>) -> Goes {
        for event in &released.events {
            self.line("before an event")?;
            self.tell(event)?;
            if self.fault == Some(Fault::EndsAreDoubled) && matches!(event, Event::Finished(..)) {
                self.tell(event)?;
            }
        }
        for effect in Effect::left_of(released.effects) {
            self.line("before an effect")?;
            match effect {
                Effect::Send(id, job) => {
                    self.ledger.carried_out(number(&job))?;
                    self.report.sends += 1;
                    self.send(id, &job);
                    if self.fault == Some(Fault::RequestsAreDoubled) {
                        self.send(id, &job);
                    }
                }
                Effect::NeedCredential(credential) => self.renew(credential),
                _ => {}
            }
        }
        Ok(())
    }

    fn tell(&mut self, event: &Event) -> Goes {
        self.note(|| format!("{event:?}"));
        self.ledger.told(event)?;
        self.saw(match event {
            Event::Accepted(_) => "accepted",
            Event::Rejected(_) => "not accepted",
            Event::Started { .. } => "started",
            Event::Waiting { .. } => "waiting",
            Event::AwaitingCredential { .. } => "parked",
            Event::Held { .. } => "held",
            _ => "finished",
        });
        if let (Event::Held { queue, .. }, true) = (event, self.calm) {
            let number = queue.rsplit(' ').next().and_then(|it| it.parse().ok());
            self.later(
                100,
                Happening::Act(Action::Skip(number.unwrap_or_default())),
            );
        }
        Ok(())
    }

    fn renew(&mut self, credential: CredentialRef) {
        if self.fault != Some(Fault::RenewalIsLost) {
            let good = self.calm || self.entropy.below(4) > 0;
            self.later(50, Happening::Renewed(self.life, credential, good));
        }
    }
}

/// What the network asks.
impl<D: Disk> World<'_, D> {
    pub(crate) fn later(&mut self, after: u64, what: Happening) {
        self.happenings.add(self.now + after, what);
    }

    pub(crate) fn answer_in(&mut self, after: u64, id: EffectId, answer: TransportResult) {
        self.later(after, Happening::Answered(self.life, id, answer));
    }

    pub(crate) fn next_fate(&mut self) -> Fate {
        match self.fates.next() {
            _ if !self.network => Fate::Refused,
            Some(fate) => fate,
            None => Fate::Answered(10),
        }
    }

    pub(crate) fn token_is_old(&self) -> bool {
        self.token < self.server.token
    }

    pub(crate) fn kind_of(&self, job: &Job) -> Kind {
        self.ledger.records[number(job)].submission.kind
    }

    pub(crate) fn saw(&mut self, what: &'static str) {
        self.seen.insert(what);
    }

    pub(crate) fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.report.trace {
            trace.push(format!("{:>8} ms  {}", self.now, what()));
        }
    }
}
