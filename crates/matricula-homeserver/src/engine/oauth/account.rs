//! The page on which people look after their accounts: [account management].
//!
//! [account management]: https://spec.matrix.org/v1.19/client-server-api/#oauth-20-account-management

use matricula_api::server::Reply;
use matricula_core::StepContext;

use super::{ACCOUNT, sessions};
use crate::engine::{
    entrance::{Door, Form, Turn},
    layout::{escape, html},
    refusal::Fault,
    routes::Call,
};

/// How many devices are listed at once.
const MAX_LISTED: i64 = 200;

pub(super) fn page(call: &Call<'_>, cx: &mut StepContext<'_>) -> Result<Reply, Fault> {
    let hint = call.request.query("login_hint").unwrap_or_default();
    let door = Door {
        about: ACCOUNT,
        purpose: "To see the devices that are signed in to your account.",
        username: hint.strip_prefix("mxid:").unwrap_or_default(),
        sign_up_first: false,
        leads_to: "",
    };
    match call.enter(cx, &door)? {
        Turn::Outside(page) => Ok(page),
        Turn::Inside(user) => list(call, cx, user, ""),
        Turn::Chosen(user, step) if step == "sign-out" => {
            let form = Form::of(&call.request.body);
            sessions::end_device(call, user, form.value("device"))?;
            list(
                call,
                cx,
                user,
                "<p role=\"status\">The device is signed out.</p>\n",
            )
        }
        Turn::Chosen(user, _) => list(call, cx, user, ""),
        Turn::Away => Ok(html(
            200,
            "en",
            "Signed out",
            "<p>You can close this page.</p>",
        )),
    }
}

/// The devices of an account: the one that the client asked about, or all.
fn list(call: &Call<'_>, cx: &mut StepContext<'_>, user: i64, note: &str) -> Result<Reply, Fault> {
    let asked = call.request.query("device_id");
    let mut statement = call.tx.prepare(
        "SELECT id, display_name FROM devices
         WHERE user = ?1 AND (?2 IS NULL OR id = ?2) ORDER BY created_at DESC, id LIMIT ?3",
    )?;
    let rows = statement.query_map((user, asked, MAX_LISTED), |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    let devices: Vec<(String, Option<String>)> = rows.collect::<Result<_, _>>()?;
    let visit = call.visit_field(cx, ACCOUNT, Some(user))?;
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
    Ok(html(200, "en", "Your account", &body))
}
