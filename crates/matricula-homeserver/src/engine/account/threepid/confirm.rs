//! Confirming a third-party identifier: the page that a mail links to, and the endpoint for codes.

use matricula_api::{ErrorCode, server::OutgoingResponse};
use matricula_core::{Method, Secret, StepContext};
use serde::Deserialize;
use serde_json::json;

use crate::engine::{
    auth::validation::Validation,
    context::RequestContext,
    error::{ApiError, HandlerError},
    html::{
        page::{CspSources, escape, page, redirect, simple_page},
        redirect::RedirectTarget,
    },
};

/// The path of the page that a mail links to.
pub(crate) const EMAIL_PATH: &str = "/_matricula/confirm/email";
/// The path of the endpoint for codes.
pub(crate) const MSISDN_PATH: &str = "/_matricula/confirm/msisdn";

/// The page that a mail links to. The person must press a button: mail scanners open links, too.
pub(crate) fn email_page(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, HandlerError> {
    let token = context.request.query("token").unwrap_or_default();
    let Some(mut validation) = Validation::find_by_link(context.tx, cx.now, token)? else {
        let error = "this link has expired, or was replaced by the link in a later mail; request a \
                     new mail";
        return Err(ApiError::new(404, ErrorCode::NotFound, error).into());
    };
    let next_link = validation.next_link.clone();
    let address = escape(&validation.threepid.address);
    if context.request.method == Method::Post {
        validation.validate(context.tx, cx.now)?;
        if let Some(next_link) = next_link {
            return Ok(redirect(next_link));
        }
    }
    if validation.validated_at.is_some() {
        let body = format!(
            "<p><strong>{address}</strong> is confirmed. You can close this page and go back \
             to your client.</p>"
        );
        return Ok(simple_page(200, "en", "Address confirmed", &body));
    }
    let server = escape(&context.config.server_name);
    let body = format!(
        "<p>An account on {server} is to use the address <strong>{address}</strong>. Did you \
         request this?</p>\n<form method=\"post\">\n<button>Yes, confirm</button>\n</form>\n<p>If you \
         did not request it, close this page.</p>"
    );
    let target = next_link.as_deref().and_then(RedirectTarget::parse);
    let sources = CspSources {
        form_targets: &target.map(|it| it.source()).unwrap_or_default(),
        ..CspSources::default()
    };
    Ok(page(200, "en", "Confirm your address", &body, &sources))
}

#[derive(Deserialize)]
struct SubmittedCode {
    sid: String,
    #[serde(with = "matricula_core::secret::exposed")]
    client_secret: Secret,
    token: String,
}

/// Takes the code of a text message from a client.
pub(crate) fn submit_code(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, HandlerError> {
    let Ok(submitted) = serde_json::from_slice::<SubmittedCode>(&context.request.body) else {
        let error = "the body must be a JSON object with the strings sid, client_secret and token";
        return Err(ApiError::new(400, ErrorCode::BadJson, error).into());
    };
    let (sid, secret) = (&submitted.sid, &submitted.client_secret);
    let Some(mut validation) = Validation::find(context.tx, cx.now, sid, secret)? else {
        let error = "this session is not known or has expired; request another code";
        return Err(ApiError::new(400, ErrorCode::NoValidSession, error).into());
    };
    let success = validation.try_code(context.tx, cx.now, &submitted.token)?;
    Ok(OutgoingResponse::json(&json!({ "success": success })))
}
