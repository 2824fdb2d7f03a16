//! Runs jobs over HTTP, on tokio and reqwest.

mod clients;
mod driver;
mod error;
mod file_body;
mod runner;
mod transport;

pub use driver::Driver;
pub use runner::{Handle, Runner};
