//! How files come in: announced or not, allowed before their bytes are read, and kept after.

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
use rusqlite::{OptionalExtension, params};

use super::{
    super::{
        answer::{HandlerResponse, ReceivedFile, Upload},
        limits::Bucket,
        millis,
        refusal::{ApiError, HandlerError},
        routes::{FileHandler, Handler, RequestContext},
        tokens::{ALPHANUMERIC, Requester},
    },
    MAX_NAME, MediaRow, PENDING_LIFETIME, media_not_found,
};

/// How long the random names of files and addresses are.
const NAME_LENGTH: usize = 24;
/// The media type of what nobody says more of.
const DEFAULT_TYPE: &str = "application/octet-stream";

/// Whether the body of this request is a file.
pub(crate) fn is_upload(method: Method, path: &str) -> bool {
    let is = |operation: &Operation| {
        operation.method == method && IncomingRequest::new(operation, path).is_some()
    };
    is(&UploadContent::OPERATION) || is(&UploadContentToMxc::OPERATION)
}

impl FileHandler for UploadContent {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<HandlerResponse, HandlerError> {
        let description = Description::new(self.content_type, self.filename)?;
        let Some(received) = &call.request.received else {
            let bearer = call.require_uploader(cx.now)?;
            return call.allow_upload(cx, &bearer);
        };
        let id = cx.entropy.text(ALPHANUMERIC, NAME_LENGTH);
        call.tx.execute(
            "INSERT INTO media (id, uploader, created_at) VALUES (?1, ?2, ?3)",
            params![id, received.upload.uploader, millis(cx.now)],
        )?;
        call.save_content(&id, received, &description)?;
        let response = UploadContentResponse::new(call.mxc_uri(&id)?);
        Ok(Self::write_success(&response).into())
    }
}

impl FileHandler for UploadContentToMxc {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<HandlerResponse, HandlerError> {
        let description = Description::new(self.content_type, self.filename)?;
        let find = || call.find_media(&self.server_name, &self.media_id);
        let Some(received) = &call.request.received else {
            let bearer = call.require_uploader(cx.now)?;
            let medium = find()?;
            medium.check_pending(bearer.user)?;
            if medium.expires_at.is_none_or(|at| at <= millis(cx.now)) {
                return Err(media_not_found().into());
            }
            return call.allow_upload(cx, &bearer);
        };
        // What began in time may end late. Another upload may have been faster.
        let medium = find()?;
        medium.check_pending(received.upload.uploader)?;
        call.save_content(&medium.id, received, &description)?;
        let response = UploadContentToMxcResponse::default();
        Ok(Self::write_success(&response).into())
    }
}

impl Handler for CreateMxcUri {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<CreateMxcUriResponse, HandlerError> {
        let bearer = call.require_uploader(cx.now)?;
        let now = millis(cx.now);
        call.tx.execute(
            "DELETE FROM media WHERE file IS NULL AND uploader = ?1 AND expires_at <= ?2",
            params![bearer.user, now],
        )?;
        // The oldest of so many as are one too many with the new one.
        let earliest: Option<i64> = call
            .tx
            .query_row(
                "SELECT expires_at FROM media WHERE file IS NULL AND uploader = ?1
                 ORDER BY expires_at DESC LIMIT 1 OFFSET ?2",
                params![
                    bearer.user,
                    call.homeserver.config.media.max_pending_uploads - 1
                ],
                |row| row.get(0),
            )
            .optional()?;
        if let Some(earliest) = earliest {
            let wait = Duration::from_millis((earliest - now).unsigned_abs());
            return Err(ApiError::rate_limited(wait).into());
        }
        call.count_upload(&bearer, cx.now)?;
        let id = cx.entropy.text(ALPHANUMERIC, NAME_LENGTH);
        let expires_at = cx.now.plus(PENDING_LIFETIME);
        call.tx.execute(
            "INSERT INTO media (id, uploader, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
            params![id, bearer.user, now, millis(expires_at)],
        )?;
        Ok(CreateMxcUriResponse::new(call.mxc_uri(&id)?).unused_expires_at(expires_at))
    }
}

/// What an uploader says of a file.
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
        Ok(Self {
            content_type: content_type
                .filter(|it| !it.is_empty())
                .unwrap_or_else(|| DEFAULT_TYPE.to_owned()),
            file_name,
        })
    }
}

impl MediaRow {
    fn check_pending(&self, user: i64) -> Result<(), ApiError> {
        if self.uploader != user {
            let error = "this address was made by another user";
            return Err(ApiError::new(403, ErrorCode::Forbidden, error));
        }
        if self.content.is_some() {
            let error = "there is a file at this address already; make another address";
            return Err(ApiError::new(409, ErrorCode::CannotOverwriteMedia, error));
        }
        Ok(())
    }
}

impl RequestContext<'_> {
    /// Whose access token this is, if they may upload.
    fn require_uploader(&self, now: Timestamp) -> Result<Requester, HandlerError> {
        let bearer = self.authenticate_user(now)?;
        if bearer.is_suspended {
            let error = "this account is suspended; it may not upload files";
            return Err(ApiError::new(403, ErrorCode::UserSuspended, error).into());
        }
        Ok(bearer)
    }

    /// Allows the body to come, unless it is said to be too large or there were too many.
    fn allow_upload(
        &self,
        cx: &mut StepContext<'_>,
        bearer: &Requester,
    ) -> Result<HandlerResponse, HandlerError> {
        let max = self.homeserver.config.media.max_size;
        if self
            .request
            .content_length
            .is_some_and(|length| length > max)
        {
            return Err(too_large(max).into());
        }
        self.count_upload(bearer, cx.now)?;
        Ok(HandlerResponse::receive(Upload {
            name: cx.entropy.text(ALPHANUMERIC, NAME_LENGTH),
            max_size: max,
            uploader: bearer.user,
        }))
    }

    /// Keeps what is known of a file that has come.
    fn save_content(
        &self,
        id: &str,
        received: &ReceivedFile,
        what: &Description,
    ) -> Result<(), HandlerError> {
        let ReceivedFile { upload, length } = received;
        if *length > upload.max_size {
            return Err(too_large(upload.max_size).into());
        }
        self.tx.execute(
            "UPDATE media SET file = ?2, length = ?3, content_type = ?4, file_name = ?5,
                 expires_at = NULL WHERE id = ?1",
            params![
                id,
                upload.name,
                i64::try_from(*length).unwrap_or(i64::MAX),
                what.content_type,
                what.file_name
            ],
        )?;
        Ok(())
    }

    /// Refuses who uploads too often.
    fn count_upload(&self, bearer: &Requester, now: Timestamp) -> Result<(), HandlerError> {
        let bucket = Bucket {
            kind: "upload",
            limit: self.homeserver.config.limits.uploads,
            key: &bearer.localpart,
        };
        bucket.check_and_take(self.tx, now)
    }

    fn mxc_uri(&self, id: &str) -> Result<MxcUri, HandlerError> {
        let address = format!("mxc://{}/{id}", self.homeserver.config.server_name);
        Ok(address.parse()?)
    }
}

/// What is said of a file that is too large.
pub(crate) fn too_large(max: u64) -> ApiError {
    let error = format!("this server keeps files of at most {max} bytes");
    ApiError::new(413, ErrorCode::TooLarge, error)
}
