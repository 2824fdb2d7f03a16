//! What registering, logging in and resuming share: the server, the runner, the store, the prompts and
//! the browser.

use std::future::ready;

use matricula_api::oauth::ClientMetadata;
use matricula_auth::{
    Answer, Conversation, Discovery, OAuthClient, Prompt, ServerAddress, ServerInfo,
};
use matricula_http::Runner;

use crate::{
    AnswerFuture, CallbackServer, Error, NoStore, PromptHandler, SessionStore,
    callback::WithBrowser, drive,
};

/// The setters that all builders share, documented once.
macro_rules! connection_setters {
    () => {
        /// Sends requests through this runner.
        pub fn runner(mut self, runner: matricula_http::Runner) -> Self {
            self.connection.runner = runner;
            self
        }

        /// Stores the state of the conversation there before its requests are sent; the session then
        /// stores its tokens there. Without a store, the account is lost when the process ends.
        pub fn store(mut self, store: impl $crate::SessionStore + 'static) -> Self {
            self.connection.store = Box::new(store);
            self
        }

        /// Answers the prompts of the server. Without a handler, each is answered with
        /// [`Answer::Unavailable`](matricula_auth::Answer::Unavailable).
        pub fn prompts(mut self, prompts: impl $crate::PromptHandler + Send + 'a) -> Self {
            self.connection.prompts = Box::new(prompts);
            self
        }

        /// If the server has accounts on web pages (OAuth 2.0, single sign-on), opens the page in this
        /// machine's browser and waits for its callback: see
        /// [`CallbackServer`]($crate::CallbackServer). The person enters name and password on the page.
        /// Without the feature `browser`, set an [opener]($crate::CallbackServer::opener), or the
        /// [prompt handler](Self::prompts) is asked to open the page.
        ///
        /// `about` describes this program to the server.
        pub fn in_browser(self, about: matricula_api::oauth::ClientMetadata) -> Self {
            self.in_browser_with(about, |server| server)
        }

        /// Like [`in_browser`](Self::in_browser), with another browser or another timeout.
        pub fn in_browser_with(
            mut self,
            about: matricula_api::oauth::ClientMetadata,
            change: impl FnOnce($crate::CallbackServer) -> $crate::CallbackServer + Send + 'a,
        ) -> Self {
            let redirect = $crate::connection::Redirect::ToThisMachine(Box::new(change));
            self.connection.pages = Some((about, redirect));
            self
        }

        /// If the server has accounts on web pages, the [prompt handler](Self::prompts) opens them
        /// ([`Prompt::OpenPage`](matricula_auth::Prompt::OpenPage)), for example in a chat.
        ///
        /// `redirect_uri` is the address that the page leads back to.
        pub fn redirect_uri(
            mut self,
            about: matricula_api::oauth::ClientMetadata,
            redirect_uri: impl Into<String>,
        ) -> Self {
            let redirect = $crate::connection::Redirect::To(redirect_uri.into());
            self.connection.pages = Some((about, redirect));
            self
        }

        /// Uses the result of an earlier [`Discovery`](matricula_auth::Discovery), which is then not
        /// repeated.
        pub fn server_info(mut self, info: matricula_auth::ServerInfo) -> Self {
            self.connection.server = $crate::connection::Server::Found(Box::new(info));
            self
        }
    };
}
pub(crate) use connection_setters;

/// How a server is reached, and on whose behalf.
pub(crate) struct Connection<'a> {
    pub(crate) server: Server,
    pub(crate) runner: Runner,
    pub(crate) store: Box<dyn SessionStore>,
    pub(crate) prompts: Box<dyn PromptHandler + Send + 'a>,
    pub(crate) pages: Option<(ClientMetadata, Redirect<'a>)>,
    callback: Option<CallbackServer>,
}

pub(crate) enum Server {
    /// As the user typed it.
    Named(String),
    Found(Box<ServerInfo>),
}

/// Where a web page leads back to.
pub(crate) enum Redirect<'a> {
    ToThisMachine(Box<dyn FnOnce(CallbackServer) -> CallbackServer + Send + 'a>),
    To(String),
}

/// What a conversation in a browser is started with.
pub(crate) struct BrowserOptions {
    pub(crate) about: ClientMetadata,
    pub(crate) redirect_uri: String,
    /// The earlier registration of this program at the server.
    pub(crate) client: Option<OAuthClient>,
}

/// Answers every prompt with [`Answer::Unavailable`].
struct NoPerson;

impl PromptHandler for NoPerson {
    fn answer(&mut self, _: &Prompt) -> AnswerFuture {
        Box::pin(ready(Answer::Unavailable))
    }
}

impl<'a> Connection<'a> {
    pub(crate) fn new(server: Server) -> Self {
        Self {
            server,
            runner: Runner::default(),
            store: Box::new(NoStore),
            prompts: Box::new(NoPerson),
            pages: None,
            callback: None,
        }
    }

    /// Runs a conversation; its pages open in the browser if one was configured.
    pub(crate) async fn drive<C>(&mut self, conversation: &mut C) -> Result<C::Output, Error>
    where
        C: Conversation + ?Sized,
        Error: From<C::Error>,
    {
        let mut in_browser;
        let mut prompts: &mut (dyn PromptHandler + Send) = &mut *self.prompts;
        if let Some(browser) = &self.callback {
            in_browser = WithBrowser { browser, prompts };
            prompts = &mut in_browser;
        }
        drive(conversation, &self.runner, &mut *self.store, prompts).await
    }

    /// Finds the server, unless an earlier discovery has.
    pub(crate) async fn discover(&mut self) -> Result<ServerInfo, Error> {
        let address: ServerAddress = match &self.server {
            Server::Found(info) => return Ok((**info).clone()),
            Server::Named(name) => name.parse()?,
        };
        self.drive(&mut Discovery::new(address)).await
    }

    /// Gets ready for pages that open in a browser, if the builder allows them.
    pub(crate) async fn browser(
        &mut self,
        info: &ServerInfo,
    ) -> Result<Option<BrowserOptions>, Error> {
        let Some((about, redirect)) = self.pages.take() else {
            return Ok(None);
        };
        let redirect_uri = match redirect {
            Redirect::To(address) => address,
            Redirect::ToThisMachine(change) => {
                let server = CallbackServer::listen().await.map_err(Error::Browser)?;
                self.callback.insert(change(server)).redirect_uri()
            }
        };
        let client = match &info.oauth_issuer {
            Some(issuer) => self.store.load_oauth_client(issuer)?,
            None => None,
        };
        Ok(Some(BrowserOptions {
            about,
            redirect_uri,
            client,
        }))
    }
}
