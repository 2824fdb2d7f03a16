//! A server's password policy. It is written by hand, because only a proposal defines it.
//!
//! Proposal: <https://github.com/matrix-org/matrix-spec-proposals/pull/2000>, which Synapse serves.

use matricula_api::ErrorCode;
use matricula_core::{Api, Job, Method, Operation, Response, Secret, ServerUrl};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const GET_PASSWORD_POLICY: Operation = Operation::new(
    Api::Client,
    "getPasswordPolicy",
    Method::Get,
    "/_matrix/client/r0/password_policy",
);

/// A longer password is one that no server takes.
const MAX_LENGTH: f64 = 65_536.0;

/// A server's password policy. Lengths are in Unicode scalar values, as Synapse counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PasswordPolicy {
    /// The minimum length.
    pub minimum_length: u64,
    /// Whether a digit is required.
    pub digit: bool,
    /// Whether a symbol is required: neither letter nor digit.
    pub symbol: bool,
    /// Whether an upper case letter is required.
    pub uppercase: bool,
    /// Whether a lower case letter is required.
    pub lowercase: bool,
}

impl PasswordPolicy {
    pub(super) fn job(server: &ServerUrl) -> Job {
        Job::for_operation(server, GET_PASSWORD_POLICY.path, &GET_PASSWORD_POLICY)
    }

    /// Reads the response; `None` if the server has no policy.
    pub(super) fn read(response: &Response) -> Option<Self> {
        let body = response
            .json_body()
            .filter(|body| response.success() && body.is_object())?;
        let wants = |rule: &str| body.get(rule) == Some(&Value::Bool(true));
        let policy = Self {
            minimum_length: whole(&body["m.minimum_length"]).unwrap_or_default(),
            digit: wants("m.require_digit"),
            symbol: wants("m.require_symbol"),
            uppercase: wants("m.require_uppercase"),
            lowercase: wants("m.require_lowercase"),
        };
        // Servers without a policy answer with an empty object.
        (policy != Self::default()).then_some(policy)
    }

    /// The first rule that the password breaks, as the server's error code and in words.
    pub fn complaint(&self, password: &Secret) -> Option<(ErrorCode, String)> {
        let password = password.expose();
        let lacks =
            |is_wanted: bool, has: fn(char) -> bool| is_wanted && !password.chars().any(has);
        let has_length = password.chars().count() as u64 >= self.minimum_length;
        let rules = [
            (
                !has_length,
                ErrorCode::PasswordTooShort,
                match self.minimum_length {
                    1 => "it needs at least 1 character".to_owned(),
                    length => format!("it needs at least {length} characters"),
                },
            ),
            (
                lacks(self.digit, |c| c.is_ascii_digit()),
                ErrorCode::PasswordNoDigit,
                "it needs a digit".to_owned(),
            ),
            (
                lacks(self.symbol, |c| !c.is_ascii_alphanumeric()),
                ErrorCode::PasswordNoSymbol,
                "it needs a symbol, which is neither letter nor digit".to_owned(),
            ),
            (
                lacks(self.uppercase, |c| c.is_ascii_uppercase()),
                ErrorCode::PasswordNoUppercase,
                "it needs a capital letter".to_owned(),
            ),
            (
                lacks(self.lowercase, |c| c.is_ascii_lowercase()),
                ErrorCode::PasswordNoLowercase,
                "it needs a small letter".to_owned(),
            ),
        ];
        let mut broken = rules.into_iter().filter(|(is_broken, ..)| *is_broken);
        broken.next().map(|(_, code, words)| (code, words))
    }
}

/// A length: a whole number, also if it is written as `8.0`.
fn whole(value: &Value) -> Option<u64> {
    let number = value.as_f64()?;
    let is_length = number.fract() == 0.0 && (0.0..=MAX_LENGTH).contains(&number);
    is_length.then_some(number as u64)
}
