//! A row of a list of new users, and what can be wrong with it before anything is sent.

use std::{collections::BTreeMap, fmt, str::FromStr};

use matricula_core::{Secret, secret::exposed};
use serde::{Deserialize, Serialize};

use matricula_auth::PasswordPolicy;

/// The longest user id, in bytes, with its `@`, its `:` and the name of the server.
const LONGEST_ID: usize = 255;

/// In which way accounts are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Route {
    /// With the session of an administrator.
    Admin,
    /// With the secret that the server shares with whoever runs it.
    SharedSecret,
    /// As strangers do, with a registration token.
    Token,
    /// As the users of an application service.
    Appservice,
}

impl Route {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Admin,
        Self::SharedSecret,
        Self::Token,
        Self::Appservice,
    ];

    /// Its name for people, as options have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::SharedSecret => "shared-secret",
            Self::Token => "token",
            Self::Appservice => "appservice",
        }
    }

    /// Whether accounts that it makes have a password.
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
        found.ok_or_else(|| "give admin, shared-secret, token or appservice".to_owned())
    }
}

/// A row of a list of new users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRow {
    /// Where it stands in the list, for people.
    pub line: u64,
    /// The name, without `@` and server.
    pub username: String,
    /// The password; without one a strong one is made.
    #[serde(with = "exposed", default)]
    pub password: Option<Secret>,
    /// What others see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The email address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether it is to be an administrator.
    #[serde(default)]
    pub is_admin: bool,
}

impl NewRow {
    /// A row with a name alone.
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

    /// The name as servers keep it: in small letters.
    pub fn localpart(&self) -> String {
        self.username.to_ascii_lowercase()
    }
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowError {
    /// Where it stands.
    pub line: u64,
    /// What is wrong, and what to do about it.
    pub what: String,
}

impl RowError {
    /// A fault of this line.
    pub fn new(line: u64, what: impl Into<String>) -> Self {
        Self {
            line,
            what: what.into(),
        }
    }
}

/// Everything that can be seen to be wrong with the rows without asking a server, in their order: names
/// that are none, names that stand there twice, passwords that the server's policy refuses, and columns
/// that the route can do nothing with.
pub fn row_errors(rows: &[NewRow], route: Route, policy: Option<&PasswordPolicy>) -> Vec<RowError> {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let mut addresses: BTreeMap<String, u64> = BTreeMap::new();
    let mut faults = Vec::new();
    for row in rows {
        let mut add = |what: String| faults.push(RowError::new(row.line, what));
        if let Some(what) = name_fault(&row.username) {
            add(what);
        }
        match seen.get(&row.localpart()) {
            Some(first) => add(format!(
                "the name {:?} is that of line {first} already; capital letters make no difference",
                row.username
            )),
            None => {
                seen.insert(row.localpart(), row.line);
            }
        }
        if let (Some(password), Some(policy)) = (&row.password, policy)
            && let Some((_, words)) = policy.complaint(password)
        {
            add(format!("the server refuses such a password: {words}"));
        }
        if let Some(email) = &row.email
            && !is_email(email)
        {
            add(format!("{email:?} is no email address"));
        }
        if let Some(email) = &row.email {
            match addresses.get(&email.to_lowercase()) {
                Some(first) => add(format!(
                    "the address {email:?} is that of line {first} already"
                )),
                None => {
                    addresses.insert(email.to_lowercase(), row.line);
                }
            }
        }
        for what in columns_in_vain(row, route) {
            add(what);
        }
    }
    faults
}

fn name_fault(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("there is no name; give one".to_owned());
    }
    if name.starts_with('@') || name.contains(':') {
        return Some(format!(
            "{name:?}: give the name alone, without @ and server"
        ));
    }
    let is_good = |c: char| c.is_ascii_alphanumeric() || "._=-/+".contains(c);
    if let Some(bad) = name.chars().find(|c| !is_good(*c)) {
        return Some(format!(
            "the name {name:?} has {bad:?} in it; use a-z, 0-9, and any of . _ = - / +"
        ));
    }
    // The shortest name of a server has one letter.
    (name.len() + 3 > LONGEST_ID).then(|| {
        format!(
            "the name is {} characters long, which is too long for a user id of {LONGEST_ID}",
            name.len()
        )
    })
}

fn is_email(text: &str) -> bool {
    let is_plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    is_plain
        && text
            .rsplit_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
}

/// What the route cannot do, although the row asks for it.
fn columns_in_vain(row: &NewRow, route: Route) -> Vec<String> {
    let has_profile = matches!(route, Route::Admin | Route::SharedSecret);
    let vain = [
        (row.password.is_some() && !route.has_passwords(), "password"),
        (row.display_name.is_some() && !has_profile, "displayname"),
        (row.email.is_some() && route != Route::Admin, "email"),
        (row.is_admin && !has_profile, "admin"),
    ];
    let vain = vain.iter().filter(|(is_vain, _)| *is_vain);
    vain.map(|(_, column)| {
        format!("the route {route} cannot set {column}; leave it out, or take the route admin")
    })
    .collect()
}
