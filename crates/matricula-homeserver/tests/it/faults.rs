//! The faults that tests of clients cause.

use std::time::Duration;

use matricula_homeserver::{Config, Fault, FaultyEvent, Server, ServerOptions};
use serde_json::{Value, json};

use crate::{
    http_client::{Answer, register, send},
    text,
};

struct Client<'a> {
    server: &'a Server,
    token: String,
    user_id: String,
}

impl<'a> Client<'a> {
    fn new(server: &'a Server, name: &str) -> Self {
        let json = register(server.url(), name).unwrap().json();
        Self {
            server,
            token: text(&json, "access_token"),
            user_id: text(&json, "user_id"),
        }
    }

    fn try_ask(&self, method: &str, path: &str, body: &Value) -> std::io::Result<Answer> {
        let authorization = format!("Bearer {}", self.token);
        let body = body.to_string();
        let body = if method == "GET" { "" } else { &body };
        let headers = [("Authorization", &*authorization)];
        send(self.server.url(), method, path, &headers, body.as_bytes())
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.try_ask(method, path, body).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.json());
        answer.json()
    }

    fn sync(&self, since: Option<&str>) -> Value {
        let since = since.map_or_else(String::new, |it| format!("?since={it}"));
        let path = format!("/_matrix/client/v3/sync{since}");
        self.ask("GET", &path, &json!({}))
    }

    fn say(&self, room: &str, txn: &str) -> std::io::Result<Answer> {
        let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/{txn}");
        self.try_ask("PUT", &path, &json!({ "body": txn }))
    }

    fn make_room(&self) -> String {
        let made = self.ask("POST", "/_matrix/client/v3/createRoom", &json!({}));
        text(&made, "room_id")
    }

    /// What was said, as /messages shows it, in pages.
    fn history(&self, room: &str, dir: &str) -> Vec<String> {
        let (mut from, mut read) = (String::new(), Vec::new());
        loop {
            let path = format!("/_matrix/client/v3/rooms/{room}/messages?dir={dir}&limit=2{from}");
            let page = self.ask("GET", &path, &json!({}));
            read.extend(said(&page["chunk"]));
            let Some(end) = page["end"].as_str() else {
                return read;
            };
            from = format!("&from={end}");
        }
    }
}

fn said(events: &Value) -> Vec<String> {
    let events = events.as_array().unwrap().iter();
    let bodies = events.filter_map(|it| it["content"]["body"].as_str());
    bodies.map(str::to_owned).collect()
}

async fn start() -> Server {
    let options = ServerOptions::new(Config::default());
    Server::start(options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn late_events_and_holes() {
    let server = start().await;
    let alice = Client::new(&server, "alice");
    let room = alice.make_room();
    let first = text(&alice.say(&room, "one").unwrap().json(), "event_id");
    alice.say(&room, "two").unwrap();
    let batch = text(&alice.sync(None), "next_batch");
    let event = |body: &str, after: Option<&String>, is_hole| FaultyEvent {
        room: room.parse().unwrap(),
        sender: alice.user_id.parse().unwrap(),
        event_type: "m.room.message".to_owned(),
        content: json!({ "body": body }),
        after: after.cloned(),
        is_hole,
    };
    let faults = server.faults();
    let late = faults
        .append_event(event("late", Some(&first), false))
        .await;
    faults
        .append_event(event("later", late.as_ref(), false))
        .await
        .unwrap();
    faults
        .append_event(event("earlier", Some(&first), false))
        .await
        .unwrap();
    faults
        .append_event(event("hole", None, true))
        .await
        .unwrap();
    alice.say(&room, "three").unwrap();
    let news = alice.sync(Some(&batch));
    let timeline = &news["rooms"]["join"][&room]["timeline"]["events"];
    assert_eq!(said(timeline), ["late", "later", "earlier", "three"]);
    let mut expected = ["one", "earlier", "late", "later", "two", "hole", "three"];
    assert_eq!(alice.history(&room, "f"), expected);
    expected.reverse();
    assert_eq!(alice.history(&room, "b"), expected);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_responses_are_lost() {
    let server = start().await;
    let alice = Client::new(&server, "alice");
    let room = alice.make_room();
    let faults = server.faults();
    faults.plan("/send/", Fault::LoseRequest);
    faults.plan("/send/", Fault::LoseResponse);
    faults.plan("/send/", Fault::RateLimit(Duration::from_millis(1500)));
    faults.plan("/send/", Fault::Fail);
    assert!(alice.say(&room, "1").is_err());
    assert!(alice.history(&room, "f").is_empty(), "it was not processed");
    assert!(alice.say(&room, "1").is_err());
    assert_eq!(alice.history(&room, "f"), ["1"]);
    let limited = alice.say(&room, "2").unwrap();
    assert_eq!(
        (limited.status, &limited.json()["retry_after_ms"]),
        (429, &json!(1500))
    );
    assert_eq!(alice.say(&room, "2").unwrap().status, 500);
    assert_eq!(alice.say(&room, "1").unwrap().status, 200);
    assert_eq!(
        alice.history(&room, "f"),
        ["1"],
        "the transaction id is known"
    );
    faults.forget_transactions().await;
    assert_eq!(alice.say(&room, "1").unwrap().status, 200);
    assert_eq!(alice.history(&room, "f"), ["1", "1"]);
    assert_eq!(faults.planned(), 0);

    let batch = text(&alice.sync(None), "next_batch");
    faults.plan("/sync", Fault::RejectToken);
    let path = format!("/_matrix/client/v3/sync?since={batch}");
    let refused = alice.try_ask("GET", &path, &json!({})).unwrap();
    assert_eq!(
        (refused.status, text(&refused.json(), "errcode")),
        (400, "M_INVALID_PARAM".into())
    );
    alice.sync(Some(&batch));
    server.stop().await;
}
