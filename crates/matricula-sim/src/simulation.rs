//! One run: a program with a scheduler, and models of disk, network, server and clock.

use std::{collections::BTreeSet, time::Duration};

use matricula_core::{
    CredentialRef, EffectId, Entropy, Job, Machine, Processed, Ready, Scheduler, SeededEntropy,
    ServerUrl, StepContext, Timestamp, TransportResult, WriteAhead, WriteBatch,
    scheduler::{Effect, Event, Input, JobId, JobStatus, Outcome},
};

use crate::{
    Disk, Fault, Plan, Report,
    event_queue::{EventQueue, SimEvent},
    final_checks,
    jobs::{job, server_url},
    oracle::{Invariant, Oracle, Violation, number, queue_name, violated},
    plan::{Action, Crash, Fate, JobKind, QUEUES, Submission},
    server::Server,
};

/// What stops a program, or the run.
pub(crate) enum Stop {
    Crashed(Crash),
    Violated(Violation),
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Self {
        Self::Violated(violation)
    }
}

type Flow = Result<(), Stop>;

/// A running program.
struct Program {
    scheduler: Scheduler,
    write_ahead: WriteAhead<Effect, Event>,
    /// When it is woken, by simulated time.
    wake_at: Option<u64>,
}

pub(crate) struct Simulation<'a, D> {
    plan: &'a Plan,
    fault: Option<Fault>,
    disk: D,
    /// Simulated time: milliseconds since the start.
    now: u64,
    /// The offset of the program's clock, which may be set.
    clock_offset: i64,
    events: EventQueue,
    program: Option<Program>,
    /// How often the program was started.
    incarnation: u32,
    /// How many crash points it passed.
    crash_points: u64,
    crashes: std::iter::Peekable<std::vec::IntoIter<(u64, Crash)>>,
    fates: std::vec::IntoIter<Fate>,
    is_online: bool,
    disk_is_full: bool,
    faults_over: bool,
    /// The token that the program has.
    token: u32,
    server: Server,
    server_url: ServerUrl,
    oracle: Oracle,
    entropy: SeededEntropy,
    report: Report,
    coverage: BTreeSet<&'static str>,
}

/// The clock starts long after the epoch, so that it can be set back.
const CLOCK_START: i64 = 1 << 40;
/// The maximum number of events in a run.
const MAX_EVENTS: u64 = 20_000;
/// How long faults go on after the last action, in milliseconds.
const FAULT_PERIOD: u64 = 120_000;

impl<'a, D: Disk> Simulation<'a, D> {
    pub(crate) fn new(plan: &'a Plan, fault: Option<Fault>, disk: D, is_traced: bool) -> Self {
        let mut events = EventQueue::default();
        for (at, action) in &plan.actions {
            events.add(*at, SimEvent::Action(*action));
        }
        let last = plan.actions.last().map_or(0, |(at, _)| *at);
        events.add(last + FAULT_PERIOD, SimEvent::FaultsEnd);
        let report = Report {
            trace: is_traced.then(Vec::new),
            ..Report::default()
        };
        Self {
            plan,
            fault,
            disk,
            now: 0,
            clock_offset: CLOCK_START,
            events,
            program: None,
            incarnation: 0,
            crash_points: 0,
            crashes: plan.crashes.clone().into_iter().peekable(),
            fates: plan.fates.clone().into_iter(),
            is_online: true,
            disk_is_full: false,
            faults_over: false,
            token: 0,
            server: Server::default(),
            server_url: server_url(),
            oracle: Oracle::default(),
            entropy: SeededEntropy::new(!plan.seed),
            report,
            coverage: BTreeSet::new(),
        }
    }

    pub(crate) fn run(mut self) -> (Report, Result<(), Violation>) {
        let result = self.run_events();
        self.report.crash_points = self.crash_points;
        self.report.coverage = self.coverage;
        (self.report, result)
    }

    fn run_events(&mut self) -> Result<(), Violation> {
        self.catch_crash(Self::start_program)?;
        loop {
            let wake_at = self.program.as_ref().and_then(|it| it.wake_at);
            let next = match (self.events.next_at(), wake_at) {
                (None, None) => break,
                (Some(at), Some(wake)) if wake < at => None,
                (None, Some(_)) => None,
                (Some(at), _) => Some(at),
            };
            self.report.events += 1;
            if self.report.events > MAX_EVENTS {
                return violated(Invariant::Progress, "the run does not end");
            }
            match next {
                None => {
                    self.now = self.now.max(wake_at.unwrap_or_default());
                    self.catch_crash(Self::wake)?;
                }
                Some(at) => {
                    self.now = self.now.max(at);
                    if let Some(what) = self.events.take() {
                        self.catch_crash(|simulation| simulation.handle(what))?;
                    }
                }
            }
        }
        self.final_checks()
    }

    fn final_checks(&mut self) -> Result<(), Violation> {
        final_checks::check_outcomes(&self.oracle, &self.server)?;
        for record in &self.oracle.records {
            self.coverage.insert(match &record.end {
                Some(Outcome::Responded(response)) if response.success() => "success",
                Some(Outcome::Responded(_)) => "error response",
                Some(Outcome::Failed(_)) => "failed",
                Some(Outcome::InDoubt(_)) => "in doubt",
                Some(_) => "cancelled",
                None => "unknown",
            });
        }
        match &self.program {
            Some(program) => {
                final_checks::check_nothing_left(&program.scheduler, &self.disk.entries())
            }
            None => violated(Invariant::Progress, "the program was not restarted"),
        }
    }

    /// Does something. If the program crashes, schedules its restart.
    fn catch_crash(&mut self, what: impl FnOnce(&mut Self) -> Flow) -> Result<(), Violation> {
        match what(self) {
            Ok(()) => Ok(()),
            Err(Stop::Violated(violation)) => Err(violation),
            Err(Stop::Crashed(crash)) => {
                self.log(|| format!("{crash:?}"));
                self.cover(match crash {
                    Crash::Kill => "kill",
                    Crash::PowerCut => "power cut",
                });
                self.program = None;
                self.disk.crash(crash);
                self.oracle.crashed();
                self.schedule(1_000, SimEvent::Restart);
                Ok(())
            }
        }
    }

    /// A place where the program may crash.
    fn crash_point(&mut self, place: &'static str) -> Flow {
        self.crash_points += 1;
        let here = self.crashes.next_if(|(line, _)| *line <= self.crash_points);
        match here {
            None => Ok(()),
            Some((_, crash)) => {
                self.cover(place);
                Err(Stop::Crashed(crash))
            }
        }
    }

    fn handle(&mut self, what: SimEvent) -> Flow {
        match what {
            SimEvent::Action(action) => self.act(action),
            SimEvent::RequestArrived(job) => {
                let kind = self.kind_of(&job);
                self.server.process(number(&job), kind, &job, self.now);
                Ok(())
            }
            SimEvent::Completed(incarnation, id, result) if incarnation == self.incarnation => {
                self.completed(id, result)
            }
            SimEvent::Written(incarnation, batch, step) if incarnation == self.incarnation => {
                self.write(&batch, step)
            }
            SimEvent::CredentialRenewed(incarnation, credential, good)
                if incarnation == self.incarnation =>
            {
                if good {
                    self.token = self.server.token;
                    return self.step(Input::CredentialReady(credential));
                }
                self.step(Input::CredentialRefused(credential))
            }
            SimEvent::Restart => self.start_program(),
            SimEvent::FaultsEnd => self.end_faults(),
            _ => Ok(()),
        }
    }

    fn start_program(&mut self) -> Flow {
        self.incarnation += 1;
        let mut entries = self.disk.entries();
        if let Some(fault) = self.fault.filter(|_| self.incarnation > 1) {
            fault.on_entries(&mut entries);
        }
        let borrowed = entries.iter();
        let borrowed = borrowed.map(|(table, key, value)| (&**table, &**key, &**value));
        let scheduler = match Scheduler::restore(self.plan.config.clone(), borrowed) {
            Ok(scheduler) => scheduler,
            Err(error) => return Ok(violated(Invariant::NothingIsLost, error.to_string())?),
        };
        self.log(|| format!("the program starts with {} jobs", scheduler.len()));
        self.oracle.restored(&scheduler, &entries)?;
        self.program = Some(Program {
            scheduler,
            write_ahead: WriteAhead::default(),
            wake_at: None,
        });
        self.step(Input::Resume)?;
        if self.faults_over {
            self.end_faults()?;
        }
        Ok(())
    }

    /// Ends all faults: every job must end from now on.
    fn end_faults(&mut self) -> Flow {
        self.faults_over = true;
        self.is_online = true;
        self.fates = Vec::new().into_iter();
        self.act(Action::Online(true))?;
        for queue in 0..QUEUES {
            self.act(Action::Resume(queue))?;
            self.act(Action::Skip(queue))?;
        }
        Ok(())
    }

    fn wake(&mut self) -> Flow {
        self.report.wakes += 1;
        let expected = self.report.sends + self.report.results + self.plan.actions.len() as u64;
        if self.report.wakes > 4 * expected + 40 {
            return Ok(violated(
                Invariant::BoundedWakes,
                format!("{} wake-ups", self.report.wakes),
            )?);
        }
        self.step(Input::Wake)
    }
}

/// The program.
impl<D: Disk> Simulation<'_, D> {
    fn act(&mut self, action: Action) -> Flow {
        match action {
            Action::RevokeToken => self.server.token += 1,
            Action::FillDisk => self.disk_is_full = true,
            Action::SetClock(by) => self.clock_offset = self.clock_offset.saturating_add(by).max(0),
            Action::Online(online) => self.is_online = online,
            Action::Submit(submission) => self.oracle.submitted(submission),
            _ => {}
        }
        if self.program.is_none() {
            return Ok(());
        }
        self.log(|| format!("{action:?}"));
        match action {
            Action::Submit(submission) => self.submit(submission),
            Action::Cancel(number) => match self.oracle.job_id(number) {
                Some(job_id) => self.cancel(job_id),
                None => Ok(()),
            },
            Action::DropOutcome(number) => match self.oracle.drop_outcome(number) {
                Some(job_id) => self.step(Input::DropOutcome(job_id)),
                None => Ok(()),
            },
            Action::Pause(queue) => {
                self.oracle.paused(queue, true);
                self.step(Input::PauseQueue(queue_name(queue)))
            }
            Action::Resume(queue) => {
                self.oracle.paused(queue, false);
                self.step(Input::ResumeQueue(queue_name(queue)))
            }
            Action::Retry(queue) => {
                self.oracle.hold_released(queue, true);
                self.step(Input::RetryHead(queue_name(queue)))
            }
            Action::Skip(queue) => {
                self.oracle.hold_released(queue, false);
                if let Some(head) = self.held_head(queue) {
                    self.oracle.ended_by_program(head);
                }
                self.step(Input::SkipHead(queue_name(queue)))
            }
            Action::Online(online) => {
                self.oracle.set_online(online);
                self.step(Input::SetOnline(online))
            }
            Action::SetClock(_) | Action::RevokeToken | Action::FillDisk => Ok(()),
        }
    }

    fn submit(&mut self, submission: Submission) -> Flow {
        let job = job(&self.server_url, self.oracle.records.len() - 1, submission);
        let job = match self.fault {
            Some(fault) => fault.on_job(job),
            None => job,
        };
        self.step(Input::Submit(job.into()))
    }

    fn cancel(&mut self, job_id: JobId) -> Flow {
        if self.fault == Some(Fault::LostCancel) {
            let program = self.program.as_ref();
            let job = program.and_then(|program| program.scheduler.job(job_id));
            return match job {
                Some(_) => self.report_event(&Event::Finished(job_id, Outcome::Cancelled)),
                None => Ok(()),
            };
        }
        self.oracle.ended_by_program(job_id);
        // Cancelling the head of a held queue releases the queue.
        for queue in 0..QUEUES {
            if self.held_head(queue) == Some(job_id) {
                self.oracle.hold_released(queue, false);
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

    fn completed(&mut self, id: EffectId, result: TransportResult) -> Flow {
        if self.program.is_none() {
            return Ok(());
        }
        self.report.results += 1;
        if let TransportResult::Response(response) = &result
            && response.status_code() == 429
            && !self.plan.sets_clock()
        {
            let asked = response.retry_after().unwrap_or(Duration::from_secs(1));
            let asked = asked.min(self.plan.config.max_rate_limit_wait).as_millis();
            let until = self.now + u64::try_from(asked).unwrap_or_default();
            self.oracle.rate_limited(id, until);
        }
        let open = match &result {
            TransportResult::Response(response) => response.status_code() >= 500,
            TransportResult::Failed(error) => error.processed == Processed::Maybe,
            _ => true,
        };
        self.oracle.completed(id, open);
        self.step(Input::Completed(id, result))
    }
}

/// The runner.
impl<D: Disk> Simulation<'_, D> {
    fn step(&mut self, input: Input) -> Flow {
        let input = match self.fault {
            Some(fault) => fault.on_input(input),
            None => Some(input),
        };
        let Some(input) = input.filter(|_| self.program.is_some()) else {
            return Ok(());
        };
        self.crash_point("before a step")?;
        let submits = matches!(input, Input::Submit(_));
        let now = self.clock_offset.saturating_add_unsigned(self.now);
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
            Some(Fault::LostWakes) => None,
            Some(Fault::ExcessiveWakes) => wake_at.map(|_| self.now + 1),
            _ => wake_at,
        };
        if submits && let Some(Event::Accepted(job_id)) = step.events.first() {
            let last = self.oracle.records.len() - 1;
            self.oracle.set_job_id(last, *job_id);
        }
        // There are few jobs and one server.
        let entries = program.scheduler.memory_entries();
        self.oracle.step(self.now, &self.plan.config, &step)?;
        if entries > 400 {
            return Ok(violated(
                Invariant::Bounds,
                format!("the scheduler has {entries} entries"),
            )?);
        }
        let ready = match self.fault {
            Some(Fault::NoWriteAhead) => {
                let (effects, events) = (step.effects.clone(), step.events.clone());
                let writes_only = matricula_core::Step {
                    writes: step.writes,
                    ..Default::default()
                };
                let _ = program.write_ahead.push(writes_only);
                Ready { effects, events }
            }
            _ => program.write_ahead.push(step),
        };
        self.release(ready)?;
        self.start_write();
        Ok(())
    }

    fn start_write(&mut self) {
        let Some(program) = &mut self.program else {
            return;
        };
        if let Some(batch) = program.write_ahead.next_write() {
            let takes = self.entropy.below(20);
            let step = self.oracle.steps();
            self.schedule(takes, SimEvent::Written(self.incarnation, batch, step));
        }
    }

    fn write(&mut self, batch: &WriteBatch, step: u64) -> Flow {
        if self.program.is_none() {
            return Ok(());
        }
        let batch = match self.fault {
            Some(fault) => fault.on_write(batch),
            None => batch.clone(),
        };
        if let Err(stop) = self.crash_point("before a write") {
            if let Some(half) = self.fault.and_then(|fault| fault.torn(&batch)) {
                let _ = self.disk.write(&half);
                self.disk.sync();
            }
            return Err(stop);
        }
        let is_full = std::mem::take(&mut self.disk_is_full);
        let failed = is_full || self.disk.write(&batch).is_err();
        if failed && self.fault != Some(Fault::IgnoredWriteErrors) {
            // A runner stops after a failed write, and the program is restarted.
            self.cover("full disk");
            return Err(Stop::Crashed(Crash::Kill));
        }
        self.crash_point("between write and sync")?;
        if self.fault != Some(Fault::NoSync) {
            self.disk.sync();
        }
        self.crash_point("after a write")?;
        self.oracle.written(step);
        let Some(program) = &mut self.program else {
            return Ok(());
        };
        let ready = program.write_ahead.written();
        self.release(ready)?;
        self.start_write();
        Ok(())
    }

    fn release(&mut self, ready: Ready<Effect, Event>) -> Flow {
        for event in &ready.events {
            self.crash_point("before an event")?;
            self.report_event(event)?;
            if self.fault == Some(Fault::DoubledOutcomes) && matches!(event, Event::Finished(..)) {
                self.report_event(event)?;
            }
        }
        for effect in Effect::without_aborted(ready.effects) {
            self.crash_point("before an effect")?;
            match effect {
                Effect::Send(id, job) => {
                    self.oracle.carrying_out(number(&job))?;
                    self.report.sends += 1;
                    self.send(id, &job);
                    if self.fault == Some(Fault::DoubledRequests) {
                        self.send(id, &job);
                    }
                }
                Effect::NeedCredential(credential) => self.renew(credential),
                _ => {}
            }
        }
        Ok(())
    }

    fn report_event(&mut self, event: &Event) -> Flow {
        self.log(|| format!("{event:?}"));
        self.oracle.reported(event)?;
        self.cover(match event {
            Event::Accepted(_) => "accepted",
            Event::Rejected(_) => "rejected",
            Event::Started { .. } => "started",
            Event::Waiting { .. } => "waiting",
            Event::AwaitingCredential { .. } => "awaiting credential",
            Event::Held { .. } => "held",
            _ => "finished",
        });
        if let Event::Held { queue, .. } = event
            && self.faults_over
            && let Some(number) = (0..QUEUES).find(|number| queue_name(*number) == *queue)
        {
            self.schedule(100, SimEvent::Action(Action::Skip(number)));
        }
        Ok(())
    }

    fn renew(&mut self, credential: CredentialRef) {
        if self.fault != Some(Fault::LostRenewal) {
            let good = self.faults_over || self.entropy.below(4) > 0;
            self.schedule(
                50,
                SimEvent::CredentialRenewed(self.incarnation, credential, good),
            );
        }
    }
}

/// Helpers of the models.
impl<D: Disk> Simulation<'_, D> {
    pub(crate) fn schedule(&mut self, after: u64, what: SimEvent) {
        self.events.add(self.now + after, what);
    }

    pub(crate) fn complete_after(&mut self, after: u64, id: EffectId, result: TransportResult) {
        self.schedule(after, SimEvent::Completed(self.incarnation, id, result));
    }

    pub(crate) fn next_fate(&mut self) -> Fate {
        match self.fates.next() {
            _ if !self.is_online => Fate::ConnectionRefused,
            Some(fate) => fate,
            None => Fate::Responded(10),
        }
    }

    pub(crate) fn token_is_old(&self) -> bool {
        self.token < self.server.token
    }

    pub(crate) fn kind_of(&self, job: &Job) -> JobKind {
        self.oracle.records[number(job)].submission.kind
    }

    pub(crate) fn cover(&mut self, what: &'static str) {
        self.coverage.insert(what);
    }

    pub(crate) fn log(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.report.trace {
            trace.push(format!("{:>8} ms  {}", self.now, what()));
        }
    }
}
