//! Changing an account's password.

use matricula_auth::{
    Account, AccountError, Answer, AuthError, PasswordChange, PendingPassword, Progress, UiaError,
    tables,
};
use matricula_core::{TransportErrorKind, scheduler::Outcome};
use serde_json::{Value, json};

use crate::{
    authenticated::{account, password, stages, wrong},
    registration::refused,
    talk::{Talk, transport_error},
};

const CHANGE: &str = "POST /_matrix/client/v3/account/password";

fn given(account: &Account) -> Talk<PasswordChange> {
    Talk::start(PasswordChange::new(account, "new".into()))
}

fn made(account: &Account) -> Talk<PasswordChange> {
    Talk::start(PasswordChange::generated(account))
}

/// What is stored of the new password: whether it is certain and which; nothing any more; or nothing
/// ever.
fn stored(talk: &Talk<PasswordChange>) -> Option<Option<(bool, Option<String>)>> {
    let mut changes = talk.commits.iter().flat_map(|commit| commit.writes());
    let change = changes.rfind(|change| change.table == tables::PASSWORD_CHANGES)?;
    assert_eq!(change.key, "@alice:example.org");
    Some(change.value.as_ref().map(|json| {
        let pending: PendingPassword = serde_json::from_slice(json).unwrap();
        let password = pending.password.map(|made| made.expose().to_owned());
        (pending.is_set, password)
    }))
}

/// This password, which the account may have.
fn maybe(password: &str) -> Option<Option<(bool, Option<String>)>> {
    Some(Some((false, Some(password.to_owned()))))
}

fn pending(password: &str) -> PendingPassword {
    serde_json::from_value(json!({ "password": password, "is_set": false })).unwrap()
}

fn tried(talk: &Talk<PasswordChange>) -> Value {
    talk.body()["auth"]["password"].clone()
}

#[test]
fn the_old_password_lets_the_new_one_in_and_devices_are_signed_out_unless_kept() {
    let mut talk = given(&account(Some("old")));
    assert_eq!(
        talk.body(),
        json!({ "new_password": "new", "logout_devices": true })
    );
    talk.answer(401, &password());
    assert_eq!(tried(&talk), "old");
    assert_eq!(talk.body()["new_password"], "new");
    talk.answer(200, &json!({}));
    assert_eq!(*talk.ok(), None, "the person keeps it");
    assert_eq!(stored(&talk), Some(Some((true, None))));
    assert_eq!(talk.requests, [CHANGE, CHANGE]);

    let keeping = PasswordChange::new(&account(None), "new".into()).keep_devices(true);
    assert_eq!(Talk::start(keeping).body()["logout_devices"], false);
}

#[test]
fn one_that_is_made_is_stored_before_it_is_sent_and_until_it_is_kept() {
    let mut talk = made(&account(Some("old")));
    let new = talk.body()["new_password"].as_str().unwrap().to_owned();
    assert_eq!(new.len(), 24);
    assert_eq!(talk.commits.len(), 1);
    assert_eq!(stored(&talk), maybe(&new));
    talk.answer(401, &password()).answer(200, &json!({}));
    assert_eq!(talk.ok().as_ref().unwrap().expose(), new);
    assert_eq!(stored(&talk), Some(Some((true, Some(new)))));
}

#[test]
fn where_it_certainly_was_not_changed_the_one_that_was_made_is_forgotten() {
    type Ending = fn(&mut Talk<PasswordChange>);
    let endings: [Ending; 5] = [
        |talk| {
            talk.answer(400, &refused("M_WEAK_PASSWORD"));
        },
        |talk| {
            talk.outcome(Outcome::Failed(transport_error(
                TransportErrorKind::Connect,
            )));
        },
        |talk| {
            talk.answer(401, &password())
                .answer(401, &wrong())
                .reply(Answer::Unavailable);
        },
        |talk| {
            talk.answer(404, &refused("M_UNRECOGNIZED"));
        },
        |talk| {
            talk.answer(429, &refused("M_LIMIT_EXCEEDED"));
        },
    ];
    for (at, ending) in endings.into_iter().enumerate() {
        let mut talk = made(&account(Some("old")));
        ending(&mut talk);
        talk.error();
        assert_eq!(stored(&talk), Some(None), "{at}");
    }
}

#[test]
fn a_password_that_the_server_finds_weak_is_said_to_be_so() {
    let mut talk = given(&account(Some("old")));
    talk.answer(400, &refused("M_PASSWORD_TOO_SHORT"));
    assert!(matches!(
        talk.error(),
        AuthError::Uia(UiaError::WeakPassword { .. })
    ));
}

/// A server on which the change was made, or was not; it loses the answer.
fn lost(is_changed: bool) -> Talk<PasswordChange> {
    let mut talk = given(&account(Some("old")));
    talk.answer(401, &password()).lose();
    assert!(matches!(
        talk.notices.last(),
        Some(Progress::Settling(how)) if how.contains("asking again")
    ));
    talk.answer(401, &password());
    let right = if is_changed { "new" } else { "old" };
    let mut given = Vec::new();
    while talk.result.is_none() {
        let password = tried(&talk).as_str().unwrap().to_owned();
        given.push(password.clone());
        match password == right {
            true => talk.answer(200, &json!({})),
            false => talk.answer(401, &wrong()),
        };
    }
    assert!(given.len() <= 2, "{given:?}");
    talk
}

#[test]
fn a_lost_answer_is_settled_whichever_password_the_account_has() {
    for is_changed in [true, false] {
        assert_eq!(*lost(is_changed).ok(), None);
    }
}

#[test]
fn what_cannot_be_settled_is_called_in_doubt_and_the_new_password_stays_stored() {
    type Ending = fn(&mut Talk<PasswordChange>);
    let endings: [Ending; 4] = [
        |talk| {
            talk.lose();
        },
        |talk| {
            talk.outcome(Outcome::Failed(transport_error(
                TransportErrorKind::Connect,
            )));
        },
        |talk| {
            talk.answer(401, &json!({ "errcode": "M_UNKNOWN_TOKEN" }));
        },
        |talk| {
            talk.answer(401, &password())
                .answer(401, &wrong())
                .answer(401, &wrong());
            talk.reply(Answer::Unavailable);
        },
    ];
    for (at, ending) in endings.into_iter().enumerate() {
        for first in [0, 1] {
            let mut talk = made(&account(Some("old")));
            talk.answer(401, &password());
            match first {
                0 => talk.lose(),
                _ => talk.answer(500, &refused("M_UNKNOWN")),
            };
            ending(&mut talk);
            assert!(
                matches!(
                    talk.error(),
                    AuthError::Account(AccountError::PasswordInDoubt { .. })
                ),
                "{at}: {}",
                talk.error()
            );
            assert!(
                matches!(stored(&talk), Some(Some((false, Some(_))))),
                "{at}"
            );
        }
    }
}

#[test]
fn after_a_crash_the_same_password_is_used_and_tried_as_the_old_one_too() {
    let mut talk = made(&account(Some("old")));
    talk.answer(401, &password());
    // The program ends here. What was stored is read back.
    let kept = stored(&talk).unwrap().unwrap().1.unwrap();
    let pending = || pending(&kept);
    for is_changed in [true, false] {
        let change = PasswordChange::generated(&account(Some("old"))).resume(pending());
        let mut talk = Talk::start(change);
        assert_eq!(talk.body()["new_password"], kept.as_str());
        talk.answer(401, &password());
        let right = if is_changed { kept.as_str() } else { "old" };
        while talk.result.is_none() {
            match tried(&talk) == right {
                true => talk.answer(200, &json!({})),
                false => talk.answer(401, &wrong()),
            };
        }
        assert_eq!(talk.ok().as_ref().unwrap().expose(), kept);
    }
    // A refusal does not say what became of the earlier change.
    let change = PasswordChange::generated(&account(Some("old"))).resume(pending());
    let mut talk = Talk::start(change);
    talk.answer(400, &refused("M_WEAK_PASSWORD"));
    assert_eq!(stored(&talk), maybe(&kept));
}

#[test]
fn what_waits_for_a_browser_goes_on_with_the_same_password() {
    let mut talk = made(&account(None));
    let new = talk.body()["new_password"].clone();
    talk.answer(401, &stages(&["m.login.sso"]))
        .reply(Answer::Unavailable);
    assert!(matches!(
        talk.error(),
        AuthError::Uia(UiaError::StagesNotSupported(_))
    ));
    let kept = stored(&talk).unwrap().unwrap().1.unwrap();
    let change = PasswordChange::generated(&account(None))
        .resume(pending(&kept))
        .session("s1");
    let mut talk = Talk::start(change);
    assert_eq!(talk.body()["new_password"], new);
    assert_eq!(talk.body()["auth"], json!({ "session": "s1" }));
    talk.answer(200, &json!({}));
    talk.ok();
}

/// An account that an OAuth 2.0 server keeps.
pub(crate) fn delegated(page: Option<&str>) -> Account {
    let mut json = serde_json::to_value(account(None)).unwrap();
    json["oauth"] = json!({
        "issuer": "https://id.example.org/", "client_id": "c1",
        "token_endpoint": "https://id.example.org/token",
        "revocation_endpoint": "https://id.example.org/revoke",
        "account_management_uri": page,
    });
    serde_json::from_value(json).unwrap()
}

#[test]
fn an_account_of_an_oauth_server_is_left_to_that_servers_page() {
    for (page, told) in [
        (
            Some("https://id.example.org/account"),
            "; open https://id.example.org/account in a browser",
        ),
        (None, "; look for it there in a browser"),
    ] {
        let talk = given(&delegated(page));
        assert_eq!(talk.requests, [""; 0]);
        let error = talk.error().to_string();
        assert!(error.ends_with(told), "{error}");
    }
}

#[test]
fn no_password_is_in_what_it_shows_of_itself() {
    let account = account(Some("canary-kept"));
    let change = PasswordChange::new(&account, "canary-new".into())
        .password("canary-old".into())
        .resume(pending("canary-pending"));
    let mut talk = Talk::start(change);
    talk.answer(401, &password());
    let shown = format!("{:?}", talk.conversation);
    assert!(!shown.contains("canary"), "{shown}");
}
