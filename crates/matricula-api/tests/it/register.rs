//! Registering, to the letter.

use std::time::Duration;

use matricula_api::{
    Endpoint, Extra,
    client::registration::{Register, RegisterKind, RegisterResponse},
    server::{IncomingRequest, ServerEndpoint},
    uia::{AuthData, Stage},
};
use matricula_core::{Body, Method, OperationAuth, RetrySafety};

use crate::{read, server};

/// All nine parameters of libkazv's `RegisterJob` (the server is given to `job`), and the two that
/// only prose names.
fn full() -> Register {
    Register {
        kind: Some(RegisterKind::Guest),
        auth: Some(AuthData::stage(Stage::Dummy, Some("xxxxx".into()))),
        username: Some("cheeky_monkey".into()),
        password: Some("ilovebananas".into()),
        device_id: Some("GHTYAJCE".into()),
        initial_device_display_name: Some("Jungle Phone".into()),
        inhibit_login: Some(false),
        refresh_token: Some(true),
        login_type: Some("m.login.application_service".into()),
        guest_access_token: Some("abc".into()),
        extra: Extra::new(),
    }
}

#[test]
fn parameters_go_to_their_location() {
    let job = full().job(&server());
    assert_eq!(job.operation_id(), "register");
    assert_eq!(job.request_method(), Method::Post);
    assert_eq!(
        job.url(),
        "https://matrix.example.org/_matrix/client/v3/register"
    );
    assert_eq!(job.request_query(), [("kind".into(), "guest".to_owned())]);
    let body = concat!(
        r#"{"auth":{"type":"m.login.dummy","session":"xxxxx"},"username":"cheeky_monkey","#,
        r#""password":"ilovebananas","device_id":"GHTYAJCE","#,
        r#""initial_device_display_name":"Jungle Phone","inhibit_login":false,"#,
        r#""refresh_token":true,"type":"m.login.application_service","guest_access_token":"abc"}"#,
    );
    assert_eq!(job.request_body(), &Body::Json(body.into()));
    assert!(job.should_return_json());
    assert_eq!(job.retry_safety(), RetrySafety::OnlyIfNotProcessed);
}

#[test]
fn shown_body_masks_secrets() {
    let expected = concat!(
        r#"{"auth":{"session":"xxxxx","token":"***","type":"m.login.registration_token"},"#,
        r#""device_id":"GHTYAJCE","guest_access_token":"***","inhibit_login":false,"#,
        r#""initial_device_display_name":"Jungle Phone","password":"***","refresh_token":true,"#,
        r#""type":"m.login.application_service","username":"cheeky_monkey"}"#,
    );
    let request = Register {
        auth: Some(AuthData::registration_token(
            "fBVFdqVE".into(),
            Some("xxxxx".into()),
        )),
        ..full()
    };
    assert_eq!(request.job(&server()).masked_body(), expected);
}

#[test]
fn default_request_is_empty() {
    let job = Register::default().job(&server());
    assert_eq!(job.request_query(), []);
    assert_eq!(job.request_body(), &Body::Json("{}".into()));
    assert!(!job.holds_secret());
}

#[test]
fn operation_properties_are_set() {
    let operation = Register::OPERATION;
    assert_eq!(operation.auth, OperationAuth::AppserviceOptional);
    assert!(operation.rate_limited && operation.uia && !operation.deprecated);
}

#[test]
fn server_reads_client_request() {
    let job = full().job(&server());
    let request = IncomingRequest::of_job(&Register::OPERATION, &job).unwrap();
    assert_eq!(Register::read_request(&request).unwrap(), full());
}

#[test]
fn setters_equal_struct_literals() {
    let fluent = Register::default()
        .kind(RegisterKind::Guest)
        .auth(AuthData::stage(Stage::Dummy, Some("xxxxx".into())))
        .username("cheeky_monkey")
        .password("ilovebananas")
        .device_id("GHTYAJCE")
        .initial_device_display_name("Jungle Phone")
        .inhibit_login(false)
        .refresh_token(true)
        .login_type("m.login.application_service")
        .guest_access_token("abc");
    assert_eq!(fluent, full());
}

#[test]
fn register_response_round_trips() {
    let json = r#"{"user_id":"@a:b","access_token":"t","refresh_token":"r","expires_in_ms":60000,"home_server":"b","device_id":"D"}"#;
    let account = read::<Register>(200, json).unwrap();
    let expected = RegisterResponse {
        access_token: Some("t".into()),
        refresh_token: Some("r".into()),
        expires_in_ms: Some(Duration::from_secs(60)),
        home_server: Some("b".parse().unwrap()),
        device_id: Some("D".into()),
        ..RegisterResponse::new("@a:b".parse().unwrap())
    };
    assert_eq!(account, expected);
    assert_eq!(serde_json::to_string(&account).unwrap(), json);
}
