//! A registration follows what discovery found out, such as the password policy.

use matricula_auth::{Answer, AuthError, Prompt, RegisterError, Registration, RegistrationOptions};
use serde_json::{Value, json};

use crate::{
    helpers::{alice, refused, server_info, success, uia_response},
    scripted_server::ScriptedServer,
};

fn with_policy(options: RegistrationOptions, policy: Value) -> ScriptedServer<Registration> {
    let mut server_info = server_info();
    server_info.password_policy = Some(serde_json::from_value(policy).unwrap());
    ScriptedServer::start(Registration::new(&server_info, options))
}

fn twelve_with_digit() -> Value {
    json!({ "minimum_length": 12, "digit": true, "symbol": false, "uppercase": false, "lowercase": false })
}

#[test]
fn weak_password_is_never_sent() {
    let mut server = with_policy(alice(), twelve_with_digit());
    server.respond(200, &json!({ "available": true }));
    for weak in ["short1", "long but without"] {
        let Prompt::Password { why: Some(why) } = server.question() else {
            panic!("{:?}", server.question());
        };
        assert!(why.contains("does not accept the password"), "{why}");
        server.answer(Answer::Text(weak.into()));
    }
    assert_eq!(server.requests.len(), 1, "the name, and no password");
    server.answer(Answer::Text("long enough 1".into()));
    assert_eq!(server.body()["password"], "long enough 1");
}

#[test]
fn weak_password_without_person_fails() {
    let mut server = with_policy(alice(), twelve_with_digit());
    server
        .respond(200, &json!({ "available": true }))
        .answer(Answer::Unavailable);
    let AuthError::Register(RegisterError::WeakPassword { code, .. }) = server.error() else {
        panic!("{}", server.error());
    };
    assert_eq!(code.as_str(), "M_PASSWORD_TOO_SHORT");
}

#[test]
fn generated_password_has_required_length() {
    for (least, length) in [(0, 24), (24, 24), (40, 40), (1_000_000, 256)] {
        let policy = json!({ "minimum_length": least, "digit": true, "symbol": true, "uppercase": true, "lowercase": true });
        let mut server = with_policy(RegistrationOptions::default(), policy);
        if least > 256 {
            // No generated password is that long: the person decides.
            assert!(matches!(server.question(), Prompt::Password { .. }));
            continue;
        }
        assert_eq!(server.body()["password"].as_str().unwrap().len(), length);
        server.respond(200, &success());
        server.ok();
    }
}

#[test]
fn required_flow_is_taken() {
    let flows = uia_response(&json!([
        { "stages": ["m.login.dummy"] },
        { "stages": ["m.login.registration_token"] },
    ]));
    let way = serde_json::from_value(json!({ "stages": ["m.login.registration_token"] })).unwrap();
    let options = RegistrationOptions {
        token: Some("t".into()),
        ..RegistrationOptions::default()
    };
    let registration = Registration::new(&server_info(), options).only_flow(way);
    let mut server = ScriptedServer::start(registration.clone());
    server.respond(401, &flows);
    assert_eq!(server.body()["auth"]["type"], "m.login.registration_token");
    let mut server = ScriptedServer::start(registration);
    server.respond(
        401,
        &uia_response(&json!([{ "stages": ["m.login.dummy"] }])),
    );
    assert!(matches!(
        server.error(),
        AuthError::Register(RegisterError::Closed { .. })
    ));
    // Everything else stays as it is.
    let mut server = ScriptedServer::start(Registration::new(
        &server_info(),
        RegistrationOptions::default(),
    ));
    server.respond(403, &refused("M_FORBIDDEN"));
    assert!(matches!(
        server.error(),
        AuthError::Register(RegisterError::Closed { .. })
    ));
}
