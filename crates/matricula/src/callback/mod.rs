//! Opens web pages in the browser, and receives their callback on a loopback address.

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

use crate::{
    AnswerFuture, PromptHandler,
    future::{BoxFuture, boxed},
};
use routes::{CallbackRoutes, PendingPage};

/// The default timeout. Signing up may require the person to read an email first.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);

type Open = dyn Fn(&str) -> io::Result<()> + Send + Sync;

/// Opens pages in this machine's browser, and receives their callback on a loopback port.
///
/// It answers [`Prompt::OpenPage`] of a conversation that was started with [its
/// address](CallbackServer::redirect_uri). One server is enough for all pages of a conversation; it
/// stops when it is dropped.
///
/// Only a request with the `state` of the opened page is an answer. All other requests, from the
/// browser, other sites or other programs, are rejected, and end nothing. Limits: a request has at most
/// 16 KiB and 10 s; of 32 connections, the oldest is closed for a new one.
pub struct CallbackServer {
    address: SocketAddr,
    routes: Arc<Mutex<CallbackRoutes>>,
    /// `None` if this program cannot open pages.
    open: Option<Arc<Open>>,
    timeout: Duration,
    /// Dropping it stops the server.
    _listening: JoinSet<()>,
}

impl CallbackServer {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If no port can be opened.
    pub fn listen() -> impl Future<Output = io::Result<Self>> + Send {
        Self::listen_on(0)
    }

    /// Listens on the port of an earlier process, so that a page that is still open can lead back.
    /// If the port is in use, listens on a free port.
    ///
    /// # Errors
    /// If no port of 127.0.0.1 can be opened.
    pub fn listen_again(redirect_uri: &str) -> impl Future<Output = io::Result<Self>> + Send {
        boxed(async move {
            match port_of(redirect_uri) {
                Some(port) => match Self::listen_on(port).await {
                    Ok(browser) => Ok(browser),
                    Err(_) => Self::listen().await,
                },
                None => Self::listen().await,
            }
        })
    }

    fn listen_on(port: u16) -> BoxFuture<'static, io::Result<Self>> {
        boxed(async move {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
            let address = listener.local_addr()?;
            let routes = Arc::new(Mutex::new(CallbackRoutes::new(address.port())));
            let mut listening = JoinSet::new();
            listening.spawn(listener::serve(listener, Arc::clone(&routes)));
            Ok(Self {
                address,
                routes,
                open: system_browser(),
                timeout: DEFAULT_TIMEOUT,
                _listening: listening,
            })
        })
    }

    /// Opens pages with this function instead of the default browser or `$BROWSER`. Without the
    /// feature `browser` there is no default: then pages are opened only by such a function.
    ///
    /// Its argument is an `http` address. It may block until the browser is closed.
    #[must_use]
    pub fn opener(mut self, open: impl Fn(&str) -> io::Result<()> + Send + Sync + 'static) -> Self {
        self.open = Some(Arc::new(open));
        self
    }

    /// The time to wait for an answer, instead of 30 minutes.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The redirect URI for pages: `http://127.0.0.1:PORT/`.
    pub fn redirect_uri(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The time that it waits for an answer.
    pub fn answer_timeout(&self) -> Duration {
        self.timeout
    }

    /// Gets ready for the callback of this page, which must contain `state`.
    ///
    /// It does not open the page: [`PendingCallback::open`] does.
    ///
    /// # Errors
    /// If the address is not `http` or `https`.
    pub fn expect(&self, page: Secret, state: Secret) -> io::Result<PendingCallback> {
        let is_web = |page: &str| page.starts_with("https://") || page.starts_with("http://");
        if !is_web(page.expose()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "only web pages are opened",
            ));
        }
        let (sender, receiver) = oneshot::channel();
        let open_path = SystemEntropy.text(b"abcdefghijkmnpqrstuvwxyz23456789", 26);
        let start = format!("http://{}{}{open_path}", self.address, routes::OPEN_PATH);
        lock(&self.routes).expect(PendingPage::new(page, state, open_path, sender));
        Ok(PendingCallback {
            start,
            open: self.open.clone(),
            routes: Arc::clone(&self.routes),
            timeout: self.timeout,
            receiver,
        })
    }

    /// Answers [`Prompt::OpenPage`] by opening the page; `None` for other prompts, and if no function
    /// [opens](Self::opener) pages.
    pub fn answer(&self, question: &Prompt) -> Option<AnswerFuture> {
        self.open.as_ref()?;
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
        f.debug_struct("CallbackServer")
            .field("address", &self.address)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// A callback that is expected. See [`CallbackServer::expect`].
#[must_use = "open the page, and wait for the answer"]
pub struct PendingCallback {
    start: String,
    open: Option<Arc<Open>>,
    routes: Arc<Mutex<CallbackRoutes>>,
    timeout: Duration,
    receiver: oneshot::Receiver<Secret>,
}

impl PendingCallback {
    /// An address of the server that redirects to the page, once. It contains no secret, because
    /// other users of the machine can see the arguments of programs.
    pub fn start(&self) -> &str {
        &self.start
    }

    /// Opens the page in a browser.
    ///
    /// # Errors
    /// If no browser is found.
    pub fn open(&self) -> impl Future<Output = io::Result<()>> + Send {
        boxed(async move {
            let start = self.start.clone();
            let open = self.open.clone().ok_or_else(no_opener)?;
            // A browser in a terminal blocks until it is closed.
            let opened = tokio::task::spawn_blocking(move || open(&start)).await;
            opened.map_err(io::Error::other)?
        })
    }

    /// Waits for the answer: the address of the callback. [`Answer::Unavailable`] if none came;
    /// [`wait`](Self::wait) says why.
    pub fn answer(self) -> impl Future<Output = Answer> + Send {
        boxed(async move { self.wait().await.map_or(Answer::Unavailable, Answer::Text) })
    }

    /// Waits for the answer: the address of the callback.
    ///
    /// # Errors
    /// If no answer came, with the reason.
    pub fn wait(self) -> impl Future<Output = Result<Secret, CallbackError>> + Send {
        boxed(async move {
            match tokio::time::timeout(self.timeout, self.receiver).await {
                Ok(Ok(address)) => Ok(address),
                Ok(Err(_)) => Err(CallbackError::Replaced),
                Err(_) => {
                    let mut routes = lock(&self.routes);
                    routes.close();
                    Err(CallbackError::Timeout {
                        waited: self.timeout,
                        ignored: routes.ignored(),
                    })
                }
            }
        })
    }
}

/// Why a page had no answer. See [`PendingCallback::wait`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallbackError {
    /// The browser was not led back in time.
    #[error("no browser came back from the page within {}{}", minutes(*waited), ignored_text(*ignored))]
    Timeout {
        /// How long it was waited for.
        waited: Duration,
        /// How many requests came with the `state` of another page, or without one.
        ignored: u64,
    },
    /// Another page is expected instead.
    #[error("another page was opened instead of this one")]
    Replaced,
}

fn minutes(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds => format!("{} minutes", seconds / 60),
    }
}

fn ignored_text(ignored: u64) -> String {
    match ignored {
        0 => String::new(),
        1 => "; 1 request was ignored, because it belongs to no page that this program opened"
            .to_owned(),
        many => format!(
            "; {many} requests were ignored, because they belong to no page that this program opened"
        ),
    }
}

impl std::fmt::Debug for PendingCallback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PendingCallback").finish_non_exhaustive()
    }
}

/// Opens pages in the default browser or `$BROWSER`, if this program was built with that.
fn system_browser() -> Option<Arc<Open>> {
    #[cfg(feature = "browser")]
    return Some(Arc::new(webbrowser::open));
    #[cfg(not(feature = "browser"))]
    None
}

fn no_opener() -> io::Error {
    let what = "this program was built without opening a browser; open the page yourself";
    io::Error::new(io::ErrorKind::Unsupported, what)
}

fn lock(routes: &Mutex<CallbackRoutes>) -> std::sync::MutexGuard<'_, CallbackRoutes> {
    // No code panics while it holds the lock.
    routes
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The port of the redirect URI of an earlier server.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_opener_page_is_left_to_prompt_handler() {
        let page = "https://id.example.org/authorize?state=abc";
        let mut server = CallbackServer::listen().await.unwrap();
        // As in a program without the feature `browser`.
        server.open = None;
        let prompt = Prompt::OpenPage {
            url: page.into(),
            redirect_uri: server.redirect_uri(),
            state: "abc".into(),
            why: None,
        };
        assert!(server.answer(&prompt).is_none());

        let page = server.expect(page.into(), "abc".into()).unwrap();
        let error = page.open().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);

        // The person can open it.
        let server = server.opener(|_| Ok(()));
        assert!(server.answer(&prompt).is_some());
    }
}
