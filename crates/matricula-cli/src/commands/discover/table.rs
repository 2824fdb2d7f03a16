//! The result of a discovery, as a table and as JSON.

use matricula::{
    Error,
    auth::{
        OAuthOffer, PasswordPolicy, Probe, RegistrationMethod, RegistrationOffer, ServerInfo,
        Warning, WellKnown,
    },
};
use serde_json::{Value, json};

use super::try_methods::{Attempts, Guest};
use crate::{
    error::{CommandError, exit_code},
    output::{Output, Row, Style, link, shown_json},
    text::count,
};

/// The printed result: server information, warnings, attempts.
pub(super) struct Table {
    rows: Vec<Row>,
    warnings: Vec<Warning>,
    tried: Vec<Row>,
    object: Value,
}

impl Table {
    pub(super) fn of(info: &ServerInfo) -> Self {
        let ways: Vec<Value> = info.registration_methods().iter().map(way).collect();
        let mut object = json!({
            "schema_version": 1,
            "server": info.server,
            "well_known": info.well_known,
            "identity_server": info.identity_server,
            "versions": info.versions,
            "login_flows": info.login_flows,
            "oauth_issuer": info.oauth_issuer,
            "oauth": info.oauth,
            "registration": shown_json(&info.registration),
            "ways": ways,
            "password_policy": info.password_policy,
            "capabilities": shown_json(&info.capabilities),
            "tried": info.tried,
        });
        if let Some(what) = &info.oauth_trouble {
            object["oauth_trouble"] = json!(what);
        }
        Self {
            rows: rows(info),
            warnings: info.warnings(),
            tried: info.tried.iter().map(attempt).collect(),
            object,
        }
    }

    pub(super) fn warn(&mut self, warning: Warning) {
        self.warnings.push(warning);
    }

    pub(super) fn add_tries(&mut self, walks: &[Attempts], guest: &Guest, exit_code: u8) {
        self.rows.extend(walks.iter().flat_map(Attempts::rows));
        self.rows.extend(guest.rows());
        let walks: Vec<Value> = walks.iter().map(Attempts::json).collect();
        self.object["tries"] = json!({ "ways": walks, "guest": guest.json() });
        self.object["exit_code"] = json!(exit_code);
    }

    pub(super) fn print(mut self, output: Output) {
        let warning =
            |warning: &Warning| json!({ "code": warning.code(), "message": warning.to_string() });
        let warnings: Vec<Value> = self.warnings.iter().map(warning).collect();
        self.object["warnings"] = json!(warnings);
        let warnings = self.warnings.iter();
        self.rows.extend(
            warnings.map(|warning| Row::new("warning", warning.to_string()).style(Style::Warning)),
        );
        self.rows.append(&mut self.tried);
        output.table(&self.rows, &self.object);
    }
}

/// The error of a discovery, with its attempts.
pub(super) fn failure(error: Error, info: &ServerInfo) -> CommandError {
    CommandError::Explained {
        message: error.to_string(),
        exit_code: exit_code(&error),
        details: json!({ "tried": info.tried }),
        next: None,
    }
}

fn way(way: &RegistrationMethod) -> Value {
    let (kind, stages) = match way {
        RegistrationMethod::Register(flow) => ("register", json!(flow.stages)),
        RegistrationMethod::OAuth { .. } => ("oauth", Value::Null),
        _ => ("sso", Value::Null),
    };
    json!({ "kind": kind, "stages": stages, "asks": way.demands() })
}

fn rows(info: &ServerInfo) -> Vec<Row> {
    let mut rows = vec![Row::new("server", info.server.as_str())];
    match &info.well_known {
        WellKnown::Found => rows.push(Row::new("found", "by the well-known document of its name")),
        WellKnown::Missing => rows.push(Row::new("found", "by its name alone")),
        WellKnown::GivenInstead { why } => {
            rows.push(Row::new("found", format!("as you said, for {why}")))
        }
        _ => {}
    }
    if let Some(url) = &info.identity_server {
        rows.push(Row::new("identity", url.as_str()));
    }
    rows.push(Row::new("versions", info.versions.join(" ")));
    let flows: Vec<&str> = info
        .login_flows
        .iter()
        .map(|flow| flow.kind.as_str())
        .collect();
    rows.push(match flows.is_empty() {
        true => Row::new("sign-in", "none of Matrix's own"),
        false => Row::new("sign-in", flows.join(", ")),
    });
    if let Some(issuer) = &info.oauth_issuer {
        rows.push(Row::new("OAuth 2.0", issuer));
    }
    if let Some(what) = &info.oauth_trouble {
        rows.push(Row::new("OAuth 2.0", format!("not known: {what}")).style(Style::Warning));
    }
    rows.extend(info.oauth.iter().flat_map(oauth));
    rows.extend(registration(info));
    rows.extend(info.password_policy.iter().map(passwords));
    if let Some(capabilities) = &info.capabilities {
        let may = |what: &'static str, is_allowed: Option<bool>| {
            (is_allowed == Some(false)).then(|| Row::new("you may not", what))
        };
        let change = |one: &Option<matricula::api::client::capabilities::BooleanCapability>| {
            one.as_ref().map(|one| one.enabled)
        };
        rows.extend(may(
            "change your password",
            change(&capabilities.change_password),
        ));
        rows.extend(may(
            "change your addresses",
            change(&capabilities.three_pid_changes),
        ));
        rows.extend(may(
            "change your name",
            change(&capabilities.set_displayname),
        ));
        rows.extend(may(
            "change your picture",
            change(&capabilities.set_avatar_url),
        ));
    }
    rows
}

fn oauth(offer: &OAuthOffer) -> Vec<Row> {
    let mut rows = vec![Row::new(
        "OAuth 2.0",
        format!("grants {}", offer.grants.join(", ")),
    )];
    if !offer.prompts.is_empty() {
        rows.push(Row::new(
            "OAuth 2.0",
            format!("prompts {}", offer.prompts.join(", ")),
        ));
    }
    if let Some(page) = offer.account_management.as_deref().and_then(link) {
        rows.push(Row::new("accounts", format!("are managed at {page}")));
    }
    rows
}

fn registration(info: &ServerInfo) -> Vec<Row> {
    let mut rows: Vec<Row> = info
        .registration_methods()
        .iter()
        .map(|way| Row::new("register", format!("{way}: {}", way.demands())))
        .collect();
    match &info.registration {
        Some(RegistrationOffer::Closed { message }) => {
            rows.push(Row::new(
                "register",
                format!("closed to strangers: {message}"),
            ));
        }
        Some(RegistrationOffer::Unknown { message }) => {
            rows.push(Row::new("register", format!("unclear: {message}")).style(Style::Warning));
        }
        Some(_) => {}
        // Where single sign-on is preferred, the registration flows are not asked for.
        None if info.oauth_issuer.is_none() => {
            rows.push(Row::new("register", "by single sign-on alone"));
        }
        None => {}
    }
    if info
        .oauth
        .as_ref()
        .is_some_and(OAuthOffer::is_sign_up_closed)
    {
        rows.push(Row::new(
            "register",
            "OAuth 2.0: its page does not let people sign up",
        ));
    }
    rows
}

fn passwords(policy: &PasswordPolicy) -> Row {
    let mut rules = Vec::new();
    if policy.minimum_length > 0 {
        rules.push(count(policy.minimum_length, "character"));
    }
    for (is_wanted, what) in [
        (policy.digit, "a digit"),
        (policy.symbol, "a symbol"),
        (policy.uppercase, "a capital letter"),
        (policy.lowercase, "a small letter"),
    ] {
        rules.extend(is_wanted.then(|| what.to_owned()));
    }
    Row::new("passwords", format!("at least {}", rules.join(", ")))
}

fn attempt(attempt: &Probe) -> Row {
    let mut line = format!("{} {}", attempt.method, attempt.url);
    if let Some(status) = attempt.status {
        line += &format!(": {status}");
    }
    if let Some(code) = &attempt.errcode {
        line += &format!(" {}", code.as_str());
    }
    if let Some(error) = &attempt.error {
        line += &format!(": {error}");
    }
    Row::new("asked", line)
}
