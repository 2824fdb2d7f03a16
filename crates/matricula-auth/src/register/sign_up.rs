//! Which method makes an account on a server, and the conversation of that method.

use std::fmt;

use matricula_api::{oauth::ClientMetadata, uia::Stage};
use matricula_core::{Machine, ServerUrl, Step, StepContext};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{AccountKind, Registration, RegistrationOptions};
use crate::{
    Account, AuthError, Conversation, Effect, Event, Input, OAuthClient, OAuthLogin,
    OAuthLoginError, OAuthOffer, RegisterError, ServerError, ServerInfo, SsoLogin,
    conversation::convert_error,
};

/// A method to make an account, or to sign in to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AuthMethod {
    /// Matrix's own API, with a password.
    Password,
    /// A page of the [OAuth 2.0 server](https://spec.matrix.org/v1.19/client-server-api/#oauth-20-api).
    OAuth,
    /// [Single sign-on](https://spec.matrix.org/v1.19/client-server-api/#sso-client-loginauthentication),
    /// on a page.
    Sso,
    /// A code that is entered on a page of the OAuth 2.0 server, on another device. Signs in, and makes
    /// no account.
    DeviceCode,
}

impl fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password => "password",
            Self::OAuth => "OAuth 2.0",
            Self::Sso => "single sign-on",
            Self::DeviceCode => "device code",
        })
    }
}

impl ServerInfo {
    /// The method by which the server wants accounts to be made, and the reason.
    pub fn sign_up_method(&self) -> (AuthMethod, String) {
        if let Some(method) = self.only_method() {
            method
        } else if self.offers("m.login.sso") && !self.offers("m.login.password") {
            let why = "the server offers single sign-on, and no login with a password";
            (AuthMethod::Sso, why.to_owned())
        } else {
            let why = "the server has Matrix's own registration";
            (AuthMethod::Password, why.to_owned())
        }
    }

    /// The method by which the server wants people to sign in, and the reason.
    pub fn login_method(&self) -> (AuthMethod, String) {
        if let Some(method) = self.only_method() {
            method
        } else if self.offers("m.login.password") || self.login_flows.is_empty() {
            let why = "the server offers login with a password";
            (AuthMethod::Password, why.to_owned())
        } else if self.oauth_issuer.is_some() {
            self.by_oauth("the server offers OAuth 2.0, and no login with a password")
        } else {
            let why = "the server offers single sign-on, and no login with a password";
            (AuthMethod::Sso, why.to_owned())
        }
    }

    /// The only method that clients which know OAuth 2.0 may use, if the server says so.
    fn only_method(&self) -> Option<(AuthMethod, String)> {
        if self.oauth_issuer.is_some() && (self.login_flows.is_empty() || self.prefers_sso()) {
            // Its single sign-on is for clients that do not know OAuth 2.0.
            return Some(self.by_oauth("the server delegates accounts to its OAuth 2.0 server"));
        }
        let why = "the server allows single sign-on only";
        self.prefers_sso()
            .then(|| (AuthMethod::Sso, why.to_owned()))
    }

    fn by_oauth(&self, why: &str) -> (AuthMethod, String) {
        let issuer = self.oauth_issuer.as_deref().unwrap_or_default();
        (AuthMethod::OAuth, format!("{why}, {issuer}"))
    }

    /// Whether the server offers this type of login.
    pub(crate) fn offers(&self, login_type: &str) -> bool {
        self.login_flows.iter().any(|flow| flow.kind == login_type)
    }
}

/// Makes an account by the method that its server wants; ends in an [`Account`].
///
/// The method is that of [`ServerInfo::sign_up_method`], unless [one is given](SignUp::method). If the
/// server then refuses and names another method, that one is used. Methods with a browser need
/// [a client and a redirect URI](SignUp::browser).
///
/// Its stored state is that of the [conversation that it becomes](SignUp::current).
#[derive(Clone, Debug)]
pub struct SignUp {
    info: ServerInfo,
    options: RegistrationOptions,
    method: Option<AuthMethod>,
    browser: Option<Browser>,
    current: Option<PendingAuth>,
}

#[derive(Clone, Debug)]
struct Browser {
    metadata: ClientMetadata,
    redirect_uri: String,
    client: Option<OAuthClient>,
}

impl SignUp {
    /// An account on this server.
    pub fn new(info: &ServerInfo, options: RegistrationOptions) -> Self {
        Self {
            info: info.clone(),
            options,
            method: None,
            browser: None,
            current: None,
        }
    }

    /// Uses this method and no other. The conversation fails if the method needs a
    /// [browser](Self::browser) and has none, or makes no account.
    #[must_use]
    pub fn method(mut self, method: AuthMethod) -> Self {
        self.method = Some(method);
        self
    }

    /// Allows methods with a browser, whose pages lead back to `redirect_uri`: see
    /// [`OAuthLogin::browser`].
    #[must_use]
    pub fn browser(mut self, metadata: ClientMetadata, redirect_uri: impl Into<String>) -> Self {
        self.browser = Some(Browser {
            metadata,
            redirect_uri: redirect_uri.into(),
            client: None,
        });
        self
    }

    /// Uses this client of the server's OAuth 2.0 server, if it still fits. Call
    /// [`browser`](Self::browser) first.
    #[must_use]
    pub fn client(mut self, client: OAuthClient) -> Self {
        if let Some(browser) = &mut self.browser {
            browser.client = Some(client);
        }
        self
    }

    /// The conversation that makes the account; `None` before the first step.
    pub fn current(&self) -> Option<&PendingAuth> {
        self.current.as_ref()
    }

    fn begin(&self, method: AuthMethod) -> PendingAuth {
        let device = self.options.device.clone();
        match (method, &self.browser) {
            (AuthMethod::OAuth, Some(browser)) => {
                let (metadata, back) = (browser.metadata.clone(), browser.redirect_uri.clone());
                let mut login = OAuthLogin::sign_up(&self.info, metadata, back).device(device);
                if let Some(client) = browser.client.clone() {
                    login = login.client(client);
                }
                PendingAuth::OAuth(Box::new(login))
            }
            (AuthMethod::Sso, Some(browser)) => {
                let back = browser.redirect_uri.clone();
                PendingAuth::Sso(Box::new(SsoLogin::sign_up(&self.info, back).device(device)))
            }
            _ => {
                let registration = Registration::new(&self.info, self.options.clone());
                PendingAuth::Registration(Box::new(registration))
            }
        }
    }

    /// Why the named method cannot be used, if it cannot.
    fn refused_method(&self) -> Option<AuthError> {
        let server = self.info.server.clone();
        if self.browser.is_none() && self.chosen() == AuthMethod::OAuth && self.is_closed() {
            let issuer = self.info.oauth_issuer.clone().unwrap_or_default();
            return Some(OAuthLoginError::SignUpClosed { issuer }.into());
        }
        match (self.method?, &self.browser) {
            (AuthMethod::Password, _) | (AuthMethod::OAuth | AuthMethod::Sso, Some(_)) => None,
            (AuthMethod::Sso, None) => {
                // The page that servers have for clients without single sign-on.
                let url = format!("{server}/_matrix/static/client/login/");
                Some(RegisterError::SsoNeeded { server, url }.into())
            }
            (AuthMethod::OAuth | AuthMethod::DeviceCode, _) => {
                let (issuer, trouble) = (&self.info.oauth_issuer, &self.info.oauth_trouble);
                Some(match (issuer.clone(), trouble) {
                    (Some(issuer), _) => RegisterError::OAuthNeeded { server, issuer }.into(),
                    (None, Some(what)) => {
                        ServerError::unknown_oauth_unavailable(&server, what).into()
                    }
                    (None, None) => OAuthLoginError::NoOAuth { server }.into(),
                })
            }
        }
    }

    /// Whether the OAuth 2.0 server does not let the public sign up, by the homeserver's copy of its
    /// metadata. With a browser, the OAuth 2.0 server itself is asked.
    fn is_closed(&self) -> bool {
        let offer = self.info.oauth.as_ref();
        offer.is_some_and(OAuthOffer::is_sign_up_closed)
    }

    /// The refusal of a server that delegates accounts, and could not ask its OAuth 2.0 server whether it
    /// does.
    fn explained(&self, error: AuthError) -> AuthError {
        match (error, &self.info.oauth_trouble) {
            (AuthError::Register(RegisterError::Closed { server, .. }), Some(what)) => {
                ServerError::unknown_oauth_unavailable(&server, what).into()
            }
            (error, _) => error,
        }
    }

    /// Guests are registered by Matrix's own API only.
    fn is_about_guests(&self) -> bool {
        self.options.kind == AccountKind::Guest || self.options.upgrade.is_some()
    }

    fn chosen(&self) -> AuthMethod {
        match self.method {
            Some(method) => method,
            None if self.is_about_guests() => AuthMethod::Password,
            None => self.info.sign_up_method().0,
        }
    }

    /// The method that the server names when it refuses the first one.
    fn alternative(&self, step: &Step<Effect, Event<Account, AuthError>>) -> Option<AuthMethod> {
        let is_first = matches!(self.current, Some(PendingAuth::Registration(_)));
        let may_change = is_first && self.method.is_none() && self.browser.is_some();
        if !may_change || self.is_about_guests() {
            return None;
        }
        let refusal = step.events.iter().find_map(|event| match event {
            Event::Finished(Err(error)) => Some(error),
            _ => None,
        })?;
        match refusal {
            AuthError::Register(RegisterError::OAuthNeeded { .. }) => Some(AuthMethod::OAuth),
            AuthError::Register(RegisterError::SsoNeeded { .. }) => Some(AuthMethod::Sso),
            // Closed to the public, but not to users of an identity provider.
            AuthError::Register(RegisterError::Closed { .. })
                if self.info.offers("m.login.sso") =>
            {
                Some(AuthMethod::Sso)
            }
            _ => None,
        }
    }
}

impl Machine for SignUp {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<Account, AuthError>;

    fn step(
        &mut self,
        cx: &mut StepContext<'_>,
        input: Input,
    ) -> Step<Effect, Event<Account, AuthError>> {
        if let Some(error) = self.refused_method() {
            return Step {
                events: vec![Event::Finished(Err(error))],
                ..Step::default()
            };
        }
        let method = self.chosen();
        let mut current = self.current.take().unwrap_or_else(|| self.begin(method));
        let mut step = current.step(cx, input);
        self.current = Some(current);
        if let Some(method) = self.alternative(&step) {
            let mut next = self.begin(method);
            let begun = next.step(cx, Input::Start);
            step.writes.append(begun.writes);
            step.effects = begun.effects;
            step.events
                .retain(|event| !matches!(event, Event::Finished(_)));
            step.events.extend(begun.events);
            self.current = Some(next);
        }
        let events = step.events.into_iter().map(|event| match event {
            Event::Finished(Err(error)) => Event::Finished(Err(self.explained(error))),
            event => event,
        });
        step.events = events.collect();
        step
    }
}

impl Conversation for SignUp {
    type Output = Account;
    type Error = AuthError;
}

/// An unfinished conversation that makes an account or signs in. It is stored until it is over, and
/// [`Input::Start`] continues it, in another process too.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PendingAuth {
    /// Matrix's own registration.
    Registration(Box<Registration>),
    /// A login at an OAuth 2.0 server.
    OAuth(Box<OAuthLogin>),
    /// Single sign-on.
    Sso(Box<SsoLogin>),
}

impl PendingAuth {
    /// Its key in its table.
    pub fn id(&self) -> &str {
        match self {
            Self::Registration(registration) => registration.id(),
            Self::OAuth(login) => login.id(),
            Self::Sso(login) => login.id(),
        }
    }

    /// The homeserver.
    pub fn server(&self) -> &ServerUrl {
        match self {
            Self::Registration(registration) => registration.server(),
            Self::OAuth(login) => login.server(),
            Self::Sso(login) => login.server(),
        }
    }

    /// Whether it makes an account, and does not only sign in.
    pub fn signs_up(&self) -> bool {
        match self {
            Self::Registration(_) => true,
            Self::OAuth(login) => login.signs_up(),
            Self::Sso(login) => login.signs_up(),
        }
    }

    /// The caller's data.
    pub fn data(&self) -> &Value {
        match self {
            Self::Registration(registration) => registration.data(),
            Self::OAuth(login) => login.data(),
            Self::Sso(login) => login.data(),
        }
    }

    /// The homeserver's id for the authentication, if it has begun.
    pub fn uia_session(&self) -> Option<&str> {
        match self {
            Self::Registration(registration) => registration.uia_session(),
            Self::OAuth(_) | Self::Sso(_) => None,
        }
    }

    /// The stage that stands for its page, if it needs one.
    pub fn stage(&self) -> Option<Stage> {
        match self {
            Self::Registration(_) => None,
            Self::OAuth(_) => Some(Stage::OAuth),
            Self::Sso(_) => Some(Stage::Sso),
        }
    }

    /// Where its page leads back to, if it needs one.
    pub fn redirect_uri(&self) -> Option<&str> {
        match self {
            Self::Registration(_) => None,
            Self::OAuth(login) => login.redirect_uri(),
            Self::Sso(login) => Some(login.redirect_uri()),
        }
    }

    /// Replaces the redirect URI, unless the browser has come back already.
    #[must_use]
    pub fn replace_redirect_uri(self, address: impl Into<String>) -> Self {
        match self {
            Self::Registration(_) => self,
            Self::OAuth(login) => Self::OAuth(Box::new(login.replace_redirect_uri(address))),
            Self::Sso(login) => Self::Sso(Box::new(login.replace_redirect_uri(address))),
        }
    }
}

impl Machine for PendingAuth {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<Account, AuthError>;

    fn step(
        &mut self,
        cx: &mut StepContext<'_>,
        input: Input,
    ) -> Step<Effect, Event<Account, AuthError>> {
        match self {
            Self::Registration(registration) => convert_error(registration.step(cx, input)),
            Self::OAuth(login) => convert_error(login.step(cx, input)),
            Self::Sso(login) => convert_error(login.step(cx, input)),
        }
    }
}

impl Conversation for PendingAuth {
    type Output = Account;
    type Error = AuthError;
}
