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
    server::Reply,
};
use matricula_core::{Method, StepContext};

use super::{
    Homeserver,
    entrance::{Door, Turn},
    layout::{escape, html, lead_to, refused},
    login_tokens,
    oauth::Consent,
    redirect::Target,
    refusal::{Fault, Refusal},
    routes::{Call, Serve, wrong_method},
};

const PAGE: &str = "/_matricula/sso";

impl Serve for RedirectToSso {
    fn serve(self, call: &Call<'_>, _: &mut StepContext<'_>) -> Result<Redirect, Fault> {
        call.home
            .sso_page(&self.redirect_url, self.action.as_ref(), None)
    }
}

impl Serve for RedirectToIdP {
    fn serve(self, call: &Call<'_>, _: &mut StepContext<'_>) -> Result<Redirect, Fault> {
        let (url, action) = (&self.redirect_url, self.action.as_ref());
        call.home.sso_page(url, action, Some(&self.idp_id))
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

    fn sso_page(
        &self,
        redirect_url: &str,
        action: Option<&SsoAction>,
        provider: Option<&str>,
    ) -> Result<Redirect, Fault> {
        let sso = self.config.sso.as_ref().ok_or_else(Refusal::unrecognized)?;
        if provider.is_some_and(|id| !sso.providers.iter().any(|it| it.id == id)) {
            let error = "there is no such identity provider";
            return Err(Refusal::new(404, ErrorCode::NotFound, error).into());
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

fn target(redirect_url: &str) -> Result<Target, Refusal> {
    Target::parse(redirect_url).ok_or_else(|| {
        let error = "redirectUrl is no address that a browser may be led to";
        Refusal::new(400, ErrorCode::InvalidParam, error)
    })
}

impl Call<'_> {
    /// Answers at the page's address, if there is single sign-on and this is it.
    pub(super) fn sso(&self, cx: &mut StepContext<'_>) -> Result<Option<Reply>, Fault> {
        if self.home.config.sso.is_none() || self.request.path != PAGE {
            return Ok(None);
        }
        if !matches!(self.request.method, Method::Get | Method::Post) {
            return Ok(Some(wrong_method(&[Method::Get, Method::Post])));
        }
        match self.sign_on(cx) {
            Err(Fault::Refused(refusal)) => Ok(Some(refused(refusal))),
            answer => answer.map(Some),
        }
    }

    fn sign_on(&self, cx: &mut StepContext<'_>) -> Result<Reply, Fault> {
        let target = target(self.request.query("redirectUrl").unwrap_or_default())?;
        let leads = escape(&target.name());
        let sso = self.home.config.sso.as_ref();
        let mut providers = sso.iter().flat_map(|sso| &sso.providers);
        let provider = self.request.query("provider");
        let provider = providers.find(|it| Some(it.id.as_str()) == provider);
        let with = provider.map_or(String::new(), |it| format!(" with {}", escape(&it.name)));
        let purpose = format!("Go on{with} to <strong>{leads}</strong>.");
        let door = Door {
            about: &format!("{PAGE} {:?}", self.request.query),
            purpose: &purpose,
            username: "",
            sign_up_first: self.request.query("action") == Some(SsoAction::Register.as_str()),
            leads_to: &target.source(),
        };
        match self.enter(cx, &door)? {
            Turn::Outside(page) => Ok(page),
            Turn::Inside(user) => {
                let what = format!(
                    "<p>If you continue, <strong>{leads}</strong> is signed in to your account. \
                     Go on only if you came from there.</p>"
                );
                let consent = Consent {
                    title: "Continue to your client?",
                    what: &what,
                    yes: "Continue",
                };
                self.consent(cx, &door, user, &consent)
            }
            Turn::Chosen(user, step) if step == "allow" => {
                let token = login_tokens::issue(cx, self.tx, user)?;
                Ok(lead_to(target.with_query(&[("loginToken", &token)])))
            }
            Turn::Chosen(..) | Turn::Away => {
                let body = "<p>Nobody is signed in. You can close this page.</p>";
                Ok(html(200, "en", "Cancelled", body))
            }
        }
    }
}
