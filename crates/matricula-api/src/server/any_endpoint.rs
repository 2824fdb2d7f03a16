//! Operations whose types are not known when a program is compiled.

use matricula_core::{Job, Operation, Response, ServerUrl};

use super::{
    IncomingRequest, OutgoingResponse, Parameter, RequestError, ServerEndpoint,
    incoming_request::segments,
};
use crate::ApiError;

/// Any operation: its facts, and what its types can do without being named.
#[derive(Clone, Copy, Debug)]
pub struct AnyEndpoint {
    /// The facts.
    pub operation: Operation,
    /// What a request is made of.
    pub parameters: &'static [Parameter],
    job: fn(&IncomingRequest<'_>, &ServerUrl) -> Result<Job, RequestError>,
    read: fn(&Response) -> Result<OutgoingResponse, ApiError>,
}

impl AnyEndpoint {
    /// The operation of this request.
    pub const fn of<E: ServerEndpoint>() -> Self {
        Self {
            operation: E::OPERATION,
            parameters: E::PARAMETERS,
            job: |request, server| Ok(E::read_request(request)?.job(server)),
            read: |response| E::read(response).map(|answer| E::write_success(&answer)),
        }
    }

    /// Reads a request as its type, and makes it a job for `server`.
    ///
    /// # Errors
    /// What is missing or wrong, and where.
    pub fn job(
        &self,
        request: &IncomingRequest<'_>,
        server: &ServerUrl,
    ) -> Result<Job, RequestError> {
        (self.job)(request, server)
    }

    /// Reads an answer as its type, and writes it again.
    ///
    /// # Errors
    /// Each failure of the operation, as the [`ApiError`] it is.
    pub fn read(&self, response: &Response) -> Result<OutgoingResponse, ApiError> {
        (self.read)(response)
    }
}

impl AsRef<Operation> for AnyEndpoint {
    fn as_ref(&self) -> &Operation {
        &self.operation
    }
}

/// The operations that a request of this method and path may be: several where they differ in
/// their query or body alone, none where the server should answer `M_UNRECOGNIZED`. Those whose
/// paths are more literal come first.
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
