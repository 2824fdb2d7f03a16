//! Registering in a few lines.

use std::{future::IntoFuture, pin::Pin};

use matricula_auth::{
    Discovery, Question, Registration, Reply, ServerAddress, Wishes, registration::AccountKind,
};
use matricula_http::Runner;
use matricula_job::Secret;

use crate::{Client, Error, Forgetful, Keeper, Person, drive};

/// Makes an account on `server`: a name like `example.org`, or an address like
/// `https://matrix.example.org`.
///
/// Nothing is kept and nobody is asked unless you say so: [`Register::keep_in`],
/// [`Register::ask`].
pub fn register(server: &str) -> Register<'_> {
    Register {
        server,
        wishes: Wishes::default(),
        runner: Runner::default(),
        keeper: Box::new(Forgetful),
        person: Box::new(|_: &Question| Reply::Nobody),
    }
}

/// A registration about to begin: `.await` it. See [`register`].
#[must_use = "await it to register"]
pub struct Register<'a> {
    server: &'a str,
    wishes: Wishes,
    runner: Runner,
    keeper: Box<dyn Keeper + Send + 'a>,
    person: Box<dyn Person + Send + 'a>,
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
    pub fn wishes(mut self, wishes: Wishes) -> Self {
        self.wishes = wishes;
        self
    }

    /// Stores there what must not be lost, before it is sent.
    pub fn keep_in(mut self, keeper: impl Keeper + Send + 'a) -> Self {
        self.keeper = Box::new(keeper);
        self
    }

    /// Asks there what only a person can say.
    pub fn ask(mut self, person: impl Person + Send + 'a) -> Self {
        self.person = Box::new(person);
        self
    }

    /// Sends requests through this runner.
    pub fn over(mut self, runner: Runner) -> Self {
        self.runner = runner;
        self
    }

    async fn run(mut self) -> Result<Client, Error> {
        let address: ServerAddress = self.server.parse()?;
        let mut discovery = Discovery::new(address);
        let facts = drive(
            &mut discovery,
            &self.runner,
            &mut *self.keeper,
            &mut *self.person,
        )
        .await?;
        let mut registration = Registration::new(&facts, self.wishes);
        let account = drive(
            &mut registration,
            &self.runner,
            &mut *self.keeper,
            &mut *self.person,
        )
        .await?;
        Ok(Client::new(account, self.runner))
    }
}

impl<'a> IntoFuture for Register<'a> {
    type Output = Result<Client, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
