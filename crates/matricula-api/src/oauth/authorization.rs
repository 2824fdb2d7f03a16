//! The page on which a person lets a client in, and how the client hears of it.

use matricula_core::{Api, Method, Operation, Secret};

use super::{
    CodeChallenge, EndpointUrlError, OAuthErrorResponse, Scope, endpoint_url::EndpointUrl,
};
use crate::{UserId, codec::text_enum};

/// The page on which a person signs in, or registers, and [allows a client in]: to be opened in a
/// browser, which then leads back to [`redirect_uri`](Self::redirect_uri).
///
/// [allows a client in]: https://spec.matrix.org/v1.19/client-server-api/#login-flow
#[derive(Clone, Debug, PartialEq)]
pub struct AuthorizationRequest {
    /// What the server named the client.
    pub client_id: String,
    /// Where the browser is to lead back to: one of the registered addresses.
    pub redirect_uri: String,
    /// What the client asks to be allowed.
    pub scope: Scope,
    /// Drawn at random; comes back unchanged, so that nobody else can lead the browser there.
    pub state: Secret,
    /// What the code can be redeemed with, as a challenge.
    pub code_challenge: CodeChallenge,
    /// Where in the address that the browser is led back to the answer stands.
    pub response_mode: ResponseMode,
    /// What the page is to begin with. Ask only for what the metadata's `prompt_values_supported`
    /// holds.
    pub prompt: Option<AuthorizationPrompt>,
    /// Who is to sign in. [Proposed], and passed over by servers that do not know it.
    ///
    /// [Proposed]: https://github.com/matrix-org/matrix-spec-proposals/pull/4198
    pub login_hint: Option<String>,
}

impl AuthorizationRequest {
    /// The facts of it: the metadata's `authorization_endpoint`.
    pub const OPERATION: Operation = Operation::new(
        Api::Client,
        "oauthAuthorization",
        Method::Get,
        "{authorization_endpoint}",
    )
    .with_query_secrets(&["state"])
    .with_since("1.15");

    /// With what must be there. The answer stands in the fragment where the way back is by https, so
    /// that no web server on it sees the code.
    pub fn new(
        client_id: impl Into<String>,
        redirect_uri: impl Into<String>,
        scope: Scope,
        state: impl Into<Secret>,
        code_challenge: CodeChallenge,
    ) -> Self {
        let redirect_uri = redirect_uri.into();
        let response_mode = match redirect_uri.starts_with("https:") {
            true => ResponseMode::Fragment,
            false => ResponseMode::Query,
        };
        Self {
            client_id: client_id.into(),
            redirect_uri,
            scope,
            state: state.into(),
            code_challenge,
            response_mode,
            prompt: None,
            login_hint: None,
        }
    }

    /// Sets `response_mode`.
    #[must_use]
    pub fn response_mode(mut self, response_mode: ResponseMode) -> Self {
        self.response_mode = response_mode;
        self
    }

    /// Sets `prompt`.
    #[must_use]
    pub fn prompt(mut self, prompt: AuthorizationPrompt) -> Self {
        self.prompt = Some(prompt);
        self
    }

    /// Sets `login_hint` to this user.
    #[must_use]
    pub fn login_hint(mut self, user: &UserId) -> Self {
        self.login_hint = Some(login_hint(user));
        self
    }

    /// The address to open, at the metadata's `authorization_endpoint`.
    ///
    /// # Errors
    /// Where that is no address of an authorization server.
    pub fn url(&self, authorization_endpoint: &str) -> Result<String, EndpointUrlError> {
        let prompt = self.prompt.as_ref().map(AuthorizationPrompt::as_str);
        let pairs = [
            ("response_type", Some("code")),
            ("client_id", Some(self.client_id.as_str())),
            ("redirect_uri", Some(self.redirect_uri.as_str())),
            ("scope", Some(self.scope.as_str())),
            ("state", Some(self.state.expose())),
            ("response_mode", Some(self.response_mode.as_str())),
            ("code_challenge", Some(self.code_challenge.as_str())),
            ("code_challenge_method", Some(CodeChallenge::METHOD)),
            ("prompt", prompt),
            ("login_hint", self.login_hint.as_deref()),
        ];
        let pairs = pairs.into_iter();
        let given = pairs.filter_map(|(name, value)| Some((name, value?)));
        Ok(EndpointUrl::parse(authorization_endpoint)?.with_query(given))
    }
}

/// How a user is named to the server's pages.
pub(super) fn login_hint(user: &UserId) -> String {
    format!("mxid:{user}")
}

text_enum! {
    /// Where the answer stands in the address that the browser is led back to.
    pub enum ResponseMode {
        /// After `#`: the browser does not send it on.
        Fragment = "fragment",
        /// After `?`.
        Query = "query",
    }
}

text_enum! {
    /// What the page of an [`AuthorizationRequest`] is to begin with.
    pub enum AuthorizationPrompt {
        /// [Registering a new account].
        ///
        /// [Registering a new account]: https://spec.matrix.org/v1.19/client-server-api/#user-registration
        Create = "create",
    }
}

/// Reads [the address that the browser was led back to], whichever way it was asked for, and gives
/// the code to redeem with an [`AuthorizationCodeGrant`](super::AuthorizationCodeGrant).
///
/// # Errors
/// Where it does not answer the request with this `state`, or the answer is a refusal.
///
/// [the address that the browser was led back to]: https://spec.matrix.org/v1.19/client-server-api/#callback
pub fn read_callback(url: &str, state: &Secret) -> Result<Secret, CallbackError> {
    let (address, fragment) = url.split_once('#').unwrap_or((url, ""));
    let query = address.split_once('?').map_or("", |(_, query)| query);
    let text = match fragment.is_empty() {
        true => query,
        false => fragment,
    };
    let mut fields: Vec<(String, String)> = form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect();
    let mut take = |name: &str| {
        let at = fields.iter().position(|(found, _)| found == name)?;
        Some(Secret::from(fields.swap_remove(at).1))
    };
    // Before anything else: what somebody else made up says nothing.
    if take("state").as_ref() != Some(state) {
        return Err(CallbackError::State);
    }
    if let Some(code) = take("code") {
        return Ok(code);
    }
    let fields = fields.into_iter().map(|(name, value)| (name, value.into()));
    let refusal = OAuthErrorResponse::from_fields(fields.collect());
    Err(refusal.map_or(CallbackError::Empty, CallbackError::Refused))
}

/// Why there is no code to redeem.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CallbackError {
    /// It answers some other request, or none.
    #[error("the browser came back with the answer to another request; begin again")]
    State,
    /// The person or the server refused.
    #[error("{0}")]
    Refused(OAuthErrorResponse),
    /// There is neither a code nor an error.
    #[error("the browser came back with neither a code nor an error; begin again")]
    Empty,
}
