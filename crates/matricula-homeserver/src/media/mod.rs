//! Where uploaded files are, and how their bytes come in and go out: piece by piece, so that the server
//! stays as small as it is, however large a file.

mod ranges;
mod receive;
mod send;
mod shelf;

pub(crate) use receive::{drain, receive};
pub(crate) use send::send;
pub(crate) use shelf::{MediaDir, TempFile};
