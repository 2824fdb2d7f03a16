//! How files come in: announced or not, allowed before their bytes are read, and kept after.

use std::time::Duration;

use matricula_api::{
    Endpoint, ErrorCode, MxcUri,
    client::content_repo::{
        CreateContent, CreateContentResponse, UploadContent, UploadContentResponse,
        UploadContentToMxc, UploadContentToMxcResponse,
    },
    server::{Incoming, Served},
};
use matricula_core::{Method, Operation, StepContext, Timestamp};
use rusqlite::{OptionalExtension, params};

use super::{
    super::{
        answer::{HandlerResponse, Received, Upload},
        limits::Bucket,
        millis,
        refusal::{Fault, Refusal},
        routes::{Call, Serve, ServeFile},
        tokens::{ALPHANUMERIC, Bearer},
    },
    ANNOUNCED_FOR, MAX_NAME, Medium, nothing_there,
};

/// How long the random names of files and addresses are.
const NAME: usize = 24;
/// The media type of what nobody says more of.
const OCTETS: &str = "application/octet-stream";

/// Whether the body of this request is a file.
pub(crate) fn is_upload(method: Method, path: &str) -> bool {
    let is = |operation: &Operation| {
        operation.method == method && Incoming::new(operation, path).is_some()
    };
    is(&UploadContent::OPERATION) || is(&UploadContentToMxc::OPERATION)
}

impl ServeFile for UploadContent {
    fn serve(self, call: &Call<'_>, cx: &mut StepContext<'_>) -> Result<HandlerResponse, Fault> {
        let description = Description::new(self.content_type, self.filename)?;
        let Some(received) = &call.request.file else {
            let bearer = call.uploader(cx.now)?;
            return call.allow(cx, &bearer);
        };
        let id = cx.entropy.text(ALPHANUMERIC, NAME);
        call.tx.execute(
            "INSERT INTO media (id, uploader, created_at) VALUES (?1, ?2, ?3)",
            params![id, received.upload.uploader, millis(cx.now)],
        )?;
        call.keep(&id, received, &description)?;
        let response = UploadContentResponse::new(call.address(&id)?);
        Ok(Self::write_success(&response).into())
    }
}

impl ServeFile for UploadContentToMxc {
    fn serve(self, call: &Call<'_>, cx: &mut StepContext<'_>) -> Result<HandlerResponse, Fault> {
        let description = Description::new(self.content_type, self.filename)?;
        let find = || call.medium(&self.server_name, &self.media_id);
        let Some(received) = &call.request.file else {
            let bearer = call.uploader(cx.now)?;
            let medium = find()?;
            medium.must_be_awaited_from(bearer.user)?;
            if medium.expires_at.is_none_or(|at| at <= millis(cx.now)) {
                return Err(nothing_there().into());
            }
            return call.allow(cx, &bearer);
        };
        // What began in time may end late. Another upload may have been faster.
        let medium = find()?;
        medium.must_be_awaited_from(received.upload.uploader)?;
        call.keep(&medium.id, received, &description)?;
        let response = UploadContentToMxcResponse::default();
        Ok(Self::write_success(&response).into())
    }
}

impl Serve for CreateContent {
    fn serve(
        self,
        call: &Call<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<CreateContentResponse, Fault> {
        let bearer = call.uploader(cx.now)?;
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
                params![bearer.user, call.home.config.media.max_announced - 1],
                |row| row.get(0),
            )
            .optional()?;
        if let Some(earliest) = earliest {
            let wait = Duration::from_millis((earliest - now).unsigned_abs());
            return Err(Refusal::limited(wait).into());
        }
        call.count_an_upload(&bearer, cx.now)?;
        let id = cx.entropy.text(ALPHANUMERIC, NAME);
        let expires_at = cx.now.plus(ANNOUNCED_FOR);
        call.tx.execute(
            "INSERT INTO media (id, uploader, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
            params![id, bearer.user, now, millis(expires_at)],
        )?;
        Ok(CreateContentResponse::new(call.address(&id)?).unused_expires_at(expires_at))
    }
}

/// What an uploader says of a file.
struct Description {
    content_type: String,
    file_name: Option<String>,
}

impl Description {
    fn new(content_type: Option<String>, file_name: Option<String>) -> Result<Self, Refusal> {
        let file_name = file_name.filter(|it| !it.is_empty());
        for (name, text) in [("Content-Type", &content_type), ("filename", &file_name)] {
            if text.as_ref().is_some_and(|it| it.len() > MAX_NAME) {
                let error = format!("{name} is longer than {MAX_NAME} bytes");
                return Err(Refusal::new(400, ErrorCode::InvalidParam, error));
            }
        }
        Ok(Self {
            content_type: content_type
                .filter(|it| !it.is_empty())
                .unwrap_or_else(|| OCTETS.to_owned()),
            file_name,
        })
    }
}

impl Medium {
    fn must_be_awaited_from(&self, user: i64) -> Result<(), Refusal> {
        if self.uploader != user {
            let error = "this address was made by another user";
            return Err(Refusal::new(403, ErrorCode::Forbidden, error));
        }
        if self.here.is_some() {
            let error = "there is a file at this address already; make another address";
            return Err(Refusal::new(409, ErrorCode::CannotOverwriteMedia, error));
        }
        Ok(())
    }
}

impl Call<'_> {
    /// Whose access token this is, if they may upload.
    fn uploader(&self, now: Timestamp) -> Result<Bearer, Fault> {
        let bearer = self.user(now)?;
        if bearer.is_suspended {
            let error = "this account is suspended; it may not upload files";
            return Err(Refusal::new(403, ErrorCode::UserSuspended, error).into());
        }
        Ok(bearer)
    }

    /// Allows the body to come, unless it is said to be too large or there were too many.
    fn allow(&self, cx: &mut StepContext<'_>, bearer: &Bearer) -> Result<HandlerResponse, Fault> {
        let max = self.home.config.media.max_size;
        if self.request.announced.is_some_and(|length| length > max) {
            return Err(too_large(max).into());
        }
        self.count_an_upload(bearer, cx.now)?;
        Ok(HandlerResponse::receive(Upload {
            name: cx.entropy.text(ALPHANUMERIC, NAME),
            max,
            uploader: bearer.user,
        }))
    }

    /// Keeps what is known of a file that has come.
    fn keep(&self, id: &str, received: &Received, what: &Description) -> Result<(), Fault> {
        let Received { upload, length } = received;
        if *length > upload.max {
            return Err(too_large(upload.max).into());
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
    fn count_an_upload(&self, bearer: &Bearer, now: Timestamp) -> Result<(), Fault> {
        let bucket = Bucket {
            kind: "upload",
            limit: self.home.config.limits.uploads,
            peer: &bearer.localpart,
        };
        bucket.check_and_take(self.tx, now)
    }

    fn address(&self, id: &str) -> Result<MxcUri, Fault> {
        let address = format!("mxc://{}/{id}", self.home.config.server_name);
        Ok(address.parse()?)
    }
}

/// What is said of a file that is too large.
pub(crate) fn too_large(max: u64) -> Refusal {
    let error = format!("this server keeps files of at most {max} bytes");
    Refusal::new(413, ErrorCode::TooLarge, error)
}
