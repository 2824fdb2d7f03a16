//! The page on which people look after their accounts: [account management].
//!
//! [account management]: https://spec.matrix.org/v1.19/client-server-api/#oauth-20-account-management

use matricula_api::server::OutgoingResponse;
use matricula_core::StepContext;

use super::{ACCOUNT, sessions};
use crate::engine::{
    entrance::{Form, LoginPage, LoginStep},
    layout::{escape, simple_page},
    refusal::HandlerError,
    routes::RequestContext,
};

/// How many devices are listed at once.
const MAX_LISTED: i64 = 200;

pub(super) fn page(
    call: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, HandlerError> {
    let hint = call.request.query("login_hint").unwrap_or_default();
    let door = LoginPage {
        scope: ACCOUNT,
        purpose: "To see the devices that are signed in to your account.",
        username: hint.strip_prefix("mxid:").unwrap_or_default(),
        sign_up_first: false,
        form_targets: "",
    };
    match call.login_step(cx, &door)? {
        LoginStep::ShowPage(page) => Ok(page),
        LoginStep::SignedIn(user) => list(call, cx, user, ""),
        LoginStep::Pressed(user, step) if step == "sign-out" => {
            let form = Form::of(&call.request.body);
            sessions::end_device(call, user, form.value("device"))?;
            list(
                call,
                cx,
                user,
                "<p role=\"status\">The device is signed out.</p>\n",
            )
        }
        LoginStep::Pressed(user, _) => list(call, cx, user, ""),
        LoginStep::Cancelled => Ok(simple_page(
            200,
            "en",
            "Signed out",
            "<p>You can close this page.</p>",
        )),
    }
}

/// The devices of an account: the one that the client asked about, or all.
fn list(
    call: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    user: i64,
    note: &str,
) -> Result<OutgoingResponse, HandlerError> {
    let asked = call.request.query("device_id");
    let mut statement = call.tx.prepare(
        "SELECT id, display_name FROM devices
         WHERE user = ?1 AND (?2 IS NULL OR id = ?2) ORDER BY created_at DESC, id LIMIT ?3",
    )?;
    let rows = statement.query_map((user, asked, MAX_LISTED), |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    let devices: Vec<(String, Option<String>)> = rows.collect::<Result<_, _>>()?;
    let visit = call.csrf_field(cx, ACCOUNT, Some(user))?;
    let mut items = String::new();
    for (id, name) in &devices {
        let name = escape(name.as_deref().unwrap_or("a device without a name"));
        let id = escape(id);
        items += &format!(
            "<li><form method=\"post\">\n{visit}\n<input type=\"hidden\" name=\"device\" \
             value=\"{id}\">\n<strong>{name}</strong> <code>{id}</code>\n\
             <button class=\"quiet\" name=\"step\" value=\"sign-out\" \
             aria-label=\"Sign out {name} {id}\">Sign out</button>\n</form></li>\n"
        );
    }
    let list = match devices.is_empty() {
        true => "<p>No such device is signed in.</p>".to_owned(),
        false => format!("<ul class=\"devices\">\n{items}</ul>"),
    };
    let who = escape(&call.user_id_of(user)?);
    let body = format!(
        "{note}<p>You are signed in as <strong>{who}</strong>.</p>\n<h2>Devices</h2>\n{list}\n\
         <form method=\"post\">\n{visit}\n\
         <button class=\"quiet\" name=\"step\" value=\"cancel\">Leave this page</button>\n</form>"
    );
    Ok(simple_page(200, "en", "Your account", &body))
}
