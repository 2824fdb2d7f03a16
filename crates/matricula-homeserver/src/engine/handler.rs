//! The traits that request types implement to be served, and a check that many handlers share.

use std::borrow::Cow;

use matricula_api::{ErrorCode, server::ServerEndpoint};
use matricula_core::{StepContext, Timestamp};

use super::{
    Request,
    context::RequestContext,
    error::{ApiError, HandlerError},
    file_action::HandlerResponse,
};

/// An operation that this server serves.
pub(crate) trait Handler: ServerEndpoint {
    /// What must hold before the request is parsed. Rate limits, for example, also count requests that
    /// cannot be parsed.
    fn precheck(_: &RequestContext<'_>, _: Timestamp) -> Result<(), HandlerError> {
        Ok(())
    }

    /// The part of the body that is parsed.
    fn effective_body(request: &Request) -> Cow<'_, [u8]> {
        Cow::Borrowed(&request.body)
    }

    /// Handles the request.
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<Self::Response, HandlerError>;
}

/// An operation whose request or response is a file. Its handler opens no files: it returns a
/// [`FileAction`](super::FileAction).
pub(crate) trait FileHandler: ServerEndpoint {
    /// Handles the request, as far as that needs no file.
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<HandlerResponse, HandlerError>;
}

/// The longest text of a request that is stored, in bytes.
const MAX_TEXT: usize = 512;

/// Rejects a text that is too long to be stored.
pub(crate) fn check_text_length(name: &str, text: Option<&str>) -> Result<(), ApiError> {
    if text.is_some_and(|text| text.len() > MAX_TEXT) {
        let error = format!("{name} is longer than {MAX_TEXT} bytes");
        return Err(ApiError::new(400, ErrorCode::InvalidParam, error));
    }
    Ok(())
}
