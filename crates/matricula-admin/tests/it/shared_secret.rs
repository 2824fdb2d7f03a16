//! Registration with a shared secret: the signature, the stored password, and recovery.

use matricula_admin::{AdminError, PendingUser, SharedSecretRegistration, tables};
use matricula_auth::{AuthError, RegisterError, ServerError, ServerInfo, tables::ACCOUNTS};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::scripted_server::{ScriptedServer, error_body, transport_error};

const NONCE: &str = "GET /_synapse/admin/v1/register";
const REGISTER: &str = "POST /_synapse/admin/v1/register";
const LOGIN: &str = "POST /_matrix/client/v3/login";
const KEY: &str = "https://matrix.example.org alice";

type Server = ScriptedServer<SharedSecretRegistration>;

fn alice() -> SharedSecretRegistration {
    let server = ServerInfo::of("https://matrix.example.org".parse().unwrap());
    SharedSecretRegistration::new(&server, "the-secret".into(), "alice")
}

fn nonce() -> Value {
    json!({ "nonce": "n0nce" })
}

fn success() -> Value {
    json!({ "user_id": "@alice:example.org", "access_token": "syt_a", "device_id": "DEV" })
}

/// The request that registers Alice is in flight.
fn requested(registration: SharedSecretRegistration) -> Server {
    let mut server = ScriptedServer::start(registration);
    server.answer(200, &nonce());
    server
}

/// The stored password.
fn stored(server: &Server) -> Option<PendingUser> {
    let mut changes = server.commits.iter().flat_map(|commit| commit.writes());
    let last = changes.rfind(|change| change.table == tables::PENDING_USERS)?;
    assert_eq!(last.key, KEY);
    let value = last.value.as_ref()?;
    Some(serde_json::from_slice(value).unwrap())
}

#[test]
fn request_is_signed_without_the_secret() {
    // From `printf 'n0nce\0alice\0wordpass\0notadmin' | openssl dgst -sha1 -hmac the-secret`, and the
    // same with `admin`.
    let (user, admin) = (
        "429cfdedd18096f70639ad7489d1239527ea84a4",
        "13f29f42b4aefbb97db3b3a21d321fe4db4b271d",
    );
    let given = || alice().password("wordpass".into());
    for (registration, mac, is_admin) in
        [(given(), user, false), (given().admin(true), admin, true)]
    {
        let mut server = requested(registration);
        assert_eq!(server.requests, [NONCE, REGISTER]);
        let expected = json!({
            "nonce": "n0nce", "username": "alice", "password": "wordpass", "mac": mac,
            "admin": is_admin,
        });
        assert_eq!(server.body(), expected);
        let masked = server.job().masked_body();
        assert!(
            !masked.contains("wordpass") && !masked.contains(mac),
            "{masked}"
        );
        server.answer(200, &success());
        let account = server.ok();
        assert_eq!(account.access_token, Some("syt_a".into()));
        assert_eq!(account.password, None, "the person knows it");
        assert_eq!(stored(&server), None);
    }
}

#[test]
fn generated_password_is_stored_first() {
    let server = ScriptedServer::start(alice());
    assert_eq!(server.requests, [NONCE]);
    let pending = stored(&server).unwrap();
    assert!(pending.generated && pending.password.expose().len() >= 20);
    let mut server = requested(alice());
    assert_eq!(server.body()["password"], pending.password.expose());
    server.answer(200, &success());
    assert_eq!(server.ok().password, Some(pending.password));
    let last = server.commits.last().unwrap().writes();
    let tables_of: Vec<_> = last.iter().map(|change| &*change.table).collect();
    assert_eq!(
        tables_of,
        [ACCOUNTS, tables::PENDING_USERS],
        "in one commit"
    );
}

#[test]
fn wrong_secret_differs_from_no_secret() {
    for (status, code) in [
        (404, "M_UNRECOGNIZED"),
        (400, "M_UNKNOWN"),
        (403, "M_FORBIDDEN"),
    ] {
        let mut server = ScriptedServer::start(alice());
        server.answer(status, &error_body(code));
        assert!(
            matches!(server.error(), AdminError::NoSharedSecret { .. }),
            "{code}"
        );
        assert_eq!(stored(&server), None);
    }
    let mut server = requested(alice());
    server.answer(403, &error_body("M_UNKNOWN"));
    assert!(matches!(
        server.error(),
        AdminError::SharedSecretWrong { .. }
    ));
    assert!(!server.error().to_string().contains("the-secret"));
    assert_eq!(stored(&server), None);
}

#[test]
fn refusals_become_specific_errors() {
    type Is = fn(&AdminError) -> bool;
    let table: [(&str, Is); 5] = [
        ("M_USER_IN_USE", |e| {
            matches!(
                e,
                AdminError::Auth(AuthError::Register(RegisterError::NameTaken { .. }))
            )
        }),
        ("M_INVALID_USERNAME", |e| {
            matches!(
                e,
                AdminError::Auth(AuthError::Register(RegisterError::NameInvalid { .. }))
            )
        }),
        ("M_EXCLUSIVE", |e| {
            matches!(
                e,
                AdminError::Auth(AuthError::Register(RegisterError::NameReserved { .. }))
            )
        }),
        ("M_WEAK_PASSWORD", |e| {
            matches!(
                e,
                AdminError::Auth(AuthError::Register(RegisterError::WeakPassword { .. }))
            )
        }),
        ("M_PASSWORD_TOO_SHORT", |e| {
            matches!(
                e,
                AdminError::Auth(AuthError::Register(RegisterError::WeakPassword { .. }))
            )
        }),
    ];
    for (code, is_it) in table {
        let mut server = requested(alice());
        server.answer(400, &error_body(code));
        assert!(is_it(server.error()), "{code}: {:?}", server.error());
        assert_eq!(stored(&server), None, "{code}");
    }
}

#[test]
fn expired_nonce_is_requested_once_more() {
    let mut server = requested(alice());
    server.answer(400, &error_body("M_UNKNOWN"));
    assert_eq!(server.requests, [NONCE, REGISTER, NONCE]);
    let mut other = requested(alice());
    other
        .answer(400, &error_body("M_UNKNOWN"))
        .answer(200, &nonce())
        .answer(200, &success());
    other.ok();
    assert!(other.conversation().refused().is_none());
    server
        .answer(200, &nonce())
        .answer(400, &error_body("M_UNKNOWN"));
    assert_eq!(
        server.requests.last().unwrap(),
        LOGIN,
        "it is requested twice at most"
    );
    server.answer(403, &error_body("M_FORBIDDEN"));
    assert!(matches!(
        server.error(),
        AdminError::Auth(AuthError::Server(ServerError::Refused { .. }))
    ));
}

/// The server may have made the account before it refused something else in the request.
#[test]
fn account_is_found_after_a_refusal() {
    let refusals = [
        (400, "M_INVALID_PARAM"),
        (400, "M_BAD_JSON"),
        (400, "ORG.EXAMPLE.NAME_TOO_LONG"),
        (409, "M_UNKNOWN"),
        (413, "M_TOO_LARGE"),
    ];
    for (status, code) in refusals {
        let refused = || {
            let mut server = requested(alice().display_name("Alice"));
            server.answer(status, &error_body(code));
            assert_eq!(server.requests.last().unwrap(), LOGIN, "{code}");
            server
        };
        let mut server = refused();
        let pending = stored(&server).unwrap();
        assert_eq!(server.body()["password"], pending.password.expose());
        server.answer(200, &success());
        assert_eq!(server.ok().password, Some(pending.password));
        let words = server.conversation().refused().unwrap().to_string();
        assert!(words.contains("the server's words"), "{words}");
        assert_eq!(stored(&server), None);

        // The account does not exist.
        let mut server = refused();
        server.answer(403, &error_body("M_FORBIDDEN"));
        assert!(
            matches!(
                server.error(),
                AdminError::Auth(AuthError::Server(ServerError::Refused { .. }))
            ),
            "{code}: {}",
            server.error()
        );
        assert_eq!(stored(&server), None);

        // The login does not say.
        type Ending = fn(&mut Server);
        let endings: [Ending; 3] = [
            |server| _ = server.answer(429, &error_body("M_LIMIT_EXCEEDED")),
            |server| _ = server.answer(500, &error_body("M_UNKNOWN")),
            |server| _ = server.lose(),
        ];
        for ending in endings {
            let mut server = refused();
            ending(&mut server);
            assert!(
                matches!(
                    server.error(),
                    AdminError::Auth(AuthError::Register(RegisterError::InDoubt { .. }))
                ),
                "{code}: {}",
                server.error()
            );
            assert!(stored(&server).is_some(), "{code}");
        }
    }
}

/// The first request made the account, and was refused all the same.
#[test]
fn own_account_is_not_taken_for_another() {
    let taken = || {
        let mut server = requested(alice());
        server
            .answer(400, &error_body("M_UNKNOWN"))
            .answer(200, &nonce())
            .answer(400, &error_body("M_USER_IN_USE"));
        assert_eq!(server.requests.last().unwrap(), LOGIN);
        server
    };
    let mut server = taken();
    server.answer(200, &success());
    assert!(server.ok().password.is_some());
    let mut server = taken();
    server.answer(403, &error_body("M_FORBIDDEN"));
    assert!(matches!(
        server.error(),
        AdminError::Auth(AuthError::Register(RegisterError::NameTaken { .. }))
    ));
    // A server without password login cannot answer the question.
    let mut server = taken();
    server.answer(404, &error_body("M_UNRECOGNIZED"));
    assert!(matches!(
        server.error(),
        AdminError::Auth(AuthError::Register(RegisterError::InDoubt { .. }))
    ));
}

#[test]
fn lost_response_is_settled_by_login() {
    let mut server = requested(alice());
    let password = server.body()["password"].clone();
    server.lose();
    assert_eq!(server.requests, [NONCE, REGISTER, LOGIN]);
    assert_eq!(server.body()["password"], password);
    server.answer(200, &success());
    assert!(server.ok().password.is_some());
    assert_eq!(stored(&server), None);
}

#[test]
fn unprocessed_request_is_sent_again() {
    let mut server = requested(alice());
    server.lose().answer(403, &error_body("M_FORBIDDEN"));
    assert_eq!(server.requests, [NONCE, REGISTER, LOGIN, NONCE]);
    server.answer(200, &nonce()).answer(200, &success());
    server.ok();
}

#[test]
fn taken_name_may_be_in_doubt() {
    let mut server = requested(alice());
    server
        .lose()
        .answer(403, &error_body("M_FORBIDDEN"))
        .answer(200, &nonce())
        .answer(400, &error_body("M_USER_IN_USE"));
    assert!(matches!(
        server.error(),
        AdminError::Auth(AuthError::Register(RegisterError::NameTaken { .. }))
    ));
    assert_eq!(stored(&server), None);
    // A server without password login cannot answer the question.
    let mut server = requested(alice());
    server
        .lose()
        .answer(404, &error_body("M_UNRECOGNIZED"))
        .answer(200, &nonce())
        .answer(400, &error_body("M_USER_IN_USE"));
    assert!(matches!(
        server.error(),
        AdminError::Auth(AuthError::Register(RegisterError::InDoubt { .. }))
    ));
    assert!(
        stored(&server).is_some(),
        "the password may be the account's"
    );
}

#[test]
fn password_survives_doubt() {
    type Ending = fn(&mut Server);
    let endings: [Ending; 5] = [
        |server| {
            server.lose().lose();
        },
        |server| {
            server.lose().outcome(Outcome::Failed(transport_error(
                TransportErrorKind::Connect,
            )));
        },
        |server| {
            server.lose().answer(429, &error_body("M_LIMIT_EXCEEDED"));
        },
        |server| {
            server.lose().answer(500, &error_body("M_UNKNOWN"));
        },
        |server| {
            server
                .lose()
                .answer(403, &error_body("M_FORBIDDEN"))
                .answer(200, &nonce())
                .lose();
        },
    ];
    for (at, ending) in endings.into_iter().enumerate() {
        let mut server = requested(alice());
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

/// The server failed, perhaps after it had made the account.
#[test]
fn failure_of_the_server_is_settled() {
    for (status, body) in [
        (
            500,
            r#"{"errcode":"M_UNKNOWN","error":"Internal server error"}"#,
        ),
        (500, r#"{"errcode":"M_USER_IN_USE"}"#),
        (500, "<html>"),
        (502, r#"{"errcode":"M_UNKNOWN"}"#),
        (503, r#"{"errcode":"M_UNKNOWN"}"#),
        (504, ""),
        (599, r#"{"errcode":"M_UNKNOWN"}"#),
    ] {
        let failed = || {
            let mut server = requested(alice());
            server.answer_text(status, body);
            assert_eq!(
                server.requests.last().unwrap(),
                "POST /_matrix/client/v3/login",
                "{status} {body}"
            );
            server
        };
        let mut server = failed();
        let pending = stored(&server).unwrap();
        let session = json!({
            "user_id": "@alice:example.org", "access_token": "syt_a", "device_id": "D",
        });
        server.answer(200, &session);
        assert_eq!(server.ok().password, Some(pending.password));
        assert_eq!(stored(&server), None);

        // The login fails, too: nothing is given up.
        let mut server = failed();
        server.answer_text(status, body);
        assert!(
            matches!(
                server.error(),
                AdminError::Auth(AuthError::Register(RegisterError::InDoubt { .. }))
            ),
            "{status} {body}: {}",
            server.error()
        );
        assert!(stored(&server).is_some(), "{status} {body}");
    }
}

#[test]
fn unsent_registration_leaves_nothing_stored() {
    let mut server = ScriptedServer::start(alice());
    server.outcome(Outcome::Failed(transport_error(
        TransportErrorKind::Connect,
    )));
    assert!(matches!(
        server.error(),
        AdminError::Auth(AuthError::Server(ServerError::Unreachable { .. }))
    ));
    assert_eq!(stored(&server), None);
}

/// Kills the process after each commit; another process starts with the stored password.
#[test]
fn another_process_resumes_the_registration() {
    for is_made in [true, false] {
        for server in [ScriptedServer::start(alice()), requested(alice())] {
            let pending = stored(&server).unwrap();
            let mut server = ScriptedServer::start(alice().resume(pending.clone()));
            assert_eq!(server.requests, [LOGIN]);
            assert_eq!(server.body()["password"], pending.password.expose());
            if is_made {
                server.answer(200, &success());
            } else {
                server
                    .answer(403, &error_body("M_FORBIDDEN"))
                    .answer(200, &nonce());
                assert_eq!(server.body()["password"], pending.password.expose());
                server.answer(200, &success());
            }
            assert_eq!(server.ok().password, Some(pending.password));
            assert_eq!(stored(&server), None);
        }
    }
}

#[test]
fn new_password_applies_only_to_new_account() {
    let pending = stored(&ScriptedServer::start(alice())).unwrap();
    let next = || alice().password("another".into()).resume(pending.clone());
    let mut server = ScriptedServer::start(next());
    server.answer(200, &success());
    assert_eq!(
        server.ok().password,
        Some(pending.password.clone()),
        "the account has the first password"
    );
    let mut server = ScriptedServer::start(next());
    server
        .answer(403, &error_body("M_FORBIDDEN"))
        .answer(200, &nonce());
    assert_eq!(server.body()["password"], "another");
    assert_eq!(
        stored(&server).unwrap().password,
        "another".into(),
        "stored before it is sent"
    );
    server.answer(200, &success());
    assert_eq!(server.ok().password, None);
}

#[test]
fn stored_format() {
    let pending = stored(&ScriptedServer::start(alice().password("wordpass".into()))).unwrap();
    insta::assert_snapshot!(serde_json::to_string(&pending).unwrap(), @r#"{"password":"wordpass","generated":false}"#);
}
