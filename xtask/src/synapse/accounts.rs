//! Creates the accounts of a new server: an administrator, and registration tokens of each kind.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::http::call;
use crate::Result;
use crate::workspace::random_hex;

const USER: &str = "admin";
/// Synapse rejects an expiry date in the past.
const EXPIRY: Duration = Duration::from_secs(2);
const MAC: &str = "import hashlib, hmac, sys
key, text = sys.stdin.buffer.read().split(b'\\n', 1)
print(hmac.new(key, text, hashlib.sha1).hexdigest())";

/// Registers an administrator with the shared secret. Returns `{user, password, access_token}`.
pub(crate) fn create_admin(python: &Path, port: u16, shared_secret: &str) -> Result<Value> {
    let path = "/_synapse/admin/v1/register";
    let nonce = call_ok(port, "GET", path, None, None)?["nonce"].take();
    let nonce = nonce.as_str().unwrap_or_default();
    let password = password()?;
    let signed = format!("{nonce}\0{USER}\0{password}\0admin");
    let body = json!({
        "nonce": nonce,
        "username": USER,
        "password": password,
        "admin": true,
        "mac": mac(python, shared_secret, &signed)?,
    });
    let made = call_ok(port, "POST", path, None, Some(&body))?;
    Ok(json!({
        "user": made["user_id"],
        "password": password,
        "access_token": made["access_token"],
    }))
}

/// Creates one registration token of each kind, and returns them by kind.
pub(crate) fn create_registration_tokens(port: u16, admin: &Value) -> Result<Value> {
    let expiry = SystemTime::now() + EXPIRY;
    let since_epoch = expiry.duration_since(UNIX_EPOCH).unwrap_or_default();
    for token in [
        // First, because its expiry date is near.
        json!({ "token": "expired", "expiry_time": since_epoch.as_millis() as u64 }),
        json!({ "token": "letmein" }),
        json!({ "token": "once", "uses_allowed": 1 }),
        // Synapse reads 0 as "no limit", so its only use is used up below.
        json!({ "token": "spent", "uses_allowed": 1 }),
    ] {
        let path = "/_synapse/admin/v1/registration_tokens/new";
        call_ok(
            port,
            "POST",
            path,
            admin["access_token"].as_str(),
            Some(&token),
        )?;
    }
    use_up(port, "spent")?;
    sleep(expiry.duration_since(SystemTime::now()).unwrap_or_default());
    Ok(json!({
        "unlimited": "letmein",
        "once": "once",
        "spent": "spent",
        "expired": "expired",
    }))
}

/// Uses up a registration token by starting a registration. If the server also requires an email
/// address, the registration stays pending, which counts as a use.
fn use_up(port: u16, token: &str) -> Result<()> {
    let path = "/_matrix/client/v3/register";
    let mut body = json!({ "username": "spender", "password": password()? });
    let (_, asked) = call(port, "POST", path, None, Some(&body)).map_err(unreachable)?;
    let stages = asked["flows"][0]["stages"].as_array();
    let mut last = (0, asked.clone());
    for stage in stages.into_iter().flatten() {
        body["auth"] = json!({ "type": stage, "session": asked["session"], "token": token });
        last = call(port, "POST", path, None, Some(&body)).map_err(unreachable)?;
        if last.1["errcode"].is_string() {
            break;
        }
    }
    let completed = last.1["completed"].as_array();
    let taken = completed.is_some_and(|all| all.contains(&json!("m.login.registration_token")));
    if last.0 == 200 || taken {
        return Ok(());
    }
    let (status, answer) = last;
    Err(format!(
        "the registration token `{token}` could not be used up: {status} {answer}"
    ))
}

/// A random password that satisfies every password policy.
fn password() -> Result<String> {
    random_hex(12).map(|hex| format!("Aa1-{hex}"))
}

fn call_ok(
    port: u16,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> Result<Value> {
    match call(port, method, path, token, body).map_err(unreachable)? {
        (200, answer) => Ok(answer),
        (status, answer) => Err(format!(
            "{method} {path} failed with status {status}: {answer}"
        )),
    }
}

fn unreachable(error: std::io::Error) -> String {
    format!("Synapse did not respond: {error}")
}

/// HMAC-SHA1, computed by Python. The secret is passed by a pipe, because arguments are public.
fn mac(python: &Path, secret: &str, text: &str) -> Result<String> {
    let fail = |error| format!("{} could not compute the HMAC: {error}", python.display());
    let mut child = Command::new(python)
        .args(["-I", "-c", MAC])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(fail)?;
    if let Some(mut stdin) = child.stdin.take() {
        write!(stdin, "{secret}\n{text}").map_err(fail)?;
    }
    let output = child.wait_with_output().map_err(fail)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
