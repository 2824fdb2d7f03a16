//! Sending a file as a body.

use std::{
    borrow::Cow,
    io::{self, SeekFrom},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use hyper::{
    HeaderMap, Response, StatusCode,
    body::{Bytes, Frame},
    header::{self, HeaderValue},
};
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
use crate::{
    StoredFile,
    engine::ApiError,
    server::{body::Body, memory::Room},
};

/// The size of a chunk, in bytes.
const CHUNK_SIZE: usize = 32 * 1024;
/// How many chunks are in memory: one is read, one is buffered by tokio, one is written.
const CHUNKS: usize = 3;

/// How much memory the sending of a file takes, in bytes.
pub(crate) fn memory_of(file: &StoredFile) -> usize {
    let length = usize::try_from(file.length).unwrap_or(usize::MAX);
    length.min(CHUNKS * CHUNK_SIZE)
}

/// Completes `response`, which has the headers of a file, for a request with these headers: by the file,
/// a part of it, or `304 Not Modified`. The file takes this room until it is sent.
pub(crate) async fn send(
    mut response: Response<Body>,
    request: &HeaderMap,
    media_dir: &Arc<MediaDir>,
    file: StoredFile,
    room: Option<Room>,
) -> Result<Response<Body>, OutgoingResponse> {
    let StoredFile { name, length } = file;
    let mut status = StatusCode::OK;
    let headers = response.headers_mut();
    let etag = headers.get(header::ETAG).and_then(|it| it.to_str().ok());
    let range = match resolve(request, etag.unwrap_or_default(), length) {
        RangeResult::Whole => 0..length,
        RangeResult::Part(range) => {
            let (first, last) = (range.start, range.end - 1);
            let content_range = HeaderValue::try_from(format!("bytes {first}-{last}/{length}"));
            headers.extend(content_range.ok().map(|it| (header::CONTENT_RANGE, it)));
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
    let media_dir = media_dir.clone();
    let opened = spawn_blocking(move || media_dir.open(&name)).await;
    let opened = opened.map_err(io::Error::other).flatten();
    let mut file = File::from_std(opened.map_err(read_failed)?);
    let start = SeekFrom::Start(range.start);
    file.seek(start).await.map_err(read_failed)?;
    let remaining = range.end - range.start;
    headers.insert(header::CONTENT_LENGTH, remaining.into());
    *response.status_mut() = status;
    *response.body_mut() = Body::File(FileBody {
        file,
        remaining,
        buffer: vec![0; CHUNK_SIZE],
        _room: room,
    });
    Ok(response)
}

fn range_not_satisfiable(length: u64) -> OutgoingResponse {
    let error = format!("the range is outside of the file, which has {length} bytes");
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

/// The rest of a file, read as it is sent.
pub(crate) struct FileBody {
    file: File,
    remaining: u64,
    buffer: Vec<u8>,
    _room: Option<Room>,
}

impl FileBody {
    /// How many bytes are not read yet.
    pub(crate) fn remaining(&self) -> u64 {
        self.remaining
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Self {
            file,
            remaining,
            buffer,
            ..
        } = self;
        if *remaining == 0 {
            return Poll::Ready(None);
        }
        let max = usize::try_from(*remaining)
            .unwrap_or(CHUNK_SIZE)
            .min(CHUNK_SIZE);
        let mut read = ReadBuf::new(&mut buffer[..max]);
        ready!(Pin::new(file).poll_read(cx, &mut read))?;
        let read = read.filled();
        if read.is_empty() {
            // An error, not the end: the client must notice that the file is incomplete.
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        *remaining -= read.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::copy_from_slice(read)))))
    }
}
