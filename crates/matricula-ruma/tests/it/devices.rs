//! Devices and their keys.

use matricula_api::client::{
    cross_signing::UploadCrossSigningKeys,
    device_management::{DeleteDevice, DeleteDevices, GetDevices, UpdateDevice},
    key_backup::CreateRoomKeysVersion,
    keys::{ClaimKeys, GetKeysChanges, QueryKeys, UploadKeys},
};
use ruma_client_api::{
    backup::create_backup_version,
    device::{delete_device, delete_devices, get_devices, update_device},
    keys::{claim_keys, get_key_changes, get_keys, upload_keys, upload_signing_keys},
};
use serde_json::{Value, json};

use crate::round_trip::hold;

fn auth() -> Value {
    json!({
        "type": "m.login.password", "session": "xxxxx", "password": "wordpass",
        "identifier": {"type": "m.id.user", "user": "alice"},
    })
}

fn signatures() -> Value {
    json!({"@alice:example.org": {"ed25519:JLAFKJWSCS": "dSO80A01XiigH3uBiDVx"}})
}

fn one_time_key() -> Value {
    json!({"key": "zKbLg+NrIjpnagy", "signatures": signatures()})
}

fn device_keys() -> Value {
    json!({
        "user_id": "@alice:example.org", "device_id": "JLAFKJWSCS",
        "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "keys": {"curve25519:JLAFKJWSCS": "3C5BFWi2Y8MaVvjM8M22DBmh24PmgR0nPvJOIArzgyI"},
        "signatures": signatures(),
    })
}

#[test]
fn devices_round_trip() {
    hold::<GetDevices, get_devices::v3::Request, _>(
        "/_matrix/client/v3/devices",
        &Value::Null,
        &json!({"devices": [{
            "device_id": "D", "display_name": "A test", "last_seen_ip": "1.2.3.4",
            "last_seen_ts": 1474491775024_u64,
        }]}),
    );
}

#[test]
fn device_name_round_trips() {
    hold::<UpdateDevice, update_device::v3::Request, _>(
        "/_matrix/client/v3/devices/D%2F1",
        &json!({"display_name": "Phone"}),
        &json!({}),
    );
}

#[test]
fn device_removal_round_trips() {
    hold::<DeleteDevice, delete_device::v3::Request, _>(
        "/_matrix/client/v3/devices/D",
        &json!({"auth": auth()}),
        &json!({}),
    );
    hold::<DeleteDevices, delete_devices::v3::Request, _>(
        "/_matrix/client/v3/delete_devices",
        &json!({"devices": ["D", "E"], "auth": auth()}),
        &json!({}),
    );
}

#[test]
fn key_upload_round_trips() {
    hold::<UploadKeys, upload_keys::v3::Request, _>(
        "/_matrix/client/v3/keys/upload",
        &json!({
            "device_keys": device_keys(),
            "one_time_keys": {"signed_curve25519:AAAAHg": one_time_key()},
            "fallback_keys": {"signed_curve25519:AAAAGj": {
                "fallback": true, "key": "zKbLg", "signatures": signatures(),
            }},
        }),
        &json!({"one_time_key_counts": {"signed_curve25519": 20}}),
    );
}

#[test]
fn key_query_round_trips() {
    hold::<QueryKeys, get_keys::v3::Request, _>(
        "/_matrix/client/v3/keys/query",
        &json!({"device_keys": {"@alice:example.org": []}, "timeout": 10000}),
        &json!({
            "device_keys": {"@alice:example.org": {"JLAFKJWSCS": device_keys()}},
            "failures": {"example.com": {}},
        }),
    );
}

#[test]
fn key_claim_round_trips() {
    hold::<ClaimKeys, claim_keys::v3::Request, _>(
        "/_matrix/client/v3/keys/claim",
        &json!({
            "one_time_keys": {"@alice:example.org": {"D": "signed_curve25519"}}, "timeout": 5000,
        }),
        &json!({"one_time_keys": {
            "@alice:example.org": {"D": {"signed_curve25519:AAAAHg": one_time_key()}},
        }}),
    );
}

#[test]
fn key_changes_round_trip() {
    hold::<GetKeysChanges, get_key_changes::v3::Request, _>(
        "/_matrix/client/v3/keys/changes?from=s1&to=s2",
        &Value::Null,
        &json!({"changed": ["@alice:example.org"], "left": ["@bob:example.org"]}),
    );
}

#[test]
fn cross_signing_keys_round_trip() {
    let key = |usage: &str, name: &str| {
        json!({
            "user_id": "@alice:example.org", "usage": [usage],
            "keys": {name: "base64+public+key"},
        })
    };
    hold::<UploadCrossSigningKeys, upload_signing_keys::v3::Request, _>(
        "/_matrix/client/v3/keys/device_signing/upload",
        &json!({
            "auth": auth(),
            "master_key": key("master", "ed25519:base64+public+key"),
            "self_signing_key": key("self_signing", "ed25519:base64+self"),
        }),
        &json!({}),
    );
}

#[test]
fn key_backup_round_trips() {
    hold::<CreateRoomKeysVersion, create_backup_version::v3::Request, _>(
        "/_matrix/client/v3/room_keys/version",
        &json!({
            "algorithm": "m.megolm_backup.v1.curve25519-aes-sha2",
            "auth_data": {
                "public_key": "abcdefg",
                "signatures": {"@alice:example.org": {"ed25519:deviceid": "signature"}},
            },
        }),
        &json!({"version": "1"}),
    );
}
