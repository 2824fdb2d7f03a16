//! Any bytes as an event, whose content is read as its type.
//!
//! What is read must be written so that it is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use matricula_api::{
    Raw,
    events::{
        AnyAccountData, AnyEphemeral, AnyMessage, AnyState, AnyToDevice, BasicEvent, EventError,
        RoomEvent, StrippedState, ToDeviceEvent,
    },
};
use serde::Serialize;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let Ok(raw) = Raw::from_json(text) else {
        return;
    };
    in_room(&raw);
    if let Ok(event) = StrippedState::from_raw(&raw) {
        keeps(&event, StrippedState::from_raw);
        if let Ok(content) = event.state() {
            keeps(&content, |raw| AnyState::read(&event.event_type, raw));
        }
    }
    if let Ok(event) = ToDeviceEvent::from_raw(&raw) {
        keeps(&event, ToDeviceEvent::from_raw);
        if let Ok(content) = event.to_device() {
            keeps(&content, |raw| AnyToDevice::read(&event.event_type, raw));
        }
    }
    if let Ok(event) = BasicEvent::from_raw(&raw) {
        keeps(&event, BasicEvent::from_raw);
        if let Ok(content) = event.ephemeral() {
            keeps(&content, |raw| AnyEphemeral::read(&event.event_type, raw));
        }
        if let Ok(content) = event.account_data() {
            keeps(&content, |raw| AnyAccountData::read(&event.event_type, raw));
        }
    }
});

fn in_room(raw: &Raw) {
    let Ok(event) = RoomEvent::from_raw(raw) else {
        return;
    };
    keeps(&event, RoomEvent::from_raw);
    let (state, message) = (event.state(), event.message());
    // What a redaction left need not be what its type wants.
    if event.is_redacted() {
        return;
    }
    if let Some(Ok(content)) = state {
        keeps(&content, |raw| AnyState::read(&event.event_type, raw));
    }
    if let Some(Ok(content)) = message {
        keeps(&content, |raw| AnyMessage::read(&event.event_type, raw));
    }
}

fn keeps<T: Serialize>(value: &T, read: impl FnOnce(&Raw) -> Result<T, EventError>) {
    let written = Raw::new(value).expect("what was read has a JSON form");
    if let Err(error) = read(&written) {
        panic!("what was read is written unreadably: {error}");
    }
}
