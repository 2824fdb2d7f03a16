//! Runs the scheduler through crashes and a hostile network on a virtual clock, and checks what it
//! promises.
//!
//! A [`Plan`] is drawn from a seed: what a program does, what becomes of each request, and where the
//! program is killed or the power cut. [`run`] plays it against the real scheduler and the real
//! write-ahead, with a disk, a network and a server that are models, and compares at every step what
//! happens with what was promised ([`Rule`]). A seed that fails is made as small as it goes by
//! [`shrink`]. That the checks see is shown by [`Fault`]s put in on purpose.

mod disk;
mod fault;
mod happenings;
mod jobs;
mod ledger;
mod network;
mod plan;
mod server;
mod verdict;
mod world;

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

pub use disk::{Disk, Memory};
pub use fault::Fault;
pub use ledger::{Rule, Violation};
pub use plan::{Action, Crash, Fate, Kind, Plan, Said, Submission};

/// What came of one run.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Lines that the program came to, at each of which it could have ended.
    pub lines: u64,
    /// Everything that happened, in the program and around it.
    pub happenings: u64,
    /// Requests on the wire.
    pub sends: u64,
    /// Answers that arrived.
    pub answers: u64,
    /// How often the scheduler was woken.
    pub wakes: u64,
    /// What was seen, by name: places of crashes, fates, events, outcomes.
    pub seen: BTreeSet<&'static str>,
    /// What happened, in order, if that was asked for.
    pub trace: Option<Vec<String>>,
}

/// Runs a plan on this disk, with a fault put in or none.
///
/// # Errors
/// The first promise that was not kept.
pub fn run<D: Disk>(plan: &Plan, fault: Option<Fault>, disk: D) -> (Report, Result<(), Violation>) {
    play(plan, fault, disk, false)
}

/// The same on a disk in memory, telling what happens.
pub fn trace(plan: &Plan, fault: Option<Fault>) -> (Report, Result<(), Violation>) {
    play(plan, fault, Memory::default(), true)
}

fn play<D: Disk>(
    plan: &Plan,
    fault: Option<Fault>,
    disk: D,
    is_told: bool,
) -> (Report, Result<(), Violation>) {
    let world = world::World::new(plan, fault, disk, is_told);
    catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|_| {
        let panicked = Violation {
            rule: Rule::DoesNotPanic,
            what: "a step panicked".to_owned(),
        };
        (Report::default(), Err(panicked))
    })
}

/// The smallest plan found that breaks the same promise.
pub fn shrink(plan: &Plan, fault: Option<Fault>) -> Plan {
    let rule_of = |plan: &Plan| {
        run(plan, fault, Memory::default())
            .1
            .err()
            .map(|it| it.rule)
    };
    let (rule, mut smallest) = (rule_of(plan), plan.clone());
    loop {
        let mut smaller = smallest.smaller();
        let Some(next) = smaller.find(|plan| rule_of(plan) == rule) else {
            break;
        };
        drop(smaller);
        smallest = next;
    }
    smallest
}
