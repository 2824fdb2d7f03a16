//! How a signed-in user proves again who they are, before a deed that a stolen token should not do.

use matricula_api::{ErrorCode, uia::AuthData};
use matricula_core::StepContext;

use super::{
    refusal::{ApiError, HandlerError},
    routes::RequestContext,
    tokens::Requester,
    uia::{ProtectedOperation, UiaSession},
};

impl RequestContext<'_> {
    /// Goes on once the user has proved who they are. A session that they have done so in is good
    /// for the same request again, so that an answer that was lost can be asked for again.
    pub(super) fn reauthenticate(
        &self,
        cx: &mut StepContext<'_>,
        bearer: &Requester,
        auth: Option<&AuthData>,
    ) -> Result<(), HandlerError> {
        self.run_session(cx, Some(bearer.user), auth)?;
        Ok(())
    }

    /// Goes on once somebody without a token has proved to have an account's address. Whose account
    /// that is.
    pub(super) fn reauthenticate_by_threepid(
        &self,
        cx: &mut StepContext<'_>,
        auth: Option<&AuthData>,
    ) -> Result<i64, HandlerError> {
        let session = self.run_session(cx, None, auth)?;
        for proved in &session.threepids {
            if let Some(user) = proved.threepid.owner(self.tx)? {
                return Ok(user);
            }
        }
        let error = "no account has this address";
        Err(ApiError::new(404, ErrorCode::NotFound, error).into())
    }

    fn run_session(
        &self,
        cx: &mut StepContext<'_>,
        owner: Option<i64>,
        auth: Option<&AuthData>,
    ) -> Result<UiaSession, HandlerError> {
        let deed = ProtectedOperation {
            owner,
            endpoint: format!("{} {}", self.request.method.as_str(), self.request.path),
        };
        let mut session = match auth.and_then(|it| it.session.as_deref()) {
            Some(id) => UiaSession::load_for_operation(self.tx, cx.now, id, &deed)?,
            None => UiaSession::for_operation(cx, deed),
        };
        let mut failure = None;
        if let Some(auth) = auth
            && let Some(stage) = &auth.stage
        {
            failure = self.try_stage(cx, &mut session, stage.as_str(), auth)?;
        }
        if !self.homeserver.is_authenticated(&session) {
            let info = self
                .homeserver
                .uia_info(self.tx, cx.now, &mut session, failure)?;
            return Err(HandlerError::Uia(Box::new(info)));
        }
        session.save(self.tx, cx.now)?;
        Ok(session)
    }
}
