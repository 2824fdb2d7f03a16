//! [Reports](https://spec.matrix.org/v1.19/client-server-api/#reporting-content) of rooms, events and users.
//! They are stored for the administrator of the server; the log names each one.
//!
//! | limit | |
//! |---|---|
//! | [`MAX_REASON`] | bytes of a reason |
//!
//! The number of reports is limited in `storage::reports`.

use matricula_api::{
    ErrorCode,
    client::report_content::{
        ReportEvent, ReportEventResponse, ReportRoom, ReportRoomResponse, ReportUser,
        ReportUserResponse,
    },
};
use matricula_core::{StepContext, Timestamp};

use super::{
    auth::user_lookup::user_by_name,
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    storage::{members, reports::NewReport, rooms, threads},
};

/// The longest reason, in bytes.
const MAX_REASON: usize = 4_096;

impl Handler for ReportRoom {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<ReportRoomResponse, HandlerError> {
        let reporter = reporter(context, cx.now, &self.reason)?;
        let room = self.room_id.as_str();
        if rooms::version(context.tx, room)?.is_none() {
            return Err(not_found("this server has no such room").into());
        }
        let report = NewReport {
            reporter: &reporter,
            room: Some(room),
            reason: &self.reason,
            ..NewReport::default()
        };
        store(context, cx.now, &report)?;
        Ok(ReportRoomResponse::default())
    }
}

impl Handler for ReportEvent {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<ReportEventResponse, HandlerError> {
        let reason = self.reason.unwrap_or_default();
        let reporter = reporter(context, cx.now, &reason)?;
        let (room, event) = (self.room_id.as_str(), self.event_id.as_str());
        if !members::is_joined(context.tx, room, &reporter)?
            || threads::event_position(context.tx, room, event)?.is_none()
        {
            return Err(not_found("you are not in this room, or it has no such event").into());
        }
        let report = NewReport {
            reporter: &reporter,
            room: Some(room),
            event: Some(event),
            reason: &reason,
            ..NewReport::default()
        };
        store(context, cx.now, &report)?;
        Ok(ReportEventResponse::default())
    }
}

impl Handler for ReportUser {
    fn handle(
        self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<ReportUserResponse, HandlerError> {
        let reporter = reporter(context, cx.now, &self.reason)?;
        let user_id = self.user_id.as_str();
        if user_by_name(context, Some(user_id))?.is_none() {
            return Err(not_found("this server has no such user").into());
        }
        let report = NewReport {
            reporter: &reporter,
            user_id: Some(user_id),
            reason: &self.reason,
            ..NewReport::default()
        };
        store(context, cx.now, &report)?;
        Ok(ReportUserResponse::default())
    }
}

/// The id of the user who reports.
fn reporter(
    context: &RequestContext<'_>,
    now: Timestamp,
    reason: &str,
) -> Result<String, HandlerError> {
    let requester = context.authenticate_user(now)?;
    if reason.len() > MAX_REASON {
        let error = format!("a reason must have at most {MAX_REASON} bytes");
        return Err(ApiError::new(400, ErrorCode::InvalidParam, error).into());
    }
    Ok(requester.user_id(context.config)?.as_str().to_owned())
}

fn store(
    context: &RequestContext<'_>,
    now: Timestamp,
    report: &NewReport<'_>,
) -> Result<(), HandlerError> {
    let NewReport {
        reporter,
        room,
        event,
        user_id,
        ..
    } = report;
    tracing::warn!(reporter, room, event, user_id, "a user reported this");
    Ok(report.insert(context.tx, now)?)
}

fn not_found(error: &'static str) -> ApiError {
    ApiError::new(404, ErrorCode::NotFound, error)
}
