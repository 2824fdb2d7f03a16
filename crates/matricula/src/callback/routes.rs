//! Routes requests: the redirect to the page, its callback, and the rejection of all others.

use matricula_core::Secret;
use tokio::sync::oneshot;

use super::{
    request::Request,
    response::{self, Answer, Outcome},
};

/// The prefix of the path that redirects to the page.
pub(super) const OPEN_PATH: &str = "/open/";

/// The page whose callback is expected.
pub(super) struct PendingPage {
    page: Secret,
    /// The `state` that the callback must contain.
    state: Secret,
    /// The path that redirects to the page; `None` once it was used.
    open_path: Option<String>,
    /// Receives the answer; `None` once it was sent.
    sender: Option<oneshot::Sender<Secret>>,
    is_over: bool,
}

impl PendingPage {
    pub(super) fn new(
        page: Secret,
        state: Secret,
        open_path: String,
        sender: oneshot::Sender<Secret>,
    ) -> Self {
        Self {
            page,
            state,
            open_path: Some(open_path),
            sender: Some(sender),
            is_over: false,
        }
    }
}

/// An answer that is sent to the program when this is dropped: after the browser has its response, or
/// when its connection ends before that.
pub(super) struct PendingDelivery(Option<(oneshot::Sender<Secret>, Secret)>);

impl Drop for PendingDelivery {
    fn drop(&mut self) {
        if let Some((sender, address)) = self.0.take() {
            // The receiver may be gone.
            let _ = sender.send(address);
        }
    }
}

/// Routes the requests of one server.
pub(super) struct CallbackRoutes {
    port: u16,
    page: Option<PendingPage>,
    /// How many requests came with another `state` than that of the page.
    ignored: u64,
}

impl CallbackRoutes {
    pub(super) fn new(port: u16) -> Self {
        Self {
            port,
            page: None,
            ignored: 0,
        }
    }

    /// How many requests looked like a callback, but of another page.
    pub(super) fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Expects the callback of this page, and no longer of another one.
    pub(super) fn expect(&mut self, page: PendingPage) {
        self.page = Some(page);
        self.ignored = 0;
    }

    /// Accepts no more answers.
    pub(super) fn close(&mut self) {
        if let Some(page) = &mut self.page {
            page.is_over = true;
            page.sender = None;
            page.open_path = None;
        }
    }

    pub(super) fn answer(&mut self, request: &Request) -> (Answer, Option<PendingDelivery>) {
        if request.method != "GET" {
            return (Answer::empty(405), None);
        }
        // Rejects other host names: DNS rebinding.
        let here = [
            format!("127.0.0.1:{}", self.port),
            format!("localhost:{}", self.port),
        ];
        if !here.contains(&request.host.to_ascii_lowercase()) {
            return (Answer::empty(421), None);
        }
        // Rejects images and scripts of other sites.
        if request.mode.as_ref().is_some_and(|mode| mode != "navigate") {
            return (Answer::empty(403), None);
        }
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        match path.strip_prefix(OPEN_PATH) {
            Some(open_path) => (self.redirect_to_page(open_path), None),
            None if path == "/" => self.take(query),
            None => (Answer::empty(404), None),
        }
    }

    fn redirect_to_page(&mut self, open_path: &str) -> Answer {
        let Some(page) = &mut self.page else {
            return response::say(Outcome::Wrong);
        };
        match page.open_path.take_if(|known| known == open_path) {
            Some(_) => Answer::see(page.page.clone()),
            None if page.is_over => response::say(Outcome::TooLate),
            None => response::say(Outcome::Opened),
        }
    }

    fn take(&mut self, query: &str) -> (Answer, Option<PendingDelivery>) {
        let field = |name: &str| {
            let mut fields = form_urlencoded::parse(query.as_bytes());
            let found = fields.find(|(found, _)| found == name);
            found.map(|(_, value)| Secret::from(value.into_owned()))
        };
        let Some(page) = &mut self.page else {
            return (response::say(Outcome::Wrong), None);
        };
        if field("state").as_ref() != Some(&page.state) {
            self.ignored = self.ignored.saturating_add(1);
            return (response::say(Outcome::Wrong), None);
        }
        if page.is_over {
            return (response::say(Outcome::TooLate), None);
        }
        let outcome = if field("code").or_else(|| field("loginToken")).is_some() {
            Outcome::Done
        } else if field("error").is_some() {
            Outcome::Refused
        } else {
            return (response::say(Outcome::Wrong), None);
        };
        let Some(sender) = page.sender.take() else {
            return (response::say(Outcome::Again), None);
        };
        let address = Secret::from(format!("http://127.0.0.1:{}/?{query}", self.port));
        let delivery = PendingDelivery(Some((sender, address)));
        (response::say(outcome), Some(delivery))
    }
}
