//! Files that jobs only name: opened here, and carried piece by piece.

use std::{
    fmt,
    fs::{self, File},
    io,
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll, ready},
};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use matricula_job::FileDesc;
use tokio::io::{AsyncRead, ReadBuf};

/// Opens the files that jobs name.
///
/// A program whose files are not on a disk, or not where jobs say, brings its own.
pub trait FileSource: fmt::Debug + Send + Sync {
    /// Opens a file to be sent.
    ///
    /// # Errors
    /// Where it cannot be read; the request is then not sent.
    fn open(&self, file: &FileDesc) -> io::Result<File>;

    /// Begins a file that an answer is written to. What was there before stays until [`keep`].
    ///
    /// # Errors
    /// Where it cannot be written.
    ///
    /// [`keep`]: FileSource::keep
    fn create(&self, file: &FileDesc) -> io::Result<File>;

    /// The answer has come whole: the file takes its place.
    ///
    /// # Errors
    /// Where it cannot.
    fn keep(&self, file: &FileDesc) -> io::Result<()>;

    /// The answer has not come whole: what came of it is thrown away.
    fn discard(&self, file: &FileDesc);
}

/// Files on this machine's disk, at the paths that jobs name. An answer is written beside its file,
/// under the same name with `.part` behind it, and renamed into place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Disk {
    fn part(file: &FileDesc) -> PathBuf {
        let mut path = file.path.clone().into_os_string();
        path.push(".part");
        path.into()
    }
}

impl FileSource for Disk {
    fn open(&self, file: &FileDesc) -> io::Result<File> {
        File::open(&file.path)
    }

    fn create(&self, file: &FileDesc) -> io::Result<File> {
        File::create(Self::part(file))
    }

    fn keep(&self, file: &FileDesc) -> io::Result<()> {
        let part = Self::part(file);
        File::open(&part)?.sync_all()?;
        fs::rename(part, &file.path)
    }

    fn discard(&self, file: &FileDesc) {
        // One that cannot be removed is overwritten by the next attempt.
        let _ = fs::remove_file(Self::part(file));
    }
}

/// The bytes of an open file, as the body of a request: as many as it had when it was opened.
pub(crate) struct FileBody {
    file: tokio::fs::File,
    left: u64,
    piece: Box<[u8]>,
}

/// How much of a file is in memory at once.
const PIECE: usize = 64 << 10;

impl FileBody {
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let left = file.metadata()?.len();
        let piece = vec![0; PIECE].into_boxed_slice();
        Ok(Self {
            file: tokio::fs::File::from_std(file),
            left,
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
        if this.left == 0 {
            return Poll::Ready(None);
        }
        let most = usize::try_from(this.left).unwrap_or(PIECE).min(PIECE);
        let mut piece = ReadBuf::new(&mut this.piece[..most]);
        if let Err(error) = ready!(Pin::new(&mut this.file).poll_read(cx, &mut piece)) {
            return Poll::Ready(Some(Err(error)));
        }
        let piece = piece.filled();
        if piece.is_empty() {
            let error = io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter");
            return Poll::Ready(Some(Err(error)));
        }
        this.left -= piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::copy_from_slice(piece)))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
