//! Responses of every kind are read.

use std::time::Duration;

use matricula_api::{
    ApiError, ErrorCode,
    client::{
        authed_content_repo::DownloadContent, keys::QueryKeys, login::GetLoginFlows,
        logout::Logout, registration::Register, rooms::GetRoomState,
        sso_login_redirect::RedirectToSso, sync::Sync, wellknown::GetWellknown,
    },
    common::PushCondition,
    server::ServerEndpoint,
    uia::Stage,
};
use matricula_api::{Endpoint, client::pushrules::GetPushRulesGlobal};
use matricula_core::{Body, Response};

use crate::{read, response};

/// What is invalid in a response: as a whole, or a part of it.
fn malformed<E: ServerEndpoint>(body: &str) -> String {
    match read::<E>(200, body) {
        Err(ApiError::Malformed {
            status: 200,
            message,
        }) => message,
        Err(other) => panic!("{other:?}"),
        Ok(_) => crate::first_part(&E::invalid_parts(&response(200, body))).unwrap(),
    }
}

#[test]
fn null_and_unknown_fields_are_accepted() {
    let account = read::<Register>(
        200,
        r#"{"user_id": "@a:b", "device_id": null, "access_token": null, "new": {"x": [1]}}"#,
    )
    .unwrap();
    assert_eq!(account.device_id, None);
    assert_eq!(account.access_token, None);
}

#[test]
fn status_401_with_flows_is_uia() {
    let body = r#"{"flows": [{"stages": ["m.login.dummy"]}], "params": null, "session": "s"}"#;
    let ApiError::Uia(info) = read::<Register>(401, body).unwrap_err() else {
        panic!("not recognised");
    };
    assert_eq!(info.flows[0].stages, [Stage::Dummy]);
    assert_eq!(info.session.as_deref(), Some("s"));
}

#[test]
fn unknown_fields_of_flows_are_preserved() {
    let body = r#"{"flows":[{"stages":["m.login.dummy"],"org.example.cost":3}],"params":{}}"#;
    let ApiError::Uia(info) = read::<Register>(401, body).unwrap_err() else {
        panic!("not recognised");
    };
    assert_eq!(info.flows[0].extra["org.example.cost"], 3);
    assert_eq!(serde_json::to_string(&info).unwrap(), body);
}

#[test]
fn status_429_has_wait_time() {
    let body = r#"{"errcode": "M_LIMIT_EXCEEDED", "error": "slowly", "retry_after_ms": 2500}"#;
    let retry_after = Some(Duration::from_millis(2500));
    let ApiError::RateLimited {
        retry_after: wait,
        error,
    } = read::<Register>(429, body).unwrap_err()
    else {
        panic!("not recognised");
    };
    assert_eq!(wait, retry_after);
    // With its message.
    let error = error.unwrap();
    assert_eq!(
        (error.status, &error.code),
        (429, &ErrorCode::LimitExceeded)
    );
    assert_eq!((&*error.message, error.extra.len()), ("slowly", 0));
    // A proxy's has a body for people, and perhaps a header.
    let header = vec![("retry-after".into(), "7".to_owned())];
    let response = Response::new(429, header, Body::Bytes(b"<html>".to_vec()));
    let retry_after = Some(Duration::from_secs(7));
    assert_eq!(
        Register::read(&response).unwrap_err(),
        ApiError::RateLimited {
            retry_after,
            error: None
        }
    );
}

#[test]
fn odd_429_body_is_preserved() {
    for (body, code) in [
        (
            r#"{"errcode": "M_LIMIT_EXCEEDED", "error": 1, "retry_after_ms": 5}"#,
            Some("M_LIMIT_EXCEEDED"),
        ),
        (
            r#"{"errcode": "ORG_EXAMPLE_ODD", "retry_after_ms": "5"}"#,
            Some("ORG_EXAMPLE_ODD"),
        ),
        (
            r#"{"errcode": "ORG_EXAMPLE_ODD", "retry_after_ms": "soon"}"#,
            Some("ORG_EXAMPLE_ODD"),
        ),
        (r#"{"errcode": 1, "retry_after_ms": 5}"#, None),
        (r#"{"error": "slowly", "retry_after_ms": 5}"#, None),
        (r#"{"errcode": "M_LIMIT_EXCEEDED"} and more"#, None),
    ] {
        let limited = read::<Register>(429, body).unwrap_err();
        let ApiError::RateLimited { retry_after, error } = limited else {
            panic!("{limited:?}");
        };
        // Digits in a text are a number.
        let has_wait = body.contains("_ms\": 5") || body.contains("_ms\": \"5");
        let wait = has_wait.then_some(Duration::from_millis(5));
        assert_eq!(retry_after, wait, "{body}");
        assert_eq!(
            error.as_ref().map(|error| error.code.as_str()),
            code,
            "{body}"
        );
        // An invalid time is preserved.
        if body.contains("soon") {
            assert_eq!(error.unwrap().extra["retry_after_ms"], "soon");
        }
    }
}

#[test]
fn matrix_error_has_code_and_message() {
    let body = r#"{"errcode": "M_USER_IN_USE", "error": "taken", "hint": 1}"#;
    let ApiError::Matrix(error) = read::<Register>(400, body).unwrap_err() else {
        panic!("not recognised");
    };
    assert_eq!(error.code, ErrorCode::UserInUse);
    assert_eq!(error.message, "taken");
    assert_eq!(error.extra["hint"], 1);
}

#[test]
fn html_page_is_unexpected_status() {
    let page = "<html>502 Bad Gateway</html>";
    let unexpected = ApiError::UnexpectedStatus { status: 502 };
    assert_eq!(read::<Register>(502, page).unwrap_err(), unexpected);
    let message = malformed::<Register>(page);
    assert!(message.starts_with("it is not whole JSON"), "{message}");
    let cut = malformed::<Register>(r#"{"user_id": "@a:"#);
    assert!(cut.starts_with("it is not whole JSON"), "{cut}");
}

#[test]
fn invalid_field_is_named_without_value() {
    let says = |message: String, expected: &str| assert_eq!(message, expected);
    says(
        malformed::<Register>(r#"{"device_id": "D"}"#),
        "missing field `user_id`",
    );
    says(
        malformed::<Register>("{\n \"user_id\": \"@a:b\",\n \"device_id\": [\"canary\"]\n}"),
        "expected a string, found sequence, at /device_id",
    );
    says(
        malformed::<Register>(r#"{"user_id": "@a:b", "access_token": 12345}"#),
        "expected a string, found integer, at /access_token",
    );
    says(
        malformed::<Register>(r#"{"user_id": "canary"}"#),
        "not a user id: leading sigil is incorrect or missing, at /user_id",
    );
    says(
        malformed::<GetLoginFlows>(r#"{"flows": [{"type": "a"}, {"type": "b"}, {"typ": "c"}]}"#),
        "missing field `type`, at /flows/2",
    );
    says(
        malformed::<Sync>(
            r#"{"next_batch": "n", "rooms": {"join": {"!a/b~c:d": {"timeline": {"events": [{"a": "]"}], "limited": "}"}}}}}"#,
        ),
        "expected a boolean, found string, at /rooms/join/!a~1b~0c:d/timeline/limited",
    );
    says(
        malformed::<QueryKeys>(r#"{"device_keys": {"canary": {}}}"#),
        "not a user id: leading sigil is incorrect or missing, at /device_keys/canary",
    );
    says(
        malformed::<GetWellknown>(r#"{"m.homeserver": {"base_url": 5}}"#),
        "expected a string, found integer, at /m.homeserver/base_url",
    );
    says(
        malformed::<Logout>("5"),
        "expected an object, found integer",
    );
}

#[test]
fn empty_body_is_empty_object() {
    assert!(read::<Logout>(200, "").is_ok());
    assert!(read::<Logout>(200, "{}").is_ok());
    assert_eq!(malformed::<Register>(""), "missing field `user_id`");
}

#[test]
fn response_may_be_an_array() {
    let state = read::<GetRoomState>(200, r#"[{"type": "m.room.name"}, 5]"#).unwrap();
    assert_eq!(state[0].json(), r#"{"type": "m.room.name"}"#);
    // An invalid event is an error only when it is parsed.
    assert!(state[1].read().is_err());
}

#[test]
fn download_has_its_headers() {
    let headers = vec![
        ("content-type".into(), "image/png".to_owned()),
        ("Content-Disposition".into(), "inline".to_owned()),
    ];
    let response = Response::new(200, headers, Body::Bytes(vec![1, 2]));
    let content = DownloadContent::read(&response).unwrap();
    assert_eq!(content.bytes, [1, 2]);
    assert_eq!(content.content_type.as_deref(), Some("image/png"));
    assert_eq!(content.content_disposition.as_deref(), Some("inline"));

    let elsewhere = vec![("Location".into(), "https://cdn.example.org".to_owned())];
    let response = Response::new(307, elsewhere, Body::Empty);
    let unexpected = ApiError::UnexpectedStatus { status: 307 };
    assert_eq!(DownloadContent::read(&response).unwrap_err(), unexpected);
}

#[test]
fn redirect_has_its_location() {
    let header = vec![("location".into(), "https://sso.example.org/?x".to_owned())];
    let response = Response::new(302, header, Body::Empty);
    let redirect = RedirectToSso::read(&response).unwrap();
    assert_eq!(redirect.location, "https://sso.example.org/?x");
    let nowhere = Response::new(302, vec![], Body::Empty);
    assert!(RedirectToSso::read(&nowhere).is_err());
}

#[test]
fn string_or_object_is_read() {
    let rules = read::<GetPushRulesGlobal>(
        200,
        r#"{"content": [{"actions": ["notify", {"set_tweak": "sound"}], "default": true,
            "enabled": true, "rule_id": "r",
            "conditions": [{"kind": "a", "value": null}, {"kind": "b"}]}]}"#,
    )
    .unwrap();
    let rule = &rules.content.unwrap()[0];
    let written = serde_json::to_string(&rule).unwrap();
    assert!(
        written.contains(r#"["notify",{"set_tweak":"sound"}]"#),
        "{written}"
    );
    // Null and absence differ here.
    let conditions = rule.conditions.as_ref().unwrap();
    let value = |index: usize| match &conditions[index] {
        PushCondition::Other(condition) => condition.extra.get("value"),
        other => panic!("{other:?}"),
    };
    assert_eq!(value(0), Some(&serde_json::Value::Null));
    assert_eq!(value(1), None);
    assert!(written.contains(r#"[{"kind":"a","value":null},{"kind":"b"}]"#));
}

#[test]
fn failure_differs_from_refusal() {
    let unknown = r#"{"errcode":"M_UNKNOWN","error":"no"}"#;
    for (status, body, is_failure) in [
        (500, unknown, true),
        (500, "<html>", true),
        (502, "", true),
        (507, r#"{"errcode":"M_TOO_LARGE"}"#, true),
        (599, unknown, true),
        (500, r#"{"errcode":"M_UNRECOGNIZED"}"#, false),
        (501, unknown, false),
        (400, unknown, false),
        (404, "<html>", false),
        (429, unknown, false),
    ] {
        let error = read::<Register>(status, body).unwrap_err();
        assert_eq!(error.is_failure(), is_failure, "{status} {body}");
    }
}
