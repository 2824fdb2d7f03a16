//! A conversation that is kept until it is over, whichever it is.

use matricula_api::uia::Stage;
use matricula_core::{Machine, ServerUrl, Step, StepContext};
use serde_json::Value;

use crate::{Account, Conversation, Effect, Event, Input, OAuthLogin, Registration, SsoLogin};

/// A conversation that makes an account or signs in, as it is kept until it is over. It goes on with
/// [`Input::Start`], in another process too.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PendingAuth {
    /// By Matrix's own registration.
    Registration(Box<Registration>),
    /// At an OAuth 2.0 server.
    OAuth(Box<OAuthLogin>),
    /// By single sign-on.
    Sso(Box<SsoLogin>),
}

impl PendingAuth {
    /// Its key in the table that it is kept in.
    pub fn id(&self) -> &str {
        match self {
            Self::Registration(registration) => registration.id(),
            Self::OAuth(login) => login.id(),
            Self::Sso(login) => login.id(),
        }
    }

    /// Where the account is or will be.
    pub fn server(&self) -> &ServerUrl {
        match self {
            Self::Registration(registration) => registration.server(),
            Self::OAuth(login) => login.server(),
            Self::Sso(login) => login.server(),
        }
    }

    /// Whether it makes an account, and does not only sign in to one.
    pub fn signs_up(&self) -> bool {
        match self {
            Self::Registration(_) => true,
            Self::OAuth(login) => login.signs_up(),
            Self::Sso(login) => login.signs_up(),
        }
    }

    /// What it was begun with.
    pub fn data(&self) -> &Value {
        match self {
            Self::Registration(registration) => registration.data(),
            Self::OAuth(login) => login.data(),
            Self::Sso(login) => login.data(),
        }
    }

    /// The homeserver's name for how far it has come, if it has one.
    pub fn session(&self) -> Option<&str> {
        match self {
            Self::Registration(registration) => registration.session(),
            Self::OAuth(_) | Self::Sso(_) => None,
        }
    }

    /// The stage that stands for the page where it is done, if it is done on one.
    pub fn stage(&self) -> Option<Stage> {
        match self {
            Self::Registration(_) => None,
            Self::OAuth(_) => Some(Stage::OAuth),
            Self::Sso(_) => Some(Stage::Sso),
        }
    }

    /// Where the browser is to lead back to, if a page is to be opened in one.
    pub fn redirect_uri(&self) -> Option<&str> {
        match self {
            Self::Registration(_) => None,
            Self::OAuth(login) => login.redirect_uri(),
            Self::Sso(login) => Some(login.redirect_uri()),
        }
    }

    /// Leads the browser back here instead, where it has not come back yet.
    #[must_use]
    pub fn with_redirect_uri(self, address: impl Into<String>) -> Self {
        match self {
            Self::Registration(_) => self,
            Self::OAuth(login) => Self::OAuth(Box::new(login.with_redirect_uri(address))),
            Self::Sso(login) => Self::Sso(Box::new(login.with_redirect_uri(address))),
        }
    }
}

impl Machine for PendingAuth {
    type Input = Input;
    type Effect = Effect;
    type Event = Event<Account>;

    fn step(&mut self, cx: &mut StepContext<'_>, input: Input) -> Step<Effect, Event<Account>> {
        match self {
            Self::Registration(registration) => registration.step(cx, input),
            Self::OAuth(login) => login.step(cx, input),
            Self::Sso(login) => login.step(cx, input),
        }
    }
}

impl Conversation for PendingAuth {
    type Output = Account;
}
