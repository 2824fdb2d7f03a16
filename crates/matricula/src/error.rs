//! How the facade can fail.

use std::path::PathBuf;

use matricula_api::ApiError;
use matricula_auth::{AuthError, ServerAddressError};
use matricula_core::TransportError;

use crate::AccountStoreError;

/// Why what was asked for did not come about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server's name is none.
    #[error(transparent)]
    Address(#[from] ServerAddressError),
    /// Registering, signing in or discovery failed.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The server refused a request.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A request got no answer.
    #[error("{0}; check the network, and try again")]
    Transport(TransportError),
    /// A request got no answer, and the server may have acted on it.
    #[error("{0}; the server may have acted on the request")]
    InDoubt(TransportError),
    /// Something could not be kept.
    #[error(transparent)]
    Store(#[from] AccountStoreError),
    /// No browser could be led back here.
    #[error("nobody may listen on 127.0.0.1 ({0}); a browser could not be led back here")]
    Browser(std::io::Error),
    /// No such account is kept.
    #[error("no account {}is kept in {}; register or sign in first", .user_id.as_ref().map_or_else(String::new, |user_id| format!("{user_id} ")), .path.display())]
    NoAccount {
        /// Whose; none where none was named.
        user_id: Option<String>,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It is not known where this user's data is.
    #[error("no home directory is known; name one with --home DIR or MATRICULA_HOME")]
    NoHome,
}
