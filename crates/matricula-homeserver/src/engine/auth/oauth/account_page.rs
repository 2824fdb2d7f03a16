//! The page on which people manage their account: [account management].
//!
//! [account management]: https://spec.matrix.org/v1.19/client-server-api/#oauth-20-account-management

use matricula_api::server::OutgoingResponse;
use matricula_core::StepContext;

use super::ACCOUNT;
use crate::engine::{
    auth::{
        login_page::{self, LoginPage, LoginStep, login_step},
        session::end_device,
    },
    context::RequestContext,
    error::HandlerError,
    html::{
        form::{FormData, csrf_field},
        page::{escape, simple_page},
    },
    storage::{devices, one_time_tokens::CSRF},
};

/// The maximum number of listed devices.
const MAX_LISTED: i64 = 200;

/// The page.
pub(crate) fn page(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, HandlerError> {
    let hint = context.request.query("login_hint").unwrap_or_default();
    let page = LoginPage {
        scope: ACCOUNT,
        purpose: "To see the devices that are signed in to your account.",
        username: hint.strip_prefix("mxid:").unwrap_or_default(),
        sign_up_first: false,
        form_targets: "",
    };
    match login_step(context, cx, &page)? {
        LoginStep::ShowPage(page) => Ok(page),
        LoginStep::Pressed(user, button) if button == "sign-out" => {
            let form = FormData::parse(&context.request.body);
            end_device(context, user, form.value("device"))?;
            let note = "<p role=\"status\">The device is signed out.</p>\n";
            device_list(context, cx, user, note)
        }
        LoginStep::SignedIn(user) | LoginStep::Pressed(user, _) => {
            device_list(context, cx, user, "")
        }
        LoginStep::Cancelled => {
            let body = "<p>You can close this page.</p>";
            Ok(simple_page(200, "en", "Signed out", body))
        }
    }
}

/// The devices of an account: the one that the client asked about, or all.
fn device_list(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    user: i64,
    note: &str,
) -> Result<OutgoingResponse, HandlerError> {
    let only = context.request.query("device_id");
    let devices = devices::newest(context.tx, user, only, MAX_LISTED)?;
    let csrf =
        csrf_field(&CSRF.issue(cx, context.tx, &context.request.peer, ACCOUNT, Some(user))?);
    let mut items = String::new();
    for device in &devices {
        let name = device.display_name.as_deref();
        let name = escape(name.unwrap_or("a device without a name"));
        let id = escape(&device.id);
        items += &format!(
            "<li><form method=\"post\">\n{csrf}\n<input type=\"hidden\" name=\"device\" \
             value=\"{id}\">\n<strong>{name}</strong> <code>{id}</code>\n\
             <button class=\"quiet\" name=\"step\" value=\"sign-out\" \
             aria-label=\"Sign out {name} {id}\">Sign out</button>\n</form></li>\n"
        );
    }
    let list = if devices.is_empty() {
        "<p>No such device is signed in.</p>".to_owned()
    } else {
        format!("<ul class=\"devices\">\n{items}</ul>")
    };
    let user_id = escape(&login_page::user_id(context, user)?);
    let body = format!(
        "{note}<p>You are signed in as <strong>{user_id}</strong>.</p>\n<h2>Devices</h2>\n{list}\n\
         <form method=\"post\">\n{csrf}\n\
         <button class=\"quiet\" name=\"step\" value=\"cancel\">Leave this page</button>\n</form>"
    );
    Ok(simple_page(200, "en", "Your account", &body))
}
