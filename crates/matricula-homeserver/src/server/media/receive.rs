//! Receiving a body into a file.

use std::{future::poll_fn, io, pin::Pin, sync::Arc, time::Duration};

use hyper::body::{Body as _, Bytes, Incoming};
use matricula_api::ErrorCode;
use tokio::{
    fs::File,
    io::AsyncWriteExt,
    task::spawn_blocking,
    time::{Instant, timeout},
};

use super::{MediaDir, TempFile};
use crate::{
    ReceivedFile, Upload,
    engine::{ApiError, media::too_large},
};

/// How long a rejected body is read and discarded, and how long its next chunk may take. A client that
/// writes its whole request first gets the error response this way.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
const DRAIN_CHUNK_TIMEOUT: Duration = Duration::from_millis(500);

/// Writes a body to a durable file; each chunk may take `chunk_timeout`. On an error the file is removed.
pub(crate) async fn receive(
    media_dir: &Arc<MediaDir>,
    upload: Upload,
    body: &mut Incoming,
    chunk_timeout: Duration,
) -> Result<(ReceivedFile, TempFile), ApiError> {
    let (media_dir, name) = (media_dir.clone(), upload.name().to_owned());
    let (mut temp_file, file) = run_blocking(move || media_dir.create(&name)).await?;
    let mut file = File::from_std(file);
    let mut length = 0;
    loop {
        let chunk = timeout(chunk_timeout, next_chunk(body))
            .await
            .map_err(|_| {
                let error = "the request's body took too long";
                ApiError::new(408, ErrorCode::Unknown, error)
            })?;
        let Some(chunk) = chunk.map_err(|_| cut_short())? else {
            break;
        };
        length += chunk.len() as u64;
        if length > upload.max_size() {
            return Err(too_large(upload.max_size()));
        }
        file.write_all(&chunk).await.map_err(write_failed)?;
    }
    file.flush().await.map_err(write_failed)?;
    let file = file.into_std().await;
    let temp_file = run_blocking(move || temp_file.finish(&file).map(|()| temp_file)).await?;
    Ok((ReceivedFile { upload, length }, temp_file))
}

/// Discards a rejected body for a while.
pub(crate) fn drain(mut body: Incoming) {
    tokio::spawn(async move {
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        while Instant::now() < deadline {
            match timeout(DRAIN_CHUNK_TIMEOUT, next_chunk(&mut body)).await {
                Ok(Ok(Some(_))) => {}
                _ => break,
            }
        }
    });
}

/// The next chunk of a body.
pub(crate) async fn next_chunk(body: &mut Incoming) -> hyper::Result<Option<Bytes>> {
    loop {
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        match frame.transpose()?.map(hyper::body::Frame::into_data) {
            None => return Ok(None),
            Some(Ok(chunk)) => return Ok(Some(chunk)),
            // Trailers are ignored.
            Some(Err(_)) => {}
        }
    }
}

/// Runs blocking file operations without blocking other requests.
async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    let done = spawn_blocking(work).await.map_err(io::Error::other);
    done.flatten().map_err(write_failed)
}

fn cut_short() -> ApiError {
    ApiError::new(400, ErrorCode::Unknown, "the request's body was cut short")
}

fn write_failed(error: io::Error) -> ApiError {
    tracing::error!(%error, "an uploaded file could not be written");
    let error = "the server could not write the file; its disk may be full";
    ApiError::new(500, ErrorCode::Unknown, error)
}
