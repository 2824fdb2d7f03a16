//! The route table: which operations and pages this server has, and how a request finds its handler.

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
use matricula_core::{Method, Operation, StepContext};

use super::{
    Request,
    account::threepid::confirm,
    admin::{shared_secret, tokens, users},
    auth::{
        fallback,
        oauth::{self, account_page, authorize, clients, device, token},
        passwords, sso,
    },
    context::RequestContext,
    error::{ApiError, HandlerError},
    file_action::HandlerResponse,
    handler::{FileHandler, Handler},
    html::page::or_error_page,
};
use crate::Config;

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
    operation::<GetJoinedRooms>(),
    operation::<GetRoomMembers>(),
    operation::<GetJoinedMembers>(),
    operation::<SendMessage>(),
    operation::<SendStateEvent>(),
    operation::<GetRoomState>(),
    operation::<GetStateEvent>(),
    operation::<GetRoomEvent>(),
    operation::<GetRoomMessages>(),
    operation::<Sync>(),
    operation::<CreateMxcUri>(),
    file_operation::<UploadContent>(),
    file_operation::<UploadContentToMxc>(),
    file_operation::<DownloadContent>(),
    file_operation::<DownloadContentWithName>(),
    operation::<GetMediaConfig>(),
    operation::<GetConfig>(),
];

/// Everything else: HTML pages, OAuth 2.0 endpoints, the Synapse admin API. `{}` is a path parameter.
const PAGES: &[Page] = &[
    Page {
        path: "/_matrix/client/v3/auth/{}/fallback/web",
        is_enabled: |_| true,
        methods: &[
            (Method::Get, |c, x, p| {
                or_error_page(fallback::page(c, x, &p[0]))
            }),
            (Method::Post, |c, x, p| {
                or_error_page(fallback::page(c, x, &p[0]))
            }),
        ],
    },
    Page {
        path: "/_matricula/terms/{}/{}",
        is_enabled: |_| true,
        methods: &[(Method::Get, |c, _, p| {
            fallback::policy_document(c, &p[0], &p[1])
        })],
    },
    Page {
        path: "/_matrix/client/r0/password_policy",
        is_enabled: |_| true,
        methods: &[(Method::Get, |c, _, _| Ok(passwords::policy_reply(c.config)))],
    },
    Page {
        path: confirm::EMAIL_PATH,
        is_enabled: |_| true,
        methods: &[
            (Method::Get, |c, x, _| {
                or_error_page(confirm::email_page(c, x))
            }),
            (Method::Post, |c, x, _| {
                or_error_page(confirm::email_page(c, x))
            }),
        ],
    },
    Page {
        path: confirm::MSISDN_PATH,
        is_enabled: |_| true,
        methods: &[(Method::Post, |c, x, _| confirm::submit_code(c, x))],
    },
    Page {
        path: sso::PATH,
        is_enabled: |config| config.sso.is_some(),
        methods: &[
            (Method::Get, |c, x, _| or_error_page(sso::page(c, x))),
            (Method::Post, |c, x, _| or_error_page(sso::page(c, x))),
        ],
    },
    Page {
        path: oauth::DISCOVERY,
        is_enabled: has_oauth,
        methods: &[(Method::Get, |c, _, _| oauth::discovery(c))],
    },
    Page {
        path: oauth::AUTHORIZE,
        is_enabled: has_oauth,
        methods: &[
            (Method::Get, |c, x, _| or_error_page(authorize::page(c, x))),
            (Method::Post, |c, x, _| or_error_page(authorize::page(c, x))),
        ],
    },
    Page {
        path: oauth::LINK,
        is_enabled: has_oauth,
        methods: &[
            (Method::Get, |c, x, _| or_error_page(device::page(c, x))),
            (Method::Post, |c, x, _| or_error_page(device::page(c, x))),
        ],
    },
    Page {
        path: oauth::ACCOUNT,
        is_enabled: has_oauth,
        methods: &[
            (Method::Get, |c, x, _| {
                or_error_page(account_page::page(c, x))
            }),
            (Method::Post, |c, x, _| {
                or_error_page(account_page::page(c, x))
            }),
        ],
    },
    Page {
        path: oauth::REGISTRATION,
        is_enabled: has_oauth,
        methods: &[(Method::Post, |c, x, _| {
            oauth::reply(clients::register(c, x))
        })],
    },
    Page {
        path: oauth::TOKEN,
        is_enabled: has_oauth,
        methods: &[(Method::Post, |c, x, _| oauth::reply(token::issue(c, x)))],
    },
    Page {
        path: oauth::DEVICE,
        is_enabled: has_oauth,
        methods: &[(Method::Post, |c, x, _| oauth::reply(device::start(c, x)))],
    },
    Page {
        path: oauth::REVOKE,
        is_enabled: has_oauth,
        methods: &[(Method::Post, |c, x, _| oauth::reply(token::revoke(c, x)))],
    },
    Page {
        path: oauth::INTROSPECT,
        is_enabled: has_oauth,
        methods: &[(Method::Post, |c, x, _| {
            oauth::reply(token::introspect(c, x))
        })],
    },
    Page {
        path: "/_synapse/admin/v1/register",
        is_enabled: |_| true,
        methods: &[
            (Method::Get, |c, x, _| shared_secret::nonce(c, x)),
            (Method::Post, |c, x, _| shared_secret::register(c, x)),
        ],
    },
    Page {
        path: "/_synapse/admin/v2/users/{}",
        is_enabled: |_| true,
        methods: &[
            (Method::Get, |c, x, p| users::get(c, x, &p[0])),
            (Method::Put, |c, x, p| users::put(c, x, &p[0])),
        ],
    },
    Page {
        path: "/_synapse/admin/v1/deactivate/{}",
        is_enabled: |_| true,
        methods: &[(Method::Post, |c, x, p| users::deactivate(c, x, &p[0]))],
    },
    Page {
        path: "/_synapse/admin/v1/registration_tokens",
        is_enabled: |_| true,
        methods: &[(Method::Get, |c, x, _| tokens::list(c, x))],
    },
    Page {
        path: "/_synapse/admin/v1/registration_tokens/new",
        is_enabled: |_| true,
        methods: &[(Method::Post, |c, x, _| tokens::create(c, x))],
    },
    Page {
        path: "/_synapse/admin/v1/registration_tokens/{}",
        is_enabled: |_| true,
        methods: &[
            (Method::Get, |c, x, p| tokens::get(c, x, &p[0])),
            (Method::Put, |c, x, p| tokens::update(c, x, &p[0])),
            (Method::Delete, |c, x, p| tokens::delete(c, x, &p[0])),
        ],
    },
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
        return (route.handler)(context, cx);
    }
    let of_path = served().filter(|operation| IncomingRequest::new(operation, path).is_some());
    let mut allowed: Vec<_> = of_path.map(|operation| operation.method).collect();
    for page in PAGES {
        let Some(parameters) = page.parameters(context.request) else {
            continue;
        };
        if !(page.is_enabled)(context.config) {
            continue;
        }
        if let Some((_, handler)) = page.methods.iter().find(|(it, _)| it == method) {
            return handler(context, cx, &parameters).map(HandlerResponse::from);
        }
        allowed = page.methods.iter().map(|(it, _)| *it).collect();
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
            let request: E = parse(context.request, &E::effective_body(context.request))?;
            let response = request.handle(context, cx)?;
            Ok(E::write_success(&response).into())
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

/// A path that is no operation of the specification.
struct Page {
    path: &'static str,
    is_enabled: fn(&Config) -> bool,
    methods: &'static [(Method, PageHandler)],
}

/// Handles a request to a page, given the decoded path parameters.
type PageHandler = fn(
    &RequestContext<'_>,
    &mut StepContext<'_>,
    &[String],
) -> Result<OutgoingResponse, HandlerError>;

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

fn has_oauth(config: &Config) -> bool {
    config.oauth.is_some()
}
