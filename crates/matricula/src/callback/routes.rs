//! What a request at the listener means: the way to a page, the answer of a page, or neither.

use matricula_core::Secret;
use tokio::sync::oneshot;

use super::{
    request::Request,
    response::{self, Answer, Outcome},
};

/// What the path begins with that leads to the page.
pub(super) const OPEN_PATH: &str = "/open/";

/// A page that was, or is to be, opened.
pub(super) struct PendingPage {
    page: Secret,
    /// What the answer must hold.
    state: Secret,
    /// The path to the page; gone once it was taken.
    open_path: Option<String>,
    /// Whom to tell the answer; gone once it came.
    tell: Option<oneshot::Sender<Secret>>,
    is_over: bool,
}

impl PendingPage {
    pub(super) fn new(
        page: Secret,
        state: Secret,
        open_path: String,
        tell: oneshot::Sender<Secret>,
    ) -> Self {
        Self {
            page,
            state,
            open_path: Some(open_path),
            tell: Some(tell),
            is_over: false,
        }
    }
}

/// The answer of a page, to be told once the browser has been thanked for it.
pub(super) struct PendingDelivery {
    tell: oneshot::Sender<Secret>,
    address: Secret,
}

impl PendingDelivery {
    pub(super) fn tell(self) {
        // Whoever asked may have stopped waiting.
        let _ = self.tell.send(self.address);
    }
}

/// Where requests come in.
pub(super) struct CallbackRoutes {
    port: u16,
    page: Option<PendingPage>,
}

impl CallbackRoutes {
    pub(super) fn new(port: u16) -> Self {
        Self { port, page: None }
    }

    /// Waits for the answer of this page, and of no other any more.
    pub(super) fn expect(&mut self, page: PendingPage) {
        self.page = Some(page);
    }

    /// Takes no answer any more.
    pub(super) fn close(&mut self) {
        if let Some(page) = &mut self.page {
            page.is_over = true;
            page.tell = None;
            page.open_path = None;
        }
    }

    pub(super) fn answer(&mut self, request: &Request) -> (Answer, Option<PendingDelivery>) {
        if request.method != "GET" {
            return (Answer::empty(405), None);
        }
        // Another name that leads here is another site's.
        let here = [
            format!("127.0.0.1:{}", self.port),
            format!("localhost:{}", self.port),
        ];
        if !here.contains(&request.host.to_ascii_lowercase()) {
            return (Answer::empty(421), None);
        }
        // Pictures and scripts that another site names are not followed by anybody.
        if request.mode.as_ref().is_some_and(|mode| mode != "navigate") {
            return (Answer::empty(403), None);
        }
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        match path.strip_prefix(OPEN_PATH) {
            Some(open_path) => (self.lead_on(open_path), None),
            None if path == "/" => self.take(query),
            None => (Answer::empty(404), None),
        }
    }

    fn lead_on(&mut self, open_path: &str) -> Answer {
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
        let Some(tell) = page.tell.take() else {
            return (response::say(Outcome::Again), None);
        };
        let address = Secret::from(format!("http://127.0.0.1:{}/?{query}", self.port));
        (
            response::say(outcome),
            Some(PendingDelivery { tell, address }),
        )
    }
}
