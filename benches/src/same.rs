//! Asserts that all sides end in the same state; what is not the same is not worth comparing.

use std::time::Duration;

use http::Request;
use matricula_api::{ApiError, Raw, client::sync::SyncResponse};
use matricula_core::{Response, Secret};
use ruma::{
    OwnedRoomId,
    api::{
        client::{sync::sync_events, uiaa::UiaaResponse},
        error::{ErrorKind, FromHttpResponseError, LimitExceededErrorData, RetryAfter},
    },
};
use serde_json::Value;

use crate::{
    inputs::{LIMITED, REGISTERED, ROOM, SERVER, TOKEN, UNAUTHENTICATED},
    ours, plain, rumas,
};

/// All that [`crate`] compares but the /sync.
///
/// # Panics
/// Where two sides differ.
pub fn assert_small() {
    requests();
    registered();
    limited();
    unauthenticated();
}

fn requests() {
    let token = Secret::from(TOKEN);
    let versions = rumas::versions();
    let server = SERVER.parse().expect("an address");
    let register = ours::register(&server);
    let theirs = rumas::register(&versions);
    assert_request(&ours::wire(register.clone(), None), &theirs);
    assert_request(&ours::wire_checked(register.clone(), None), &theirs);
    assert_request(&plain::wire(plain::register(), false), &theirs);

    let send = ours::send(&server, &ROOM.parse().expect("a room"));
    let room: OwnedRoomId = ROOM.try_into().expect("a room");
    let theirs = rumas::send(&versions, &room);
    assert_request(&ours::wire(send.clone(), Some(&token)), &theirs);
    assert_request(&ours::wire_checked(send.clone(), Some(&token)), &theirs);
    assert_request(&plain::wire(plain::send(ROOM), true), &theirs);
}

/// Two may encode an address differently that is the same.
fn assert_request(one: &Request<Vec<u8>>, other: &Request<Vec<u8>>) {
    let decoded = |request: &Request<Vec<u8>>| {
        request
            .uri()
            .to_string()
            .replace("%21", "!")
            .replace("%3A", ":")
    };
    let json = |request: &Request<Vec<u8>>| -> Value {
        serde_json::from_slice(request.body()).expect("a JSON body")
    };
    assert_eq!(one.method(), other.method());
    assert_eq!(decoded(one), decoded(other));
    assert_eq!(one.headers(), other.headers());
    assert_eq!(json(one), json(other));
}

fn registered() {
    let ours = ours::read_register(&ours::answer(200, REGISTERED)).expect("an account");
    let theirs = rumas::read_register(rumas::answer(200, REGISTERED)).expect("an account");
    let plain: plain::Registered = plain::read(REGISTERED).expect("an account");
    let token = ours.access_token.as_ref().map(|token| token.expose());
    assert_eq!(ours.user_id.as_str(), theirs.user_id.as_str());
    assert_eq!(ours.user_id.as_str(), plain.user_id);
    assert_eq!(token, theirs.access_token.as_deref());
    assert_eq!(token, plain.access_token.as_deref());
    assert_eq!(
        ours.device_id.as_deref(),
        theirs.device_id.as_ref().map(|id| id.as_str())
    );
    assert_eq!(ours.device_id, plain.device_id);
}

fn limited() {
    let wait = Duration::from_secs(2);
    let ours = ours::read_register(&ours::answer(429, LIMITED)).expect_err("a refusal");
    assert!(matches!(ours, ApiError::RateLimited { retry_after, .. } if retry_after == Some(wait)));
    let theirs = rumas::read_register(rumas::answer(429, LIMITED)).expect_err("a refusal");
    let FromHttpResponseError::Server(UiaaResponse::MatrixError(theirs)) = theirs else {
        panic!("ruma reads another error: {theirs}");
    };
    let Some(ErrorKind::LimitExceeded(LimitExceededErrorData {
        retry_after: Some(RetryAfter::Delay(delay)),
        ..
    })) = theirs.error_kind()
    else {
        panic!("ruma reads another error: {theirs}");
    };
    assert_eq!(*delay, wait);
    let plain: plain::Failure = plain::read(LIMITED).expect("an error");
    assert_eq!(plain.retry_after_ms, Some(2000));
}

fn unauthenticated() {
    let ours = ours::read_register(&ours::answer(401, UNAUTHENTICATED)).expect_err("a refusal");
    let ApiError::Uia(ours) = ours else {
        panic!("another error is read: {ours}");
    };
    let theirs = rumas::read_register(rumas::answer(401, UNAUTHENTICATED)).expect_err("a refusal");
    let FromHttpResponseError::Server(UiaaResponse::AuthResponse(theirs)) = theirs else {
        panic!("ruma reads another error: {theirs}");
    };
    let plain: plain::Unauthenticated = plain::read(UNAUTHENTICATED).expect("what is asked for");
    let ours_flows: Vec<Vec<String>> = ours
        .flows
        .iter()
        .map(|flow| flow.stages.iter().map(ToString::to_string).collect())
        .collect();
    let their_flows: Vec<Vec<String>> = theirs
        .flows
        .iter()
        .map(|flow| flow.stages.iter().map(ToString::to_string).collect())
        .collect();
    let plain_flows: Vec<_> = plain.flows.into_iter().map(|flow| flow.stages).collect();
    assert_eq!(ours_flows, their_flows);
    assert_eq!(ours_flows, plain_flows);
    assert_eq!(ours.session, theirs.session);
    assert_eq!(ours.session, plain.session);
    assert_eq!(ours.completed.len(), theirs.completed.len());
    assert_eq!(ours.completed.len(), plain.completed.len());
    let params = |text: &str| -> Value { serde_json::from_str(text).expect("JSON") };
    let expected = serde_json::to_value(&ours.params).expect("a JSON form");
    assert_eq!(
        expected,
        params(theirs.params.expect("the parameters").get())
    );
    assert_eq!(
        expected,
        params(plain.params.expect("the parameters").get())
    );
}

/// What a /sync holds: rooms, and in each part of them the events and the length of their text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The rooms that the account is in.
    pub rooms: usize,
    /// Their state.
    pub state: (usize, usize),
    /// Their timelines.
    pub timeline: (usize, usize),
    /// What passes in them.
    pub ephemeral: (usize, usize),
    /// The account's data, about rooms and not.
    pub account_data: (usize, usize),
}

impl Held {
    /// All events.
    pub fn events(&self) -> usize {
        self.state.0 + self.timeline.0 + self.ephemeral.0 + self.account_data.0
    }
}

fn add<'a>(sum: &mut (usize, usize), texts: impl Iterator<Item = &'a str>) {
    for text in texts {
        sum.0 += 1;
        sum.1 += text.len();
    }
}

/// All sides' reading of a /sync holds the same; what, is returned.
///
/// # Panics
/// Where two sides differ.
pub fn assert_sync(answer: &Response, body: &str) -> Held {
    let ours = ours_hold(&ours::read_sync(answer).expect("what is new"));
    let theirs = rumas::read_sync(rumas::answer(200, body)).expect("what is new");
    assert_eq!(ours, theirs_hold(&theirs));
    assert_eq!(ours, plain_hold(&plain::read(body).expect("what is new")));
    ours
}

fn texts<T>(events: Option<&Vec<Raw<T>>>) -> impl Iterator<Item = &str> {
    events.into_iter().flatten().map(Raw::json)
}

fn ours_hold(sync: &SyncResponse) -> Held {
    let mut held = Held::default();
    let data = sync.account_data.as_ref();
    add(
        &mut held.account_data,
        texts(data.and_then(|data| data.events.as_ref())),
    );
    let rooms = sync.rooms.iter().flat_map(|rooms| &rooms.join).flatten();
    for (_, room) in rooms {
        held.rooms += 1;
        let (state, ephemeral) = (room.state.as_ref(), room.ephemeral.as_ref());
        let (timeline, data) = (room.timeline.as_ref(), room.account_data.as_ref());
        add(
            &mut held.state,
            texts(state.and_then(|batch| batch.events.as_ref())),
        );
        add(
            &mut held.timeline,
            texts(timeline.map(|batch| &batch.events)),
        );
        add(
            &mut held.ephemeral,
            texts(ephemeral.and_then(|batch| batch.events.as_ref())),
        );
        add(
            &mut held.account_data,
            texts(data.and_then(|batch| batch.events.as_ref())),
        );
    }
    held
}

fn theirs_hold(sync: &sync_events::v3::Response) -> Held {
    let mut held = Held::default();
    add(
        &mut held.account_data,
        sync.account_data.events.iter().map(|raw| raw.json().get()),
    );
    for room in sync.rooms.join.values() {
        held.rooms += 1;
        let sync_events::v3::State::Before(state) = &room.state else {
            panic!("ruma reads the state after the timeline");
        };
        add(
            &mut held.state,
            state.events.iter().map(|raw| raw.json().get()),
        );
        add(
            &mut held.timeline,
            room.timeline.events.iter().map(|raw| raw.json().get()),
        );
        add(
            &mut held.ephemeral,
            room.ephemeral.events.iter().map(|raw| raw.json().get()),
        );
        add(
            &mut held.account_data,
            room.account_data.events.iter().map(|raw| raw.json().get()),
        );
    }
    held
}

fn plain_hold(sync: &plain::Sync) -> Held {
    let mut held = Held::default();
    add(
        &mut held.account_data,
        sync.account_data.events.iter().map(|raw| raw.get()),
    );
    for room in sync.rooms.join.values() {
        held.rooms += 1;
        add(
            &mut held.state,
            room.state.events.iter().map(|raw| raw.get()),
        );
        add(
            &mut held.timeline,
            room.timeline.events.iter().map(|raw| raw.get()),
        );
        add(
            &mut held.ephemeral,
            room.ephemeral.events.iter().map(|raw| raw.get()),
        );
        add(
            &mut held.account_data,
            room.account_data.events.iter().map(|raw| raw.get()),
        );
    }
    held
}
