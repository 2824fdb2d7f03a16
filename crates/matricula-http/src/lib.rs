//! Carries Matrix jobs over HTTP.
//!
//! A runner drives a [`Scheduler`](matricula_core::Scheduler): it passes in the time and random bytes,
//! sends the requests that the scheduler emits, and wakes it when it asks for that. There are two, with
//! the same methods: `Runner`, on tokio (feature `tokio`, the default), and `blocking::Runner`, on
//! threads (feature `blocking`). Neither needs the dependencies of the other. `Runner::builder()` sets
//! everything that can be configured; `Driver` drives other machines than a scheduler.
//!
//! [`HttpOptions`] has the bounds: timeouts, the size of a response after decompression, the number of
//! redirects. The HTTP library bounds the head of a response: on tokio 100 headers and about 400 KiB,
//! on threads 128 headers and 64 KiB. Both speak HTTP/1.1.
//!
//! Requests to other machines go through the proxy that the environment names: `HTTPS_PROXY` and
//! `HTTP_PROXY` by the scheme of the server, `ALL_PROXY`, and `NO_PROXY` for the exceptions, also in lower
//! case. The proxy speaks HTTP, with TLS or without; one that cannot be used is an error.
#![cfg_attr(
    not(all(feature = "tokio", feature = "blocking")),
    allow(dead_code, reason = "a shared function may serve one runner only")
)]

mod address;
#[cfg(feature = "blocking")]
pub mod blocking;
mod builder;
mod clock;
mod core;
mod credentials;
mod download;
mod driven;
mod error;
mod exchange;
mod files;
mod headers;
mod job_events;
mod options;
mod persistence;
mod progress;
mod proxy;
mod queues;
mod redirect;
mod tls;
#[cfg(feature = "tokio")]
mod tokio;

use std::time::Duration;

pub use builder::{Backend, RunnerBuilder};
pub use clock::{SystemClock, SystemEntropy};
pub use credentials::Credentials;
pub use driven::{Carry, DrivenMachine, DriverInput, Host, Load};
pub use files::{Disk, FileStore, PartialFile};
pub use options::HttpOptions;
pub use persistence::{BuildError, SubmitError};
pub use progress::TransferProgress;
pub use queues::QueueControl;

#[cfg(feature = "tokio")]
pub use self::tokio::{Driver, Handle, Runner};

/// How many events a listener may be behind before it loses some.
const EVENT_BUFFER: usize = 256;

/// How long stopping waits for requests that are in flight.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
