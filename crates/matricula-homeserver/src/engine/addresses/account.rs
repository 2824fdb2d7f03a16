//! The [addresses of an account](https://spec.matrix.org/v1.19/client-server-api/#adding-account-administrative-contact-information).

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
use rusqlite::params;

use super::{Threepid, validation::Validation};
use crate::engine::{
    refusal::{ApiError, HandlerError},
    routes::{Handler, RequestContext},
};

impl Handler for GetAccount3Pids {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetAccount3PidsResponse, HandlerError> {
        let bearer = call.authenticate_user(cx.now)?;
        let mut statement = call.tx.prepare(
            "SELECT medium, address, validated_at, added_at FROM addresses
             WHERE user = ?1 ORDER BY added_at, medium, address",
        )?;
        let at = |millis: i64| Timestamp::from_millis(millis.unsigned_abs());
        let rows = statement.query_map([bearer.user], |row| {
            Ok(ThirdPartyIdentifier::new(
                row.get::<_, String>(0)?.as_str().into(),
                row.get::<_, String>(1)?,
                at(row.get(2)?),
                at(row.get(3)?),
            ))
        })?;
        let threepids = rows.collect::<Result<_, _>>()?;
        Ok(GetAccount3PidsResponse::default().threepids(threepids))
    }
}

impl Handler for Add3Pid {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<Add3PidResponse, HandlerError> {
        let bearer = call.authenticate_user(cx.now)?;
        call.reauthenticate(cx, &bearer, self.auth.as_ref())?;
        let found = Validation::find(call.tx, cx.now, &self.sid, &self.client_secret)?;
        let proved = found.and_then(|it| it.validated_at.map(|at| (it.threepid, at)));
        let Some((address, validated_at)) = proved else {
            let error =
                "this address is not proved yet; open the mailed link or send the code first";
            return Err(ApiError::new(400, ErrorCode::ThreepidAuthFailed, error).into());
        };
        address.add_to_user(call.tx, cx.now, bearer.user, validated_at)?;
        Ok(Add3PidResponse::default())
    }
}

/// An address that the account does not have is as good as removed: a request whose answer was lost
/// comes again.
impl Handler for Delete3Pid {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<Delete3PidResponse, HandlerError> {
        let bearer = call.authenticate_user(cx.now)?;
        if let Some(address) = Threepid::parse(self.medium.as_str(), &self.address) {
            call.tx.execute(
                "DELETE FROM addresses WHERE medium = ?1 AND address = ?2 AND user = ?3",
                params![address.medium.as_str(), address.address, bearer.user],
            )?;
        }
        // It was bound nowhere.
        Ok(Delete3PidResponse::new(UnbindResult::Success))
    }
}
