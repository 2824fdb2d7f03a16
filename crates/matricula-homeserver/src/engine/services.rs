//! What clients and this server ask [application services](https://spec.matrix.org/v1.19/application-service-api/):
//! pings, and whether a user or room alias of theirs exists.

use matricula_api::{
    ErrorCode,
    client::appservice_ping::{PingAppservice, PingAppserviceResponse},
};
use matricula_core::{Method, StepContext};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::{
    context::RequestContext,
    error::{ApiError, HandlerError},
    handler::Handler,
    service_call::{CallResult, ServiceCall},
};

impl Handler for PingAppservice {
    fn handle(
        self,
        context: &RequestContext<'_>,
        _: &mut StepContext<'_>,
    ) -> Result<PingAppserviceResponse, HandlerError> {
        let Some(token) = context.access_token() else {
            return Err(ApiError::missing_token("this endpoint needs an access token").into());
        };
        let service = context.config.service_by_token(token);
        let service = service.filter(|it| it.id == self.appservice_id);
        let service = service.ok_or_else(|| {
            let error = "only the application service itself may ask for this";
            ApiError::new(403, ErrorCode::Forbidden, error)
        })?;
        if service.url.is_none() {
            let error = "this application service has no URL";
            return Err(ApiError::new(400, ErrorCode::UrlNotSet, error).into());
        }
        let Some(called) = &context.request.called else {
            let mut body = json!({});
            if let Some(id) = self.transaction_id {
                body["transaction_id"] = id.into();
            }
            context.call(ServiceCall {
                service: service.id.clone(),
                method: Method::Post,
                path: "/_matrix/app/v1/ping".to_owned(),
                body: body.to_string(),
            });
            let error = "the application service was not called";
            return Err(ApiError::new(502, ErrorCode::ConnectionFailed, error).into());
        };
        match &called.result {
            CallResult::Responded(200..300) => Ok(PingAppserviceResponse::new(called.duration)),
            CallResult::Responded(status) => {
                let error = format!("the application service responded with {status}");
                Err(ApiError::new(502, ErrorCode::BadStatus, error).into())
            }
            CallResult::TimedOut => {
                let error = "the application service did not respond in time";
                Err(ApiError::new(504, ErrorCode::ConnectionTimeout, error).into())
            }
            CallResult::Failed(why) => {
                let error = format!("the application service cannot be reached: {why}");
                Err(ApiError::new(502, ErrorCode::ConnectionFailed, error).into())
            }
        }
    }
}

/// Asks the service whose alias this is to make its room, unless it was asked.
pub(crate) fn query_alias(context: &RequestContext<'_>, alias: &str) {
    let mut services = context.config.application_services.iter();
    if let Some(service) = services.find(|it| it.url.is_some() && it.owns_alias(alias)) {
        query(context, &service.id, "rooms", alias);
    }
}

/// Asks the service whose user this is to make it, unless it was asked.
pub(crate) fn query_user(context: &RequestContext<'_>, localpart: &str, user_id: &str) {
    let mut services = context.config.application_services.iter();
    if let Some(service) = services.find(|it| it.url.is_some() && it.owns(localpart)) {
        query(context, &service.id, "users", user_id);
    }
}

fn query(context: &RequestContext<'_>, service: &str, what: &str, name: &str) {
    if context.request.called.is_some() {
        return;
    }
    let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
    context.call(ServiceCall {
        service: service.to_owned(),
        method: Method::Get,
        path: format!("/_matrix/app/v1/{what}/{name}"),
        body: String::new(),
    });
}
