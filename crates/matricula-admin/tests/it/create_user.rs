//! Creating a user with the admin API: existing users stay unchanged, and no password is lost.

use matricula_admin::{AdminError, CreateUser, CreateUserResult, PendingUser, tables};
use matricula_auth::{
    Account, AuthError, RegisterError, SessionError, ThreepidError, tables::ACCOUNTS,
};
use matricula_core::{Auth, TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::scripted_server::{ScriptedServer, administrator, error_body, transport_error};

const LOOK_UP: &str = "GET /_synapse/admin/v2/users/%40bob%3Aexample.org";
const CREATE: &str = "PUT /_synapse/admin/v2/users/%40bob%3Aexample.org";
const LOGIN: &str = "POST /_matrix/client/v3/login";

type Server = ScriptedServer<CreateUser>;

fn bob() -> CreateUser {
    CreateUser::new(&administrator(), "@bob:example.org".parse().unwrap())
}

fn user() -> Value {
    json!({ "name": "@bob:example.org", "displayname": "Bob", "admin": false })
}

fn session() -> Value {
    json!({ "user_id": "@bob:example.org", "access_token": "syt_b", "device_id": "D" })
}

/// The request that creates Bob is in flight.
fn requested(creation: CreateUser) -> Server {
    let mut server = ScriptedServer::start(creation);
    server.answer(404, &error_body("M_NOT_FOUND"));
    server
}

fn stored(server: &Server) -> Option<PendingUser> {
    let mut changes = server.commits.iter().flat_map(|commit| commit.writes());
    let last = changes.rfind(|change| change.table == tables::PENDING_USERS)?;
    assert_eq!(last.key, "https://matrix.example.org @bob:example.org");
    Some(serde_json::from_slice(last.value.as_ref()?).unwrap())
}

fn created(server: &Server) -> &Account {
    match server.ok() {
        CreateUserResult::Created(account) => account,
        other => panic!("{other:?}"),
    }
}

#[test]
fn user_is_looked_up_before_creation() {
    let creation = bob()
        .password("wordpass".into())
        .admin(true)
        .display_name("Bob");
    let mut server = requested(creation);
    assert_eq!(server.requests, [LOOK_UP, CREATE]);
    assert_eq!(
        *server.job().auth(),
        Auth::Required(administrator().credential())
    );
    assert_eq!(
        server.body(),
        json!({ "password": "wordpass", "displayname": "Bob", "admin": true })
    );
    assert!(!server.job().masked_body().contains("wordpass"));
    server.answer(201, &user());
    let account = created(&server);
    assert_eq!(account.user_id.as_str(), "@bob:example.org");
    assert_eq!((&account.access_token, &account.password), (&None, &None));
    assert_eq!(stored(&server), None);
}

#[test]
fn generated_password_is_stored_first() {
    let mut server = requested(bob());
    let pending = stored(&server).unwrap();
    assert!(pending.generated);
    assert_eq!(server.body()["password"], pending.password.expose());
    server.answer(201, &user());
    assert_eq!(created(&server).password, Some(pending.password));
    let last = server.commits.last().unwrap().writes();
    let tables_of: Vec<_> = last.iter().map(|change| &*change.table).collect();
    assert_eq!(
        tables_of,
        [ACCOUNTS, tables::PENDING_USERS],
        "in one commit"
    );
}

#[test]
fn existing_user_is_never_changed() {
    let mut server = ScriptedServer::start(bob().password("wordpass".into()));
    server.answer(200, &user());
    assert_eq!(server.requests, [LOOK_UP], "nothing else was sent");
    assert!(
        matches!(server.ok(), CreateUserResult::Exists(user) if user.name.as_str() == "@bob:example.org")
    );
    let changes: Vec<_> = server
        .commits
        .iter()
        .flat_map(|commit| commit.writes())
        .collect();
    assert!(
        changes.iter().all(|change| change.table != ACCOUNTS),
        "it is not stored either"
    );
}

#[test]
fn refusals_become_specific_errors() {
    type Is = fn(&AdminError) -> bool;
    let table: [(u16, &str, Is); 3] = [
        (404, "M_UNRECOGNIZED", |e| {
            matches!(e, AdminError::NoAdministration { .. })
        }),
        (401, "M_UNKNOWN_TOKEN", |e| {
            matches!(
                e,
                AdminError::Auth(AuthError::Session(SessionError::SignedOut { .. }))
            )
        }),
        (400, "M_INVALID_USERNAME", |e| {
            matches!(
                e,
                AdminError::Auth(AuthError::Register(RegisterError::NameInvalid { .. }))
            )
        }),
    ];
    for (status, code, is_it) in table {
        let mut looking_up = ScriptedServer::start(bob());
        looking_up.answer(status, &error_body(code));
        assert!(
            is_it(looking_up.error()),
            "{code}: {:?}",
            looking_up.error()
        );
        for looked in [(status, code), (404, "M_NOT_FOUND")] {
            if looked.1 == "M_INVALID_USERNAME" {
                // The first look-up has shown that the server takes the name in a question.
                continue;
            }
            let mut creating = requested(bob());
            creating.answer(status, &error_body(code));
            creating.answer(looked.0, &error_body(looked.1));
            let error = creating.error();
            assert!(is_it(error), "{code}: {error:?}");
            assert_eq!(stored(&creating), None, "{code}");
        }
    }
}

/// Who may look users up is an administrator: another refusal has another reason.
#[test]
fn refusal_says_what_the_server_says() {
    let delegating = "User creation via the Admin API is not available when Synapse is delegating \
                      authentication to MAS. Create the user via MAS instead.";
    let forbidden = |words: &str| json!({ "errcode": "M_FORBIDDEN", "error": words });
    let mut server = ScriptedServer::start(bob());
    server.answer(403, &forbidden("You are not a server admin"));
    let AdminError::NotAnAdministrator { user_id, .. } = server.error() else {
        panic!("{:?}", server.error())
    };
    assert_eq!(user_id.as_str(), "@admin:example.org");
    let words = server.error().to_string();
    assert!(words.contains("You are not a server admin"), "{words}");
    for said in [delegating, "Not on Sundays", ""] {
        let mut server = requested(bob());
        server
            .answer(403, &forbidden(said))
            .answer(404, &error_body("M_NOT_FOUND"));
        let AdminError::NoUserCreation { message, .. } = server.error() else {
            panic!("{:?}", server.error())
        };
        assert_eq!(message, said);
        let words = server.error().to_string();
        assert!(words.contains(said), "{words}");
        assert!(!words.contains("is not an administrator"), "{words}");
        assert_eq!(stored(&server), None);
    }
}

#[test]
fn lost_response_is_settled_by_login() {
    let mut server = requested(bob());
    let password = server.body()["password"].clone();
    server.lose();
    assert_eq!(server.requests.last().unwrap(), LOOK_UP);
    server.answer(200, &user());
    assert_eq!(server.requests.last().unwrap(), LOGIN);
    assert_eq!(server.body()["password"], password);
    server.answer(200, &session());
    let account = created(&server);
    assert_eq!(account.access_token, Some("syt_b".into()));
    assert!(account.password.is_some());
    assert_eq!(stored(&server), None);
}

#[test]
fn unprocessed_request_is_sent_again() {
    let mut server = requested(bob());
    let before = server.body();
    server.lose().answer(404, &error_body("M_NOT_FOUND"));
    assert_eq!(server.requests, [LOOK_UP, CREATE, LOOK_UP, CREATE]);
    assert_eq!(server.body(), before);
    server.answer(201, &user());
    created(&server);
}

#[test]
fn user_created_meanwhile_is_not_changed() {
    let mut server = requested(bob());
    server
        .lose()
        .answer(200, &user())
        .answer(403, &error_body("M_FORBIDDEN"));
    assert!(matches!(server.ok(), CreateUserResult::Exists(_)));
    assert_eq!(stored(&server), None);
}

/// The server still processed the request of a killed process when the next process looked.
#[test]
fn user_created_since_the_look_up_is_settled_by_login() {
    let pending = stored(&requested(bob())).unwrap();
    let taken = || {
        let mut server = requested(bob().resume(pending.clone()));
        server.answer(400, &error_body("M_USER_IN_USE"));
        assert_eq!(server.requests, [LOOK_UP, CREATE, LOOK_UP]);
        server
    };
    let mut server = taken();
    server.answer(200, &user());
    assert_eq!(server.body()["password"], pending.password.expose());
    server.answer(200, &session());
    assert_eq!(created(&server).password, Some(pending.password.clone()));

    let mut server = taken();
    server
        .answer(200, &user())
        .answer(403, &error_body("M_FORBIDDEN"));
    assert!(matches!(server.ok(), CreateUserResult::Exists(_)));

    // It asks no further: the answers contradict each other.
    let mut server = taken();
    server.answer(404, &error_body("M_NOT_FOUND"));
    assert!(matches!(
        server.error(),
        AdminError::Auth(AuthError::Register(RegisterError::InDoubt { .. }))
    ));
    assert!(stored(&server).is_some());
}

#[test]
fn password_survives_doubt() {
    type Ending = fn(&mut Server);
    let endings: [Ending; 4] = [
        |server| {
            server.lose().lose();
        },
        |server| {
            server.lose().outcome(Outcome::Failed(transport_error(
                TransportErrorKind::Connect,
            )));
        },
        |server| {
            server
                .lose()
                .answer(200, &user())
                .answer(404, &error_body("M_UNRECOGNIZED"));
        },
        |server| {
            server.lose().answer(404, &error_body("M_NOT_FOUND")).lose();
        },
    ];
    for (at, ending) in endings.into_iter().enumerate() {
        let mut server = requested(bob());
        ending(&mut server);
        assert!(
            matches!(
                server.error(),
                AdminError::Auth(AuthError::Register(RegisterError::InDoubt { .. }))
            ),
            "{at}: {}",
            server.error()
        );
        assert!(stored(&server).is_some(), "{at}");
    }
}

#[test]
fn malformed_success_is_not_a_failure() {
    let mut server = requested(bob());
    server.answer_text(201, "{}");
    assert_eq!(server.requests.last().unwrap(), LOOK_UP);
}

#[test]
fn another_process_resumes_the_creation() {
    let pending = stored(&requested(bob())).unwrap();
    let again = || ScriptedServer::start(bob().resume(pending.clone()));
    let mut server = again();
    server.answer(200, &user());
    assert_eq!(server.requests, [LOOK_UP, LOGIN]);
    server.answer(200, &session());
    assert_eq!(created(&server).password, Some(pending.password.clone()));
    let mut server = again();
    server.answer(404, &error_body("M_NOT_FOUND"));
    assert_eq!(server.body()["password"], pending.password.expose());
    server.answer(201, &user());
    created(&server);
}

#[test]
fn taken_address_is_never_moved() {
    let with_email = || bob().email("Bob@example.org");
    let mut server = requested(with_email());
    assert_eq!(
        server.requests.last().unwrap(),
        "GET /_synapse/admin/v1/threepid/email/users/bob%40example.org"
    );
    server.answer(200, &json!({ "user_id": "@ann:example.org" }));
    assert!(matches!(
        server.error(),
        AdminError::Auth(AuthError::Threepid(ThreepidError::AddressRefused { .. }))
    ));
    assert_eq!(stored(&server), None);
    let mut server = requested(with_email());
    server.answer(404, &error_body("M_NOT_FOUND"));
    assert_eq!(server.requests.last().unwrap(), CREATE);
    assert_eq!(
        server.body()["threepids"],
        json!([{ "medium": "email", "address": "Bob@example.org" }])
    );
}

/// Refusals of something in the request, after which the user may exist.
const REFUSALS: [(u16, &str); 6] = [
    (400, "M_INVALID_PARAM"),
    (400, "M_UNKNOWN"),
    (403, "M_FORBIDDEN"),
    (403, "M_THREEPID_DENIED"),
    (404, "ORG.EXAMPLE.ODD"),
    (413, "M_TOO_LARGE"),
];

fn refused(status: u16, code: &str) -> Server {
    let creation = bob().display_name("B".repeat(300)).email("b@example.org");
    let mut server = requested(creation);
    server
        .answer(404, &error_body("M_NOT_FOUND"))
        .answer(status, &error_body(code));
    assert_eq!(server.requests.last().unwrap(), LOOK_UP, "{code}");
    server
}

#[test]
fn user_is_looked_for_after_a_refusal() {
    for (status, code) in REFUSALS {
        let mut server = refused(status, code);
        let password = stored(&server).unwrap().password;
        server.answer(200, &user());
        assert_eq!(server.body()["password"], password.expose(), "{code}");
        server.answer(200, &session());
        let CreateUserResult::Incomplete(account, why) = server.ok() else {
            panic!("{code}: {:?}", server.ok());
        };
        assert!(why.to_string().contains("the server's words"), "{why}");
        assert_eq!(account.user_id.as_str(), "@bob:example.org");
        assert_eq!(account.password.as_ref(), Some(&password));
        let writes = server.commits.last().unwrap().writes();
        assert!(writes.iter().any(|write| write.table == ACCOUNTS), "{code}");
        assert_eq!(stored(&server), None, "{code}");

        let mut server = refused(status, code);
        server.answer(404, &error_body("M_NOT_FOUND"));
        let error = server.error().to_string();
        assert!(error.contains("the server's words"), "{error}");
        assert_eq!(stored(&server), None, "{code}");

        let mut server = refused(status, code);
        server
            .answer(200, &user())
            .answer(403, &error_body("M_FORBIDDEN"));
        assert!(matches!(server.ok(), CreateUserResult::Exists(_)), "{code}");
    }
}

/// No login can tell whose the user is. It was not there before the request.
#[test]
fn server_without_login_has_the_user() {
    for (status, body) in [
        (404, r#"{"errcode":"M_UNRECOGNIZED"}"#),
        (400, r#"{"errcode":"M_UNRECOGNIZED"}"#),
        (405, "<html>"),
    ] {
        let mut server = refused(400, "M_INVALID_PARAM");
        server.answer(200, &user()).answer_text(status, body);
        let CreateUserResult::Incomplete(account, _) = server.ok() else {
            panic!("{status} {body}: {:?}", server.ok());
        };
        assert!(account.password.is_some() && account.access_token.is_none());
        // After a lost response it may be another's.
        let mut server = requested(bob());
        server.lose().answer(200, &user()).answer_text(status, body);
        assert!(
            matches!(
                server.error(),
                AdminError::Auth(AuthError::Register(RegisterError::InDoubt { .. }))
            ),
            "{status} {body}: {}",
            server.error()
        );
    }
}

#[test]
fn unanswered_look_up_leaves_doubt() {
    type Ending = fn(&mut Server);
    let endings: [Ending; 4] = [
        |server| {
            server.lose();
        },
        |server| {
            server.answer(500, &error_body("M_UNKNOWN"));
        },
        |server| {
            server.answer(200, &user()).answer_text(502, "<html>");
        },
        |server| {
            server.answer(200, &user()).lose();
        },
    ];
    for ending in endings {
        let mut server = refused(400, "M_INVALID_PARAM");
        ending(&mut server);
        assert!(
            matches!(
                server.error(),
                AdminError::Auth(AuthError::Register(RegisterError::InDoubt { .. }))
            ),
            "{}",
            server.error()
        );
        let pending = stored(&server).unwrap();
        let mut next = ScriptedServer::start(bob().resume(pending.clone()));
        next.answer(200, &user()).answer(200, &session());
        assert_eq!(created(&next).password, Some(pending.password));
    }
}

/// The server failed, perhaps after it had created the user.
#[test]
fn failure_of_the_server_is_settled() {
    for (status, body) in [
        (
            500,
            r#"{"errcode":"M_UNKNOWN","error":"Internal server error"}"#,
        ),
        (500, r#"{"errcode":"M_FORBIDDEN"}"#),
        (500, "<html>"),
        (502, r#"{"errcode":"M_UNKNOWN"}"#),
        (503, r#"{"errcode":"M_UNKNOWN"}"#),
        (504, ""),
        (599, r#"{"errcode":"M_UNKNOWN"}"#),
    ] {
        let mut server = requested(bob());
        server.answer_text(status, body);
        assert_eq!(server.requests.last().unwrap(), LOOK_UP, "{status} {body}");
        server.answer(200, &user()).answer(200, &session());
        assert!(created(&server).password.is_some());
    }
}
