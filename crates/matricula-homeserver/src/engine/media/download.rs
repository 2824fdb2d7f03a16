//! Downloads for signed-in users. A download of a pending upload may wait for it.

use std::time::Duration;

use matricula_api::{
    Endpoint, ErrorCode, ServerName,
    client::authed_content_repo::{DownloadContent, DownloadContentWithName},
    server::{IncomingRequest, OutgoingResponse},
};
use matricula_core::{Method, Operation, StepContext};

use super::{find_media, headers, media_not_found};
use crate::engine::{
    Request,
    context::RequestContext,
    error::{ApiError, HandlerError},
    file_action::{HandlerResponse, StoredFile},
    handler::FileHandler,
    waiting::Awaited,
};

/// How long a download waits for a pending upload, unless the client asks for another time.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest time that it waits.
const MAX_TIMEOUT: Duration = Duration::from_secs(120);

impl FileHandler for DownloadContent {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<HandlerResponse, HandlerError> {
        download(context, cx, &self.server_name, &self.media_id, None)
    }
}

impl FileHandler for DownloadContentWithName {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<HandlerResponse, HandlerError> {
        let name = Some(self.file_name);
        download(context, cx, &self.server_name, &self.media_id, name)
    }
}

fn download(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    server: &ServerName,
    id: &str,
    name: Option<String>,
) -> Result<HandlerResponse, HandlerError> {
    context.authenticate(cx.now)?;
    let row = find_media(context, server, id)?;
    if row.content.is_none() && row.is_expired(cx.now) {
        return Err(media_not_found().into());
    }
    let Some(content) = row.content else {
        context.changes.wait_for(Awaited::Upload(row.id.clone()));
        let error = "this file is not uploaded yet; try again later";
        return Err(ApiError::new(504, ErrorCode::NotYetUploaded, error).into());
    };
    let name = name.filter(|it| !it.is_empty()).or(content.file_name);
    let headers = headers::of(&row.id, &content.content_type, name.as_deref());
    let file = StoredFile {
        name: content.file,
        length: content.length,
    };
    let reply = OutgoingResponse::new(200, headers, Vec::new());
    Ok(HandlerResponse::send(reply, file))
}

/// How long a request may wait for a pending upload, if it is a download.
pub(crate) fn long_poll_timeout(request: &Request) -> Option<Duration> {
    let is = |operation: &Operation| IncomingRequest::new(operation, &request.path).is_some();
    let is_download = is(&DownloadContent::OPERATION) || is(&DownloadContentWithName::OPERATION);
    if request.method != Method::Get || !is_download {
        return None;
    }
    let asked = request.query("timeout_ms").and_then(|it| it.parse().ok());
    let timeout = asked.map_or(DEFAULT_TIMEOUT, Duration::from_millis);
    Some(timeout.min(MAX_TIMEOUT))
}
