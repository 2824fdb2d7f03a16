//! A response whose body is read piece by piece, within a deadline.

use std::{
    future::poll_fn,
    pin::Pin,
    time::{Duration, Instant},
};

use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH},
    response::Parts,
};
use hyper::body::{Body, Bytes, Incoming};
use tokio::time::timeout_at;

use super::{error::Error, gzip::Gzip};

/// When a request must have ended.
#[derive(Clone, Copy)]
pub(super) struct Deadline(tokio::time::Instant);

impl Deadline {
    pub(super) fn after(timeout: Duration) -> Self {
        let now = Instant::now();
        // So far away that it cannot be expressed: a century is enough.
        let far = || now + Duration::from_secs(100 * 365 * 24 * 60 * 60);
        Self(now.checked_add(timeout).unwrap_or_else(far).into())
    }

    /// Waits until the deadline at most.
    pub(super) async fn bound<T>(self, future: impl Future<Output = T>) -> Result<T, Error> {
        timeout_at(self.0, future).await.map_err(|_| Error::Timeout)
    }
}

/// A response. Its body is decompressed if it has to be.
pub(super) struct Response {
    head: Parts,
    body: Incoming,
    gzip: Option<Gzip>,
    deadline: Deadline,
}

impl Response {
    pub(super) fn new(response: http::Response<Incoming>, deadline: Deadline) -> Self {
        let (mut head, body) = response.into_parts();
        let encoding = head.headers.get(CONTENT_ENCODING).map(|it| it.as_bytes());
        let is_gzip = encoding.is_some_and(|it| {
            it.eq_ignore_ascii_case(b"gzip") || it.eq_ignore_ascii_case(b"x-gzip")
        });
        if is_gzip {
            // They are those of the compressed body.
            head.headers.remove(CONTENT_ENCODING);
            head.headers.remove(CONTENT_LENGTH);
        }
        Self {
            head,
            body,
            gzip: is_gzip.then(Gzip::new),
            deadline,
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.head.status
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The next piece of the body; `None` at its end.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some(gzip) = &mut self.gzip {
                let piece = gzip.next().map_err(Error::Gzip)?;
                if piece.is_some() || gzip.has_ended() {
                    return Ok(piece);
                }
            }
            let next = poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx));
            let Some(frame) = self.deadline.bound(next).await? else {
                let Some(gzip) = &mut self.gzip else {
                    return Ok(None);
                };
                gzip.end();
                continue;
            };
            // Anything else than data is a trailer.
            let Ok(bytes) = frame.map_err(Error::Http)?.into_data() else {
                continue;
            };
            match &mut self.gzip {
                Some(gzip) => gzip.feed(bytes),
                None => return Ok(Some(bytes)),
            }
        }
    }
}
