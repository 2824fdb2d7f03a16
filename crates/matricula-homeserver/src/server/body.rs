//! The bodies that the server sends: bytes in memory, or a file.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};

use super::{media::FileBody, memory::Room};

/// A body that is sent.
pub(crate) enum Body {
    /// What is left of bytes in memory.
    Bytes(Bytes),
    File(FileBody),
}

impl Body {
    /// Bytes in memory. The room is given back when the last of them is written: until then hyper has
    /// them.
    pub(crate) fn bytes(bytes: Vec<u8>, room: Option<Room>) -> Self {
        Self::Bytes(match room {
            Some(room) => Bytes::from_owner(BytesInRoom { bytes, _room: room }),
            None => bytes.into(),
        })
    }
}

struct BytesInRoom {
    bytes: Vec<u8>,
    _room: Room,
}

impl AsRef<[u8]> for BytesInRoom {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::File(file) => file.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::File(file) => file.remaining() == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(file) => file.remaining(),
        })
    }
}
