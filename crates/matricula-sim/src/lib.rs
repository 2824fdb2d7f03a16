//! Seeded simulation of the scheduler: crashes, power cuts and a hostile network on a virtual clock.
//!
//! A [`Plan`] is generated from a seed: what a program does, what happens to each request, and where the
//! program crashes or the power fails. [`run`] executes it with the real scheduler and the real
//! write-ahead, and with models of disk, network and server. It checks the [`Invariant`]s at every step.
//! [`shrink`] reduces a failing plan to a minimal one. Injected [`Fault`]s show that the checks detect them.

mod disk;
mod event_queue;
mod fault;
mod final_checks;
mod jobs;
mod network;
mod oracle;
mod plan;
mod server;
mod simulation;

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

pub use disk::{Disk, MemoryDisk};
pub use fault::Fault;
pub use oracle::{Invariant, Violation};
pub use plan::{Action, Crash, Fate, JobKind, Plan, RetryAfterIn, Submission};

/// Statistics of a run.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Crash points that were passed: places where the program could have crashed.
    pub crash_points: u64,
    /// Events of the simulation.
    pub events: u64,
    /// Requests that were sent.
    pub sends: u64,
    /// Results that were reported to the program.
    pub results: u64,
    /// How often the scheduler was woken.
    pub wakes: u64,
    /// What was covered, by name: crash points, fates, events, outcomes.
    pub coverage: BTreeSet<&'static str>,
    /// What happened, in order, if the run was traced.
    pub trace: Option<Vec<String>>,
}

/// Runs a plan on this disk, optionally with an injected fault.
///
/// # Errors
/// The first invariant that was violated.
pub fn run<D: Disk>(plan: &Plan, fault: Option<Fault>, disk: D) -> (Report, Result<(), Violation>) {
    simulate(plan, fault, disk, false)
}

/// The same on a disk in memory, with a trace.
pub fn trace(plan: &Plan, fault: Option<Fault>) -> (Report, Result<(), Violation>) {
    simulate(plan, fault, MemoryDisk::default(), true)
}

fn simulate<D: Disk>(
    plan: &Plan,
    fault: Option<Fault>,
    disk: D,
    is_traced: bool,
) -> (Report, Result<(), Violation>) {
    let simulation = simulation::Simulation::new(plan, fault, disk, is_traced);
    catch_unwind(AssertUnwindSafe(|| simulation.run())).unwrap_or_else(|_| {
        let panicked = Violation {
            invariant: Invariant::NoPanic,
            what: "a step panicked".to_owned(),
        };
        (Report::default(), Err(panicked))
    })
}

/// The smallest plan found that violates the same invariant.
pub fn shrink(plan: &Plan, fault: Option<Fault>) -> Plan {
    let invariant_of = |plan: &Plan| {
        run(plan, fault, MemoryDisk::default())
            .1
            .err()
            .map(|it| it.invariant)
    };
    let (invariant, mut smallest) = (invariant_of(plan), plan.clone());
    loop {
        let mut smaller = smallest.smaller();
        let Some(next) = smaller.find(|plan| invariant_of(plan) == invariant) else {
            break;
        };
        drop(smaller);
        smallest = next;
    }
    smallest
}
