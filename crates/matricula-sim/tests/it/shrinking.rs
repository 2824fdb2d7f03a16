//! A run that fails is shown as small as it goes.

use matricula_sim::{Fault, Memory, Plan, run, shrink, trace};

fn parts(plan: &Plan) -> usize {
    plan.actions.len() + plan.fates.len() + plan.crashes.len()
}

#[test]
fn a_run_that_fails_is_made_small_and_breaks_the_same_promise() {
    let fault = Some(Fault::SendingIsNotWritten);
    let fails = |seed: &u64| run(&Plan::of(*seed), fault, Memory::default()).1.is_err();
    let seed = (0..500).find(fails).expect("the fault is caught");
    let plan = Plan::of(seed);
    let before = run(&plan, fault, Memory::default()).1.unwrap_err();
    let small = shrink(&plan, fault);
    let (report, after) = trace(&small, fault);
    assert_eq!(after.unwrap_err().rule, before.rule);
    assert!(parts(&small) < parts(&plan), "{plan}\n{small}");
    assert!(small.smaller().all(|plan| {
        let smaller = run(&plan, fault, Memory::default()).1;
        smaller.err().map(|it| it.rule) != Some(before.rule)
    }));
    // Without the fault, the same is no failure.
    assert_eq!(run(&small, None, Memory::default()).1, Ok(()));
    let told = report.trace.unwrap().join("\n");
    assert!(
        told.contains("goes:") && told.contains("Accepted"),
        "{told}"
    );
}
