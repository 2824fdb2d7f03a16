//! The [addresses of an account](https://spec.matrix.org/v1.19/client-server-api/#adding-account-administrative-contact-information).

use matricula_api::{
    ErrorCode,
    client::{
        administrative_contact::{
            Add3Pid, Add3PidResponse, Delete3pidFromAccount, Delete3pidFromAccountResponse,
            GetAccount3Pids, GetAccount3PidsResponse, ThirdPartyIdentifier,
        },
        definitions::UnbindResult,
    },
};
use matricula_core::{StepContext, Timestamp};
use rusqlite::params;

use super::{Address, validation::Validation};
use crate::engine::{
    refusal::{Fault, Refusal},
    routes::{Call, Serve},
};

impl Serve for GetAccount3Pids {
    fn serve(
        self,
        call: &Call<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetAccount3PidsResponse, Fault> {
        let bearer = call.user(cx.now)?;
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

impl Serve for Add3Pid {
    fn serve(self, call: &Call<'_>, cx: &mut StepContext<'_>) -> Result<Add3PidResponse, Fault> {
        let bearer = call.user(cx.now)?;
        call.confirm(cx, &bearer, self.auth.as_ref())?;
        let found = Validation::find(call.tx, cx.now, &self.sid, &self.client_secret)?;
        let proved = found.and_then(|it| it.validated_at.map(|at| (it.address, at)));
        let Some((address, validated_at)) = proved else {
            let error =
                "this address is not proved yet; open the mailed link or send the code first";
            return Err(Refusal::new(400, ErrorCode::ThreepidAuthFailed, error).into());
        };
        address.give_to(call.tx, cx.now, bearer.user, validated_at)?;
        Ok(Add3PidResponse::default())
    }
}

/// An address that the account does not have is as good as removed: a request whose answer was lost
/// comes again.
impl Serve for Delete3pidFromAccount {
    fn serve(
        self,
        call: &Call<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<Delete3pidFromAccountResponse, Fault> {
        let bearer = call.user(cx.now)?;
        if let Some(address) = Address::known(self.medium.as_str(), &self.address) {
            call.tx.execute(
                "DELETE FROM addresses WHERE medium = ?1 AND address = ?2 AND user = ?3",
                params![address.medium.as_str(), address.address, bearer.user],
            )?;
        }
        // It was bound nowhere.
        Ok(Delete3pidFromAccountResponse::new(UnbindResult::Success))
    }
}
