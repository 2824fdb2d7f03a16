//! [Devices](https://spec.matrix.org/v1.19/client-server-api/#device-management): list, rename, delete.

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

use crate::engine::{
    auth::{reauth::reauthenticate, session::end_device},
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::{Handler, check_text_length},
    keys,
    storage::devices::{self, DeviceRow},
};

/// The maximum number of devices in one request.
const MAX_DELETED: usize = 1_000;

fn client_device(row: DeviceRow) -> ClientDevice {
    let seen = row.last_seen_at.and_then(|at| u64::try_from(at).ok());
    ClientDevice {
        display_name: row.display_name,
        last_seen_ip: row.last_seen_ip,
        last_seen_ts: seen.map(Timestamp::from_millis),
        ..ClientDevice::new(row.id)
    }
}

impl Handler for GetDevices {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<GetDevicesResponse, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        let devices = devices::list(context.tx, requester.user)?;
        let devices = devices.into_iter().map(client_device).collect::<Vec<_>>();
        Ok(GetDevicesResponse::default().devices(devices))
    }
}

impl Handler for GetDevice {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<ClientDevice, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        let device = devices::find(context.tx, requester.user, &self.device_id)?;
        let device = device.map(client_device);
        device.ok_or_else(|| no_such_device().into())
    }
}

impl Handler for UpdateDevice {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<UpdateDeviceResponse, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        let name = self.display_name.as_deref();
        check_text_length("display_name", name)?;
        // The device must exist even where the request has no new name.
        if !devices::rename(context.tx, requester.user, &self.device_id, name)? {
            return Err(no_such_device().into());
        }
        if name.is_some() {
            keys::device_renamed(context, requester.user, &self.device_id)?;
        }
        Ok(UpdateDeviceResponse::default())
    }
}

/// Deleting a device that does not exist succeeds: a client whose response was lost repeats the request.
impl Handler for DeleteDevice {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<DeleteDeviceResponse, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        reauthenticate(context, cx, &requester, self.auth.as_ref())?;
        end_device(context, requester.user, &self.device_id)?;
        Ok(DeleteDeviceResponse::default())
    }
}

impl Handler for DeleteDevices {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<DeleteDevicesResponse, HandlerError> {
        let requester = context.authenticate_user(cx.now)?;
        if self.devices.len() > MAX_DELETED {
            let error = format!("a request deletes at most {MAX_DELETED} devices");
            return Err(ApiError::new(400, ErrorCode::InvalidParam, error).into());
        }
        reauthenticate(context, cx, &requester, self.auth.as_ref())?;
        for device in &self.devices {
            end_device(context, requester.user, device)?;
        }
        Ok(DeleteDevicesResponse::default())
    }
}

fn no_such_device() -> ApiError {
    let error = "the account has no such device";
    ApiError::new(404, ErrorCode::NotFound, error)
}
