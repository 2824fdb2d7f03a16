//! Calls to application services that a request needs before it can be answered.

use std::time::Duration;

use matricula_core::Method;

/// A call to an application service. The caller makes it, and repeats the request with
/// [`Request::called`](crate::Request::called).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceCall {
    /// The id of the service.
    pub(crate) service: String,
    pub(crate) method: Method,
    /// The percent-encoded path.
    pub(crate) path: String,
    pub(crate) body: String,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalledService {
    pub(crate) result: CallResult,
    pub(crate) duration: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallResult {
    /// The status of its response.
    Responded(u16),
    /// There was no response in time.
    TimedOut,
    /// It could not be reached: why.
    Failed(String),
}
