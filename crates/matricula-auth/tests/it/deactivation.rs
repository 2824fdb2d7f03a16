//! Deactivation of an account.

use matricula_auth::{Account, AccountError, Answer, AuthError, Deactivation, UiaError, tables};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::json;

use crate::{
    helpers::{account, oauth_account, password_flow, refused, wrong_password},
    scripted_server::{ScriptedServer, transport_error},
};

const DEACTIVATE: &str = "POST /_matrix/client/v3/account/deactivate";
const WHOAMI: &str = "GET /_matrix/client/v3/account/whoami";

fn deactivate(account: &Account) -> ScriptedServer<Deactivation> {
    ScriptedServer::start(Deactivation::new(account))
}

fn is_forgotten(server: &ScriptedServer<Deactivation>) -> bool {
    let changes = server.commits.iter().flat_map(|commit| commit.writes());
    let mut accounts = changes.filter(|change| change.table == tables::ACCOUNTS);
    accounts.any(|change| change.key == "@alice:example.org" && change.value.is_none())
}

/// Up to where the answer to the request that does it is lost.
fn lost(account: &Account) -> ScriptedServer<Deactivation> {
    let mut server = deactivate(account);
    server.respond(401, &password_flow()).lose();
    server
}

#[test]
fn account_is_removed_after_confirmation() {
    let mut server = deactivate(&account(Some("stored")));
    assert_eq!(server.body(), json!({ "erase": false }));
    server.respond(401, &password_flow());
    assert!(!is_forgotten(&server));
    assert_eq!(server.body()["auth"]["password"], "stored");
    server.respond(200, &json!({ "id_server_unbind_result": "no-support" }));
    server.ok();
    assert!(is_forgotten(&server));
    assert_eq!(server.requests, [DEACTIVATE, DEACTIVATE]);
    let erasing = Deactivation::new(&account(None)).erase(true);
    assert_eq!(
        ScriptedServer::start(erasing).body(),
        json!({ "erase": true })
    );
}

#[test]
fn failure_keeps_the_account() {
    type Ending = fn(&mut ScriptedServer<Deactivation>);
    let endings: [Ending; 5] = [
        |server| {
            server
                .respond(401, &password_flow())
                .respond(401, &wrong_password())
                .answer(Answer::Unavailable);
        },
        |server| {
            server.respond(403, &refused("M_FORBIDDEN"));
        },
        |server| {
            server.outcome(Outcome::Failed(transport_error(
                TransportErrorKind::Connect,
            )));
        },
        // It was no session before: that tells nothing of the account.
        |server| {
            server.respond(401, &refused("M_UNKNOWN_TOKEN"));
        },
        |server| {
            server.respond(401, &password_flow()).lose().lose();
        },
    ];
    for (at, ending) in endings.into_iter().enumerate() {
        let mut server = deactivate(&account(Some("stored")));
        ending(&mut server);
        server.error();
        assert!(!is_forgotten(&server), "{at}");
    }
}

#[test]
fn lost_response_checks_the_session() {
    for gone in ["M_UNKNOWN_TOKEN", "M_USER_DEACTIVATED"] {
        let mut server = lost(&account(Some("stored")));
        assert_eq!(server.requests.last().unwrap(), WHOAMI);
        server.respond(401, &refused(gone));
        server.ok();
        assert!(is_forgotten(&server), "{gone}");
    }
    // It is known: the server did not do it, and is asked again.
    let mut server = lost(&account(Some("stored")));
    server.respond(200, &json!({ "user_id": "@alice:example.org" }));
    assert_eq!(server.requests.last().unwrap(), DEACTIVATE);
    server.respond(401, &password_flow());
    assert_eq!(server.body()["auth"]["password"], "stored");
    server.respond(200, &json!({ "id_server_unbind_result": "success" }));
    assert!(is_forgotten(&server));
}

#[test]
fn unreadable_success_checks_the_session() {
    let mut server = deactivate(&account(Some("stored")));
    server
        .respond(401, &password_flow())
        .respond(200, &json!({}));
    assert_eq!(server.requests.last().unwrap(), WHOAMI);
}

#[test]
fn expired_session_proves_nothing() {
    let mut expiring = serde_json::to_value(account(Some("stored"))).unwrap();
    expiring["expires_at"] = json!(1_800_000_000_000_u64);
    let expiring: Account = serde_json::from_value(expiring).unwrap();
    for (account, status, code) in [
        (expiring, 401, "M_UNKNOWN_TOKEN"),
        (account(Some("stored")), 500, "M_UNKNOWN"),
        (account(Some("stored")), 404, "M_UNRECOGNIZED"),
    ] {
        let mut server = lost(&account);
        server.respond(status, &refused(code));
        assert!(
            matches!(server.error(), AuthError::Uia(UiaError::MayBeDone { .. })),
            "{code}"
        );
        assert!(!is_forgotten(&server), "{code}");
    }
}

#[test]
fn deactivation_is_requested_three_times() {
    let mut server = lost(&account(Some("stored")));
    while server.result.is_none() {
        let me = json!({ "user_id": "@alice:example.org" });
        server.respond(200, &me);
        if server.result.is_none() {
            server.respond(401, &password_flow()).lose();
        }
    }
    assert!(matches!(
        server.error(),
        AuthError::Uia(UiaError::MayBeDone { .. })
    ));
    let asked = server.requests.iter().filter(|request| *request == WHOAMI);
    assert_eq!(asked.count(), 3);
}

#[test]
fn oauth_account_needs_account_page() {
    let server = deactivate(&oauth_account(Some("https://id.example.org/account")));
    let AuthError::Account(AccountError::AccountPageNeeded { url, .. }) = server.error() else {
        panic!("{}", server.error())
    };
    let page = "https://id.example.org/account?action=org.matrix.account_deactivate";
    assert_eq!(url.as_deref(), Some(page));
    assert!(!is_forgotten(&server));
}
