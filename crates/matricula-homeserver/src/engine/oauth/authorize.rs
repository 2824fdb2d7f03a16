//! The page on which a person lets a client in by a browser: the first half of the
//! [authorization code grant].
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

use super::{AUTHORIZE, Consent, OAuthError, clients::Client, sessions};
use crate::engine::{
    bounds::RowLimit,
    entrance::{LoginPage, LoginStep},
    layout::{escape, redirect},
    millis,
    redirect::RedirectTarget,
    refusal::{ApiError, HandlerError},
    routes::RequestContext,
    tokens::{ALPHANUMERIC, digest},
};

/// How long a code may take to the client and back.
const LIFETIME: Duration = Duration::from_secs(60);

/// How long a code is remembered after that, to notice that somebody uses it again.
const REUSE_DETECTION: Duration = Duration::from_secs(10 * 60);

/// Codes: the oldest is forgotten first.
const BOUND: RowLimit = RowLimit {
    table: "oauth_codes",
    max: 5_000,
    evictable: "true",
    order_by: "expires_at",
};

/// How to answer a client by way of the browser.
struct ClientRedirect<'a> {
    client: Client,
    redirect_uri: &'a str,
    target: RedirectTarget,
    in_fragment: bool,
    state: Option<&'a str>,
}

/// What a client asks for.
struct AuthorizationRequest {
    scope: Scope,
    challenge: CodeChallenge,
}

pub(super) fn answer(
    call: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, HandlerError> {
    // Before it is known whom to answer, only the person can be told.
    let back = client_redirect(call)?;
    let asked = match authorization_request(call, &back.client) {
        Ok(asked) => asked,
        Err(OAuthError::Response(_, code, description)) => {
            return Ok(back.refuse(&code, &description));
        }
        Err(OAuthError::Handler(fault)) => return Err(fault),
    };
    let leads_to = back.target.source();
    let purpose = format!(
        "To go on to <strong>{}</strong> ({}).",
        escape(back.client.name()),
        escape(&back.target.name())
    );
    let hint = call.request.query("login_hint").unwrap_or_default();
    let hint = hint.strip_prefix("mxid:").unwrap_or_default();
    let door = LoginPage {
        scope: &format!("{AUTHORIZE} {:?}", call.request.query),
        purpose: &purpose,
        username: hint,
        sign_up_first: call.request.query("prompt") == Some(AuthorizationPrompt::Create.as_str()),
        form_targets: &leads_to,
    };
    match call.login_step(cx, &door)? {
        LoginStep::ShowPage(page) => Ok(page),
        LoginStep::SignedIn(user) => {
            let what = back.client.describe(&asked.scope, Some(&back.target));
            let consent = Consent {
                title: "Let this client in?",
                what: &what,
                yes: "Allow",
            };
            call.consent_page(cx, &door, user, &consent)
        }
        LoginStep::Pressed(user, step) if step == "allow" => {
            let code = back.issue_code(call, cx, user, &asked)?;
            Ok(back.redirect(&[("code", &code)]))
        }
        LoginStep::Pressed(..) | LoginStep::Cancelled => {
            let code = OAuthErrorCode::AccessDenied;
            Ok(back.refuse(&code, "the person did not allow it"))
        }
    }
}

fn client_redirect<'a>(call: &RequestContext<'a>) -> Result<ClientRedirect<'a>, HandlerError> {
    let refused = |error: &'static str| ApiError::new(400, ErrorCode::InvalidParam, error);
    let client_id =
        unique_param(call, "client_id").map_err(|_| refused("client_id is given twice"))?;
    let client = Client::find(call.tx, client_id.unwrap_or_default())?
        .ok_or_else(|| refused("the client is not known here; begin again there"))?;
    let redirect_uri = unique_param(call, "redirect_uri").ok().flatten();
    let redirect_uri = redirect_uri
        .ok_or_else(|| refused("the client does not say, once, where to go back to"))?;
    let target = RedirectTarget::parse(redirect_uri)
        .filter(|target| !redirect_uri.contains('#') && client.allows(target, redirect_uri))
        .ok_or_else(|| {
            refused("the client wants you led to an address that it did not register")
        })?;
    let mode = call.request.query("response_mode");
    Ok(ClientRedirect {
        client,
        redirect_uri,
        target,
        in_fragment: mode == Some(ResponseMode::Fragment.as_str()),
        state: call.request.query("state"),
    })
}

/// A parameter, which stands there at most once.
fn unique_param<'a>(call: &RequestContext<'a>, name: &str) -> Result<Option<&'a str>, OAuthError> {
    let mut named = call.request.query.iter().filter(|(key, _)| key == name);
    let first = named.next().map(|(_, value)| value.as_str());
    match named.next() {
        Some(_) => Err(invalid(format!("{name} is given twice"))),
        None => Ok(first),
    }
}

fn invalid(description: impl Into<String>) -> OAuthError {
    OAuthError::new(OAuthErrorCode::InvalidRequest, description.into())
}

fn authorization_request(
    call: &RequestContext<'_>,
    client: &Client,
) -> Result<AuthorizationRequest, OAuthError> {
    for name in ["state", "response_mode", "prompt", "login_hint"] {
        unique_param(call, name)?;
    }
    if unique_param(call, "response_type")? != Some("code") {
        let code = OAuthErrorCode::UnsupportedResponseType;
        return Err(OAuthError::new(code, "response_type is code"));
    }
    let mode = call.request.query("response_mode").unwrap_or("query");
    if ![
        ResponseMode::Query.as_str(),
        ResponseMode::Fragment.as_str(),
    ]
    .contains(&mode)
    {
        return Err(invalid("response_mode is query or fragment"));
    }
    if !client.may_use(&GrantType::AuthorizationCode) {
        let code = OAuthErrorCode::UnauthorizedClient;
        return Err(OAuthError::new(
            code,
            "the client did not register for this grant",
        ));
    }
    if unique_param(call, "code_challenge_method")? != Some(CodeChallenge::METHOD) {
        return Err(invalid("code_challenge_method is S256"));
    }
    let challenge = unique_param(call, "code_challenge")?.unwrap_or_default();
    let challenge = CodeChallenge::new(challenge).map_err(|error| invalid(error.to_string()))?;
    let scope = sessions::granted_scope(unique_param(call, "scope")?.unwrap_or_default())?;
    // Nobody stays signed in here: there is no going on without asking.
    if call.request.query("prompt") == Some("none") {
        let code = OAuthErrorCode::from("login_required");
        return Err(OAuthError::new(code, "the person has to sign in"));
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
        redirect(match self.in_fragment {
            true => self.target.with_fragment(&pairs),
            false => self.target.with_query(&pairs),
        })
    }

    fn issue_code(
        &self,
        call: &RequestContext<'_>,
        cx: &mut StepContext<'_>,
        user: i64,
        asked: &AuthorizationRequest,
    ) -> Result<String, HandlerError> {
        let forgotten = millis(cx.now).saturating_sub(REUSE_DETECTION.as_millis() as i64);
        call.tx.execute(
            "DELETE FROM oauth_codes WHERE expires_at <= ?1",
            [forgotten],
        )?;
        BOUND.make_room(call.tx)?;
        let code = cx.entropy.text(ALPHANUMERIC, 43);
        call.tx.execute(
            "INSERT INTO oauth_codes (digest, client, user, redirect_uri, challenge, scope, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                digest(&code),
                self.client.id,
                user,
                self.redirect_uri,
                asked.challenge.as_str(),
                asked.scope.as_str(),
                millis(cx.now.plus(LIFETIME))
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
            format!("<li>you go on to {}</li>\n", escape(&target.name()))
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
