//! Runs jobs over HTTP, on tokio and hyper.

mod body;
mod clients;
mod connect;
mod driver;
mod error;
mod file_body;
mod gzip;
mod response;
mod runner;
mod stream;
mod transport;

pub use driver::Driver;
pub use runner::{Handle, Runner};
