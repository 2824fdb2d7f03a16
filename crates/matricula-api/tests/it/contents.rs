//! Event contents in requests and responses, and that they are not logged.

use std::fmt::Debug;

use matricula_api::{
    Endpoint, Raw, RoomId, UserId,
    client::{
        account_data::{SetAccountData, SetAccountDataPerRoom},
        create_room::{CreateRoom, StateEvent},
        definitions::ClientEventWithoutRoomId,
        room_send::SendMessage,
        room_state::SendStateEvent,
        space_hierarchy::StrippedChildStateEvent,
        to_device::SendToDevice,
    },
    common::{ClientEvent, Event, StrippedState, ToDeviceEvent},
    events::{
        Direct, EventContent, FullyRead, RoomCreate, RoomKey, RoomMessage, RoomName,
        RoomPowerLevels,
    },
    push::push_notifier::Notification,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::sent;

const CANARY: &str = "a canary that must not be seen";

fn room() -> RoomId {
    "!a:example.org".parse().unwrap()
}

fn user() -> UserId {
    "@alice:example.org".parse().unwrap()
}

fn hidden(what: &impl Debug) {
    let shown = format!("{what:?}");
    assert!(!shown.contains("canary"), "{shown}");
}

/// Reads `json`, which holds the canary, and writes it again.
fn hidden_and_kept<T: DeserializeOwned + serde::Serialize + Debug>(json: &Value) {
    let read: T = serde_json::from_value(json.clone()).unwrap();
    hidden(&read);
    assert_eq!(serde_json::to_value(&read).unwrap(), *json);
}

#[test]
fn event_contents_are_not_logged() {
    let content = json!({ "body": CANARY, "org.example.more": [null, { "a": 1.5 }] });
    let mut event = json!({ "type": "org.example.a", "content": content });
    hidden_and_kept::<Event>(&event);
    event["sender"] = json!("@alice:example.org");
    hidden_and_kept::<ToDeviceEvent>(&event);
    event["state_key"] = json!("");
    hidden_and_kept::<StrippedState>(&event);
    event["origin_server_ts"] = json!(1);
    hidden_and_kept::<StrippedChildStateEvent>(&event);
    event["event_id"] = json!("$1:example.org");
    event["unsigned"] = json!({ "prev_content": content, "redacted_because": event });
    hidden_and_kept::<ClientEventWithoutRoomId>(&event);
    event["room_id"] = json!("!a:example.org");
    hidden_and_kept::<ClientEvent>(&event);

    hidden_and_kept::<Notification>(&json!({ "content": content, "devices": [] }));
}

#[test]
fn room_keys_are_not_logged() {
    let algorithm = "m.megolm.v1.aes-sha2".into();
    let key = RoomKey::new(algorithm, room(), "session", CANARY);
    let devices = ["A", "B"].map(|device| (user(), device.to_owned(), &key));
    let request = SendToDevice::of("1", devices);
    hidden(&request);
    hidden(&key);
    assert_eq!(request.event_type, "m.room_key");
    let body = sent(&request).2;
    let content = json!({
        "algorithm": "m.megolm.v1.aes-sha2", "room_id": "!a:example.org",
        "session_id": "session", "session_key": CANARY,
    });
    let devices = json!({ "A": content, "B": content });
    assert_eq!(
        body,
        json!({ "messages": { "@alice:example.org": devices } })
    );
}

#[test]
fn initial_state_takes_typed_contents() {
    let levels = RoomPowerLevels::default().users_default(7.into());
    let request = CreateRoom::default()
        .creation_content(RoomCreate::default().federate(false).to_raw())
        .initial_state(vec![StateEvent::of(&RoomName::default().name(CANARY))])
        .power_level_content_override(levels.to_raw());
    hidden(&request);
    let name = json!({ "type": "m.room.name", "content": { "name": CANARY } });
    let body = json!({
        "creation_content": { "m.federate": false },
        "initial_state": [name],
        "power_level_content_override": { "users_default": 7 },
    });
    assert_eq!(sent(&request).2, body);
}

#[test]
fn contents_become_requests() {
    let said = RoomMessage::text(CANARY);
    let request = SendMessage::of(room(), "1", &said);
    hidden(&request);
    let path = "/_matrix/client/v3/rooms/%21a%3Aexample.org/send/m.room.message/1";
    check(&request, path, &said.to_raw());

    let name = RoomName::default().name(CANARY);
    let request = SendStateEvent::of(room(), "", &name);
    hidden(&request);
    let path = "/_matrix/client/v3/rooms/%21a%3Aexample.org/state/m.room.name/";
    check(&request, path, &name.to_raw());

    let direct = Direct([(user().to_string(), vec![room()].into())].into());
    let request = SetAccountData::of(user(), &direct);
    let path = "/_matrix/client/v3/user/%40alice%3Aexample.org/account_data/m.direct";
    check(&request, path, &direct.to_raw());

    let read = FullyRead::new("$1:example.org".parse().unwrap());
    let request = SetAccountDataPerRoom::of(user(), room(), &read);
    let path = "/_matrix/client/v3/user/%40alice%3Aexample.org/rooms/%21a%3Aexample.org/account_data/m.fully_read";
    check(&request, path, &read.to_raw());
}

fn check(request: &impl Endpoint, path: &str, content: &Raw) {
    let (to, _, body) = sent(request);
    assert_eq!(to, path);
    assert_eq!(body, content.read().unwrap());
}

/// Printing a typed message shows its text; keys stay masked.
#[test]
fn typed_message_shows_its_text() {
    assert!(format!("{:?}", RoomMessage::text("hello")).contains("hello"));
}
