//! Carries Matrix jobs over HTTP.
//!
//! A runner drives a [`Scheduler`](matricula_core::Scheduler): it hands in the time and the system's
//! randomness, sends what the scheduler says, and sleeps until it says so. There are two, with the
//! same words for the same things: `Runner`, on tokio (feature `tokio`, the default), and
//! `blocking::Runner`, for programs without a runtime (feature `blocking`). Neither needs what the other
//! is built of.
//!
//! Bounds, all in [`HttpOptions`]: how long a request may take, how large an answer may be after
//! decompression, how many redirections are followed. The head of an answer is bounded by the HTTP
//! library: on tokio 100 headers and about 400 KiB over HTTP/1, 16 KiB over HTTP/2; without it, where
//! only HTTP/1 is spoken, 128 headers and 64 KiB.
#![cfg_attr(
    not(any(feature = "tokio", feature = "blocking")),
    allow(dead_code, reason = "the shared modules serve the runners")
)]

mod address;
#[cfg(feature = "blocking")]
pub mod blocking;
mod clock;
mod core;
mod credentials;
mod download;
mod error;
mod files;
mod headers;
mod options;
mod persistence;
mod progress;
mod redirect;
mod tls;
#[cfg(feature = "tokio")]
mod tokio;

pub use clock::{SystemClock, SystemEntropy};
pub use credentials::Credentials;
pub use files::{Disk, FileStore, PartialFile};
pub use options::HttpOptions;
pub use persistence::{DurableError, SubmitError};
pub use progress::TransferProgress;

#[cfg(feature = "tokio")]
pub use self::tokio::{Handle, Runner};
