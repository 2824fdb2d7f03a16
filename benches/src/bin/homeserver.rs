//! Loads a homeserver with waiting and syncing clients, and prints how long it takes.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

const WAITING: usize = 200;
const WAITING_ROOMS: usize = 100;
const MANY_ROOMS: usize = 1_000;
const SYNCING: usize = 20;
const SENDS: usize = 1_000;
const ROUNDS: usize = 100;

fn main() {
    let url = env::var("MATRICULA_SERVER").expect("MATRICULA_SERVER: the URL of the homeserver");
    let address = url.trim_start_matches("http://").to_owned();
    send_beside_waiting(&address);
    sync_of_many_rooms(&address);
    sends_with_syncing(&address);
}

/// A connection of a user.
struct Client {
    stream: BufReader<TcpStream>,
    token: String,
    sent: usize,
}

impl Client {
    fn connect(address: &str, token: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the homeserver listens");
        stream.set_nodelay(true).expect("a socket option");
        Self {
            stream: BufReader::new(stream),
            token: token.to_owned(),
            sent: 0,
        }
    }

    fn register(address: &str, name: &str) -> Self {
        let mut client = Self::connect(address, "");
        let auth = json!({ "type": "m.login.dummy" });
        let body = json!({ "username": name, "password": "correct horse", "auth": auth });
        let made = client.ask("POST", "/_matrix/client/v3/register", &body);
        client.token = text(&made, "access_token");
        client
    }

    fn begin(&mut self, method: &str, path: &str, body: &str) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(request.as_bytes()).expect("it is sent");
    }

    fn end(&mut self) -> Vec<u8> {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a response");
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        let mut length = 0;
        loop {
            let mut header = String::new();
            self.stream.read_line(&mut header).expect("a header");
            let header = header.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("a body");
        body
    }

    fn ask(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let body = if method == "GET" {
            String::new()
        } else {
            body.to_string()
        };
        self.begin(method, path, &body);
        serde_json::from_slice(&self.end()).expect("JSON")
    }

    fn make_room(&mut self) -> String {
        let body = json!({ "preset": "public_chat" });
        let made = self.ask("POST", "/_matrix/client/v3/createRoom", &body);
        text(&made, "room_id")
    }

    fn join(&mut self, room: &str) {
        let path = format!("/_matrix/client/v3/join/{room}");
        self.ask("POST", &path, &json!({}));
    }

    fn say(&mut self, room: &str) {
        self.sent += 1;
        let path = format!(
            "/_matrix/client/v3/rooms/{room}/send/m.room.message/{}",
            self.sent
        );
        let body = json!({ "msgtype": "m.text", "body": "Hello, this is a message." });
        self.ask("PUT", &path, &body);
    }

    fn sync(&mut self, since: Option<&str>, timeout: u64) -> Value {
        let since = since.map_or_else(String::new, |it| format!("&since={it}"));
        let path = format!("/_matrix/client/v3/sync?timeout={timeout}{since}");
        self.ask("GET", &path, &json!({}))
    }
}

fn text(json: &Value, key: &str) -> String {
    json[key].as_str().expect(key).to_owned()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn time(rounds: usize, mut act: impl FnMut()) -> Duration {
    let times = (0..rounds).map(|_| {
        let start = Instant::now();
        act();
        start.elapsed()
    });
    median(times.collect())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn send_beside_waiting(address: &str) {
    let mut alice = Client::register(address, "alice");
    let room = alice.make_room();
    let alone = time(ROUNDS, || alice.say(&room));
    let mut crowd = Client::register(address, "crowd");
    for _ in 0..WAITING_ROOMS {
        crowd.make_room();
    }
    let batch = text(&crowd.sync(None, 0), "next_batch");
    let path = format!("/_matrix/client/v3/sync?timeout=100000&since={batch}");
    let waiting: Vec<_> = (0..WAITING)
        .map(|_| {
            let mut client = Client::connect(address, &crowd.token);
            client.begin("GET", &path, "");
            client
        })
        .collect();
    // All of them wait once the requests before this one are handled.
    crowd.ask("GET", "/_matrix/client/v3/account/whoami", &json!({}));
    let beside = time(ROUNDS, || alice.say(&room));
    println!("a send, alone\t{:.2}\tms\t", millis(alone));
    println!("a send while 200 clients wait elsewhere\t{:.2}\tms\t", millis(beside));
    let ratio = beside.as_secs_f64() / alone.as_secs_f64();
    println!("ratio\t{ratio:.2}\t\t2");
    drop(waiting);
}

fn sync_of_many_rooms(address: &str) {
    let mut bob = Client::register(address, "bob");
    let rooms: Vec<_> = (0..MANY_ROOMS).map(|_| bob.make_room()).collect();
    let mut batch = text(&bob.sync(None, 0), "next_batch");
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        bob.say(&rooms[round * 7 % MANY_ROOMS]);
        let start = Instant::now();
        let news = bob.sync(Some(&batch), 0);
        times.push(start.elapsed());
        assert_eq!(news["rooms"]["join"].as_object().map(|it| it.len()), Some(1));
        batch = text(&news, "next_batch");
    }
    println!("an incremental sync of 1,000 rooms\t{:.2}\tms\t5", millis(median(times)));
}

fn sends_with_syncing(address: &str) {
    let mut carol = Client::register(address, "carol");
    let room = carol.make_room();
    let (seen, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let syncing: Vec<_> = (0..SYNCING)
        .map(|number| {
            let mut client = Client::register(address, &format!("reader{number}"));
            client.join(&room);
            let mut batch = text(&client.sync(None, 0), "next_batch");
            let (seen, is_over, room) = (seen.clone(), is_over.clone(), room.clone());
            thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let news = client.sync(Some(&batch), 1_000);
                    let timeline = &news["rooms"]["join"][&room]["timeline"];
                    let count = timeline["events"].as_array().map_or(0, Vec::len);
                    seen.fetch_add(count, Ordering::Relaxed);
                    batch = text(&news, "next_batch");
                }
            })
        })
        .collect();
    let start = Instant::now();
    for _ in 0..SENDS {
        carol.say(&room);
    }
    let took = start.elapsed();
    is_over.store(true, Ordering::Relaxed);
    for thread in syncing {
        thread.join().expect("a reader ends");
    }
    let rate = SENDS as f64 / took.as_secs_f64();
    println!("sends with 20 syncing clients\t{rate:.0}\ta second\t300");
    let seen = seen.load(Ordering::Relaxed);
    println!("events that they were sent\t{seen}\tof {}\t", SENDS * SYNCING);
}
