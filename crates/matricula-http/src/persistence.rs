//! What can go wrong where jobs are kept.

use matricula_core::{
    Processed, Scheduler, Store, StoreError, TransportError, TransportErrorKind,
    scheduler::{Outcome, Rejection, RestoreError, SchedulerConfig},
};

/// Why a job was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The scheduler does not take it.
    #[error(transparent)]
    Refused(#[from] Rejection),
    /// It could not be kept. Whether it is in the store all the same shows when that is opened again.
    #[error("the job is not kept: {0}")]
    Store(StoreError),
}

/// Why a runner cannot go on with a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DurableError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is in it was not written by a runner, or by a newer one.
    #[error(transparent)]
    Entry(#[from] RestoreError),
}

/// The scheduler as the store has it.
pub(crate) fn restore(
    store: &mut dyn Store,
    limits: SchedulerConfig,
) -> Result<Scheduler, DurableError> {
    let entries = store.entries()?;
    let entries = entries
        .iter()
        .map(|(table, key, value)| (&**table, &**key, &**value));
    Ok(Scheduler::restore(limits, entries)?)
}

/// The outcome of a job whose end could not be kept.
pub(crate) fn in_doubt(error: StoreError) -> Outcome {
    Outcome::InDoubt(TransportError {
        kind: TransportErrorKind::ConnectionLost,
        processed: Processed::Maybe,
        message: error.to_string(),
    })
}

/// Why a job was not accepted: only a broken store keeps it from being.
pub(crate) fn broken(error: Option<StoreError>) -> StoreError {
    error.unwrap_or_else(|| StoreError::new("the runner has ended"))
}
