//! Uploaded files: received and sent in chunks, so that memory use does not depend on their size.

mod dir;
mod ranges;
mod receive;
mod send;

pub(crate) use dir::{MediaDir, TempFile};
pub(crate) use receive::{drain, next_chunk, receive};
pub(crate) use send::{FileBody, memory_of, send};
