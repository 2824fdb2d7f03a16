//! Each injected fault is detected.

use matricula_sim::{Fault, Invariant, MemoryDisk, Plan, run};

/// Seeds per fault.
const SEEDS: u64 = 500;

fn first_detected(fault: Fault) -> Option<(u64, Invariant)> {
    (0..SEEDS).find_map(|seed| {
        let violation = run(&Plan::from_seed(seed), Some(fault), MemoryDisk::default()).1;
        violation.err().map(|it| (seed, it.invariant))
    })
}

#[test]
fn each_fault_is_detected() {
    let undetected: Vec<_> = Fault::ALL
        .into_iter()
        .filter(|fault| first_detected(*fault).is_none())
        .collect();
    assert!(undetected.is_empty(), "not detected: {undetected:?}");
}

#[test]
fn each_fault_violates_its_invariant() {
    for (fault, invariant) in [
        (Fault::NoSync, Invariant::NothingIsLost),
        (Fault::LostJobs, Invariant::NothingIsLost),
        (Fault::LostOutcomes, Invariant::NothingIsLost),
        (Fault::SentNotWritten, Invariant::EffectsOnce),
        (Fault::NewTransactionIds, Invariant::EffectsOnce),
        (Fault::AllIdempotent, Invariant::EffectsOnce),
        (Fault::MaybeAsNo, Invariant::OutcomesAreTrue),
        (Fault::NoAsMaybe, Invariant::OutcomesAreTrue),
        (Fault::IgnoredRateLimit, Invariant::RateLimit),
        (Fault::IgnoredRetryAfter, Invariant::RateLimit),
        (Fault::LostWakes, Invariant::Progress),
        (Fault::ExcessiveWakes, Invariant::BoundedWakes),
        (Fault::IgnoredQueues, Invariant::OnePerQueue),
        (Fault::IgnoredCancelFuture, Invariant::CancelFuture),
        (Fault::IgnoredHold, Invariant::Held),
        (Fault::IgnoredPause, Invariant::Paused),
        (Fault::IgnoredOffline, Invariant::Offline),
        (Fault::LostRenewal, Invariant::Progress),
        (Fault::DoubledOutcomes, Invariant::EndsOnce),
    ] {
        let violated_invariants: Vec<_> = (0..SEEDS)
            .filter_map(|seed| {
                let violation = run(&Plan::from_seed(seed), Some(fault), MemoryDisk::default()).1;
                violation.err().map(|it| it.invariant)
            })
            .collect();
        assert!(
            violated_invariants.contains(&invariant),
            "{fault} violated {violated_invariants:?}, not {invariant:?}"
        );
    }
}
