//! Every Matrix operation as a typed endpoint, generated from the specification.

mod endpoint;
mod error;
pub mod uia;

pub use endpoint::Endpoint;
pub use error::{ApiError, ErrorCode, MatrixError};
