//! Limits of the content repository.

use serde::{Deserialize, Serialize};

/// Limits of the content repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Media {
    /// The maximum size of a file, in bytes; 1 GiB by default.
    pub max_size: u64,
    /// The maximum number of pending uploads of an account; 100 by default.
    pub max_pending_uploads: u32,
}

impl Default for Media {
    fn default() -> Self {
        Self {
            max_size: 1024 * 1024 * 1024,
            max_pending_uploads: 100,
        }
    }
}

impl Media {
    /// Sets [`Media::max_size`].
    #[must_use]
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = bytes;
        self
    }

    /// Sets [`Media::max_pending_uploads`].
    #[must_use]
    pub fn max_pending_uploads(mut self, uploads: u32) -> Self {
        self.max_pending_uploads = uploads;
        self
    }
}
