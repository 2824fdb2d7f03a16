//! Every secret that an operation is known to carry is masked wherever a person might see it.

mod other_apis;

use std::fmt::Debug;

use matricula_api::{
    Endpoint,
    client::{
        OPERATIONS,
        account_deactivation::DeactivateAccount,
        administrative_contact::{
            Add3Pid, Bind3Pid, Post3Pids, RequestTokenTo3PidEmail, RequestTokenTo3PidMsisdn,
        },
        create_room::CreateRoom,
        cross_signing::UploadCrossSigningKeys,
        definitions::ThirdPartySigned,
        device_management::{DeleteDevice, DeleteDevices},
        joining::{JoinRoom, JoinRoomById},
        login::Login,
        login_token::GenerateLoginToken,
        openid::RequestOpenIdToken,
        password_management::{
            ChangePassword, RequestTokenToResetPasswordEmail, RequestTokenToResetPasswordMsisdn,
        },
        pusher::{GetPushers, SetPusher},
        refresh::Refresh,
        registration::{Register, RequestTokenToRegisterEmail, RequestTokenToRegisterMsisdn},
        registration_tokens::RegistrationTokenValidity,
        third_party_membership::InviteBy3Pid,
        voip::GetTurnServer,
    },
    server::{IncomingRequest, ServerEndpoint},
};
use matricula_core::mask_json;
use serde_json::{Value, json};

use crate::{read, server};

const CANARY: &str = "canary-5b1f";

/// Puts the canary at each of the pointers, creating objects as needed.
fn plant(mut body: Value, pointers: &[&str]) -> Value {
    for pointer in pointers {
        let mut at = &mut body;
        for step in pointer.split('/').skip(1) {
            at = match step {
                "*" => &mut at[0],
                step => &mut at[step],
            };
        }
        *at = Value::String(CANARY.into());
    }
    // A validation session is nothing without its id.
    if let Some(session) = body.pointer_mut("/auth/threepid_creds") {
        session["sid"] = json!("s");
    }
    body
}

/// Checks a request whose body is `body` and all the operation's secrets; returns its id.
fn masked<E: ServerEndpoint + Debug>(body: Value) -> &'static str {
    let body = plant(body, E::OPERATION.request_secrets).to_string();
    let request = IncomingRequest::new(&E::OPERATION, E::OPERATION.path).unwrap();
    let request = request.with_body(body.as_bytes());
    masked_request(&E::read_request(&request).unwrap())
}

fn masked_request<E: Endpoint + Debug>(request: &E) -> &'static str {
    let id = E::OPERATION.id;
    let job = request.job(&server());
    let sent = String::from_utf8_lossy(job.request_body().as_bytes());
    let secrets = E::OPERATION.request_secrets.len();
    assert_eq!(sent.matches(CANARY).count(), secrets, "{id} sends {sent}");
    for shown in [
        format!("{request:?}"),
        format!("{job:?}"),
        job.masked_body(),
    ] {
        assert!(!shown.contains(CANARY), "{id} shows {shown}");
    }
    assert!(job.holds_secret(), "{id}");
    id
}

#[test]
fn requests_mask_their_secrets() {
    let email = || json!({"email": "a@b", "send_attempt": 1});
    let phone = || json!({"country": "GB", "phone_number": "1", "send_attempt": 1});
    let signed = || {
        let token = CANARY;
        Some(ThirdPartySigned::new(
            "@a:b".parse().unwrap(),
            "@c:b".parse().unwrap(),
            token,
            Default::default(),
        ))
    };
    let join = JoinRoom {
        third_party_signed: signed(),
        ..JoinRoom::new("!r:b".parse().unwrap())
    };
    let join_by_id = JoinRoomById {
        third_party_signed: signed(),
        ..JoinRoomById::new("!r:b".parse().unwrap())
    };
    let auth = plant(json!({}), DeleteDevice::OPERATION.request_secrets)["auth"].clone();
    let delete_device = DeleteDevice {
        auth: Some(serde_json::from_value(auth).unwrap()),
        ..DeleteDevice::new("D")
    };
    let invite = InviteBy3Pid::new("!r:b".parse().unwrap(), "id.org", CANARY, "email", "a@b");

    let mut checked = vec![
        masked::<Add3Pid>(json!({"sid": "s"})),
        masked::<Bind3Pid>(json!({"sid": "s", "id_server": "s"})),
        masked::<ChangePassword>(json!({})),
        masked::<CreateRoom>(
            json!({"invite_3pid": [{"id_server": "s", "medium": "email", "address": "a@b"}]}),
        ),
        masked::<DeactivateAccount>(json!({})),
        masked_request(&delete_device),
        masked::<DeleteDevices>(json!({"devices": []})),
        masked::<GenerateLoginToken>(json!({})),
        masked_request(&invite),
        masked_request(&join),
        masked_request(&join_by_id),
        masked::<Login>(json!({"type": "m.login.password"})),
        masked::<Post3Pids>(json!({"three_pid_creds": {"sid": "s", "id_server": "s"}})),
        masked::<SetPusher>(json!({"kind": null, "app_id": "a"})),
        masked::<Refresh>(json!({})),
        masked::<Register>(json!({})),
        masked::<RequestTokenTo3PidEmail>(email()),
        masked::<RequestTokenTo3PidMsisdn>(phone()),
        masked::<RequestTokenToRegisterEmail>(email()),
        masked::<RequestTokenToRegisterMsisdn>(phone()),
        masked::<RequestTokenToResetPasswordEmail>(email()),
        masked::<RequestTokenToResetPasswordMsisdn>(phone()),
        masked::<UploadCrossSigningKeys>(json!({})),
    ];
    checked.sort_unstable();
    let known = OPERATIONS
        .iter()
        .filter(|found| !found.request_secrets.is_empty());
    assert_eq!(checked, known.map(|found| found.id).collect::<Vec<_>>());
}

/// Checks a response with `body` and all secrets of the operation. Returns its id.
fn masked_answer<E: Endpoint>(body: Value) -> &'static str
where
    E::Response: Debug,
{
    let id = E::OPERATION.id;
    let body = plant(body, E::OPERATION.response_secrets).to_string();
    let shown = format!("{:?}", read::<E>(200, &body).unwrap());
    assert!(!shown.contains(CANARY), "{id} shows {shown}");
    let secrets = E::OPERATION.response_secrets.len();
    assert_eq!(shown.matches("Secret(***)").count(), secrets, "{id}");
    let masked = mask_json(&body, E::OPERATION.response_secrets);
    assert!(!masked.contains(CANARY), "{id} shows {masked}");
    id
}

#[test]
fn responses_mask_their_secrets() {
    let mut checked = vec![
        masked_answer::<GenerateLoginToken>(json!({"expires_in_ms": 1})),
        masked_answer::<GetPushers>(json!({"pushers": [{
            "kind": "http", "app_id": "a", "app_display_name": "a", "device_display_name": "d",
            "lang": "en", "data": {}
        }]})),
        masked_answer::<GetTurnServer>(json!({"username": "u", "uris": [], "ttl": 1})),
        masked_answer::<Login>(json!({"user_id": "@a:b", "device_id": "D"})),
        masked_answer::<Refresh>(json!({})),
        masked_answer::<Register>(json!({"user_id": "@a:b"})),
        masked_answer::<RequestOpenIdToken>(
            json!({"token_type": "Bearer", "matrix_server_name": "b", "expires_in": 1}),
        ),
    ];
    checked.sort_unstable();
    let known = OPERATIONS
        .iter()
        .filter(|found| !found.response_secrets.is_empty());
    assert_eq!(checked, known.map(|found| found.id).collect::<Vec<_>>());
}

#[test]
fn queries_mask_their_secrets() {
    let request = RegistrationTokenValidity::new(CANARY);
    let job = request.job(&server());
    assert_eq!(job.request_query(), [("token".into(), CANARY.to_owned())]);
    assert_eq!(job.masked_query(), [("token", "***")]);
    assert!(job.holds_secret());
    for shown in [format!("{request:?}"), format!("{job:?}")] {
        assert!(!shown.contains(CANARY), "{shown}");
    }
    let known = OPERATIONS
        .iter()
        .filter(|found| !found.query_secrets.is_empty());
    let known: Vec<&str> = known.map(|found| found.id).collect();
    assert_eq!(known, ["registrationTokenValidity"]);
}

#[test]
fn fields_named_like_secrets_are_masked() {
    // These are not secrets, despite their names.
    let open = ["next_token", "token_type", "token_endpoint"];
    let generated = concat!(env!("CARGO_MANIFEST_DIR"), "/src/generated");
    let files = ["client", "identity", "appservice", "push"]
        .into_iter()
        .flat_map(|api| std::fs::read_dir(format!("{generated}/{api}")).unwrap());
    let mut shown = Vec::new();
    for entry in files {
        let code = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let fields = code
            .lines()
            .filter(|line| !line.contains("fn "))
            .filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(": "));
        for (name, ty) in fields {
            let sounds = ["token", "password", "secret"]
                .iter()
                .any(|part| name.contains(part));
            if sounds && ty.contains("String") && !open.contains(&name) {
                shown.push(name.to_owned());
            }
        }
    }
    assert_eq!(shown, [""; 0]);
}
