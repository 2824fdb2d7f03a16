//! The floor: what a program needs that is written by hand for just this, on `serde_json` and `http`.
//!
//! Nothing is checked, no identifier is read, unknown fields are thrown away.

use std::collections::BTreeMap;

use http::{
    Method, Request,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::inputs::{DEVICE_NAME, MESSAGE, PASSWORD, SERVER, TOKEN, TXN, USERNAME};

/// A request as a value.
pub struct Value {
    /// The method.
    pub method: Method,
    /// The whole address.
    pub url: String,
    /// The body.
    pub body: Vec<u8>,
}

#[derive(Serialize)]
struct Text<'a> {
    msgtype: &'static str,
    body: &'a str,
}

#[derive(Serialize)]
struct Register<'a> {
    username: &'a str,
    password: &'a str,
    initial_device_display_name: &'a str,
}

/// A registration as a value.
pub fn register() -> Value {
    let body = Register {
        username: USERNAME,
        password: PASSWORD,
        initial_device_display_name: DEVICE_NAME,
    };
    Value {
        method: Method::POST,
        url: [SERVER, "/_matrix/client/v3/register"].concat(),
        body: serde_json::to_vec(&body).expect("it has a JSON form"),
    }
}

/// A message as a value; `room` is encoded already.
pub fn send(room: &str) -> Value {
    let base = "/_matrix/client/v3/rooms/";
    let content = Text {
        msgtype: "m.text",
        body: MESSAGE,
    };
    Value {
        method: Method::PUT,
        url: [SERVER, base, room, "/send/m.room.message/", TXN].concat(),
        body: serde_json::to_vec(&content).expect("it has a JSON form"),
    }
}

/// The value as it goes out.
pub fn wire(value: Value, with_token: bool) -> Request<Vec<u8>> {
    let mut request = Request::builder()
        .method(value.method)
        .uri(value.url)
        .header(CONTENT_TYPE, "application/json");
    if with_token {
        request = request.header(AUTHORIZATION, format!("Bearer {TOKEN}"));
    }
    request.body(value.body).expect("a request")
}

/// The answer to a registration.
#[derive(Deserialize)]
pub struct Registered {
    /// The user.
    pub user_id: String,
    /// The token.
    pub access_token: Option<String>,
    /// The device.
    pub device_id: Option<String>,
}

/// A Matrix error.
#[derive(Deserialize)]
pub struct Failure {
    /// The code.
    pub errcode: String,
    /// The words.
    pub error: String,
    /// How long to wait.
    pub retry_after_ms: Option<u64>,
}

/// What a 401 asks for.
#[derive(Deserialize)]
pub struct Unauthenticated {
    /// The ways through.
    pub flows: Vec<Flow>,
    /// What single stages need, as text.
    pub params: Option<Box<RawValue>>,
    /// The name of the authentication.
    pub session: Option<String>,
    /// What is done.
    #[serde(default)]
    pub completed: Vec<String>,
}

/// A way through.
#[derive(Deserialize)]
pub struct Flow {
    /// Its stages.
    pub stages: Vec<String>,
}

/// What is new.
#[derive(Deserialize)]
pub struct Sync {
    /// Where the next one begins.
    pub next_batch: String,
    /// The rooms.
    #[serde(default)]
    pub rooms: Rooms,
    /// The account's data.
    #[serde(default)]
    pub account_data: Events,
    /// Messages to this device.
    #[serde(default)]
    pub to_device: Events,
    /// Who is there.
    #[serde(default)]
    pub presence: Events,
}

/// The rooms.
#[derive(Default, Deserialize)]
pub struct Rooms {
    /// Those that the account is in.
    #[serde(default)]
    pub join: BTreeMap<String, Room>,
}

/// A room.
#[derive(Deserialize)]
pub struct Room {
    /// Its state.
    #[serde(default)]
    pub state: Events,
    /// What happened.
    #[serde(default)]
    pub timeline: Events,
    /// What passes.
    #[serde(default)]
    pub ephemeral: Events,
    /// The account's data about it.
    #[serde(default)]
    pub account_data: Events,
}

/// Events, as text.
#[derive(Default, Deserialize)]
pub struct Events {
    /// The events.
    #[serde(default)]
    pub events: Vec<Box<RawValue>>,
}

/// Reads an answer.
///
/// # Errors
/// Where it has another shape.
pub fn read<'a, T: Deserialize<'a>>(body: &'a str) -> serde_json::Result<T> {
    serde_json::from_slice(body.as_bytes())
}
