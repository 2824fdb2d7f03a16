//! Accounts and sessions.

use matricula_api::client::{
    account_data::SetAccountData,
    account_deactivation::DeactivateAccount,
    administrative_contact::{Add3Pid, Delete3Pid, GetAccount3Pids},
    capabilities::GetCapabilities,
    filter::CreateFilter,
    login::{GetLoginFlows, Login},
    logout::Logout,
    password_management::ChangePassword,
    presence::SetPresence,
    profile::GetUserProfile,
    refresh::Refresh,
    registration::{CheckUsernameAvailability, Register},
    versions::GetVersions,
    whoami::WhoAmI,
};
use ruma_client_api::{
    account::{
        add_3pid, change_password, deactivate, delete_3pid, get_3pids, get_username_availability,
        register, whoami,
    },
    config::set_global_account_data,
    discovery::{get_capabilities, get_supported_versions},
    filter::create_filter,
    presence::set_presence,
    profile::get_profile,
    session::{get_login_types, login, logout, refresh_token},
};
use serde_json::{Value, json};

use crate::round_trip::hold;

#[test]
fn register_round_trips() {
    hold::<Register, register::v3::Request, _>(
        "/_matrix/client/v3/register?kind=guest",
        &json!({
            "username": "alice", "password": "wordpass", "device_id": "D",
            "initial_device_display_name": "A test", "inhibit_login": true, "refresh_token": true,
            "auth": {"type": "m.login.dummy", "session": "s"},
        }),
        &json!({
            "user_id": "@alice:example.org", "access_token": "t", "device_id": "D",
            "refresh_token": "r", "expires_in_ms": 60000,
        }),
    );
}

#[test]
fn login_round_trips() {
    hold::<Login, login::v3::Request, _>(
        "/_matrix/client/v3/login",
        &json!({
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": "alice"},
            "password": "wordpass", "device_id": "D", "initial_device_display_name": "A test",
            "refresh_token": true,
        }),
        &json!({
            "user_id": "@alice:example.org", "access_token": "t", "device_id": "D",
            "refresh_token": "r", "expires_in_ms": 60000,
            "well_known": {"m.homeserver": {"base_url": "https://matrix.example.org"}},
        }),
    );
}

#[test]
fn login_flows_round_trip() {
    hold::<GetLoginFlows, get_login_types::v3::Request, _>(
        "/_matrix/client/v3/login",
        &Value::Null,
        &json!({"flows": [{"type": "m.login.password"}, {"type": "m.login.token"}]}),
    );
}

#[test]
fn whoami_round_trips() {
    hold::<WhoAmI, whoami::v3::Request, _>(
        "/_matrix/client/v3/account/whoami",
        &Value::Null,
        &json!({"user_id": "@alice:example.org", "device_id": "D", "is_guest": true}),
    );
}

#[test]
fn refresh_round_trips() {
    hold::<Refresh, refresh_token::v3::Request, _>(
        "/_matrix/client/v3/refresh",
        &json!({"refresh_token": "r"}),
        &json!({"access_token": "t", "refresh_token": "s", "expires_in_ms": 60000}),
    );
}

#[test]
fn logout_round_trips() {
    hold::<Logout, logout::v3::Request, _>("/_matrix/client/v3/logout", &Value::Null, &json!({}));
}

#[test]
fn username_availability_round_trips() {
    hold::<CheckUsernameAvailability, get_username_availability::v3::Request, _>(
        "/_matrix/client/v3/register/available?username=A%26b%20%C3%A9",
        &Value::Null,
        &json!({"available": true}),
    );
}

#[test]
fn password_change_round_trips() {
    hold::<ChangePassword, change_password::v3::Request, _>(
        "/_matrix/client/v3/account/password",
        &json!({
            "new_password": "password", "logout_devices": false,
            "auth": {
                "type": "m.login.password", "session": "s", "password": "wordpass",
                "identifier": {"type": "m.id.user", "user": "alice"},
            },
        }),
        &json!({}),
    );
}

#[test]
fn deactivation_round_trips() {
    hold::<DeactivateAccount, deactivate::v3::Request, _>(
        "/_matrix/client/v3/account/deactivate",
        &json!({"erase": true, "id_server": "id.example.org"}),
        &json!({"id_server_unbind_result": "success"}),
    );
}

#[test]
fn threepids_round_trip() {
    hold::<GetAccount3Pids, get_3pids::v3::Request, _>(
        "/_matrix/client/v3/account/3pid",
        &Value::Null,
        &json!({"threepids": [{
            "medium": "email", "address": "alice@example.org",
            "validated_at": 1535176800000_u64, "added_at": 1535336848756_u64,
        }]}),
    );
}

#[test]
fn adding_threepid_round_trips() {
    hold::<Add3Pid, add_3pid::v3::Request, _>(
        "/_matrix/client/v3/account/3pid/add",
        &json!({"sid": "abc123", "client_secret": "d0n-tT3ll"}),
        &json!({}),
    );
}

#[test]
fn removing_threepid_round_trips() {
    hold::<Delete3Pid, delete_3pid::v3::Request, _>(
        "/_matrix/client/v3/account/3pid/delete",
        &json!({"medium": "email", "address": "alice@example.org", "id_server": "id.example.org"}),
        &json!({"id_server_unbind_result": "no-support"}),
    );
}

#[test]
fn capabilities_round_trip() {
    hold::<GetCapabilities, get_capabilities::v3::Request, _>(
        "/_matrix/client/v3/capabilities",
        &Value::Null,
        &json!({"capabilities": {
            "m.change_password": {"enabled": false},
            "m.room_versions": {"default": "11", "available": {"10": "stable", "12": "unstable"}},
            "org.example.mood": {"moods": ["fine"]},
        }}),
    );
}

#[test]
fn versions_round_trip() {
    hold::<GetVersions, get_supported_versions::Request, _>(
        "/_matrix/client/versions",
        &Value::Null,
        &json!({"versions": ["v1.1", "v1.19"], "unstable_features": {"org.example.mood": true}}),
    );
}

#[test]
fn profile_round_trips() {
    hold::<GetUserProfile, get_profile::v3::Request, _>(
        "/_matrix/client/v3/profile/%40alice%3Aexample.org",
        &Value::Null,
        &json!({
            "displayname": "Alice", "avatar_url": "mxc://example.org/a", "m.tz": "Europe/London",
            "org.example.mood": {"now": "fine"},
        }),
    );
}

#[test]
fn account_data_round_trips() {
    hold::<SetAccountData, set_global_account_data::v3::Request, _>(
        "/_matrix/client/v3/user/%40alice%3Aexample.org/account_data/org.example.mood",
        &json!({"now": "fine"}),
        &json!({}),
    );
}

#[test]
fn presence_round_trips() {
    hold::<SetPresence, set_presence::v3::Request, _>(
        "/_matrix/client/v3/presence/%40alice%3Aexample.org/status",
        &json!({"presence": "online", "status_msg": "here"}),
        &json!({}),
    );
}

#[test]
fn filter_round_trips() {
    hold::<CreateFilter, create_filter::v3::Request, _>(
        "/_matrix/client/v3/user/%40alice%3Aexample.org/filter",
        &json!({"room": {"timeline": {"limit": 10, "lazy_load_members": true}}}),
        &json!({"filter_id": "66696p746572"}),
    );
}
