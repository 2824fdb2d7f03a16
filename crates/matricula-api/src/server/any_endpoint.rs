//! Operations that are chosen at run time.

use matricula_core::{Job, Operation, Response, ServerUrl};

use super::{
    IncomingRequest, OutgoingResponse, Parameter, RequestError, ServerEndpoint,
    incoming_request::segments,
};
use crate::{ApiError, InvalidPart};

/// An operation of any type.
#[derive(Clone, Copy, Debug)]
pub struct AnyEndpoint {
    /// Its properties.
    pub operation: Operation,
    /// The parts of its request.
    pub parameters: &'static [Parameter],
    job: fn(&IncomingRequest<'_>, &ServerUrl) -> Result<Job, RequestError>,
    read: fn(&Response) -> Result<OutgoingResponse, ApiError>,
    invalid_parts: fn(&Response) -> Vec<InvalidPart>,
}

impl AnyEndpoint {
    /// The operation `E`.
    pub const fn of<E: ServerEndpoint>() -> Self {
        Self {
            operation: E::OPERATION,
            parameters: E::PARAMETERS,
            job: |request, server| Ok(E::read_request(request)?.job(server)),
            read: |response| E::read(response).map(|answer| E::write_success(&answer)),
            invalid_parts: E::invalid_parts,
        }
    }

    /// Reads a request as its type, and converts it to a job for `server`.
    ///
    /// # Errors
    /// What is missing or invalid, and where.
    pub fn job(
        &self,
        request: &IncomingRequest<'_>,
        server: &ServerUrl,
    ) -> Result<Job, RequestError> {
        (self.job)(request, server)
    }

    /// Reads a response as its type, and writes it again.
    ///
    /// # Errors
    /// The failure that the response reports.
    pub fn read(&self, response: &Response) -> Result<OutgoingResponse, ApiError> {
        (self.read)(response)
    }

    /// The parts of a successful response that are not valid, though the rest can be read.
    pub fn invalid_parts(&self, response: &Response) -> Vec<InvalidPart> {
        (self.invalid_parts)(response)
    }
}

impl AsRef<Operation> for AnyEndpoint {
    fn as_ref(&self) -> &Operation {
        &self.operation
    }
}

/// The operations with this method and path: several if they differ only in query or body, none if
/// the server should respond with `M_UNRECOGNIZED`. Paths with fewer parameters come first.
///
/// `endpoints` is a list such as [`client::ENDPOINTS`](crate::client::ENDPOINTS), or a server's own table.
pub fn find<'a, T: AsRef<Operation>>(endpoints: &'a [T], method: &str, path: &str) -> Vec<&'a T> {
    let fits = |one: &&T| {
        let operation: &Operation = (*one).as_ref();
        operation.method.as_str() == method && segments(operation.path, path).is_some()
    };
    let mut found: Vec<_> = endpoints.iter().filter(fits).collect();
    found.sort_by_key(|one| one.as_ref().path.matches('{').count());
    found
}
