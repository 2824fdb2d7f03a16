//! What discovery told, and what the caller wants, is kept to while registering.

use matricula_auth::{Answer, AuthError, Prompt, RegisterError, Registration, RegistrationOptions};
use serde_json::{Value, json};

use crate::{
    registration::{alice, facts, refused, success, uia},
    talk::Talk,
};

fn with_policy(wishes: RegistrationOptions, policy: Value) -> Talk<Registration> {
    let mut facts = facts();
    facts.password_policy = Some(serde_json::from_value(policy).unwrap());
    Talk::start(Registration::new(&facts, wishes))
}

fn twelve_with_digit() -> Value {
    json!({ "minimum_length": 12, "digit": true, "symbol": false, "uppercase": false, "lowercase": false })
}

#[test]
fn a_password_that_breaks_the_servers_rules_is_never_sent() {
    let mut talk = with_policy(alice(), twelve_with_digit());
    talk.answer(200, &json!({ "available": true }));
    for weak in ["short1", "long but without"] {
        let Prompt::Password { why: Some(why) } = talk.question() else {
            panic!("{:?}", talk.question());
        };
        assert!(why.contains("does not accept the password"), "{why}");
        talk.reply(Answer::Text(weak.into()));
    }
    assert_eq!(talk.requests.len(), 1, "the name, and no password");
    talk.reply(Answer::Text("long enough 1".into()));
    assert_eq!(talk.body()["password"], "long enough 1");
}

#[test]
fn where_nobody_can_be_asked_for_a_stronger_password_it_ends_as_the_server_would_end_it() {
    let mut talk = with_policy(alice(), twelve_with_digit());
    talk.answer(200, &json!({ "available": true }))
        .reply(Answer::Unavailable);
    let AuthError::Register(RegisterError::WeakPassword { code, .. }) = talk.error() else {
        panic!("{}", talk.error());
    };
    assert_eq!(code.as_str(), "M_PASSWORD_TOO_SHORT");
}

#[test]
fn a_password_that_is_made_is_as_long_as_the_server_wants() {
    for (least, length) in [(0, 24), (24, 24), (40, 40), (1_000_000, 256)] {
        let policy = json!({ "minimum_length": least, "digit": true, "symbol": true, "uppercase": true, "lowercase": true });
        let mut talk = with_policy(RegistrationOptions::default(), policy);
        if least > 256 {
            // Nobody can be in earnest: the person decides.
            assert!(matches!(talk.question(), Prompt::Password { .. }));
            continue;
        }
        assert_eq!(talk.body()["password"].as_str().unwrap().len(), length);
        talk.answer(200, &success());
        talk.ok();
    }
}

#[test]
fn the_only_way_is_taken_although_another_asks_less() {
    let flows = uia(&json!([
        { "stages": ["m.login.dummy"] },
        { "stages": ["m.login.registration_token"] },
    ]));
    let way = serde_json::from_value(json!({ "stages": ["m.login.registration_token"] })).unwrap();
    let wishes = RegistrationOptions {
        token: Some("t".into()),
        ..RegistrationOptions::default()
    };
    let registration = Registration::new(&facts(), wishes).only_flow(way);
    let mut talk = Talk::start(registration.clone());
    talk.answer(401, &flows);
    assert_eq!(talk.body()["auth"]["type"], "m.login.registration_token");
    let mut talk = Talk::start(registration);
    talk.answer(401, &uia(&json!([{ "stages": ["m.login.dummy"] }])));
    assert!(matches!(
        talk.error(),
        AuthError::Register(RegisterError::Closed { .. })
    ));
    // Whatever else it is told stays as it is.
    let mut talk = Talk::start(Registration::new(&facts(), RegistrationOptions::default()));
    talk.answer(403, &refused("M_FORBIDDEN"));
    assert!(matches!(
        talk.error(),
        AuthError::Register(RegisterError::Closed { .. })
    ));
}
