//! Change of an account's password.

use matricula_auth::{
    Account, AccountError, Answer, AuthError, PasswordChange, PendingPassword, Progress, UiaError,
    tables,
};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::{
    helpers::{account, oauth_account, one_flow, password_flow, refused, wrong_password},
    scripted_server::{ScriptedServer, transport_error},
};

const CHANGE: &str = "POST /_matrix/client/v3/account/password";

fn change_to_given_password(account: &Account) -> ScriptedServer<PasswordChange> {
    ScriptedServer::start(PasswordChange::new(account, "new".into()))
}

fn change_to_generated_password(account: &Account) -> ScriptedServer<PasswordChange> {
    ScriptedServer::start(PasswordChange::generated(account))
}

/// What is stored of the new password: whether it is certain, and which. `Some(None)` if it was removed,
/// `None` if it was never stored.
fn stored(server: &ScriptedServer<PasswordChange>) -> Option<Option<(bool, Option<String>)>> {
    let mut changes = server.commits.iter().flat_map(|commit| commit.writes());
    let change = changes.rfind(|change| change.table == tables::PASSWORD_CHANGES)?;
    assert_eq!(change.key, "@alice:example.org");
    Some(change.value.as_ref().map(|json| {
        let pending: PendingPassword = serde_json::from_slice(json).unwrap();
        let password = pending
            .password
            .map(|password| password.expose().to_owned());
        (pending.is_set, password)
    }))
}

/// The stored state while it is not certain that the account has this password.
fn change_in_doubt(password: &str) -> Option<Option<(bool, Option<String>)>> {
    Some(Some((false, Some(password.to_owned()))))
}

fn pending(password: &str) -> PendingPassword {
    serde_json::from_value(json!({ "password": password, "is_set": false })).unwrap()
}

fn sent_password(server: &ScriptedServer<PasswordChange>) -> Value {
    server.body()["auth"]["password"].clone()
}

#[test]
fn old_password_authenticates_the_change() {
    let mut server = change_to_given_password(&account(Some("old")));
    assert_eq!(
        server.body(),
        json!({ "new_password": "new", "logout_devices": true })
    );
    server.respond(401, &password_flow());
    assert_eq!(sent_password(&server), "old");
    assert_eq!(server.body()["new_password"], "new");
    server.respond(200, &json!({}));
    assert_eq!(*server.ok(), None, "the person keeps it");
    assert_eq!(stored(&server), Some(Some((true, None))));
    assert_eq!(server.requests, [CHANGE, CHANGE]);

    let keeping = PasswordChange::new(&account(None), "new".into()).keep_devices(true);
    assert_eq!(
        ScriptedServer::start(keeping).body()["logout_devices"],
        false
    );
}

#[test]
fn generated_password_is_stored_before_sending() {
    let mut server = change_to_generated_password(&account(Some("old")));
    let new = server.body()["new_password"].as_str().unwrap().to_owned();
    assert_eq!(new.len(), 24);
    assert_eq!(server.commits.len(), 1);
    assert_eq!(stored(&server), change_in_doubt(&new));
    server
        .respond(401, &password_flow())
        .respond(200, &json!({}));
    assert_eq!(server.ok().as_ref().unwrap().expose(), new);
    assert_eq!(stored(&server), Some(Some((true, Some(new)))));
}

#[test]
fn certain_failure_removes_generated_password() {
    type Ending = fn(&mut ScriptedServer<PasswordChange>);
    let endings: [Ending; 5] = [
        |server| {
            server.respond(400, &refused("M_WEAK_PASSWORD"));
        },
        |server| {
            server.outcome(Outcome::Failed(transport_error(
                TransportErrorKind::Connect,
            )));
        },
        |server| {
            server
                .respond(401, &password_flow())
                .respond(401, &wrong_password())
                .answer(Answer::Unavailable);
        },
        |server| {
            server.respond(404, &refused("M_UNRECOGNIZED"));
        },
        |server| {
            server.respond(429, &refused("M_LIMIT_EXCEEDED"));
        },
    ];
    for (at, ending) in endings.into_iter().enumerate() {
        let mut server = change_to_generated_password(&account(Some("old")));
        ending(&mut server);
        server.error();
        assert_eq!(stored(&server), Some(None), "{at}");
    }
}

#[test]
fn weak_password_is_reported() {
    let mut server = change_to_given_password(&account(Some("old")));
    server.respond(400, &refused("M_PASSWORD_TOO_SHORT"));
    assert!(matches!(
        server.error(),
        AuthError::Uia(UiaError::WeakPassword { .. })
    ));
}

/// A password change whose response is lost, after the server changed the password or not.
fn lost(is_changed: bool) -> ScriptedServer<PasswordChange> {
    let mut server = change_to_given_password(&account(Some("old")));
    server.respond(401, &password_flow()).lose();
    assert!(matches!(
        server.progress.last(),
        Some(Progress::Settling(how)) if how.contains("asking again")
    ));
    server.respond(401, &password_flow());
    let right = if is_changed { "new" } else { "old" };
    let mut passwords = Vec::new();
    while server.result.is_none() {
        let password = sent_password(&server).as_str().unwrap().to_owned();
        passwords.push(password.clone());
        match password == right {
            true => server.respond(200, &json!({})),
            false => server.respond(401, &wrong_password()),
        };
    }
    assert!(passwords.len() <= 2, "{passwords:?}");
    server
}

#[test]
fn lost_response_tries_both_passwords() {
    for is_changed in [true, false] {
        assert_eq!(*lost(is_changed).ok(), None);
    }
}

#[test]
fn unknown_result_keeps_the_password() {
    type Ending = fn(&mut ScriptedServer<PasswordChange>);
    let endings: [Ending; 4] = [
        |server| {
            server.lose();
        },
        |server| {
            server.outcome(Outcome::Failed(transport_error(
                TransportErrorKind::Connect,
            )));
        },
        |server| {
            server.respond(401, &json!({ "errcode": "M_UNKNOWN_TOKEN" }));
        },
        |server| {
            server
                .respond(401, &password_flow())
                .respond(401, &wrong_password())
                .respond(401, &wrong_password());
            server.answer(Answer::Unavailable);
        },
    ];
    for (at, ending) in endings.into_iter().enumerate() {
        for first in [0, 1] {
            let mut server = change_to_generated_password(&account(Some("old")));
            server.respond(401, &password_flow());
            match first {
                0 => server.lose(),
                _ => server.respond(500, &refused("M_UNKNOWN")),
            };
            ending(&mut server);
            assert!(
                matches!(
                    server.error(),
                    AuthError::Account(AccountError::PasswordInDoubt { .. })
                ),
                "{at}: {}",
                server.error()
            );
            assert!(
                matches!(stored(&server), Some(Some((false, Some(_))))),
                "{at}"
            );
        }
    }
}

#[test]
fn resume_uses_the_same_password() {
    let mut server = change_to_generated_password(&account(Some("old")));
    server.respond(401, &password_flow());
    // The program ends here. What was stored is read back.
    let new_password = stored(&server).unwrap().unwrap().1.unwrap();
    let pending = || pending(&new_password);
    for is_changed in [true, false] {
        let change = PasswordChange::generated(&account(Some("old"))).resume(pending());
        let mut server = ScriptedServer::start(change);
        assert_eq!(server.body()["new_password"], new_password.as_str());
        server.respond(401, &password_flow());
        let right = if is_changed {
            new_password.as_str()
        } else {
            "old"
        };
        while server.result.is_none() {
            match sent_password(&server) == right {
                true => server.respond(200, &json!({})),
                false => server.respond(401, &wrong_password()),
            };
        }
        assert_eq!(server.ok().as_ref().unwrap().expose(), new_password);
    }
    // A refusal does not say what became of the earlier change.
    let change = PasswordChange::generated(&account(Some("old"))).resume(pending());
    let mut server = ScriptedServer::start(change);
    server.respond(400, &refused("M_WEAK_PASSWORD"));
    assert_eq!(stored(&server), change_in_doubt(&new_password));
}

#[test]
fn browser_stage_keeps_the_password() {
    let mut server = change_to_generated_password(&account(None));
    let new = server.body()["new_password"].clone();
    server
        .respond(401, &one_flow(&["m.login.sso"]))
        .answer(Answer::Unavailable);
    assert!(matches!(
        server.error(),
        AuthError::Uia(UiaError::StagesNotSupported(_))
    ));
    let new_password = stored(&server).unwrap().unwrap().1.unwrap();
    let change = PasswordChange::generated(&account(None))
        .resume(pending(&new_password))
        .uia_session("s1");
    let mut server = ScriptedServer::start(change);
    assert_eq!(server.body()["new_password"], new);
    assert_eq!(server.body()["auth"], json!({ "session": "s1" }));
    server.respond(200, &json!({}));
    server.ok();
}

#[test]
fn oauth_account_needs_account_page() {
    for (page, ending) in [
        (
            Some("https://id.example.org/account"),
            "; open https://id.example.org/account in a browser",
        ),
        (None, "; look for it there in a browser"),
    ] {
        let server = change_to_given_password(&oauth_account(page));
        assert_eq!(server.requests, [""; 0]);
        let error = server.error().to_string();
        assert!(error.ends_with(ending), "{error}");
    }
}

#[test]
fn debug_output_has_no_password() {
    let account = account(Some("canary-kept"));
    let change = PasswordChange::new(&account, "canary-new".into())
        .password("canary-old".into())
        .resume(pending("canary-pending"));
    let mut server = ScriptedServer::start(change);
    server.respond(401, &password_flow());
    let shown = format!("{:?}", server.conversation);
    assert!(!shown.contains("canary"), "{shown}");
}
