//! By hand, as only a proposal defines it: what a server's passwords must have.
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

/// What a server's passwords must have. Characters count as Unicode scalar values, as Synapse counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PasswordPolicy {
    /// The least number of characters.
    pub minimum_length: u64,
    /// Whether there must be a digit.
    pub digit: bool,
    /// Whether there must be something that is neither letter nor digit.
    pub symbol: bool,
    /// Whether there must be a capital letter.
    pub uppercase: bool,
    /// Whether there must be a small letter.
    pub lowercase: bool,
}

impl PasswordPolicy {
    pub(super) fn job(server: &ServerUrl) -> Job {
        Job::for_operation(server, GET_PASSWORD_POLICY.path, &GET_PASSWORD_POLICY)
    }

    /// `None` where the server tells no policy.
    pub(super) fn read(response: &Response) -> Option<Self> {
        let body = response
            .json_body()
            .filter(|body| response.success() && body.is_object())?;
        let wants = |rule: &str| body.get(rule) == Some(&Value::Bool(true));
        let policy = Self {
            minimum_length: body["m.minimum_length"].as_u64().unwrap_or_default(),
            digit: wants("m.require_digit"),
            symbol: wants("m.require_symbol"),
            uppercase: wants("m.require_uppercase"),
            lowercase: wants("m.require_lowercase"),
        };
        // Servers without one say so with an empty object.
        (policy != Self::default()).then_some(policy)
    }

    /// The first rule that the password breaks, as the code that the server would answer, in words.
    pub fn complaint(&self, password: &Secret) -> Option<(ErrorCode, String)> {
        let password = password.expose();
        let lacks =
            |is_wanted: bool, has: fn(char) -> bool| is_wanted && !password.chars().any(has);
        let has_length = password.chars().count() as u64 >= self.minimum_length;
        let rules = [
            (
                !has_length,
                ErrorCode::PasswordTooShort,
                format!("it needs at least {} characters", self.minimum_length),
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
