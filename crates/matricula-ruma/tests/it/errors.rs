//! Conversion of errors and requests for authentication.

use std::time::Duration;

use matricula_api::{
    ApiError, Endpoint, ErrorCode,
    client::{device_management::DeleteDevice, registration::Register, whoami::WhoAmI},
    uia::Stage,
};
use matricula_core::{Body, Response};
use matricula_ruma::{Error, response};
use ruma_client_api::{
    account::{register, whoami},
    device::delete_device,
    uiaa::{AuthType, UiaaResponse},
};
use ruma_common::api::{
    EndpointError,
    error::{Error as RumaError, ErrorKind, FromHttpResponseError},
};
use serde_json::{Value, json};

fn answer(status: u16, body: &Value) -> Response {
    Response::new(status, vec![], Body::Json(body.to_string()))
}

fn of_ours(answer: &Response) -> ApiError {
    Register::read(answer).unwrap_err()
}

fn of_theirs(answer: &Response) -> UiaaResponse {
    match response::read::<register::v3::Response>(answer) {
        Err(FromHttpResponseError::Server(error)) => error,
        other => panic!("not an error of the server's: {other:?}"),
    }
}

/// Either side's error is read from the wire as the other's would be turned into it.
fn hold(wire: &Response) {
    let (ours, theirs) = (of_ours(wire), of_theirs(wire));
    assert_eq!(response::error_to_matricula(theirs.clone()).unwrap(), ours);
    let made: UiaaResponse = response::error_to_ruma(&ours).unwrap();
    assert_eq!(response::error_to_matricula(made.clone()).unwrap(), ours);
    let (made, theirs) = (
        response::write(made).unwrap(),
        response::write(theirs).unwrap(),
    );
    assert_eq!(made.status_code(), theirs.status_code());
    assert_eq!(made.json_body(), theirs.json_body());
}

#[test]
fn standard_error_is_converted() {
    hold(&answer(
        400,
        &json!({"errcode": "M_USER_IN_USE", "error": "Taken"}),
    ));
    hold(&answer(
        401,
        &json!({
            "errcode": "M_UNKNOWN_TOKEN", "error": "Who?", "soft_logout": true,
        }),
    ));
    hold(&answer(
        403,
        &json!({
            "errcode": "ORG_EXAMPLE_MOOD", "error": "Not in the mood", "mood": {"now": "bad"},
        }),
    ));
    hold(&answer(
        403,
        &json!({
            "errcode": "M_RESOURCE_LIMIT_EXCEEDED", "error": "Too many",
            "admin_contact": "mailto:admin@example.org",
        }),
    ));
}

#[test]
fn uia_is_converted() {
    let wire = answer(
        401,
        &json!({
            "flows": [{"stages": ["m.login.terms", "m.login.dummy"]}, {"stages": ["org.example.mood"]}],
            "params": {"m.login.terms": {"policies": {}}},
            "session": "s", "completed": ["m.login.terms"],
        }),
    );
    hold(&wire);
    let UiaaResponse::AuthResponse(theirs) = of_theirs(&wire) else {
        panic!("no authentication");
    };
    assert_eq!(theirs.session.as_deref(), Some("s"));
    assert_eq!(theirs.completed, [AuthType::Terms]);
    let ApiError::Uia(ours) =
        response::error_to_matricula(UiaaResponse::AuthResponse(theirs)).unwrap()
    else {
        panic!("no authentication");
    };
    assert_eq!(ours.completed, [Stage::Terms]);
}

#[test]
fn failed_uia_stage_is_converted() {
    hold(&answer(
        401,
        &json!({
            "flows": [{"stages": ["m.login.password"]}], "params": {}, "session": "s",
            "errcode": "M_FORBIDDEN", "error": "Invalid password",
        }),
    ));
}

#[test]
fn rate_limit_is_converted() {
    let wire = answer(
        429,
        &json!({
            "errcode": "M_LIMIT_EXCEEDED", "error": "Too many requests", "retry_after_ms": 2000,
        }),
    );
    let ours = of_ours(&wire);
    let ApiError::RateLimited { retry_after, error } = &ours else {
        panic!("{ours:?}");
    };
    assert_eq!(*retry_after, Some(Duration::from_secs(2)));
    assert_eq!(error.as_ref().unwrap().message, "Too many requests");
    assert_eq!(
        response::error_to_matricula(of_theirs(&wire)).unwrap(),
        ours
    );
    let theirs: RumaError = response::error_to_ruma(&ours).unwrap();
    assert!(
        matches!(theirs.error_kind(), Some(ErrorKind::LimitExceeded(_))),
        "{theirs:?}"
    );
    assert_eq!(response::error_to_matricula(theirs).unwrap(), ours);

    let ours = ApiError::RateLimited {
        retry_after: None,
        error: None,
    };
    let theirs: RumaError = response::error_to_ruma(&ours).unwrap();
    let back = response::error_to_matricula(theirs).unwrap();
    assert!(
        matches!(&back, ApiError::RateLimited { retry_after: None, error: Some(error) }
            if error.code == ErrorCode::LimitExceeded),
        "{back:?}"
    );
}

#[test]
fn proxy_error_is_converted() {
    let wire = Response::new(502, vec![], Body::Json("<html>".to_owned()));
    let ours = of_ours(&wire);
    assert_eq!(ours, ApiError::UnexpectedStatus { status: 502 });
    let theirs: RumaError = response::error_to_ruma(&ours).unwrap();
    assert_eq!(
        (theirs.status_code.as_u16(), theirs.error_kind()),
        (502, None)
    );
}

#[test]
fn error_response_is_not_success() {
    let error = RumaError::from_http_response(
        http::Response::builder()
            .status(404)
            .body(br#"{"errcode": "M_NOT_FOUND", "error": "No such device"}"#.as_slice())
            .unwrap(),
    );
    let refused = response::to_matricula::<DeleteDevice>(UiaaResponse::MatrixError(error));
    let Err(Error::Api(ApiError::Matrix(error))) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((error.status, error.code), (404, ErrorCode::NotFound));
    let fine = response::to_matricula::<DeleteDevice>(delete_device::v3::Response::new());
    assert_eq!(fine.unwrap(), Default::default());
}

#[test]
fn local_error_is_not_converted() {
    let wire = answer(200, &json!({"user_id": "alice"}));
    let ours = WhoAmI::read(&wire).unwrap_err();
    assert!(matches!(ours, ApiError::Malformed { .. }));
    let refused = response::error_to_ruma::<RumaError>(&ours);
    assert!(matches!(refused, Err(Error::NotSaid(_))));
    let theirs = response::read::<whoami::v3::Response>(&wire);
    assert!(matches!(
        theirs,
        Err(FromHttpResponseError::Deserialization(_))
    ));
}

#[test]
fn error_with_success_status_is_rejected() {
    let well = RumaError::from_http_response(http::Response::new(
        br#"{"errcode":"M_UNKNOWN","error":""}"#,
    ));
    assert!(matches!(
        response::error_to_matricula(well),
        Err(Error::NoError(200))
    ));
}
