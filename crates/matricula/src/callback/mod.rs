//! The browser of this machine: a page is opened in it, and it is led back to a loopback address.

mod listener;
mod request;
mod response;
mod routes;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use matricula_auth::{Answer, Progress, Prompt};
use matricula_core::{Entropy, Secret, Timestamp, scheduler::WaitReason};
use matricula_http::SystemEntropy;
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};

use crate::{AnswerFuture, PromptHandler};
use routes::{CallbackRoutes, PendingPage};

/// How long a person may take on a page: signing up can mean to look for a message first.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

type Open = dyn Fn(&str) -> io::Result<()> + Send + Sync;

/// Opens pages in this machine's browser, and listens on a loopback port for where they lead back to.
///
/// It answers [`Prompt::OpenPage`], for a conversation that was begun with [its
/// address](CallbackServer::redirect_uri). One listener serves for all pages of a conversation; it stops
/// when this is dropped.
///
/// What it takes in has bounds: requests of 16 KiB, 10 s each, 500 of them. Only the address that
/// holds what the page was opened with is an answer; whatever else comes there, from the browser
/// itself or from other sites, is turned away and changes nothing.
pub struct CallbackServer {
    address: SocketAddr,
    routes: Arc<Mutex<CallbackRoutes>>,
    open: Arc<Open>,
    patience: Duration,
    /// Ends with this value.
    _listening: JoinSet<()>,
}

impl CallbackServer {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Where the system lets nobody listen there.
    pub async fn listen() -> io::Result<Self> {
        Self::listen_on(0).await
    }

    /// Listens where an earlier process did, so that a page that was left open still leads back;
    /// where somebody else is there now, on a free port.
    ///
    /// # Errors
    /// Where the system lets nobody listen on 127.0.0.1.
    pub async fn listen_again(redirect_uri: &str) -> io::Result<Self> {
        match port_of(redirect_uri) {
            Some(port) => match Self::listen_on(port).await {
                Ok(browser) => Ok(browser),
                Err(_) => Self::listen().await,
            },
            None => Self::listen().await,
        }
    }

    async fn listen_on(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let routes = Arc::new(Mutex::new(CallbackRoutes::new(address.port())));
        let mut listening = JoinSet::new();
        listening.spawn(listener::serve(listener, Arc::clone(&routes)));
        Ok(Self {
            address,
            routes,
            open: Arc::new(webbrowser::open),
            patience: PATIENCE,
            _listening: listening,
        })
    }

    /// Opens pages in this way instead of in the browser that the system or `$BROWSER` names.
    ///
    /// What it is handed is an http address. It may block until the browser is closed.
    #[must_use]
    pub fn opener(mut self, open: impl Fn(&str) -> io::Result<()> + Send + Sync + 'static) -> Self {
        self.open = Arc::new(open);
        self
    }

    /// Waits this long for an answer, instead of half an hour.
    #[must_use]
    pub fn timeout(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Where pages are to lead back to: `http://127.0.0.1:PORT/`.
    pub fn redirect_uri(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// How long it waits for an answer.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Waits at the listener for the answer to this page. `state` is what the answer must hold.
    ///
    /// Nothing is opened: [`PendingCallback::open`] does.
    ///
    /// # Errors
    /// Where the page is not on the web.
    pub fn expect(&self, page: Secret, state: Secret) -> io::Result<PendingCallback> {
        let is_web = |page: &str| page.starts_with("https://") || page.starts_with("http://");
        if !is_web(page.expose()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "only web pages are opened",
            ));
        }
        let (tell, told) = oneshot::channel();
        let open_path = SystemEntropy.text(b"abcdefghijkmnpqrstuvwxyz23456789", 26);
        let start = format!("http://{}{}{open_path}", self.address, routes::OPEN_PATH);
        lock(&self.routes).expect(PendingPage::new(page, state, open_path, tell));
        Ok(PendingCallback {
            start,
            open: Arc::clone(&self.open),
            routes: Arc::clone(&self.routes),
            patience: self.patience,
            told,
        })
    }

    /// Answers a question to open a page, by opening it; `None` where it is another question.
    pub fn answer(&self, question: &Prompt) -> Option<AnswerFuture> {
        let Prompt::OpenPage { url, state, .. } = question else {
            return None;
        };
        let expected = self.expect(url.clone(), state.clone());
        Some(Box::pin(async move {
            match expected {
                Ok(expected) if expected.open().await.is_ok() => expected.answer().await,
                _ => Answer::Unavailable,
            }
        }))
    }
}

impl std::fmt::Debug for CallbackServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Browser")
            .field("address", &self.address)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

/// An answer that is waited for.
#[must_use = "open the page, and wait for the answer"]
pub struct PendingCallback {
    start: String,
    open: Arc<Open>,
    routes: Arc<Mutex<CallbackRoutes>>,
    patience: Duration,
    told: oneshot::Receiver<Secret>,
}

impl PendingCallback {
    /// An address of the listener that leads on to the page, once. It holds nothing secret: other
    /// users of the machine see what programs are started with.
    pub fn start(&self) -> &str {
        &self.start
    }

    /// Opens the page in a browser.
    ///
    /// # Errors
    /// Where there is no browser to be found.
    pub async fn open(&self) -> io::Result<()> {
        let (open, start) = (Arc::clone(&self.open), self.start.clone());
        // A browser in a terminal holds it up until it is closed.
        let opened = tokio::task::spawn_blocking(move || open(&start)).await;
        opened.map_err(io::Error::other)?
    }

    /// Waits for the answer: the address that the browser was led back to. [`Answer::Unavailable`] where
    /// none came in time.
    pub async fn answer(self) -> Answer {
        match tokio::time::timeout(self.patience, self.told).await {
            Ok(Ok(address)) => Answer::Text(address),
            _ => {
                lock(&self.routes).close();
                Answer::Unavailable
            }
        }
    }
}

impl std::fmt::Debug for PendingCallback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expected").finish_non_exhaustive()
    }
}

fn lock(routes: &Mutex<CallbackRoutes>) -> std::sync::MutexGuard<'_, CallbackRoutes> {
    // Nothing in there panics halfway.
    routes
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The port of an address that an earlier listener had.
fn port_of(redirect_uri: &str) -> Option<u16> {
    let rest = redirect_uri.strip_prefix("http://127.0.0.1:")?;
    rest.split('/').next()?.parse().ok()
}

/// Opens pages in a browser, and leaves all other prompts to another handler.
pub(crate) struct WithBrowser<'a> {
    pub(crate) browser: &'a CallbackServer,
    pub(crate) prompts: &'a mut (dyn PromptHandler + Send),
}

impl PromptHandler for WithBrowser<'_> {
    fn answer(&mut self, prompt: &Prompt) -> AnswerFuture {
        let opened = self.browser.answer(prompt);
        opened.unwrap_or_else(|| self.prompts.answer(prompt))
    }

    fn progress(&mut self, progress: &Progress) {
        self.prompts.progress(progress);
    }

    fn waiting(&mut self, until: Timestamp, why: &WaitReason) {
        self.prompts.waiting(until, why);
    }
}
