//! Logging in to an account in a few lines.

use std::{future::IntoFuture, pin::Pin};

use matricula_api::{UserId, client::login::Login as LoginRequest, oauth::ClientMetadata};
use matricula_auth::{
    Account, Answer, AppserviceLogin, AuthError, AuthMethod, DeviceOptions, Login, LoginError,
    OAuthLogin, PendingAuth, Prompt, ServerError, ServerInfo, SsoLogin, UiaError, normal_user,
};
use matricula_core::Secret;

use crate::{
    Error, Session,
    connection::{BrowserOptions, Connection, Server, connection_setters},
    flow::{AuthConversation, AuthFlow},
    future::boxed,
};

/// Logs in on `server`: a name like `example.org`, an address like `https://matrix.example.org`, or a
/// user ID like `@alice:example.org`, which also names the user.
///
/// The method is the one that the builder names ([password](LoginBuilder::password), [login
/// token](LoginBuilder::token), [any](LoginBuilder::method)), otherwise the one that the server
/// prefers. A password that is missing is asked for with [`Prompt::CurrentPassword`], or with
/// [`Prompt::LoginPassword`] if only the localpart of the user is known.
///
/// ```
/// # use matricula_homeserver::{Config, Server, ServerOptions};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let homeserver = Server::start(ServerOptions::new(Config::default())).await?;
/// # let server = homeserver.url().as_str();
/// # matricula::register(server).username("alice").password("correct horse battery").await?;
/// let session = matricula::login(server)
///     .username("alice")
///     .password("correct horse battery")
///     .device_name("documentation")
///     .await?;
/// assert_eq!(session.account().user_id.localpart(), "alice");
/// # Ok(())
/// # }
/// ```
pub fn login<'a>(server: &str) -> LoginBuilder<'a> {
    let mut login = with_connection(Connection::new(Server::Named(server.to_owned())));
    if server.trim().starts_with('@') {
        login.username = Some(normal_user(server));
    }
    login
}

pub(crate) fn with_connection(connection: Connection<'_>) -> LoginBuilder<'_> {
    LoginBuilder {
        connection,
        method: None,
        username: None,
        password: None,
        token: None,
        service: None,
        device: DeviceOptions::default(),
        is_admin: false,
        account: None,
        about: None,
    }
}

/// A login to be started: `.await` it. See [`login`].
#[must_use = "await it to log in"]
pub struct LoginBuilder<'a> {
    connection: Connection<'a>,
    method: Option<AuthMethod>,
    username: Option<String>,
    password: Option<Secret>,
    token: Option<Secret>,
    /// The token of an application service.
    service: Option<Secret>,
    device: DeviceOptions,
    /// Whether Synapse's admin API is wanted.
    is_admin: bool,
    account: Option<Account>,
    /// What the program says of itself where it needs no browser.
    about: Option<ClientMetadata>,
}

impl<'a> LoginBuilder<'a> {
    connection_setters!();

    /// The user: a user ID like `@alice:example.org`, or its localpart.
    pub fn username(mut self, user: impl Into<String>) -> Self {
        self.username = Some(normal_user(&user.into()));
        self
    }

    /// Logs in with this password.
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Logs in with a [login token](https://spec.matrix.org/v1.19/client-server-api/#token-based-user-login),
    /// which names the user.
    pub fn token(mut self, token: impl Into<Secret>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Logs in as a user of an application service, with the service's `as_token`.
    pub fn as_service(mut self, token: impl Into<Secret>, user: impl Into<String>) -> Self {
        self.service = Some(token.into());
        self.username(user)
    }

    /// Logs in by this method only, instead of the one that the server prefers. A method with a page needs
    /// a [browser](Self::in_browser), a [redirect URI](Self::redirect_uri) or a
    /// [device code](Self::device_code).
    pub fn method(mut self, method: AuthMethod) -> Self {
        self.method = Some(method);
        self
    }

    /// Logs in with a code that the person enters on a page of the OAuth 2.0 server, on any device.
    /// The [prompt handler](Self::prompts) gets the code with
    /// [`Progress::DeviceCode`](matricula_auth::Progress::DeviceCode).
    pub fn device_code(mut self, about: ClientMetadata) -> Self {
        self.about = Some(about);
        self.method(AuthMethod::DeviceCode)
    }

    /// The ID of this device: an earlier session of the device is replaced.
    pub fn device_id(mut self, id: impl Into<String>) -> Self {
        self.device.device_id = Some(id.into());
        self
    }

    /// The name of this device, for people.
    pub fn device_name(mut self, name: impl Into<String>) -> Self {
        self.device.device_name = Some(name.into());
        self
    }

    /// Asks an OAuth 2.0 server for Synapse's admin API too, which it grants to administrators. Sessions by
    /// other methods need not ask.
    pub fn admin(mut self) -> Self {
        self.is_admin = true;
        self
    }

    /// Sets the options of the device at once, and the data to store with the account.
    pub fn device(mut self, device: DeviceOptions) -> Self {
        self.device = device;
        self
    }

    /// Asks for a token that expires, with another that renews it.
    pub fn refresh_token(mut self) -> Self {
        self.device.refresh_token = true;
        self
    }

    /// Logs in to this stored account again: its user, the password if it was generated, and its data.
    /// An account of another server, or of another user than the [named one](Self::username), is ignored.
    pub fn account(mut self, account: Account) -> Self {
        self.account = Some(account);
        self
    }

    /// Finds the server and gets ready, without logging in yet: [`AuthFlow::run`] does.
    ///
    /// # Errors
    /// If the server cannot be found, or the user or the password is not known, or
    /// [`Error::MethodUnavailable`] if the [named method](Self::method) contradicts the other options.
    pub fn start(mut self) -> impl Future<Output = Result<AuthFlow<'a>, Error>> + Send {
        boxed(async move {
            let server = self.connection.discover().await?;
            self.check_method()?;
            let account = self.account.take();
            self.account = account
                .filter(|account| account.server == server.server && self.names(&account.user_id));
            if let Some(account) = &self.account {
                self.username
                    .get_or_insert_with(|| account.user_id.to_string());
                self.device.data = account.data.clone();
            }
            let has_token = self.service.is_some() || self.token.is_some();
            let conversation = match self.chosen(&server) {
                _ if self.service.is_some() => self.by_service(&server)?,
                _ if self.token.is_some() => self.by_token(),
                AuthMethod::Password => self.by_password(&server).await?,
                method => match self.browser(&server, method).await? {
                    Some(browser) => self.on_page(&server, method, browser),
                    None if self.method.is_some() => {
                        let why =
                            "it needs a page, and no browser, redirect URI or device code is set";
                        return Err(Error::MethodUnavailable { method, why });
                    }
                    // The error names what the server offers.
                    None => self.by_password(&server).await?,
                },
            };
            let is_on_page = matches!(conversation, AuthConversation::Pending(_));
            Ok(AuthFlow {
                connection: self.connection,
                server,
                conversation,
                is_without_password: has_token || is_on_page,
            })
        })
    }

    /// A login token and an application service's token are methods of their own.
    fn check_method(&self) -> Result<(), Error> {
        let Some(method) = self.method else {
            return Ok(());
        };
        let why = if self.service.is_some() {
            "the token of an application service is given, which is another method"
        } else if self.token.is_some() {
            "a login token is given, which is another method"
        } else {
            return Ok(());
        };
        Err(Error::MethodUnavailable { method, why })
    }

    /// Whether the user of this login is this one; without a name, it is any. Servers lower-case names.
    fn names(&self, user_id: &UserId) -> bool {
        let is_name = |name: &str| {
            let ids = [user_id.localpart(), user_id.as_str()];
            ids.iter().any(|id| id.eq_ignore_ascii_case(name))
        };
        self.username.as_deref().is_none_or(is_name)
    }

    /// The method that was named, else the one that a known password allows, else the server's.
    fn chosen(&self, server: &ServerInfo) -> AuthMethod {
        let has_password = self.password.is_some() || self.generated_password().is_some();
        match self.method {
            Some(method) => method,
            None if has_password => AuthMethod::Password,
            None => server.login_method().0,
        }
    }

    fn generated_password(&self) -> Option<&Secret> {
        self.account.as_ref()?.password.as_ref()
    }

    fn user(&self) -> Result<String, Error> {
        self.username.clone().ok_or(Error::NoUser)
    }

    /// The user, if the whole user ID is known.
    fn user_id(&self) -> Option<UserId> {
        match &self.account {
            Some(account) => Some(account.user_id.clone()),
            None => self.username.as_deref()?.parse().ok(),
        }
    }

    async fn by_password(&mut self, server: &ServerInfo) -> Result<AuthConversation, Error> {
        let user = self.user()?;
        let generated = self.generated_password().cloned();
        let password = match self.password.take().or_else(|| generated.clone()) {
            Some(password) => password,
            None => self.ask_for_password(server, &user).await?,
        };
        let device = self.device.clone();
        let mut login = Login::new(server, user, password.clone()).device(device);
        if generated.is_some_and(|generated| generated == password) {
            login = login.generated_password(password);
        }
        Ok(AuthConversation::direct(login))
    }

    async fn ask_for_password(&mut self, server: &ServerInfo, user: &str) -> Result<Secret, Error> {
        let user_id: Option<UserId> = match &self.account {
            Some(account) => Some(account.user_id.clone()),
            None if user.starts_with('@') => Some(user.parse()?),
            // The name of the server may differ from the host of its address.
            None => None,
        };
        let (server, user) = (server.server.clone(), user.to_owned());
        let prompt = match user_id.clone() {
            Some(user_id) => Prompt::CurrentPassword { user_id, why: None },
            None => Prompt::LoginPassword {
                user: user.clone(),
                server: server.clone(),
                why: None,
            },
        };
        match (self.connection.prompts.answer(&prompt).await, user_id) {
            (Answer::Text(password), _) => Ok(password),
            (Answer::No, _) => Err(AuthError::Server(ServerError::Cancelled).into()),
            (_, Some(user_id)) => {
                Err(AuthError::Uia(UiaError::PasswordNeeded { server, user_id }).into())
            }
            (_, None) => Err(LoginError::PasswordNeeded { server, user }.into()),
        }
    }

    fn by_token(&mut self) -> AuthConversation {
        let mut request = LoginRequest::new("m.login.token");
        let device = self.device.clone();
        request.token = self.token.take();
        request.device_id = device.device_id;
        request.initial_device_display_name = device.device_name;
        request.refresh_token = device.refresh_token.then_some(true);
        AuthConversation::LoginToken(Box::new(request), device.data)
    }

    fn by_service(&mut self, server: &ServerInfo) -> Result<AuthConversation, Error> {
        let (token, user) = (self.service.take().unwrap_or_default(), self.user()?);
        let login = AppserviceLogin::new(server, token, user).device(self.device.clone());
        Ok(AuthConversation::direct(login))
    }

    /// What pages need, if the builder allows pages. A device code needs no callback.
    async fn browser(
        &mut self,
        server: &ServerInfo,
        method: AuthMethod,
    ) -> Result<Option<BrowserOptions>, Error> {
        if method == AuthMethod::DeviceCode
            && let Some(about) = self.about.take()
        {
            let redirect = crate::connection::Redirect::To(String::new());
            self.connection.pages = Some((about, redirect));
        }
        self.connection.browser(server).await
    }

    fn on_page(
        &self,
        server: &ServerInfo,
        method: AuthMethod,
        browser: BrowserOptions,
    ) -> AuthConversation {
        let (about, device) = (browser.about, self.device.clone());
        let mut login = match method {
            AuthMethod::Sso => {
                let login = SsoLogin::new(server, browser.redirect_uri).device(device);
                return AuthConversation::Pending(Box::new(PendingAuth::Sso(Box::new(login))));
            }
            AuthMethod::DeviceCode => OAuthLogin::device_code(server, about),
            _ => OAuthLogin::browser(server, about, browser.redirect_uri),
        };
        login = login.device(device).admin(self.is_admin);
        if let Some(user_id) = self.user_id() {
            login = login.login_hint(user_id);
        }
        if let Some(client) = browser.client {
            login = login.client(client);
        }
        AuthConversation::Pending(Box::new(PendingAuth::OAuth(Box::new(login))))
    }
}

impl<'a> IntoFuture for LoginBuilder<'a> {
    type Output = Result<Session, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.start().await?.into_session().await })
    }
}
