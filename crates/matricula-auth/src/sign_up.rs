//! Making an account in whichever way its server wants it made.

use matricula_api::oauth::ClientMetadata;
use matricula_core::{Machine, Step, StepContext};
use serde_json::Value;

use crate::{
    Account, AuthError, AuthMethod, Conversation, Effect, Event, Input, OAuthClient, OAuthLogin,
    PendingAuth, Registration, RegistrationOptions, ServerInfo, SsoLogin,
    registration::AccountKind,
};

/// Makes an account in the way that its server wants it made; ends in an [`Account`].
///
/// The way is that of [`ServerInfo::way_to_register`], unless [one is
/// named](SignUp::with_method). Where the server then refuses and names another way, that one is
/// taken. Ways that lead through a browser are open only to whom [says how](SignUp::in_browser).
///
/// What is kept of it is kept by the [conversation that it comes to](SignUp::current).
#[derive(Clone, Debug)]
pub struct SignUp {
    facts: ServerInfo,
    wishes: RegistrationOptions,
    method: Option<AuthMethod>,
    data: Value,
    browser: Option<BrowserMode>,
    current: Option<PendingAuth>,
}

#[derive(Clone, Debug)]
struct BrowserMode {
    about: ClientMetadata,
    redirect_uri: String,
    client: Option<OAuthClient>,
}

type Turn = Step<Effect, Event<Account>>;

impl SignUp {
    /// An account on the server of these facts.
    pub fn new(facts: &ServerInfo, wishes: RegistrationOptions) -> Self {
        Self {
            facts: facts.clone(),
            wishes,
            method: None,
            data: Value::Null,
            browser: None,
            current: None,
        }
    }

    /// In this way, and no other.
    #[must_use]
    pub fn with_method(mut self, method: AuthMethod) -> Self {
        self.method = Some(method);
        self
    }

    /// Opens pages where the server wants that, and has them lead back to `redirect_uri`: see
    /// [`OAuthLogin::browser`].
    #[must_use]
    pub fn in_browser(mut self, about: ClientMetadata, redirect_uri: impl Into<String>) -> Self {
        self.browser = Some(BrowserMode {
            about,
            redirect_uri: redirect_uri.into(),
            client: None,
        });
        self
    }

    /// Uses this client at the server's OAuth 2.0 server, where it still fits. Say first how pages
    /// are opened.
    #[must_use]
    pub fn with_client(mut self, client: OAuthClient) -> Self {
        if let Some(browser) = &mut self.browser {
            browser.client = Some(client);
        }
        self
    }

    /// Keeps this with the account.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    /// The conversation that makes the account; none before the first step.
    pub fn current(&self) -> Option<&PendingAuth> {
        self.current.as_ref()
    }

    fn begin(&self, method: AuthMethod) -> PendingAuth {
        match (method, &self.browser) {
            (AuthMethod::OAuth, Some(browser)) => PendingAuth::OAuth(Box::new(self.oauth(browser))),
            (AuthMethod::Sso, Some(browser)) => PendingAuth::Sso(Box::new(self.sso(browser))),
            _ => {
                let registration = Registration::new(&self.facts, self.wishes.clone());
                PendingAuth::Registration(Box::new(registration.with_data(self.data.clone())))
            }
        }
    }

    fn oauth(&self, browser: &BrowserMode) -> OAuthLogin {
        let (about, back) = (browser.about.clone(), browser.redirect_uri.clone());
        let mut login = OAuthLogin::sign_up(&self.facts, about, back).with_data(self.data.clone());
        if let Some(client) = browser.client.clone() {
            login = login.with_client(client);
        }
        if let Some(id) = &self.wishes.device_id {
            login = login.with_device_id(id);
        }
        login
    }

    fn sso(&self, browser: &BrowserMode) -> SsoLogin {
        let back = browser.redirect_uri.clone();
        let mut login = SsoLogin::sign_up(&self.facts, back).with_data(self.data.clone());
        if let Some(id) = &self.wishes.device_id {
            login = login.with_device_id(id);
        }
        if let Some(name) = &self.wishes.device_name {
            login = login.with_device_name(name);
        }
        if self.wishes.refresh_token {
            login = login.with_refresh_token();
        }
        login
    }

    /// Guests, and who was one, are no business of any page.
    fn is_about_guests(&self) -> bool {
        self.wishes.kind == AccountKind::Guest || self.wishes.upgrade.is_some()
    }

    fn chosen(&self) -> AuthMethod {
        match self.method {
            Some(method) => method,
            None if self.is_about_guests() => AuthMethod::Password,
            None => self.facts.way_to_register().0,
        }
    }

    /// The way that the server points to where it refuses the one that was taken.
    fn instead(&self, turn: &Turn) -> Option<AuthMethod> {
        let is_first = matches!(self.current, Some(PendingAuth::Registration(_)));
        let may_change = is_first && self.method.is_none() && self.browser.is_some();
        let refusal = turn.events.iter().find_map(|event| match event {
            Event::Finished(Err(error)) => Some(error),
            _ => None,
        })?;
        match refusal {
            _ if !may_change || self.is_about_guests() => None,
            AuthError::OAuthNeeded { .. } => Some(AuthMethod::OAuth),
            AuthError::SsoNeeded { .. } => Some(AuthMethod::Sso),
            // Closed to strangers, but not to whom an identity provider knows.
            AuthError::Closed { .. } if self.facts.offers("m.login.sso") => Some(AuthMethod::Sso),
            _ => None,
        }
    }
}

impl Machine for SignUp {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<Account>;

    fn step(&mut self, cx: &mut StepContext<'_>, input: Input) -> Turn {
        if self.current.is_none() {
            self.current = Some(self.begin(self.chosen()));
        }
        let Some(current) = &mut self.current else {
            return Turn::default();
        };
        let mut turn = current.step(cx, input);
        if let Some(method) = self.instead(&turn) {
            let mut next = self.begin(method);
            let begun = next.step(cx, Input::Start);
            turn.writes.append(begun.writes);
            turn.effects = begun.effects;
            turn.events
                .retain(|event| !matches!(event, Event::Finished(_)));
            turn.events.extend(begun.events);
            self.current = Some(next);
        }
        turn
    }
}

impl Conversation for SignUp {
    type Output = Account;
}
