//! How files go out: to whoever is signed in, as soon as they are here.

use std::time::Duration;

use matricula_api::{
    Endpoint, ErrorCode, ServerName,
    client::authed_content_repo::{DownloadContent, DownloadContentWithName},
    server::{IncomingRequest, OutgoingResponse},
};
use matricula_core::{Method, Operation, StepContext};

use super::{
    super::{
        Request,
        answer::{HandlerResponse, StoredFile},
        millis,
        refusal::{ApiError, HandlerError},
        routes::{FileHandler, RequestContext},
    },
    headers, media_not_found,
};

/// How long a download waits for a file that is announced, where nobody says how long.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest time that it waits.
const MAX_TIMEOUT: Duration = Duration::from_secs(120);

impl FileHandler for DownloadContent {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<HandlerResponse, HandlerError> {
        call.download(cx, &self.server_name, &self.media_id, None)
    }
}

impl FileHandler for DownloadContentWithName {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<HandlerResponse, HandlerError> {
        let name = Some(self.file_name);
        call.download(cx, &self.server_name, &self.media_id, name)
    }
}

impl RequestContext<'_> {
    fn download(
        &self,
        cx: &mut StepContext<'_>,
        server: &ServerName,
        id: &str,
        name: Option<String>,
    ) -> Result<HandlerResponse, HandlerError> {
        self.authenticate(cx.now)?;
        let medium = self.find_media(server, id)?;
        let Some(here) = medium.content else {
            if medium.expires_at.is_none_or(|at| at <= millis(cx.now)) {
                return Err(media_not_found().into());
            }
            let error = "this file is announced, but not uploaded yet; try again later";
            return Err(ApiError::new(504, ErrorCode::NotYetUploaded, error).into());
        };
        let name = name.filter(|it| !it.is_empty()).or(here.file_name);
        let headers = headers::of(&medium.id, &here.content_type, name.as_deref());
        let file = StoredFile {
            name: here.file,
            length: here.length,
        };
        Ok(HandlerResponse::send(
            OutgoingResponse::new(200, headers, Vec::new()),
            file,
        ))
    }
}

/// How long this request waits for a file, if it is a download. Until then, or until a file has come,
/// the answer that it [is awaited](is_pending) may be held back.
pub(crate) fn long_poll_timeout(request: &Request) -> Option<Duration> {
    let is = |operation: &Operation| IncomingRequest::new(operation, &request.path).is_some();
    let is_download = is(&DownloadContent::OPERATION) || is(&DownloadContentWithName::OPERATION);
    if request.method != Method::Get || !is_download {
        return None;
    }
    let wished = request.query("timeout_ms").and_then(|it| it.parse().ok());
    let patience = wished.map_or(DEFAULT_TIMEOUT, Duration::from_millis);
    Some(patience.min(MAX_TIMEOUT))
}

/// Whether the answer to a download says that the file has not come yet.
pub(crate) fn is_pending(reply: &OutgoingResponse) -> bool {
    reply.status == 504
}
