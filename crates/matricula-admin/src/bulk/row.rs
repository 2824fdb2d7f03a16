//! A row of a list of new users, and the checks of a list before anything is sent.

use std::{collections::BTreeMap, fmt, str::FromStr};

use matricula_auth::PasswordPolicy;
use matricula_core::{Secret, secret::exposed};
use serde::{Deserialize, Serialize};

/// The API that creates the accounts of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Route {
    /// The admin API, with an administrator's session.
    Admin,
    /// Registration with the server's shared secret.
    SharedSecret,
    /// Ordinary registration with a registration token.
    Token,
    /// Registration as an application service.
    Appservice,
}

impl Route {
    /// All routes.
    pub const ALL: [Self; 4] = [
        Self::Admin,
        Self::SharedSecret,
        Self::Token,
        Self::Appservice,
    ];

    /// Its name, as in command-line options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::SharedSecret => "shared-secret",
            Self::Token => "token",
            Self::Appservice => "appservice",
        }
    }

    /// Whether its accounts have a password.
    pub fn has_passwords(self) -> bool {
        self != Self::Appservice
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Route {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|route| route.name() == text);
        found.ok_or_else(|| "use admin, shared-secret, token or appservice".to_owned())
    }
}

/// A row of a list of new users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRow {
    /// The line of the list, from 1.
    pub line: u64,
    /// The username, without `@` and server.
    pub username: String,
    /// The password; `None`: a strong one is generated.
    #[serde(with = "exposed", default)]
    pub password: Option<Secret>,
    /// The display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The email address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the user becomes an administrator.
    #[serde(default)]
    pub is_admin: bool,
}

impl NewRow {
    /// A row with only a username.
    pub fn new(line: u64, username: impl Into<String>) -> Self {
        Self {
            line,
            username: username.into(),
            password: None,
            display_name: None,
            email: None,
            is_admin: false,
        }
    }

    /// The username as servers store it: in lower case.
    pub fn localpart(&self) -> String {
        self.username.to_ascii_lowercase()
    }
}

/// An error in a row of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowError {
    /// The line of the list, from 1.
    pub line: u64,
    /// What is wrong, and how to correct it.
    pub message: String,
}

impl RowError {
    /// An error in this line.
    pub fn new(line: u64, message: impl Into<String>) -> Self {
        Self {
            line,
            message: message.into(),
        }
    }
}

/// Finds everything in the rows that is wrong without asking the server, in the order of the list:
/// invalid and duplicate usernames and addresses, passwords that violate the server's policy, and
/// columns that the route cannot set.
pub fn check_rows(rows: &[NewRow], route: Route, policy: Option<&PasswordPolicy>) -> Vec<RowError> {
    let mut first_line_of_name: BTreeMap<String, u64> = BTreeMap::new();
    let mut first_line_of_email: BTreeMap<String, u64> = BTreeMap::new();
    let mut errors = Vec::new();
    for row in rows {
        let mut add = |message: String| errors.push(RowError::new(row.line, message));
        if let Some(message) = username_error(&row.username) {
            add(message);
        }
        match first_line_of_name.get(&row.localpart()) {
            Some(first) => add(format!(
                "line {first} has the username {:?} already; upper and lower case are the same",
                row.username
            )),
            None => {
                first_line_of_name.insert(row.localpart(), row.line);
            }
        }
        if let (Some(password), Some(policy)) = (&row.password, policy)
            && let Some((_, rule)) = policy.complaint(password)
        {
            add(format!("the password violates the server's policy: {rule}"));
        }
        if let Some(email) = &row.email {
            if let Some(message) = email_error(email) {
                add(message);
            }
            match first_line_of_email.get(&email.to_lowercase()) {
                Some(first) => add(format!("line {first} has the address {email:?} already")),
                None => {
                    first_line_of_email.insert(email.to_lowercase(), row.line);
                }
            }
        }
        for message in unsupported_columns(row, route) {
            add(message);
        }
    }
    errors
}

fn username_error(name: &str) -> Option<String> {
    /// The maximum length of a user id in bytes, with `@`, `:` and the server's name.
    const MAX_USER_ID: usize = 255;
    if name.is_empty() {
        return Some("the username is empty".to_owned());
    }
    if name.starts_with('@') || name.contains(':') {
        return Some(format!(
            "{name:?}: write only the username, without @ and server"
        ));
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._=-/+".contains(c);
    if let Some(invalid) = name.chars().find(|c| !is_allowed(*c)) {
        return Some(format!(
            "the username {name:?} contains {invalid:?}; use a-z, 0-9 and . _ = - / +"
        ));
    }
    // The shortest server name has one letter.
    (name.len() + "@:s".len() > MAX_USER_ID).then(|| {
        format!(
            "the username has {} characters; with the server's name, a user id has {MAX_USER_ID} at most",
            name.len()
        )
    })
}

fn email_error(text: &str) -> Option<String> {
    let is_mailto = |start: &str| start.eq_ignore_ascii_case("mailto:");
    if text.get(..7).is_some_and(is_mailto) {
        return Some(format!("{text:?}: write the address without mailto:"));
    }
    if text.matches('@').count() > 1 {
        return Some(format!(
            "{text:?} is not one email address; a user has one here"
        ));
    }
    (!is_email(text)).then(|| format!("{text:?} is not an email address"))
}

/// Whether it is an address as people have them: without quotes, comments and names.
fn is_email(text: &str) -> bool {
    let is_local = |c: char| c.is_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(c);
    let is_domain = |c: char| c.is_alphanumeric() || ".-".contains(c);
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && local.chars().all(is_local)
            && domain.chars().all(is_domain)
            && domain.split('.').all(|label| !label.is_empty())
    })
}

/// The columns of the row that the route cannot set.
fn unsupported_columns(row: &NewRow, route: Route) -> Vec<String> {
    let has_profile = matches!(route, Route::Admin | Route::SharedSecret);
    let columns = [
        (row.password.is_some() && !route.has_passwords(), "password"),
        (row.display_name.is_some() && !has_profile, "displayname"),
        (row.email.is_some() && route != Route::Admin, "email"),
        (row.is_admin && !has_profile, "admin"),
    ];
    let unsupported = columns.iter().filter(|(is_unsupported, _)| *is_unsupported);
    unsupported
        .map(|(_, column)| {
            format!("the route {route} cannot set {column}; leave it empty, or use the route admin")
        })
        .collect()
}
