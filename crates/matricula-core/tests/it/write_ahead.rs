//! Effects and events wait until the writes of their step are durable.

use matricula_core::{Ready, Step, WriteAhead};

fn step(keys: &[&str], effect: u32) -> Step<u32, u32> {
    let mut step = Step {
        effects: vec![effect],
        events: vec![effect],
        ..Step::default()
    };
    for key in keys {
        step.writes.put("jobs", *key, "");
    }
    step
}

fn ready(effects: &[u32]) -> Ready<u32, u32> {
    Ready {
        effects: effects.to_vec(),
        events: effects.to_vec(),
    }
}

#[test]
fn step_without_writes_is_ready_at_once() {
    let mut write_ahead = WriteAhead::default();
    assert_eq!(write_ahead.push(step(&[], 1)), ready(&[1]));
    assert!(write_ahead.next_write().is_none() && write_ahead.is_empty());
}

#[test]
fn steps_during_a_write_are_batched() {
    let mut write_ahead = WriteAhead::default();
    assert_eq!(write_ahead.push(step(&["a"], 1)), ready(&[]));
    assert_eq!(write_ahead.next_write().unwrap().writes().len(), 1);
    assert!(write_ahead.next_write().is_none(), "a write is in progress");

    assert_eq!(write_ahead.push(step(&["b"], 2)), ready(&[]));
    assert_eq!(write_ahead.push(step(&[], 3)), ready(&[]));
    assert_eq!(write_ahead.push(step(&["c"], 4)), ready(&[]));
    assert_eq!(write_ahead.written(), ready(&[1]));

    let batch = write_ahead.next_write().unwrap();
    let keys: Vec<_> = batch.writes().iter().map(|write| &*write.key).collect();
    assert_eq!(keys, ["b", "c"]);
    assert_eq!(write_ahead.written(), ready(&[2, 3, 4]));
    assert!(write_ahead.is_empty());
}

#[test]
fn step_without_writes_keeps_order() {
    let mut write_ahead = WriteAhead::default();
    assert_eq!(write_ahead.push(step(&["a"], 1)), ready(&[]));
    assert!(write_ahead.next_write().is_some());
    assert_eq!(write_ahead.push(step(&[], 2)), ready(&[]));
    assert!(!write_ahead.is_empty());
    assert_eq!(write_ahead.written(), ready(&[1, 2]));
    assert!(write_ahead.is_empty());
}
