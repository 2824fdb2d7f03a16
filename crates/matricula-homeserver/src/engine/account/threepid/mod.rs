//! The [third-party identifiers of an account](https://spec.matrix.org/v1.19/client-server-api/#adding-account-administrative-contact-information).

pub(crate) mod confirm;
mod request_token;

use matricula_api::{
    ErrorCode,
    client::{
        administrative_contact::{
            Add3Pid, Add3PidResponse, Delete3Pid, Delete3PidResponse, GetAccount3Pids,
            GetAccount3PidsResponse, ThirdPartyIdentifier,
        },
        definitions::UnbindResult,
    },
};
use matricula_core::{StepContext, Timestamp};

use crate::engine::{
    auth::{reauth::reauthenticate, threepid::Threepid, validation::Validation},
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    storage::threepids,
};

impl Handler for GetAccount3Pids {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetAccount3PidsResponse, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        let at = |millis: i64| Timestamp::from_millis(millis.unsigned_abs());
        let rows = threepids::list(context.tx, requester.user)?.into_iter();
        let threepids = rows.map(|row| {
            let medium = row.medium.as_str().into();
            ThirdPartyIdentifier::new(medium, row.address)
                .validated_at(at(row.validated_at))
                .added_at(at(row.added_at))
        });
        Ok(GetAccount3PidsResponse::default().threepids(threepids.collect::<Vec<_>>()))
    }
}

impl Handler for Add3Pid {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<Add3PidResponse, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        reauthenticate(context, cx, &requester, self.auth.as_ref())?;
        let found = Validation::find(context.tx, cx.now, &self.sid, &self.client_secret)?;
        let validated = found.and_then(|it| it.validated_at.map(|at| (it.threepid, at)));
        let Some((threepid, validated_at)) = validated else {
            let error = "this address is not confirmed yet; open the link in the mail or send the code first";
            return Err(ApiError::new(400, ErrorCode::ThreepidAuthFailed, error).into());
        };
        threepid.add_to_user(context.tx, cx.now, requester.user, validated_at)?;
        Ok(Add3PidResponse::default())
    }
}

/// Removing an identifier that the account does not have succeeds: a client whose response was lost
/// repeats the request.
impl Handler for Delete3Pid {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<Delete3PidResponse, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        if let Some(threepid) = Threepid::parse(self.medium.as_str(), &self.address) {
            let medium = threepid.medium.as_str();
            threepids::delete(context.tx, requester.user, medium, &threepid.address)?;
        }
        // No identifier is bound at an identity server.
        Ok(Delete3PidResponse::new(UnbindResult::Success))
    }
}
