//! The tokens that jobs only name, each bound to one origin.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use matricula_job::{CredentialRef, Secret, ServerUrl};

/// Tokens by name. Clones share the same tokens.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    tokens: Arc<RwLock<BTreeMap<CredentialRef, (ServerUrl, Secret)>>>,
}

impl Credentials {
    /// Keeps a token, to be sent to the origin of `server` and nowhere else.
    pub fn insert(&self, credential: CredentialRef, server: ServerUrl, token: Secret) {
        let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(credential, (server, token));
    }

    /// Forgets a token.
    pub fn remove(&self, credential: &CredentialRef) {
        self.tokens
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(credential);
    }

    /// The token for a request to `url`, if there is one and it belongs there.
    pub fn token_for(&self, credential: &CredentialRef, url: &str) -> Option<Secret> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let (server, token) = tokens.get(credential)?;
        server.is_origin_of(url).then(|| token.clone())
    }
}
