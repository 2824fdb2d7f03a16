//! What must be true when a run is over.

use matricula_core::{
    Processed, Scheduler,
    scheduler::{Outcome, tables},
};

use crate::{
    ledger::{Checked, Ledger, Record, Rule, broken},
    plan::{Kind, QUEUES},
    server::Server,
};

/// Compares what was told with what the server did.
pub(crate) fn truth(ledger: &Ledger, server: &Server) -> Checked {
    for (number, record) in ledger.records.iter().enumerate() {
        let count = server.count(number);
        let is_once = record.submission.kind == Kind::Room && record.was_retried();
        if count > 1 && !is_once {
            return broken(Rule::EffectsOnce, format!("job {number}: {count} times"));
        }
        ends_truly(number, record, count)?;
    }
    in_order(ledger, server)
}

fn ends_truly(number: usize, record: &Record, count: usize) -> Checked {
    let was_processed = count > 0;
    let untrue = |what: &str| broken(Rule::OutcomesAreTrue, format!("job {number} {what}"));
    match &record.end {
        None if !record.accepted && record.submission.queue.is_some() && was_processed => {
            untrue("was processed and never accepted")
        }
        None if record.accepted && !record.is_unknown() => {
            broken(Rule::GoesOn, format!("job {number} has not ended"))
        }
        Some(Outcome::Responded(response)) if response.success() && !was_processed => {
            untrue("is done and was not processed")
        }
        Some(Outcome::Failed(error)) if error.processed == Processed::No && was_processed => {
            untrue("failed, and was processed")
        }
        Some(Outcome::Cancelled) if was_processed => untrue("was cancelled, and processed"),
        Some(Outcome::InDoubt(_)) if !record.was_left_open() => {
            untrue("is in doubt, though it is certain what became of it")
        }
        _ => Ok(()),
    }
}

/// What a queue's jobs did, they did in order; but for those of which nobody knows.
fn in_order(ledger: &Ledger, server: &Server) -> Checked {
    let mut records: Vec<_> = ledger.records.iter().enumerate().collect();
    records.sort_by_key(|(_, record)| record.job_id);
    for queue in 0..QUEUES {
        let mut last = None;
        for (number, record) in &records {
            if record.submission.queue != Some(queue) || record.is_open() {
                continue;
            }
            let Some(place) = server.first(*number) else {
                continue;
            };
            if last.is_some_and(|last| place < last) {
                return broken(Rule::InOrder, format!("job {number} of queue {queue}"));
            }
            last = Some(place);
        }
    }
    Ok(())
}

/// Nothing is left of what has ended.
pub(crate) fn nothing_is_left(
    scheduler: &Scheduler,
    entries: &[(String, String, Vec<u8>)],
) -> Checked {
    if !scheduler.is_empty() || scheduler.queues().next().is_some() {
        return broken(Rule::NothingIsLeft, "the scheduler holds jobs or queues");
    }
    let left = |table: &str| entries.iter().filter(|(of, ..)| of == table).count();
    for table in [tables::JOBS, tables::SENT, tables::QUEUES] {
        if left(table) > 0 {
            return broken(Rule::NothingIsLeft, format!("{} in {table}", left(table)));
        }
    }
    if left(tables::OUTCOMES) > scheduler.config().max_kept_outcomes {
        return broken(Rule::NothingIsLeft, "more outcomes than are to be kept");
    }
    Ok(())
}
