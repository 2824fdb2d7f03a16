//! Uploads: with or without a pending upload, authorized before their bytes are read, stored after.

use std::time::Duration;

use matricula_api::{
    Endpoint, ErrorCode, MxcUri,
    client::content_repo::{
        CreateMxcUri, CreateMxcUriResponse, UploadContent, UploadContentResponse,
        UploadContentToMxc, UploadContentToMxcResponse,
    },
    server::{IncomingRequest, ServerEndpoint},
};
use matricula_core::{Method, Operation, StepContext, Timestamp};

use super::{MAX_NAME, PENDING_LIFETIME, find_media, media_not_found};
use crate::engine::{
    auth::requester::Requester,
    context::RequestContext,
    error::{ApiError, HandlerError},
    file_action::{HandlerResponse, ReceivedFile, Upload},
    handler::{FileHandler, Handler},
    storage::{
        media::{self, MediaContent, MediaRow},
        rate_limit::Bucket,
    },
    util::{ALPHANUMERIC, millis},
    waiting::Awaited,
};

/// The length of the random names of files and media ids.
const NAME_LENGTH: usize = 24;
/// The media type of a file whose uploader gives none.
const DEFAULT_TYPE: &str = "application/octet-stream";

/// Whether the body of a request is a file.
pub(crate) fn is_upload(method: Method, path: &str) -> bool {
    let is = |operation: &Operation| {
        operation.method == method && IncomingRequest::new(operation, path).is_some()
    };
    is(&UploadContent::OPERATION) || is(&UploadContentToMxc::OPERATION)
}

impl FileHandler for UploadContent {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<HandlerResponse, HandlerError> {
        let description = Description::new(self.content_type, self.filename)?;
        let Some(received) = &context.request.received else {
            let requester = require_uploader(context, cx.now)?;
            return allow_upload(context, cx, &requester);
        };
        let id = cx.entropy.text(ALPHANUMERIC, NAME_LENGTH);
        media::insert_pending(context.tx, cx.now, &id, received.upload.uploader, None)?;
        save_content(context, &id, received, description)?;
        let response = UploadContentResponse::new(mxc_uri(context, &id)?);
        Ok(Self::write_success(&response).into())
    }
}

impl FileHandler for UploadContentToMxc {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<HandlerResponse, HandlerError> {
        let description = Description::new(self.content_type, self.filename)?;
        let find = || find_media(context, &self.server_name, &self.media_id);
        let Some(received) = &context.request.received else {
            let requester = require_uploader(context, cx.now)?;
            let row = find()?;
            check_pending(&row, requester.user)?;
            if row.is_expired(cx.now) {
                return Err(media_not_found().into());
            }
            return allow_upload(context, cx, &requester);
        };
        // An upload that started in time may end after the deadline. Another one may have been faster.
        let row = find()?;
        check_pending(&row, received.upload.uploader)?;
        save_content(context, &row.id, received, description)?;
        context.changes.add(Awaited::Upload(row.id));
        let response = UploadContentToMxcResponse::default();
        Ok(Self::write_success(&response).into())
    }
}

impl Handler for CreateMxcUri {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<CreateMxcUriResponse, HandlerError> {
        let requester = require_uploader(context, cx.now)?;
        let (tx, user) = (context.tx, requester.user);
        media::delete_expired(tx, cx.now, user)?;
        // The upload that must expire before there is room for another.
        let max = context.config.media.max_pending_uploads;
        if let Some(earliest) = media::nth_pending_expiry(tx, user, max)? {
            let wait = (earliest - millis(cx.now)).unsigned_abs();
            return Err(ApiError::rate_limited(Duration::from_millis(wait)).into());
        }
        count_upload(context, &requester, cx.now)?;
        let id = cx.entropy.text(ALPHANUMERIC, NAME_LENGTH);
        let expires_at = cx.now.plus(PENDING_LIFETIME);
        media::insert_pending(tx, cx.now, &id, user, Some(expires_at))?;
        let response = CreateMxcUriResponse::new(mxc_uri(context, &id)?);
        Ok(response.unused_expires_at(expires_at))
    }
}

/// What an uploader says about a file.
struct Description {
    content_type: String,
    file_name: Option<String>,
}

impl Description {
    fn new(content_type: Option<String>, file_name: Option<String>) -> Result<Self, ApiError> {
        let file_name = file_name.filter(|it| !it.is_empty());
        for (name, text) in [("Content-Type", &content_type), ("filename", &file_name)] {
            if text.as_ref().is_some_and(|it| it.len() > MAX_NAME) {
                let error = format!("{name} is longer than {MAX_NAME} bytes");
                return Err(ApiError::new(400, ErrorCode::InvalidParam, error));
            }
        }
        let content_type = content_type.filter(|it| !it.is_empty());
        Ok(Self {
            content_type: content_type.unwrap_or_else(|| DEFAULT_TYPE.to_owned()),
            file_name,
        })
    }
}

/// Rejects an upload that is not pending, or belongs to another user.
fn check_pending(row: &MediaRow, user: i64) -> Result<(), ApiError> {
    if row.uploader != user {
        let error = "this MXC URI was created by another user";
        return Err(ApiError::new(403, ErrorCode::Forbidden, error));
    }
    if row.content.is_some() {
        let error = "this MXC URI has a file already; create another";
        return Err(ApiError::new(409, ErrorCode::CannotOverwriteMedia, error));
    }
    Ok(())
}

/// The requester, who must be allowed to upload.
fn require_uploader(
    context: &RequestContext<'_>,
    now: Timestamp,
) -> Result<Requester, HandlerError> {
    let requester = context.authenticate_user(now)?;
    if requester.is_suspended {
        let error = "this account is suspended; it cannot upload files";
        return Err(ApiError::new(403, ErrorCode::UserSuspended, error).into());
    }
    Ok(requester)
}

/// Allows the server to read the body, unless its declared length or the rate limit is exceeded.
fn allow_upload(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    requester: &Requester,
) -> Result<HandlerResponse, HandlerError> {
    let max_size = context.config.media.max_size;
    let length = context.request.content_length;
    if length.is_some_and(|length| length > max_size) {
        return Err(too_large(max_size).into());
    }
    count_upload(context, requester, cx.now)?;
    Ok(HandlerResponse::receive(Upload {
        name: cx.entropy.text(ALPHANUMERIC, NAME_LENGTH),
        max_size,
        uploader: requester.user,
    }))
}

/// Stores what is known about a received file.
fn save_content(
    context: &RequestContext<'_>,
    id: &str,
    received: &ReceivedFile,
    description: Description,
) -> Result<(), HandlerError> {
    let ReceivedFile { upload, length } = received;
    if *length > upload.max_size {
        return Err(too_large(upload.max_size).into());
    }
    let content = MediaContent {
        file: upload.name.clone(),
        length: *length,
        content_type: description.content_type,
        file_name: description.file_name,
    };
    Ok(media::set_content(context.tx, id, &content)?)
}

/// Counts an upload against the rate limit of the account.
fn count_upload(
    context: &RequestContext<'_>,
    requester: &Requester,
    now: Timestamp,
) -> Result<(), HandlerError> {
    let bucket = Bucket {
        kind: "upload",
        limit: context.config.limits.uploads,
        key: &requester.localpart,
    };
    Ok(bucket.check_and_take(context.tx, now)?)
}

fn mxc_uri(context: &RequestContext<'_>, id: &str) -> Result<MxcUri, HandlerError> {
    let uri = format!("mxc://{}/{id}", context.config.server_name);
    Ok(uri.parse()?)
}

/// A file is too large.
pub(crate) fn too_large(max: u64) -> ApiError {
    let error = format!("a file must have at most {max} bytes on this server");
    ApiError::new(413, ErrorCode::TooLarge, error)
}
