//! What follows from a step waits until what it commits is durable.

use matricula_core::{Ready, Step, WriteAhead};

fn step(commit: &[&str], effect: u32) -> Step<u32, u32> {
    let mut step = Step {
        effects: vec![effect],
        events: vec![effect],
        ..Step::default()
    };
    for key in commit {
        step.writes.put("jobs", *key, "");
    }
    step
}

fn released(effects: &[u32]) -> Ready<u32, u32> {
    Ready {
        effects: effects.to_vec(),
        events: effects.to_vec(),
    }
}

#[test]
fn what_commits_nothing_goes_at_once() {
    let mut write_ahead = WriteAhead::default();
    assert_eq!(write_ahead.push(step(&[], 1)), released(&[1]));
    assert!(write_ahead.next_write().is_none() && write_ahead.is_empty());
}

#[test]
fn what_comes_in_during_a_write_waits_for_the_next_one_in_order() {
    let mut write_ahead = WriteAhead::default();
    assert_eq!(write_ahead.push(step(&["a"], 1)), released(&[]));
    assert_eq!(write_ahead.next_write().unwrap().writes().len(), 1);
    assert!(write_ahead.next_write().is_none(), "one is being written");

    assert_eq!(write_ahead.push(step(&["b"], 2)), released(&[]));
    assert_eq!(write_ahead.push(step(&[], 3)), released(&[]));
    assert_eq!(write_ahead.push(step(&["c"], 4)), released(&[]));
    assert_eq!(write_ahead.written(), released(&[1]));

    let patch = write_ahead.next_write().unwrap();
    let keys: Vec<_> = patch.writes().iter().map(|change| &*change.key).collect();
    assert_eq!(keys, ["b", "c"]);
    assert_eq!(write_ahead.written(), released(&[2, 3, 4]));
    assert!(write_ahead.is_empty());
}

#[test]
fn what_commits_nothing_does_not_wait_for_a_write_that_will_not_come() {
    let mut write_ahead = WriteAhead::default();
    assert_eq!(write_ahead.push(step(&["a"], 1)), released(&[]));
    assert!(write_ahead.next_write().is_some());
    assert_eq!(write_ahead.push(step(&[], 2)), released(&[]));
    assert!(!write_ahead.is_empty());
    assert_eq!(write_ahead.written(), released(&[1, 2]));
    assert!(write_ahead.is_empty());
}
