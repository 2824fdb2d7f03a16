//! A failing plan is reduced to a minimal one.

use matricula_sim::{Fault, MemoryDisk, Plan, run, shrink, trace};

fn parts(plan: &Plan) -> usize {
    plan.actions.len() + plan.fates.len() + plan.crashes.len()
}

#[test]
fn shrunk_plan_violates_the_same_invariant() {
    let fault = Some(Fault::SentNotWritten);
    let fails = |seed: &u64| {
        run(&Plan::from_seed(*seed), fault, MemoryDisk::default())
            .1
            .is_err()
    };
    let seed = (0..500).find(fails).expect("the fault is detected");
    let plan = Plan::from_seed(seed);
    let before = run(&plan, fault, MemoryDisk::default()).1.unwrap_err();
    let small = shrink(&plan, fault);
    let (report, after) = trace(&small, fault);
    assert_eq!(after.unwrap_err().invariant, before.invariant);
    assert!(parts(&small) < parts(&plan), "{plan}\n{small}");
    assert!(small.smaller().all(|plan| {
        let smaller = run(&plan, fault, MemoryDisk::default()).1;
        smaller.err().map(|it| it.invariant) != Some(before.invariant)
    }));
    // Without the fault, the plan does not fail.
    assert_eq!(run(&small, None, MemoryDisk::default()).1, Ok(()));
    let trace_text = report.trace.unwrap().join("\n");
    assert!(
        trace_text.contains("is sent:") && trace_text.contains("Accepted"),
        "{trace_text}"
    );
}
