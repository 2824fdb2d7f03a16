//! How a file becomes a body.

use std::{
    borrow::Cow,
    io::{self, SeekFrom},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use hyper::body::{Frame, SizeHint};
use matricula_api::{ErrorCode, server::OutgoingResponse};
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncSeekExt, ReadBuf},
    task::spawn_blocking,
};

use super::{
    MediaDir,
    ranges::{RangeResult, resolve},
};
use crate::{StoredFile, engine::ApiError};

/// How much of a file is in memory at once, in bytes.
const CHUNK_SIZE: usize = 64 * 1024;

/// Makes `response`, which has a file's headers, the answer to a request with these headers: the file,
/// a part of it, or the news that it is as it was.
pub(crate) async fn send(
    mut response: Response,
    request: &HeaderMap,
    shelf: &Arc<MediaDir>,
    file: StoredFile,
) -> Result<Response, OutgoingResponse> {
    let StoredFile { name, length } = file;
    let mut status = StatusCode::OK;
    let headers = response.headers_mut();
    let etag = headers.get(header::ETAG).and_then(|it| it.to_str().ok());
    let range = match resolve(request, etag.unwrap_or_default(), length) {
        RangeResult::Whole => 0..length,
        RangeResult::Part(range) => {
            let (first, last) = (range.start, range.end - 1);
            let said = HeaderValue::try_from(format!("bytes {first}-{last}/{length}"));
            headers.extend(said.ok().map(|it| (header::CONTENT_RANGE, it)));
            status = StatusCode::PARTIAL_CONTENT;
            range
        }
        RangeResult::NotModified => {
            for name in [header::CONTENT_TYPE, header::CONTENT_DISPOSITION] {
                headers.remove(name);
            }
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(response);
        }
        RangeResult::Unsatisfiable => return Err(range_not_satisfiable(length)),
    };
    let shelf = shelf.clone();
    let opened = spawn_blocking(move || shelf.open(&name)).await;
    let opened = opened.map_err(io::Error::other).flatten();
    let mut file = File::from_std(opened.map_err(read_failed)?);
    let start = SeekFrom::Start(range.start);
    file.seek(start).await.map_err(read_failed)?;
    let left = range.end - range.start;
    headers.insert(header::CONTENT_LENGTH, left.into());
    *response.status_mut() = status;
    *response.body_mut() = Body::new(FileBody {
        file,
        remaining: left,
        buffer: vec![0; CHUNK_SIZE],
    });
    Ok(response)
}

fn range_not_satisfiable(length: u64) -> OutgoingResponse {
    let error = format!("the range lies beyond the file, which has {length} bytes");
    let mut reply = ApiError::new(416, ErrorCode::InvalidParam, error).into_reply();
    let range = (Cow::Borrowed("content-range"), format!("bytes */{length}"));
    reply.headers.push(range);
    reply
}

fn read_failed(error: io::Error) -> OutgoingResponse {
    tracing::error!(%error, "an uploaded file could not be read");
    let error = "the server has lost this file";
    ApiError::new(500, ErrorCode::Unknown, error).into_reply()
}

/// What is left of a file, read as it is asked for.
struct FileBody {
    file: File,
    remaining: u64,
    buffer: Vec<u8>,
}

impl HttpBody for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Self {
            file,
            remaining: left,
            buffer: piece,
        } = self.get_mut();
        if *left == 0 {
            return Poll::Ready(None);
        }
        let most = usize::try_from(*left).unwrap_or(CHUNK_SIZE).min(CHUNK_SIZE);
        let mut read = ReadBuf::new(&mut piece[..most]);
        ready!(Pin::new(file).poll_read(cx, &mut read))?;
        let read = read.filled();
        if read.is_empty() {
            // Not to be taken for the end: the receiver is to see that something is missing.
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        *left -= read.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::copy_from_slice(read)))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}
