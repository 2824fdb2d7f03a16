//! What files a homeserver keeps.

use serde::{Deserialize, Serialize};

/// What files a homeserver keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Media {
    /// How large a file may be, in bytes: 1 GiB unless told otherwise.
    pub max_size: u64,
    /// How many addresses one account may have made and not uploaded to yet: 100 unless told otherwise.
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
    pub fn max_pending_uploads(mut self, addresses: u32) -> Self {
        self.max_pending_uploads = addresses;
        self
    }
}
