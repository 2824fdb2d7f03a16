//! How a body becomes a file.

use std::{future::poll_fn, io, pin::Pin, sync::Arc, time::Duration};

use axum::body::{Body, Bytes, HttpBody};
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

/// How long nothing of a body may arrive.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(30);
/// For how long an unwanted body is thrown away while it comes, and how long nothing of it may: so that
/// its sender, who writes before reading, comes to read why.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
const DRAIN_CHUNK_TIMEOUT: Duration = Duration::from_millis(500);

/// Puts a body into a file that outlasts a power cut. There is none if anything goes wrong.
pub(crate) async fn receive(
    shelf: &Arc<MediaDir>,
    upload: Upload,
    body: &mut Body,
) -> Result<(ReceivedFile, TempFile), ApiError> {
    let (shelf, name) = (shelf.clone(), upload.name().to_owned());
    let (mut draft, file) = run_blocking(move || shelf.create(&name)).await?;
    let mut file = File::from_std(file);
    let mut length = 0;
    loop {
        let piece = timeout(CHUNK_TIMEOUT, next_chunk(body))
            .await
            .map_err(|_| {
                let error = "the request's body took too long";
                ApiError::new(408, ErrorCode::Unknown, error)
            })?;
        let Some(piece) = piece.map_err(|_| cut_short())? else {
            break;
        };
        length += piece.len() as u64;
        if length > upload.max_size() {
            return Err(too_large(upload.max_size()));
        }
        file.write_all(&piece).await.map_err(write_failed)?;
    }
    file.flush().await.map_err(write_failed)?;
    let file = file.into_std().await;
    let draft = run_blocking(move || draft.finish(&file).map(|()| draft)).await?;
    Ok((ReceivedFile { upload, length }, draft))
}

/// Lets whoever sends a body that is not wanted come to the end of a refusal.
pub(crate) fn drain(mut body: Body) {
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

/// What of a body comes next.
async fn next_chunk(body: &mut Body) -> Result<Option<Bytes>, axum::Error> {
    loop {
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        match frame.transpose()?.map(hyper::body::Frame::into_data) {
            None => return Ok(None),
            Some(Ok(piece)) => return Ok(Some(piece)),
            // Trailers say nothing to us.
            Some(Err(_)) => {}
        }
    }
}

/// Waits for a file without keeping others from being answered.
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
    let error = "the server could not write the file; it may have no room left";
    ApiError::new(500, ErrorCode::Unknown, error)
}
