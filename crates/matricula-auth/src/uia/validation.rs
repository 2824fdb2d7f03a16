//! One email address or phone number on its way to be proved.
//!
//! Specification: <https://spec.matrix.org/v1.19/client-server-api/#email-based-identity--homeserver>.

use matricula_api::{
    client::definitions::RequestTokenResponse,
    uia::{Stage, ThreepidCreds},
};
use matricula_core::{
    Api, Body, Job, Method, Operation, Response, RetrySafety, Secret, ServerUrl, secret::exposed,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::AuthError;

/// Sends a code to the address that the server named for it; no token goes with it.
const SUBMIT: Operation = Operation::new(Api::Identity, "submitToken", Method::Post, "")
    .with_secrets(&["/client_secret", "/token"], &[])
    .with_retry_safety(RetrySafety::Idempotent);

/// One address on its way to be proved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Validation {
    pub(crate) stage: Stage,
    /// As people write it.
    pub(crate) address: String,
    #[serde(with = "exposed")]
    pub(crate) client_secret: Secret,
    /// The server sends a message for each number once.
    pub(crate) attempt: u64,
    sid: Option<String>,
    /// Where a code goes; without it the person follows a link.
    submit_url: Option<String>,
}

/// Why a code was not taken.
pub(crate) enum CodeRefused {
    /// In these words.
    Wrong(String),
    /// Too many were sent.
    TooMany,
}

impl Validation {
    pub(crate) fn new(stage: Stage, address: String, client_secret: Secret) -> Self {
        Self {
            stage,
            address,
            client_secret,
            attempt: 1,
            sid: None,
            submit_url: None,
        }
    }

    /// The server has sent a message.
    pub(crate) fn sent(&mut self, answer: RequestTokenResponse) {
        self.sid = Some(answer.sid);
        self.submit_url = answer.submit_url;
    }

    pub(crate) fn is_sent(&self) -> bool {
        self.sid.is_some()
    }

    /// Another message is wanted: with a new number, for the server to send one.
    pub(crate) fn again(&mut self) {
        self.attempt += 1;
        self.sid = None;
    }

    /// Whether the message has a code, and not a link.
    pub(crate) fn has_code(&self) -> bool {
        self.submit_url.is_some()
    }

    /// What proves the address, once a message is sent.
    pub(crate) fn creds(&self) -> Option<ThreepidCreds> {
        let sid = self.sid.clone()?;
        Some(ThreepidCreds::new(sid, self.client_secret.clone()))
    }

    /// Sends the code on.
    pub(crate) fn submission(&self, server: &ServerUrl, code: &Secret) -> Result<Job, AuthError> {
        let url = self.submit_url.clone().unwrap_or_default();
        let Some(url) = may_take_codes(server, &url) else {
            let server = server.clone();
            let what = format!("the address that codes go to, {url:?}, is not a safe one");
            return Err(AuthError::NotMatrix { server, what });
        };
        let body = json!({
            "sid": self.sid,
            "client_secret": self.client_secret.expose(),
            "token": code.expose(),
        });
        Ok(Job::for_operation_at(url.to_string(), &SUBMIT).with_body(Body::Json(body.to_string())))
    }
}

/// What became of a code that was sent on.
pub(crate) fn submitted(response: &Response) -> Result<(), CodeRefused> {
    let body: Value = serde_json::from_slice(response.body().as_bytes()).unwrap_or_default();
    if response.success() && body["success"] != json!(false) {
        return Ok(());
    }
    if response.status_code() == 429 {
        return Err(CodeRefused::TooMany);
    }
    let words = body["error"].as_str().unwrap_or("this is not the code");
    Err(CodeRefused::Wrong(words.to_owned()))
}

/// Where a code may go. The specification lets the server name any address, such as that of an
/// identity server; but what is not encrypted, or inside the person's own network where the server
/// itself is not, is no place for it.
fn may_take_codes(server: &ServerUrl, url: &str) -> Option<ServerUrl> {
    let url: ServerUrl = url.parse().ok()?;
    let is_encrypted = url.is_https() || url.is_loopback();
    let stays_outside = !url.is_private() || server.is_private();
    (is_encrypted && stays_outside).then_some(url)
}
