//! A driver drives other machines than a scheduler.

use std::sync::{Arc, mpsc};

use matricula_core::{
    EffectId, Job, Machine, Scheduler, Step, StepContext, StoreError,
    scheduler::{Effect, Event, Input},
};
use matricula_http::{Carry, DrivenMachine, DriverInput, Host, Load};

use super::{Runner, enter, wait_idle};
use crate::{
    PATIENCE,
    disk::{Disk, full},
    get,
    server::{Server, ok},
};

/// Counts the jobs of its scheduler that have ended, in a row of the store.
struct Counter {
    scheduler: Scheduler,
    finished: u64,
}

enum CounterInput {
    Submit(Job),
    Scheduler(Input),
    Loaded(EffectId, Result<Vec<Option<Vec<u8>>>, StoreError>),
}

enum CounterEffect {
    Scheduler(Effect),
    Load(Load),
    /// Left to the host.
    Show(u64, Vec<u8>),
}

impl Machine for Counter {
    type Input = CounterInput;
    type Effect = CounterEffect;
    type Event = Event;

    fn step(
        &mut self,
        cx: &mut StepContext<'_>,
        input: CounterInput,
    ) -> Step<CounterEffect, Event> {
        let input = match input {
            CounterInput::Submit(job) => Input::Submit(Arc::new(job)),
            CounterInput::Scheduler(input) => input,
            CounterInput::Loaded(id, rows) => {
                let row = rows.unwrap().remove(0).unwrap();
                return Step {
                    effects: vec![CounterEffect::Show(id.0, row)],
                    ..Step::default()
                };
            }
        };
        let inner = self.scheduler.step(cx, input);
        let mut step = Step {
            writes: inner.writes,
            effects: Vec::new(),
            events: inner.events,
            wake_at: inner.wake_at,
        };
        let effects = inner.effects.into_iter();
        step.effects.extend(effects.map(CounterEffect::Scheduler));
        for event in &step.events {
            if let Event::Finished(..) = event {
                self.finished += 1;
                let text = self.finished.to_string();
                step.writes.put("counter", "finished", text);
                // Read after the write of this step is durable.
                step.effects.push(CounterEffect::Load(Load {
                    id: EffectId(self.finished),
                    keys: vec![("counter".to_owned(), "finished".to_owned())],
                }));
            }
        }
        step
    }
}

impl DrivenMachine for Counter {
    fn carry(effect: CounterEffect) -> Carry<CounterEffect> {
        match effect {
            CounterEffect::Scheduler(effect) => match Scheduler::carry(effect) {
                Carry::Send(id, job) => Carry::Send(id, job),
                Carry::Abort(id) => Carry::Abort(id),
                Carry::NeedCredential(credential) => Carry::NeedCredential(credential),
                other => panic!("{other:?}"),
            },
            CounterEffect::Load(load) => Carry::Load(load),
            show => Carry::Host(show),
        }
    }

    fn input(report: DriverInput) -> Option<CounterInput> {
        match report {
            DriverInput::Loaded(id, rows) => Some(CounterInput::Loaded(id, rows)),
            report => Scheduler::input(report).map(CounterInput::Scheduler),
        }
    }
}

#[derive(Debug, PartialEq)]
enum Seen {
    Finished,
    Shown(u64, Vec<u8>),
    Failed(StoreError),
}

struct Recorder(mpsc::Sender<Seen>);

impl Host<Counter> for Recorder {
    fn event(&mut self, event: Event) {
        if let Event::Finished(_, outcome) = event {
            assert!(outcome.success(), "{outcome:?}");
            self.0.send(Seen::Finished).unwrap();
        }
    }

    fn effect(&mut self, effect: CounterEffect) {
        let CounterEffect::Show(id, row) = effect else {
            panic!("an effect of the driver")
        };
        self.0.send(Seen::Shown(id, row)).unwrap();
    }

    fn store_failed(&mut self, error: &StoreError) {
        self.0.send(Seen::Failed(error.clone())).unwrap();
    }
}

fn counter() -> Counter {
    Counter {
        scheduler: Scheduler::default(),
        finished: 0,
    }
}

#[test]
fn driver_runs_machine_with_scheduler() {
    let _context = enter();
    let server = Server::start([ok(), ok()]);
    let disk = Disk::default();
    let (sender, seen) = mpsc::channel();
    let builder = Runner::builder().store(disk.clone());
    let driver = builder.drive(counter(), Recorder(sender));
    for number in [1, 2] {
        driver.input(CounterInput::Submit(get(&server.url)));
        assert_eq!(seen.recv_timeout(PATIENCE), Ok(Seen::Finished));
        let row = number.to_string().into_bytes();
        let shown = seen.recv_timeout(PATIENCE);
        assert_eq!(shown, Ok(Seen::Shown(number, row)));
    }
    wait_idle(&driver);
    assert_eq!(driver.with_machine(|counter| counter.finished), 2);
    assert_eq!(disk.keys("counter"), 1);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn driver_stops_after_store_error() {
    let _context = enter();
    let server = Server::start([ok()]);
    let disk = Disk::default();
    disk.set(|gate| gate.is_full = true);
    let (sender, seen) = mpsc::channel();
    let builder = Runner::builder().store(disk);
    let driver = builder.drive(counter(), Recorder(sender));
    driver.input(CounterInput::Submit(get(&server.url)));
    assert_eq!(seen.recv_timeout(PATIENCE), Ok(Seen::Failed(full())));
    assert_eq!(driver.store_error(), Some(full()));
    driver.input(CounterInput::Submit(get(&server.url)));
    wait_idle(&driver);
    assert_eq!(server.requests().len(), 1, "nothing is sent after that");
}
