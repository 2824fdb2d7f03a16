//! Adding an email address or a phone number to an account.

use matricula_auth::{
    AddThreepid, Answer, AuthError, PendingThreepid, Prompt, ServerError, Threepid, ThreepidError,
    UiaError, tables,
};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::{
    helpers::{account, one_flow, password_flow, refused},
    scripted_server::{ScriptedServer, transport_error},
};

const EMAIL: &str = "POST /_matrix/client/v3/account/3pid/email/requestToken";
const PHONE: &str = "POST /_matrix/client/v3/account/3pid/msisdn/requestToken";
const ADD: &str = "POST /_matrix/client/v3/account/3pid/add";
const LIST: &str = "GET /_matrix/client/v3/account/3pid";

fn email() -> Threepid {
    Threepid::Email("alice@example.org".into())
}

fn phone() -> Threepid {
    Threepid::Phone("GB:07700900001".parse().unwrap())
}

fn add_threepid(address: Threepid) -> ScriptedServer<AddThreepid> {
    ScriptedServer::start(AddThreepid::new(&account(Some("stored")), address))
}

/// Up to the question whether the link was followed.
fn after_email_message() -> ScriptedServer<AddThreepid> {
    let mut server = add_threepid(email());
    server.respond(200, &json!({ "sid": "sid1" }));
    server
}

fn stored(server: &ScriptedServer<AddThreepid>) -> Option<PendingThreepid> {
    let mut changes = server.commits.iter().flat_map(|commit| commit.writes());
    let last = changes.rfind(|change| change.table == tables::THREEPID_ADDITIONS)?;
    let value = last.value.as_ref()?;
    Some(serde_json::from_slice(value).unwrap())
}

/// Another process, which continues with what was stored.
fn another_process(
    server: &ScriptedServer<AddThreepid>,
    address: Threepid,
) -> ScriptedServer<AddThreepid> {
    let addition = AddThreepid::new(&account(Some("stored")), address);
    ScriptedServer::start(addition.resume(stored(server).unwrap()))
}

fn not_yet() -> Value {
    refused("M_THREEPID_AUTH_FAILED")
}

#[test]
fn opened_link_adds_the_address() {
    let mut server = add_threepid(email());
    assert_eq!(server.requests, [EMAIL]);
    let asked = server.body();
    let secret = asked["client_secret"].as_str().unwrap().to_owned();
    assert!(secret.len() >= 32);
    assert_eq!(
        (&asked["email"], &asked["send_attempt"]),
        (&json!("alice@example.org"), &json!(1))
    );
    assert!(stored(&server).is_some(), "stored before it is sent");
    server.respond(200, &json!({ "sid": "sid1" }));
    let address = "alice@example.org".to_owned();
    assert_eq!(
        *server.question(),
        Prompt::FollowLink { address, why: None }
    );
    server.answer(Answer::Yes);
    assert_eq!(server.requests.last().unwrap(), ADD);
    assert_eq!(
        server.body(),
        json!({ "sid": "sid1", "client_secret": secret })
    );
    server.respond(401, &password_flow());
    assert_eq!(server.body()["auth"]["password"], "stored");
    let mut waits = Vec::new();
    for _ in 0..3 {
        server.respond(400, &not_yet());
        waits.push(server.wake());
        assert_eq!(server.body()["auth"], json!({ "session": "s1" }));
    }
    assert_eq!(waits, [2_000, 3_000, 4_500]);
    server.respond(200, &json!({}));
    server.ok();
    assert_eq!(stored(&server), None);
    let sent = server.requests.iter().filter(|request| *request == EMAIL);
    assert_eq!(sent.count(), 1, "one message");
}

#[test]
fn wrong_code_is_asked_again() {
    let mut server = add_threepid(phone());
    assert_eq!(server.requests, [PHONE]);
    assert_eq!(server.body()["country"], "GB");
    let url = "https://id.example.org/submit";
    server.respond(200, &json!({ "sid": "sid1", "submit_url": url }));
    server.answer(Answer::Text("000000".into()));
    assert_eq!(server.requests.last().unwrap(), "POST /submit");
    server.respond(400, &refused("M_TOKEN_INCORRECT"));
    assert!(matches!(
        server.question(),
        Prompt::Code { why: Some(_), .. }
    ));
    server.answer(Answer::Text("123456".into()));
    server
        .respond(200, &json!({ "success": true }))
        .respond(200, &json!({}));
    server.ok();
}

#[test]
fn resume_sends_no_second_message() {
    let mut first = after_email_message();
    first.answer(Answer::Unavailable);
    assert!(matches!(
        first.error(),
        AuthError::Threepid(ThreepidError::AddressNotValidated { .. })
    ));
    let mut server = another_process(&first, email());
    assert_eq!(server.requests, [ADD]);
    server.respond(400, &not_yet());
    assert!(server.is_asking());
    server.answer(Answer::Unavailable);
    let mut server = another_process(&first, email());
    server.respond(200, &json!({}));
    server.ok();
    assert_eq!(stored(&server), None);
}

#[test]
fn stored_state_belongs_to_one_address() {
    let server = after_email_message();
    let server = another_process(&server, Threepid::Email("bob@example.org".into()));
    assert_eq!(server.requests, [EMAIL]);
    assert_eq!(server.body()["email"], "bob@example.org");
}

#[test]
fn crash_sends_no_second_message() {
    // Before the first answer: the same request again, with the same secret and number.
    let server = add_threepid(email());
    let body = server.body();
    let again = another_process(&server, email());
    assert_eq!(again.body(), body);
    // After it, and while adding.
    let mut server = after_email_message();
    for _ in 0..3 {
        let again = another_process(&server, email());
        assert_eq!(again.requests, [ADD]);
        match server.is_asking() {
            true => server.answer(Answer::Yes),
            false => server.respond(401, &password_flow()),
        };
    }
}

#[test]
fn more_messages_are_limited() {
    let mut server = after_email_message();
    let mut attempts = Vec::new();
    while server.result.is_none() {
        server.answer(Answer::No);
        if server.result.is_none() {
            attempts.push(server.body()["send_attempt"].as_u64().unwrap());
            server.respond(200, &json!({ "sid": "sid" }));
        }
    }
    assert_eq!(attempts, [2, 3, 4, 5, 6]);
    assert!(matches!(
        server.error(),
        AuthError::Threepid(ThreepidError::AddressNotValidated { .. })
    ));
}

#[test]
fn refused_address_is_removed() {
    for code in [
        "M_THREEPID_IN_USE",
        "M_THREEPID_DENIED",
        "M_INVALID_EMAIL",
        "M_SERVER_NOT_TRUSTED",
    ] {
        let mut server = add_threepid(email());
        server.respond(400, &refused(code));
        let AuthError::Threepid(ThreepidError::AddressRefused { code: actual, .. }) =
            server.error()
        else {
            panic!("{}", server.error())
        };
        assert_eq!(actual.as_str(), code);
        assert_eq!(stored(&server), None);
    }
    // Another client was faster.
    let mut server = after_email_message();
    server
        .answer(Answer::Yes)
        .respond(400, &refused("M_THREEPID_IN_USE"));
    assert!(matches!(
        server.error(),
        AuthError::Threepid(ThreepidError::AddressRefused { .. })
    ));
    assert_eq!(stored(&server), None);
}

#[test]
fn other_errors_keep_the_address() {
    type Ending = fn(&mut ScriptedServer<AddThreepid>);
    let endings: [Ending; 6] = [
        |server| {
            server.respond(404, &refused("M_UNRECOGNIZED"));
        },
        |server| {
            server.respond(500, &refused("M_UNKNOWN"));
        },
        |server| {
            server.respond(429, &refused("M_LIMIT_EXCEEDED"));
        },
        |server| {
            server.lose();
        },
        |server| {
            server.outcome(Outcome::Failed(transport_error(
                TransportErrorKind::Connect,
            )));
        },
        |server| {
            server
                .respond(200, &json!({ "sid": "sid1" }))
                .answer(Answer::Yes)
                .respond(401, &one_flow(&["m.login.sso"]))
                .answer(Answer::Unavailable);
        },
    ];
    for (at, ending) in endings.into_iter().enumerate() {
        let mut server = add_threepid(email());
        ending(&mut server);
        server.error();
        assert!(stored(&server).is_some(), "{at}");
    }
}

#[test]
fn lost_response_lists_addresses() {
    let listed = |medium: &str, address: &str| json!({ "threepids": [{ "medium": medium, "address": address, "validated_at": 1, "added_at": 1 }] });
    for (listed, is_there) in [
        (listed("email", "Alice@example.org"), true),
        (listed("email", "bob@example.org"), false),
        (listed("msisdn", "alice@example.org"), false),
        (json!({}), false),
    ] {
        let mut server = after_email_message();
        server
            .answer(Answer::Yes)
            .respond(401, &password_flow())
            .lose();
        assert_eq!(server.requests.last().unwrap(), LIST);
        server.respond(200, &listed);
        if !is_there {
            assert_eq!(server.requests.last().unwrap(), ADD, "{listed}");
            server.respond(401, &password_flow());
            assert_eq!(server.body()["auth"]["password"], "stored");
            server.respond(200, &json!({}));
        }
        server.ok();
        assert_eq!(stored(&server), None);
    }
    let mut server = after_email_message();
    server.answer(Answer::Yes).lose().lose();
    assert!(matches!(
        server.error(),
        AuthError::Uia(UiaError::MayBeDone { .. })
    ));
    assert!(stored(&server).is_some());
}

#[test]
fn phone_number_matches_server_format() {
    let mut server = add_threepid(phone());
    server
        .respond(
            200,
            &json!({ "sid": "sid1", "submit_url": "https://id.example.org/submit" }),
        )
        .answer(Answer::Text("123456".into()))
        .respond(200, &json!({ "success": true }))
        .lose();
    server.respond(
        200,
        &json!({ "threepids": [
        { "medium": "msisdn", "address": "447700900001", "validated_at": 1, "added_at": 1 }
    ] }),
    );
    server.ok();
}

#[test]
fn code_goes_to_safe_urls_only() {
    for url in [
        "http://id.example.org/submit",
        "https://10.0.0.1/submit",
        "file:///x",
    ] {
        let mut server = add_threepid(phone());
        server
            .respond(200, &json!({ "sid": "sid1", "submit_url": url }))
            .answer(Answer::Text("123456".into()));
        assert!(
            matches!(
                server.error(),
                AuthError::Server(ServerError::NotMatrix { .. })
            ),
            "{url}"
        );
    }
}

#[test]
fn every_addition_ends() {
    let answers = [
        (200, json!({ "sid": "sid1" })),
        (200, json!({})),
        (400, not_yet()),
        (401, password_flow()),
        (401, one_flow(&["m.login.dummy"])),
        (500, refused("M_UNKNOWN")),
    ];
    // Each pair of answers, in turn.
    for first in &answers {
        for second in &answers {
            let mut server = add_threepid(email());
            let mut turns = 0;
            while server.result.is_none() {
                turns += 1;
                assert!(turns < 5_000, "{first:?} {second:?}");
                if server.is_asking() {
                    server.answer(Answer::Yes);
                } else if server.is_waiting() {
                    server.wake();
                } else {
                    let (status, body) = if turns % 2 == 0 { first } else { second };
                    server.respond(*status, body);
                }
            }
        }
    }
}

#[test]
fn known_code_is_submitted() {
    let mut first = add_threepid(phone());
    let url = "https://id.example.org/submit";
    first
        .respond(200, &json!({ "sid": "sid1", "submit_url": url }))
        .answer(Answer::Unavailable);
    let later = AddThreepid::new(&account(Some("stored")), phone())
        .resume(stored(&first).unwrap())
        .code("123456".into());
    let mut server = ScriptedServer::start(later);
    assert_eq!(server.requests, ["POST /submit"]);
    assert_eq!(server.body()["token"], "123456");
    server
        .respond(200, &json!({ "success": true }))
        .respond(200, &json!({}));
    server.ok();
}
