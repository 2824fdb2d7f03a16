//! Closing an account for good.

use matricula_auth::{Account, AccountError, Answer, AuthError, Deactivation, UiaError, tables};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::json;

use crate::{
    authenticated::{account, password, wrong},
    password::delegated,
    registration::refused,
    talk::{Talk, transport_error},
};

const DEACTIVATE: &str = "POST /_matrix/client/v3/account/deactivate";
const WHOAMI: &str = "GET /_matrix/client/v3/account/whoami";

fn begun(account: &Account) -> Talk<Deactivation> {
    Talk::start(Deactivation::new(account))
}

fn is_forgotten(talk: &Talk<Deactivation>) -> bool {
    let changes = talk.commits.iter().flat_map(|commit| commit.writes());
    let mut accounts = changes.filter(|change| change.table == tables::ACCOUNTS);
    accounts.any(|change| change.key == "@alice:example.org" && change.value.is_none())
}

/// Up to where the answer to the request that does it is lost.
fn lost(account: &Account) -> Talk<Deactivation> {
    let mut talk = begun(account);
    talk.answer(401, &password()).lose();
    talk
}

#[test]
fn the_account_is_forgotten_when_the_server_says_that_it_is_gone_and_not_before() {
    let mut talk = begun(&account(Some("kept")));
    assert_eq!(talk.body(), json!({ "erase": false }));
    talk.answer(401, &password());
    assert!(!is_forgotten(&talk));
    assert_eq!(talk.body()["auth"]["password"], "kept");
    talk.answer(200, &json!({ "id_server_unbind_result": "no-support" }));
    talk.ok();
    assert!(is_forgotten(&talk));
    assert_eq!(talk.requests, [DEACTIVATE, DEACTIVATE]);
    let erasing = Deactivation::new(&account(None)).erase(true);
    assert_eq!(Talk::start(erasing).body(), json!({ "erase": true }));
}

#[test]
fn whatever_keeps_it_from_happening_keeps_the_account() {
    type Ending = fn(&mut Talk<Deactivation>);
    let endings: [Ending; 5] = [
        |talk| {
            talk.answer(401, &password())
                .answer(401, &wrong())
                .reply(Answer::Unavailable);
        },
        |talk| {
            talk.answer(403, &refused("M_FORBIDDEN"));
        },
        |talk| {
            talk.outcome(Outcome::Failed(transport_error(
                TransportErrorKind::Connect,
            )));
        },
        // It was no session before: that tells nothing of the account.
        |talk| {
            talk.answer(401, &refused("M_UNKNOWN_TOKEN"));
        },
        |talk| {
            talk.answer(401, &password()).lose().lose();
        },
    ];
    for (at, ending) in endings.into_iter().enumerate() {
        let mut talk = begun(&account(Some("kept")));
        ending(&mut talk);
        talk.error();
        assert!(!is_forgotten(&talk), "{at}");
    }
}

#[test]
fn a_lost_answer_is_settled_by_asking_whether_the_session_is_known() {
    for gone in ["M_UNKNOWN_TOKEN", "M_USER_DEACTIVATED"] {
        let mut talk = lost(&account(Some("kept")));
        assert_eq!(talk.requests.last().unwrap(), WHOAMI);
        talk.answer(401, &refused(gone));
        talk.ok();
        assert!(is_forgotten(&talk), "{gone}");
    }
    // It is known: the server did not do it, and is asked again.
    let mut talk = lost(&account(Some("kept")));
    talk.answer(200, &json!({ "user_id": "@alice:example.org" }));
    assert_eq!(talk.requests.last().unwrap(), DEACTIVATE);
    talk.answer(401, &password());
    assert_eq!(talk.body()["auth"]["password"], "kept");
    talk.answer(200, &json!({ "id_server_unbind_result": "success" }));
    assert!(is_forgotten(&talk));
}

#[test]
fn a_success_that_cannot_be_read_is_settled_too() {
    let mut talk = begun(&account(Some("kept")));
    talk.answer(401, &password()).answer(200, &json!({}));
    assert_eq!(talk.requests.last().unwrap(), WHOAMI);
}

#[test]
fn a_session_that_ends_by_itself_proves_nothing_and_other_answers_neither() {
    let mut expiring = serde_json::to_value(account(Some("kept"))).unwrap();
    expiring["expires_at"] = json!(1_800_000_000_000_u64);
    let expiring: Account = serde_json::from_value(expiring).unwrap();
    for (account, status, code) in [
        (expiring, 401, "M_UNKNOWN_TOKEN"),
        (account(Some("kept")), 500, "M_UNKNOWN"),
        (account(Some("kept")), 404, "M_UNRECOGNIZED"),
    ] {
        let mut talk = lost(&account);
        talk.answer(status, &refused(code));
        assert!(
            matches!(talk.error(), AuthError::Uia(UiaError::MayBeDone { .. })),
            "{code}"
        );
        assert!(!is_forgotten(&talk), "{code}");
    }
}

#[test]
fn a_server_that_never_answers_and_never_does_it_is_asked_three_times() {
    let mut talk = lost(&account(Some("kept")));
    while talk.result.is_none() {
        let me = json!({ "user_id": "@alice:example.org" });
        talk.answer(200, &me);
        if talk.result.is_none() {
            talk.answer(401, &password()).lose();
        }
    }
    assert!(matches!(
        talk.error(),
        AuthError::Uia(UiaError::MayBeDone { .. })
    ));
    let asked = talk.requests.iter().filter(|request| *request == WHOAMI);
    assert_eq!(asked.count(), 3);
}

#[test]
fn an_account_of_an_oauth_server_is_left_to_that_servers_page() {
    let talk = begun(&delegated(Some("https://id.example.org/account")));
    let AuthError::Account(AccountError::AccountPageNeeded { url, .. }) = talk.error() else {
        panic!("{}", talk.error())
    };
    let page = "https://id.example.org/account?action=org.matrix.account_deactivate";
    assert_eq!(url.as_deref(), Some(page));
    assert!(!is_forgotten(&talk));
}
