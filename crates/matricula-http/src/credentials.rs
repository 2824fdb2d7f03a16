//! Tokens by name, each bound to one origin.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use matricula_core::{Auth, Job, Processed, TransportError, TransportErrorKind};
use matricula_core::{CredentialRef, Secret, ServerUrl};

/// Tokens by name. Clones share the same tokens.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    tokens: Arc<RwLock<BTreeMap<CredentialRef, (ServerUrl, Secret)>>>,
}

impl Credentials {
    /// Stores a token. It is sent to the origin of `server` only.
    pub fn insert(&self, credential: CredentialRef, server: ServerUrl, token: Secret) {
        let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(credential, (server, token));
    }

    /// Removes a token.
    pub fn remove(&self, credential: &CredentialRef) {
        self.tokens
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(credential);
    }

    /// The token for a request to `url`, if there is one for that origin.
    pub fn token_for(&self, credential: &CredentialRef, url: &str) -> Option<Secret> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let (server, token) = tokens.get(credential)?;
        server.is_origin_of(url).then(|| token.clone())
    }

    /// The token of a job, if it has one.
    ///
    /// # Errors
    /// If the job requires one that is missing or belongs to another origin.
    pub(crate) fn token_of(&self, job: &Job) -> Result<Option<Secret>, TransportError> {
        Ok(match job.auth() {
            Auth::Token(token) => Some(token.clone()),
            Auth::Optional(credential) => self.token_for(credential, job.url()),
            Auth::Required(credential) => match self.token_for(credential, job.url()) {
                Some(token) => Some(token),
                None => {
                    return Err(TransportError {
                        kind: TransportErrorKind::MissingToken,
                        processed: Processed::No,
                        message: format!(
                            "no token for {} towards {}: sign in first",
                            credential.as_str(),
                            job.masked_url()
                        ),
                    });
                }
            },
            _ => None,
        })
    }
}
