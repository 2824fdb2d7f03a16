//! The authorization request and its callback.

use matricula_core::{Api, Method, Operation, Secret};

use super::{
    CodeChallenge, EndpointUrlError, OAuthErrorResponse, Scope, endpoint_url::EndpointUrl,
};
use crate::{UserId, codec::text_enum};

/// The page where a user signs in or registers, and [authorizes a client]. It is opened in a
/// browser and redirects to [`redirect_uri`](Self::redirect_uri).
///
/// [authorizes a client]: https://spec.matrix.org/v1.19/client-server-api/#login-flow
#[derive(Clone, Debug, PartialEq)]
pub struct AuthorizationRequest {
    /// The client id that the server assigned.
    pub client_id: String,
    /// The redirect URI: one of the registered URIs.
    pub redirect_uri: String,
    /// The requested scope.
    pub scope: Scope,
    /// A random value that is returned unchanged, to prevent forged callbacks.
    pub state: Secret,
    /// The PKCE challenge.
    pub code_challenge: CodeChallenge,
    /// Where the callback URL contains the response.
    pub response_mode: ResponseMode,
    /// The initial page. Use only values of `prompt_values_supported` in the metadata.
    pub prompt: Option<AuthorizationPrompt>,
    /// The user who should sign in. [Proposed]; servers without support ignore it.
    ///
    /// [Proposed]: https://github.com/matrix-org/matrix-spec-proposals/pull/4198
    pub login_hint: Option<String>,
}

impl AuthorizationRequest {
    /// The operation; its URL is `authorization_endpoint` in the metadata.
    pub const OPERATION: Operation = Operation::new(
        Api::Client,
        "oauthAuthorization",
        Method::Get,
        "{authorization_endpoint}",
    )
    .with_query_secrets(&["state"])
    .with_since("1.15");

    /// Creates a request from the required fields. With an https redirect URI the response is in
    /// the fragment, so that no web server sees the code.
    pub fn new(
        client_id: impl Into<String>,
        redirect_uri: impl Into<String>,
        scope: Scope,
        state: impl Into<Secret>,
        code_challenge: CodeChallenge,
    ) -> Self {
        let redirect_uri = redirect_uri.into();
        let response_mode = if redirect_uri.starts_with("https:") {
            ResponseMode::Fragment
        } else {
            ResponseMode::Query
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

    /// The URL to open, based on `authorization_endpoint` of the metadata.
    ///
    /// # Errors
    /// If that is not a valid URL of an authorization server.
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

/// The login hint of a user.
pub(super) fn login_hint(user: &UserId) -> String {
    format!("mxid:{user}")
}

text_enum! {
    /// Where the callback URL contains the response.
    pub enum ResponseMode {
        /// In the fragment, after `#`: the browser does not send it to a server.
        Fragment = "fragment",
        /// In the query, after `?`.
        Query = "query",
    }
}

text_enum! {
    /// The initial page of an [`AuthorizationRequest`].
    pub enum AuthorizationPrompt {
        /// [Registering a new account].
        ///
        /// [Registering a new account]: https://spec.matrix.org/v1.19/client-server-api/#user-registration
        Create = "create",
    }
}

/// Reads the [callback URL] in either response mode. Returns the code for an
/// [`AuthorizationCodeGrant`](super::AuthorizationCodeGrant).
///
/// # Errors
/// If it does not belong to the request with this `state`, or reports an error.
///
/// [callback URL]: https://spec.matrix.org/v1.19/client-server-api/#callback
pub fn read_callback(url: &str, state: &Secret) -> Result<Secret, CallbackError> {
    let (address, fragment) = url.split_once('#').unwrap_or((url, ""));
    let query = address.split_once('?').map_or("", |(_, query)| query);
    // Pages add fragments of their own, such as `#_=_`, to a response in the query.
    let is_response = |text: &str| {
        let mut fields = form_urlencoded::parse(text.as_bytes());
        fields.any(|(name, _)| ["state", "code", "error"].contains(&&*name))
    };
    let text = if is_response(fragment) {
        fragment
    } else {
        query
    };
    let mut fields: Vec<(String, String)> = form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect();
    let mut take = |name: &str| {
        let at = fields.iter().position(|(found, _)| found == name)?;
        Some(Secret::from(fields.swap_remove(at).1))
    };
    // Checked first: a forged callback must be ignored.
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

/// A callback without a code.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CallbackError {
    /// It does not belong to this request.
    #[error("the browser came back with the answer to another request; begin again")]
    State,
    /// The user or the server refused.
    #[error("{0}")]
    Refused(OAuthErrorResponse),
    /// It has neither a code nor an error.
    #[error("the browser came back with neither a code nor an error; begin again")]
    Empty,
}
