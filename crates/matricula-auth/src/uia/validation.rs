//! The validation of one email address or phone number.
//!
//! Specification: <https://spec.matrix.org/v1.19/client-server-api/#email-based-identity--homeserver>.

use matricula_api::{
    ApiError,
    client::definitions::RequestTokenResponse,
    uia::{Stage, ThreepidCreds},
};
use matricula_core::{
    Api, Body, Job, Method, Operation, Response, RetrySafety, Secret, ServerUrl, secret::exposed,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ServerError;

/// Sends a code to the URL that the server named for it, without an access token.
const SUBMIT: Operation = Operation::new(Api::Identity, "submitToken", Method::Post, "")
    .with_secrets(&["/client_secret", "/token"], &[])
    .with_retry_safety(RetrySafety::Idempotent);

/// The validation of one address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Validation {
    pub(crate) stage: Stage,
    /// The address, as the person wrote it.
    pub(crate) address: String,
    #[serde(with = "exposed")]
    pub(crate) client_secret: Secret,
    /// The attempt number. The server sends one message for each number.
    pub(crate) attempt: u64,
    sid: Option<String>,
    /// Where to send the code. `None`: the message has a link instead.
    submit_url: Option<String>,
}

/// Why a code was refused.
pub(crate) enum CodeRefused {
    /// It is wrong, with the server's message.
    Wrong(String),
    /// The server did not look at it: it failed, or asks to wait.
    Failed(ServerError),
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
        self.submit_url = answer.submit_url.filter(|url| !url.is_empty());
    }

    pub(crate) fn is_sent(&self) -> bool {
        self.sid.is_some()
    }

    /// Prepares to ask for another message, with the next attempt number.
    pub(crate) fn again(&mut self) {
        self.attempt += 1;
        self.sid = None;
    }

    /// Whether the message has a code, not a link.
    pub(crate) fn has_code(&self) -> bool {
        self.submit_url.is_some()
    }

    /// The credentials that prove the address, once a message was sent.
    pub(crate) fn creds(&self) -> Option<ThreepidCreds> {
        let sid = self.sid.clone()?;
        Some(ThreepidCreds::new(sid, self.client_secret.clone()))
    }

    /// The request that submits the code.
    pub(crate) fn submission(&self, server: &ServerUrl, code: &Secret) -> Result<Job, ServerError> {
        let url = self.submit_url.clone().unwrap_or_default();
        let Some(url) = allowed_submit_url(server, &url) else {
            let what = format!("the address that codes go to, {url:?}, is not a safe one");
            return Err(ServerError::not_matrix(server, what));
        };
        let body = json!({
            "sid": self.sid,
            "client_secret": self.client_secret.expose(),
            "token": code.expose(),
        });
        Ok(Job::for_operation_at(url.to_string(), &SUBMIT).with_body(Body::Json(body.to_string())))
    }
}

/// Reads the response to a submitted code.
pub(crate) fn submitted(server: &ServerUrl, response: &Response) -> Result<(), CodeRefused> {
    let body = response.json_body().unwrap_or_default();
    if response.success() && body["success"] != json!(false) {
        return Ok(());
    }
    if let Some(error) = ApiError::from_response(response)
        && (response.asks_to_wait() || response.status_code() >= 500)
    {
        return Err(CodeRefused::Failed(ServerError::from_api(server, error)));
    }
    let words = body["error"].as_str().unwrap_or("this is not the code");
    Err(CodeRefused::Wrong(words.to_owned()))
}

/// The URL, if a code may be sent there. The specification lets the server name any URL, such as one of
/// an identity server. One that is not encrypted, or private while the server is public, is refused.
fn allowed_submit_url(server: &ServerUrl, url: &str) -> Option<ServerUrl> {
    let url: ServerUrl = url.parse().ok()?;
    let is_encrypted = url.is_https() || url.is_loopback();
    let stays_outside = !url.is_private() || server.is_private();
    (is_encrypted && stays_outside).then_some(url)
}
