//! Runs jobs over HTTP without a runtime: on threads that are there while there is something to do.
//!
//! [`Runner`] has the words of the runner for tokio; where that one gives a future, this one blocks.
//!
//! - **Threads.** A request has a thread while it is on the transport, as many as the scheduler lets there
//!   be; one whose request was answered takes the next. One more sleeps until the time at which the
//!   scheduler is to be woken, while there is such a time. What is to be kept is written by whoever
//!   finds that something is, without anybody else waiting for more than that. An idle runner has no
//!   thread and is never woken.
//! - **Calling back.** A request that is on the wire cannot be cut short: its job ends at once, and its
//!   thread when the answer comes, which nobody hears any more, or when its time is over
//!   ([`ServerOptions::timeout`](crate::HttpOptions::timeout)). A request that waits for news takes that longer.
//! - **Early answers.** Nothing is read while a request is being written. A server that refuses an upload
//!   without having read it is heard when it lets the rest pass or hangs up (what is left of the file then
//!   counts as progress, and goes nowhere). One that does neither is not heard before the time is over
//!   ([`ServerOptions::file_timeout`](crate::HttpOptions::file_timeout)), and that is told. What was said before
//!   hanging up is there if the system keeps it, as Linux does; else the job is in doubt.
//! - **Proxies.** An `http://` address of another machine is asked for through a tunnel (`CONNECT`),
//!   too. A proxy of another kind than HTTP's is refused, not passed by.
//! - **Logs.** At the level `trace`, and at no other, the HTTP library writes addresses with their
//!   queries into the `log` crate's records. Secrets may be in them: keep `ureq` at `debug`.

mod agents;
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

pub use events::{EventOrLag, Events};
pub use runner::{Handle, Runner};
