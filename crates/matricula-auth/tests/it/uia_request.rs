//! Operations with user-interactive authentication.

use matricula_api::client::{
    account_deactivation::DeactivateAccount, device_management::DeleteDevices,
};
use matricula_auth::{Answer, AuthError, Progress, Prompt, ServerError, UiaError, UiaRequest};
use matricula_core::{Auth, TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::{
    helpers::{account, one_flow, password_flow, refused, uia_response, wrong_password},
    scripted_server::{ScriptedServer, transport_error},
};

const DELETE: &str = "POST /_matrix/client/v3/delete_devices";

/// Deletes two devices.
fn delete(stored: Option<&str>) -> ScriptedServer<UiaRequest<DeleteDevices>> {
    let request = DeleteDevices::new(vec!["A".into(), "B".into()]);
    ScriptedServer::start(UiaRequest::new(&account(stored), request))
}

fn with_password(password: &str) -> Value {
    json!({
        "type": "m.login.password", "session": "s1", "password": password,
        "identifier": { "type": "m.id.user", "user": "@alice:example.org" },
    })
}

#[test]
fn one_request_without_authentication() {
    let mut server = delete(None);
    assert_eq!(server.requests, [DELETE]);
    assert_eq!(server.body(), json!({ "devices": ["A", "B"] }));
    assert_eq!(
        *server.job().auth(),
        Auth::Required(account(None).credential())
    );
    server.respond(200, &json!({}));
    server.ok();
}

#[test]
fn stored_password_is_used_without_asking() {
    let mut server = delete(Some("stored"));
    server.respond(401, &password_flow());
    assert_eq!(
        server.body(),
        json!({ "devices": ["A", "B"], "auth": with_password("stored") })
    );
    server.respond(200, &json!({}));
    server.ok();
    assert_eq!(server.requests, [DELETE, DELETE]);
}

#[test]
fn wrong_password_attempts_are_limited() {
    let mut server = delete(Some("old"));
    server
        .respond(401, &password_flow())
        .respond(401, &wrong_password());
    let user_id = account(None).user_id;
    let why = Some("Invalid password".to_owned());
    let question = Prompt::CurrentPassword { user_id, why };
    let mut asked = 0;
    while server.result.is_none() {
        assert_eq!(server.question(), &question);
        server.answer(Answer::Text("typed".into()));
        asked += 1;
        if server.result.is_none() {
            assert_eq!(server.body()["auth"], with_password("typed"));
            server.respond(401, &wrong_password());
        }
    }
    assert_eq!(asked, 6, "five are tried");
    assert!(matches!(
        server.error(),
        AuthError::Uia(UiaError::WrongPassword { .. })
    ));
}

#[test]
fn known_passwords_are_tried_first() {
    let request = DeleteDevices::new(vec![]);
    let conversation = UiaRequest::new(&account(Some("first")), request)
        .password("first".into())
        .password("second".into());
    let mut server = ScriptedServer::start(conversation);
    server.respond(401, &password_flow());
    assert_eq!(server.body()["auth"], with_password("second"));
    server.respond(401, &wrong_password());
    assert_eq!(server.body()["auth"], with_password("first"));
    server.respond(401, &wrong_password());
    assert!(server.is_asking());
}

#[test]
fn status_401_without_flows_is_wrong_password() {
    let mut server = delete(Some("stored"));
    server
        .respond(401, &password_flow())
        .respond(401, &refused("M_FORBIDDEN"));
    assert!(matches!(server.question(), Prompt::CurrentPassword { .. }));
    server.answer(Answer::Unavailable);
    assert!(matches!(
        server.error(),
        AuthError::Uia(UiaError::WrongPassword { .. })
    ));

    let mut server = delete(Some("stored"));
    server
        .respond(401, &password_flow())
        .respond(403, &refused("M_FORBIDDEN"));
    assert!(matches!(
        server.error(),
        AuthError::Server(ServerError::Refused { .. })
    ));
}

#[test]
fn missing_password_names_the_user() {
    let mut server = delete(None);
    server
        .respond(401, &password_flow())
        .answer(Answer::Unavailable);
    let told = server.error().to_string();
    assert_eq!(
        told,
        "https://matrix.example.org asks for the password of @alice:example.org; give it"
    );
}

#[test]
fn easiest_flow_is_chosen() {
    let password = ["m.login.password"];
    let easy = ["m.login.dummy"];
    let sso = ["m.login.sso"];
    let terms = ["m.login.terms", "m.login.password"];
    for (stored, flows, chosen) in [
        (Some("stored"), json!([sso, password]), "m.login.password"),
        (None, json!([sso, password]), "m.login.password"),
        (None, json!([sso, password, easy]), "m.login.dummy"),
        (None, json!([terms, password]), "m.login.password"),
        (None, json!([sso]), "m.login.sso"),
    ] {
        let flows: Vec<Value> = flows.as_array().unwrap().clone();
        let flows: Vec<Value> = flows.iter().map(|one| json!({ "stages": one })).collect();
        let mut server = delete(stored);
        server.respond(401, &uia_response(&json!(flows)));
        let Some(Progress::Route { stages, .. }) = server.progress.first() else {
            panic!("{:?}", server.progress)
        };
        let names: Vec<&str> = stages.iter().map(|stage| stage.as_str()).collect();
        assert_eq!(names, [chosen], "{flows:?}");
    }
}

#[test]
fn completed_stage_is_never_repeated() {
    let both = one_flow(&["m.login.password", "m.login.dummy"]);
    let mut server = delete(Some("stored"));
    server.respond(401, &both);
    let mut done = both.clone();
    done["completed"] = json!(["m.login.password"]);
    server.respond(401, &done);
    assert_eq!(
        server.body()["auth"],
        json!({ "type": "m.login.dummy", "session": "s1" })
    );
    server.respond(200, &json!({}));
    server.ok();
}

#[test]
fn page_stage_is_polled_until_complete() {
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
        let mut offer = one_flow(&[stage]);
        offer["params"] = params;
        let mut server = delete(None);
        server.respond(401, &offer);
        let Prompt::StagePage { url, why: None, .. } = server.question() else {
            panic!("{:?}", server.question())
        };
        assert_eq!(url, page);
        server.answer(Answer::Yes);
        assert_eq!(server.body()["auth"], json!({ "session": "s1" }));
        server.respond(401, &offer);
        assert_eq!(server.wake(), 2_000);
        server.respond(401, &offer);
        assert_eq!(server.wake(), 3_000);
        server.respond(200, &json!({}));
        server.ok();
    }
}

#[test]
fn unopened_page_can_be_resumed() {
    let offer = one_flow(&["m.login.sso"]);
    let mut server = delete(None);
    server.respond(401, &offer).answer(Answer::Unavailable);
    let AuthError::Uia(UiaError::StagesNotSupported(left)) = server.error() else {
        panic!("{}", server.error())
    };
    assert_eq!(left.session.as_deref(), Some("s1"));

    let again = || {
        let request = DeleteDevices::new(vec!["A".into(), "B".into()]);
        ScriptedServer::start(UiaRequest::new(&account(None), request).uia_session("s1"))
    };
    let mut server = again();
    assert_eq!(server.body()["auth"], json!({ "session": "s1" }));
    server.respond(200, &json!({}));
    server.ok();

    // Where the server has forgotten it, or it was another's, a new one is begun.
    let mut server = again();
    server.respond(400, &refused("M_UNKNOWN"));
    assert_eq!(server.body().get("auth"), None);
    server.respond(400, &refused("M_UNKNOWN"));
    assert!(matches!(
        server.error(),
        AuthError::Server(ServerError::Refused { .. })
    ));
}

#[test]
fn lost_response_is_in_doubt() {
    let mut server = delete(Some("stored"));
    server.respond(401, &password_flow()).lose();
    assert!(matches!(
        server.error(),
        AuthError::Uia(UiaError::MayBeDone { .. })
    ));

    let mut server = delete(Some("stored"));
    server
        .respond(401, &password_flow())
        .outcome(Outcome::Failed(transport_error(
            TransportErrorKind::Connect,
        )));
    assert!(matches!(
        server.error(),
        AuthError::Server(ServerError::Unreachable { .. })
    ));

    let mut server = delete(Some("stored"));
    server
        .respond(401, &password_flow())
        .respond_text(200, "<html>");
    assert!(matches!(
        server.error(),
        AuthError::Uia(UiaError::MayBeDone { .. })
    ));
}

#[test]
fn every_request_ends() {
    let next_session = |at: usize| {
        let mut answer = password_flow();
        answer["session"] = json!(format!("s{at}"));
        answer
    };
    type Scripted = Box<dyn Fn(usize) -> (u16, Value)>;
    let answers: [Scripted; 5] = [
        Box::new(move |at| (401, next_session(at))),
        Box::new(|_| (401, uia_response(&json!([])))),
        Box::new(|_| (401, uia_response(&json!([{ "stages": [] }])))),
        Box::new(|_| (401, one_flow(&["m.login.dummy"]))),
        Box::new(|at| (401, one_flow(&["m.login.dummy", &format!("m.other{at}")]))),
    ];
    for (which, answer) in answers.iter().enumerate() {
        let request = DeactivateAccount::default();
        let mut server = ScriptedServer::start(UiaRequest::new(&account(Some("stored")), request));
        let mut turns = 0;
        while server.result.is_none() {
            turns += 1;
            assert!(turns < 3_000, "{which}");
            if server.is_asking() {
                server.answer(Answer::Yes);
            } else if server.is_waiting() {
                server.wake();
            } else {
                let (status, body) = answer(turns);
                server.respond(status, &body);
            }
        }
        server.error();
    }
}

#[test]
fn debug_output_has_no_password() {
    let mut server = delete(Some("canary-stored"));
    server.respond(401, &password_flow());
    let shown = format!("{:?}", server.conversation);
    assert!(!shown.contains("canary"), "{shown}");
}
