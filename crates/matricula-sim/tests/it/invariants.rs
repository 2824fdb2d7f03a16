//! The scheduler keeps its invariants in every run.

use std::collections::BTreeSet;

use matricula_sim::{MemoryDisk, Plan, run, trace};

/// Everything that the runs must cover.
const COVERAGE: [&str; 35] = [
    // Crashes.
    "before a step",
    "before a write",
    "between write and sync",
    "after a write",
    "before an event",
    "before an effect",
    "full disk",
    "kill",
    "power cut",
    // Fates of requests.
    "responded",
    "connection refused",
    "request lost",
    "response lost",
    "processed late",
    "duplicate result",
    "duplicate request",
    "rate-limited",
    "gateway error after",
    "gateway error before",
    "html",
    "forbidden",
    "matrix error after",
    "matrix error before",
    "unknown token",
    // Events.
    "accepted",
    "rejected",
    "started",
    "waiting",
    "awaiting credential",
    "held",
    "finished",
    // Outcomes.
    "failed",
    "in doubt",
    "cancelled",
    "error response",
];

#[test]
fn two_thousand_runs_cover_everything() {
    let mut covered = BTreeSet::new();
    for seed in 0..2_000 {
        let (report, result) = run(&Plan::from_seed(seed), None, MemoryDisk::default());
        if let Err(violation) = result {
            panic!("{violation}\nto repeat: cargo run -p matricula-sim -- --seed {seed}");
        }
        covered.extend(report.coverage);
    }
    for what in COVERAGE {
        assert!(
            covered.contains(what),
            "not covered: {what:?} of {covered:?}"
        );
    }
}

#[test]
fn a_seed_reproduces_its_run() {
    for seed in 0..50 {
        let plan = Plan::from_seed(seed);
        let (first, second) = (trace(&plan, None).0, trace(&plan, None).0);
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first.crash_points, second.crash_points, "seed {seed}");
    }
}
