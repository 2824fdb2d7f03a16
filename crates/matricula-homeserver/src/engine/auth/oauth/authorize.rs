//! The page on which a person authorizes a client: the first half of the [authorization code grant].
//!
//! [authorization code grant]: https://spec.matrix.org/v1.19/client-server-api/#authorization-code-grant

use std::time::Duration;

use matricula_api::{
    ErrorCode,
    oauth::{AuthorizationPrompt, CodeChallenge, GrantType, OAuthErrorCode, ResponseMode, Scope},
    server::OutgoingResponse,
};
use matricula_core::StepContext;
use rusqlite::params;

use super::{AUTHORIZE, OAuthError, clients::Client, sessions, unauthorized_client};
use crate::engine::{
    auth::login_page::{Decision, LoginPage, decide},
    context::RequestContext,
    error::{ApiError, HandlerError},
    html::{
        login_page::Consent,
        page::{escape, redirect},
        redirect::RedirectTarget,
    },
    storage::row_limit::RowLimit,
    util::{ALPHANUMERIC, digest, millis},
};

/// The lifetime of a code.
const LIFETIME: Duration = Duration::from_secs(60);

/// How long a code is stored after that, to detect that it is used again.
const REUSE_DETECTION: Duration = Duration::from_secs(10 * 60);

const LIMIT: RowLimit = RowLimit::oldest_first("oauth_codes", 5_000);

/// How to return to a client through the browser.
struct ClientRedirect<'a> {
    client: Client,
    redirect_uri: &'a str,
    target: RedirectTarget,
    in_fragment: bool,
    state: Option<&'a str>,
}

/// The checked request of a client.
struct AuthorizationRequest {
    scope: Scope,
    challenge: CodeChallenge,
}

/// The page.
pub(crate) fn page(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, HandlerError> {
    // Errors before this point go to the person: the client's address is not known to be right.
    let client = client_redirect(context)?;
    let request = match authorization_request(context, &client.client) {
        Ok(request) => request,
        Err(OAuthError::Response(_, code, description)) => {
            return Ok(client.refuse(&code, &description));
        }
        Err(OAuthError::Handler(error)) => return Err(error),
    };
    let hint = context.request.query("login_hint").unwrap_or_default();
    let page = LoginPage {
        scope: &format!("{AUTHORIZE} {:?}", context.request.query),
        purpose: &format!(
            "To continue to <strong>{}</strong> ({}).",
            escape(client.client.name()),
            escape(&client.target.name())
        ),
        username: hint.strip_prefix("mxid:").unwrap_or_default(),
        sign_up_first: context.request.query("prompt")
            == Some(AuthorizationPrompt::Create.as_str()),
        form_targets: &client.target.source(),
    };
    let consent = Consent {
        title: "Allow this client?",
        details: &client.client.describe(&request.scope, Some(&client.target)),
        button: "Allow",
    };
    match decide(context, cx, &page, &consent)? {
        Decision::ShowPage(page) => Ok(page),
        Decision::Allowed(user) => {
            let code = client.issue_code(context, cx, user, &request)?;
            Ok(client.redirect(&[("code", &code)]))
        }
        Decision::Denied => {
            let code = OAuthErrorCode::AccessDenied;
            Ok(client.refuse(&code, "the user denied the request"))
        }
    }
}

fn client_redirect<'a>(context: &RequestContext<'a>) -> Result<ClientRedirect<'a>, HandlerError> {
    let refused = |error: &'static str| ApiError::new(400, ErrorCode::InvalidParam, error);
    let client_id =
        unique_param(context, "client_id").map_err(|_| refused("client_id is repeated"))?;
    let client = Client::find(context.tx, client_id.unwrap_or_default())?
        .ok_or_else(|| refused("this client is not known; start again in the client"))?;
    let redirect_uri = unique_param(context, "redirect_uri").ok().flatten();
    let redirect_uri =
        redirect_uri.ok_or_else(|| refused("the client must send one redirect_uri"))?;
    let target = RedirectTarget::parse(redirect_uri)
        .filter(|target| !redirect_uri.contains('#') && client.allows(target, redirect_uri))
        .ok_or_else(|| refused("the client did not register this redirect_uri"))?;
    let mode = context.request.query("response_mode");
    Ok(ClientRedirect {
        client,
        redirect_uri,
        target,
        in_fragment: mode == Some(ResponseMode::Fragment.as_str()),
        state: context.request.query("state"),
    })
}

/// A parameter that must not be repeated.
fn unique_param<'a>(
    context: &RequestContext<'a>,
    name: &str,
) -> Result<Option<&'a str>, OAuthError> {
    let mut named = context.request.query.iter().filter(|(key, _)| key == name);
    let first = named.next().map(|(_, value)| value.as_str());
    match named.next() {
        Some(_) => Err(invalid(format!("{name} is repeated"))),
        None => Ok(first),
    }
}

fn invalid(description: impl Into<String>) -> OAuthError {
    OAuthError::new(OAuthErrorCode::InvalidRequest, description.into())
}

fn authorization_request(
    context: &RequestContext<'_>,
    client: &Client,
) -> Result<AuthorizationRequest, OAuthError> {
    for name in ["state", "response_mode", "prompt", "login_hint"] {
        unique_param(context, name)?;
    }
    if unique_param(context, "response_type")? != Some("code") {
        let code = OAuthErrorCode::UnsupportedResponseType;
        return Err(OAuthError::new(code, "response_type must be code"));
    }
    let mode = context.request.query("response_mode").unwrap_or("query");
    if ![
        ResponseMode::Query.as_str(),
        ResponseMode::Fragment.as_str(),
    ]
    .contains(&mode)
    {
        return Err(invalid("response_mode must be query or fragment"));
    }
    if !client.may_use(&GrantType::AuthorizationCode) {
        return Err(unauthorized_client());
    }
    if unique_param(context, "code_challenge_method")? != Some(CodeChallenge::METHOD) {
        return Err(invalid("code_challenge_method must be S256"));
    }
    let challenge = unique_param(context, "code_challenge")?.unwrap_or_default();
    let challenge = CodeChallenge::new(challenge).map_err(|error| invalid(error.to_string()))?;
    let scope = sessions::granted_scope(unique_param(context, "scope")?.unwrap_or_default())?;
    // The pages keep no session: the person must always sign in.
    if context.request.query("prompt") == Some("none") {
        let code = OAuthErrorCode::from("login_required");
        return Err(OAuthError::new(code, "the user must sign in"));
    }
    Ok(AuthorizationRequest { scope, challenge })
}

impl ClientRedirect<'_> {
    fn refuse(&self, code: &OAuthErrorCode, description: &str) -> OutgoingResponse {
        self.redirect(&[("error", code.as_str()), ("error_description", description)])
    }

    fn redirect(&self, pairs: &[(&str, &str)]) -> OutgoingResponse {
        let state = self.state.map(|state| ("state", state));
        let pairs: Vec<_> = pairs.iter().copied().chain(state).collect();
        redirect(if self.in_fragment {
            self.target.with_fragment(&pairs)
        } else {
            self.target.with_query(&pairs)
        })
    }

    fn issue_code(
        &self,
        context: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
        user: i64,
        request: &AuthorizationRequest,
    ) -> Result<String, HandlerError> {
        let forgotten = millis(cx.now).saturating_sub(REUSE_DETECTION.as_millis() as i64);
        context.tx.execute(
            "DELETE FROM oauth_codes WHERE expires_at <= ?1",
            [forgotten],
        )?;
        LIMIT.make_room(context.tx)?;
        let code = cx.entropy.text(ALPHANUMERIC, 43);
        context.tx.execute(
            "INSERT INTO oauth_codes (digest, client, user, redirect_uri, challenge, scope,
                 expires_at, peer)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                digest(&code),
                self.client.id,
                user,
                self.redirect_uri,
                request.challenge.as_str(),
                request.scope.as_str(),
                millis(cx.now.plus(LIFETIME)),
                context.request.peer,
            ],
        )?;
        Ok(code)
    }
}

impl Client {
    /// What the person is asked to allow, in HTML.
    pub(super) fn describe(&self, scope: &Scope, target: Option<&RedirectTarget>) -> String {
        let link = |uri: &Option<String>, text: &str| {
            let uri = uri.as_ref().map(|uri| escape(uri));
            uri.map(|uri| {
                format!(" <a href=\"{uri}\" target=\"_blank\" rel=\"noopener\">{text}</a>.")
            })
            .unwrap_or_default()
        };
        let device = escape(scope.device_id().unwrap_or_default());
        let leads = target.map_or(String::new(), |target| {
            format!("<li>you continue to {}</li>\n", escape(&target.name()))
        });
        format!(
            "<p><strong>{}</strong> (<a href=\"{1}\" target=\"_blank\" rel=\"noopener\">{1}</a>) \
             wants to use your account.{2}{3}</p>\n<p>If you allow it:</p>\n<ul class=\"bullets\">\n\
             <li>it can read and do everything that you can</li>\n\
             <li>it becomes your device <code>{device}</code></li>\n{leads}</ul>",
            escape(self.name()),
            escape(&self.metadata.client_uri),
            link(&self.metadata.tos_uri, "Its terms"),
            link(&self.metadata.policy_uri, "Its privacy policy"),
        )
    }
}
