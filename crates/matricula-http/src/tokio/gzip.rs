//! Decompresses a response while it is read.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;
use hyper::body::Bytes;

/// How many decompressed bytes are returned at once at most: the caller bounds their sum.
const PIECE_SIZE: usize = 16 << 10;

/// A decoder that is fed with the pieces of a body.
pub(super) struct Gzip(MultiGzDecoder<Input>);

/// The compressed bytes that have arrived and are not decoded yet.
#[derive(Default)]
struct Input {
    bytes: Bytes,
    has_begun: bool,
    has_ended: bool,
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.bytes.is_empty() && !self.has_ended {
            // The decoder continues where it stopped.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(&self.bytes)
    }

    fn consume(&mut self, amount: usize) {
        let _ = self.bytes.split_to(amount);
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self(MultiGzDecoder::new(Input::default()))
    }

    /// The next decompressed bytes; `None` if more of the body is needed, or the body has ended.
    pub(super) fn next(&mut self) -> io::Result<Option<Bytes>> {
        // A response without a body may name an encoding.
        if !self.0.get_ref().has_begun {
            return Ok(None);
        }
        let mut piece = vec![0; PIECE_SIZE];
        match self.0.read(&mut piece) {
            Ok(0) => Ok(None),
            Ok(length) => {
                piece.truncate(length);
                Ok(Some(piece.into()))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Adds the next piece of the body. [`next`](Self::next) has returned `None`.
    pub(super) fn feed(&mut self, bytes: Bytes) {
        let input = self.0.get_mut();
        input.has_begun |= !bytes.is_empty();
        input.bytes = bytes;
    }

    /// The body has no more pieces.
    pub(super) fn end(&mut self) {
        self.0.get_mut().has_ended = true;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.0.get_ref().has_ended
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn compress(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn decompress(compressed: &[u8], piece_size: usize) -> io::Result<Vec<u8>> {
        let (mut gzip, mut content) = (Gzip::new(), Vec::new());
        for piece in compressed.chunks(piece_size) {
            gzip.feed(Bytes::copy_from_slice(piece));
            while let Some(piece) = gzip.next()? {
                assert!(piece.len() <= PIECE_SIZE);
                content.extend_from_slice(&piece);
            }
        }
        gzip.end();
        while let Some(piece) = gzip.next()? {
            content.extend_from_slice(&piece);
        }
        Ok(content)
    }

    fn content() -> Vec<u8> {
        let mut content = vec![0; 100_000];
        content.extend((0..50_000_u32).flat_map(u32::to_le_bytes));
        content
    }

    #[test]
    fn pieces_of_any_size_are_decompressed() {
        let (content, mut compressed) = (content(), compress(&content()));
        for size in [1, 2, 7, 1000, usize::MAX] {
            assert!(decompress(&compressed, size).unwrap() == content, "{size}");
        }
        compressed.extend(compress(b"second member"));
        for size in [1, 1000, usize::MAX] {
            let all = decompress(&compressed, size).unwrap();
            assert!(all.ends_with(b"second member") && all.len() == content.len() + 13);
        }
        assert_eq!(decompress(b"", 1).unwrap(), b"");
        assert_eq!(decompress(&compress(b""), 1).unwrap(), b"");
    }

    #[test]
    fn truncated_stream_is_error() {
        let compressed = compress(&content());
        for length in [
            1,
            5,
            9,
            10,
            11,
            1000,
            compressed.len() - 8,
            compressed.len() - 1,
        ] {
            for size in [1, 1000, usize::MAX] {
                let error = decompress(&compressed[..length], size).unwrap_err();
                assert_eq!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof,
                    "{length}: {error}"
                );
            }
        }
    }

    #[test]
    fn corrupt_stream_is_error() {
        let mut compressed = compress(&content());
        let middle = compressed.len() / 2;
        compressed[middle] ^= 0xff;
        assert!(decompress(&compressed, 1000).is_err());
        let mut compressed = compress(&content());
        let checksum = compressed.len() - 8;
        compressed[checksum] ^= 1;
        assert!(decompress(&compressed, 1000).is_err());
        assert!(decompress(b"{}", 1).is_err());
    }
}
