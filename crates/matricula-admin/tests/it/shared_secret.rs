//! Registering with a server's shared secret: the signature, what is stored, and what is settled.

use matricula_admin::{PendingUser, SharedSecretRegistration, tables};
use matricula_auth::{AuthError, ServerInfo, tables::ACCOUNTS};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::scripted_server::{Talk, refused, transport_error};

const NONCE: &str = "GET /_synapse/admin/v1/register";
const REGISTER: &str = "POST /_synapse/admin/v1/register";
const LOGIN: &str = "POST /_matrix/client/v3/login";
const KEY: &str = "https://matrix.example.org alice";

type Talking = Talk<SharedSecretRegistration>;

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

/// Alice, whose request is on its way.
fn requested(registration: SharedSecretRegistration) -> Talking {
    let mut talk = Talk::start(registration);
    talk.answer(200, &nonce());
    talk
}

/// What the store holds of her.
fn stored(talk: &Talking) -> Option<PendingUser> {
    let mut changes = talk.commits.iter().flat_map(|commit| commit.writes());
    let last = changes.rfind(|change| change.table == tables::NEW_USERS)?;
    assert_eq!(last.key, KEY);
    let value = last.value.as_ref()?;
    Some(serde_json::from_slice(value).unwrap())
}

#[test]
fn the_request_is_signed_and_the_secret_stays_here() {
    // As `printf 'n0nce\0alice\0wordpass\0notadmin' | openssl dgst -sha1 -hmac the-secret` says, and
    // likewise with `admin`.
    let (user, admin) = (
        "429cfdedd18096f70639ad7489d1239527ea84a4",
        "13f29f42b4aefbb97db3b3a21d321fe4db4b271d",
    );
    let given = || alice().with_password("wordpass".into());
    for (registration, mac, is_admin) in [(given(), user, false), (given().admin(), admin, true)] {
        let mut talk = requested(registration);
        assert_eq!(talk.requests, [NONCE, REGISTER]);
        let expected = json!({
            "nonce": "n0nce", "username": "alice", "password": "wordpass", "mac": mac,
            "admin": is_admin,
        });
        assert_eq!(talk.body(), expected);
        let masked = talk.job().masked_body();
        assert!(
            !masked.contains("wordpass") && !masked.contains(mac),
            "{masked}"
        );
        talk.answer(200, &success());
        let account = talk.ok();
        assert_eq!(account.access_token, Some("syt_a".into()));
        assert_eq!(account.password, None, "the person knows it");
        assert_eq!(stored(&talk), None);
    }
}

#[test]
fn a_made_password_is_stored_before_anything_is_sent_and_kept_with_the_account() {
    let talk = Talk::start(alice());
    assert_eq!(talk.requests, [NONCE]);
    let pending = stored(&talk).unwrap();
    assert!(pending.made && pending.password.expose().len() >= 20);
    let mut talk = requested(alice());
    assert_eq!(talk.body()["password"], pending.password.expose());
    talk.answer(200, &success());
    assert_eq!(talk.ok().password, Some(pending.password));
    let last = talk.commits.last().unwrap().writes();
    let tables_of: Vec<_> = last.iter().map(|change| &*change.table).collect();
    assert_eq!(tables_of, [ACCOUNTS, tables::NEW_USERS], "in one commit");
}

#[test]
fn a_server_without_it_is_told_from_one_with_another_secret() {
    for (status, code) in [
        (404, "M_UNRECOGNIZED"),
        (400, "M_UNKNOWN"),
        (403, "M_FORBIDDEN"),
    ] {
        let mut talk = Talk::start(alice());
        talk.answer(status, &refused(code));
        assert!(
            matches!(talk.error(), AuthError::NoSharedSecret { .. }),
            "{code}"
        );
        assert_eq!(stored(&talk), None);
    }
    let mut talk = requested(alice());
    talk.answer(403, &refused("M_UNKNOWN"));
    assert!(matches!(talk.error(), AuthError::SharedSecretWrong { .. }));
    assert!(!talk.error().to_string().contains("the-secret"));
    assert_eq!(stored(&talk), None);
}

#[test]
fn each_refusal_of_the_name_or_password_says_which() {
    type Is = fn(&AuthError) -> bool;
    let table: [(&str, Is); 5] = [
        ("M_USER_IN_USE", |e| {
            matches!(e, AuthError::NameTaken { .. })
        }),
        ("M_INVALID_USERNAME", |e| {
            matches!(e, AuthError::NameInvalid { .. })
        }),
        ("M_EXCLUSIVE", |e| {
            matches!(e, AuthError::NameReserved { .. })
        }),
        ("M_WEAK_PASSWORD", |e| {
            matches!(e, AuthError::WeakPassword { .. })
        }),
        ("M_PASSWORD_TOO_SHORT", |e| {
            matches!(e, AuthError::WeakPassword { .. })
        }),
    ];
    for (code, is_it) in table {
        let mut talk = requested(alice());
        talk.answer(400, &refused(code));
        assert!(is_it(talk.error()), "{code}: {:?}", talk.error());
        assert_eq!(stored(&talk), None, "{code}");
    }
}

#[test]
fn a_nonce_that_has_grown_too_old_is_asked_for_once_more() {
    let mut talk = requested(alice());
    talk.answer(400, &refused("M_UNKNOWN"));
    assert_eq!(talk.requests, [NONCE, REGISTER, NONCE]);
    talk.answer(200, &nonce())
        .answer(400, &refused("M_UNKNOWN"));
    assert!(
        matches!(talk.error(), AuthError::Refused { .. }),
        "and not for ever"
    );
}

#[test]
fn a_lost_answer_is_settled_by_signing_in() {
    let mut talk = requested(alice());
    let password = talk.body()["password"].clone();
    talk.lose();
    assert_eq!(talk.requests, [NONCE, REGISTER, LOGIN]);
    assert_eq!(talk.body()["password"], password);
    talk.answer(200, &success());
    assert!(talk.ok().password.is_some());
    assert_eq!(stored(&talk), None);
}

#[test]
fn where_it_made_no_account_it_is_asked_again() {
    let mut talk = requested(alice());
    talk.lose().answer(403, &refused("M_FORBIDDEN"));
    assert_eq!(talk.requests, [NONCE, REGISTER, LOGIN, NONCE]);
    talk.answer(200, &nonce()).answer(200, &success());
    talk.ok();
}

#[test]
fn a_name_that_is_somebody_elses_is_taken_and_one_that_may_be_ours_is_in_doubt() {
    let mut talk = requested(alice());
    talk.lose()
        .answer(403, &refused("M_FORBIDDEN"))
        .answer(200, &nonce())
        .answer(400, &refused("M_USER_IN_USE"));
    assert!(matches!(talk.error(), AuthError::NameTaken { .. }));
    assert_eq!(stored(&talk), None);
    // A server without sign-in by password tells nothing.
    let mut talk = requested(alice());
    talk.lose()
        .answer(404, &refused("M_UNRECOGNIZED"))
        .answer(200, &nonce())
        .answer(400, &refused("M_USER_IN_USE"));
    assert!(matches!(talk.error(), AuthError::InDoubt { .. }));
    assert!(stored(&talk).is_some(), "the password may be the account's");
}

#[test]
fn whatever_leaves_it_in_doubt_keeps_the_password() {
    type Ending = fn(&mut Talking);
    let endings: [Ending; 5] = [
        |talk| {
            talk.lose().lose();
        },
        |talk| {
            talk.lose().outcome(Outcome::Failed(transport_error(
                TransportErrorKind::Connect,
            )));
        },
        |talk| {
            talk.lose().answer(429, &refused("M_LIMIT_EXCEEDED"));
        },
        |talk| {
            talk.lose()
                .answer(500, &refused("M_UNKNOWN"))
                .answer(500, &refused("M_UNKNOWN"));
        },
        |talk| {
            talk.lose()
                .answer(403, &refused("M_FORBIDDEN"))
                .answer(200, &nonce())
                .lose();
        },
    ];
    for (at, ending) in endings.into_iter().enumerate() {
        let mut talk = requested(alice());
        ending(&mut talk);
        assert!(
            matches!(talk.error(), AuthError::InDoubt { .. }),
            "{at}: {}",
            talk.error()
        );
        assert!(stored(&talk).is_some(), "{at}");
    }
}

#[test]
fn where_nothing_was_sent_nothing_is_left_over() {
    let mut talk = Talk::start(alice());
    talk.outcome(Outcome::Failed(transport_error(
        TransportErrorKind::Connect,
    )));
    assert!(matches!(talk.error(), AuthError::Unreachable { .. }));
    assert_eq!(stored(&talk), None);
}

/// Kills the process at each point at which something is stored; another begins anew after it.
#[test]
fn another_process_finds_the_account_by_signing_in_or_makes_it_with_the_same_password() {
    for is_made in [true, false] {
        for talk in [Talk::start(alice()), requested(alice())] {
            let pending = stored(&talk).unwrap();
            let mut talk = Talk::start(alice().resume(pending.clone()));
            assert_eq!(talk.requests, [LOGIN]);
            assert_eq!(talk.body()["password"], pending.password.expose());
            if is_made {
                talk.answer(200, &success());
            } else {
                talk.answer(403, &refused("M_FORBIDDEN"))
                    .answer(200, &nonce());
                assert_eq!(talk.body()["password"], pending.password.expose());
                talk.answer(200, &success());
            }
            assert_eq!(talk.ok().password, Some(pending.password));
            assert_eq!(stored(&talk), None);
        }
    }
}

#[test]
fn another_password_the_next_time_is_set_only_where_there_is_no_account_yet() {
    let pending = stored(&Talk::start(alice())).unwrap();
    let next = || {
        alice()
            .with_password("another".into())
            .resume(pending.clone())
    };
    let mut talk = Talk::start(next());
    talk.answer(200, &success());
    assert_eq!(
        talk.ok().password,
        Some(pending.password.clone()),
        "the account has the first"
    );
    let mut talk = Talk::start(next());
    talk.answer(403, &refused("M_FORBIDDEN"))
        .answer(200, &nonce());
    assert_eq!(talk.body()["password"], "another");
    assert_eq!(
        stored(&talk).unwrap().password,
        "another".into(),
        "stored before it is sent"
    );
    talk.answer(200, &success());
    assert_eq!(talk.ok().password, None);
}

#[test]
fn what_is_stored_of_it() {
    let pending = stored(&Talk::start(alice().with_password("wordpass".into()))).unwrap();
    insta::assert_snapshot!(serde_json::to_string(&pending).unwrap(), @r#"{"password":"wordpass","made":false}"#);
}
