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
use matricula_core::{Method, StepContext};

use super::{
    Homeserver,
    entrance::{LoginPage, LoginStep},
    layout::{error_page, escape, redirect, simple_page},
    login_tokens,
    oauth::Consent,
    redirect::RedirectTarget,
    refusal::{ApiError, HandlerError},
    routes::{Handler, RequestContext, method_not_allowed},
};

const PAGE: &str = "/_matricula/sso";

impl Handler for RedirectToSso {
    fn handle(
        self,
        call: &RequestContext<'_>,
        _: &mut StepContext<'_>,
    ) -> Result<Redirect, HandlerError> {
        call.homeserver
            .sso_redirect(&self.redirect_url, self.action.as_ref(), None)
    }
}

impl Handler for RedirectToIdP {
    fn handle(
        self,
        call: &RequestContext<'_>,
        _: &mut StepContext<'_>,
    ) -> Result<Redirect, HandlerError> {
        let (url, action) = (&self.redirect_url, self.action.as_ref());
        call.homeserver
            .sso_redirect(url, action, Some(&self.idp_id))
    }
}

impl Homeserver {
    /// How single sign-on is offered, if it is.
    pub(super) fn sso_flows(&self) -> Vec<LoginFlow> {
        let Some(sso) = &self.config.sso else {
            return Vec::new();
        };
        let providers = sso.providers.iter();
        let providers = providers.map(|it| IdP::new(it.id.as_str(), it.name.as_str()));
        let mut flow = LoginFlow::new("m.login.sso").identity_providers(providers.collect());
        if sso.preferred {
            flow = flow.oauth_aware_preferred(true);
        }
        vec![flow, LoginFlow::new("m.login.token")]
    }

    fn sso_redirect(
        &self,
        redirect_url: &str,
        action: Option<&SsoAction>,
        provider: Option<&str>,
    ) -> Result<Redirect, HandlerError> {
        let sso = self
            .config
            .sso
            .as_ref()
            .ok_or_else(ApiError::unrecognized)?;
        if provider.is_some_and(|id| !sso.providers.iter().any(|it| it.id == id)) {
            let error = "there is no such identity provider";
            return Err(ApiError::new(404, ErrorCode::NotFound, error).into());
        }
        target(redirect_url)?;
        let pairs = [
            ("redirectUrl", Some(redirect_url)),
            ("action", action.map(SsoAction::as_str)),
            ("provider", provider),
        ];
        let pairs = pairs.into_iter();
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs.filter_map(|(name, value)| Some((name, value?))))
            .finish();
        let location = format!("{}{PAGE}?{query}", self.base_url);
        Ok(Redirect { location })
    }
}

fn target(redirect_url: &str) -> Result<RedirectTarget, ApiError> {
    RedirectTarget::parse(redirect_url).ok_or_else(|| {
        let error = "redirectUrl is no address that a browser may be led to";
        ApiError::new(400, ErrorCode::InvalidParam, error)
    })
}

impl RequestContext<'_> {
    /// Answers at the page's address, if there is single sign-on and this is it.
    pub(super) fn sso(
        &self,
        cx: &mut StepContext<'_>,
    ) -> Result<Option<OutgoingResponse>, HandlerError> {
        if self.homeserver.config.sso.is_none() || self.request.path != PAGE {
            return Ok(None);
        }
        if !matches!(self.request.method, Method::Get | Method::Post) {
            return Ok(Some(method_not_allowed(&[Method::Get, Method::Post])));
        }
        match self.sso_login(cx) {
            Err(HandlerError::Api(refusal)) => Ok(Some(error_page(refusal))),
            answer => answer.map(Some),
        }
    }

    fn sso_login(&self, cx: &mut StepContext<'_>) -> Result<OutgoingResponse, HandlerError> {
        let target = target(self.request.query("redirectUrl").unwrap_or_default())?;
        let leads = escape(&target.name());
        let sso = self.homeserver.config.sso.as_ref();
        let mut providers = sso.iter().flat_map(|sso| &sso.providers);
        let provider = self.request.query("provider");
        let provider = providers.find(|it| Some(it.id.as_str()) == provider);
        let with = provider.map_or(String::new(), |it| format!(" with {}", escape(&it.name)));
        let purpose = format!("Go on{with} to <strong>{leads}</strong>.");
        let door = LoginPage {
            scope: &format!("{PAGE} {:?}", self.request.query),
            purpose: &purpose,
            username: "",
            sign_up_first: self.request.query("action") == Some(SsoAction::Register.as_str()),
            form_targets: &target.source(),
        };
        match self.login_step(cx, &door)? {
            LoginStep::ShowPage(page) => Ok(page),
            LoginStep::SignedIn(user) => {
                let what = format!(
                    "<p>If you continue, <strong>{leads}</strong> is signed in to your account. \
                     Go on only if you came from there.</p>"
                );
                let consent = Consent {
                    title: "Continue to your client?",
                    what: &what,
                    yes: "Continue",
                };
                self.consent_page(cx, &door, user, &consent)
            }
            LoginStep::Pressed(user, step) if step == "allow" => {
                let token = login_tokens::issue(cx, self.tx, user)?;
                Ok(redirect(target.with_query(&[("loginToken", &token)])))
            }
            LoginStep::Pressed(..) | LoginStep::Cancelled => {
                let body = "<p>Nobody is signed in. You can close this page.</p>";
                Ok(simple_page(200, "en", "Cancelled", body))
            }
        }
    }
}
