//! An [OAuth 2.0] authorization server: people sign in on its pages, clients get tokens from it.
//!
//! [OAuth 2.0]: https://spec.matrix.org/v1.19/client-server-api/#oauth-20-api

pub(crate) mod account_page;
pub(crate) mod authorize;
pub(crate) mod clients;
pub(crate) mod device;
mod sessions;
pub(crate) mod token;

use std::{borrow::Cow, time::Duration};

use matricula_api::{
    Extra,
    client::oauth_server_metadata::{
        AccountManagementAction, GetAuthMetadata, GetAuthMetadataResponse,
    },
    oauth::{AuthorizationPrompt, CodeChallenge, GrantType, OAuthErrorCode, ResponseMode},
    server::OutgoingResponse,
};
use matricula_core::{Operation, StepContext};
use serde::Serialize;
use serde_json::json;

use crate::{
    Config,
    engine::{
        auth::login_page::may_sign_up,
        context::RequestContext,
        error::{ApiError, HandlerError},
        handler::Handler,
        html::form::FormData,
    },
};

pub(crate) const AUTHORIZE: &str = "/oauth2/authorize";
pub(crate) const TOKEN: &str = "/oauth2/token";
pub(crate) const REGISTRATION: &str = "/oauth2/registration";
pub(crate) const DEVICE: &str = "/oauth2/device";
pub(crate) const REVOKE: &str = "/oauth2/revoke";
pub(crate) const INTROSPECT: &str = "/oauth2/introspect";
pub(crate) const LINK: &str = "/link";
pub(crate) const ACCOUNT: &str = "/account";
pub(crate) const DISCOVERY: &str = "/.well-known/openid-configuration";
/// The path of the metadata before Matrix 1.15.
pub(crate) const UNSTABLE_METADATA: &str =
    "/_matrix/client/unstable/org.matrix.msc2965/auth_metadata";

/// The operations that are disabled where OAuth 2.0 replaces them.
const REPLACED: [&str; 17] = [
    "checkUsernameAvailability",
    "getLoginFlows",
    "login",
    "logout",
    "logout_all",
    "refresh",
    "changePassword",
    "deactivateAccount",
    "deleteDevice",
    "deleteDevices",
    "requestTokenToResetPasswordEmail",
    "requestTokenToResetPasswordMSISDN",
    "requestTokenToRegisterEmail",
    "requestTokenToRegisterMSISDN",
    "requestTokenTo3PIDEmail",
    "requestTokenTo3PIDMSISDN",
    "add3PID",
];

/// Whether OAuth 2.0 replaces this operation.
pub(crate) fn is_replaced(config: &Config, operation: &Operation) -> bool {
    config.is_oauth_only() && REPLACED.contains(&operation.id)
}

fn metadata(context: &RequestContext<'_>) -> Result<GetAuthMetadataResponse, HandlerError> {
    let config = context.config;
    if config.oauth.is_none() {
        return Err(ApiError::unrecognized().into());
    }
    let at = |path: &str| context.url(path);
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    let mut extra = Extra::new();
    for name in [
        "token_endpoint_auth_methods_supported",
        "revocation_endpoint_auth_methods_supported",
    ] {
        extra.insert(name.to_owned(), json!(["none"]));
    }
    // A list without `create` says that people cannot sign up.
    let prompt = match may_sign_up(config) {
        true => AuthorizationPrompt::Create.as_str(),
        false => "login",
    };
    if context.config.delegation().is_some() {
        let introspection = json!(at(INTROSPECT));
        let name = "introspection_endpoint".to_owned();
        extra.insert(name, introspection);
    }
    Ok(GetAuthMetadataResponse {
        issuer: at("/"),
        authorization_endpoint: at(AUTHORIZE),
        token_endpoint: at(TOKEN),
        revocation_endpoint: at(REVOKE),
        registration_endpoint: at(REGISTRATION),
        response_types_supported: texts(&["code"]),
        grant_types_supported: texts(&clients::GRANT_TYPES.each_ref().map(GrantType::as_str)),
        response_modes_supported: texts(&[
            ResponseMode::Query.as_str(),
            ResponseMode::Fragment.as_str(),
        ]),
        code_challenge_methods_supported: texts(&[CodeChallenge::METHOD]),
        prompt_values_supported: Some(texts(&[prompt])),
        account_management_uri: Some(at(ACCOUNT)),
        account_management_actions_supported: Some(
            [
                AccountManagementAction::DevicesList,
                AccountManagementAction::DeviceView,
                AccountManagementAction::DeviceDelete,
            ]
            .into(),
        ),
        device_authorization_endpoint: Some(at(DEVICE)),
        extra,
    })
}

impl Handler for GetAuthMetadata {
    fn handle(
        self,
        context: &RequestContext<'_>,
        _: &mut StepContext<'_>,
    ) -> Result<GetAuthMetadataResponse, HandlerError> {
        metadata(context)
    }
}

/// Why an endpoint of the authorization server fails.
pub(crate) enum OAuthError {
    /// An [error response](https://datatracker.ietf.org/doc/html/rfc6749#section-5.2): the status, the
    /// code, and a description for developers of clients.
    Response(u16, OAuthErrorCode, Cow<'static, str>),
    /// Any other error.
    Handler(HandlerError),
}

impl OAuthError {
    fn new(code: OAuthErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        Self::Response(400, code, description.into())
    }
}

impl<F: Into<HandlerError>> From<F> for OAuthError {
    fn from(error: F) -> Self {
        Self::Handler(error.into())
    }
}

/// The maximum number of fields of a form.
const MAX_FIELDS: usize = 32;

/// Parses the form of a client. [No field may be repeated].
///
/// [No field may be repeated]: https://datatracker.ietf.org/doc/html/rfc6749#section-3.2
fn form(context: &RequestContext<'_>) -> Result<FormData, OAuthError> {
    let form = FormData::parse(&context.request.body);
    if form.len() > MAX_FIELDS || form.has_repeated_field() {
        let description = "the form has a repeated field, or too many fields";
        return Err(OAuthError::new(OAuthErrorCode::InvalidRequest, description));
    }
    Ok(form)
}

/// The response of an endpoint for clients.
pub(crate) fn reply(
    result: Result<OutgoingResponse, OAuthError>,
) -> Result<OutgoingResponse, HandlerError> {
    match result {
        Ok(reply) => Ok(reply),
        Err(OAuthError::Response(status, code, description)) => {
            let body = json!({ "error": code.as_str(), "error_description": description });
            Ok(no_store_json(status, &body))
        }
        Err(OAuthError::Handler(error)) => Err(error),
    }
}

/// The metadata at the path of OpenID Connect discovery, and at the unstable path.
pub(crate) fn discovery(
    context: &RequestContext<'_>,
    _: &mut StepContext<'_>,
) -> Result<OutgoingResponse, HandlerError> {
    Ok(OutgoingResponse::json(&metadata(context)?))
}

/// The lifetime of access tokens. They must be short-lived, so there is a default.
fn access_token_lifetime(config: &Config) -> Duration {
    const DEFAULT: Duration = Duration::from_secs(5 * 60);
    config.access_token_lifetime.unwrap_or(DEFAULT)
}

/// The client did not register for a grant.
fn unauthorized_client() -> OAuthError {
    let code = OAuthErrorCode::UnauthorizedClient;
    OAuthError::new(code, "the client did not register for this grant")
}

/// A code or token is not valid.
fn grant_error(description: &'static str) -> OAuthError {
    OAuthError::new(OAuthErrorCode::InvalidGrant, description)
}

/// A JSON response that must not be cached, because it may contain secrets.
fn no_store_json(status: u16, body: &impl Serialize) -> OutgoingResponse {
    let mut reply = OutgoingResponse::json(body);
    reply.status = status;
    let header = (Cow::Borrowed("cache-control"), "no-store".to_owned());
    reply.headers.push(header);
    reply
}
