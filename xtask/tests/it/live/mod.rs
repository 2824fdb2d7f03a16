//! Real Synapse servers: each behaves as its profile says.

mod delegating;
mod registering;
mod signing_in;

use std::env;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::http::{Answer, call};

const REGISTER: &str = "/_matrix/client/v3/register";
const PASSWORD: &str = "Aa1-wordpass-of-a-test";

/// A running server, and its description.
struct Site {
    info: Value,
}

impl Site {
    fn of(profiles: &str) -> Self {
        let file = env::var("MATRICULA_SYNAPSE")
            .expect("MATRICULA_SYNAPSE is not set: run cargo xtask test");
        let sites: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let info = sites[profiles].clone();
        assert!(info.is_object(), "no server of the profile {profiles}");
        Self { info }
    }

    /// A value of the JSON object that `up` prints, by JSON pointer.
    fn info_at(&self, pointer: &str) -> &str {
        let found = self.info.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_else(|| panic!("no {pointer} in {}", self.info))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.info_at("/base_url"))
    }

    fn user_id(&self, localpart: &str) -> String {
        format!("@{localpart}:{}", self.info_at("/server_name"))
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        call("POST", &self.url(path), None, Some(body))
    }

    /// The flows of an anonymous registration.
    fn flows(&self) -> Vec<String> {
        let asked = self.post(REGISTER, &json!({}));
        assert_eq!(asked.status, 401, "{asked:?}");
        let flows = asked.json()["flows"].take();
        let flow = |flow: &Value| {
            let stages = flow["stages"].as_array().unwrap().iter();
            let names: Vec<_> = stages.map(|stage| stage.as_str().unwrap()).collect();
            names.join(" ").replace("m.login.", "")
        };
        flows.as_array().unwrap().iter().map(flow).collect()
    }

    fn whoami(&self, token: &str) -> Value {
        let url = self.url("/_matrix/client/v3/account/whoami");
        let answer = call("GET", &url, Some(token), None);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }
}

/// A registration in progress.
struct Registration<'a> {
    site: &'a Site,
    name: String,
    session: String,
}

impl<'a> Registration<'a> {
    fn start(site: &'a Site, name: &str) -> Self {
        let name = unique(name);
        let body = json!({ "username": name, "password": PASSWORD });
        let answer = site.post(REGISTER, &body);
        let session = answer.json()["session"].as_str().map(str::to_owned);
        Self {
            site,
            name,
            session: session.unwrap_or_else(|| panic!("no session: {answer:?}")),
        }
    }

    /// Attempts a stage.
    fn stage(&self, stage: &str, mut auth: Value) -> Answer {
        auth["type"] = json!(format!("m.login.{stage}"));
        auth["session"] = json!(self.session);
        let body = json!({ "username": self.name, "password": PASSWORD, "auth": auth });
        self.site.post(REGISTER, &body)
    }

    /// Passes a stage that is not the last.
    fn pass(&self, stage: &str, auth: Value) {
        let answer = self.stage(stage, auth);
        assert_eq!(answer.status, 401, "{answer:?}");
        let answer = answer.json();
        let completed = answer["completed"].as_array().unwrap();
        assert!(
            completed.contains(&json!(format!("m.login.{stage}"))),
            "{answer}"
        );
        assert!(answer.get("errcode").is_none(), "{answer}");
    }

    /// Fails a stage.
    fn fail(&self, stage: &str, auth: Value) {
        let answer = self.stage(stage, auth);
        assert_eq!(answer.status, 401, "{answer:?}");
        assert_eq!(answer.json()["errcode"], "M_UNAUTHORIZED", "{answer:?}");
    }

    /// Passes the last stage, and returns the access token of the new account.
    fn end(&self, stage: &str, auth: Value) -> String {
        let answer = self.stage(stage, auth);
        assert_eq!(answer.status, 200, "{answer:?}");
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        let who = self.site.whoami(&token);
        assert_eq!(who["user_id"], self.site.user_id(&self.name));
        token
    }
}

/// A unique user name, also on a server that is used by several test runs.
fn unique(name: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{name}-{}-{next}", now.as_micros())
}
