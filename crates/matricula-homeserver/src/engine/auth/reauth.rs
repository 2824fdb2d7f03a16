//! Authentication again before an operation that a stolen access token must not suffice for.

use matricula_api::{ErrorCode, uia::AuthData};
use matricula_core::StepContext;

use super::{
    requester::Requester,
    uia::{BodyWithoutAuth, ProtectedOperation, UiaSession, authenticate},
};
use crate::engine::{
    context::RequestContext,
    error::{ApiError, HandlerError},
};

/// Succeeds once the user has authenticated again for this request: the session authorizes it once. To a
/// client whose response was lost, the session repeats the response.
pub(crate) fn reauthenticate(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    requester: &Requester,
    auth: Option<&AuthData>,
) -> Result<(), HandlerError> {
    run_session(context, cx, Some(requester), auth)?;
    Ok(())
}

/// Succeeds once a client without access token has validated a third-party identifier of an account.
/// Returns the account.
pub(crate) fn reauthenticate_by_threepid(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    auth: Option<&AuthData>,
) -> Result<i64, HandlerError> {
    let session = run_session(context, cx, None, auth)?;
    for validated in &session.threepids {
        if let Some(user) = validated.threepid.owner(context.tx)? {
            return Ok(user);
        }
    }
    let error = "no account has this address";
    Err(ApiError::new(404, ErrorCode::NotFound, error).into())
}

fn run_session(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    requester: Option<&Requester>,
    auth: Option<&AuthData>,
) -> Result<UiaSession, HandlerError> {
    let request = context.request;
    let operation = ProtectedOperation {
        owner: requester.map(|it| it.user),
        device: requester.and_then(|it| it.device.clone()),
        endpoint: format!("{} {}", request.method.as_str(), request.path),
    };
    let body = BodyWithoutAuth::of(&request.body);
    let mut session = match auth.and_then(|it| it.session.as_deref()) {
        Some(id) => UiaSession::load_for_operation(context.tx, cx.now, id, &operation, &body)?,
        None => UiaSession::for_operation(cx, operation, &body),
    };
    if let Some(result) = session.result {
        return Err(HandlerError::Repeated(result));
    }
    authenticate(context, cx, &mut session, auth)?;
    session.finish(context, cx.now)?;
    Ok(session)
}
