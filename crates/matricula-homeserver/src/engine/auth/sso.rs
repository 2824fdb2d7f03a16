//! [Single sign-on]: a page of this server plays the identity provider.
//!
//! [Single sign-on]: https://spec.matrix.org/v1.19/client-server-api/#sso-client-loginauthentication

use matricula_api::{
    ErrorCode, Redirect,
    client::{
        definitions::{IdP, SsoAction},
        login::LoginFlow,
        sso_login_redirect::{RedirectToIdP, RedirectToSso},
    },
    server::OutgoingResponse,
};
use matricula_core::StepContext;

use super::login_page::{Decision, LoginPage, decide};
use crate::{
    Config,
    engine::{
        context::RequestContext,
        error::{ApiError, HandlerError},
        handler::Handler,
        html::{
            login_page::Consent,
            page::{escape, redirect, simple_page},
            redirect::RedirectTarget,
        },
        storage::one_time_tokens::LOGIN,
    },
};

/// The path of the page.
pub(crate) const PATH: &str = "/_matricula/sso";

impl Handler for RedirectToSso {
    fn handle(
        self,
        context: &RequestContext<'_>,
        _: &mut StepContext<'_>,
    ) -> Result<Redirect, HandlerError> {
        sso_redirect(context, &self.redirect_url, self.action.as_ref(), None)
    }
}

impl Handler for RedirectToIdP {
    fn handle(
        self,
        context: &RequestContext<'_>,
        _: &mut StepContext<'_>,
    ) -> Result<Redirect, HandlerError> {
        let (url, action) = (&self.redirect_url, self.action.as_ref());
        sso_redirect(context, url, action, Some(&self.idp_id))
    }
}

/// The login flows of single sign-on, if it is configured.
pub(crate) fn login_flows(config: &Config) -> Vec<LoginFlow> {
    let Some(sso) = &config.sso else {
        return Vec::new();
    };
    let providers = sso.providers.iter();
    let providers = providers.map(|it| IdP::new(it.id.as_str(), it.name.as_str()));
    let mut flow = LoginFlow::new("m.login.sso").identity_providers(providers.collect::<Vec<_>>());
    if sso.preferred {
        flow = flow.oauth_aware_preferred(true);
    }
    vec![flow, LoginFlow::new("m.login.token")]
}

fn sso_redirect(
    context: &RequestContext<'_>,
    redirect_url: &str,
    action: Option<&SsoAction>,
    provider: Option<&str>,
) -> Result<Redirect, HandlerError> {
    let sso = context.config.sso.as_ref();
    let sso = sso.ok_or_else(ApiError::unrecognized)?;
    if provider.is_some_and(|id| !sso.providers.iter().any(|it| it.id == id)) {
        let error = "there is no such identity provider";
        return Err(ApiError::new(404, ErrorCode::NotFound, error).into());
    }
    redirect_target(context, redirect_url)?;
    let pairs = [
        ("redirectUrl", Some(redirect_url)),
        ("action", action.map(SsoAction::as_str)),
        ("provider", provider),
    ];
    let pairs = pairs.into_iter();
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs.filter_map(|(name, value)| Some((name, value?))))
        .finish();
    let location = format!("{}?{query}", context.url(PATH));
    Ok(Redirect { location })
}

fn redirect_target(
    context: &RequestContext<'_>,
    redirect_url: &str,
) -> Result<RedirectTarget, ApiError> {
    let sso = context.config.sso.as_ref();
    let schemes = sso.map_or(&[][..], |sso| &sso.redirect_schemes);
    RedirectTarget::parse_allowing(redirect_url, schemes).ok_or_else(|| {
        let error = "redirectUrl is not a URL that a browser may be redirected to; a scheme other \
                     than http, https and com.example.app must be in the server's configuration";
        ApiError::new(400, ErrorCode::InvalidParam, error)
    })
}

/// The page on which a person signs in and returns to the client with a login token.
pub(crate) fn page(
    context: &RequestContext<'_>,
    cx: &mut StepContext<'_>,
) -> Result<OutgoingResponse, HandlerError> {
    let request = context.request;
    let redirect_url = request.query("redirectUrl").unwrap_or_default();
    let target = redirect_target(context, redirect_url)?;
    let client = escape(&target.name());
    let sso = context.config.sso.as_ref();
    let mut providers = sso.iter().flat_map(|sso| &sso.providers);
    let provider = request.query("provider");
    let provider = providers.find(|it| Some(it.id.as_str()) == provider);
    let with = provider.map_or(String::new(), |it| format!(" with {}", escape(&it.name)));
    let login = LoginPage {
        scope: &format!("{PATH} {:?}", request.query),
        purpose: &format!("Continue{with} to <strong>{client}</strong>."),
        username: "",
        sign_up_first: request.query("action") == Some(SsoAction::Register.as_str()),
        form_targets: &target.source(),
    };
    let consent = Consent {
        title: "Continue to your client?",
        details: &format!(
            "<p>If you continue, <strong>{client}</strong> is signed in to your account. \
             Continue only if you came from there.</p>\n\
             <p>You will be led to <code>{}</code>.</p>",
            escape(target.address())
        ),
        button: "Continue",
    };
    match decide(context, cx, &login, &consent)? {
        Decision::ShowPage(page) => Ok(page),
        Decision::Allowed(user) => {
            let token = LOGIN.issue(cx, context.tx, &context.request.peer, "", Some(user))?;
            Ok(redirect(target.with_query(&[("loginToken", &token)])))
        }
        Decision::Denied => {
            let body = "<p>You are not signed in. You can close this page.</p>";
            Ok(simple_page(200, "en", "Cancelled", body))
        }
    }
}
