//! Stores what a step commits, before its effects run.

use matricula_job::Patch;

use crate::StoreError;

/// Stores what a conversation commits.
///
/// When [`Keeper::commit`] returns, the patch must survive a crash: only then is anything sent. What
/// it is handed holds passwords and tokens.
pub trait Keeper {
    /// Stores all changes of the patch, or none.
    ///
    /// # Errors
    /// Where they could not be stored; the conversation then stops before it sends anything.
    fn commit(&mut self, patch: &Patch) -> Result<(), StoreError>;
}

/// Keeps nothing: what is made here is lost with the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forgetful;

impl Keeper for Forgetful {
    fn commit(&mut self, _: &Patch) -> Result<(), StoreError> {
        Ok(())
    }
}
