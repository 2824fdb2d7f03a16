//! The one table of the operations that this server serves, and how a request finds its own.

use std::borrow::Cow;

use matricula_api::{
    client::{
        account_deactivation::DeactivateAccount,
        admin::{GetAdminLockUser, GetAdminSuspendUser, SetAdminLockUser, SetAdminSuspendUser},
        administrative_contact::{
            Add3Pid, Delete3Pid, GetAccount3Pids, RequestTokenTo3PidEmail, RequestTokenTo3PidMsisdn,
        },
        authed_content_repo::{DownloadContent, DownloadContentWithName, GetMediaConfig},
        capabilities::GetCapabilities,
        content_repo::{CreateMxcUri, GetConfig, UploadContent, UploadContentToMxc},
        create_room::CreateRoom,
        device_management::{DeleteDevice, DeleteDevices, GetDevice, GetDevices, UpdateDevice},
        inviting::InviteUser,
        joining::{JoinRoom, JoinRoomById},
        leaving::LeaveRoom,
        list_joined_rooms::GetJoinedRooms,
        login::{GetLoginFlows, Login},
        logout::{Logout, LogoutAll},
        message_pagination::GetRoomMessages,
        oauth_server_metadata::GetAuthMetadata,
        password_management::{
            ChangePassword, RequestTokenToResetPasswordEmail, RequestTokenToResetPasswordMsisdn,
        },
        profile::{DeleteProfileField, GetProfileField, GetUserProfile, SetProfileField},
        refresh::Refresh,
        registration::{
            CheckUsernameAvailability, Register, RequestTokenToRegisterEmail,
            RequestTokenToRegisterMsisdn,
        },
        registration_tokens::RegistrationTokenValidity,
        room_send::SendMessage,
        room_state::SendStateEvent,
        rooms::{GetJoinedMembers, GetRoomEvent, GetRoomMembers, GetRoomState, GetStateEvent},
        sso_login_redirect::{RedirectToIdP, RedirectToSso},
        sync::Sync,
        versions::GetVersions,
        wellknown::GetWellknown,
        whoami::WhoAmI,
    },
    server::{
        IncomingRequest, OutgoingResponse, ParameterLocation, ParameterType, RequestError,
        ServerEndpoint, find,
    },
};
use matricula_core::{Method, Operation, StepContext, Timestamp};
use rusqlite::Transaction;

use super::{
    Homeserver, Request,
    answer::HandlerResponse,
    refusal::{ApiError, HandlerError},
};

/// Everything that is served, apart from pages for a browser.
const ROUTES: &[Route] = &[
    Route::of::<GetWellknown>(),
    Route::of::<GetVersions>(),
    Route::of::<GetCapabilities>(),
    Route::of::<Register>(),
    Route::of::<CheckUsernameAvailability>(),
    Route::of::<RegistrationTokenValidity>(),
    Route::of::<GetLoginFlows>(),
    Route::of::<Login>(),
    Route::of::<Logout>(),
    Route::of::<LogoutAll>(),
    Route::of::<Refresh>(),
    Route::of::<WhoAmI>(),
    Route::of::<GetAuthMetadata>(),
    Route::of::<RedirectToSso>(),
    Route::of::<RedirectToIdP>(),
    Route::of::<ChangePassword>(),
    Route::of::<DeactivateAccount>(),
    Route::of::<GetDevices>(),
    Route::of::<GetDevice>(),
    Route::of::<UpdateDevice>(),
    Route::of::<DeleteDevice>(),
    Route::of::<DeleteDevices>(),
    Route::of::<GetUserProfile>(),
    Route::of::<GetProfileField>(),
    Route::of::<SetProfileField>(),
    Route::of::<DeleteProfileField>(),
    Route::of::<GetAdminLockUser>(),
    Route::of::<SetAdminLockUser>(),
    Route::of::<GetAdminSuspendUser>(),
    Route::of::<SetAdminSuspendUser>(),
    Route::of::<GetAccount3Pids>(),
    Route::of::<Add3Pid>(),
    Route::of::<Delete3Pid>(),
    Route::of::<RequestTokenToRegisterEmail>(),
    Route::of::<RequestTokenToRegisterMsisdn>(),
    Route::of::<RequestTokenTo3PidEmail>(),
    Route::of::<RequestTokenTo3PidMsisdn>(),
    Route::of::<RequestTokenToResetPasswordEmail>(),
    Route::of::<RequestTokenToResetPasswordMsisdn>(),
    Route::of::<CreateRoom>(),
    Route::of::<JoinRoom>(),
    Route::of::<JoinRoomById>(),
    Route::of::<InviteUser>(),
    Route::of::<LeaveRoom>(),
    Route::of::<GetJoinedRooms>(),
    Route::of::<GetRoomMembers>(),
    Route::of::<GetJoinedMembers>(),
    Route::of::<SendMessage>(),
    Route::of::<SendStateEvent>(),
    Route::of::<GetRoomState>(),
    Route::of::<GetStateEvent>(),
    Route::of::<GetRoomEvent>(),
    Route::of::<GetRoomMessages>(),
    Route::of::<Sync>(),
    Route::of::<CreateMxcUri>(),
    Route::of_file::<UploadContent>(),
    Route::of_file::<UploadContentToMxc>(),
    Route::of_file::<DownloadContent>(),
    Route::of_file::<DownloadContentWithName>(),
    Route::of::<GetMediaConfig>(),
    Route::of::<GetConfig>(),
];

/// The operations that a [`Homeserver`] serves. To any other it answers `M_UNRECOGNIZED`.
///
/// ```
/// let mut served = matricula_homeserver::served();
/// assert!(served.any(|operation| operation.id == "register"));
/// ```
pub fn served() -> impl Iterator<Item = &'static Operation> {
    ROUTES.iter().map(|route| &route.operation)
}

/// A request in work: who answers it, and in which transaction.
pub(super) struct RequestContext<'a> {
    pub(super) homeserver: &'a Homeserver,
    pub(super) tx: &'a Transaction<'a>,
    pub(super) request: &'a Request,
}

/// An operation that this server serves.
pub(super) trait Handler: ServerEndpoint {
    /// What must hold before the request is looked at: limits, for instance, are not got round by
    /// requests that cannot be read.
    fn precheck(_: &RequestContext<'_>, _: Timestamp) -> Result<(), HandlerError> {
        Ok(())
    }

    /// What of the body counts.
    fn effective_body(request: &Request) -> Cow<'_, [u8]> {
        Cow::Borrowed(&request.body)
    }

    /// Does what is asked.
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<Self::Response, HandlerError>;
}

/// An operation that this server serves, and whose request or answer is a file.
pub(super) trait FileHandler: ServerEndpoint {
    /// Does what is asked, as far as that is possible without touching files.
    fn handle(
        self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
    ) -> Result<HandlerResponse, HandlerError>;
}

/// One operation, and what answers it.
struct Route {
    operation: Operation,
    answer: fn(&RequestContext<'_>, &mut StepContext<'_>) -> Result<HandlerResponse, HandlerError>,
}

impl Route {
    const fn of<E: Handler>() -> Self {
        Self {
            operation: E::OPERATION,
            answer: answer::<E>,
        }
    }

    const fn of_file<E: FileHandler>() -> Self {
        Self {
            operation: E::OPERATION,
            answer: answer_with_file::<E>,
        }
    }
}

impl AsRef<Operation> for Route {
    fn as_ref(&self) -> &Operation {
        &self.operation
    }
}

fn answer<E: Handler>(
    call: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<HandlerResponse, HandlerError> {
    E::precheck(call, cx.now)?;
    let request: E = read(call.request, &E::effective_body(call.request))?;
    let response = request.handle(call, cx)?;
    Ok(E::write_success(&response).into())
}

fn answer_with_file<E: FileHandler>(
    call: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<HandlerResponse, HandlerError> {
    let request: E = read(call.request, &[])?;
    request.handle(call, cx)
}

fn read<E: ServerEndpoint>(request: &Request, body: &[u8]) -> Result<E, HandlerError> {
    let mut parameters = E::PARAMETERS.iter();
    let takes_json = parameters
        .any(|it| it.location == ParameterLocation::Body && it.kind != ParameterType::Bytes);
    // https://spec.matrix.org/v1.19/client-server-api/#api-standards: at least an empty object.
    if takes_json && body.is_empty() {
        return Err(RequestError::NotJson("it is empty".to_owned()).into());
    }
    let pairs = request.query.iter();
    let query = pairs.map(|(name, value)| (Cow::Borrowed(name.as_str()), value.clone()));
    let content_type = request.content_type.iter();
    let headers = content_type.map(|value| (Cow::Borrowed("Content-Type"), value.clone()));
    let incoming = IncomingRequest::new(&E::OPERATION, &request.path)
        .ok_or_else(ApiError::unrecognized)?
        .with_query(query.collect())
        .with_headers(headers.collect())
        .with_body(body);
    Ok(E::read_request(&incoming)?)
}

/// Answers what is in the table; none where the path is not.
pub(super) fn route(
    call: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<Option<HandlerResponse>, HandlerError> {
    let Request { method, path, .. } = call.request;
    if let Some(route) = find(ROUTES, method.as_str(), path).first() {
        if call.homeserver.is_replaced(&route.operation) {
            return Err(ApiError::unrecognized().into());
        }
        return (route.answer)(call, cx).map(Some);
    }
    let of_path = served().filter(|operation| IncomingRequest::new(operation, path).is_some());
    let others: Vec<_> = of_path.map(|operation| operation.method).collect();
    Ok((!others.is_empty()).then(|| method_not_allowed(&others).into()))
}

/// What is said of a known path with a method that it does not take.
pub(super) fn method_not_allowed(allowed: &[Method]) -> OutgoingResponse {
    let names: Vec<_> = allowed.iter().map(|method| method.as_str()).collect();
    let mut reply = ApiError::method_not_allowed("this endpoint takes other methods").into_reply();
    reply
        .headers
        .push((Cow::Borrowed("allow"), names.join(", ")));
    reply
}
