//! The scheduler as it is keeps what it promises, whatever happens.

use std::collections::BTreeSet;

use matricula_sim::{Memory, Plan, run, trace};

/// Everything that a run can come to: without it, what follows from it would not be looked at.
const EVERYTHING: [&str; 33] = [
    // Where the program ends.
    "before a step",
    "before a write",
    "between writing and forcing",
    "after a write",
    "before an event",
    "before an effect",
    "full disk",
    "kill",
    "power cut",
    // What becomes of a request.
    "answered",
    "refused",
    "lost before",
    "lost after",
    "late",
    "answered twice",
    "arrives twice",
    "limited",
    "gateway after",
    "gateway before",
    "html",
    "forbidden",
    "unknown token",
    // What is told.
    "accepted",
    "not accepted",
    "started",
    "waiting",
    "parked",
    "held",
    "finished",
    // How a job ends.
    "failed",
    "in doubt",
    "cancelled",
    "done with an error",
];

#[test]
fn two_thousand_runs_break_no_promise_and_come_to_everything() {
    let mut seen = BTreeSet::new();
    for seed in 0..2_000 {
        let (report, result) = run(&Plan::of(seed), None, Memory::default());
        if let Err(violation) = result {
            panic!("{violation}\nagain: cargo run -p matricula-sim -- --seed {seed}");
        }
        seen.extend(report.seen);
    }
    for what in EVERYTHING {
        assert!(seen.contains(what), "no run came to {what:?}: {seen:?}");
    }
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    for seed in 0..50 {
        let plan = Plan::of(seed);
        let (first, again) = (trace(&plan, None).0, trace(&plan, None).0);
        assert_eq!(first.trace, again.trace, "seed {seed}");
        assert_eq!(first.lines, again.lines, "seed {seed}");
    }
}
