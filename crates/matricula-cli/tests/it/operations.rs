//! Every operation of the specification, called with as little as it takes: what a server serves
//! answers typed, and of what it does not serve that is said.
//!
//! The table is run on the embedded homeserver here, and on a real Synapse in `live::operations`.

use std::thread;

use serde_json::{Value, json};

use crate::{
    command::{Home, unique},
    servers::Site,
};

/// Those after which the session is no more.
const ENDS_THE_SESSION: [&str; 5] = [
    "logout",
    "logout_all",
    "deactivateAccount",
    "deleteDevice",
    "refresh",
];

#[test]
fn on_the_embedded_homeserver() {
    insta::assert_snapshot!(table(&Site::embedded("open")));
}

/// One line an operation: what came of calling it.
pub(crate) fn table(site: &Site) -> String {
    let listed = Home::new().run("api list --json").exit(0).json();
    let mut operations = listed["operations"].as_array().unwrap().clone();
    assert_eq!(operations.len(), 199);
    operations.sort_by_key(|one| ENDS_THE_SESSION.contains(&text(&one["id"])));
    let (left, right) = operations.split_at(operations.len() / 2);
    let mut lines = thread::scope(|scope| {
        let halves = [left, right].map(|half| scope.spawn(|| lines(site, half)));
        let halves = halves.into_iter().map(|half| half.join().unwrap());
        halves.flatten().collect::<Vec<String>>()
    });
    lines.sort();
    lines.join("\n")
}

fn lines(site: &Site, operations: &[Value]) -> Vec<String> {
    let mut caller = Caller::new(site);
    let run = |operation: &Value| {
        let line = caller.call(operation);
        if ENDS_THE_SESSION.contains(&text(&operation["id"])) {
            caller = Caller::new(site);
        }
        line
    };
    operations.iter().map(run).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// A user with an account on the server.
struct Caller<'a> {
    site: &'a Site,
    home: Home,
    user_id: String,
}

impl<'a> Caller<'a> {
    fn new(site: &'a Site) -> Self {
        let (home, name) = (Home::new(), unique("n"));
        home.file("wordpass", "no-such-wordpass");
        home.file("token", "no-such-token");
        home.file("file", "no image");
        let creds =
            json!({ "client_secret": "x", "sid": "x", "id_server": "x", "id_access_token": "x" });
        let creds = json!({ "three_pid_creds": creds });
        home.file("creds", &creds.to_string());
        home.run(&format!("register {} --username {name}", site.url))
            .exit(0);
        let user_id = format!("@{name}:{}", site.name);
        Self {
            site,
            home,
            user_id,
        }
    }

    fn call(&self, operation: &Value) -> String {
        let name = format!("{}/{}", text(&operation["api"]), text(&operation["id"]));
        let shown = self
            .home
            .run(&format!("api show {name} --json"))
            .exit(0)
            .json();
        let mut line = self.home.command(&format!("api call {name} --json"));
        let auth = text(&operation["auth"]);
        if operation["api"] != "client" || auth == "appservice" {
            line = line.word("--server").word(&self.site.url);
            if auth != "none" {
                line = line.word("--token-file").word("token");
            }
        }
        for parameter in shown["parameters"].as_array().unwrap() {
            // Some are long polls by default.
            let waits = parameter["name"] == "timeout" && parameter["place"] == "query";
            if waits {
                line = line.word("timeout=0");
            } else if parameter["required"] == true {
                for word in self.words(&name, parameter) {
                    line = line.word(&word);
                }
            }
        }
        let is_download = name.contains("getContent") || name.contains("Thumbnail");
        // What is opened in a browser is a page.
        if is_download || name.contains("SubmitTokenGet") {
            line = line.word("--output").word("downloaded");
        }
        let ended = line.run();
        let json = ended.json();
        let came = match ended.code() {
            Some(0) => format!("answers with {}", json["status"]),
            _ => {
                let message = text(&json["error"]["message"]);
                let code = json["error"]["errcode"].as_str().unwrap_or("no code");
                let kind = text(&json["error"]["kind"]);
                let has_answered = kind != "network" || message.contains(" answered with status ");
                assert!(kind != "usage" && has_answered, "{name}: {ended}");
                let is_said = message.contains(&format!(" does not serve {name} ("));
                assert_eq!(is_said, code == "M_UNRECOGNIZED", "{name}: {ended}");
                let verb = match is_said {
                    true => "is not served",
                    false if message.contains(" seems not to serve ") => "seems not to be served",
                    false => "is refused",
                };
                format!("{verb}: exit {}, {kind}, {code}", json["exit_code"])
            }
        };
        format!("{name}: {came}")
    }

    /// What is typed for something that the operation needs.
    fn words(&self, operation: &str, parameter: &Value) -> Vec<String> {
        let name = text(&parameter["name"]);
        if parameter["whole_body"] == true {
            return match text(&parameter["shape"]) {
                "bytes" => vec!["--body-file".to_owned(), "file".to_owned()],
                _ => vec!["--json-body".to_owned(), self.body(operation).to_string()],
            };
        }
        if name == "three_pid_creds" {
            return vec!["--json-body".to_owned(), "@creds".to_owned()];
        }
        if parameter["secret"] == true {
            return vec![format!("{name}=@wordpass")];
        }
        match text(&parameter["shape"]) {
            "pairs" => vec![],
            "integer" => vec![format!("{name}=1")],
            "boolean" => vec![format!("{name}=false")],
            "json" => vec![format!("{name}:={}", json_value(operation, name))],
            _ => vec![format!("{name}={}", self.text_value(operation, name))],
        }
    }

    fn body(&self, operation: &str) -> Value {
        match operation {
            "client/setProfileField" => json!({ "displayname": "Alice" }),
            _ => json!({}),
        }
    }

    fn text_value(&self, operation: &str, name: &str) -> String {
        let server = &self.site.name;
        match name {
            "userId" | "user_id" | "mxid" | "sender" => self.user_id.clone(),
            "roomId" | "room_id" | "roomIdOrAlias" => format!("!nowhere:{server}"),
            "roomAlias" => format!("#nowhere:{server}"),
            "eventId" | "event_id" => "$nothing".to_owned(),
            "serverName" => server.clone(),
            "keyName" => "displayname".to_owned(),
            "dir" => "b".to_owned(),
            "type" if operation == "client/login" => "m.login.token".to_owned(),
            "kind" | "scope" if operation.contains("PushRule") => "override".to_owned(),
            "receiptType" => "m.read".to_owned(),
            "membership" => "join".to_owned(),
            "presence" => "online".to_owned(),
            "url" | "id_server" | "redirectUrl" => "http://127.0.0.1:9".to_owned(),
            "medium" => "email".to_owned(),
            "address" | "email" => "alice@nowhere.invalid".to_owned(),
            "username" => unique("u"),
            _ => "x".to_owned(),
        }
    }
}

/// What is typed for a field of the body that is an object or a list.
fn json_value(operation: &str, name: &str) -> Value {
    match (operation, name) {
        (_, "actions" | "events") => json!([]),
        (_, "kind") => Value::Null,
        (_, "notification") => json!({ "devices": [] }),
        (_, "threepid") => json!({ "medium": "email", "address": "alice@nowhere.invalid" }),
        _ => json!({}),
    }
}
