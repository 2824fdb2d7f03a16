//! Showing that a message has arrived: the page that a mail links to, and codes.

use matricula_api::{ErrorCode, server::OutgoingResponse};
use matricula_core::{Method, Secret, StepContext};
use serde::Deserialize;
use serde_json::json;

use super::validation::Validation;
use crate::engine::{
    Homeserver,
    layout::{CspSources, error_page, escape, page, redirect, simple_page},
    redirect::RedirectTarget,
    refusal::{ApiError, HandlerError},
    routes::{RequestContext, method_not_allowed},
};

const PAGE: &str = "/_matricula/confirm/email";
pub(super) const SUBMIT_CODE: &str = "/_matricula/confirm/msisdn";

/// The address in a mail.
pub(super) fn link(home: &Homeserver, token: &str) -> String {
    format!("{}{PAGE}?token={token}", home.base_url)
}

#[derive(Deserialize)]
struct Submitted {
    sid: String,
    #[serde(with = "matricula_core::secret::exposed")]
    client_secret: Secret,
    token: String,
}

impl RequestContext<'_> {
    /// Answers where addresses are proved, if this is there.
    pub(in crate::engine) fn confirmation(
        &self,
        cx: &StepContext<'_>,
    ) -> Result<Option<OutgoingResponse>, HandlerError> {
        match (self.request.path.as_str(), self.request.method) {
            (PAGE, Method::Get | Method::Post) => match self.confirm_email(cx) {
                Err(HandlerError::Api(refusal)) => Ok(Some(error_page(refusal))),
                answer => answer.map(Some),
            },
            (PAGE, _) => Ok(Some(method_not_allowed(&[Method::Get, Method::Post]))),
            (SUBMIT_CODE, Method::Post) => self.submit_code(cx).map(Some),
            (SUBMIT_CODE, _) => Ok(Some(method_not_allowed(&[Method::Post]))),
            _ => Ok(None),
        }
    }

    /// What looks at mail before people do opens the page, but does not press the button.
    fn confirm_email(&self, cx: &StepContext<'_>) -> Result<OutgoingResponse, HandlerError> {
        let token = self.request.query("token").unwrap_or_default();
        let Some(mut validation) = Validation::find_by_link(self.tx, cx.now, token)? else {
            let error = "this link has expired, or a later mail has another; ask for a new mail";
            return Err(ApiError::new(404, ErrorCode::NotFound, error).into());
        };
        let next_link = validation.next_link.clone();
        let address = escape(&validation.threepid.address);
        if self.request.method == Method::Post {
            validation.validate(self.tx, cx.now)?;
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
        let server = escape(&self.homeserver.config.server_name);
        let body = format!(
            "<p>Somebody told {server} that <strong>{address}</strong> is their address. Was it \
             you?</p>\n<form method=\"post\">\n<button>Yes, confirm</button>\n</form>\n<p>If it was \
             not you, close this page.</p>"
        );
        let target = next_link.as_deref().and_then(RedirectTarget::parse);
        let leads_to = target.map(|it| it.source()).unwrap_or_default();
        let sources = CspSources {
            form_targets: &leads_to,
            ..CspSources::default()
        };
        Ok(page(200, "en", "Confirm your address", &body, &sources))
    }

    fn submit_code(&self, cx: &StepContext<'_>) -> Result<OutgoingResponse, HandlerError> {
        let Ok(submitted) = serde_json::from_slice::<Submitted>(&self.request.body) else {
            let error = "the body is to be JSON with the texts sid, client_secret and token";
            return Err(ApiError::new(400, ErrorCode::BadJson, error).into());
        };
        let (sid, secret) = (&submitted.sid, &submitted.client_secret);
        let Some(mut validation) = Validation::find(self.tx, cx.now, sid, secret)? else {
            let error = "this session is not known or has expired; ask for another code";
            return Err(ApiError::new(400, ErrorCode::NoValidSession, error).into());
        };
        let success = validation.try_code(self.tx, cx.now, &submitted.token)?;
        Ok(OutgoingResponse::json(&json!({ "success": success })))
    }
}
