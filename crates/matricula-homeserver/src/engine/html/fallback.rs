//! The [fallback pages](https://spec.matrix.org/v1.19/client-server-api/#fallback) of authentication
//! stages, and policy documents.

use std::collections::BTreeMap;

use matricula_api::server::OutgoingResponse;

use super::{
    form::{Field, alert, policy_fields},
    page::{CspSources, escape, page, simple_page},
};
use crate::{Policy, config::Document};

/// The script that the specification prescribes: it notifies the client that opened the page.
const AUTH_DONE: &str = "if (window.onAuthDone) { window.onAuthDone(); } \
     else if (window.opener && window.opener.postMessage) \
     { window.opener.postMessage(\"authDone\", \"*\"); }";

/// The page that accepts the policies.
pub(crate) fn policies_page(
    policies: &BTreeMap<String, Policy>,
    error: Option<&str>,
) -> OutgoingResponse {
    form_page(
        "Accept the terms",
        &policy_fields(policies, error),
        "Accept",
        error,
    )
}

/// The page that asks for a registration token.
pub(crate) fn registration_token_page(error: Option<&str>) -> OutgoingResponse {
    let field = Field::registration_token().html(error);
    form_page("Registration token", &field, "Continue", error)
}

/// The page of a stage that this server does not check.
pub(crate) fn unchecked_page(stage: &str) -> OutgoingResponse {
    let text = format!(
        "<p>On other servers the step <code>{}</code> would check something. This server is for \
         development and tests: the button completes the step without a check.</p>",
        escape(stage)
    );
    form_page("One more step", &text, "Continue", None)
}

fn form_page(title: &str, fields: &str, button: &str, error: Option<&str>) -> OutgoingResponse {
    // Without an action the browser posts to the URL of the page, which contains the session.
    let body = format!(
        "{}<form method=\"post\">\n{fields}\n<button>{button}</button>\n</form>",
        alert(error)
    );
    let status = if error.is_some() { 400 } else { 200 };
    simple_page(status, "en", title, &body)
}

/// The page that notifies the client once a stage is complete.
pub(crate) fn done_page(nonce: &str) -> OutgoingResponse {
    let body = format!(
        "<p>This step is done. You can close this page and go back to your client.</p>\n\
         <script nonce=\"{nonce}\">{AUTH_DONE}</script>"
    );
    let sources = CspSources {
        scripts: &format!("script-src 'nonce-{nonce}'; "),
        ..CspSources::default()
    };
    page(200, "en", "Done", &body, &sources)
}

/// A policy document.
pub(crate) fn document_page(
    version: &str,
    language: &str,
    document: &Document,
) -> OutgoingResponse {
    let paragraphs: String = document
        .text
        .split("\n\n")
        .map(|paragraph| format!("<p>{}</p>\n", escape(paragraph)))
        .collect();
    let body = format!("{paragraphs}<p>Version {}</p>", escape(version));
    simple_page(200, language, &document.name, &body)
}
