//! How a signed-in user proves again who they are, before a deed that a stolen token should not do.

use matricula_api::{ErrorCode, uia::AuthData};
use matricula_core::StepContext;

use super::{
    refusal::{Fault, Refusal},
    routes::Call,
    tokens::Bearer,
    uia::{Deed, Session},
};

impl Call<'_> {
    /// Goes on once the user has proved who they are. A session that they have done so in is good
    /// for the same request again, so that an answer that was lost can be asked for again.
    pub(super) fn confirm(
        &self,
        cx: &mut StepContext<'_>,
        bearer: &Bearer,
        auth: Option<&AuthData>,
    ) -> Result<(), Fault> {
        self.authenticated(cx, Some(bearer.user), auth)?;
        Ok(())
    }

    /// Goes on once somebody without a token has proved to have an account's address. Whose account
    /// that is.
    pub(super) fn confirm_by_address(
        &self,
        cx: &mut StepContext<'_>,
        auth: Option<&AuthData>,
    ) -> Result<i64, Fault> {
        let session = self.authenticated(cx, None, auth)?;
        for proved in &session.addresses {
            if let Some(user) = proved.address.owner(self.tx)? {
                return Ok(user);
            }
        }
        let error = "no account has this address";
        Err(Refusal::new(404, ErrorCode::NotFound, error).into())
    }

    fn authenticated(
        &self,
        cx: &mut StepContext<'_>,
        owner: Option<i64>,
        auth: Option<&AuthData>,
    ) -> Result<Session, Fault> {
        let deed = Deed {
            owner,
            operation: format!("{} {}", self.request.method.as_str(), self.request.path),
        };
        let mut session = match auth.and_then(|it| it.session.as_deref()) {
            Some(id) => Session::load_for_deed(self.tx, cx.now, id, &deed)?,
            None => Session::for_deed(cx, deed),
        };
        let mut failure = None;
        if let Some(auth) = auth
            && let Some(stage) = &auth.stage
        {
            failure = self.attempt(cx, &mut session, stage.as_str(), auth)?;
        }
        if !self.home.is_authenticated(&session) {
            let info = self
                .home
                .unfinished(self.tx, cx.now, &mut session, failure)?;
            return Err(Fault::Unfinished(Box::new(info)));
        }
        session.save(self.tx, cx.now)?;
        Ok(session)
    }
}
