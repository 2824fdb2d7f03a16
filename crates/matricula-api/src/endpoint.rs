//! What every operation can do: become a job, and read the answer to it.

use matricula_core::{Job, Operation, Response, ServerUrl};

use crate::{ApiError, error};

/// A typed request to one operation of the specification.
pub trait Endpoint {
    /// The facts of the operation.
    const OPERATION: Operation;

    /// What a server answers on success.
    type Response;

    /// The request as a job for `server`, without a credential: name one with
    /// [`Job::with_auth`] where [`Operation::auth`] asks for it.
    fn job(&self, server: &ServerUrl) -> Job;

    /// Reads a success that the server answered. To tell success from failure, use
    /// [`Endpoint::read`].
    ///
    /// # Errors
    /// [`ApiError::Malformed`] names the field that is not as the specification says.
    fn read_success(response: &Response) -> Result<Self::Response, ApiError>;

    /// Reads whatever the server answered.
    ///
    /// # Errors
    /// Each failure of the operation, as the [`ApiError`] it is.
    fn read(response: &Response) -> Result<Self::Response, ApiError> {
        match error::read(response) {
            Some(error) => Err(error),
            None => Self::read_success(response),
        }
    }
}
