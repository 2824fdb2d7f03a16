//! Signing in a device that has no browser: the [device authorization grant].
//!
//! [device authorization grant]: https://spec.matrix.org/v1.19/client-server-api/#device-authorisation-grant

use std::time::Duration;

use matricula_api::{
    oauth::{DeviceAuthorization, GrantType, OAuthErrorCode, Scope, TokenResponse},
    server::OutgoingResponse,
};
use matricula_core::{Method, StepContext, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};

use super::{
    LINK, OAuthError, clients::Client, grant_error, no_store_json, sessions, unauthorized_client,
};
use crate::engine::{
    auth::login_page::{self, Decision, LoginPage},
    context::RequestContext,
    error::HandlerError,
    html::{
        form::{Field, FormData, alert},
        login_page::Consent,
        page::{escape, simple_page},
    },
    storage::row_limit::RowLimit,
    util::{ALPHANUMERIC, digest, millis},
};

/// The lifetime of a code.
const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// How long a code is stored after that, so that its client gets the error `expired_token`.
const EXPIRED_CODE_RETENTION: Duration = Duration::from_secs(10 * 60);

/// How long a client waits between two polls; once it polls too fast, it must wait this much longer.
const INTERVAL: Duration = Duration::from_secs(5);

const LIMIT: RowLimit = RowLimit::oldest_first("oauth_device_codes", 5_000);

/// Letters that are easy to distinguish and form no words.
const LETTERS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";

/// Issues a device code and a user code.
pub(crate) fn start(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, OAuthError> {
    let form = super::form(context)?;
    let client = Client::of(context, form.value("client_id"))?;
    if !client.may_use(&GrantType::DeviceCode) {
        return Err(unauthorized_client());
    }
    let scope = sessions::granted_scope(form.value("scope"))?;
    make_room(context.tx, cx.now)?;
    let device_code = cx.entropy.text(ALPHANUMERIC, 43);
    let letters = cx.entropy.text(LETTERS, 8);
    context.tx.execute(
        "INSERT INTO oauth_device_codes (digest, user_code, client, scope, interval, expires_at, peer)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            digest(&device_code),
            digest(&letters),
            client.id,
            scope.as_str(),
            INTERVAL.as_millis() as i64,
            millis(cx.now.plus(LIFETIME)),
            context.request.peer,
        ],
    )?;
    let user_code = format!("{}-{}", &letters[..4], &letters[4..]);
    let page = context.url(LINK);
    let complete = format!("{page}?code={user_code}");
    let answer = DeviceAuthorization::new(device_code, user_code, page)
        .verification_uri_complete(complete)
        .expires_in(LIFETIME)
        .interval(INTERVAL);
    Ok(no_store_json(200, &answer))
}

fn make_room(tx: &Transaction<'_>, now: Timestamp) -> Result<(), HandlerError> {
    let forgotten = millis(now).saturating_sub(EXPIRED_CODE_RETENTION.as_millis() as i64);
    tx.execute(
        "DELETE FROM oauth_device_codes WHERE expires_at <= ?1",
        [forgotten],
    )?;
    Ok(LIMIT.make_room(tx)?)
}

/// A device code.
struct DeviceCode {
    client: String,
    scope: String,
    user: Option<i64>,
    denied: bool,
    interval: i64,
    next_poll_at: i64,
    expires_at: i64,
}

/// Redeems a device code once a person has approved it.
pub(super) fn redeem(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    client: &Client,
    form: &FormData,
) -> Result<TokenResponse, OAuthError> {
    let digest = digest(form.value("device_code"));
    let Some(code) = find(context.tx, &digest)?.filter(|code| code.client == client.id) else {
        return Err(grant_error("this device code is not known, or was used"));
    };
    if code.denied {
        let description = "the user denied the request";
        return Err(OAuthError::new(OAuthErrorCode::AccessDenied, description));
    }
    let now = millis(cx.now);
    if code.expires_at <= now {
        let description = "the code was not approved in time; start again";
        return Err(OAuthError::new(OAuthErrorCode::ExpiredToken, description));
    }
    let Some(user) = code.user else {
        return Err(pending_error(context.tx, now, &digest, &code)?);
    };
    let sql = "DELETE FROM oauth_device_codes WHERE digest = ?1";
    context.tx.execute(sql, [&digest])?;
    let scope = Scope::from(code.scope);
    Ok(sessions::start(context, cx, user, client, &scope, None)?)
}

fn find(tx: &Transaction<'_>, digest: &[u8]) -> Result<Option<DeviceCode>, HandlerError> {
    let found = tx
        .query_row(
            "SELECT client, scope, user, denied, interval, next_poll_at, expires_at
             FROM oauth_device_codes WHERE digest = ?1",
            [digest],
            |row| {
                Ok(DeviceCode {
                    client: row.get(0)?,
                    scope: row.get(1)?,
                    user: row.get(2)?,
                    denied: row.get(3)?,
                    interval: row.get(4)?,
                    next_poll_at: row.get(5)?,
                    expires_at: row.get(6)?,
                })
            },
        )
        .optional()?;
    Ok(found)
}

/// The error while no person has decided. A client that polls too fast must slow down.
fn pending_error(
    tx: &Transaction<'_>,
    now: i64,
    digest: &[u8],
    code: &DeviceCode,
) -> Result<OAuthError, HandlerError> {
    // The second condition fails only where the clock was set back.
    let early = now < code.next_poll_at && code.next_poll_at <= now + code.interval;
    let interval = if early {
        code.interval + INTERVAL.as_millis() as i64
    } else {
        code.interval
    };
    tx.execute(
        "UPDATE oauth_device_codes SET interval = ?2, next_poll_at = ?3 WHERE digest = ?1",
        params![digest, interval, now + interval],
    )?;
    let seconds = interval / 1000;
    let code = if early {
        OAuthErrorCode::SlowDown
    } else {
        OAuthErrorCode::AuthorizationPending
    };
    Ok(OAuthError::new(
        code,
        format!("poll again in {seconds} seconds"),
    ))
}

/// The page on which a person enters the code and decides.
pub(crate) fn page(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, HandlerError> {
    let typed = context.request.query("code").unwrap_or_default();
    let letters: String = typed.chars().filter(char::is_ascii_alphabetic).collect();
    let letters = letters.to_ascii_uppercase();
    if letters.is_empty() {
        return Ok(code_form(typed, None));
    }
    let bucket = context.peer_bucket("user_code", context.config.limits.login);
    bucket.check(context.tx, cx.now)?;
    let Some((digest, client, scope)) = find_undecided(context.tx, cx.now, &letters)? else {
        bucket.take(context.tx, cx.now)?;
        return Ok(code_form(
            typed,
            Some(
                "no device is waiting with this code; enter the newest code that the device shows",
            ),
        ));
    };
    let Some(client) = Client::find(context.tx, &client)? else {
        return Ok(code_form(
            typed,
            Some("the client of the device is not registered any more"),
        ));
    };
    let shown = format!(
        "{}-{}",
        &letters[..letters.len() / 2],
        &letters[letters.len() / 2..]
    );
    let page = LoginPage {
        scope: &format!("{LINK} {digest:?}"),
        purpose: &format!(
            "To connect the device that shows the code <strong>{shown}</strong> ({}).",
            escape(client.name())
        ),
        username: "",
        sign_up_first: false,
        form_targets: "",
    };
    let consent = Consent {
        title: "Allow this device?",
        details: &format!(
            "<p>Continue only if a device in front of you shows the code \
             <strong class=\"code\">{shown}</strong>, and you started this yourself.</p>\n{}",
            client.describe(&scope, None)
        ),
        button: "Allow",
    };
    match login_page::decide(context, cx, &page, &consent)? {
        Decision::ShowPage(page) => Ok(page),
        Decision::Allowed(user) => {
            decide(context.tx, &digest, Some(user))?;
            let body = "<p>The device is connected. Go back to it; you can close this page.</p>";
            Ok(simple_page(200, "en", "Done", body))
        }
        Decision::Denied => {
            decide(context.tx, &digest, None)?;
            let body = "<p>The device is not connected. You can close this page.</p>";
            Ok(simple_page(200, "en", "Denied", body))
        }
    }
}

fn find_undecided(
    tx: &Transaction<'_>,
    now: Timestamp,
    letters: &str,
) -> Result<Option<(Vec<u8>, String, Scope)>, HandlerError> {
    let found = tx
        .query_row(
            "SELECT digest, client, scope FROM oauth_device_codes
             WHERE user_code = ?1 AND expires_at > ?2 AND user IS NULL AND NOT denied",
            params![digest(letters), millis(now)],
            |row| {
                let scope: String = row.get(2)?;
                Ok((row.get(0)?, row.get(1)?, Scope::from(scope)))
            },
        )
        .optional()?;
    Ok(found)
}

/// Stores who has approved a code; none denies it.
fn decide(tx: &Transaction<'_>, digest: &[u8], user: Option<i64>) -> Result<(), HandlerError> {
    tx.execute(
        "UPDATE oauth_device_codes SET user = ?2, denied = ?2 IS NULL WHERE digest = ?1",
        params![digest, user],
    )?;
    Ok(())
}

fn code_form(typed: &str, error: Option<&str>) -> OutgoingResponse {
    let field = Field {
        name: "code",
        label: "The code that your device shows",
        hint: "Eight letters, such as BCDF-GHJK.",
        kind: "text",
        attributes: &format!(
            "value=\"{}\" maxlength=\"20\" autocomplete=\"off\" autocapitalize=\"characters\" \
             spellcheck=\"false\"",
            escape(typed)
        ),
    };
    let alert = alert(error);
    let body = format!(
        "{alert}<form method=\"{}\">\n{}<button>Continue</button>\n</form>",
        Method::Get.as_str().to_ascii_lowercase(),
        field.html(error)
    );
    let status = if error.is_some() { 400 } else { 200 };
    simple_page(status, "en", "Connect a device", &body)
}
