//! Runs jobs over HTTP without an async runtime, on threads and ureq.
//!
//! [`Runner`] has the methods of the runner for tokio. Where that one returns a future, this one
//! blocks.
//!
//! - **Threads.** A request has a thread while it is in flight; the scheduler bounds their number. A
//!   thread whose request has ended takes the next one. Another thread sleeps until the scheduler must
//!   be woken, if there is such a time. The store is written on the thread that finds something to
//!   write; no other thread waits for more than its own write. An idle runner has no thread.
//! - **Cancelling.** A blocking request cannot be aborted. A cancelled job ends at once, but its thread
//!   only ends when the response has come or the request times out
//!   ([`HttpOptions::timeout`](crate::HttpOptions::timeout), and longer for a long poll). The response
//!   is ignored.
//! - **Early responses.** Nothing is read while a request is being written. If a server refuses an upload
//!   without reading it, its response is read when it accepts the rest or closes the connection; the
//!   rest of the file then counts as progress and is discarded. If the server does neither, the request
//!   times out ([`HttpOptions::file_timeout`](crate::HttpOptions::file_timeout)). A response that was
//!   sent before the connection was closed is read if the system keeps it, as Linux does; otherwise the
//!   job ends in doubt.
//! - **Proxies.** An `http://` address of another machine is requested through a tunnel (`CONNECT`), too.
//!   A proxy that does not speak HTTP is an error; it is not ignored.
//! - **Logs.** At the level `trace`, ureq logs addresses with their queries (crate `log`). They may hold
//!   secrets: keep `ureq` at `debug`.

mod clients;
mod connect;
mod driver;
mod error;
mod events;
mod runner;
mod threads;
mod timeout;
mod timer;
mod tls;
mod transport;
mod write_error;

pub use driver::Driver;
pub use events::{EventOrLag, Events};
pub use runner::{Handle, Runner};
