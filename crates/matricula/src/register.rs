//! Registering in a few lines.

use std::{future::IntoFuture, pin::Pin};

use matricula_api::oauth::ClientMetadata;
use matricula_auth::{
    Account, AccountKind, Answer, AppserviceRegistration, Discovery, Guest, OAuthClient, Prompt,
    RegistrationOptions, ServerAddress, ServerInfo, SignUp,
};
use matricula_core::Secret;
use matricula_http::Runner;

use crate::{
    CallbackServer, Error, NoStore, PromptHandler, Session, SessionStore, callback::WithBrowser,
    drive,
};

/// Makes an account on `server`: a name like `example.org`, or an address like
/// `https://matrix.example.org`.
///
/// Nothing is kept and nobody is asked unless you say so: [`Register::store`],
/// [`Register::prompts`].
pub fn register(server: &str) -> Register<'_> {
    Register {
        server,
        wishes: RegistrationOptions::default(),
        runner: Runner::default(),
        keeper: Box::new(NoStore),
        person: Box::new(|_: &Prompt| Answer::Unavailable),
        page: None,
        way: Way::Stranger,
    }
}

/// Makes a user of a guest: under the same user id, with a password, on a new device.
///
/// The guest's session is over once it is done. What is said of [`register`] holds here too.
///
/// # Errors
/// [`AuthError::NotAGuest`](matricula_auth::AuthError::NotAGuest) where the account is a user's, or has no session.
pub fn upgrade(guest: &Account) -> Result<Register<'_>, Error> {
    let mut upgrade = register(guest.server.as_str());
    upgrade.wishes.upgrade = Some(Guest::of(guest)?);
    upgrade.wishes.device.data = guest.data.clone();
    Ok(upgrade)
}

/// A registration about to begin: `.await` it. See [`register`].
#[must_use = "await it to register"]
pub struct Register<'a> {
    server: &'a str,
    wishes: RegistrationOptions,
    runner: Runner,
    keeper: Box<dyn SessionStore + Send>,
    person: Box<dyn PromptHandler + Send + 'a>,
    page: Option<(ClientMetadata, Back<'a>)>,
    way: Way,
}

/// Who asks for the account.
enum Way {
    Stranger,
    /// An application service, with its token.
    Service(Secret),
    /// Whoever runs the server, with the secret that it shares.
    #[cfg(feature = "admin")]
    Runs {
        secret: Secret,
        is_admin: bool,
    },
}

/// Where a page leads back to.
enum Back<'a> {
    ToThisMachine(Box<dyn FnOnce(CallbackServer) -> CallbackServer + Send + 'a>),
    To(String),
}

impl<'a> Register<'a> {
    /// The name wished for; without one the server picks one. The server may change it: look at
    /// [`Account::user_id`](matricula_auth::Account::user_id).
    pub fn username(mut self, name: impl Into<String>) -> Self {
        self.wishes.username = Some(name.into());
        self
    }

    /// The password; without one a strong one is made, and is in
    /// [`Account::password`](matricula_auth::Account::password).
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.wishes.password = Some(password.into());
        self
    }

    /// The registration token that the server's administrators hand out.
    pub fn token(mut self, token: impl Into<Secret>) -> Self {
        self.wishes.token = Some(token.into());
        self
    }

    /// The email address that the account is to have. The server writes to it; whoever is
    /// [asked](Register::prompts) hears of it with
    /// [`Prompt::FollowLink`](matricula_auth::Prompt::FollowLink).
    pub fn email(mut self, address: impl Into<String>) -> Self {
        self.wishes.email = Some(address.into());
        self
    }

    /// Accepts whatever terms the server has.
    pub fn accept_terms(mut self) -> Self {
        self.wishes.accept_terms = true;
        self
    }

    /// Registers a guest.
    pub fn guest(mut self) -> Self {
        self.wishes.kind = AccountKind::Guest;
        self
    }

    /// All wishes at once.
    pub fn options(mut self, wishes: RegistrationOptions) -> Self {
        self.wishes = wishes;
        self
    }

    /// Registers a user of an application service, with the `as_token` of the service. The name must be
    /// in its namespace.
    ///
    /// Some servers give such users no session: then the account has no token, and the service
    /// [acts as](matricula_api::masquerade_as) the user with its own.
    pub fn as_service(mut self, token: impl Into<Secret>, username: impl Into<String>) -> Self {
        self.way = Way::Service(token.into());
        self.username(username)
    }

    /// Registers with the secret that Synapse and Dendrite share with whoever runs them, on a server
    /// that is open or closed. Of the wishes, the name and the password count.
    #[cfg(feature = "admin")]
    pub fn by_shared_secret(
        mut self,
        secret: impl Into<Secret>,
        username: impl Into<String>,
    ) -> Self {
        self.way = Way::Runs {
            secret: secret.into(),
            is_admin: false,
        };
        self.username(username)
    }

    /// Makes the account an administrator's, where it is made [with the shared
    /// secret](Self::by_shared_secret); nobody else can have one made.
    #[cfg(feature = "admin")]
    pub fn admin(mut self) -> Self {
        if let Way::Runs { is_admin, .. } = &mut self.way {
            *is_admin = true;
        }
        self
    }

    /// Stores there what must not be lost, before it is sent; the session then keeps its tokens there.
    pub fn store(mut self, keeper: impl SessionStore + Send + 'static) -> Self {
        self.keeper = Box::new(keeper);
        self
    }

    /// Asks there what only a person can say.
    pub fn prompts(mut self, person: impl PromptHandler + Send + 'a) -> Self {
        self.person = Box::new(person);
        self
    }

    /// Where the server makes accounts on a page, opens it in this machine's browser and waits until
    /// it leads back: see [`CallbackServer`]. Name and password are chosen on the page.
    ///
    /// `about` is what the program says of itself to the server.
    pub fn in_browser(self, about: ClientMetadata) -> Self {
        self.in_browser_with(about, |browser| browser)
    }

    /// The same, with a browser that is opened in another way or waited for longer.
    pub fn in_browser_with(
        mut self,
        about: ClientMetadata,
        change: impl FnOnce(CallbackServer) -> CallbackServer + Send + 'a,
    ) -> Self {
        self.page = Some((about, Back::ToThisMachine(Box::new(change))));
        self
    }

    /// Where the server makes accounts on a page, asks the person of [`Register::prompts`] to [open
    /// it](Prompt::OpenPage), with a browser of yours, on a web page or in a chat.
    ///
    /// `redirect_uri` is where it leads back to, such as an address of your own.
    pub fn redirect_uri(mut self, about: ClientMetadata, redirect_uri: impl Into<String>) -> Self {
        self.page = Some((about, Back::To(redirect_uri.into())));
        self
    }

    /// Sends requests through this runner.
    pub fn runner(mut self, runner: Runner) -> Self {
        self.runner = runner;
        self
    }

    async fn run(mut self) -> Result<Session, Error> {
        let address: ServerAddress = self.server.parse()?;
        let mut discovery = Discovery::new(address);
        let facts = drive(
            &mut discovery,
            &self.runner,
            &mut *self.keeper,
            &mut *self.person,
        )
        .await?;
        let account = match &self.way {
            Way::Stranger => return self.of_stranger(&facts).await,
            Way::Service(token) => {
                let mut service = service_registration(&facts, token, &self.wishes);
                let (keeper, person) = (&mut *self.keeper, &mut *self.person);
                drive(&mut service, &self.runner, keeper, person).await?
            }
            #[cfg(feature = "admin")]
            Way::Runs { secret, is_admin } => {
                let mut by_secret = secret_registration(&facts, secret, *is_admin, &self.wishes);
                let (keeper, person) = (&mut *self.keeper, &mut *self.person);
                drive(&mut by_secret, &self.runner, keeper, person).await?
            }
        };
        Ok(Session::kept_in(account, self.runner, self.keeper))
    }

    async fn of_stranger(mut self, facts: &ServerInfo) -> Result<Session, Error> {
        let mut sign_up = SignUp::new(facts, self.wishes);
        let mut browser = None;
        if let Some((about, back)) = self.page {
            let redirect_uri = match back {
                Back::To(address) => address,
                Back::ToThisMachine(change) => {
                    let listening = CallbackServer::listen().await.map_err(Error::Browser)?;
                    browser.insert(change(listening)).redirect_uri()
                }
            };
            sign_up = sign_up.browser(about, redirect_uri);
            if let Some(client) = kept_client(facts, &*self.keeper)? {
                sign_up = sign_up.client(client);
            }
        }
        let person: &mut (dyn PromptHandler + Send) = &mut *self.person;
        let account = match &browser {
            Some(browser) => {
                let mut person = WithBrowser {
                    browser,
                    prompts: person,
                };
                drive(&mut sign_up, &self.runner, &mut *self.keeper, &mut person).await?
            }
            None => drive(&mut sign_up, &self.runner, &mut *self.keeper, person).await?,
        };
        Ok(Session::kept_in(account, self.runner, self.keeper))
    }
}

fn service_registration(
    facts: &ServerInfo,
    token: &Secret,
    wishes: &RegistrationOptions,
) -> AppserviceRegistration {
    let name = wishes.username.clone().unwrap_or_default();
    let registration =
        AppserviceRegistration::new(facts, token.clone(), name).device(wishes.device.clone());
    if wishes.inhibit_login {
        registration.inhibit_login(true)
    } else {
        registration
    }
}

#[cfg(feature = "admin")]
fn secret_registration(
    facts: &ServerInfo,
    secret: &Secret,
    is_admin: bool,
    wishes: &RegistrationOptions,
) -> matricula_admin::SharedSecretRegistration {
    let name = wishes.username.clone().unwrap_or_default();
    let registration =
        matricula_admin::SharedSecretRegistration::new(facts, secret.clone(), name).admin(is_admin);
    match &wishes.password {
        Some(password) => registration.password(password.clone()),
        None => registration,
    }
}

/// What the server's OAuth 2.0 server named this program before.
fn kept_client(
    facts: &ServerInfo,
    keeper: &dyn SessionStore,
) -> Result<Option<OAuthClient>, Error> {
    match &facts.oauth_issuer {
        Some(issuer) => Ok(keeper.oauth_client(issuer)?),
        None => Ok(None),
    }
}

impl<'a> IntoFuture for Register<'a> {
    type Output = Result<Session, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
