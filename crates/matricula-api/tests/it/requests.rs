//! Requests of every form are sent as the specification says.

use std::time::Duration;

use matricula_api::{
    Endpoint, Raw, SortedMap,
    client::{
        OPERATIONS,
        content_repo::{CreateMxcUri, UploadContent},
        joining::JoinRoom,
        leaving::{ForgetRoom, LeaveRoom},
        list_public_rooms::{Filter, QueryPublicRooms},
        login::Login,
        logout::Logout,
        openid::RequestOpenIdToken,
        profile::SetProfileField,
        pusher::SetPusher,
        room_send::SendMessage,
        room_state::SendStateEvent,
        rooms::GetStateEvent,
        sync::Sync,
        third_party_lookup::QueryThirdPartyUserByProtocol,
    },
    uia::UserIdentifier,
};
use matricula_core::{Body, ResponseFormat, RetrySafety};
use serde_json::{Value, json};

use crate::{sent, server};

#[test]
fn path_segments_are_encoded() {
    let request = GetStateEvent::new("!a/b:c".parse().unwrap(), "m.x?y", "");
    let (path, query, _) = sent(&request);
    let expected = "/_matrix/client/v3/rooms/%21a%2Fb%3Ac/state/m.x%3Fy/";
    assert_eq!((path.as_str(), query.as_str()), (expected, ""));

    let request = GetStateEvent::new("!r:c".parse().unwrap(), "é %", "@u:c");
    let expected = "/_matrix/client/v3/rooms/%21r%3Ac/state/%C3%A9%20%25/%40u%3Ac";
    assert_eq!(sent(&request).0, expected);
}

#[test]
fn dot_segments_are_encoded_twice() {
    for (key, expected) in [(".", "%252E"), ("..", "%252E%252E"), ("...", "...")] {
        let request = GetStateEvent::new("!r:c".parse().unwrap(), "t", key);
        let expected = format!("/_matrix/client/v3/rooms/%21r%3Ac/state/t/{expected}");
        assert_eq!(sent(&request).0, expected);
    }
}

#[test]
fn query_pairs_keep_their_order() {
    let request = Sync {
        filter: Some("{\"room\": 1}".into()),
        full_state: Some(true),
        timeout: Some(Duration::from_secs(30)),
        ..Sync::default()
    };
    let (_, query, body) = sent(&request);
    assert_eq!(query, "filter={\"room\": 1}&full_state=true&timeout=30000");
    assert_eq!(body, Value::Null);
}

#[test]
fn query_lists_repeat_the_name() {
    let request = JoinRoom {
        via: Some(vec!["a.org".parse().unwrap(), "b.org:1".parse().unwrap()]),
        ..JoinRoom::new("#lobby:c".parse().unwrap())
    };
    let expected = "/_matrix/client/v3/join/%23lobby%3Ac".to_owned();
    assert_eq!(
        sent(&request),
        (expected, "via=a.org&via=b.org:1".into(), json!({}))
    );
}

#[test]
fn free_parameters_become_query_pairs() {
    let request = QueryThirdPartyUserByProtocol {
        fields: Some(SortedMap::from([("nick".into(), "al ice".into())])),
        ..QueryThirdPartyUserByProtocol::new("irc")
    };
    assert_eq!(sent(&request).1, "nick=al ice");
}

#[test]
fn post_requests_have_json_bodies() {
    let room = || "!r:c".parse().unwrap();
    assert_eq!(sent(&ForgetRoom::new(room())).2, json!({}));
    assert_eq!(sent(&LeaveRoom::new(room())).2, json!({}));
    assert_eq!(sent(&CreateMxcUri {}).2, json!({}));
    assert_eq!(
        sent(&RequestOpenIdToken::new("@a:b".parse().unwrap())).2,
        json!({})
    );
    assert_eq!(sent(&Logout {}).2, Value::Null);
}

#[test]
fn body_may_be_any_object() {
    let content = json!({"body": "hello", "msgtype": "m.text"});
    let raw = Raw::new(&content).unwrap();
    let request = SendMessage::new(
        "!r:c".parse().unwrap(),
        "m.room.message",
        "txn 1",
        raw.clone(),
    );
    let path = "/_matrix/client/v3/rooms/%21r%3Ac/send/m.room.message/txn%201".to_owned();
    assert_eq!(sent(&request), (path, String::new(), content.clone()));
    assert_eq!(request.job(&server()).retry_safety(), RetrySafety::TxnId);

    let request = SendStateEvent::new("!r:c".parse().unwrap(), "m.room.name", "", raw);
    assert_eq!(sent(&request).2, content);
}

#[test]
fn path_parameter_names_body_field() {
    let request = SetProfileField::new("@a:b".parse().unwrap(), "m.tz", json!("Europe/London"));
    let (path, _, body) = sent(&request);
    assert!(path.ends_with("/profile/%40a%3Ab/m.tz"), "{path}");
    assert_eq!(body, json!({"m.tz": "Europe/London"}));
}

#[test]
fn body_may_be_bytes_or_file() {
    let request = UploadContent {
        filename: Some("War & Peace.pdf".into()),
        content_type: Some("application/pdf".into()),
        ..UploadContent::new(Body::Bytes(vec![1, 2, 3]))
    };
    let job = request.job(&server());
    assert_eq!(job.request_body(), &Body::Bytes(vec![1, 2, 3]));
    assert_eq!(
        job.request_headers(),
        [("Content-Type".into(), "application/pdf".to_owned())]
    );
    assert_eq!(
        job.request_query(),
        [("filename".into(), "War & Peace.pdf".to_owned())]
    );
}

#[test]
fn meaningful_null_is_written() {
    assert_eq!(
        sent(&SetPusher::new("key", None, "app")).2,
        json!({"pushkey": "key", "kind": null, "app_id": "app"})
    );
    let request = QueryPublicRooms {
        filter: Some(Filter {
            room_types: Some(vec![None, Some("m.space".into())]),
            ..Filter::default()
        }),
        ..QueryPublicRooms::default()
    };
    assert_eq!(
        sent(&request).2,
        json!({"filter": {"room_types": [null, "m.space"]}})
    );
}

#[test]
fn user_identifiers_have_three_kinds() {
    let body = |identifier| {
        let request = Login {
            identifier: Some(identifier),
            ..Login::new("m.login.password")
        };
        sent(&request).2["identifier"].clone()
    };
    assert_eq!(
        body(UserIdentifier::user("alice")),
        json!({"type": "m.id.user", "user": "alice"})
    );
    assert_eq!(
        body(UserIdentifier::third_party("email", "a@example.org")),
        json!({"type": "m.id.thirdparty", "medium": "email", "address": "a@example.org"})
    );
    assert_eq!(
        body(UserIdentifier::phone("GB", "07700 900123")),
        json!({"type": "m.id.phone", "country": "GB", "phone": "07700 900123"})
    );
}

#[test]
fn downloads_are_bytes() {
    use matricula_api::client::authed_content_repo::DownloadContent;
    let job = DownloadContent::new("a.org".parse().unwrap(), "media").job(&server());
    assert_eq!(job.response_format(), &ResponseFormat::Bytes);
}

#[test]
fn operations_are_sorted_and_unique() {
    assert!(OPERATIONS.is_sorted_by(|a, b| a.id < b.id));
    assert_eq!(OPERATIONS.len(), 166);
}

#[test]
fn retry_safety_follows_the_operation() {
    let retry = |id: &str| {
        OPERATIONS
            .iter()
            .find(|found| found.id == id)
            .unwrap()
            .retry_safety
    };
    for id in ["sendMessage", "redactEvent", "sendToDevice"] {
        assert_eq!(retry(id), RetrySafety::TxnId, "{id}");
    }
    for id in [
        "refresh",
        "logout",
        "search",
        "sync",
        "setTyping",
        "deleteDevice",
    ] {
        assert_eq!(retry(id), RetrySafety::Idempotent, "{id}");
    }
    for id in ["register", "login", "createRoom", "claimKeys"] {
        assert_eq!(retry(id), RetrySafety::OnlyIfNotProcessed, "{id}");
    }
}
