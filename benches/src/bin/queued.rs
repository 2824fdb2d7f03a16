//! Measures the memory of a queued job, and of a plain heap for comparison.

use std::sync::Arc;

use matricula_benches::{
    counting::{self, Counting},
    heap::Heap,
    inputs::SERVER,
    jobs::{JOBS, QUEUES, messages},
};
use matricula_core::{
    Machine, Scheduler, SeededEntropy, ServerUrl, StepContext, Timestamp,
    scheduler::{Input, SchedulerConfig},
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let server: ServerUrl = SERVER.parse().expect("an address");
    let before = counting::live();
    let jobs = messages(&server, JOBS, QUEUES);
    let alone = counting::live() - before;
    println!("bytes\tjobs alone\t{}", alone / JOBS);

    let before = counting::live() - alone;
    let mut scheduler = Scheduler::new(SchedulerConfig::default());
    let mut entropy = SeededEntropy::new(1);
    for job in jobs {
        let mut cx = StepContext::new(Timestamp::from_millis(1_000), &mut entropy);
        drop(scheduler.step(&mut cx, Input::Submit(Arc::new(job))));
    }
    println!("bytes\tmatricula\t{}", (counting::live() - before) / JOBS);
    let before = counting::live();
    let snapshot = scheduler.clone();
    println!("bytes\ta snapshot\t{}", counting::live() - before);
    assert_eq!(snapshot.len(), JOBS);
    drop((scheduler, snapshot));

    let before = counting::live();
    let mut heap = Heap::default();
    for job in messages(&server, JOBS, QUEUES) {
        heap.submit(1_000, Arc::new(job));
    }
    println!("bytes\theap\t{}", (counting::live() - before) / JOBS);
}
