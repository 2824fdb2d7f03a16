//! What a request at the listener means: the way to a page, the answer of a page, or neither.

use matricula_core::Secret;
use tokio::sync::oneshot;

use super::{
    page::{self, Answer, Outcome},
    request::Request,
};

/// What the path begins with that leads to the page.
pub(super) const WAY_IN: &str = "/open/";

/// A page that was, or is to be, opened.
pub(super) struct Visit {
    page: Secret,
    /// What the answer must hold.
    state: Secret,
    /// The path to the page; gone once it was taken.
    way_in: Option<String>,
    /// Whom to tell the answer; gone once it came.
    tell: Option<oneshot::Sender<Secret>>,
    is_over: bool,
}

impl Visit {
    pub(super) fn new(
        page: Secret,
        state: Secret,
        way_in: String,
        tell: oneshot::Sender<Secret>,
    ) -> Self {
        Self {
            page,
            state,
            way_in: Some(way_in),
            tell: Some(tell),
            is_over: false,
        }
    }
}

/// The answer of a page, to be told once the browser has been thanked for it.
pub(super) struct Told {
    tell: oneshot::Sender<Secret>,
    address: Secret,
}

impl Told {
    pub(super) fn tell(self) {
        // Whoever asked may have stopped waiting.
        let _ = self.tell.send(self.address);
    }
}

/// Where requests come in.
pub(super) struct Desk {
    port: u16,
    visit: Option<Visit>,
}

impl Desk {
    pub(super) fn new(port: u16) -> Self {
        Self { port, visit: None }
    }

    /// Waits for the answer of this page, and of no other any more.
    pub(super) fn expect(&mut self, visit: Visit) {
        self.visit = Some(visit);
    }

    /// Takes no answer any more.
    pub(super) fn close(&mut self) {
        if let Some(visit) = &mut self.visit {
            visit.is_over = true;
            visit.tell = None;
            visit.way_in = None;
        }
    }

    pub(super) fn answer(&mut self, request: &Request) -> (Answer, Option<Told>) {
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
        match path.strip_prefix(WAY_IN) {
            Some(way_in) => (self.lead_on(way_in), None),
            None if path == "/" => self.take(query),
            None => (Answer::empty(404), None),
        }
    }

    fn lead_on(&mut self, way_in: &str) -> Answer {
        let Some(visit) = &mut self.visit else {
            return page::say(Outcome::Wrong);
        };
        match visit.way_in.take_if(|known| known == way_in) {
            Some(_) => Answer::see(visit.page.clone()),
            None if visit.is_over => page::say(Outcome::TooLate),
            None => page::say(Outcome::Opened),
        }
    }

    fn take(&mut self, query: &str) -> (Answer, Option<Told>) {
        let field = |name: &str| {
            let mut fields = form_urlencoded::parse(query.as_bytes());
            let found = fields.find(|(found, _)| found == name);
            found.map(|(_, value)| Secret::from(value.into_owned()))
        };
        let Some(visit) = &mut self.visit else {
            return (page::say(Outcome::Wrong), None);
        };
        if field("state").as_ref() != Some(&visit.state) {
            return (page::say(Outcome::Wrong), None);
        }
        if visit.is_over {
            return (page::say(Outcome::TooLate), None);
        }
        let outcome = if field("code").or_else(|| field("loginToken")).is_some() {
            Outcome::Done
        } else if field("error").is_some() {
            Outcome::Refused
        } else {
            return (page::say(Outcome::Wrong), None);
        };
        let Some(tell) = visit.tell.take() else {
            return (page::say(Outcome::Again), None);
        };
        let address = Secret::from(format!("http://127.0.0.1:{}/?{query}", self.port));
        (page::say(outcome), Some(Told { tell, address }))
    }
}
