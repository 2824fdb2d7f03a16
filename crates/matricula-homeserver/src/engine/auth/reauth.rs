//! Authentication again before an operation that a stolen access token must not suffice for.

use matricula_api::{ErrorCode, uia::AuthData};
use matricula_core::StepContext;

use super::{
    requester::Requester,
    uia::{ProtectedOperation, UiaSession, authenticate},
};
use crate::engine::{
    context::RequestContext,
    error::{ApiError, HandlerError},
};

/// Succeeds once the user has authenticated again. The session stays valid for the same request, so that
/// a client whose response was lost can repeat it.
pub(crate) fn reauthenticate(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    requester: &Requester,
    auth: Option<&AuthData>,
) -> Result<(), HandlerError> {
    run_session(context, cx, Some(requester.user), auth)?;
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
    owner: Option<i64>,
    auth: Option<&AuthData>,
) -> Result<UiaSession, HandlerError> {
    let request = context.request;
    let operation = ProtectedOperation {
        owner,
        endpoint: format!("{} {}", request.method.as_str(), request.path),
    };
    let mut session = match auth.and_then(|it| it.session.as_deref()) {
        Some(id) => UiaSession::load_for_operation(context.tx, cx.now, id, &operation)?,
        None => UiaSession::new(cx, Some(operation)),
    };
    authenticate(context, cx, &mut session, auth)?;
    session.save(context.tx, cx.now)?;
    Ok(session)
}
