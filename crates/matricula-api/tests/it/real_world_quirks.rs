//! Known deviations of servers and clients from the data, found in their code.

use matricula_api::client::{banning::Ban, list_public_rooms::GetPublicRooms, search::Search};
use matricula_api::events::{
    AnyState, EventContent, PolicyRuleUser, RoomAvatar, RoomEvent, RoomThirdPartyInvite,
};
use matricula_api::identity::v2_store_invite::StoreInvite;
use matricula_api::push::push_notifier::Notify;
use matricula_api::server::{IncomingRequest, RequestError, ServerEndpoint};
use matricula_api::{ApiError, Endpoint, ErrorCode};
use matricula_core::OperationAuth;
use serde_json::{Value, json};

use crate::{read, sent};

fn asked<E: ServerEndpoint>(body: &Value) -> Result<E, RequestError> {
    let body = body.to_string();
    let request = IncomingRequest::new(&E::OPERATION, E::OPERATION.path).unwrap();
    E::read_request(&request.with_body(body.as_bytes()))
}

/// Synapse sends this whenever a user has read something.
#[test]
fn unread_count_needs_no_sender() {
    let device = json!({ "app_id": "org.example", "pushkey": "k", "pushkey_ts": 1, "data": {} });
    let body = json!({ "notification": {
        "id": "", "type": null, "sender": "", "counts": { "unread": 2 }, "devices": [device],
    } });
    let notify: Notify = asked(&body).unwrap();
    let counts = notify.notification.counts.as_ref().unwrap();
    assert_eq!(counts.unread, Some(2));
    assert_eq!(sent(&notify).2["notification"]["sender"], "");
}

/// Synapse sends empty texts for all that a room lacks.
#[test]
fn invited_room_may_lack_alias_and_avatar() {
    let body = json!({
        "medium": "email", "address": "bob@example.org", "room_id": "!a:example.org",
        "room_alias": "", "room_avatar_url": "", "room_join_rules": "", "room_name": "",
        "sender": "@alice:example.org", "sender_display_name": "", "sender_avatar_url": "",
    });
    let invite: StoreInvite = asked(&body).unwrap();
    assert_eq!(sent(&invite).2, body);
}

/// Synapse orders groups by their rank.
#[test]
fn search_group_order_may_be_fraction() {
    for order in ["0.0607", "3", "-3"] {
        let group = format!(r#"{{"!a:b":{{"order":{order},"results":[]}}}}"#);
        let groups = format!(r#"{{"room_events":{{"groups":{{"room_id":{group}}}}}}}"#);
        let body = format!(r#"{{"search_categories":{groups}}}"#);
        let answer = read::<Search>(200, &body).unwrap();
        assert_eq!(serde_json::to_string(&answer).unwrap(), body);
    }
}

/// Synapse refuses it without a token, unless it is configured to list rooms to strangers.
#[test]
fn public_rooms_token_is_optional() {
    assert_eq!(GetPublicRooms::OPERATION.auth, OperationAuth::Optional);
}

fn state(kind: &str, content: &Value) -> AnyState {
    let event = json!({
        "type": kind, "state_key": "", "content": content, "event_id": "$1",
        "sender": "@alice:example.org", "origin_server_ts": 1,
    });
    let event: RoomEvent = serde_json::from_value(event).unwrap();
    event.state().unwrap().unwrap()
}

#[test]
fn empty_content_removes_rules_and_invites() {
    let empty = json!({});
    let rule = state(PolicyRuleUser::TYPE, &empty);
    assert_eq!(rule, AnyState::PolicyRuleUser(PolicyRuleUser::default()));
    let invite = state(RoomThirdPartyInvite::TYPE, &empty);
    let expected = AnyState::RoomThirdPartyInvite(RoomThirdPartyInvite::default());
    assert_eq!(invite, expected);
}

#[test]
fn empty_avatar_url_is_absent() {
    let avatar = state(RoomAvatar::TYPE, &json!({ "url": "" }));
    assert_eq!(avatar, AnyState::RoomAvatar(RoomAvatar::default()));
}

#[test]
fn described_error_codes_are_known() {
    for code in [
        "M_DESTINATION_REJECTED",
        "M_DUPLICATE_ANNOTATION",
        "M_EMAIL_SEND_ERROR",
        "M_INVALID_ADDRESS",
        "M_INVALID_EMAIL",
        "M_INVALID_PEPPER",
        "M_NO_VALID_SESSION",
        "M_SEND_ERROR",
        "M_SESSION_EXPIRED",
        "M_SESSION_NOT_VALIDATED",
        "M_TOKEN_INCORRECT",
        "M_USER_LIMIT_EXCEEDED",
    ] {
        let known = ErrorCode::from(code);
        assert!(!matches!(known, ErrorCode::Other(_)), "{code}");
        assert_eq!(known.as_str(), code);
    }
}

/// Such a response of a proxy has no body, like some successes.
#[test]
fn redirect_status_is_not_success() {
    for status in [300, 301, 302, 304, 307] {
        for body in ["", "{}"] {
            let error = read::<Ban>(status, body).unwrap_err();
            assert_eq!(error, ApiError::UnexpectedStatus { status });
        }
    }
    assert!(read::<Ban>(202, "").is_ok());
}
