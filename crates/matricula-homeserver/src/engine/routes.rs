//! The route table: which operations and pages this server has, and how a request finds its handler.

use std::borrow::Cow;

use matricula_api::{
    client::{
        account_data::{
            GetAccountData, GetAccountDataPerRoom, SetAccountData, SetAccountDataPerRoom,
        },
        account_deactivation::DeactivateAccount,
        admin::{GetAdminLockUser, GetAdminSuspendUser, SetAdminLockUser, SetAdminSuspendUser},
        administrative_contact::{
            Add3Pid, Delete3Pid, GetAccount3Pids, RequestTokenTo3PidEmail, RequestTokenTo3PidMsisdn,
        },
        appservice_ping::PingAppservice,
        authed_content_repo::{DownloadContent, DownloadContentWithName, GetMediaConfig},
        banning::{Ban, Unban},
        capabilities::GetCapabilities,
        content_repo::{CreateMxcUri, GetConfig, UploadContent, UploadContentToMxc},
        create_room::CreateRoom,
        cross_signing::{UploadCrossSigningKeys, UploadCrossSigningSignatures},
        device_management::{DeleteDevice, DeleteDevices, GetDevice, GetDevices, UpdateDevice},
        directory::{DeleteRoomAlias, GetLocalAliases, GetRoomIdByAlias, SetRoomAlias},
        event_context::GetEventContext,
        filter::{CreateFilter, GetFilter},
        inviting::InviteUser,
        joining::{JoinRoom, JoinRoomById},
        key_backup::{
            CreateRoomKeysVersion, DeleteRoomKeyBySessionId, DeleteRoomKeys,
            DeleteRoomKeysByRoomId, DeleteRoomKeysVersion, GetCurrentRoomKeysVersion,
            GetRoomKeyBySessionId, GetRoomKeys, GetRoomKeysByRoomId, GetRoomKeysVersion,
            PutRoomKeyBySessionId, PutRoomKeys, PutRoomKeysByRoomId, PutRoomKeysVersion,
        },
        keys::{ClaimKeys, GetKeysChanges, QueryKeys, UploadKeys},
        kicking::Kick,
        knocking::KnockRoom,
        leaving::{ForgetRoom, LeaveRoom},
        list_joined_rooms::GetJoinedRooms,
        list_public_rooms::{
            GetPublicRooms, GetRoomVisibilityOnDirectory, QueryPublicRooms,
            SetRoomVisibilityOnDirectory,
        },
        login::{GetLoginFlows, Login},
        logout::{Logout, LogoutAll},
        message_pagination::GetRoomMessages,
        oauth_server_metadata::GetAuthMetadata,
        openid::RequestOpenIdToken,
        password_management::{
            ChangePassword, RequestTokenToResetPasswordEmail, RequestTokenToResetPasswordMsisdn,
        },
        presence::{GetPresence, SetPresence},
        profile::{DeleteProfileField, GetProfileField, GetUserProfile, SetProfileField},
        pushrules::{
            DeletePushRule, GetPushRule, GetPushRuleActions, GetPushRules, GetPushRulesGlobal,
            IsPushRuleEnabled, SetPushRule, SetPushRuleActions, SetPushRuleEnabled,
        },
        read_markers::SetReadMarker,
        receipts::SendReceipt,
        redaction::RedactEvent,
        refresh::Refresh,
        registration::{
            CheckUsernameAvailability, Register, RequestTokenToRegisterEmail,
            RequestTokenToRegisterMsisdn,
        },
        registration_tokens::RegistrationTokenValidity,
        relations::{GetRelations, GetRelationsWithRelType, GetRelationsWithRelTypeAndEventType},
        report_content::{ReportEvent, ReportRoom, ReportUser},
        room_send::SendMessage,
        room_state::SendStateEvent,
        room_upgrades::UpgradeRoom,
        rooms::{GetJoinedMembers, GetRoomEvent, GetRoomMembers, GetRoomState, GetStateEvent},
        sso_login_redirect::{RedirectToIdP, RedirectToSso},
        sync::Sync,
        tags::{DeleteRoomTag, GetRoomTags, SetRoomTag},
        third_party_lookup::GetThirdPartyProtocols,
        threads_list::GetThreads,
        to_device::SendToDevice,
        typing::SetTyping,
        versions::GetVersions,
        voip::GetTurnServer,
        wellknown::GetWellknown,
        whoami::WhoAmI,
    },
    server::{
        IncomingRequest, OutgoingResponse, Parameter, ParameterLocation, ParameterType,
        RequestError, ServerEndpoint, find,
    },
};
use matricula_core::{Method, Operation, StepContext};

use super::{
    Request,
    account::threepid::confirm,
    admin::{shared_secret, tokens, users},
    auth::{
        fallback,
        oauth::{self, OAuthError, account_page, authorize, clients, device, token},
        passwords, sso, uia,
    },
    context::RequestContext,
    error::{ApiError, HandlerError},
    file_action::HandlerResponse,
    handler::{FileHandler, Handler},
    html::page::or_error_page,
    openid,
};
use crate::Config;
use PageHandler::{Html, Json, OAuth, Param};

/// The operations of the specification.
const OPERATIONS: &[OperationRoute] = &[
    operation::<GetWellknown>(),
    operation::<GetVersions>(),
    operation::<GetCapabilities>(),
    operation::<Register>(),
    operation::<CheckUsernameAvailability>(),
    operation::<RegistrationTokenValidity>(),
    operation::<GetLoginFlows>(),
    operation::<Login>(),
    operation::<Logout>(),
    operation::<LogoutAll>(),
    operation::<Refresh>(),
    operation::<WhoAmI>(),
    operation::<GetAuthMetadata>(),
    operation::<RedirectToSso>(),
    operation::<RedirectToIdP>(),
    operation::<ChangePassword>(),
    operation::<DeactivateAccount>(),
    operation::<GetDevices>(),
    operation::<GetDevice>(),
    operation::<UpdateDevice>(),
    operation::<DeleteDevice>(),
    operation::<DeleteDevices>(),
    operation::<GetUserProfile>(),
    operation::<GetProfileField>(),
    operation::<SetProfileField>(),
    operation::<DeleteProfileField>(),
    operation::<GetAdminLockUser>(),
    operation::<SetAdminLockUser>(),
    operation::<GetAdminSuspendUser>(),
    operation::<SetAdminSuspendUser>(),
    operation::<GetAccount3Pids>(),
    operation::<Add3Pid>(),
    operation::<Delete3Pid>(),
    operation::<RequestTokenToRegisterEmail>(),
    operation::<RequestTokenToRegisterMsisdn>(),
    operation::<RequestTokenTo3PidEmail>(),
    operation::<RequestTokenTo3PidMsisdn>(),
    operation::<RequestTokenToResetPasswordEmail>(),
    operation::<RequestTokenToResetPasswordMsisdn>(),
    operation::<CreateRoom>(),
    operation::<JoinRoom>(),
    operation::<JoinRoomById>(),
    operation::<InviteUser>(),
    operation::<LeaveRoom>(),
    operation::<ForgetRoom>(),
    operation::<KnockRoom>(),
    operation::<Kick>(),
    operation::<Ban>(),
    operation::<Unban>(),
    operation::<UpgradeRoom>(),
    operation::<GetRoomIdByAlias>(),
    operation::<SetRoomAlias>(),
    operation::<DeleteRoomAlias>(),
    operation::<GetLocalAliases>(),
    operation::<GetPublicRooms>(),
    operation::<QueryPublicRooms>(),
    operation::<GetRoomVisibilityOnDirectory>(),
    operation::<SetRoomVisibilityOnDirectory>(),
    operation::<GetJoinedRooms>(),
    operation::<GetRoomMembers>(),
    operation::<GetJoinedMembers>(),
    operation::<SendMessage>(),
    operation::<SendStateEvent>(),
    operation::<RedactEvent>(),
    operation::<GetRoomState>(),
    operation::<GetStateEvent>(),
    operation::<GetRoomEvent>(),
    operation::<GetRoomMessages>(),
    operation::<GetEventContext>(),
    operation::<GetRelations>(),
    operation::<GetRelationsWithRelType>(),
    operation::<GetRelationsWithRelTypeAndEventType>(),
    operation::<GetThreads>(),
    operation::<Sync>(),
    operation::<PingAppservice>(),
    operation::<GetAccountData>(),
    operation::<SetAccountData>(),
    operation::<GetAccountDataPerRoom>(),
    operation::<SetAccountDataPerRoom>(),
    operation::<GetRoomTags>(),
    operation::<SetRoomTag>(),
    operation::<DeleteRoomTag>(),
    operation::<CreateFilter>(),
    operation::<GetFilter>(),
    operation::<GetPushRules>(),
    operation::<GetPushRulesGlobal>(),
    operation::<GetPushRule>(),
    operation::<SetPushRule>(),
    operation::<DeletePushRule>(),
    operation::<IsPushRuleEnabled>(),
    operation::<SetPushRuleEnabled>(),
    operation::<GetPushRuleActions>(),
    operation::<SetPushRuleActions>(),
    operation::<SetTyping>(),
    operation::<SendReceipt>(),
    operation::<SetReadMarker>(),
    operation::<GetPresence>(),
    operation::<SetPresence>(),
    operation::<RequestOpenIdToken>(),
    operation::<GetTurnServer>(),
    operation::<GetThirdPartyProtocols>(),
    operation::<ReportRoom>(),
    operation::<ReportEvent>(),
    operation::<ReportUser>(),
    operation::<UploadKeys>(),
    operation::<QueryKeys>(),
    operation::<ClaimKeys>(),
    operation::<GetKeysChanges>(),
    operation::<UploadCrossSigningKeys>(),
    operation::<UploadCrossSigningSignatures>(),
    operation::<SendToDevice>(),
    operation::<CreateRoomKeysVersion>(),
    operation::<GetCurrentRoomKeysVersion>(),
    operation::<GetRoomKeysVersion>(),
    operation::<PutRoomKeysVersion>(),
    operation::<DeleteRoomKeysVersion>(),
    operation::<PutRoomKeyBySessionId>(),
    operation::<GetRoomKeyBySessionId>(),
    operation::<DeleteRoomKeyBySessionId>(),
    operation::<PutRoomKeysByRoomId>(),
    operation::<GetRoomKeysByRoomId>(),
    operation::<DeleteRoomKeysByRoomId>(),
    operation::<PutRoomKeys>(),
    operation::<GetRoomKeys>(),
    operation::<DeleteRoomKeys>(),
    operation::<CreateMxcUri>(),
    file_operation::<UploadContent>(),
    file_operation::<UploadContentToMxc>(),
    file_operation::<DownloadContent>(),
    file_operation::<DownloadContentWithName>(),
    operation::<GetMediaConfig>(),
    operation::<GetConfig>(),
];

const GET: Method = Method::Get;
const POST: Method = Method::Post;
const PUT: Method = Method::Put;
const DELETE: Method = Method::Delete;

/// Everything else: HTML pages, OAuth 2.0 endpoints, the Synapse admin API. `{}` is a path parameter.
const PAGES: &[Page] = &[
    page(GET, fallback::PATH, always, Param(fallback::page)),
    page(POST, fallback::PATH, always, Param(fallback::page)),
    page(
        GET,
        "/_matricula/terms/{}/{}",
        always,
        Param(fallback::policy_document),
    ),
    page(GET, passwords::POLICY_PATH, always, Json(passwords::policy)),
    page(GET, confirm::EMAIL_PATH, always, Html(confirm::email_page)),
    page(POST, confirm::EMAIL_PATH, always, Html(confirm::email_page)),
    page(
        POST,
        confirm::MSISDN_PATH,
        always,
        Json(confirm::submit_code),
    ),
    page(GET, openid::USER_INFO, always, Json(openid::user_info)),
    page(GET, sso::PATH, has_sso, Html(sso::page)),
    page(POST, sso::PATH, has_sso, Html(sso::page)),
    page(GET, oauth::DISCOVERY, has_oauth, Json(oauth::discovery)),
    page(
        GET,
        oauth::UNSTABLE_METADATA,
        has_oauth,
        Json(oauth::discovery),
    ),
    page(GET, oauth::AUTHORIZE, has_oauth, Html(authorize::page)),
    page(POST, oauth::AUTHORIZE, has_oauth, Html(authorize::page)),
    page(GET, oauth::LINK, has_oauth, Html(device::page)),
    page(POST, oauth::LINK, has_oauth, Html(device::page)),
    page(GET, oauth::ACCOUNT, has_oauth, Html(account_page::page)),
    page(POST, oauth::ACCOUNT, has_oauth, Html(account_page::page)),
    page(
        POST,
        oauth::REGISTRATION,
        has_oauth,
        OAuth(clients::register),
    ),
    page(POST, oauth::TOKEN, has_oauth, OAuth(token::issue)),
    page(POST, oauth::DEVICE, has_oauth, OAuth(device::start)),
    page(POST, oauth::REVOKE, has_oauth, OAuth(token::revoke)),
    page(POST, oauth::INTROSPECT, has_oauth, OAuth(token::introspect)),
    page(GET, shared_secret::PATH, always, Json(shared_secret::nonce)),
    page(
        POST,
        shared_secret::PATH,
        always,
        Json(shared_secret::register),
    ),
    page(GET, users::LIST_PATH, always, Json(users::list)),
    page(GET, users::PATH, always, Param(users::get)),
    page(PUT, users::PATH, always, Param(users::put)),
    page(
        POST,
        users::DEACTIVATE_PATH,
        always,
        Param(users::deactivate),
    ),
    page(GET, tokens::PATH, always, Json(tokens::list)),
    page(POST, tokens::NEW_PATH, always, Json(tokens::create)),
    page(GET, tokens::TOKEN_PATH, always, Param(tokens::get)),
    page(PUT, tokens::TOKEN_PATH, always, Param(tokens::update)),
    page(DELETE, tokens::TOKEN_PATH, always, Param(tokens::delete)),
];

/// The operations that a [`Homeserver`](crate::Homeserver) serves. To any other it responds with
/// `M_UNRECOGNIZED`.
///
/// ```
/// let mut served = matricula_homeserver::served();
/// assert!(served.any(|operation| operation.id == "register"));
/// ```
pub fn served() -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().map(|route| &route.operation)
}

/// The paths of the versions before v1.1, and those that they have now.
const ALIASES: [(&str, &str); 2] = [
    ("/_matrix/client/r0/", "/_matrix/client/v3/"),
    ("/_matrix/media/r0/", "/_matrix/media/v3/"),
];

/// Replaces an old path of an operation by the one that it has now.
pub(crate) fn resolve_alias(request: &mut Request) {
    for (old, new) in ALIASES {
        let Some(rest) = request.path.strip_prefix(old) else {
            continue;
        };
        let path = format!("{new}{rest}");
        if served().any(|operation| IncomingRequest::new(operation, &path).is_some()) {
            request.path = path;
            return;
        }
    }
}

/// Handles a request with the handler of its method and path.
pub(crate) fn route(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<HandlerResponse, HandlerError> {
    let Request { method, path, .. } = context.request;
    if let Some(route) = find(OPERATIONS, method.as_str(), path).first() {
        if oauth::is_replaced(context.config, &route.operation) {
            return Err(ApiError::unrecognized().into());
        }
        context.allows_guests.set(route.operation.guests);
        return (route.handler)(context, cx);
    }
    let of_path = served().filter(|operation| IncomingRequest::new(operation, path).is_some());
    let mut allowed: Vec<_> = of_path.map(|operation| operation.method).collect();
    for page in PAGES.iter().filter(|it| (it.is_enabled)(context.config)) {
        let Some(parameters) = page.parameters(context.request) else {
            continue;
        };
        if page.method == *method {
            return Ok(page.handler.call(context, cx, &parameters)?.into());
        }
        allowed.push(page.method);
    }
    if allowed.is_empty() {
        return Err(ApiError::unrecognized().into());
    }
    Ok(method_not_allowed(&allowed).into())
}

fn method_not_allowed(allowed: &[Method]) -> OutgoingResponse {
    let names: Vec<_> = allowed.iter().map(|method| method.as_str()).collect();
    let error = "this endpoint does not support this method";
    let mut reply = ApiError::method_not_allowed(error).into_reply();
    let header = (Cow::Borrowed("allow"), names.join(", "));
    reply.headers.push(header);
    reply
}

/// An operation and its handler.
struct OperationRoute {
    operation: Operation,
    handler: fn(&RequestContext<'_>, &mut StepContext<'_>) -> Result<HandlerResponse, HandlerError>,
}

impl AsRef<Operation> for OperationRoute {
    fn as_ref(&self) -> &Operation {
        &self.operation
    }
}

const fn operation<E: Handler>() -> OperationRoute {
    OperationRoute {
        operation: E::OPERATION,
        handler: |context, cx| {
            E::precheck(context, cx.now)?;
            let body = E::effective_body(context.request);
            let body = uia::with_first_body(context.tx, cx.now, body)?;
            let request: E = parse(context.request, &body)?;
            let response = E::write_success(&request.handle(context, cx)?);
            uia::store_result(context, cx.now, &response.body)?;
            Ok(response.into())
        },
    }
}

const fn file_operation<E: FileHandler>() -> OperationRoute {
    OperationRoute {
        operation: E::OPERATION,
        handler: |context, cx| {
            let request: E = parse(context.request, &[])?;
            request.handle(context, cx)
        },
    }
}

fn parse<E: ServerEndpoint>(request: &Request, body: &[u8]) -> Result<E, HandlerError> {
    let incoming = incoming(&E::OPERATION, E::PARAMETERS, request, body)?;
    Ok(E::read_request(&incoming)?)
}

fn incoming<'a>(
    operation: &'a Operation,
    parameters: &[Parameter],
    request: &'a Request,
    body: &'a [u8],
) -> Result<IncomingRequest<'a>, HandlerError> {
    let takes_json = parameters
        .iter()
        .any(|it| it.location == ParameterLocation::Body && it.kind != ParameterType::Bytes);
    // https://spec.matrix.org/v1.19/client-server-api/#api-standards: at least an empty object.
    if takes_json && body.is_empty() {
        return Err(RequestError::NotJson("it is empty".to_owned()).into());
    }
    let pairs = request.query.iter();
    let query = pairs.map(|(name, value)| (Cow::Borrowed(name.as_str()), value.clone()));
    let content_type = request.content_type.iter();
    let headers = content_type.map(|value| (Cow::Borrowed("Content-Type"), value.clone()));
    let incoming = IncomingRequest::new(operation, &request.path)
        .ok_or_else(ApiError::unrecognized)?
        .with_query(query.collect())
        .with_headers(headers.collect())
        .with_body(body);
    Ok(incoming)
}

/// An endpoint that is no operation of the specification.
struct Page {
    method: Method,
    path: &'static str,
    is_enabled: fn(&Config) -> bool,
    handler: PageHandler,
}

type PageResult<E = HandlerError> = Result<OutgoingResponse, E>;

/// How an endpoint is handled.
enum PageHandler {
    /// Errors are shown as an HTML page.
    Html(fn(&RequestContext<'_>, &mut StepContext<'_>) -> PageResult),
    /// Errors are Matrix errors.
    Json(fn(&RequestContext<'_>, &mut StepContext<'_>) -> PageResult),
    /// The same, with the decoded path parameters.
    Param(fn(&RequestContext<'_>, &mut StepContext<'_>, &[String]) -> PageResult),
    /// Errors are those of OAuth 2.0.
    OAuth(fn(&RequestContext<'_>, &mut StepContext<'_>) -> PageResult<OAuthError>),
}

impl PageHandler {
    fn call(
        &self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
        parameters: &[String],
    ) -> PageResult {
        match self {
            Html(handler) => or_error_page(handler(context, cx)),
            Json(handler) => handler(context, cx),
            Param(handler) => handler(context, cx, parameters),
            OAuth(handler) => oauth::reply(handler(context, cx)),
        }
    }
}

const fn page(
    method: Method,
    path: &'static str,
    is_enabled: fn(&Config) -> bool,
    handler: PageHandler,
) -> Page {
    Page {
        method,
        path,
        is_enabled,
        handler,
    }
}

impl Page {
    /// The decoded path parameters of a request; none where the request has another path.
    fn parameters(&self, request: &Request) -> Option<Vec<String>> {
        let segments = request.segments()?;
        let pattern = self.path.strip_prefix('/')?.split('/');
        if pattern.clone().count() != segments.len() {
            return None;
        }
        let mut parameters = Vec::new();
        for (expected, segment) in pattern.zip(segments) {
            if expected == "{}" {
                parameters.push(segment);
            } else if expected != segment {
                return None;
            }
        }
        Some(parameters)
    }
}

fn always(_: &Config) -> bool {
    true
}

fn has_sso(config: &Config) -> bool {
    config.sso.is_some()
}

fn has_oauth(config: &Config) -> bool {
    config.oauth.is_some()
}
