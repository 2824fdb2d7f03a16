//! A homeserver as a value: it offers flows, has one session, and fails once at a given request.

use std::collections::BTreeSet;

use matricula_core::{Job, Method};
use serde_json::{Value, json};

/// How a request fails, once, without having been processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// The server refuses it.
    Refused(u16, &'static str),
    /// The server says that the stage is not done.
    NotDone(&'static str),
    /// The connection is refused.
    Unsent,
    /// The answer is lost, and the request was not processed.
    LostBefore,
    /// The answer is lost, and the request was processed.
    LostAfter,
}

/// What comes back.
pub(super) enum Reply {
    Answer(u16, Value),
    Unsent,
    Lost,
}

/// What kind of request it is, in the words of the table.
pub(super) fn point(job: &Job) -> String {
    let url = job.url();
    if url.ends_with("/register") {
        let body: Value = serde_json::from_slice(job.request_body().as_bytes()).unwrap();
        return match (&body["auth"], body["auth"]["type"].as_str()) {
            (Value::Null, _) => "register".to_owned(),
            (_, Some(stage)) => format!("stage {stage}"),
            (_, None) => "look".to_owned(),
        };
    }
    let path = url.rsplit("/v3/").next().unwrap_or_default();
    path.trim_start_matches("https://").to_owned()
}

#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) ways: Vec<Vec<&'static str>>,
    /// The request that fails, by its number from 0, and how.
    pub(super) fault: Option<(usize, Fault)>,
    pub(super) requests: usize,
    session: Option<u32>,
    sessions: u32,
    pub(super) completed: BTreeSet<String>,
    /// What the person has done elsewhere: links followed, pages done.
    pub(super) done_elsewhere: BTreeSet<String>,
    pub(super) accounts: Vec<String>,
}

impl Server {
    pub(super) fn new(ways: Vec<Vec<&'static str>>, fault: Option<(usize, Fault)>) -> Self {
        Self {
            ways,
            fault,
            requests: 0,
            session: None,
            sessions: 0,
            completed: BTreeSet::new(),
            done_elsewhere: BTreeSet::new(),
            accounts: Vec::new(),
        }
    }

    pub(super) fn answer(&mut self, job: &Job) -> Reply {
        let number = self.requests;
        self.requests += 1;
        let fault = self.fault.filter(|(at, _)| *at == number);
        match fault {
            None => {
                let (status, body) = self.process(job);
                Reply::Answer(status, body)
            }
            Some((_, Fault::Refused(status, code))) => {
                let body = json!({ "errcode": code, "error": "the server's words" });
                Reply::Answer(status, body)
            }
            Some((_, Fault::NotDone(code))) => {
                let mut body = self.demand();
                body["errcode"] = json!(code);
                body["error"] = json!("the server's words");
                Reply::Answer(401, body)
            }
            Some((_, Fault::Unsent)) => Reply::Unsent,
            Some((_, Fault::LostBefore)) => Reply::Lost,
            Some((_, Fault::LostAfter)) => {
                self.process(job);
                Reply::Lost
            }
        }
    }

    fn process(&mut self, job: &Job) -> (u16, Value) {
        let url = job.url();
        let body: Value =
            serde_json::from_slice(job.request_body().as_bytes()).unwrap_or(Value::Null);
        if job.request_method() == Method::Get {
            let (_, name) = &job.request_query()[0];
            return match self.accounts.contains(name) {
                true => refused(400, "M_USER_IN_USE"),
                false => (200, json!({ "available": true })),
            };
        }
        if url.ends_with("/email/requestToken") {
            return (200, json!({ "sid": "mail" }));
        }
        if url.ends_with("/msisdn/requestToken") {
            let submit = "https://matrix.example.org/submit";
            return (200, json!({ "sid": "text", "submit_url": submit }));
        }
        if url.ends_with("/submit") {
            let right = body["token"] == "123456";
            if right {
                self.done_elsewhere.insert("m.login.msisdn".to_owned());
            }
            return (200, json!({ "success": right }));
        }
        if url.ends_with("/login") {
            let name = body["identifier"]["user"].as_str().unwrap_or_default();
            return match self.accounts.iter().any(|account| account == name) {
                true => (200, session_of(name)),
                false => refused(403, "M_FORBIDDEN"),
            };
        }
        self.register(&body)
    }

    fn register(&mut self, body: &Value) -> (u16, Value) {
        let name = body["username"].as_str().unwrap_or("4711").to_owned();
        let auth = &body["auth"];
        let session = auth["session"].as_str();
        let known = self.session.map(|number| format!("s{number}"));
        if auth.is_null() || session.is_none() || session != known.as_deref() {
            if self.accounts.contains(&name) {
                return refused(400, "M_USER_IN_USE");
            }
            self.sessions += 1;
            self.session = Some(self.sessions);
            self.completed.clear();
            return self.account_or_demand(&name);
        }
        if let Some(stage) = auth["type"].as_str() {
            let done = match stage {
                "m.login.registration_token" => auth["token"] == "let-me-in",
                "m.login.email.identity" => {
                    auth["threepid_creds"]["sid"] == "mail" && self.done_elsewhere.contains(stage)
                }
                "m.login.msisdn" => {
                    auth["threepid_creds"]["sid"] == "text" && self.done_elsewhere.contains(stage)
                }
                "m.login.dummy" | "m.login.terms" => true,
                _ => false,
            };
            if !done {
                let mut demand = self.demand();
                demand["errcode"] = json!("M_UNAUTHORIZED");
                return (401, demand);
            }
            self.completed.insert(stage.to_owned());
        }
        let pages = self.done_elsewhere.iter();
        let pages = pages.filter(|it| !it.contains("email") && !it.contains("msisdn"));
        self.completed.extend(pages.cloned());
        self.account_or_demand(&name)
    }

    fn account_or_demand(&mut self, name: &str) -> (u16, Value) {
        let is_done = |way: &Vec<&str>| way.iter().all(|stage| self.completed.contains(*stage));
        if !self.ways.iter().any(is_done) {
            return (401, self.demand());
        }
        // The same session again gives the same account, as Synapse does.
        if !self.accounts.iter().any(|account| account == name) {
            self.accounts.push(name.to_owned());
        }
        (200, session_of(name))
    }

    fn demand(&self) -> Value {
        let ways = self.ways.iter().map(|way| json!({ "stages": way }));
        let policy = json!({ "version": "1", "en": { "name": "Rules", "url": "https://matrix.example.org/rules" } });
        let mut demand = json!({
            "flows": ways.collect::<Vec<_>>(),
            "params": { "m.login.terms": { "policies": { "rules": policy } } },
            "session": format!("s{}", self.session.unwrap_or_default()),
        });
        if !self.completed.is_empty() {
            demand["completed"] = json!(self.completed);
        }
        demand
    }
}

fn session_of(name: &str) -> Value {
    json!({ "user_id": format!("@{name}:example.org"), "access_token": "syt_x", "device_id": "D" })
}

fn refused(status: u16, code: &str) -> (u16, Value) {
    (
        status,
        json!({ "errcode": code, "error": "the server's words" }),
    )
}
