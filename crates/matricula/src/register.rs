//! Registering an account in a few lines.

use std::{future::IntoFuture, pin::Pin};

use matricula_auth::{
    Account, AccountKind, AppserviceError, AppserviceRegistration, AuthError, AuthMethod, Guest,
    PendingAuth, RegistrationOptions, ServerAddress, ServerInfo, SignUp, is_same_server,
    split_username,
};
use matricula_core::{Secret, ServerUrl};
use serde_json::Value;

use crate::{
    Error, Session,
    connection::{Connection, Server, connection_setters},
    flow::{self, AuthConversation, AuthFlow},
    future::boxed,
    login,
};

/// Registers an account on `server`: a name like `example.org`, or an address like
/// `https://matrix.example.org`.
///
/// Without a [store](RegisterBuilder::store) the account is lost when the process ends; without a
/// [prompt handler](RegisterBuilder::prompts) registration fails if the server asks for more than
/// the builder says.
///
/// ```
/// # use matricula_homeserver::{Config, Server, ServerOptions};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let homeserver = Server::start(ServerOptions::new(Config::default())).await?;
/// # let server = homeserver.url().as_str();
/// let session = matricula::register(server).username("alice").await?;
/// assert_eq!(session.account().user_id.localpart(), "alice");
/// # Ok(())
/// # }
/// ```
pub fn register<'a>(server: &str) -> RegisterBuilder<'a> {
    RegisterBuilder {
        connection: Connection::new(Server::Named(server.to_owned())),
        options: RegistrationOptions::default(),
        method: None,
        registrant: Registrant::Anyone,
    }
}

/// Upgrades a guest to a user: the same user ID, with a password, on a new device.
///
/// The guest's session ends with the upgrade. Everything said of [`register`] applies.
///
/// # Errors
/// [`RegisterError::NotAGuest`](matricula_auth::RegisterError::NotAGuest) if the account is not a guest's, or
/// has no session.
pub fn upgrade<'a>(guest: &Account) -> Result<RegisterBuilder<'a>, Error> {
    let mut upgrade = register(guest.server.as_str());
    upgrade.options.upgrade = Some(Guest::of(guest)?);
    upgrade.options.device.data = guest.data.clone();
    Ok(upgrade)
}

/// A registration to be started: `.await` it. See [`register`].
#[must_use = "await it to register"]
pub struct RegisterBuilder<'a> {
    connection: Connection<'a>,
    options: RegistrationOptions,
    method: Option<AuthMethod>,
    registrant: Registrant,
}

/// Who asks for the account.
enum Registrant {
    Anyone,
    /// An application service, with its token.
    Appservice(Secret),
    /// An administrator, with the secret that the server's configuration contains.
    #[cfg(feature = "admin")]
    Administrator {
        secret: Secret,
        makes_admin: bool,
    },
}

impl<'a> RegisterBuilder<'a> {
    connection_setters!();

    /// The user name, also with `@` and the server: `@alice:example.org`. Without one the server picks one.
    /// The server may change it: see [`Account::user_id`](matricula_auth::Account::user_id).
    pub fn username(mut self, name: impl Into<String>) -> Self {
        self.options.username = Some(name.into());
        self
    }

    /// The password; without one a strong one is generated, and stored in
    /// [`Account::password`](matricula_auth::Account::password).
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.options.password = Some(password.into());
        self
    }

    /// The registration token that the server's administrators hand out.
    pub fn token(mut self, token: impl Into<Secret>) -> Self {
        self.options.token = Some(token.into());
        self
    }

    /// The email address of the account. The server sends a message to it, and the [prompt
    /// handler](Self::prompts) is asked with
    /// [`Prompt::FollowLink`](matricula_auth::Prompt::FollowLink).
    pub fn email(mut self, address: impl Into<String>) -> Self {
        self.options.email = Some(address.into());
        self
    }

    /// Accepts all terms of the server.
    pub fn accept_terms(mut self) -> Self {
        self.options.accept_terms = true;
        self
    }

    /// Registers a guest.
    pub fn guest(mut self) -> Self {
        self.options.kind = AccountKind::Guest;
        self
    }

    /// Sets all options at once.
    pub fn options(mut self, options: RegistrationOptions) -> Self {
        self.options = options;
        self
    }

    /// Registers by this method only, instead of the one that the server prefers. A method with a page
    /// needs a [browser](Self::in_browser) or a [redirect URI](Self::redirect_uri).
    pub fn method(mut self, method: AuthMethod) -> Self {
        self.method = Some(method);
        self
    }

    /// Stores this with the account, in [`Account::data`](matricula_auth::Account::data).
    pub fn data(mut self, data: Value) -> Self {
        self.options.device.data = data;
        self
    }

    /// Registers a user of an application service, with the service's `as_token`. The name must be in
    /// its namespace.
    ///
    /// Some servers give such users no session: then the account has no token, and the service
    /// [acts as](matricula_api::masquerade_as) the user with its own token.
    pub fn as_service(mut self, token: impl Into<Secret>, username: impl Into<String>) -> Self {
        self.registrant = Registrant::Appservice(token.into());
        self.username(username)
    }

    /// Registers with the shared secret of the configuration of Synapse or Dendrite, even if
    /// registration is closed. Of the other options only the name and the password are used.
    #[cfg(feature = "admin")]
    pub fn by_shared_secret(
        mut self,
        secret: impl Into<Secret>,
        username: impl Into<String>,
    ) -> Self {
        self.registrant = Registrant::Administrator {
            secret: secret.into(),
            makes_admin: false,
        };
        self.username(username)
    }

    /// Makes the new account a server administrator. It needs [`by_shared_secret`](Self::by_shared_secret).
    #[cfg(feature = "admin")]
    pub fn admin(mut self) -> Self {
        if let Registrant::Administrator { makes_admin, .. } = &mut self.registrant {
            *makes_admin = true;
        }
        self
    }

    /// Finds the server and gets ready, without registering yet: [`AuthFlow::run`] does.
    ///
    /// # Errors
    /// If the server cannot be found.
    pub fn start(mut self) -> impl Future<Output = Result<AuthFlow<'a>, Error>> + Send {
        boxed(async move {
            let server = self.connection.discover().await?;
            let conversation = match self.registrant {
                Registrant::Anyone => {
                    let mut sign_up = SignUp::new(&server, self.options);
                    if let Some(method) = self.method {
                        sign_up = sign_up.method(method);
                    }
                    if let Some(browser) = self.connection.browser(&server).await? {
                        sign_up = sign_up.browser(browser.about, browser.redirect_uri);
                        if let Some(client) = browser.client {
                            sign_up = sign_up.client(client);
                        }
                    }
                    AuthConversation::SignUp(Box::new(sign_up))
                }
                Registrant::Appservice(token) => {
                    let name = self.options.username.unwrap_or_default();
                    let registration = AppserviceRegistration::new(&server, token, name)
                        .device(self.options.device)
                        .inhibit_login(self.options.inhibit_login);
                    AuthConversation::direct(registration)
                }
                #[cfg(feature = "admin")]
                Registrant::Administrator {
                    secret,
                    makes_admin,
                } => {
                    let registration =
                        shared_secret_registration(&server, secret, makes_admin, &self.options);
                    AuthConversation::direct(registration)
                }
            };
            Ok(AuthFlow {
                connection: self.connection,
                server,
                conversation,
                is_without_password: false,
            })
        })
    }

    /// Opens the stored account of this name on this server, or registers it if there is none. Without
    /// a [name](Self::username), the first stored account on the server. The case of the letters A to Z in
    /// the name does not matter: servers lower-case it.
    ///
    /// A registration of a user opens users only, and one of a guest opens guests with a session only. An
    /// upgrade opens the user that the guest has become.
    ///
    /// A stored account that is signed out logs in again, with the given password or the generated one, or
    /// with the [application service's token](Self::as_service). If the server gives the users of the
    /// service no sessions, the account is opened without one. A
    /// registration of this name that was interrupted is resumed with its stored options; of the options
    /// given here, it takes the token and the acceptance of the terms.
    ///
    /// ```
    /// # use matricula_homeserver::{Config, Server, ServerOptions};
    /// use matricula::AccountStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let homeserver = Server::start(ServerOptions::new(Config::default())).await?;
    /// # let server = homeserver.url().as_str();
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path();
    /// // The first start of a bot registers its account, and all others open it.
    /// for _ in 0..2 {
    ///     let bot = matricula::register(server)
    ///         .username("bot")
    ///         .store(AccountStore::new(dir))
    ///         .open_or_register()
    ///         .await?;
    ///     println!("{}", bot.account().user_id);
    /// }
    /// assert_eq!(AccountStore::new(dir).accounts()?.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for registering and logging in.
    pub fn open_or_register(mut self) -> impl Future<Output = Result<Session, Error>> + Send {
        boxed(async move {
            let Some(account) = self.stored_account().await? else {
                let Some(pending) = self.pending_registration().await? else {
                    return self.await;
                };
                let answers = RegistrationOptions {
                    token: self.options.token,
                    accept_terms: self.options.accept_terms,
                    ..RegistrationOptions::default()
                };
                let resumed = flow::with_connection(self.connection, pending);
                return resumed.answers(answers).await;
            };
            if account.access_token.is_some() {
                let Connection { runner, store, .. } = self.connection;
                return Ok(Session::with_store(account, runner, store));
            }
            self.log_in(account).await
        })
    }

    /// Logs in to a stored account without a session.
    async fn log_in(self, account: Account) -> Result<Session, Error> {
        let mut login = login::with_connection(self.connection)
            .device(self.options.device)
            .account(account.clone());
        if let Some(password) = self.options.password {
            login = login.password(password);
        }
        let Registrant::Appservice(token) = self.registrant else {
            return login.await;
        };
        let login = login.as_service(token, account.user_id.as_str());
        let mut flow = login.start().await?;
        let has_sessions = !self.options.inhibit_login && gives_services_sessions(flow.server());
        let account = if has_sessions {
            match flow.run().await {
                Err(Error::Auth(AuthError::Appservice(AppserviceError::NoServiceLogin {
                    ..
                }))) => account,
                result => result?,
            }
        } else {
            account
        };
        let Connection { runner, store, .. } = flow.connection;
        Ok(Session::with_store(account, runner, store))
    }

    /// The stored account that these options mean.
    async fn stored_account(&mut self) -> Result<Option<Account>, Error> {
        let mut accounts = self.connection.store.load_all()?;
        accounts.retain(|account| self.is_meant(account));
        if let Some((name, _)) = self.named() {
            accounts.sort_by_key(|account| account.user_id.localpart() != name);
        }
        if accounts.is_empty() {
            return Ok(None);
        }
        if let Server::Named(name) = &self.connection.server
            && let ServerAddress::Name(url) = name.parse()?
        {
            // The name in the user ID is enough: no request is needed.
            let of_server = |account: &Account| account.user_id.server_name() == url.host();
            if let Some(at) = accounts.iter().position(of_server) {
                return Ok(Some(accounts.swap_remove(at)));
            }
        }
        let server = self.discover().await?;
        let of_server = |account: &Account| account.server == server;
        Ok(accounts.into_iter().find(of_server))
    }

    /// Whether these options mean this account, if it is on the server.
    fn is_meant(&self, account: &Account) -> bool {
        let options = &self.options;
        if let Some(guest) = &options.upgrade {
            return account.user_id == *guest.user_id() && !account.is_guest;
        }
        let is_kind = match options.kind {
            // A guest has no password: one that is signed out cannot log in again.
            AccountKind::Guest => account.is_guest && account.access_token.is_some(),
            _ => !account.is_guest,
        };
        let is_named = |(name, server): (&str, Option<&str>)| {
            let user_id = &account.user_id;
            // Servers lower-case usernames.
            name.eq_ignore_ascii_case(user_id.localpart())
                && server.is_none_or(|server| is_same_server(server, user_id.server_name()))
        };
        is_kind && self.named().is_none_or(is_named)
    }

    /// The wished username, and the server that was written with it.
    fn named(&self) -> Option<(&str, Option<&str>)> {
        self.options.username.as_deref().map(split_username)
    }

    /// The interrupted registration that these options mean. Without it, the same name would be
    /// registered again, and refused if the server has processed the first request.
    async fn pending_registration(&mut self) -> Result<Option<PendingAuth>, Error> {
        if !matches!(self.registrant, Registrant::Anyone) {
            return Ok(None);
        }
        // An upgrade has the guest's name.
        let name = match &self.options.upgrade {
            Some(guest) => guest.user_id().localpart().to_owned(),
            None => self.named().unwrap_or_default().0.to_owned(),
        };
        let mut pending = self.connection.store.load_registrations()?;
        pending.retain(|registration| {
            registration.kind() == self.options.kind
                && registration.username().eq_ignore_ascii_case(&name)
        });
        if pending.is_empty() {
            return Ok(None);
        }
        let server = self.discover().await?;
        let mut pending = pending.into_iter();
        let found = pending.find(|registration| *registration.server() == server);
        Ok(found.map(|registration| PendingAuth::Registration(Box::new(registration))))
    }

    /// Finds the server, once.
    async fn discover(&mut self) -> Result<ServerUrl, Error> {
        let info = self.connection.discover().await?;
        let server = info.server.clone();
        self.connection.server = Server::Found(Box::new(info));
        Ok(server)
    }
}

/// Whether the users of application services can have sessions on this server, as far as it says.
fn gives_services_sessions(server: &ServerInfo) -> bool {
    let mut flows = server.login_flows.iter();
    server.oauth_issuer.is_none() || flows.any(|flow| flow.kind == "m.login.application_service")
}

#[cfg(feature = "admin")]
fn shared_secret_registration(
    server: &ServerInfo,
    secret: Secret,
    makes_admin: bool,
    options: &RegistrationOptions,
) -> matricula_admin::SharedSecretRegistration {
    let name = options.username.clone().unwrap_or_default();
    let registration =
        matricula_admin::SharedSecretRegistration::new(server, secret, name).admin(makes_admin);
    match &options.password {
        Some(password) => registration.password(password.clone()),
        None => registration,
    }
}

impl<'a> IntoFuture for RegisterBuilder<'a> {
    type Output = Result<Session, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.start().await?.into_session().await })
    }
}
