//! Conformance: responses match the types of the API crate, other operations are unrecognized.

use std::collections::BTreeSet;

use matricula_api::{ApiError, Endpoint, client, operations, server::AnyEndpoint};
use matricula_core::{Body, Method, OperationAuth, Response, Secret};
use matricula_homeserver::{
    Config, Limit, Limits, Mail, OAuth, RegistrationToken, Request, Sso, served,
};
use serde_json::{Value, json};

use crate::{PASSWORD, Reply, TestServer, TestUser, media, post, text};

const METHODS: [Method; 4] = [Method::Get, Method::Post, Method::Put, Method::Delete];

/// The path of an operation, with filled-in parameters.
fn filled(template: &str) -> String {
    let segments = template.split('/').map(|segment| match segment {
        it if it.starts_with('{') => "x",
        literal => literal,
    });
    segments.collect::<Vec<_>>().join("/")
}

/// A server with everything enabled.
fn everything() -> Config {
    Config::default()
        .oauth(OAuth::beside())
        .sso(Sso::default().provider("x", "The House"))
        .registration_token(RegistrationToken::new("sesame"))
        .admin("alice")
        .mail(Mail::new("127.0.0.1:25").sms_gateway("sms.invalid"))
}

fn of_the_wire(reply: &Reply) -> Response {
    Response::new(reply.0.status, vec![], Body::Bytes(reply.0.body.clone()))
}

#[test]
fn unserved_operations_are_unrecognized() {
    let mut home = TestServer::new(everything());
    let (mut here, mut wrong_method) = (0, 0);
    let paths: BTreeSet<_> = operations().map(|it| it.path).collect();
    for (path, method) in paths.iter().flat_map(|path| METHODS.map(|it| (*path, it))) {
        let reply = home.send(Request::new(method, filled(path)));
        let mut of_path = served().filter(|it| it.path == path).peekable();
        if of_path.peek().is_none() {
            reply.err(404, "M_UNRECOGNIZED");
        } else if of_path.any(|it| it.method == method) {
            here += 1;
            assert!(![404, 405].contains(&reply.0.status), "{method} {path}");
        } else {
            wrong_method += 1;
            reply.err(405, "M_UNRECOGNIZED");
        }
    }
    assert_eq!(here, served().count());
    assert!(paths.len() > 150 && wrong_method > here, "{}", paths.len());
}

/// The request with which an operation succeeds, where a token is not enough.
fn example(id: &str, refresh_token: &str) -> (&'static str, Value) {
    let auth = json!({ "type": "m.login.dummy" });
    let user = json!({ "type": "m.id.user", "user": "alice" });
    match id {
        "register" => (
            "",
            json!({ "password": PASSWORD, "auth": auth, "refresh_token": true }),
        ),
        "checkUsernameAvailability" => ("?username=bob", Value::Null),
        "registrationTokenValidity" => ("?token=sesame", Value::Null),
        "login" => (
            "",
            json!({ "type": "m.login.password", "identifier": user, "password": PASSWORD }),
        ),
        "redirectToSSO" | "redirectToIdP" => ("?redirectUrl=https://app.example.com/", Value::Null),
        "refresh" => ("", json!({ "refresh_token": refresh_token })),
        "requestTokenToRegisterEmail" | "requestTokenTo3PIDEmail" => ("", email("a@b.example")),
        "requestTokenToRegisterMSISDN" | "requestTokenTo3PIDMSISDN" => ("", phone("7700900001")),
        "requestTokenToResetPasswordEmail" => ("", email("alice@b.example")),
        "requestTokenToResetPasswordMSISDN" => ("", phone("7700900000")),
        "delete3pidFromAccount" => ("", json!({ "medium": "email", "address": "a@b.example" })),
        "setAdminLockUser" => ("", json!({ "locked": true })),
        "setAdminSuspendUser" => ("", json!({ "suspended": true })),
        "changePassword" => ("", json!({ "new_password": "another" })),
        "deleteDevices" => ("", json!({ "devices": ["x"] })),
        "setProfileField" => ("", json!({ "displayname": "Alice" })),
        "getRoomEvents" => ("?dir=b", Value::Null),
        "createRoom"
        | "joinRoom"
        | "joinRoomById"
        | "leaveRoom"
        | "sendMessage"
        | "setRoomStateWithKey" => ("", json!({})),
        "setAccountData"
        | "setAccountDataPerRoom"
        | "setRoomTag"
        | "defineFilter"
        | "postReceipt"
        | "setReadMarker"
        | "requestOpenIdToken"
        | "reportEvent" => ("", json!({})),
        "setPushRule" | "setPushRuleActions" => ("", json!({ "actions": [] })),
        "setPushRuleEnabled" => ("", json!({ "enabled": true })),
        "setTyping" => ("", json!({ "typing": true })),
        "setPresence" => ("", json!({ "presence": "online" })),
        "reportRoom" | "reportUser" => ("", json!({ "reason": "x" })),
        "inviteUser" | "kick" | "ban" | "unban" => {
            ("", json!({ "user_id": "@bob:private.localhost" }))
        }
        "upgradeRoom" => ("", json!({ "new_version": "12" })),
        "knockRoom" | "redactEvent" | "queryPublicRooms" | "setRoomVisibilityOnDirectory" => {
            ("", json!({}))
        }
        "uploadKeys" | "uploadCrossSigningSignatures" => ("", json!({})),
        "queryKeys" => (
            "",
            json!({ "device_keys": { "@alice:private.localhost": [] } }),
        ),
        "claimKeys" => ("", json!({ "one_time_keys": {} })),
        "getKeysChanges" => ("?from=s0&to=s0", Value::Null),
        "uploadCrossSigningKeys" => (
            "",
            json!({ "master_key": {
            "user_id": "@alice:private.localhost", "usage": ["master"],
            "keys": { "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo":
                "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
        } }),
        ),
        "sendToDevice" => ("", json!({ "messages": {} })),
        "postRoomKeysVersion" | "putRoomKeysVersion" => {
            ("", json!({ "algorithm": "x", "auth_data": {} }))
        }
        "putRoomKeyBySessionId" => ("?version=1", backed_up_key()),
        "putRoomKeysByRoomId" => (
            "?version=1",
            json!({ "sessions": { "s": backed_up_key() } }),
        ),
        "putRoomKeys" => ("?version=1", json!({ "rooms": {} })),
        "getRoomKeyBySessionId"
        | "getRoomKeysByRoomId"
        | "getRoomKeys"
        | "deleteRoomKeyBySessionId"
        | "deleteRoomKeysByRoomId"
        | "deleteRoomKeys" => ("?version=1", Value::Null),
        "deactivateAccount" | "deleteDevice" | "updateDevice" => ("", json!({})),
        _ => ("", Value::Null),
    }
}

fn email(address: &str) -> Value {
    json!({ "client_secret": "s", "send_attempt": 1, "email": address })
}

fn phone(number: &str) -> Value {
    json!({ "client_secret": "s", "send_attempt": 1, "country": "GB", "phone_number": number })
}

/// Adds an identifier of each medium to alice; returns the id of a complete validation.
fn add_addresses(home: &mut TestServer, me: &TestUser) -> String {
    let add = "/_matrix/client/v3/account/3pid/add";
    let asked = home.post(
        "/_matrix/client/v3/account/3pid/email/requestToken",
        email("alice@b.example"),
    );
    let by_mail = text(&asked.ok(), "sid");
    let mail = home.mail();
    home.click(&mail);
    let asked = home.post(
        "/_matrix/client/v3/account/3pid/msisdn/requestToken",
        phone("7700900000"),
    );
    let by_phone = text(&asked.ok(), "sid");
    let code = home.mail().body.expose()[..6].to_owned();
    let body = json!({ "sid": by_phone, "client_secret": "s", "token": code });
    home.post("/_matricula/confirm/msisdn", body).ok();
    for sid in [&by_mail, &by_phone] {
        let body = json!({ "client_secret": "s", "sid": sid });
        home.prove(me, Method::Post, add, body).ok();
    }
    by_mail
}

/// A room of alice with a message; returns the room and the event.
fn make_room(home: &mut TestServer, me: &TestUser) -> (String, String) {
    let made = home.post_as(&me.token, "/_matrix/client/v3/createRoom", json!({}));
    let room = text(&made.ok(), "room_id");
    let state = format!("/_matrix/client/v3/rooms/{room}/state/x/x");
    let set = home.call_as(&me.token, Method::Put, &state, json!({ "x": 1 }));
    (room, text(&set.ok(), "event_id"))
}

/// Makes the members of a room fit for an operation.
fn prepare_members(
    home: &mut TestServer,
    id: &str,
    room: &str,
    (me, bob): (&TestUser, Option<&TestUser>),
) {
    let path = |how: &str| format!("/_matrix/client/v3/rooms/{room}/{how}");
    let Some(bob) = bob else {
        if id == "forgetRoom" {
            home.post_as(&me.token, &path("leave"), json!({})).ok();
        }
        return;
    };
    let him = json!({ "user_id": bob.user_id });
    match id {
        "kick" => drop(home.post_as(&me.token, &path("invite"), him).ok()),
        "unban" => drop(home.post_as(&me.token, &path("ban"), him).ok()),
        "knockRoom" => {
            let rule = json!({ "join_rule": "knock" });
            let path = path("state/m.room.join_rules");
            home.call_as(&me.token, Method::Put, &path, rule).ok();
        }
        _ => {}
    }
}

/// Stores what an account stores about itself and about a room, each with the name `x`; and a filter.
fn store_user_data(home: &mut TestServer, me: &TestUser, room: Option<&str>) {
    let own = format!("/_matrix/client/v3/user/{}", me.user_id);
    let mut paths = vec![
        format!("{own}/account_data/x"),
        "/_matrix/client/v3/pushrules/global/override/x".to_owned(),
    ];
    paths.extend(room.map(|room| format!("{own}/rooms/{room}/account_data/x")));
    for path in paths {
        let body = json!({ "actions": [] });
        home.call_as(&me.token, Method::Put, &path, body).ok();
    }
    home.post_as(&me.token, &format!("{own}/filter"), json!({}))
        .ok();
}

fn backed_up_key() -> Value {
    json!({ "first_message_index": 0, "forwarded_count": 0, "is_verified": true, "session_data": {} })
}

/// Creates a key backup of alice, with a key of the session `x` of a room.
fn back_up(home: &mut TestServer, me: &TestUser, room: &str) {
    let version = "/_matrix/client/v3/room_keys/version";
    let body = json!({ "algorithm": "x", "auth_data": {} });
    home.post_as(&me.token, version, body).ok();
    let key = format!("/_matrix/client/v3/room_keys/keys/{room}/x?version=1");
    home.call_as(&me.token, Method::Put, &key, backed_up_key())
        .ok();
}

/// The operations that need authentication again.
const PROVED: [&str; 5] = [
    "add3PID",
    "changePassword",
    "deactivateAccount",
    "deleteDevice",
    "deleteDevices",
];

#[test]
fn responses_match_their_types() {
    for operation in served() {
        let mut home = TestServer::new(everything());
        let body = json!({ "username": "alice", "password": PASSWORD, "refresh_token": true,
            "device_id": "x" });
        let alice = home.register(body).ok();
        let me = TestUser::of(&alice);
        let name = format!("/_matrix/client/v3/profile/{}/displayname", me.user_id);
        home.call_as(
            &me.token,
            Method::Put,
            &name,
            json!({ "displayname": "Alice" }),
        )
        .ok();
        let sid = add_addresses(&mut home, &me);
        let (query, mut body) = example(operation.id, &text(&alice, "refresh_token"));
        if operation.id == "add3PID" {
            body = json!({ "client_secret": "s", "sid": sid });
        }
        // Called by a service alone: see `service_events`.
        if operation.id == "pingAppservice" {
            continue;
        }
        let is_about_another = ["inviteUser", "kick", "ban", "unban", "knockRoom"];
        let needs_another =
            operation.path.contains("/admin/") || is_about_another.contains(&operation.id);
        let bob = needs_another.then(|| home.sign_up("bob"));
        let whose = bob.as_ref().unwrap_or(&me).user_id.clone();
        let mut path = operation.path.replace("{userId}", &whose);
        let mut room = "!a:b".to_owned();
        if path.contains("{roomId") {
            let event;
            (room, event) = make_room(&mut home, &me);
            path = path.replace("{roomId}", &room);
            path = path.replace("{roomIdOrAlias}", &room);
            path = path.replace("{eventId}", &event);
            prepare_members(&mut home, operation.id, &room, (&me, bob.as_ref()));
            store_user_data(&mut home, &me, Some(&room));
        } else {
            store_user_data(&mut home, &me, None);
        }
        path = path.replace("{kind}", "override");
        path = path.replace("{filterId}", "1");
        path = path.replace("{receiptType}", "m.read");
        if path.contains("{roomAlias}") {
            path = path.replace("{roomAlias}", "%23x:private.localhost");
            let (room, _) = make_room(&mut home, &me);
            body = json!({ "room_id": room });
            if operation.id != "setRoomAlias" {
                home.call_as(&me.token, Method::Put, &path, body.clone())
                    .ok();
            }
        }
        path = path.replace("{kind}", "override");
        path = path.replace("{filterId}", "1");
        path = path.replace("{receiptType}", "m.read");
        if path.contains("{mediaId}") {
            let is_upload = operation.id == "uploadContentToMXC";
            let id = match is_upload {
                true => media::announce(&mut home, &me),
                false => media::keep(&mut home, &me),
            };
            path = path.replace("{serverName}/{mediaId}", &format!("private.localhost/{id}"));
        }
        if path.contains("/room_keys/") {
            back_up(&mut home, &me, &room);
            path = path.replace("{version}", "1");
        }
        let path = filled(&path.replace("{keyName}", "displayname"));
        if PROVED.contains(&operation.id) {
            let asked = home
                .call_as(&me.token, operation.method, &path, body.clone())
                .more();
            body["auth"] = me.auth(&text(&asked, "session"), PASSWORD);
        }
        let mut request = post(&format!("{path}{query}"), body);
        request.method = operation.method;
        if matches!(
            operation.auth,
            OperationAuth::Required | OperationAuth::Optional
        ) {
            let token = match &bob {
                Some(bob) if operation.id == "knockRoom" => &bob.token,
                _ => &me.token,
            };
            request.access_token = Some(Secret::from(token.as_str()));
        }
        let reply = match operation.id.starts_with("uploadContent") {
            true => media::upload(&mut home, request, 3),
            false => home.send(request),
        };
        if operation.id.starts_with("redirectTo") {
            assert_eq!(reply.0.status, 302, "{}: {}", operation.id, reply.text());
            continue;
        }
        assert_eq!(reply.0.status, 200, "{}: {}", operation.id, reply.text());
        let typed = |it: &&AnyEndpoint| it.operation == *operation;
        let typed = client::ENDPOINTS.iter().find(typed).unwrap();
        let again = typed.read(&of_the_wire(&reply)).unwrap();
        if operation.path.contains("/download/") {
            assert_eq!(again.body, reply.0.body, "{}", operation.id);
            continue;
        }
        let again: Value = serde_json::from_slice(&again.body).unwrap();
        assert_eq!(again, reply.json(), "{}", operation.id);
    }
}

#[test]
fn errors_parse_as_api_errors() {
    use client::registration::Register;

    let limits = Limits::default().registration(Limit::new(0.5, 1));
    let mut home = TestServer::new(Config::default().limits(limits));
    let asks = Register::read(&of_the_wire(&home.post(crate::REGISTER, json!({}))));
    let Err(ApiError::Uia(info)) = asks else {
        panic!("{asks:?}");
    };
    assert_eq!(info.flows[0].stages[0].as_str(), "m.login.dummy");
    assert!(info.session.is_some() && info.extra.is_empty());
    home.register_named("alice").ok();
    let reply = home.register_named("bob");
    assert_eq!(reply.header("Content-Type"), Some("application/json"));
    let limited = Register::read(&of_the_wire(&reply));
    assert!(
        matches!(limited, Err(ApiError::RateLimited { retry_after: Some(wait), .. })
        if wait.as_millis() == 2_000)
    );
}

#[test]
fn routes_are_unique() {
    let all: BTreeSet<_> = served().map(|it| (it.method.as_str(), it.path)).collect();
    assert_eq!(all.len(), served().count());
}
