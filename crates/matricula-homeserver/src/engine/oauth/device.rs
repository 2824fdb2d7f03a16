//! Letting in a device that has no browser: the [device authorization grant].
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
    Consent, LINK, OAuthError, clients::Client, no_store_json, sessions, token::grant_error,
};
use crate::engine::{
    bounds::RowLimit,
    entrance::{Field, Form, LoginPage, LoginStep},
    layout::{escape, simple_page},
    limits::Bucket,
    millis,
    refusal::HandlerError,
    routes::RequestContext,
    tokens::{ALPHANUMERIC, digest},
};

/// How long a person may take.
const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// How long a code is remembered after that, to tell its client that it is too old.
const EXPIRED_CODE_RETENTION: Duration = Duration::from_secs(10 * 60);

/// How long a client waits between two questions, and by how much longer once it was too fast.
const INTERVAL: Duration = Duration::from_secs(5);

/// Codes: the oldest is forgotten first.
const BOUND: RowLimit = RowLimit {
    table: "oauth_device_codes",
    max: 5_000,
    evictable: "true",
    order_by: "expires_at",
};

/// Letters that are not mistaken for others, and that make no words.
const LETTERS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";

pub(super) fn start(
    call: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, OAuthError> {
    let form = super::form(call)?;
    let client = Client::of(call, form.value("client_id"))?;
    if !client.may_use(&GrantType::DeviceCode) {
        let code = OAuthErrorCode::UnauthorizedClient;
        return Err(OAuthError::new(
            code,
            "the client did not register for this grant",
        ));
    }
    let scope = sessions::granted_scope(form.value("scope"))?;
    make_room(call.tx, cx.now)?;
    let device_code = cx.entropy.text(ALPHANUMERIC, 43);
    let letters = cx.entropy.text(LETTERS, 8);
    call.tx.execute(
        "INSERT INTO oauth_device_codes (digest, user_code, client, scope, interval, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            digest(&device_code),
            digest(&letters),
            client.id,
            scope.as_str(),
            INTERVAL.as_millis() as i64,
            millis(cx.now.plus(LIFETIME))
        ],
    )?;
    let user_code = format!("{}-{}", &letters[..4], &letters[4..]);
    let page = format!("{}{LINK}", call.homeserver.base_url);
    let complete = format!("{page}?code={user_code}");
    let answer = DeviceAuthorization::new(device_code, user_code, page, LIFETIME)
        .verification_uri_complete(complete)
        .interval(INTERVAL);
    Ok(no_store_json(200, &answer))
}

fn make_room(tx: &Transaction<'_>, now: Timestamp) -> Result<(), HandlerError> {
    let forgotten = millis(now).saturating_sub(EXPIRED_CODE_RETENTION.as_millis() as i64);
    tx.execute(
        "DELETE FROM oauth_device_codes WHERE expires_at <= ?1",
        [forgotten],
    )?;
    BOUND.make_room(tx)
}

/// A device code as a client asks about it.
struct DeviceCode {
    client: String,
    scope: String,
    user: Option<i64>,
    denied: bool,
    interval: i64,
    next_poll_at: i64,
    expires_at: i64,
}

pub(super) fn redeem(
    call: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
    client: &Client,
    form: &Form,
) -> Result<TokenResponse, OAuthError> {
    let digest = digest(form.value("device_code"));
    let Some(code) = find(call.tx, &digest)?.filter(|code| code.client == client.id) else {
        return Err(grant_error("this device code is not known, or was used"));
    };
    if code.denied {
        let description = "the person did not allow it";
        return Err(OAuthError::new(OAuthErrorCode::AccessDenied, description));
    }
    let now = millis(cx.now);
    if code.expires_at <= now {
        let description = "nobody allowed it in time; begin again";
        return Err(OAuthError::new(OAuthErrorCode::ExpiredToken, description));
    }
    let Some(user) = code.user else {
        return Err(pending_error(call.tx, now, &digest, &code)?);
    };
    let sql = "DELETE FROM oauth_device_codes WHERE digest = ?1";
    call.tx.execute(sql, [&digest])?;
    let scope = Scope::from(code.scope);
    Ok(sessions::start(call, cx, user, client, &scope, None)?)
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

/// Nobody has decided yet. Who asks too early is told to be slower from now on.
fn pending_error(
    tx: &Transaction<'_>,
    now: i64,
    digest: &[u8],
    code: &DeviceCode,
) -> Result<OAuthError, HandlerError> {
    // Only a clock set back leads beyond the interval.
    let early = now < code.next_poll_at && code.next_poll_at <= now + code.interval;
    let interval = match early {
        true => code.interval + INTERVAL.as_millis() as i64,
        false => code.interval,
    };
    tx.execute(
        "UPDATE oauth_device_codes SET interval = ?2, next_poll_at = ?3 WHERE digest = ?1",
        params![digest, interval, now + interval],
    )?;
    let seconds = interval / 1000;
    let code = match early {
        true => OAuthErrorCode::SlowDown,
        false => OAuthErrorCode::AuthorizationPending,
    };
    Ok(OAuthError::new(
        code,
        format!("ask again in {seconds} seconds"),
    ))
}

/// The page to which a person takes the code.
pub(super) fn page(
    call: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, HandlerError> {
    let typed = call.request.query("code").unwrap_or_default();
    let letters: String = typed.chars().filter(char::is_ascii_alphabetic).collect();
    let letters = letters.to_ascii_uppercase();
    if letters.is_empty() {
        return Ok(code_form(typed, None));
    }
    let bucket = Bucket {
        kind: "user_code",
        limit: call.homeserver.config.limits.login,
        key: &call.request.peer,
    };
    bucket.check(call.tx, cx.now)?;
    let Some((digest, client, scope)) = find_undecided(call.tx, cx.now, &letters)? else {
        bucket.take(call.tx, cx.now)?;
        return Ok(code_form(
            typed,
            Some("no device waits with this code; type the newest that it shows"),
        ));
    };
    let Some(client) = Client::find(call.tx, &client)? else {
        return Ok(code_form(
            typed,
            Some("the device's client is not known any more"),
        ));
    };
    let shown = format!(
        "{}-{}",
        &letters[..letters.len() / 2],
        &letters[letters.len() / 2..]
    );
    let purpose = format!(
        "To let in the device that shows the code <strong>{shown}</strong> ({}).",
        escape(client.name())
    );
    let door = LoginPage {
        scope: &format!("{LINK} {digest:?}"),
        purpose: &purpose,
        username: "",
        sign_up_first: false,
        form_targets: "",
    };
    match call.login_step(cx, &door)? {
        LoginStep::ShowPage(page) => Ok(page),
        LoginStep::SignedIn(user) => {
            let what = format!(
                "<p>Go on only if a device in front of you shows the code \
                 <strong class=\"code\">{shown}</strong>, and you began this yourself.</p>\n{}",
                client.describe(&scope, None)
            );
            let consent = Consent {
                title: "Let this device in?",
                what: &what,
                yes: "Allow",
            };
            call.consent_page(cx, &door, user, &consent)
        }
        LoginStep::Pressed(user, step) if step == "allow" => {
            decide(call.tx, &digest, Some(user))?;
            let body = "<p>The device is let in. Go back to it; you can close this page.</p>";
            Ok(simple_page(200, "en", "Done", body))
        }
        LoginStep::Pressed(..) | LoginStep::Cancelled => {
            decide(call.tx, &digest, None)?;
            let body = "<p>The device is not let in. You can close this page.</p>";
            Ok(simple_page(200, "en", "Refused", body))
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
        more: &format!(
            "value=\"{}\" maxlength=\"20\" autocomplete=\"off\" autocapitalize=\"characters\" \
             spellcheck=\"false\"",
            escape(typed)
        ),
    };
    let alert = error.map_or(String::new(), |error| {
        format!("<p role=\"alert\">Not yet: {}.</p>\n", escape(error))
    });
    let body = format!(
        "{alert}<form method=\"{}\">\n{}<button>Continue</button>\n</form>",
        Method::Get.as_str().to_ascii_lowercase(),
        field.with_error(error)
    );
    let status = if error.is_some() { 400 } else { 200 };
    simple_page(status, "en", "Let a device in", &body)
}
