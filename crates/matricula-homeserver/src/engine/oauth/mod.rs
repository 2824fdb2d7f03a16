//! An [OAuth 2.0] authorization server: people sign in on its pages, clients get tokens of it.
//!
//! [OAuth 2.0]: https://spec.matrix.org/v1.19/client-server-api/#oauth-20-api

mod account;
mod authorize;
mod clients;
mod device;
mod sessions;
mod token;

use std::borrow::Cow;

use matricula_api::{
    Extra,
    client::oauth_server_metadata::{
        AccountManagementAction, GetAuthMetadata, GetAuthMetadataResponse,
    },
    oauth::{AuthorizationPrompt, CodeChallenge, GrantType, OAuthErrorCode, ResponseMode},
    server::OutgoingResponse,
};
use matricula_core::{Method, Operation, StepContext};
use serde::Serialize;
use serde_json::json;

use super::{
    Homeserver,
    entrance::{Form, LoginPage},
    layout::{CspSources, error_page, page},
    refusal::{ApiError, HandlerError},
    routes::{Handler, RequestContext, method_not_allowed},
};
use crate::{Delegation, config::OAuth};

pub(super) use sessions::{end_device, is_oauth};

const AUTHORIZE: &str = "/oauth2/authorize";
const TOKEN: &str = "/oauth2/token";
const REGISTRATION: &str = "/oauth2/registration";
const DEVICE: &str = "/oauth2/device";
const REVOKE: &str = "/oauth2/revoke";
const INTROSPECT: &str = "/oauth2/introspect";
const LINK: &str = "/link";
const ACCOUNT: &str = "/account";
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// What is not to be had where OAuth 2.0 stands instead of it.
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

impl Homeserver {
    fn oauth(&self) -> Option<&OAuth> {
        self.config.oauth.as_ref()
    }

    /// The homeserver that delegates to this one, if any does.
    pub(crate) fn delegation(&self) -> Option<&Delegation> {
        self.oauth()?.delegation.as_ref()
    }

    /// Whether OAuth 2.0 stands instead of this operation.
    pub(super) fn is_replaced(&self, operation: &Operation) -> bool {
        self.config.is_oauth_only() && REPLACED.contains(&operation.id)
    }

    fn metadata(&self) -> Result<GetAuthMetadataResponse, HandlerError> {
        if self.oauth().is_none() {
            return Err(ApiError::unrecognized().into());
        }
        let at = |path: &str| format!("{}{path}", self.base_url);
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let mut extra = Extra::new();
        for name in [
            "token_endpoint_auth_methods_supported",
            "revocation_endpoint_auth_methods_supported",
        ] {
            extra.insert(name.to_owned(), json!(["none"]));
        }
        if self.delegation().is_some() {
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
            prompt_values_supported: Some(texts(&[AuthorizationPrompt::Create.as_str()])),
            account_management_uri: Some(at(ACCOUNT)),
            account_management_actions_supported: Some(vec![
                AccountManagementAction::DevicesList,
                AccountManagementAction::DeviceView,
                AccountManagementAction::DeviceDelete,
            ]),
            device_authorization_endpoint: Some(at(DEVICE)),
            extra,
        })
    }
}

impl Handler for GetAuthMetadata {
    fn handle(
        self,
        call: &RequestContext<'_>,
        _: &mut StepContext<'_>,
    ) -> Result<GetAuthMetadataResponse, HandlerError> {
        call.homeserver.metadata()
    }
}

/// Why an authorization server does not do what it is asked.
enum OAuthError {
    /// In the form of [OAuth 2.0](https://datatracker.ietf.org/doc/html/rfc6749#section-5.2): the
    /// status, the code, and a sentence for whoever writes the client.
    Response(u16, OAuthErrorCode, Cow<'static, str>),
    Handler(HandlerError),
}

impl OAuthError {
    fn new(code: OAuthErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        Self::Response(400, code, description.into())
    }
}

impl<F: Into<HandlerError>> From<F> for OAuthError {
    fn from(fault: F) -> Self {
        Self::Handler(fault.into())
    }
}

/// How many fields a form has at most.
const MAX_FIELDS: usize = 32;

/// A client's form, in which no field stands twice: [as OAuth 2.0 has it].
///
/// [as OAuth 2.0 has it]: https://datatracker.ietf.org/doc/html/rfc6749#section-3.2
fn form(call: &RequestContext<'_>) -> Result<Form, OAuthError> {
    let form = Form::of(&call.request.body);
    if form.len() > MAX_FIELDS || form.repeated().is_some() {
        let description = "the form has a field twice, or too many of them";
        return Err(OAuthError::new(OAuthErrorCode::InvalidRequest, description));
    }
    Ok(form)
}

type Answer = fn(&RequestContext<'_>, &mut StepContext<'_>) -> Result<OutgoingResponse, OAuthError>;
type Page = fn(&RequestContext<'_>, &mut StepContext<'_>) -> Result<OutgoingResponse, HandlerError>;

impl RequestContext<'_> {
    /// Answers at the addresses of the authorization server, if there is one and this is one.
    pub(super) fn oauth(
        &self,
        cx: &mut StepContext<'_>,
    ) -> Result<Option<OutgoingResponse>, HandlerError> {
        if self.homeserver.oauth().is_none() {
            return Ok(None);
        }
        let endpoint: Answer = match self.request.path.as_str() {
            DISCOVERY => return self.discovery().map(Some),
            AUTHORIZE => return self.oauth_page(cx, authorize::answer).map(Some),
            LINK => return self.oauth_page(cx, device::page).map(Some),
            ACCOUNT => return self.oauth_page(cx, account::page).map(Some),
            REGISTRATION => clients::register,
            TOKEN => token::issue,
            DEVICE => device::start,
            REVOKE => token::revoke,
            INTROSPECT => token::introspect,
            _ => return Ok(None),
        };
        if self.request.method != Method::Post {
            return Ok(Some(method_not_allowed(&[Method::Post])));
        }
        match endpoint(self, cx) {
            Ok(reply) => Ok(Some(reply)),
            Err(OAuthError::Response(status, code, description)) => {
                let body = json!({ "error": code.as_str(), "error_description": description });
                Ok(Some(no_store_json(status, &body)))
            }
            Err(OAuthError::Handler(fault)) => Err(fault),
        }
    }

    fn discovery(&self) -> Result<OutgoingResponse, HandlerError> {
        match self.request.method {
            Method::Get => Ok(OutgoingResponse::json(&self.homeserver.metadata()?)),
            _ => Ok(method_not_allowed(&[Method::Get])),
        }
    }

    fn oauth_page(
        &self,
        cx: &mut StepContext<'_>,
        answer: Page,
    ) -> Result<OutgoingResponse, HandlerError> {
        if !matches!(self.request.method, Method::Get | Method::Post) {
            return Ok(method_not_allowed(&[Method::Get, Method::Post]));
        }
        match answer(self, cx) {
            Err(HandlerError::Api(refusal)) => Ok(error_page(refusal)),
            answer => answer,
        }
    }

    /// The page on which somebody who is in says yes or no.
    pub(super) fn consent_page(
        &self,
        cx: &mut StepContext<'_>,
        door: &LoginPage<'_>,
        user: i64,
        consent: &Consent<'_>,
    ) -> Result<OutgoingResponse, HandlerError> {
        let visit = self.csrf_field(cx, door.scope, Some(user))?;
        let who = super::layout::escape(&self.user_id_of(user)?);
        let Consent { title, what, yes } = consent;
        let body = format!(
            "<p>You are signed in as <strong>{who}</strong>.</p>\n{what}\n\
             <form method=\"post\">\n{visit}\n<div class=\"buttons\">\n\
             <button name=\"step\" value=\"allow\">{yes}</button>\n\
             <button class=\"quiet\" name=\"step\" value=\"cancel\">Cancel</button>\n</div>\n\
             <p>Not you? <button class=\"link\" name=\"step\" value=\"show-sign-in\">Sign in as \
             somebody else</button></p>\n</form>"
        );
        let sources = CspSources {
            form_targets: door.form_targets,
            ..CspSources::default()
        };
        Ok(page(200, "en", title, &body, &sources))
    }

    /// The localpart of a user who is there.
    fn localpart_of(&self, user: i64) -> Result<String, HandlerError> {
        let sql = "SELECT localpart FROM users WHERE id = ?1";
        Ok(self.tx.query_row(sql, [user], |row| row.get(0))?)
    }

    fn user_id_of(&self, user: i64) -> Result<String, HandlerError> {
        let localpart = self.localpart_of(user)?;
        Ok(format!(
            "@{localpart}:{}",
            self.homeserver.config.server_name
        ))
    }
}

/// What somebody is asked to agree to.
pub(super) struct Consent<'a> {
    pub(super) title: &'a str,
    /// HTML.
    pub(super) what: &'a str,
    /// What stands on the button.
    pub(super) yes: &'a str,
}

/// JSON that may hold what nobody on the way is to keep.
fn no_store_json(status: u16, body: &impl Serialize) -> OutgoingResponse {
    let mut reply = OutgoingResponse::json(body);
    reply.status = status;
    let header = (Cow::Borrowed("cache-control"), "no-store".to_owned());
    reply.headers.push(header);
    reply
}
