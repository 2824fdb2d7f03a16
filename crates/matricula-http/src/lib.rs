//! Carries Matrix jobs over HTTP.
//!
//! A runner drives a [`Scheduler`](matricula_core::Scheduler): it hands in the time and the system's
//! randomness, sends what the scheduler says, and sleeps until it says so. There are two, with the
//! same words for the same things: `Runner`, on tokio (feature `async`, the default), and
//! `blocking::Runner`, for programs without a runtime (feature `blocking`). Neither needs what the other
//! is built of.
//!
//! Bounds, all in `ServerOptions`: how long a request may take, how large an answer may be after
//! decompression, how many redirections are followed. The head of an answer is bounded by the HTTP
//! library: on tokio 100 headers and about 400 KiB over HTTP/1, 16 KiB over HTTP/2; without it, where
//! only HTTP/1 is spoken, 128 headers and 64 KiB.

#[cfg(any(feature = "async", feature = "blocking"))]
mod address;
#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "async")]
mod clients;
mod clock;
mod credentials;
#[cfg(any(feature = "async", feature = "blocking"))]
mod download;
#[cfg(feature = "async")]
mod driver;
#[cfg(any(feature = "async", feature = "blocking"))]
mod durable;
#[cfg(any(feature = "async", feature = "blocking"))]
mod failure;
#[cfg(feature = "async")]
mod file_body;
#[cfg(any(feature = "async", feature = "blocking"))]
mod files;
#[cfg(any(feature = "async", feature = "blocking"))]
mod head;
#[cfg(feature = "async")]
mod hyper_failure;
#[cfg(any(feature = "async", feature = "blocking"))]
mod options;
#[cfg(any(feature = "async", feature = "blocking"))]
mod progress;
#[cfg(any(feature = "async", feature = "blocking"))]
mod redirect;
#[cfg(feature = "async")]
mod runner;
#[cfg(any(feature = "async", feature = "blocking"))]
mod stepping;
#[cfg(any(feature = "async", feature = "blocking"))]
mod tls;
#[cfg(feature = "async")]
mod told;
#[cfg(feature = "async")]
mod wire;

pub use clock::{SystemEntropy, now};
pub use credentials::Credentials;
#[cfg(any(feature = "async", feature = "blocking"))]
pub use durable::{DurableError, SubmitError};
#[cfg(any(feature = "async", feature = "blocking"))]
pub use files::{Disk, FileStore, PartialFile};
#[cfg(any(feature = "async", feature = "blocking"))]
pub use options::HttpOptions;
#[cfg(any(feature = "async", feature = "blocking"))]
pub use progress::TransferProgress;
#[cfg(feature = "async")]
pub use runner::{Handle, Runner};
