//! [Devices](https://spec.matrix.org/v1.19/client-server-api/#device-management): listing, naming and
//! ending them.

use matricula_api::{
    ErrorCode,
    client::{
        definitions::ClientDevice,
        device_management::{
            DeleteDevice, DeleteDeviceResponse, DeleteDevices, DeleteDevicesResponse, GetDevice,
            GetDevices, GetDevicesResponse, UpdateDevice, UpdateDeviceResponse,
        },
    },
};
use matricula_core::{StepContext, Timestamp};
use rusqlite::{OptionalExtension, Row, params};

use crate::engine::{
    oauth::end_device,
    refusal::{ApiError, HandlerError},
    routes::{Handler, RequestContext},
    tokens::bounded,
};

/// How many devices one request names at most.
const MAX_NAMED: usize = 1_000;

/// Which devices of a user.
pub(in crate::engine) enum DeviceSelection<'a> {
    All,
    AllBut(&'a str),
}

/// Ends devices, and with each its tokens.
pub(in crate::engine) fn end_devices(
    call: &RequestContext<'_>,
    user: i64,
    which: DeviceSelection<'_>,
) -> Result<(), HandlerError> {
    let mut statement = call.tx.prepare("SELECT id FROM devices WHERE user = ?1")?;
    let ids = statement.query_map([user], |row| row.get::<_, String>(0))?;
    for id in ids.collect::<Result<Vec<_>, _>>()? {
        if !matches!(which, DeviceSelection::AllBut(kept) if kept == id) {
            end_device(call, user, &id)?;
        }
    }
    Ok(())
}

const SELECT: &str = "SELECT id, display_name, last_seen_ip, last_seen_at FROM devices";

fn read(row: &Row<'_>) -> rusqlite::Result<ClientDevice> {
    let seen: Option<i64> = row.get(3)?;
    let seen = seen.and_then(|at| u64::try_from(at).ok());
    Ok(ClientDevice {
        display_name: row.get(1)?,
        last_seen_ip: row.get(2)?,
        last_seen_ts: seen.map(Timestamp::from_millis),
        ..ClientDevice::new(row.get::<_, String>(0)?)
    })
}

impl Handler for GetDevices {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetDevicesResponse, HandlerError> {
        let bearer = call.authenticate_user(cx.now)?;
        let sql = format!("{SELECT} WHERE user = ?1 ORDER BY created_at, id");
        let mut statement = call.tx.prepare(&sql)?;
        let devices = statement.query_map([bearer.user], read)?;
        let devices = devices.collect::<Result<_, _>>()?;
        Ok(GetDevicesResponse::default().devices(devices))
    }
}

impl Handler for GetDevice {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<ClientDevice, HandlerError> {
        let bearer = call.authenticate_user(cx.now)?;
        let sql = format!("{SELECT} WHERE user = ?1 AND id = ?2");
        let device = call
            .tx
            .query_row(&sql, params![bearer.user, self.device_id], read)
            .optional()?;
        device.ok_or_else(|| no_such_device().into())
    }
}

impl Handler for UpdateDevice {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<UpdateDeviceResponse, HandlerError> {
        let bearer = call.authenticate_user(cx.now)?;
        bounded("display_name", self.display_name.as_deref())?;
        // Without a new name there is nothing to change, but the device must be there all the same.
        let changed = call.tx.execute(
            "UPDATE devices SET display_name = ifnull(?3, display_name)
             WHERE user = ?1 AND id = ?2",
            params![bearer.user, self.device_id, self.display_name],
        )?;
        match changed {
            0 => Err(no_such_device().into()),
            _ => Ok(UpdateDeviceResponse::default()),
        }
    }
}

/// A device that is not there is as good as ended: a request whose answer was lost comes again.
impl Handler for DeleteDevice {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<DeleteDeviceResponse, HandlerError> {
        let bearer = call.authenticate_user(cx.now)?;
        call.reauthenticate(cx, &bearer, self.auth.as_ref())?;
        end_device(call, bearer.user, &self.device_id)?;
        Ok(DeleteDeviceResponse::default())
    }
}

impl Handler for DeleteDevices {
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<DeleteDevicesResponse, HandlerError> {
        let bearer = call.authenticate_user(cx.now)?;
        if self.devices.len() > MAX_NAMED {
            let error = format!("at most {MAX_NAMED} devices can be named at once");
            return Err(ApiError::new(400, ErrorCode::InvalidParam, error).into());
        }
        call.reauthenticate(cx, &bearer, self.auth.as_ref())?;
        for device in &self.devices {
            end_device(call, bearer.user, device)?;
        }
        Ok(DeleteDevicesResponse::default())
    }
}

fn no_such_device() -> ApiError {
    let error = "the account has no such device";
    ApiError::new(404, ErrorCode::NotFound, error)
}
