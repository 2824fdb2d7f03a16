//! Stores what a step commits, before its effects run.

use matricula_api::UserId;
use matricula_auth::{Account, OAuthClient};
use matricula_core::WriteBatch;

use crate::{AccountLock, AccountStoreError};

/// Stores what a conversation commits.
///
/// When [`SessionStore::commit`] returns, the patch must survive a crash: only then is anything sent. What
/// it is handed holds passwords and tokens.
pub trait SessionStore {
    /// Stores all changes of the patch, or none.
    ///
    /// # Errors
    /// Where they could not be stored; the conversation then stops before it sends anything.
    fn commit(&mut self, patch: &WriteBatch) -> Result<(), AccountStoreError>;

    /// The account as it is kept now; none where nobody else changes what is kept here.
    ///
    /// # Errors
    /// Where it could not be read.
    fn load(&self, _: &UserId) -> Result<Option<Account>, AccountStoreError> {
        Ok(None)
    }

    /// Takes the turn at renewing the tokens of this account, or at ending its session, and keeps
    /// other processes from doing so until the turn is dropped. It must not wait. Where nobody else
    /// changes what is kept here, there is nothing to do.
    ///
    /// # Errors
    /// [`AccountStoreError::Busy`] where another process has the turn; anything else ends the waiting.
    fn try_lock(&self, _: &UserId) -> Result<AccountLock, AccountStoreError> {
        Ok(AccountLock::default())
    }

    /// What the OAuth 2.0 server of this issuer named this program, if that was stored; a program
    /// need not introduce itself twice.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn oauth_client(&self, _issuer: &str) -> Result<Option<OAuthClient>, AccountStoreError> {
        Ok(None)
    }
}

/// Keeps nothing: what is made here is lost with the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoStore;

impl SessionStore for NoStore {
    fn commit(&mut self, _: &WriteBatch) -> Result<(), AccountStoreError> {
        Ok(())
    }
}
