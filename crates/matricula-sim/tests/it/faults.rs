//! What the checks would not see, they would not show: each fault put in on purpose is caught.

use matricula_sim::{Fault, Memory, Plan, Rule, run};

/// Within so many seeds.
const SOON: u64 = 500;

fn first_caught(fault: Fault) -> Option<(u64, Rule)> {
    (0..SOON).find_map(|seed| {
        let violation = run(&Plan::of(seed), Some(fault), Memory::default()).1;
        violation.err().map(|it| (seed, it.rule))
    })
}

#[test]
fn each_fault_is_caught_within_five_hundred_runs() {
    let uncaught: Vec<_> = Fault::ALL
        .into_iter()
        .filter(|fault| first_caught(*fault).is_none())
        .collect();
    assert!(uncaught.is_empty(), "nobody saw {uncaught:?}");
}

/// A fault that is caught for another reason than its own says little.
#[test]
fn faults_are_caught_by_the_promise_that_they_break() {
    for (fault, rule) in [
        (Fault::NothingIsForcedToTheDisk, Rule::NothingIsLost),
        (Fault::JobsAreLost, Rule::NothingIsLost),
        (Fault::OutcomesAreLost, Rule::NothingIsLost),
        (Fault::SendingIsNotWritten, Rule::EffectsOnce),
        (Fault::TransactionIdsAreNew, Rule::EffectsOnce),
        (Fault::EverythingIsIdempotent, Rule::EffectsOnce),
        (Fault::MaybeIsTakenForNo, Rule::OutcomesAreTrue),
        (Fault::NoIsTakenForMaybe, Rule::OutcomesAreTrue),
        (Fault::PaceIsIgnored, Rule::InPace),
        (Fault::RetryAfterIsIgnored, Rule::InPace),
        (Fault::WakesAreLost, Rule::GoesOn),
        (Fault::WakesAreMany, Rule::WakeUps),
        (Fault::QueuesAreIgnored, Rule::OneOfAQueue),
        (Fault::CancelFutureIsIgnored, Rule::CancelFuture),
        (Fault::HoldIsIgnored, Rule::Held),
        (Fault::PauseIsIgnored, Rule::Paused),
        (Fault::OfflineIsIgnored, Rule::Offline),
        (Fault::RenewalIsLost, Rule::GoesOn),
        (Fault::EndsAreDoubled, Rule::EndsOnce),
    ] {
        let broken: Vec<_> = (0..SOON)
            .filter_map(|seed| {
                let violation = run(&Plan::of(seed), Some(fault), Memory::default()).1;
                violation.err().map(|it| it.rule)
            })
            .collect();
        assert!(
            broken.contains(&rule),
            "{fault} broke {broken:?}, not {rule:?}"
        );
    }
}
