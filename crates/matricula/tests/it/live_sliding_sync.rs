//! Simplified sliding sync on a real Synapse: what is new comes typed, once.

use std::time::Duration;

use matricula::{
    Error, Session,
    api::{
        Raw, RoomId,
        client::{
            create_room::CreateRoom, room_send::SendMessage, to_device::SendToDevice,
            typing::SetTyping, versions::GetVersions,
        },
        sliding_sync::{
            AccountData, E2ee, Extensions, FEATURE, List, ME, Receipts, Room, RoomSubscription,
            SlidingSync, SlidingSyncResponse, ThreadSubscriptions, ToDevice, Typing, is_expired,
        },
    },
    register,
};
use serde_json::{Value, json};

use crate::live::{Synapse, unique};

/// The types or the texts of events, as they came.
fn all<'a>(events: &'a Option<Vec<Raw>>, pointer: &str) -> Vec<String> {
    let events: &'a [Raw] = events.as_deref().unwrap_or_default();
    let texts = events.iter().map(|event| {
        let event: Value = event.read().unwrap();
        event
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    });
    texts.collect()
}

async fn say(person: &Session, room_id: &RoomId, text: &str) {
    let content = Raw::new(&json!({"msgtype": "m.text", "body": text})).unwrap();
    let message = SendMessage::new(room_id.clone(), "m.room.message", unique(), content);
    person.call(message).await.unwrap();
}

/// Asks until the room is among the news: the server answers an extension's news before others'.
async fn until_room(
    person: &Session,
    mut request: SlidingSync,
    room_id: &RoomId,
) -> (SlidingSyncResponse, Room) {
    for _ in 0..10 {
        let news = person.call(request.clone()).await.unwrap();
        if let Some(room) = news
            .rooms
            .as_ref()
            .and_then(|rooms| rooms.get(room_id.as_str()))
        {
            let room = room.clone();
            return (news, room);
        }
        request = request.pos(news.pos);
    }
    panic!("the server never told of {room_id}");
}

fn extensions() -> Extensions {
    Extensions::default()
        .to_device(ToDevice::default().enabled(true))
        .e2ee(E2ee::default().enabled(true))
        .account_data(AccountData::default().enabled(true))
        .receipts(Receipts::default().enabled(true))
        .typing(Typing::default().enabled(true))
        .thread_subscriptions(ThreadSubscriptions::default().enabled(true))
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn sliding_sync_shows_only_news() {
    let server = Synapse::of("open");
    let person = register(server.url()).await.unwrap();
    let features = person.call(GetVersions {}).await.unwrap().unstable_features;
    assert!(features.unwrap()[FEATURE]);

    let name = unique();
    let room = CreateRoom::default().name(&name);
    let room_id = person.call(room).await.unwrap().room_id;
    say(&person, &room_id, "first").await;

    let wanted = [("m.room.name", ""), ("m.room.member", ME)];
    let wanted = wanted.map(|(kind, key)| (kind.to_owned(), key.to_owned()));
    let list = List::new(wanted.to_vec(), 2).ranges(vec![(0, 9)]);
    let request = SlidingSync::default()
        .conn_id("main")
        .lists([("all".to_owned(), list)].into())
        .extensions(extensions());

    let first = person.call(request.clone()).await.unwrap();
    let lists = first.lists.as_ref().unwrap();
    assert_eq!(lists["all"].count, Some(1));
    let op = &lists["all"].ops.as_ref().unwrap()[0];
    assert_eq!(op.op, "SYNC");
    assert_eq!(
        op.room_ids.as_ref().unwrap()[..],
        *std::slice::from_ref(&room_id)
    );
    let room = &first.rooms.as_ref().unwrap()[room_id.as_str()];
    assert_eq!(room.name.as_ref(), Some(&name));
    assert_eq!((room.initial, room.limited), (Some(true), Some(true)));
    assert_eq!((room.joined_count, room.invited_count), (Some(1), Some(0)));
    assert!(room.prev_batch.is_some() && room.bump_stamp.is_some());
    let mut state = all(&room.required_state, "/type");
    state.sort();
    assert_eq!(state, ["m.room.member", "m.room.name"]);
    assert_eq!(
        all(&room.timeline, "/content/body")
            .last()
            .map(String::as_str),
        Some("first")
    );
    let beside = first.extensions.as_ref().unwrap();
    let keys = beside
        .e2ee
        .as_ref()
        .unwrap()
        .device_one_time_keys_count
        .as_ref()
        .unwrap();
    assert_eq!(keys["signed_curve25519"], 0);
    let rules = &beside.account_data.as_ref().unwrap().global;
    assert!(all(rules, "/type").contains(&"m.push_rules".to_owned()));
    assert_nothing_unknown(&first);

    say(&person, &room_id, "second").await;
    let next = request
        .clone()
        .pos(&first.pos)
        .timeout(Duration::from_secs(10));
    let (second, room) = until_room(&person, next, &room_id).await;
    assert_ne!(second.pos, first.pos);
    assert_eq!(room.initial, None);
    assert_eq!(all(&room.timeline, "/content/body"), ["second"]);
    assert_eq!(room.num_live, Some(1));
    assert_nothing_unknown(&second);
}

/// The types name all that the server sends.
fn assert_nothing_unknown(answer: &SlidingSyncResponse) {
    assert!(answer.extra.is_empty(), "{answer:?}");
    for room in answer.rooms.iter().flat_map(|rooms| rooms.values()) {
        assert!(room.extra.is_empty(), "{room:?}");
    }
    for list in answer.lists.iter().flat_map(|lists| lists.values()) {
        assert!(list.extra.is_empty(), "{list:?}");
    }
    let beside = answer.extensions.as_ref().unwrap();
    assert!(beside.extra.is_empty(), "{beside:?}");
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn subscribed_room_sends_extensions() {
    let server = Synapse::of("open");
    let person = register(server.url()).await.unwrap();
    let room_id = person.call(CreateRoom::default()).await.unwrap().room_id;
    let request = SlidingSync::default()
        .room_subscriptions([(room_id.clone(), RoomSubscription::new(vec![], 1))].into())
        .extensions(extensions());
    let first = person.call(request.clone()).await.unwrap();
    assert_eq!(first.lists, None);

    let me = person.account().user_id.clone();
    let device_id = person.account().device_id.clone().unwrap();
    let typing = SetTyping::new(room_id.clone(), me.clone(), true).timeout(Duration::from_secs(30));
    person.call(typing).await.unwrap();
    let content = Raw::from(&json!({"hello": "device"}));
    let messages = [(me.clone(), [(device_id, content)].into())].into();
    let to_device = SendToDevice::new("org.example.hello", unique(), messages);
    person.call(to_device).await.unwrap();

    let next = request.pos(first.pos).timeout(Duration::from_secs(10));
    let news = person.call(next.clone()).await.unwrap().extensions.unwrap();
    let typing = news.typing.unwrap().rooms.unwrap();
    let typing: Value = typing[room_id.as_str()].read().unwrap();
    assert_eq!(typing["content"]["user_ids"], json!([me]));
    let to_device = news.to_device.unwrap();
    assert_eq!(all(&to_device.events, "/type"), ["org.example.hello"]);
    assert_eq!(all(&to_device.events, "/content/hello"), ["device"]);
}

#[tokio::test]
#[ignore = "needs a real Synapse: cargo xtask test"]
async fn unknown_position_is_an_error() {
    let server = Synapse::of("open");
    let person = register(server.url()).await.unwrap();
    let first = person.call(SlidingSync::default()).await.unwrap();
    let (_, stream) = first.pos.split_once('/').unwrap();
    let unknown = SlidingSync::default().pos(format!("999999/{stream}"));
    match person.call(unknown).await {
        Err(Error::Api(error)) => assert!(is_expired(&error), "{error:?}"),
        other => panic!("{other:?}"),
    }
}
