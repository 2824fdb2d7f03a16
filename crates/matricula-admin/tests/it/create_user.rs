//! Making a user as an administrator: who is there is left as before, and nothing is lost.

use matricula_admin::{CreateUser, NewUser, PendingUser, tables};
use matricula_auth::{Account, AuthError, tables::ACCOUNTS};
use matricula_core::{Auth, TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::scripted_server::{Talk, administrator, refused, transport_error};

const LOOK_UP: &str = "GET /_synapse/admin/v2/users/%40bob%3Aexample.org";
const CREATE: &str = "PUT /_synapse/admin/v2/users/%40bob%3Aexample.org";
const LOGIN: &str = "POST /_matrix/client/v3/login";

type Talking = Talk<CreateUser>;

fn bob() -> CreateUser {
    CreateUser::new(&administrator(), "@bob:example.org".parse().unwrap())
}

fn user() -> Value {
    json!({ "name": "@bob:example.org", "displayname": "Bob", "admin": false })
}

fn session() -> Value {
    json!({ "user_id": "@bob:example.org", "access_token": "syt_b", "device_id": "D" })
}

/// Bob, whose creation is on its way.
fn requested(creation: CreateUser) -> Talking {
    let mut talk = Talk::start(creation);
    talk.answer(404, &refused("M_NOT_FOUND"));
    talk
}

fn stored(talk: &Talking) -> Option<PendingUser> {
    let mut changes = talk.commits.iter().flat_map(|commit| commit.writes());
    let last = changes.rfind(|change| change.table == tables::NEW_USERS)?;
    assert_eq!(last.key, "https://matrix.example.org @bob:example.org");
    Some(serde_json::from_slice(last.value.as_ref()?).unwrap())
}

fn made(talk: &Talking) -> &Account {
    match talk.ok() {
        NewUser::Made(account) => account,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_user_is_looked_up_first_and_then_made() {
    let creation = bob()
        .with_password("wordpass".into())
        .admin()
        .with_display_name("Bob");
    let mut talk = requested(creation);
    assert_eq!(talk.requests, [LOOK_UP, CREATE]);
    assert_eq!(
        *talk.job().auth(),
        Auth::Required(administrator().credential())
    );
    assert_eq!(
        talk.body(),
        json!({ "password": "wordpass", "displayname": "Bob", "admin": true })
    );
    assert!(!talk.job().masked_body().contains("wordpass"));
    talk.answer(201, &user());
    let account = made(&talk);
    assert_eq!(account.user_id.as_str(), "@bob:example.org");
    assert_eq!((&account.access_token, &account.password), (&None, &None));
    assert_eq!(stored(&talk), None);
}

#[test]
fn a_made_password_is_stored_before_it_is_sent_and_kept_with_the_account() {
    let mut talk = requested(bob());
    let pending = stored(&talk).unwrap();
    assert!(pending.made);
    assert_eq!(talk.body()["password"], pending.password.expose());
    talk.answer(201, &user());
    assert_eq!(made(&talk).password, Some(pending.password));
    let last = talk.commits.last().unwrap().writes();
    let tables_of: Vec<_> = last.iter().map(|change| &*change.table).collect();
    assert_eq!(tables_of, [ACCOUNTS, tables::NEW_USERS], "in one commit");
}

#[test]
fn a_user_who_is_there_is_never_changed() {
    let mut talk = Talk::start(bob().with_password("wordpass".into()));
    talk.answer(200, &user());
    assert_eq!(talk.requests, [LOOK_UP], "nothing else was sent");
    assert!(matches!(talk.ok(), NewUser::Exists(user) if user.name.as_str() == "@bob:example.org"));
    let changes: Vec<_> = talk
        .commits
        .iter()
        .flat_map(|commit| commit.writes())
        .collect();
    assert!(
        changes.iter().all(|change| change.table != ACCOUNTS),
        "nor kept"
    );
}

#[test]
fn each_refusal_says_what_to_do() {
    type Is = fn(&AuthError) -> bool;
    let table: [(u16, &str, Is); 4] = [
        (
            403,
            "M_FORBIDDEN",
            |e| matches!(e, AuthError::NotAnAdministrator { user_id, .. } if user_id.as_str() == "@admin:example.org"),
        ),
        (404, "M_UNRECOGNIZED", |e| {
            matches!(e, AuthError::NoAdministration { .. })
        }),
        (401, "M_UNKNOWN_TOKEN", |e| {
            matches!(e, AuthError::SignedOut { .. })
        }),
        (400, "M_INVALID_USERNAME", |e| {
            matches!(e, AuthError::NameInvalid { .. })
        }),
    ];
    for (status, code, is_it) in table {
        let mut looking_up = Talk::start(bob());
        looking_up.answer(status, &refused(code));
        let mut creating = requested(bob());
        creating.answer(status, &refused(code));
        for talk in [looking_up, creating] {
            assert!(is_it(talk.error()), "{code}: {:?}", talk.error());
            assert_eq!(stored(&talk), None, "{code}");
        }
    }
}

#[test]
fn a_lost_answer_is_settled_by_looking_and_signing_in() {
    let mut talk = requested(bob());
    let password = talk.body()["password"].clone();
    talk.lose();
    assert_eq!(talk.requests.last().unwrap(), LOOK_UP);
    talk.answer(200, &user());
    assert_eq!(talk.requests.last().unwrap(), LOGIN);
    assert_eq!(talk.body()["password"], password);
    talk.answer(200, &session());
    let account = made(&talk);
    assert_eq!(account.access_token, Some("syt_b".into()));
    assert!(account.password.is_some());
    assert_eq!(stored(&talk), None);
}

#[test]
fn where_the_lost_request_made_nobody_it_is_made_again_with_the_same_password() {
    let mut talk = requested(bob());
    let before = talk.body();
    talk.lose().answer(404, &refused("M_NOT_FOUND"));
    assert_eq!(talk.requests, [LOOK_UP, CREATE, LOOK_UP, CREATE]);
    assert_eq!(talk.body(), before);
    talk.answer(201, &user());
    made(&talk);
}

#[test]
fn who_was_made_by_somebody_else_meanwhile_is_left_alone() {
    let mut talk = requested(bob());
    talk.lose()
        .answer(200, &user())
        .answer(403, &refused("M_FORBIDDEN"));
    assert!(matches!(talk.ok(), NewUser::Exists(_)));
    assert_eq!(stored(&talk), None);
}

#[test]
fn whatever_leaves_it_in_doubt_keeps_the_password() {
    type Ending = fn(&mut Talking);
    let endings: [Ending; 4] = [
        |talk| {
            talk.lose().lose();
        },
        |talk| {
            talk.lose().outcome(Outcome::Failed(transport_error(
                TransportErrorKind::Connect,
            )));
        },
        |talk| {
            talk.lose()
                .answer(200, &user())
                .answer(404, &refused("M_UNRECOGNIZED"));
        },
        |talk| {
            talk.lose().answer(404, &refused("M_NOT_FOUND")).lose();
        },
    ];
    for (at, ending) in endings.into_iter().enumerate() {
        let mut talk = requested(bob());
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
fn a_success_that_cannot_be_read_is_not_taken_for_a_failure() {
    let mut talk = requested(bob());
    talk.answer_text(201, "{}");
    assert_eq!(talk.requests.last().unwrap(), LOOK_UP);
}

#[test]
fn another_process_goes_on_after_the_password_was_stored() {
    let pending = stored(&requested(bob())).unwrap();
    let again = || Talk::start(bob().resume(pending.clone()));
    let mut talk = again();
    talk.answer(200, &user());
    assert_eq!(talk.requests, [LOOK_UP, LOGIN]);
    talk.answer(200, &session());
    assert_eq!(made(&talk).password, Some(pending.password.clone()));
    let mut talk = again();
    talk.answer(404, &refused("M_NOT_FOUND"));
    assert_eq!(talk.body()["password"], pending.password.expose());
    talk.answer(201, &user());
    made(&talk);
}

#[test]
fn an_address_is_taken_from_nobody() {
    let with_email = || bob().with_email("Bob@example.org");
    let mut talk = requested(with_email());
    assert_eq!(
        talk.requests.last().unwrap(),
        "GET /_synapse/admin/v1/threepid/email/users/bob%40example.org"
    );
    talk.answer(200, &json!({ "user_id": "@ann:example.org" }));
    assert!(matches!(talk.error(), AuthError::AddressRefused { .. }));
    assert_eq!(stored(&talk), None);
    let mut talk = requested(with_email());
    talk.answer(404, &refused("M_NOT_FOUND"));
    assert_eq!(talk.requests.last().unwrap(), CREATE);
    assert_eq!(
        talk.body()["threepids"],
        json!([{ "medium": "email", "address": "Bob@example.org" }])
    );
}
