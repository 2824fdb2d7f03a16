//! Operations that a server does once it knows who is there.

use matricula_api::client::{
    account_deactivation::DeactivateAccount, device_management::DeleteDevices,
};
use matricula_auth::{
    Account, Answer, AuthError, Progress, Prompt, ServerError, UiaError, UiaRequest,
};
use matricula_core::{Auth, TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::{
    registration::{refused, uia},
    talk::{Talk, transport_error},
};

const DELETE: &str = "POST /_matrix/client/v3/delete_devices";

/// An account whose password is `kept`, where it is kept.
pub(crate) fn account(kept: Option<&str>) -> Account {
    serde_json::from_value(json!({
        "user_id": "@alice:example.org", "server": "https://matrix.example.org", "device_id": "DEV",
        "access_token": "syt_a", "expires_at": null, "password": kept,
    }))
    .unwrap()
}

/// Deletes two devices.
fn delete(kept: Option<&str>) -> Talk<UiaRequest<DeleteDevices>> {
    let request = DeleteDevices::new(vec!["A".into(), "B".into()]);
    Talk::start(UiaRequest::new(&account(kept), request))
}

pub(crate) fn stages(stages: &[&str]) -> Value {
    uia(&json!([{ "stages": stages }]))
}

pub(crate) fn password() -> Value {
    stages(&["m.login.password"])
}

pub(crate) fn wrong() -> Value {
    let mut answer = password();
    answer["errcode"] = json!("M_FORBIDDEN");
    answer["error"] = json!("Invalid password");
    answer
}

fn with_password(password: &str) -> Value {
    json!({
        "type": "m.login.password", "session": "s1", "password": password,
        "identifier": { "type": "m.id.user", "user": "@alice:example.org" },
    })
}

#[test]
fn where_the_server_asks_for_nothing_one_request_does_it() {
    let mut talk = delete(None);
    assert_eq!(talk.requests, [DELETE]);
    assert_eq!(talk.body(), json!({ "devices": ["A", "B"] }));
    assert_eq!(
        *talk.job().auth(),
        Auth::Required(account(None).credential())
    );
    talk.answer(200, &json!({}));
    talk.ok();
}

#[test]
fn a_password_that_is_kept_is_given_without_asking_and_the_whole_body_is_repeated() {
    let mut talk = delete(Some("kept"));
    talk.answer(401, &password());
    assert_eq!(
        talk.body(),
        json!({ "devices": ["A", "B"], "auth": with_password("kept") })
    );
    talk.answer(200, &json!({}));
    talk.ok();
    assert_eq!(talk.requests, [DELETE, DELETE]);
}

#[test]
fn a_wrong_password_is_asked_for_again_within_a_bound() {
    let mut talk = delete(Some("old"));
    talk.answer(401, &password()).answer(401, &wrong());
    let user_id = account(None).user_id;
    let why = Some("Invalid password".to_owned());
    let question = Prompt::CurrentPassword { user_id, why };
    let mut asked = 0;
    while talk.result.is_none() {
        assert_eq!(talk.question(), &question);
        talk.reply(Answer::Text("typed".into()));
        asked += 1;
        if talk.result.is_none() {
            assert_eq!(talk.body()["auth"], with_password("typed"));
            talk.answer(401, &wrong());
        }
    }
    assert_eq!(asked, 6, "five are tried");
    assert!(matches!(
        talk.error(),
        AuthError::Uia(UiaError::WrongPassword { .. })
    ));
}

#[test]
fn each_password_that_is_known_is_tried_once_before_the_person_is_asked() {
    let request = DeleteDevices::new(vec![]);
    let conversation = UiaRequest::new(&account(Some("first")), request)
        .password("first".into())
        .password("second".into());
    let mut talk = Talk::start(conversation);
    talk.answer(401, &password());
    assert_eq!(talk.body()["auth"], with_password("second"));
    talk.answer(401, &wrong());
    assert_eq!(talk.body()["auth"], with_password("first"));
    talk.answer(401, &wrong());
    assert!(talk.is_asking());
}

#[test]
fn a_401_without_flows_is_a_wrong_password_where_one_was_given_and_a_403_is_a_refusal() {
    let mut talk = delete(Some("kept"));
    talk.answer(401, &password())
        .answer(401, &refused("M_FORBIDDEN"));
    assert!(matches!(talk.question(), Prompt::CurrentPassword { .. }));
    talk.reply(Answer::Unavailable);
    assert!(matches!(
        talk.error(),
        AuthError::Uia(UiaError::WrongPassword { .. })
    ));

    let mut talk = delete(Some("kept"));
    talk.answer(401, &password())
        .answer(403, &refused("M_FORBIDDEN"));
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::Refused { .. })
    ));
}

#[test]
fn without_a_password_and_a_person_it_says_whose_password_is_needed() {
    let mut talk = delete(None);
    talk.answer(401, &password()).reply(Answer::Unavailable);
    let told = talk.error().to_string();
    assert_eq!(
        told,
        "https://matrix.example.org asks for the password of @alice:example.org; give it"
    );
}

#[test]
fn the_way_that_asks_least_is_taken_and_told() {
    let password = ["m.login.password"];
    let easy = ["m.login.dummy"];
    let sso = ["m.login.sso"];
    let terms = ["m.login.terms", "m.login.password"];
    for (kept, flows, chosen) in [
        (Some("kept"), json!([sso, password]), "m.login.password"),
        (None, json!([sso, password]), "m.login.password"),
        (None, json!([sso, password, easy]), "m.login.dummy"),
        (None, json!([terms, password]), "m.login.password"),
        (None, json!([sso]), "m.login.sso"),
    ] {
        let flows: Vec<Value> = flows.as_array().unwrap().clone();
        let flows: Vec<Value> = flows.iter().map(|one| json!({ "stages": one })).collect();
        let mut talk = delete(kept);
        talk.answer(401, &uia(&json!(flows)));
        let Some(Progress::Route { stages, .. }) = talk.notices.first() else {
            panic!("{:?}", talk.notices)
        };
        let names: Vec<&str> = stages.iter().map(|stage| stage.as_str()).collect();
        assert_eq!(names, [chosen], "{flows:?}");
    }
}

#[test]
fn a_completed_stage_is_never_repeated() {
    let both = stages(&["m.login.password", "m.login.dummy"]);
    let mut talk = delete(Some("kept"));
    talk.answer(401, &both);
    let mut done = both.clone();
    done["completed"] = json!(["m.login.password"]);
    talk.answer(401, &done);
    assert_eq!(
        talk.body()["auth"],
        json!({ "type": "m.login.dummy", "session": "s1" })
    );
    talk.answer(200, &json!({}));
    talk.ok();
}

#[test]
fn a_page_is_opened_and_the_server_asked_until_it_is_done() {
    for (stage, params, page) in [
        (
            "m.login.sso",
            json!({}),
            "https://matrix.example.org/_matrix/client/v3/auth/m.login.sso/fallback/web?session=s1",
        ),
        (
            "org.example.riddle",
            json!({}),
            "https://matrix.example.org/_matrix/client/v3/auth/org.example.riddle/fallback/web?session=s1",
        ),
        (
            "m.oauth",
            json!({ "m.oauth": { "url": "https://id.example.org/approve" } }),
            "https://id.example.org/approve",
        ),
        (
            "m.oauth",
            json!({ "m.oauth": { "url": "javascript:alert(1)" } }),
            "https://matrix.example.org/_matrix/client/v3/auth/m.oauth/fallback/web?session=s1",
        ),
    ] {
        let mut offer = stages(&[stage]);
        offer["params"] = params;
        let mut talk = delete(None);
        talk.answer(401, &offer);
        let Prompt::StagePage { url, why: None, .. } = talk.question() else {
            panic!("{:?}", talk.question())
        };
        assert_eq!(url, page);
        talk.reply(Answer::Yes);
        assert_eq!(talk.body()["auth"], json!({ "session": "s1" }));
        talk.answer(401, &offer);
        assert_eq!(talk.wake(), 2_000);
        talk.answer(401, &offer);
        assert_eq!(talk.wake(), 3_000);
        talk.answer(200, &json!({}));
        talk.ok();
    }
}

#[test]
fn where_nobody_can_open_the_page_it_is_named_and_the_session_goes_on_later() {
    let offer = stages(&["m.login.sso"]);
    let mut talk = delete(None);
    talk.answer(401, &offer).reply(Answer::Unavailable);
    let AuthError::Uia(UiaError::StagesNotSupported(left)) = talk.error() else {
        panic!("{}", talk.error())
    };
    assert_eq!(left.session.as_deref(), Some("s1"));

    let again = || {
        let request = DeleteDevices::new(vec!["A".into(), "B".into()]);
        Talk::start(UiaRequest::new(&account(None), request).session("s1"))
    };
    let mut talk = again();
    assert_eq!(talk.body()["auth"], json!({ "session": "s1" }));
    talk.answer(200, &json!({}));
    talk.ok();

    // Where the server has forgotten it, or it was another's, a new one is begun.
    let mut talk = again();
    talk.answer(400, &refused("M_UNKNOWN"));
    assert_eq!(talk.body().get("auth"), None);
    talk.answer(400, &refused("M_UNKNOWN"));
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::Refused { .. })
    ));
}

#[test]
fn an_answer_that_is_lost_is_called_in_doubt_and_one_that_was_not_sent_is_not() {
    let mut talk = delete(Some("kept"));
    talk.answer(401, &password()).lose();
    assert!(matches!(
        talk.error(),
        AuthError::Uia(UiaError::MayBeDone { .. })
    ));

    let mut talk = delete(Some("kept"));
    talk.answer(401, &password())
        .outcome(Outcome::Failed(transport_error(
            TransportErrorKind::Connect,
        )));
    assert!(matches!(
        talk.error(),
        AuthError::Server(ServerError::Unreachable { .. })
    ));

    let mut talk = delete(Some("kept"));
    talk.answer(401, &password()).answer_text(200, "<html>");
    assert!(matches!(
        talk.error(),
        AuthError::Uia(UiaError::MayBeDone { .. })
    ));
}

#[test]
fn whatever_the_server_answers_it_ends_within_a_bound() {
    let next_session = |at: usize| {
        let mut answer = password();
        answer["session"] = json!(format!("s{at}"));
        answer
    };
    type Scripted = Box<dyn Fn(usize) -> (u16, Value)>;
    let answers: [Scripted; 5] = [
        Box::new(move |at| (401, next_session(at))),
        Box::new(|_| (401, uia(&json!([])))),
        Box::new(|_| (401, uia(&json!([{ "stages": [] }])))),
        Box::new(|_| (401, stages(&["m.login.dummy"]))),
        Box::new(|at| (401, stages(&["m.login.dummy", &format!("m.other{at}")]))),
    ];
    for (which, answer) in answers.iter().enumerate() {
        let request = DeactivateAccount::default();
        let mut talk = Talk::start(UiaRequest::new(&account(Some("kept")), request));
        let mut turns = 0;
        while talk.result.is_none() {
            turns += 1;
            assert!(turns < 3_000, "{which}");
            if talk.is_asking() {
                talk.reply(Answer::Yes);
            } else if talk.is_waiting() {
                talk.wake();
            } else {
                let (status, body) = answer(turns);
                talk.answer(status, &body);
            }
        }
        talk.error();
    }
}

#[test]
fn no_password_is_in_what_it_shows_of_itself() {
    let mut talk = delete(Some("canary-kept"));
    talk.answer(401, &password());
    let shown = format!("{:?}", talk.conversation);
    assert!(!shown.contains("canary"), "{shown}");
}
