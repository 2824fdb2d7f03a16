//! Streams an open file as the body of a request.

use std::{
    fs::File,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use matricula_core::FileRef;
use tokio::io::{AsyncRead, ReadBuf};

use crate::{
    files::{PIECE_SIZE, file_shrank},
    progress::{Listener, Upload},
};

/// A request body with the bytes of an open file: as many as the file had when it was opened.
pub(super) struct FileBody {
    file: tokio::fs::File,
    upload: Upload,
    piece: Box<[u8]>,
}

impl FileBody {
    pub(super) fn new(file: File, desc: &FileRef, listener: &Listener) -> io::Result<Self> {
        let upload = Upload::new(desc, file.metadata()?.len(), listener);
        let piece = vec![0; PIECE_SIZE].into_boxed_slice();
        Ok(Self {
            file: tokio::fs::File::from_std(file),
            upload,
            piece,
        })
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        if this.upload.left == 0 {
            return Poll::Ready(None);
        }
        let size = usize::try_from(this.upload.left)
            .unwrap_or(PIECE_SIZE)
            .min(PIECE_SIZE);
        let mut piece = ReadBuf::new(&mut this.piece[..size]);
        if let Err(error) = ready!(Pin::new(&mut this.file).poll_read(cx, &mut piece)) {
            return Poll::Ready(Some(Err(error)));
        }
        let piece = piece.filled();
        if piece.is_empty() {
            return Poll::Ready(Some(Err(file_shrank())));
        }
        this.upload.sent(piece.len());
        Poll::Ready(Some(Ok(Frame::data(Bytes::copy_from_slice(piece)))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.upload.left)
    }
}
