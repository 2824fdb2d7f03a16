//! Reads and writes the store of a durable runner.

use std::sync::{Mutex, MutexGuard, PoisonError};

use matricula_core::{
    Processed, Scheduler, Store, StoreError, TransportError, TransportErrorKind, WriteBatch,
    scheduler::{JobId, Outcome, Rejection, RestoreError, SchedulerConfig},
};

/// Why a job was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The scheduler rejects it.
    #[error(transparent)]
    Refused(#[from] Rejection),
    /// It could not be stored. Whether it is in the store shows when the store is opened again.
    #[error("the job is not stored: {0}")]
    Store(StoreError),
}

impl SubmitError {
    /// The outcome of a job that was not accepted: failed if it was rejected, in doubt if it could not
    /// be stored.
    pub fn into_outcome(self) -> Outcome {
        match self {
            Self::Store(error) => in_doubt(error),
            Self::Refused(rejection) => Outcome::Failed(TransportError {
                kind: TransportErrorKind::InvalidRequest,
                processed: Processed::No,
                message: rejection.to_string(),
            }),
        }
    }
}

/// Why a runner could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store's content was not written by a runner, or by one of another version.
    #[error(transparent)]
    Entry(#[from] RestoreError),
}

/// The scheduler that is in the store.
pub(crate) fn restore(
    store: &mut dyn Store,
    config: SchedulerConfig,
) -> Result<Scheduler, BuildError> {
    let entries = store.entries()?;
    let entries = entries
        .iter()
        .map(|(table, key, value)| (&**table, &**key, &**value));
    Ok(Scheduler::restore(config, entries)?)
}

/// The outcome of a job whose events ended without one: the store failed.
pub(crate) fn without_outcome(error: Option<StoreError>) -> Outcome {
    in_doubt(error.unwrap_or_else(runner_ended))
}

/// The outcome of a job whose result could not be stored.
fn in_doubt(error: StoreError) -> Outcome {
    Outcome::InDoubt(TransportError {
        kind: TransportErrorKind::ConnectionLost,
        processed: Processed::Maybe,
        message: error.to_string(),
    })
}

/// The error of a job whose acceptance was never reported. Only a failed store withholds it.
pub(crate) fn not_accepted(error: Option<StoreError>) -> SubmitError {
    SubmitError::Store(error.unwrap_or_else(runner_ended))
}

fn runner_ended() -> StoreError {
    StoreError::new("the runner has ended")
}

/// The outcome in a row of the table of outcomes.
pub(crate) fn read_outcome(
    job_id: JobId,
    row: Option<Vec<u8>>,
) -> Result<Option<Outcome>, StoreError> {
    let outcome = row.map(|json| Outcome::from_stored(&json)).transpose();
    outcome.map_err(|error| {
        let message = format!("the outcome of job {} is unreadable: {error}", job_id.0);
        StoreError::with_source(message, error)
    })
}

/// The store, if there is one. Without it everything counts as written.
pub(crate) struct SharedStore(Option<Mutex<Box<dyn Store>>>);

impl SharedStore {
    pub(crate) fn new(store: Option<Box<dyn Store>>) -> Self {
        Self(store.map(Mutex::new))
    }

    pub(crate) fn commit(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        self.lock().map_or(Ok(()), |mut store| store.commit(batch))
    }

    pub(crate) fn get(&self, table: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let store = self.lock();
        store.map_or(Ok(None), |mut store| store.get(table, key))
    }

    pub(crate) fn load(
        &self,
        keys: &[(String, String)],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        keys.iter()
            .map(|(table, key)| self.get(table, key))
            .collect()
    }

    fn lock(&self) -> Option<MutexGuard<'_, Box<dyn Store>>> {
        let store = self.0.as_ref()?;
        Some(store.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
