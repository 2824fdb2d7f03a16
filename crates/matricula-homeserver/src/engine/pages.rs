//! Pages for a browser: the
//! [fallback](https://spec.matrix.org/v1.19/client-server-api/#fallback) of each stage, and the
//! documents that policies link to.

use matricula_api::{ErrorCode, server::OutgoingResponse};
use matricula_core::{Method, StepContext};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    Homeserver,
    entrance::{Field, sentence},
    layout::{CspSources, error_page, escape, page, simple_page},
    refusal::{ApiError, HandlerError},
    routes::{RequestContext, method_not_allowed},
    tokens::ALPHANUMERIC,
    uia::UiaSession,
};
use crate::config::{REGISTRATION_TOKEN, TERMS};

/// The specification gives this script: it tells the client that opened the page.
const AUTH_DONE: &str = "if (window.onAuthDone) { window.onAuthDone(); } \
     else if (window.opener && window.opener.postMessage) \
     { window.opener.postMessage(\"authDone\", \"*\"); }";

/// Where the document of a policy in one language is.
pub(super) fn document_path(policy: &str, language: &str) -> String {
    const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    let [policy, language] = [policy, language].map(|it| utf8_percent_encode(it, SEGMENT));
    format!("/_matricula/terms/{policy}/{language}")
}

impl RequestContext<'_> {
    /// What is no operation: a page, if anything.
    pub(super) fn page(&self, cx: &mut StepContext<'_>) -> Result<OutgoingResponse, HandlerError> {
        if let Some(reply) = self.oauth(cx)? {
            return Ok(reply);
        }
        if let Some(reply) = self.sso(cx)? {
            return Ok(reply);
        }
        if let Some(reply) = self.admin(cx)? {
            return Ok(reply);
        }
        if let Some(reply) = self.confirmation(cx)? {
            return Ok(reply);
        }
        let segments = self.request.segments().unwrap_or_default();
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        match (segments.as_slice(), self.request.method) {
            (
                ["_matrix", "client", "v3", "auth", stage, "fallback", "web"],
                Method::Get | Method::Post,
            ) => match self.fallback(cx, stage) {
                Err(HandlerError::Api(refusal)) => Ok(error_page(refusal)),
                answer => answer,
            },
            (["_matrix", "client", "v3", "auth", _, "fallback", "web"], _) => {
                Ok(method_not_allowed(&[Method::Get, Method::Post]))
            }
            (["_matrix", "client", "r0", "password_policy"], Method::Get) => {
                Ok(OutgoingResponse::json(&self.homeserver.password_policy()))
            }
            (["_matricula", "terms", policy, language], Method::Get) => {
                self.homeserver.document(policy, language)
            }
            _ => Err(ApiError::unrecognized().into()),
        }
    }

    fn fallback(
        &self,
        cx: &mut StepContext<'_>,
        stage: &str,
    ) -> Result<OutgoingResponse, HandlerError> {
        let RequestContext {
            homeserver: home,
            tx,
            request,
        } = *self;
        // What is really checked is not completed by pressing a button.
        if !home.registration_has_stage(stage) || home.is_validation_stage(stage) {
            let error = "no flow of this server has such a stage";
            return Err(ApiError::new(404, ErrorCode::Unrecognized, error).into());
        }
        let id = request
            .query("session")
            .ok_or_else(|| ApiError::missing_param("session"))?;
        let mut session = UiaSession::load(tx, cx.now, id)?;
        if session.user.is_some() || session.has_completed(stage) {
            return Ok(done(cx));
        }
        if let Some(refusal) = home.out_of_order(&session, stage) {
            return Err(refusal.into());
        }
        if stage == TERMS {
            home.present_policies(&mut session)?;
        }
        let mut failure = None;
        if request.method == Method::Post {
            failure = self.submit_fallback(cx, &mut session, stage)?;
        }
        session.save(tx, cx.now)?;
        if session.has_completed(stage) {
            return Ok(done(cx));
        }
        Ok(home.form(stage, failure))
    }

    /// Takes a filled-in form; what it lacks, if anything.
    fn submit_fallback(
        &self,
        cx: &StepContext<'_>,
        session: &mut UiaSession,
        stage: &str,
    ) -> Result<Option<ApiError>, HandlerError> {
        let fields: Vec<_> = form_urlencoded::parse(&self.request.body).collect();
        let values = |name: &'static str| {
            let named = fields.iter().filter(move |(key, _)| key == name);
            named.map(|(_, value)| value.as_ref())
        };
        match stage {
            TERMS => {
                let mut policies = self.homeserver.config.policies.keys();
                if !policies.all(|id| values("accept").any(|accepted| accepted == id)) {
                    let error = "all of them must be accepted to register here";
                    return Ok(Some(ApiError::new(400, ErrorCode::MissingParam, error)));
                }
            }
            REGISTRATION_TOKEN => {
                let token = values("token").next().unwrap_or_default().trim();
                return self.try_registration_token(cx.now, session, token);
            }
            _ => {}
        }
        session.complete(stage);
        Ok(None)
    }
}

impl Homeserver {
    fn document(&self, policy: &str, language: &str) -> Result<OutgoingResponse, HandlerError> {
        let found = self.config.policies.get(policy);
        let document = found.and_then(|it| Some((it, it.translations.get(language)?)));
        let Some((policy, document)) = document else {
            return Err(ApiError::unrecognized().into());
        };
        let paragraphs: String = document
            .text
            .split("\n\n")
            .map(|paragraph| format!("<p>{}</p>\n", escape(paragraph)))
            .collect();
        let body = format!("{paragraphs}<p>Version {}</p>", escape(&policy.version));
        Ok(simple_page(200, language, &document.name, &body))
    }

    fn form(&self, stage: &str, failure: Option<ApiError>) -> OutgoingResponse {
        let (title, fields, button) = match stage {
            TERMS => (
                "Accept the terms",
                self.terms_fields(failure.as_ref().map(|it| &*it.error)),
                "Accept",
            ),
            REGISTRATION_TOKEN => (
                "Registration token",
                Field::registration_token().with_error(failure.as_ref().map(|it| &*it.error)),
                "Continue",
            ),
            stage => (
                "One more step",
                format!(
                    "<p>Elsewhere the step <code>{}</code> would check something. This server is \
                     for development and tests: it takes your word.</p>",
                    escape(stage)
                ),
                "Continue",
            ),
        };
        let (status, alert) = match failure {
            Some(failure) => {
                let error = escape(&failure.error);
                (400, format!("<p role=\"alert\">Not yet: {error}.</p>\n"))
            }
            None => (200, String::new()),
        };
        // Without an action it goes to this very address, session included.
        let body =
            format!("{alert}<form method=\"post\">\n{fields}\n<button>{button}</button>\n</form>");
        simple_page(status, "en", title, &body)
    }

    pub(super) fn terms_fields(&self, error: Option<&str>) -> String {
        let (note, described) = match error {
            Some(error) => (
                format!(
                    "<p class=\"error\" id=\"accept-error\">{}</p>\n",
                    escape(&sentence(error))
                ),
                " aria-describedby=\"accept-error\" aria-invalid=\"true\"",
            ),
            None => (String::new(), ""),
        };
        let mut items = String::new();
        for (id, policy) in &self.config.policies {
            let english = policy.translations.get_key_value("en");
            let Some((language, document)) = english.or(policy.translations.first_key_value())
            else {
                continue;
            };
            let name = escape(&document.name);
            items += &format!(
                "<li><label><input type=\"checkbox\" name=\"accept\" value=\"{}\" required{described}> \
                 I accept {name} (version {})</label><br><a href=\"{}\" target=\"_blank\">Read \
                 {name}</a></li>\n",
                escape(id),
                escape(&policy.version),
                escape(&document_path(id, language)),
            );
        }
        format!("{note}<ul>\n{items}</ul>")
    }
}

fn done(cx: &mut StepContext<'_>) -> OutgoingResponse {
    let nonce = cx.entropy.text(ALPHANUMERIC, 24);
    let body = format!(
        "<p>This step is done. You can close this page and go back to your client.</p>\n\
         <script nonce=\"{nonce}\">{AUTH_DONE}</script>"
    );
    page(
        200,
        "en",
        "Done",
        &body,
        &CspSources {
            scripts: &format!("script-src 'nonce-{nonce}'; "),
            ..CspSources::default()
        },
    )
}
