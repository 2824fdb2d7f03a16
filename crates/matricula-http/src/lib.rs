//! Carries Matrix jobs over HTTP.
//!
//! [`Runner`] drives a [`Scheduler`](matricula_job::Scheduler): it hands in the time and the system's
//! randomness, sends what the scheduler says, and sleeps until it says so.
//!
//! Bounds, all in [`Options`]: how long a request may take, how large an answer may be after
//! decompression, how many redirections are followed. The head of an answer is bounded by the HTTP
//! library: 100 headers and about 400 KiB over HTTP/1, 16 KiB over HTTP/2.

#[cfg(feature = "async")]
mod clients;
mod clock;
mod credentials;
#[cfg(feature = "async")]
mod driver;
#[cfg(feature = "async")]
mod durable;
#[cfg(feature = "async")]
mod failure;
#[cfg(feature = "async")]
mod files;
#[cfg(feature = "async")]
mod options;
#[cfg(feature = "async")]
mod redirect;
#[cfg(feature = "async")]
mod runner;
#[cfg(feature = "async")]
mod stepping;
#[cfg(feature = "async")]
mod wire;

pub use clock::{SystemEntropy, now};
pub use credentials::Credentials;
#[cfg(feature = "async")]
pub use durable::{DurableError, SubmitError};
#[cfg(feature = "async")]
pub use files::{Disk, FileSource};
#[cfg(feature = "async")]
pub use options::Options;
#[cfg(feature = "async")]
pub use runner::{Handle, Runner};
