//! Rooms: made, entered, named, listed.

use matricula_api::client::{
    banning::Ban,
    create_room::CreateRoom,
    directory::{DeleteRoomAlias, GetRoomIdByAlias, SetRoomAlias},
    inviting::InviteUser,
    joining::JoinRoom,
    list_joined_rooms::GetJoinedRooms,
    list_public_rooms::{GetPublicRooms, QueryPublicRooms},
    read_markers::SetReadMarker,
    receipts::SendReceipt,
    tags::SetRoomTag,
    third_party_membership::InviteBy3Pid,
    typing::SetTyping,
};
use ruma_client_api::{
    alias::{create_alias, delete_alias, get_alias},
    directory::{get_public_rooms, get_public_rooms_filtered},
    membership::{ban_user, invite_user, join_room_by_id_or_alias, joined_rooms},
    read_marker::set_read_marker,
    receipt::create_receipt,
    room::create_room,
    tag::create_tag,
    typing::create_typing_event,
};
use serde_json::{Value, json};

use crate::round_trip::hold;

#[test]
fn room_creation_round_trips() {
    hold::<CreateRoom, create_room::v3::Request, _>(
        "/_matrix/client/v3/createRoom",
        &json!({
            "name": "Lobby", "topic": "All about happy hour", "room_alias_name": "lobby",
            "preset": "public_chat", "visibility": "public", "room_version": "11",
            "invite": ["@bob:example.org"], "is_direct": true,
            "creation_content": {"m.federate": false},
            "initial_state": [{
                "type": "m.room.history_visibility", "state_key": "",
                "content": {"history_visibility": "shared"},
            }],
        }),
        &json!({"room_id": "!a:example.org"}),
    );
}

#[test]
fn join_round_trips() {
    hold::<JoinRoom, join_room_by_id_or_alias::v3::Request, _>(
        "/_matrix/client/v3/join/%23lobby%3Aexample.org?via=a.example.org&via=b.example.org",
        &json!({"reason": "curious"}),
        &json!({"room_id": "!a:example.org"}),
    );
}

#[test]
fn invite_round_trips() {
    hold::<InviteUser, invite_user::v3::Request, _>(
        "/_matrix/client/v3/rooms/%21a%3Aexample.org/invite",
        &json!({"user_id": "@bob:example.org", "reason": "come in"}),
        &json!({}),
    );
}

#[test]
fn third_party_invite_round_trips() {
    hold::<InviteBy3Pid, invite_user::v3::Request, _>(
        "/_matrix/client/v3/rooms/%21a%3Aexample.org/invite",
        &json!({
            "id_server": "id.example.org", "id_access_token": "t", "medium": "email",
            "address": "bob@example.org",
        }),
        &json!({}),
    );
}

#[test]
fn ban_round_trips() {
    hold::<Ban, ban_user::v3::Request, _>(
        "/_matrix/client/v3/rooms/%21a%3Aexample.org/ban",
        &json!({"user_id": "@bob:example.org", "reason": "enough"}),
        &json!({}),
    );
}

#[test]
fn joined_rooms_round_trip() {
    hold::<GetJoinedRooms, joined_rooms::v3::Request, _>(
        "/_matrix/client/v3/joined_rooms",
        &Value::Null,
        &json!({"joined_rooms": ["!a:example.org", "!withoutaserver"]}),
    );
}

#[test]
fn room_alias_round_trips() {
    let alias = "/_matrix/client/v3/directory/room/%23lobby%3Aexample.org";
    hold::<SetRoomAlias, create_alias::v3::Request, _>(
        alias,
        &json!({"room_id": "!a:example.org"}),
        &json!({}),
    );
    hold::<GetRoomIdByAlias, get_alias::v3::Request, _>(
        alias,
        &Value::Null,
        &json!({"room_id": "!a:example.org", "servers": ["example.org", "[::1]:8448"]}),
    );
    hold::<DeleteRoomAlias, delete_alias::v3::Request, _>(alias, &Value::Null, &json!({}));
}

#[test]
fn public_rooms_round_trip() {
    let answer = json!({
        "chunk": [{
            "room_id": "!a:example.org", "name": "Lobby", "num_joined_members": 3,
            "world_readable": false, "guest_can_join": true, "join_rule": "knock",
        }],
        "next_batch": "n", "prev_batch": "p", "total_room_count_estimate": 1,
    });
    hold::<GetPublicRooms, get_public_rooms::v3::Request, _>(
        "/_matrix/client/v3/publicRooms?limit=10&since=s&server=example.com",
        &Value::Null,
        &answer,
    );
    hold::<QueryPublicRooms, get_public_rooms_filtered::v3::Request, _>(
        "/_matrix/client/v3/publicRooms?server=example.com",
        &json!({"limit": 10, "filter": {"generic_search_term": "foo", "room_types": [null]}}),
        &answer,
    );
}

#[test]
fn read_markers_round_trip() {
    hold::<SetReadMarker, set_read_marker::v3::Request, _>(
        "/_matrix/client/v3/rooms/%21a%3Aexample.org/read_markers",
        &json!({"m.fully_read": "$a", "m.read": "$b", "m.read.private": "$c"}),
        &json!({}),
    );
    hold::<SendReceipt, create_receipt::v3::Request, _>(
        "/_matrix/client/v3/rooms/%21a%3Aexample.org/receipt/m.read/%24e",
        &json!({"thread_id": "$t"}),
        &json!({}),
    );
}

#[test]
fn typing_round_trips() {
    hold::<SetTyping, create_typing_event::v3::Request, _>(
        "/_matrix/client/v3/rooms/%21a%3Aexample.org/typing/%40alice%3Aexample.org",
        &json!({"typing": true, "timeout": 30000}),
        &json!({}),
    );
}

#[test]
fn tag_round_trips() {
    hold::<SetRoomTag, create_tag::v3::Request, _>(
        "/_matrix/client/v3/user/%40alice%3Aexample.org/rooms/%21a%3Aexample.org/tags/u.work",
        &json!({"order": 0.25}),
        &json!({}),
    );
}
