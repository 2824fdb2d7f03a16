//! The [content repository](https://spec.matrix.org/v1.19/client-server-api/#content-repository): files
//! of this server's users, for signed-in users. There are no thumbnails and no files of other servers.
//!
//! | limit | |
//! |---|---|
//! | [`Media::max_size`](crate::Media::max_size) | bytes of a file |
//! | [`Media::max_pending_uploads`](crate::Media::max_pending_uploads) | pending uploads of an account |
//! | [`PENDING_LIFETIME`] | how long an upload may be pending |
//! | [`Limits::uploads`](crate::Limits::uploads) | uploads and new pending uploads of an account |

mod download;
mod headers;
mod upload;

pub(crate) use download::long_poll_timeout;
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

use super::{
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    storage::media::{self, MediaRow},
};

/// How long an upload may be pending.
const PENDING_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest media type and the longest name of a file, in bytes.
const MAX_NAME: usize = 255;

/// The file or pending upload with this MXC URI.
fn find_media(
    context: &RequestContext<'_>,
    server: &ServerName,
    id: &str,
) -> Result<MediaRow, HandlerError> {
    if server.as_str() != context.config.server_name {
        return Err(media_not_found().into());
    }
    Ok(media::find(context.tx, id)?.ok_or_else(media_not_found)?)
}

fn media_not_found() -> ApiError {
    let error = "this server has no file with this MXC URI";
    ApiError::new(404, ErrorCode::NotFound, error)
}

impl Handler for GetMediaConfig {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetMediaConfigResponse, HandlerError> {
        context.authenticate(cx.now)?;
        let max = context.config.media.max_size;
        Ok(GetMediaConfigResponse::default().upload_size(max))
    }
}

impl Handler for GetConfig {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetConfigResponse, HandlerError> {
        context.authenticate(cx.now)?;
        let max = context.config.media.max_size;
        Ok(GetConfigResponse::default().upload_size(max))
    }
}
