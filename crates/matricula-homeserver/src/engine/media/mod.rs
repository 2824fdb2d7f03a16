//! The [content repository](https://spec.matrix.org/v1.19/client-server-api/#content-repository): files
//! of this server's users, for those who are signed in. There are neither thumbnails nor other servers'
//! files.
//!
//! | bound | |
//! |---|---|
//! | [`Media::max_size`](crate::Media::max_size) | bytes of a file |
//! | [`Media::max_pending_uploads`](crate::Media::max_pending_uploads) | addresses that one account has made and not used yet |
//! | [`PENDING_LIFETIME`] | how long such an address waits |
//! | [`Limits::uploads`](crate::Limits::uploads) | uploads and new addresses of an account |

mod download;
mod headers;
mod upload;

pub(crate) use download::{is_pending, long_poll_timeout};
pub(crate) use upload::{is_upload, too_large};

use std::time::Duration;

use matricula_api::{
    ErrorCode, ServerName,
    client::{
        authed_content_repo::{GetMediaConfig, GetMediaConfigResponse},
        content_repo::{GetConfig, GetConfigResponse},
    },
};
use matricula_core::StepContext;
use rusqlite::{OptionalExtension, Row};

use super::{
    refusal::{ApiError, HandlerError},
    routes::{Handler, RequestContext},
};

/// How long an address that was made waits for its file.
const PENDING_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest media type and the longest name of a file, in bytes.
const MAX_NAME: usize = 255;

/// A file that is here, or that is awaited.
struct MediaRow {
    id: String,
    uploader: i64,
    expires_at: Option<i64>,
    content: Option<MediaContent>,
}

/// What is known of a file that is here.
struct MediaContent {
    file: String,
    length: u64,
    content_type: String,
    file_name: Option<String>,
}

impl MediaRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let here = match row.get(3)? {
            Some(file) => Some(MediaContent {
                file,
                length: row.get::<_, i64>(4)?.unsigned_abs(),
                content_type: row.get(5)?,
                file_name: row.get(6)?,
            }),
            None => None,
        };
        Ok(Self {
            id: row.get(0)?,
            uploader: row.get(1)?,
            expires_at: row.get(2)?,
            content: here,
        })
    }
}

impl RequestContext<'_> {
    /// The file at this address, here or awaited.
    fn find_media(&self, server: &ServerName, id: &str) -> Result<MediaRow, HandlerError> {
        let sql = "SELECT id, uploader, expires_at, file, length, content_type, file_name
             FROM media WHERE id = ?1";
        let is_ours = server.as_str() == self.homeserver.config.server_name;
        let found = match is_ours {
            true => self.tx.query_row(sql, [id], MediaRow::read).optional()?,
            false => None,
        };
        Ok(found.ok_or_else(media_not_found)?)
    }
}

fn media_not_found() -> ApiError {
    let error = "this server has no file at this address";
    ApiError::new(404, ErrorCode::NotFound, error)
}

impl Handler for GetMediaConfig {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetMediaConfigResponse, HandlerError> {
        call.authenticate(cx.now)?;
        let max = call.homeserver.config.media.max_size;
        Ok(GetMediaConfigResponse::default().upload_size(max))
    }
}

impl Handler for GetConfig {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetConfigResponse, HandlerError> {
        call.authenticate(cx.now)?;
        let max = call.homeserver.config.media.max_size;
        Ok(GetConfigResponse::default().upload_size(max))
    }
}
