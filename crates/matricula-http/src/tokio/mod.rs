//! Runs jobs over HTTP, on tokio.

mod clients;
mod driver;
mod error;
mod file_body;
mod job_events;
mod runner;
mod transport;

pub use runner::{Handle, Runner};
