//! An open file as the body of an asynchronous request.

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
    files::{PIECE, has_become_shorter},
    progress::{Listener, Upload},
};

/// The bytes of an open file, as the body of a request: as many as it had when it was opened.
pub(crate) struct FileBody {
    file: tokio::fs::File,
    upload: Upload,
    piece: Box<[u8]>,
}

impl FileBody {
    pub(crate) fn new(file: File, desc: &FileRef, listener: &Listener) -> io::Result<Self> {
        let upload = Upload::new(desc, file.metadata()?.len(), listener);
        let piece = vec![0; PIECE].into_boxed_slice();
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
        let most = usize::try_from(this.upload.left)
            .unwrap_or(PIECE)
            .min(PIECE);
        let mut piece = ReadBuf::new(&mut this.piece[..most]);
        if let Err(error) = ready!(Pin::new(&mut this.file).poll_read(cx, &mut piece)) {
            return Poll::Ready(Some(Err(error)));
        }
        let piece = piece.filled();
        if piece.is_empty() {
            return Poll::Ready(Some(Err(has_become_shorter())));
        }
        this.upload.took(piece.len());
        Poll::Ready(Some(Ok(Frame::data(Bytes::copy_from_slice(piece)))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.upload.left)
    }
}
