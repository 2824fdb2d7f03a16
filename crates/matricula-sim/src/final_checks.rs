//! Checks at the end of a run.

use matricula_core::{
    Processed, Scheduler,
    scheduler::{Outcome, tables},
};

use crate::{
    oracle::{CheckResult, Invariant, Oracle, Record, violated},
    plan::{JobKind, QUEUES},
    server::Server,
};

/// Compares the outcomes with what the server did.
pub(crate) fn check_outcomes(oracle: &Oracle, server: &Server) -> CheckResult {
    for (number, record) in oracle.records.iter().enumerate() {
        let count = server.count(number);
        let is_once = record.submission.kind == JobKind::CreateRoom && record.was_retried();
        if count > 1 && !is_once {
            return violated(
                Invariant::EffectsOnce,
                format!("job {number}: {count} times"),
            );
        }
        check_outcome(number, record, count)?;
    }
    check_order(oracle, server)
}

fn check_outcome(number: usize, record: &Record, count: usize) -> CheckResult {
    let was_processed = count > 0;
    let untrue = |what: &str| violated(Invariant::OutcomesAreTrue, format!("job {number} {what}"));
    match &record.end {
        None if !record.accepted && record.submission.queue.is_some() && was_processed => {
            untrue("was processed but never accepted")
        }
        None if record.accepted && !record.is_unknown() => {
            violated(Invariant::Progress, format!("job {number} has not ended"))
        }
        Some(Outcome::Responded(response)) if response.success() && !was_processed => {
            untrue("succeeded but was not processed")
        }
        Some(Outcome::Responded(response))
            if !response.success()
                && was_processed
                && record.submission.kind == JobKind::CreateRoom
                && !record.was_retried() =>
        {
            untrue("was refused but processed")
        }
        Some(Outcome::Failed(error)) if error.processed == Processed::No && was_processed => {
            untrue("failed but was processed")
        }
        Some(Outcome::Cancelled) if was_processed => untrue("was cancelled but processed"),
        Some(Outcome::InDoubt(_)) if !record.was_maybe_processed() => {
            untrue("is in doubt without reason")
        }
        _ => Ok(()),
    }
}

/// The jobs of a queue were processed in order, except those whose time is uncertain.
fn check_order(oracle: &Oracle, server: &Server) -> CheckResult {
    let mut records: Vec<_> = oracle.records.iter().enumerate().collect();
    records.sort_by_key(|(_, record)| record.job_id);
    for queue in 0..QUEUES {
        let mut last = None;
        for (number, record) in &records {
            if record.submission.queue != Some(queue) || record.is_uncertain() {
                continue;
            }
            let Some(place) = server.first(*number) else {
                continue;
            };
            if last.is_some_and(|last| place < last) {
                return violated(Invariant::InOrder, format!("job {number} of queue {queue}"));
            }
            last = Some(place);
        }
    }
    Ok(())
}

/// No state is left of jobs that have ended.
pub(crate) fn check_nothing_left(
    scheduler: &Scheduler,
    entries: &[(String, String, Vec<u8>)],
) -> CheckResult {
    if !scheduler.is_empty() || scheduler.queues().next().is_some() {
        return violated(Invariant::NothingLeft, "the scheduler holds jobs or queues");
    }
    let count = |table: &str| entries.iter().filter(|(of, ..)| of == table).count();
    for table in [tables::JOBS, tables::SENT, tables::QUEUES] {
        if count(table) > 0 {
            return violated(
                Invariant::NothingLeft,
                format!("{} in {table}", count(table)),
            );
        }
    }
    if count(tables::OUTCOMES) > scheduler.config().max_kept_outcomes {
        return violated(Invariant::NothingLeft, "too many outcomes");
    }
    Ok(())
}
